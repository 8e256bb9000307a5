"""What can be asked of a net position: an order at once, one that waits, or an exit of the position."""

from msgspec.structs import replace

from exness.core.client_orders import asked_of, label_taken, repeat, wrong_name
from exness.core.commands import NetOrder, TimeInForce
from exness.core.decide import guards
from exness.core.decide.exits import with_exit, would_trigger
from exness.core.decide.funds import funds_of
from exness.core.decide.net import amounts, do, leverage_of, may_take, plan
from exness.core.decide.opening import slipped, trailing_exit, wrong_slippage
from exness.core.decide.orders import crosses, may_wait
from exness.core.decide.parts import TOO_SMALL, close_part, is_too_small
from exness.core.events import (
    CloseReason,
    EndStatus,
    Event,
    OrderEnded,
    OrderPlaced,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    Why,
)
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at, stops_at
from exness.core.trades import PLACES, Exit, ExitOrder, Kind, Order, Trade

_REJECTED = Refusal(Reject.REDUCE_ONLY_REJECTED)


def decide_net(state: State, rules: Rules, command: NetOrder, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    used = repeat(account, command)
    if isinstance(used, Repeated):
        return used
    refusal = _wrong_fields(command, at) or used
    if refusal is not None:
        return refusal
    c, only = command, command.reduce_only or command.close_position
    price = state.fresh_price(c.asset, at)
    if c.asset not in rules.instruments or price is None or (price.suspect and not only):
        return guards.no_price(state, c.asset, at)
    order = _order_of(state, rules, account, c, at)
    refusal = (
        amounts(rules, order, c.quantity, opens_at(rules.execution, price, c.side))
        or _wrong_trailing(c)
        or wrong_slippage(c.asset, c)
        or wrong_name(c)
        or label_taken(account, c.label)
    )
    if refusal is not None:
        return refusal
    decided = _decided(state, rules, account, c, order, price, at)
    if isinstance(decided, Refusal):
        expires = c.leaves_expired and decided.reject is Reject.WOULD_REST and order.quantity
        if not expires:
            return decided
        ended = OrderEnded(
            order.id, account.id, c.asset, EndStatus.EXPIRED, 0, account.free, Reject.WOULD_REST.value, net=True
        )
        decided = [OrderPlaced(order, account.free), ended]
    return _named(account, rules, c, order, decided)


def _decided(
    state: State, rules: Rules, account: Account, c: NetOrder, order: Order, price: Price, at: int
) -> list[Event] | Refusal:
    waits = (c.limit is not None or c.stop is not None) and not crosses(rules, order, price)
    ioc = c.time_in_force is TimeInForce.IOC
    if c.reduce_only or c.close_position:
        if waits or c.trailing_stop is not None:
            return Refusal(Reject.WOULD_REST) if ioc else _add_exit(state, rules, account, c, price, at)
        return _close_at_once(state, rules, account, c, price)
    funds = funds_of(state, account)
    if waits:
        waiting = may_wait(state, rules, account, order, price, funds, ioc=ioc)
        return waiting if isinstance(waiting, Refusal) else [OrderPlaced(waiting, account.free - waiting.reserved)]
    entry, rate = opens_at(rules.execution, price, order.side), rules.rates_of(order.asset).taker
    refusal = may_take(state, rules, account, order, price, funds, c)
    if refusal is not None:
        return refusal
    return do(
        rules, account, order, plan(rules, account, order, entry, rate, price.mark, funds), price, entry, at, funds
    )


def _named(account: Account, rules: Rules, c: NetOrder, order: Order, events: list[Event]) -> list[Event]:
    """Its first record tells what was asked, and what order it was that has been filled at once."""
    first = events[0]
    asked = asked_of(account, rules, c, order.id, len(events))
    placed = None
    if c.quantity is not None or not c.close_position or isinstance(first, TradeClosed):
        placed = replace(order, opens=sum(map(_opened, events)))
    if isinstance(first, TradeOpened):
        first = replace(first, placed=placed)
        if asked is not None:
            first = replace(first, fingerprint=asked.fingerprint, forgets=asked.forgets)
    elif isinstance(first, TradeIncreased | TradeReduced | TradeClosed):
        first = replace(first, placed=placed, asked=asked)
    else:
        assert isinstance(first, OrderPlaced | TradeChanged)
        first = replace(first, asked=asked)
    return [first, *events[1:]]


def _opened(event: Event) -> int:
    """The size that it has opened."""
    match event:
        case TradeOpened(trade):
            return trade.size
        case TradeIncreased():
            return event.size
        case _:
            return 0


def _order_of(state: State, rules: Rules, account: Account, c: NetOrder, at: int) -> Order:
    held = account.net(c.asset)
    return Order(
        c.order_id,
        account.id,
        c.asset,
        c.side,
        number=(state.seq + 1) * PLACES,
        placed_at=at,
        leverage=leverage_of(rules, account, c.asset),
        quantity=(0 if held is None else held.size) if c.quantity is None else c.quantity,
        unit=guards.unit_of(rules.instruments[c.asset]) or 0,
        limit=c.limit,
        stop=c.stop,
        expires_at=c.expires_at,
        post_only=c.post_only,
        client_order=c.client_order,
        label=c.label,
    )


# --- what it is held against ----------------------------------------------------------------------------------------


def _wrong_fields(c: NetOrder, at: int) -> Refusal | None:
    only = c.reduce_only or c.close_position
    if (c.quantity is not None) is c.close_position:
        return guards.wrong("quantity", "be given, or close_position")
    refusal = guards.wrong_price(limit=c.limit, stop=c.stop) or guards.wrong_expiry(c.time_in_force, c.expires_at, at)
    if refusal is not None:
        return refusal
    if c.kind is not None and (not only or c.stop is None or c.kind not in (Kind.STOP_LOSS, Kind.TAKE_PROFIT)):
        return guards.wrong("kind", "be that of an exit with a stop price")
    if c.trailing_stop is None:
        return None
    if not only or c.limit is not None or c.stop is not None:
        return guards.wrong("trailing_stop", "be given without prices, for what reduces only")
    return guards.wrong_exits(c.side, None, None, c.trailing_stop)


def _wrong_trailing(c: NetOrder) -> Refusal | None:
    return guards.exits_out_of_range(c.asset, None, None, c.trailing_stop)


# --- what reduces only ----------------------------------------------------------------------------------------------


def _opposite(account: Account, c: NetOrder) -> Trade | None:
    held = account.net(c.asset)
    return None if held is None or held.side is c.side else held


def _close_at_once(state: State, rules: Rules, account: Account, c: NetOrder, price: Price) -> list[Event] | Refusal:
    """At the market, and at most to zero."""
    entry, rates = opens_at(rules.execution, price, c.side), rules.rates_of(c.asset)
    refusal = slipped(c, entry)
    if refusal is not None:
        return refusal
    if c.post_only and c.limit is not None:
        return Refusal(Reject.WOULD_TAKE)
    held = _opposite(account, c)
    if held is None:
        return _REJECTED
    size = held.size if c.quantity is None else min(c.quantity, held.size)
    if is_too_small(held.line, size):
        return TOO_SMALL
    bound, insurance = account.bound, state.house.insurance
    return [
        close_part(
            held,
            size,
            entry,
            rates.taker,
            price.mark,
            rates,
            CloseReason.ORDER,
            account.free,
            bound,
            insurance,
            c.order_id,
        )
    ]


def _add_exit(
    state: State, rules: Rules, account: Account, c: NetOrder, price: Price, at: int
) -> list[Event] | Refusal:
    held = _opposite(account, c)
    if held is None:
        return _REJECTED
    number = (state.seq + 1) * PLACES
    order = ExitOrder(
        c.order_id,
        at,
        size=c.quantity or 0,
        limit=c.limit if c.stop is not None else None,
        expires_at=c.expires_at,
        post_only=c.post_only,
        client_order=c.client_order,
        label=c.label,
    )
    if c.trailing_stop is not None:
        looked_at = stops_at(rules, price, held.side, opening=False)
        new = replace(trailing_exit(c.trailing_stop, held.side, looked_at, number), order=order)
    elif c.stop is not None:
        new = Exit(c.kind or Kind.STOP_LOSS, number, c.stop, order=order)
    else:
        assert c.limit is not None
        new = Exit(Kind.LIMIT, number, c.limit, order=order)
    after = would_trigger(rules, held, new, price) or with_exit(rules, held, new)
    return after if isinstance(after, Refusal) else [TradeChanged(after, Why.EXITS, account.free, exit=c.order_id)]

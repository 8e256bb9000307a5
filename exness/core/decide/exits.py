"""Exits: setting a trade's own, adding, amending and ending those that are orders, and what one does that fires."""

from msgspec import UNSET
from msgspec.structs import replace

from exness.core.client_orders import asked_of, repeat, wrong_name
from exness.core.commands import AddExit, AmendOrder, SetExits
from exness.core.decide import guards
from exness.core.decide.opening import trailing_exit
from exness.core.decide.parts import NOT_FOUND, TOO_SMALL, close_part, is_too_small, part_of, without
from exness.core.events import CloseReason, EndStatus, Event, TradeChanged, Why
from exness.core.instruments import LimitFill, OrderId, Side
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rates import FREE
from exness.core.rejects import Figure, Limit, Refusal
from exness.core.rules import SIZE, Rules
from exness.core.state import Account, State
from exness.core.tick_order import closes_at, stops_at
from exness.core.trades import PLACES, Exit, ExitOrder, Kind, Trade


def decide_exits(state: State, rules: Rules, command: SetExits, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    trade = account.trades.get(command.trade_id) if account is not None else None
    if account is None or trade is None:
        return NOT_FOUND
    c = command
    take_profit = None if c.take_profit is UNSET else c.take_profit
    stop_loss = None if c.stop_loss is UNSET else c.stop_loss
    trailing = None if c.trailing_stop is UNSET else c.trailing_stop
    refusal = guards.wrong_exits(trade.side, take_profit, stop_loss, trailing) or guards.unchangeable(trade)
    if refusal is not None:
        return refusal
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    looked_at = stops_at(rules, price, trade.side, opening=False)
    refusal = guards.exits_out_of_range(trade.asset, take_profit, stop_loss, trailing) or guards.exits_would_trigger(
        trade.asset, trade.side, take_profit, stop_loss, looked_at
    )
    if refusal is not None:
        return refusal
    number = (state.seq + 1) * PLACES
    changes: dict[str, Exit | None] = {}
    if c.take_profit is not UNSET:
        changes["take_profit"] = None if take_profit is None else Exit(Kind.TAKE_PROFIT, number, take_profit)
        number += take_profit is not None
    if c.stop_loss is not UNSET:
        changes["stop_loss"] = None if stop_loss is None else Exit(Kind.STOP_LOSS, number, stop_loss)
        number += stop_loss is not None
    if c.trailing_stop is not UNSET:
        changes["trailing_stop"] = None if trailing is None else trailing_exit(trailing, trade.side, looked_at, number)
    return [TradeChanged(replace(trade, **changes), Why.EXITS, account.free)]


def decide_exit(state: State, rules: Rules, command: AddExit, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    used = repeat(account, command) if account is not None else None
    if used is not None:
        return used
    trade = account.trades.get(command.trade_id) if account is not None else None
    if account is None or trade is None:
        return NOT_FOUND
    refusal = guards.wrong_part(command.percent, command.margin, command.size, least=1)
    if command.kind not in (Kind.TAKE_PROFIT, Kind.STOP_LOSS, Kind.LIMIT):
        refusal = refusal or guards.wrong("kind", "be take_profit, stop_loss or limit")
    refusal = refusal or guards.wrong_price(price=command.price) or guards.unchangeable(trade)
    if refusal is not None:
        return refusal
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    refusal = guards.price_out_of_range(trade.asset, (Figure.PRICE, command.price)) or wrong_name(command)
    if refusal is not None:
        return refusal
    size = part_of(trade.line, command.percent, command.margin, command.size)
    if isinstance(size, Refusal):
        return size
    order = ExitOrder(
        command.order_id,
        placed_at=at,
        size=size if command.size is None else command.size,
        client_order=command.client_order,
    )
    new = Exit(command.kind, (state.seq + 1) * PLACES, command.price, order=order)
    refusal = would_trigger(rules, trade, new, price) or (TOO_SMALL if is_too_small(trade.line, size) else None)
    added = refusal or with_exit(rules, trade, new)
    if isinstance(added, Refusal):
        return added
    asked = asked_of(account, rules, command, command.order_id, 1)
    return [TradeChanged(added, Why.EXITS, account.free, exit=command.order_id, asked=asked)]


def with_exit(rules: Rules, trade: Trade, new: Exit) -> Trade | Refusal:
    """A trade with one more exit that is an order."""
    exits, most = len(trade.exits) + 1, rules.max_exits_per_trade
    if exits > most:
        return guards.over(Limit.EXITS_PER_TRADE, most, exits)
    return replace(trade, exits=(*trade.exits, new))


def would_trigger(rules: Rules, trade: Trade, exit_: Exit, price: Price) -> Refusal | None:
    """It is due at this price. A trailing stop never is when it begins."""
    if exit_.kind is Kind.TRAILING_STOP:
        return None
    return guards.would_trigger(
        trade.asset, exit_.kind, trade.side, exit_.price, _looked_at(rules, exit_.kind, trade.side, price)
    )


def _looked_at(rules: Rules, kind: Kind, side: Side, price: Price) -> int:
    if kind is Kind.LIMIT:
        return closes_at(rules.execution, price, side)
    return stops_at(rules, price, side, opening=False)


# --- those that are orders ------------------------------------------------------------------------------------------


def exit_of(account: Account, order_id: OrderId) -> tuple[Trade, Exit] | None:
    """The exit that is this order, and its trade."""
    trade_id = account.exits.get(order_id)
    if trade_id is None:
        return None
    trade = account.trades[trade_id]
    return trade, next(each for each in trade.exits if each.id == order_id)


def amend_exit(
    state: State, rules: Rules, account: Account, trade: Trade, old: Exit, command: AmendOrder, at: int
) -> list[Event] | Refusal:
    new = _amended(old, command)
    if isinstance(new, Refusal):
        return new
    order = new.order
    assert order is not None
    asked = None if new.kind is Kind.TRAILING_STOP else new.price
    refusal = guards.wrong_price(price=asked, limit=order.limit)
    if refusal is not None:
        return refusal
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    refusal = (
        guards.price_out_of_range(trade.asset, (Figure.PRICE, asked), (Figure.LIMIT, order.limit))
        or guards.out_of_range(Figure.SIZE, order.size or None, SIZE)
        or would_trigger(rules, trade, new, price)
    )
    if refusal is not None:
        return refusal
    if command.size is not UNSET and is_too_small(trade.line, min(order.size, trade.size)):
        return TOO_SMALL
    exits = tuple([new if each.number == old.number else each for each in trade.exits])
    return [TradeChanged(replace(trade, exits=exits), Why.EXITS, account.free, exit=order.id)]


def _amended(old: Exit, c: AmendOrder) -> Exit | Refusal:
    """The exit as it would be; its number, and so its place, stay."""
    order = old.order
    assert order is not None
    for field in ("margin", "leverage", "take_profit", "stop_loss", "trailing_stop"):
        if getattr(c, field) is not UNSET:
            return guards.wrong(field, "not be given for an exit")
    if old.kind is Kind.TRAILING_STOP and not (c.limit is UNSET and c.stop is UNSET):
        return guards.wrong("price", "not be given for a trailing stop")
    price = c.limit if old.kind is Kind.LIMIT else c.stop
    if price is None or (old.kind is Kind.LIMIT and c.stop is not UNSET):
        return guards.wrong("price", "be that of the exit's kind")
    if c.size is not UNSET and c.size <= 0:
        return guards.out_of_range(Figure.SIZE, c.size, SIZE) or TOO_SMALL
    changes = {field: given for field, given in (("size", c.size), ("expires_at", c.expires_at)) if given is not UNSET}
    if old.kind is not Kind.LIMIT and c.limit is not UNSET:
        changes["limit"] = c.limit
    return replace(old, price=old.price if price is UNSET else price, order=replace(order, **changes))


def end_exit(trade: Trade, exit_: Exit, status: EndStatus, balance: int) -> TradeChanged:
    """It ends while its trade goes on."""
    return TradeChanged(without(trade, exit_), Why.EXITS, balance, exit=exit_.id, ended=status)


# --- firing ---------------------------------------------------------------------------------------------------------

_REASONS = {
    Kind.STOP_LOSS: CloseReason.STOP_LOSS,
    Kind.TAKE_PROFIT: CloseReason.TAKE_PROFIT,
    Kind.TRAILING_STOP: CloseReason.TRAILING_STOP,
    Kind.LIMIT: CloseReason.EXIT,
}


def fire_exit(state: State, rules: Rules, trade: Trade, exit_: Exit, price: Price) -> list[Event]:
    """What an exit does whose price is reached."""
    account, order = state.accounts[trade.account], exit_.order
    fills_at = closes_at(rules.execution, price, trade.side)
    if order is not None and order.limit is not None and _is_past(trade.side, fills_at, order.limit):
        rests = replace(
            exit_, kind=Kind.LIMIT, price=order.limit, order=replace(order, limit=None, fired=(state.seq + 1) * PLACES)
        )
        exits = tuple([rests if each.number == exit_.number else each for each in trade.exits])
        return [TradeChanged(replace(trade, exits=exits), Why.TRIGGERED, account.free, exit=order.id)]
    rates = rules.rates.get(trade.asset, FREE)
    rate = rates.taker
    if exit_.kind is Kind.LIMIT:
        rate = rates.maker
        if rules.limit_fill is LimitFill.LIMIT:
            fills_at = exit_.price
    size, by = trade.size, None
    if order is not None:
        size, by = min(order.size, size) or size, order.id
    reason, bound = _REASONS[exit_.kind], account.bound
    free, insurance = account.free, state.house.insurance
    return [close_part(trade, size, fills_at, rate, price.mark, rates, reason, free, bound, insurance, by, exit_)]


def _is_past(side: Side, price: int, limit: int) -> bool:
    """Whether a trade of this side can't close at this price as well as its limit asks."""
    return price < limit if side is Side.LONG else price > limit

"""Net positions: one for each account and asset, which orders change. What an order reduces, it reduces as a close of a
part does; what is left of it opens or adds. Past zero that is a close, and an open of the other side."""

from typing import NamedTuple

from msgspec.structs import replace

from exness.core.books import NOTIONAL_UNIT
from exness.core.ceilings import summed
from exness.core.commands import NetOrder
from exness.core.decide import guards
from exness.core.decide.funds import Funds
from exness.core.decide.opening import slipped
from exness.core.decide.parts import TOO_SMALL, close_part, is_too_small, what_closes, with_line
from exness.core.events import (
    CloseReason,
    EndStatus,
    Event,
    OrderEnded,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import Asset, TradeId
from exness.core.line import Line, average_entry, entry_fee, increased, liquidation_price, net_line, settle
from exness.core.margin import most_pnl
from exness.core.prices import Price
from exness.core.rejects import Figure, Refusal, Reject
from exness.core.rules import COST, SIZE, Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at
from exness.core.trades import PLACES, Order, Trade


class Plan(NamedTuple):
    """What a fill at a price does: it closes `reduces` of the opposite position `held`, which gives `proceeds`; then it
    opens `opens`, for `fee`, and `whole` is the position that there is. None: nothing opens."""

    held: Trade | None
    reduces: int
    opens: Line | None
    whole: Line | None
    fee: int
    proceeds: int

    @property
    def adds(self) -> bool:
        """Whether it adds to what is held."""
        return self.held is not None and self.whole is not None and self.held.side is self.whole.side

    @property
    def required(self) -> int:
        return 0 if self.opens is None else self.opens.margin + self.fee


# --- what it is held against ----------------------------------------------------------------------------------------


def amounts(rules: Rules, order: Order, asked: int | None, at: int = 0) -> Refusal | None:
    """`asked` is the quantity that it names; None: it closes all there is. `at` is what it would fill at now."""
    unit = guards.unit_of(rules.instruments[order.asset])
    if unit is None:
        return guards.wrong("asset", "be one that has net positions")
    dearest = max(at, order.limit or 0, order.stop or 0)
    refusal = None
    if asked is not None:
        refusal = guards.out_of_range(Figure.QUANTITY, asked, SIZE) or guards.out_of_range(
            Figure.COST, asked * dearest, COST
        )
    return refusal or guards.price_out_of_range(order.asset, (Figure.LIMIT, order.limit), (Figure.STOP, order.stop))


def leverage_of(rules: Rules, account: Account, asset: Asset) -> int:
    """That of the account's net positions in an asset."""
    net = account.nets.get(asset)
    if net is not None and net.leverage:
        return net.leverage
    return min(rules.net_leverage, rules.instruments[asset].max_leverage)


def _unit(rules: Rules, asset: Asset) -> int:
    unit = guards.unit_of(rules.instruments[asset])
    assert unit is not None, f"{asset} has no net positions"
    return unit


# --- waiting --------------------------------------------------------------------------------------------------------


def if_it_opens(rules: Rules, account: Account, order: Order) -> tuple[Line, Line, int, int] | None:
    """What a waiting order would open if all of its side before it were filled: see `orders`."""
    beside = sum(
        each.quantity
        for each in account.orders.values()
        if each.net and each.asset == order.asset and each.side is order.side and each.id != order.id
    )
    held = account.net(order.asset)
    opposite = held.size if held is not None and held.side is not order.side else 0
    opens = min(order.quantity, max(0, beside + order.quantity - opposite))
    if not opens:
        return None
    unit = _unit(rules, order.asset)
    line = whole = net_line(order.side, opens, order.price, unit, order.leverage)
    if held is not None and held.side is order.side:
        whole = replace(line, cost=line.cost + held.cost)
    return line, whole, int(held is None), line.cost * (NOTIONAL_UNIT // unit)


# --- at once --------------------------------------------------------------------------------------------------------


def plan(
    rules: Rules, account: Account, order: Order, entry: int, rate: int, mark: int, funds: Funds, *, opens: bool = True
) -> Plan:
    """What a fill of the order at `entry` does. `opens`: its opening part is not dropped."""
    held, unit = account.net(order.asset), _unit(rules, order.asset)
    base, reduces, proceeds = Line(order.side, 0, 0, unit, 0), 0, 0
    if held is not None and held.side is order.side:
        base = held.line
    elif held is not None:
        reduces = min(order.quantity, held.size)
        part = held.line
        if reduces < held.size:
            part, _ = what_closes(part, reduces, rules.rates_of(order.asset), mark)
        most = most_pnl(funds.free, funds.bound, part.margin)
        proceeds = settle(part, entry, rate, funds.insurance, most).returned
    left = order.quantity - reduces if opens else 0
    if not left:
        return Plan(held, reduces, None, None, 0, proceeds)
    leverage = leverage_of(rules, account, order.asset)
    whole = increased(base, left, entry, leverage)
    added = Line(order.side, left, left * entry, unit, whole.margin - base.margin)
    return Plan(held, reduces, added, whole, entry_fee(added, rate), proceeds)


def _may_open(state: State, rules: Rules, account: Account, order: Order, todo: Plan, funds: Funds) -> Refusal | None:
    """Limits and money of the opening part."""
    if todo.opens is None or todo.whole is None:
        return None
    added = todo.opens.cost * (NOTIONAL_UNIT // todo.opens.unit)
    flips = todo.held is not None and not todo.adds
    freed = todo.held.cost * (NOTIONAL_UNIT // todo.held.unit) if flips and todo.held is not None else 0
    return guards.over_limit(
        state,
        rules,
        rules.rates_of(order.asset),
        account,
        order.asset,
        added,
        todo.whole,
        leverage_of(rules, account, order.asset),
        int(todo.held is None),
        funds.left_out,
        freed,
    ) or guards.not_enough(todo.required, funds.free + todo.proceeds)


def _fits(rules: Rules, asset: Asset, todo: Plan, entry: int, mark: int) -> Refusal | None:
    """Ceilings, and whether the position would be liquidated at once."""
    if todo.whole is None:
        return None
    return (
        guards.out_of_range(Figure.SIZE, todo.whole.size, SIZE)
        or guards.out_of_range(Figure.COST, todo.whole.cost, COST)
        or guards.would_liquidate(asset, todo.whole, rules.rates_of(asset), entry, mark)
    )


def may_take(
    state: State,
    rules: Rules,
    account: Account,
    order: Order,
    price: Price,
    funds: Funds,
    command: NetOrder | None = None,
) -> Refusal | None:
    """Why it can't all be done at once, at the market; None: it can."""
    entry, rate = opens_at(rules.execution, price, order.side), rules.rates_of(order.asset).taker
    todo = plan(rules, account, order, entry, rate, price.mark, funds)
    refusal = _fits(rules, order.asset, todo, entry, price.mark)
    if refusal is None and command is not None:
        refusal = slipped(command, entry)
    if refusal is None and order.post_only and order.limit is not None:
        refusal = Refusal(Reject.WOULD_TAKE)
    if refusal is None and todo.held is not None and todo.reduces and is_too_small(todo.held.line, todo.reduces):
        refusal = TOO_SMALL
    return refusal or _may_open(state, rules, account, order, todo, funds)


def fill(
    state: State,
    rules: Rules,
    account: Account,
    order: Order,
    price: Price,
    entry: int,
    rate: int,
    at: int,
    funds: Funds,
) -> list[Event]:
    """One that waited: its reducing part is always done; an opening part that can't be is dropped."""
    todo = plan(rules, account, order, entry, rate, price.mark, funds)
    refusal = _fits(rules, order.asset, todo, entry, price.mark) or _may_open(state, rules, account, order, todo, funds)
    reason = "" if refusal is None else refusal.reject.value
    if refusal is not None:
        todo = plan(rules, account, order, entry, rate, price.mark, funds, opens=False)
    is_filled = refusal is None or todo.reduces > 0
    ended = OrderEnded(
        order.id,
        account.id,
        order.asset,
        EndStatus.FILLED if is_filled else EndStatus.REFUSED,
        order.reserved,
        funds.free,
        reason,
        fired=(order.fired or funds.seq * PLACES) if is_filled else order.fired,
        net=True,
    )
    if not is_filled:
        return [ended]
    funds.seq += 1
    events = do(rules, account, order, todo, price, entry, at, funds, rate)
    return [replace(ended, filled=_filled(todo, events), price=entry), *events]


def _filled(todo: Plan, events: list[Event]) -> int:
    """What it has bought or sold in all."""
    filled = 0
    for event in events:
        if isinstance(event, TradeOpened):
            filled += event.trade.size
        elif isinstance(event, TradeClosed):
            filled += todo.held.size if todo.held is not None else 0
        else:
            assert isinstance(event, TradeReduced | TradeIncreased)
            filled += event.size
    return filled


def do(
    rules: Rules,
    account: Account,
    order: Order,
    todo: Plan,
    price: Price,
    entry: int,
    at: int,
    funds: Funds,
    rate: int | None = None,
) -> list[Event]:
    rates = rules.rates_of(order.asset)
    paid = rates.taker if rate is None else rate
    events: list[Event] = []
    if todo.held is not None and todo.reduces:
        free, bound, insurance = funds.free, funds.bound, funds.insurance
        by, reason = order.id, CloseReason.ORDER
        closed = close_part(todo.held, todo.reduces, entry, paid, price.mark, rates, reason, free, bound, insurance, by)
        funds.take(closed)
        events.append(closed)
    if todo.opens is None or todo.whole is None:
        return events
    balance = funds.free - todo.required
    if todo.adds and todo.held is not None:
        grown = with_line(todo.held, todo.whole, rates)
        grown = replace(grown, commission=summed(grown.commission, todo.fee))
        opens = todo.opens
        increased_ = TradeIncreased(grown, order.id, entry, opens.size, opens.margin, balance, todo.fee)
        return [*events, increased_]
    trade = Trade(
        id=TradeId(order.id),
        account=account.id,
        asset=order.asset,
        side=order.side,
        margin=todo.whole.margin,
        leverage=leverage_of(rules, account, order.asset),
        entry=average_entry(todo.whole),
        liquidation=liquidation_price(todo.whole, rates),
        opened_at=at,
        seq=funds.seq,
        size=todo.whole.size,
        client_order=order.client_order,
        cost=todo.whole.cost,
        unit=todo.whole.unit,
        commission=todo.fee,
    )
    return [*events, TradeOpened(trade, balance, fee=todo.fee)]

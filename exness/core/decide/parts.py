"""Closing, whole or in parts, and what changes the margin of an open trade."""

from msgspec.structs import replace

from exness.core.ceilings import summed
from exness.core.client_orders import asked_of, repeat, wrong_name
from exness.core.commands import ChangeLeverage, ChangeMargin, CloseTrade, SetNetLeverage
from exness.core.decide import guards
from exness.core.events import (
    CloseReason,
    Event,
    NetLeverageSet,
    TradeChanged,
    TradeClosed,
    TradeReduced,
    Why,
)
from exness.core.instruments import Asset, OrderId
from exness.core.line import (
    Line,
    Settlement,
    average_entry,
    initial_margin,
    is_reached,
    liquidation_price,
    removable,
    settle,
    size_of_margin,
    size_of_percent,
    split,
    with_margin,
)
from exness.core.margin import most_pnl
from exness.core.outcomes import Repeated
from exness.core.rates import FREE, Rates
from exness.core.rejects import Figure, Refusal, Reject, TooMuch
from exness.core.rules import HELD, LEVERAGE, PERCENT, SIZE, Bounds, Rules
from exness.core.state import Account, State
from exness.core.tick_order import closes_at
from exness.core.trades import Exit, Trade

TOO_SMALL = Refusal(Reject.AMOUNT_TOO_SMALL)
NOT_FOUND = Refusal(Reject.TRADE_NOT_FOUND)
MOVED = Bounds(1, HELD.most)
"""What margin may be changed by."""


def decide_close(state: State, rules: Rules, command: CloseTrade, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return NOT_FOUND
    if command.client_order is not None:
        used = repeat(account, command)
        if used is not None:
            return used
    trade = account.trades.get(command.trade_id)
    if trade is None:
        return NOT_FOUND
    is_part = not (command.percent is None and command.margin is None and command.size is None)
    refusal = guards.wrong_part(command.percent, command.margin, command.size, least=0) if is_part else None
    if refusal is None and is_part:
        refusal = guards.unchangeable(trade)
    if refusal is not None:
        return refusal
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    size = trade.size
    if is_part:
        part = part_of(trade.line, command.percent, command.margin, command.size)
        if isinstance(part, Refusal):
            return part
        if is_too_small(trade.line, part):
            return TOO_SMALL
        size = part
    if command.client_order is not None:
        refusal = wrong_name(command)
        if refusal is not None:
            return refusal
    rates = rules.rates.get(trade.asset, FREE)
    exit_ = closes_at(rules.execution, price, trade.side)
    event = close_part(
        trade,
        size,
        exit_,
        rates.taker,
        price.mark,
        rates,
        CloseReason.USER,
        account.free,
        account.bound,
        state.house.insurance,
    )
    if command.client_order is None:
        return [event]
    return [replace(event, asked=asked_of(account, rules, command, trade.id, 1))]


def part_of(line: Line, percent: int | None, margin: int | None, size: int | None) -> int | Refusal:
    """The size that is meant, never more than there is."""
    refusal = (
        guards.out_of_range(Figure.PERCENT, percent, PERCENT)
        or guards.out_of_range(Figure.MARGIN, margin, MOVED)
        or guards.out_of_range(Figure.SIZE, size, SIZE)
    )
    if refusal is not None:
        return refusal
    if percent is not None:
        return size_of_percent(line, percent)
    if margin is not None:
        return min(line.size, size_of_margin(line, margin))
    return line.size if size is None else min(size, line.size)


def is_too_small(line: Line, size: int) -> bool:
    """A part of nothing, or of no margin."""
    return size == 0 or line.margin * size // line.size == 0


def what_closes(line: Line, size: int, rates: Rates, mark: int) -> tuple[Line, Line | None]:
    """The part that closes and what stays: nothing, where that would be due."""
    part, left = split(line, size)
    if is_reached(left.side, liquidation_price(left, rates), mark):
        return line, None
    return part, left


def close_part(
    trade: Trade,
    size: int,
    price: int,
    rate: int,
    mark: int,
    rates: Rates,
    reason: CloseReason,
    free: int,
    bound: int,
    insurance: int,
    by: OrderId | None = None,
    gone: Exit | None = None,
) -> TradeClosed | TradeReduced:
    """The one way in which a trade, or a part of it, is closed and not liquidated. `free` and `bound` (locked or
    reserved) are its account's. `gone` is the exit that does it."""
    line = trade.line
    part, left = (line, None) if size >= line.size else what_closes(line, size, rates, mark)
    end = settle(part, price, rate, insurance, most_pnl(free, bound, part.margin))
    balance = free + end.returned
    if left is not None:
        stays = with_line(trade, left, rates)
        stays = stays if gone is None else without(stays, gone)
        return _reduced(stays, part, end, reason, price, balance, by)
    margin, pnl, returned = part.margin, end.pnl, end.returned
    closed = TradeClosed(
        trade.id, trade.account, trade.asset, reason, price, margin, pnl, returned, balance, end.shortfall
    )
    if not (end.fee or end.covered or by or trade.exits or trade.commission or trade.realized or trade.net):
        return closed
    ended = tuple([each.order.id for each in trade.exits if each.order and each.order.id != by])
    return replace(
        closed,
        fee=end.fee,
        covered=end.covered,
        by=by,
        ended=ended,
        filled=part.size if by is not None or trade.net else 0,
        commission_before=trade.commission,
        realized_before=trade.realized,
        net=trade.side if trade.net else None,
    )


def _reduced(
    stays: Trade, part: Line, end: Settlement, reason: CloseReason, price: int, balance: int, by: OrderId | None
) -> TradeReduced:
    commission, realized = summed(stays.commission, end.fee), summed(stays.realized, end.pnl)
    return TradeReduced(
        trade=replace(stays, commission=commission, realized=realized),
        reason=reason,
        price=price,
        size=part.size,
        margin=part.margin,
        pnl=end.pnl,
        returned=end.returned,
        balance=balance,
        shortfall=end.shortfall,
        fee=end.fee,
        covered=end.covered,
        by=by,
    )


def with_line(trade: Trade, line: Line, rates: Rates) -> Trade:
    """A trade whose size or margin has changed: it is priced anew, with the rates of now."""
    if trade.net:
        entry, cost = average_entry(line), line.cost
    else:
        entry, cost = trade.entry, 0
    liquidation = liquidation_price(line, rates)
    return replace(trade, size=line.size, cost=cost, entry=entry, margin=line.margin, liquidation=liquidation)


def without(trade: Trade, exit_: Exit) -> Trade:
    """A trade that lacks an exit which is an order: its own three are over all of it, and end with it."""
    return replace(trade, exits=tuple([each for each in trade.exits if each.number != exit_.number]))


# --- margin and leverage --------------------------------------------------------------------------------------------


def decide_margin(state: State, rules: Rules, command: ChangeMargin, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return NOT_FOUND
    used = repeat(account, command)
    if used is not None:
        return used
    trade = account.trades.get(command.trade_id)
    if trade is None:
        return NOT_FOUND
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    amount, line = command.amount, trade.line
    refusal = (
        guards.out_of_range(Figure.AMOUNT, abs(amount), MOVED) or wrong_name(command) or guards.unchangeable(trade)
    )
    if refusal is not None:
        return refusal
    if amount < 0 and -amount > (most := removable(line, trade.leverage, price.mark)):
        return Refusal(Reject.MARGIN_TOO_LOW, TooMuch(most))
    rates = rules.rates_of(trade.asset)
    changed = with_margin(line, line.margin + amount)
    refusal = guards.would_liquidate(trade.asset, changed, rates, price.mark, price.mark) or guards.not_enough(
        amount, account.free
    )
    if refusal is not None:
        return refusal
    asked = asked_of(account, rules, command, trade.id, 1)
    after = with_line(trade, changed, rates)
    return [TradeChanged(after, Why.MARGIN, account.free - amount, amount, price=price.mark, asked=asked)]


def decide_leverage(state: State, rules: Rules, command: ChangeLeverage, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    trade = account.trades.get(command.trade_id) if account is not None else None
    if account is None or trade is None:
        return NOT_FOUND
    return _with_leverage(state, rules, account, trade, command.leverage, at)


def decide_net_leverage(state: State, rules: Rules, command: SetNetLeverage, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    if command.asset not in rules.instruments:
        return guards.wrong("asset", "be a configured one")
    trade = account.net(command.asset)
    if trade is not None:
        return _with_leverage(state, rules, account, trade, command.leverage, at)
    refusal = _leverage_out_of_range(rules, command.asset, command.leverage)
    return refusal or [NetLeverageSet(account.id, command.asset, command.leverage, account.free)]


def _with_leverage(
    state: State, rules: Rules, account: Account, trade: Trade, leverage: int, at: int
) -> list[Event] | Refusal:
    """Lowering it takes the margin that is missing, raising it moves nothing. That of a net position is its
    account's."""
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return guards.no_price(state, trade.asset, at)
    refusal = _leverage_out_of_range(rules, trade.asset, leverage) or guards.unchangeable(trade)
    if refusal is not None:
        return refusal
    line, rates = trade.line, rules.rates_of(trade.asset)
    added = max(0, initial_margin(line, leverage) - line.margin) if leverage < trade.leverage else 0
    after = trade
    if added:
        changed = with_margin(line, line.margin + added)
        refusal = guards.would_liquidate(trade.asset, changed, rates, price.mark, price.mark)
        after = with_line(trade, changed, rates)
    refusal = refusal or guards.over_tier(rates, line, leverage) or guards.not_enough(added, account.free)
    if refusal is not None:
        return refusal
    after = replace(after, leverage=leverage)
    balance = account.free - added
    changes: list[Event] = [TradeChanged(after, Why.LEVERAGE, balance, added, price=price.mark)]
    return [NetLeverageSet(account.id, trade.asset, leverage, account.free), *changes] if trade.net else changes


def _leverage_out_of_range(rules: Rules, asset: Asset, leverage: int) -> Refusal | None:
    instrument = rules.instruments.get(asset)
    most = LEVERAGE.most if instrument is None else instrument.max_leverage
    return guards.out_of_range(Figure.LEVERAGE, leverage, Bounds(LEVERAGE.least, most))

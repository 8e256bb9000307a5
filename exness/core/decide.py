"""(state, command, time) -> events, or a Refusal. Writes nothing.

Guards come in the order in which API.md lists the errors; then arithmetic; then the events.
"""

from collections.abc import Callable
from typing import Any, get_args

from exness.core import margin
from exness.core.client_orders import fingerprint, forgotten, is_repeat
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, Reset
from exness.core.events import (
    AccountOpened,
    CloseReason,
    Deposited,
    Event,
    ExchangeReset,
    Trade,
    TradeClosed,
    TradeOpened,
)
from exness.core.instruments import LEVERAGE_UNIT, Asset, Execution, Instrument, Side
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rejects import (
    DueAtOnce,
    Figure,
    Limit,
    NoPrice,
    OutOfRange,
    OverLimit,
    Refusal,
    Reject,
    Slipped,
    TooLittle,
    UsedBefore,
)
from exness.core.rules import DEPOSIT, FIRST_DEPOSIT, HELD, Bounds, Rules, out_of_range
from exness.core.state import Account, SeenOrder, State


def decide_account(state: State, rules: Rules, command: OpenAccount, at: int) -> list[Event] | Refusal:
    if command.email in state.by_email or command.account in state.accounts:
        return Refusal(Reject.ACCOUNT_EXISTS)
    return _refuse_amount(Figure.DEPOSIT, command.deposit, FIRST_DEPOSIT) or [
        AccountOpened(command.account, command.email, command.deposit)
    ]


def decide_deposit(state: State, rules: Rules, command: Deposit, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    would_hold = account.free + account.locked + command.amount
    refusal = _refuse_amount(Figure.AMOUNT, command.amount, DEPOSIT) or _refuse_amount(Figure.BALANCE, would_hold, HELD)
    return refusal or [Deposited(account.id, command.amount, account.free + command.amount)]


def decide_reset(state: State, rules: Rules, command: Reset, at: int) -> list[Event] | Refusal:
    return [ExchangeReset()]


def decide_open(state: State, rules: Rules, command: OpenTrade, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    instrument = rules.instruments.get(command.asset)
    if command.client_order is not None and command.client_order in account.seen:
        return _repeat(account.seen[command.client_order], command, instrument)
    price = state.fresh_price(command.asset, at)
    if instrument is None or price is None or price.suspect:
        return price_refusal(state, command.asset, at)
    refusal = _refuse_figures(instrument, command)
    if refusal is not None:
        return refusal
    entry = execution_price(rules.execution, price, command.side, opening=True)
    liquidation = margin.liquidation_price(command.side, entry, command.leverage)
    refusal = (
        _refuse_wide_book(command, price, entry, liquidation)
        or _refuse_slippage(command, entry)
        or _refuse_position(state, rules, account, command)
    )
    if refusal is not None:
        return refusal
    if command.margin > account.free:
        return Refusal(Reject.INSUFFICIENT_MARGIN, TooLittle(command.margin, account.free))
    trade = Trade(
        id=command.trade_id,
        account=account.id,
        asset=command.asset,
        side=command.side,
        margin=command.margin,
        leverage=command.leverage,
        entry=entry,
        liquidation=liquidation,
        opened_at=at,
        seq=state.seq + 1,
        client_order=command.client_order,
    )
    if command.client_order is None:
        return [TradeOpened(trade, account.free - command.margin)]
    forgets = forgotten(account, rules.client_order_ids_per_account)
    return [TradeOpened(trade, account.free - command.margin, fingerprint(command), forgets)]


def decide_close(state: State, rules: Rules, command: CloseTrade, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    trade = account.trades.get(command.trade_id) if account is not None else None
    if account is None or trade is None:
        return Refusal(Reject.TRADE_NOT_FOUND)
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return price_refusal(state, trade.asset, at)
    exit_ = execution_price(rules.execution, price, trade.side, opening=False)
    return [_closed(account, trade, CloseReason.USER, exit_, close_of(account, trade, exit_))]


def close_of(account: Account, trade: Trade, price: int) -> margin.Settlement:
    """What closing this open trade of this account at `price` comes to: it gains no more than the account can hold."""
    return margin.settle(trade, price, margin.most_pnl(account.free, account.locked, trade.margin))


def next_liquidation(state: State, tick: PriceTick, mark: int) -> TradeClosed | None:
    """The next trade this tick liquidates, or None: longs first, then shorts, each nearest price first, then in the
    order they were opened. The caller applies it and asks again."""
    market = state.markets[tick.asset]
    trade = market.longs.first_due(mark) or market.shorts.first_due(mark)
    if trade is None:
        return None
    account = state.accounts[trade.account]
    return _closed(account, trade, CloseReason.LIQUIDATION, mark, margin.settle(trade, mark), tick)


def _closed(
    account: Account,
    trade: Trade,
    reason: CloseReason,
    price: int,
    settled: margin.Settlement,
    tick: PriceTick | None = None,
) -> TradeClosed:
    return TradeClosed(
        trade_id=trade.id,
        account=account.id,
        asset=trade.asset,
        reason=reason,
        price=price,
        margin=trade.margin,
        pnl=settled.pnl,
        returned=settled.returned,
        balance=account.free + settled.returned,
        shortfall=settled.shortfall,
        bid=tick.bid if tick is not None else None,
        ask=tick.ask if tick is not None else None,
    )


def execution_price(execution: Execution, price: Price, side: Side, *, opening: bool) -> int:
    """The price a trade of this side opens or closes at. At the touch, a long buys at the ask and sells at the bid."""
    if execution is Execution.MID:
        return price.mark
    return price.ask if (side is Side.LONG) is opening else price.bid


def opening_price(state: State, rules: Rules, asset: Asset, side: Side) -> int | None:
    """What a trade would open at if the latest price, however old, were good; None when there has been none."""
    price = state.price(asset)
    return None if price is None else execution_price(rules.execution, price, side, opening=True)


def price_refusal(state: State, asset: Asset, at: int) -> Refusal:
    """Why this asset can't be traded now."""
    price = state.price(asset)
    age_us = None if price is None else at - price.at
    return Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(asset, state.price_state(asset, at), age_us))


def _repeat(seen: SeenOrder, command: OpenTrade, instrument: Instrument | None) -> Refusal | Repeated:
    if not is_repeat(seen, command, instrument):
        return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(seen.trade_id))
    return Repeated(seen)


def _refuse_amount(figure: Figure, given: int, allowed: Bounds) -> Refusal | None:
    if allowed.least <= given <= allowed.most:
        return None
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(figure, given, *allowed))


def _refuse_figures(instrument: Instrument, command: OpenTrade) -> Refusal | None:
    """The first figure that no order can have."""
    found = out_of_range(
        instrument,
        command.margin,
        command.leverage,
        command.slippage,
        command.expected_price,
        command.client_order,
    )
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, found[0]) if found else None


def _refuse_wide_book(command: OpenTrade, price: Price, entry: int, liquidation: int) -> Refusal | None:
    """At the touch, a very wide book could open a trade that the mark has already liquidated."""
    if not margin.is_due(command.side, liquidation, price.mark):
        return None
    return Refusal(Reject.WOULD_LIQUIDATE, DueAtOnce(command.asset, entry, price.mark, liquidation))


def _refuse_slippage(command: OpenTrade, entry: int) -> Refusal | None:
    expected = command.seen_price if command.expected_price is None else command.expected_price
    allowed = command.slippage
    if expected is None or allowed is None or not margin.slippage_exceeded(expected, entry, allowed):
        return None
    return Refusal(Reject.SLIPPAGE_EXCEEDED, Slipped(command.asset, expected, entry, allowed))


def _refuse_position(state: State, rules: Rules, account: Account, command: OpenTrade) -> Refusal | None:
    """The first limit that this trade would break."""
    trades = len(account.trades) + 1
    if trades > rules.max_open_trades_per_account:
        over = OverLimit(Limit.OPEN_TRADES_PER_ACCOUNT, rules.max_open_trades_per_account, trades)
        return Refusal(Reject.POSITION_LIMIT, over)
    notional = margin.notional(command.margin, command.leverage)
    mine, here = account.notional + notional, state.markets[command.asset].open_interest + notional
    if mine > rules.max_notional_per_account * LEVERAGE_UNIT:
        return _over_notional(Limit.NOTIONAL_PER_ACCOUNT, rules.max_notional_per_account, mine)
    if here > rules.max_open_interest_per_asset * LEVERAGE_UNIT:
        return _over_notional(Limit.OPEN_INTEREST_PER_ASSET, rules.max_open_interest_per_asset, here)
    return None


def _over_notional(limit: Limit, allowed: int, would_be: int) -> Refusal:
    """`would_be` is in hundredths of a micro-USDC."""
    return Refusal(Reject.POSITION_LIMIT, OverLimit(limit, allowed, -(-would_be // LEVERAGE_UNIT)))


DECIDE: dict[type[Command], Callable[[State, Rules, Any, int], list[Event] | Refusal | Repeated]] = {
    OpenAccount: decide_account,
    Deposit: decide_deposit,
    OpenTrade: decide_open,
    CloseTrade: decide_close,
    Reset: decide_reset,
}
"""Who decides what: every command but a tick, which has no decision of its own."""
assert DECIDE.keys() == set(get_args(Command)) - {PriceTick}, "every command has its decision"

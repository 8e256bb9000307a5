"""(state, command, time) -> events, or a Refusal. Writes nothing.

Guards come in the order in which API.md lists the errors; then arithmetic; then the events.
"""

import msgspec

from exness.core import margin
from exness.core.ceilings import MOST_HELD, MOST_PRICE
from exness.core.commands import CloseTrade, Deposit, OpenAccount, OpenTrade, PriceTick, StartAfresh
from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    StartedAfresh,
    Trade,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import LEVERAGE_UNIT, SLIPPAGE_UNIT, Asset, Execution, Side
from exness.core.money import USDC_DECIMALS, format_scaled, format_usdc
from exness.core.rejects import Refusal, Reject
from exness.core.state import Account, Price, Rules, SeenOrder, State


class Repeated(msgspec.Struct, frozen=True):
    """The same client order id with the same body: the first answer again, and no second trade."""

    seen: SeenOrder


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What closing a trade comes to, in micro-USDC: see TradeClosed."""

    pnl: int
    returned: int
    shortfall: int


def decide_account(state: State, rules: Rules, command: OpenAccount, at: int) -> list[Event] | Refusal:
    if command.email in state.by_email or command.account in state.accounts:
        return Refusal(Reject.ACCOUNT_EXISTS)
    if not 0 <= command.deposit <= MOST_HELD:
        return _out_of_range("deposit", command.deposit, 0, MOST_HELD, USDC_DECIMALS)
    return [AccountOpened(command.account, command.email, command.deposit)]


def decide_deposit(state: State, rules: Rules, command: Deposit, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    if not 0 < command.amount <= MOST_HELD:
        return _out_of_range("amount", command.amount, 1, MOST_HELD, USDC_DECIMALS)
    would_hold = account.free + account.locked + command.amount
    if would_hold > MOST_HELD:
        return _out_of_range("balance", would_hold, 0, MOST_HELD, USDC_DECIMALS)
    return [Deposited(account.id, command.amount, account.free + command.amount)]


def decide_afresh(state: State, rules: Rules, command: StartAfresh, at: int) -> list[Event] | Refusal:
    return [StartedAfresh()]


def decide_open(state: State, rules: Rules, command: OpenTrade, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    if command.client_order is not None and command.client_order in account.seen:
        return _repeat(account.seen[command.client_order], command)
    price = state.fresh_price(command.asset, at)
    if price is None or price.suspect:
        return price_refusal(state, command.asset, at)
    refusal = _refuse_figures(rules, command)
    if refusal is not None:
        return refusal
    entry = execution_price(rules.execution, price, command.side, opening=True)
    liquidation = margin.liquidation_price(command.side, entry, command.leverage)
    refusal = (
        _refuse_wide_book(rules, command, price, entry, liquidation)
        or _refuse_slippage(rules, command, entry)
        or _refuse_position(state, rules, account, command)
    )
    if refusal is not None:
        return refusal
    if command.margin > account.free:
        return Refusal(
            Reject.INSUFFICIENT_MARGIN,
            {"required": format_usdc(command.margin), "available": format_usdc(account.free)},
        )
    trade = Trade(
        order=command.order,
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
    forgets = _forgotten(account, rules.client_order_ids_per_account)
    return [TradeOpened(trade, account.free - command.margin, command.fingerprint, forgets)]


def decide_close(state: State, rules: Rules, command: CloseTrade, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    trade = account.trades.get(command.order) if account is not None else None
    if account is None or trade is None:
        return Refusal(Reject.TRADE_NOT_FOUND)
    price = state.fresh_price(trade.asset, at)
    if price is None:
        return price_refusal(state, trade.asset, at)
    exit_ = execution_price(rules.execution, price, trade.side, opening=False)
    settled = settle(account, trade, exit_)
    return [
        TradeClosed(
            order=trade.order,
            account=account.id,
            asset=trade.asset,
            price=exit_,
            margin=trade.margin,
            pnl=settled.pnl,
            returned=settled.returned,
            balance=account.free + settled.returned,
            shortfall=settled.shortfall,
        )
    ]


def settle(account: Account, trade: Trade, exit_: int) -> Settlement:
    """What closing this open trade of this account at `exit_` comes to, and pays."""
    uncapped = margin.uncapped_pnl(trade.side, trade.margin, trade.leverage, trade.entry, exit_)
    most = margin.most_pnl(account.free, account.locked, trade.margin)
    pnl = max(-trade.margin, min(uncapped, most))
    return Settlement(pnl, trade.margin + pnl, margin.shortfall(trade.margin, uncapped))


def next_liquidation(state: State, tick: PriceTick, mark: int) -> TradeLiquidated | None:
    """The next trade this tick liquidates, or None: longs first, then shorts, each nearest price first, then in the
    order they were opened. The caller applies it and asks again."""
    market = state.market(tick.asset)
    trade = market.longs.first_due(mark) or market.shorts.first_due(mark)
    if trade is None:
        return None
    uncapped = margin.uncapped_pnl(trade.side, trade.margin, trade.leverage, trade.entry, mark)
    return TradeLiquidated(
        order=trade.order,
        account=trade.account,
        asset=trade.asset,
        mark=mark,
        bid=tick.bid,
        ask=tick.ask,
        margin=trade.margin,
        shortfall=margin.shortfall(trade.margin, uncapped),
        balance=state.accounts[trade.account].free,
    )


def execution_price(execution: Execution, price: Price, side: Side, *, opening: bool) -> int:
    """The price a trade of this side opens or closes at. At the touch, a long buys at the ask and sells at the bid."""
    if execution is Execution.MID:
        return price.mark
    return price.ask if (side is Side.LONG) is opening else price.bid


def price_refusal(state: State, asset: Asset, at: int) -> Refusal:
    """Why this asset can't be traded now."""
    price, why = state.price(asset), state.price_state(asset, at)
    if price is None:
        return Refusal(Reject.PRICE_UNAVAILABLE, {"asset": asset, "reason": why.value})
    return Refusal(Reject.PRICE_UNAVAILABLE, {"asset": asset, "reason": why.value, "age_us": at - price.at})


def _repeat(seen: SeenOrder, command: OpenTrade) -> Refusal | Repeated:
    if seen.fingerprint != command.fingerprint:
        return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, {"orderId": seen.trade.order})
    return Repeated(seen)


def _refuse_figures(rules: Rules, command: OpenTrade) -> Refusal | None:
    """The first figure that no order can have. A caller may know narrower bounds, and say so in other words."""
    instrument = rules.instruments[command.asset]
    if not 0 < command.margin <= MOST_HELD:
        return _out_of_range("margin", command.margin, 1, MOST_HELD, USDC_DECIMALS)
    if not LEVERAGE_UNIT <= command.leverage <= instrument.max_leverage:
        return _out_of_range("leverage", command.leverage, LEVERAGE_UNIT, instrument.max_leverage, 2)
    if command.slippage is not None and not 0 <= command.slippage <= SLIPPAGE_UNIT:
        return _out_of_range("slippage", command.slippage, 0, SLIPPAGE_UNIT, 0)
    if command.expected_price is not None and not 0 < command.expected_price <= MOST_PRICE:
        return _out_of_range("expectedPrice", command.expected_price, 1, MOST_PRICE, instrument.decimals)
    return None


def _out_of_range(figure: str, given: int, least: int, most: int, decimals: int) -> Refusal:
    """`figure` is what the API calls it; the others are integers of its unit, which has these decimals."""
    allowed = f"{format_scaled(least, decimals)} to {format_scaled(most, decimals)}"
    return Refusal(
        Reject.AMOUNT_OUT_OF_RANGE,
        {"figure": figure, "allowed": allowed, "given": format_scaled(given, decimals)},
    )


def _refuse_wide_book(rules: Rules, command: OpenTrade, price: Price, entry: int, liquidation: int) -> Refusal | None:
    """At the touch, a very wide book could open a trade that the mark has already liquidated."""
    if not margin.is_due(command.side, liquidation, price.mark):
        return None
    decimals = rules.instruments[command.asset].decimals
    return Refusal(
        Reject.WOULD_LIQUIDATE,
        {
            "asset": command.asset,
            "price": format_scaled(entry, decimals),
            "mark": format_scaled(price.mark, decimals),
            "liquidationPrice": format_scaled(liquidation, decimals),
        },
    )


def _refuse_slippage(rules: Rules, command: OpenTrade, entry: int) -> Refusal | None:
    if command.slippage is None or command.expected_price is None:
        return None
    if not margin.slippage_exceeded(command.expected_price, entry, command.slippage):
        return None
    decimals = rules.instruments[command.asset].decimals
    return Refusal(
        Reject.SLIPPAGE_EXCEEDED,
        {
            "expected": format_scaled(command.expected_price, decimals),
            "actual": format_scaled(entry, decimals),
            "allowed": command.slippage,
        },
    )


def _refuse_position(state: State, rules: Rules, account: Account, command: OpenTrade) -> Refusal | None:
    """The first limit that this trade would break."""
    if len(account.trades) >= rules.max_open_trades_per_account:
        return _limit("max_open_trades_per_account", rules.max_open_trades_per_account, len(account.trades) + 1)
    notional = margin.notional(command.margin, command.leverage)
    would_hold = account.notional + notional
    if would_hold > rules.max_notional_per_account * LEVERAGE_UNIT:
        return _notional_limit("max_notional_per_account", rules.max_notional_per_account, would_hold)
    would_be_open = state.market(command.asset).open_interest + notional
    if would_be_open > rules.max_open_interest_per_asset * LEVERAGE_UNIT:
        return _notional_limit("max_open_interest_per_asset", rules.max_open_interest_per_asset, would_be_open)
    return None


def _notional_limit(name: str, allowed: int, would_be: int) -> Refusal:
    """`would_be` is in hundredths of a micro-USDC; shown rounded up, as it is over."""
    return _limit(name, format_usdc(allowed), format_usdc(-(-would_be // LEVERAGE_UNIT)))


def _limit(name: str, allowed: str | int, would_be: str | int) -> Refusal:
    return Refusal(Reject.POSITION_LIMIT, {"limit": name, "allowed": allowed, "wouldBe": would_be})


def _forgotten(account: Account, kept: int) -> tuple[str, ...]:
    """The oldest client order ids that must go so that one more fits."""
    excess = len(account.seen) - kept + 1
    if excess <= 0:
        return ()
    return tuple(client_order for client_order, _ in zip(account.seen, range(excess), strict=False))

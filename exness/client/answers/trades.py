"""Trades: opened, changed, closed, listed."""

from datetime import datetime
from decimal import Decimal

from exness.client.answers.form import Answer, Pagination


class Trailed(Answer, frozen=True, kw_only=True):
    """A trailing stop: it follows the best price at a `distance`, or at so many hundredths of a percent of it. `level`
    is what sets it off by now, None while it waits for its `activation`, and where it is not told: only lists of what
    is open tell it."""

    distance: Decimal | None = None
    percent: int | None = None
    activation: Decimal | None = None
    level: Decimal | None = None


class Warned(Answer, frozen=True, kw_only=True):
    """What was done, and may not be what was meant."""

    code: str
    message: str


class Line(Answer, frozen=True, kw_only=True):
    """Whole numbers, of any length: reckon with `int(line.size)`. At a price X, in the asset's smallest unit, a long
    has gained `(size * X - cost) / unit` micro-USDC, a short the opposite, rounded down, and never less than minus its
    margin."""

    size: Decimal
    cost: Decimal
    unit: Decimal


class Trade(Answer, frozen=True, kw_only=True):
    """An open trade, or, if `net`, the net position in its asset. A liquidation price of 0 means never. `commission`,
    `funding` and `realized_pnl` are sums so far, over parts that were closed."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    margin: Decimal
    leverage: Decimal
    entry_price: Decimal
    liquidation_price: Decimal
    created_at: datetime
    net: bool
    quantity: Decimal
    commission: Decimal
    funding: Decimal
    realized_pnl: Decimal
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Trailed | None
    line: Line


class TradeCreated(Trade, frozen=True, kw_only=True):
    """`balance` is free, after it."""

    balance: Decimal
    warnings: tuple[Warned, ...] = ()


class NotClosed(Answer, frozen=True, kw_only=True):
    """A trade that stays open, and why."""

    order_id: str
    code: str
    message: str


class Remaining(Answer, frozen=True, kw_only=True):
    """What stays of a trade after a part was closed."""

    margin: Decimal
    quantity: Decimal
    liquidation_price: Decimal


class TradeClosed(Answer, frozen=True, kw_only=True):
    """`pnl`, `returned` and `commission` are of what was closed; `remaining` is None when that was all."""

    order_id: str
    close_price: Decimal
    pnl: Decimal
    returned: Decimal
    liquidated: bool
    closed_at: datetime
    balance: Decimal
    commission: Decimal
    reason: str
    remaining: Remaining | None


class AllClosed(Answer, frozen=True, kw_only=True):
    """`balance` is free, after it."""

    closed: list[TradeClosed]
    refused: list[NotClosed]
    balance: Decimal


class ExitsSet(Answer, frozen=True, kw_only=True):
    """The trade's own three, as they are now."""

    order_id: str
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Trailed | None
    liquidation_price: Decimal
    warnings: tuple[Warned, ...] = ()


class MarginChanged(Answer, frozen=True, kw_only=True):
    """`removable`: the margin that could be taken out at the mark of then."""

    order_id: str
    margin: Decimal
    leverage: Decimal
    liquidation_price: Decimal
    removable: Decimal
    balance: Decimal


class OpenTrade(Trade, frozen=True, kw_only=True):
    """`mark_price` and what follows from it are None while there is no price; `close_pnl` also when a close would be
    refused, `break_even_price` where no price above 0 breaks even."""

    break_even_price: Decimal | None
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    unrealized_pnl_percentage: Decimal | None
    close_pnl: Decimal | None
    stale: bool
    notional: Decimal | None


class OpenTrades(Answer, frozen=True, kw_only=True):
    """A page of them, or all, then without `pagination`."""

    data: list[OpenTrade]
    pagination: Pagination | None = None


class HistoryTrade(Answer, frozen=True, kw_only=True):
    """What only a closed trade has is None while it is open. `status` is open or closed. `pnl` is that of its last
    part, `realized_pnl` of all; `notional` is at the entry."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    margin: Decimal
    leverage: Decimal
    entry_price: Decimal
    liquidation_price: Decimal
    open_price: Decimal
    close_price: Decimal | None
    pnl: Decimal | None
    pnl_percentage: Decimal | None
    status: str
    liquidated: bool
    shortfall: Decimal
    created_at: datetime
    closed_at: datetime | None
    duration_seconds: float | None
    net: bool
    quantity: Decimal
    notional: Decimal
    commission: Decimal
    funding: Decimal
    realized_pnl: Decimal
    close_reason: str | None


class Analytics(Answer, frozen=True, kw_only=True):
    """`total_pnl` is the sum of `realized_pnl`."""

    total_trades: int
    open_trades: int
    closed_trades: int
    profitable_trades: int
    unprofitable_trades: int
    liquidated_trades: int
    total_pnl: Decimal


class History(Answer, frozen=True, kw_only=True):
    """`analytics` are of all trades that match, not of the page."""

    data: list[HistoryTrade]
    analytics: Analytics
    pagination: Pagination

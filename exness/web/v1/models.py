"""What goes over the wire: request and answer structs.

Amounts come in as `Raw` JSON, so that they are read from their text and never pass through a float.
"""

from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.core.instruments import LEVERAGE_UNIT, VOLUME_DECIMALS, Side
from exness.core.money import format_scaled, format_usdc
from exness.core.prices import Price, PriceState
from exness.core.rules import CLIENT_ORDER, LEVERAGE, SLIPPAGE, Bounds
from exness.core.trades import Trade
from exness.runtime.candles import Candle
from exness.web.v1.format import iso, leverage_out

MAX_LIMIT = 500
"""Rows of a page of /trade/history."""
MAX_OPEN = 1000
"""The same of /trade/open."""
MAX_CANDLES = 1000
MAX_OFFSET = 10**12
MAX_SECOND = 253_402_300_799
"""The last second of the year 9999: more is no time in seconds, but milliseconds most likely."""


# --- requests -----------------------------------------------------------------------------------------------------

_DECIMAL: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_NULL: dict[str, Any] = {"type": "null"}


def _amount(*forms: dict[str, Any], bounds: Bounds | None = None, unit: int = 1) -> Meta:
    """`bounds` are in `unit`ths."""
    number: dict[str, Any] = {"type": "number"}
    if bounds is not None:
        number |= {"minimum": bounds.least // unit, "maximum": bounds.most // unit}
    what = "A JSON number or a decimal string" + ("; null is the field left out" if _NULL in forms else "")
    return Meta(description=what, extra_json_schema={"oneOf": [number, _DECIMAL, *forms]})


Amount = Annotated[Raw, _amount()]
OptionalAmount = Annotated[Raw, _amount(_NULL)] | UnsetType
_Leverage = Annotated[Raw, _amount(bounds=LEVERAGE, unit=LEVERAGE_UNIT)]
_Slippage = Annotated[Raw, _amount(_NULL, bounds=SLIPPAGE)] | UnsetType
_ClientOrder = Annotated[
    str, Meta(extra_json_schema={"pattern": f"^[\\x20-\\x7e]{{{CLIENT_ORDER.least},{CLIENT_ORDER.most}}}$"})
]
"""Told, not checked: the core does that."""


class CreateTradeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/create. `margin` in USDC, `leverage` with up to two decimals, `slippage` in hundredths of a percent
    (100 = 1 %), `expectedPrice` in USDC. null of an optional field is the field left out."""

    asset: str
    type: Annotated[str, Meta(extra_json_schema={"enum": [side.value for side in Side]})]
    margin: Amount
    leverage: _Leverage
    slippage: _Slippage = UNSET
    expected_price: OptionalAmount = UNSET
    client_order_id: _ClientOrder | UnsetType | None = UNSET


class CloseTradeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/close."""

    order_id: str


class EmailBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /signup and /signin."""

    email: Annotated[str, Meta(extra_json_schema={"format": "email"})]


# --- queries: their parameters; `validate` reads and checks them, /openapi.json lists them ---------------------------


_DATES = "YYYY-MM-DD, or RFC 3339 with a zone or, for UTC, without one"
_SECONDS = "in seconds since 1970-01-01 UTC"
_FirstSecond = Annotated[int, Meta(ge=0, le=MAX_SECOND, description=f"They begin then or later, {_SECONDS}")]
_EndSecond = Annotated[int, Meta(ge=0, le=MAX_SECOND, description=f"They begin before then, {_SECONDS}")]


class LinkQuery(msgspec.Struct, frozen=True):
    """GET /signin/post."""

    token: Annotated[str, Meta(description="From the mailed link", max_length=128)]


class OpenTradesQuery(msgspec.Struct, frozen=True):
    """GET /trade/open. With `limit` or `offset` a page, oldest first, and `pagination`; else all."""

    asset: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_OPEN)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | UnsetType = UNSET


class HistoryQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /trade/history."""

    status: Literal["open", "closed"] | UnsetType = UNSET
    asset: str | UnsetType = UNSET
    trade_type: Literal["long", "short"] | UnsetType = UNSET
    profitable: Literal["true", "false"] | UnsetType = UNSET
    liquidated: Literal["true", "false"] | UnsetType = UNSET
    from_date: Annotated[str, Meta(description=f"Trades that were opened then or later: {_DATES}")] | UnsetType = UNSET
    to_date: (
        Annotated[str, Meta(description=f"Trades that were opened then or earlier: {_DATES}; a date is all of its day")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | UnsetType = UNSET
    sort_by: Literal["createdAt", "closedAt", "pnl", "margin", "leverage"] | UnsetType = UNSET
    sort_order: Literal["asc", "desc"] | UnsetType = UNSET


class KlinesQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /klines. Times are whole seconds since the epoch, UTC."""

    asset: str
    interval: Literal["1m", "5m", "15m", "1h", "4h", "1d"]
    start_time: _FirstSecond | UnsetType = UNSET
    end_time: _EndSecond | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_CANDLES)] | UnsetType = UNSET


@cache
def names(query: type[msgspec.Struct]) -> tuple[str, ...]:
    """The parameters of a query, as they are written."""
    return tuple(field.encode_name for field in msgspec.structs.fields(query))


# --- answers ------------------------------------------------------------------------------------------------------


class MessageAnswer(msgspec.Struct, frozen=True):
    success: bool
    message: str


class SignedInAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`token` is a session, for `Authorization: Bearer`."""

    success: bool
    email: str
    token: str
    expires_at: str


class TradeCreated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool
    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    margin: str
    leverage: int | float
    entry_price: str
    liquidation_price: str
    created_at: str
    balance: str


class TradeClosedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    success: bool
    order_id: str
    close_price: str
    pnl: str
    returned: str
    liquidated: bool
    closed_at: str
    balance: str


class OpenTradeFixed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an open trade was opened with."""

    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    margin: str
    leverage: int | float
    entry_price: str
    liquidation_price: str
    created_at: str


class OpenTradeNow(msgspec.Struct, frozen=True, rename="camel"):
    """How it stands."""

    mark_price: str | None
    unrealized_pnl: str | None
    unrealized_pnl_percentage: str | None
    close_pnl: str | None
    stale: bool


class OpenTradeRow(OpenTradeFixed, frozen=True, kw_only=True, rename="camel"):
    """Both in one. `markPrice` and what follows from it are null while there is no price; `stale`: the price is old, or
    there is none. `closePnl` is the pnl of a close of now, null when it would be refused."""

    mark_price: str | None
    unrealized_pnl: str | None
    unrealized_pnl_percentage: str | None
    close_pnl: str | None
    stale: bool


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    total: int
    limit: int
    offset: int
    has_more: bool


class OpenTradesAnswer(msgspec.Struct, frozen=True):
    """`pagination` is there when a page was asked for."""

    success: bool
    data: list[OpenTradeRow]
    pagination: Pagination | UnsetType = UNSET


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What only a closed trade has is null while it is open. `status` is open or closed, `liquidated` how it ended."""

    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    margin: str
    leverage: int | float
    entry_price: str
    liquidation_price: str
    open_price: str
    close_price: str | None
    pnl: str | None
    pnl_percentage: str | None
    status: str
    liquidated: bool
    shortfall: str
    created_at: str
    closed_at: str | None
    duration_seconds: float | None


class AnalyticsAnswer(msgspec.Struct, frozen=True, rename="camel"):
    total_trades: int
    open_trades: int
    closed_trades: int
    profitable_trades: int
    unprofitable_trades: int
    liquidated_trades: int
    total_pnl: str


class HistoryAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[HistoryRow]
    analytics: AnalyticsAnswer
    pagination: Pagination


class AssetBalance(msgspec.Struct, frozen=True):
    """Free balance in integer minor units."""

    balance: int
    decimals: int


class UsdBalance(msgspec.Struct, frozen=True):
    balance: int
    decimals: int
    usd: str


class AccountAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`unrealizedPnl` and `equity` are at the marks, and null while an asset with open trades has no price at all;
    `stale`: one of these marks is old, or missing. `closePnl` is the pnl of closing all trades now, null when one
    can't be closed."""

    email: str
    balance: str
    locked_margin: str
    unrealized_pnl: str | None
    close_pnl: str | None
    equity: str | None
    stale: bool
    open_trades: int


class SupportedAsset(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    name: str
    decimals: int
    image_url: str
    max_leverage: int | float


class SupportedAssets(msgspec.Struct, frozen=True):
    assets: list[SupportedAsset]


class PriceAnswer(msgspec.Struct, frozen=True):
    """`price` is the mark as a scaled integer in a string. All null before the first tick. `state` is live, suspect (a
    jump is not confirmed: no trade opens), stale (older than its life) or down (none since the start)."""

    asset: str
    price: str | None
    decimal: int
    bid: str | None
    ask: str | None
    mark: str | None
    at: str | None
    stale: bool
    state: str


class KlineRow(msgspec.Struct, frozen=True):
    """Marks from `start` up to `end`. `trades` counts them; `volume` is in the asset, 0 where the source tells none.
    `backfilled` is only there where it is true: the venue's own candle, of trades there."""

    start: str
    end: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int
    backfilled: bool | UnsetType = UNSET


def kline_row(candle: Candle, decimals: int) -> KlineRow:
    return KlineRow(
        start=iso(candle.start * 1_000_000),
        end=iso((candle.start + candle.interval.seconds) * 1_000_000),
        open=format_scaled(candle.open, decimals),
        high=format_scaled(candle.high, decimals),
        low=format_scaled(candle.low, decimals),
        close=format_scaled(candle.close, decimals),
        volume=format_scaled(candle.volume, VOLUME_DECIMALS),
        trades=candle.trades,
        backfilled=candle.backfilled or UNSET,
    )


def price_answer(asset: str, decimals: int, price: Price | None, state: PriceState) -> PriceAnswer:
    if price is None:
        return PriceAnswer(asset, None, decimals, None, None, None, None, True, state.value)
    return PriceAnswer(
        asset=asset,
        price=str(price.mark),
        decimal=decimals,
        bid=format_scaled(price.bid, decimals),
        ask=format_scaled(price.ask, decimals),
        mark=format_scaled(price.mark, decimals),
        at=iso(price.at),
        stale=state is PriceState.STALE,
        state=state.value,
    )


def opened_with(trade: Trade, decimals: int) -> OpenTradeFixed:
    return OpenTradeFixed(
        order_id=trade.id,
        client_order_id=trade.client_order or UNSET,
        asset=trade.asset,
        type=trade.side.value,
        margin=format_usdc(trade.margin),
        leverage=leverage_out(trade.leverage),
        entry_price=format_scaled(trade.entry, decimals),
        liquidation_price=format_scaled(trade.liquidation, decimals),
        created_at=iso(trade.opened_at),
    )

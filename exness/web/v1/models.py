"""What goes over the wire: request and answer structs.

Amounts come in as `Raw` JSON, so that they are read from their text and never pass through a float.
"""

from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.core.instruments import LEVERAGE_UNIT, VOLUME_DECIMALS, Asset
from exness.core.money import format_scaled
from exness.core.prices import PriceState
from exness.core.rules import CLIENT_ORDER, LEVERAGE, SLIPPAGE, Bounds, Rules
from exness.core.views import Quote
from exness.runtime.candles import Candle
from exness.runtime.day import Day
from exness.runtime.ranking import MOST_RANKED
from exness.web.v1.format import iso

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
NULL: dict[str, Any] = {"type": "null"}


def amount(*forms: dict[str, Any], bounds: Bounds | None = None, unit: int = 1) -> Meta:
    """`bounds` are in `unit`ths."""
    number: dict[str, Any] = {"type": "number"}
    if bounds is not None:
        number |= {"minimum": bounds.least // unit, "maximum": bounds.most // unit}
    what = "A JSON number or a decimal string" + ("; null is the field left out" if NULL in forms else "")
    return Meta(description=what, extra_json_schema={"oneOf": [number, _DECIMAL, *forms]})


Amount = Annotated[Raw, amount()]
OptionalAmount = Annotated[Raw, amount(NULL)] | UnsetType
Leverage = Annotated[Raw, amount(bounds=LEVERAGE, unit=LEVERAGE_UNIT)]
Slippage = Annotated[Raw, amount(NULL, bounds=SLIPPAGE)] | UnsetType
ClientOrder = Annotated[
    str, Meta(extra_json_schema={"pattern": f"^[\\x20-\\x7e]{{{CLIENT_ORDER.least},{CLIENT_ORDER.most}}}$"})
]
"""Told, not checked: the core does that."""


class EmailBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /signup and /signin."""

    email: Annotated[str, Meta(extra_json_schema={"format": "email"})]


# --- queries: their parameters; `parse` reads and checks them, /openapi.json lists them ---------------------------


Format = Literal["json", "csv"]
DATES = "YYYY-MM-DD, or RFC 3339 with a zone or, for UTC, without one"
_SECONDS = "in seconds since 1970-01-01 UTC"
_FirstSecond = Annotated[int, Meta(ge=0, le=MAX_SECOND, description=f"They begin then or later, {_SECONDS}")]
_EndSecond = Annotated[int, Meta(ge=0, le=MAX_SECOND, description=f"They begin before then, {_SECONDS}")]


class LeaderboardQuery(msgspec.Struct, frozen=True):
    """GET /leaderboard. By default all there ever was, and as many rows as there may be."""

    period: Literal["24h", "7d", "all"] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST_RANKED)] | UnsetType = UNSET


class LinkQuery(msgspec.Struct, frozen=True):
    """GET /signin/post."""

    token: Annotated[str, Meta(description="From the mailed link", max_length=128)]


class KlinesQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /klines. Times are whole seconds since the epoch, UTC."""

    asset: str
    interval: Literal["1m", "5m", "15m", "1h", "4h", "1d"]
    start_time: _FirstSecond | UnsetType = UNSET
    end_time: _EndSecond | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_CANDLES)] | UnsetType = UNSET
    format: Format | UnsetType = UNSET


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


class LeaderboardRow(msgspec.Struct, frozen=True):
    """`profit` is what the account's closed trades have realized, `roi` what that is of all its deposits, as a decimal
    fraction: null of one that has none. Equal profits share a rank."""

    rank: int
    name: str
    profit: str
    roi: str | None
    trades: int


class LeaderboardAnswer(msgspec.Struct, frozen=True):
    """Highest profit first. `since` is when the period began, null of all there ever was; `accounts` how many have a
    rank; `own` the row of whoever asks, null without one."""

    success: bool
    period: str
    since: str | None
    accounts: int
    data: list[LeaderboardRow]
    own: LeaderboardRow | None


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """`nextCursor` is there where there is more and the order lets a page go on from its last row."""

    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | UnsetType = UNSET


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
    can't be closed. `notional` is at the marks, `leverage` what it is of the equity, null where that is not above
    0."""

    email: str
    balance: str
    locked_margin: str
    reserved: str
    unrealized_pnl: str | None
    close_pnl: str | None
    equity: str | None
    stale: bool
    open_trades: int
    notional: str | None
    leverage: int | float | None


class SupportedAsset(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    name: str
    decimals: int
    image_url: str
    max_leverage: int | float


class TimeAnswer(msgspec.Struct, frozen=True):
    """GET /time. Trades, orders and candles go by `exchange`, sessions and API keys by `wall`, the machine's."""

    exchange: str
    wall: str


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


class TickerRow(msgspec.Struct, frozen=True, rename="camel"):
    """Of the marks within 24 hours, or since the first one. `last` is the newest; `change` is what it is above `open`,
    and `changePercent` that in percent of it, cut after three decimals. `trades` counts marks, as in /klines."""

    asset: str
    open: str
    high: str
    low: str
    last: str
    change: str
    change_percent: str
    trades: int
    open_time: str
    close_time: str


class TickersAnswer(msgspec.Struct, frozen=True):
    """GET /ticker. An asset that has had no price yet is not in it."""

    success: bool
    data: list[TickerRow]


def ticker_row(asset: Asset, day: Day, decimals: int) -> TickerRow:
    bar = day.bar
    return TickerRow(
        asset=asset,
        open=format_scaled(bar.open, decimals),
        high=format_scaled(bar.high, decimals),
        low=format_scaled(bar.low, decimals),
        last=format_scaled(bar.close, decimals),
        change=format_scaled(day.change, decimals),
        change_percent=format_scaled(day.change_percent, 3),
        trades=bar.trades,
        open_time=iso(bar.start * 1_000_000),
        close_time=iso(day.at),
    )


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


def price_answer(asset: Asset, quote: Quote, rules: Rules) -> PriceAnswer:
    """One asset's price and what it is good for."""
    price, state, decimals = quote.price, quote.state, rules.instruments[asset].decimals
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

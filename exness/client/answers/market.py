"""What can be traded, at what price and for what."""

from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from exness.client.answers.form import Answer

T = TypeVar("T")


class SupportedAsset(Answer, frozen=True, kw_only=True):
    symbol: str
    name: str
    decimals: int
    image_url: str
    max_leverage: Decimal


class Time(Answer, frozen=True, kw_only=True):
    """Trades, orders and candles go by `exchange`, sessions and API keys by `wall`, the machine's."""

    exchange: datetime
    wall: datetime


class SupportedAssets(Answer, frozen=True, kw_only=True):
    assets: list[SupportedAsset]


class Price(Answer, frozen=True, kw_only=True):
    """All None before the first one. `price` is `mark` in units of the last of `decimal` decimals. `state` is live,
    suspect, stale or down."""

    asset: str
    price: Decimal | None
    decimal: int
    bid: Decimal | None
    ask: Decimal | None
    mark: Decimal | None
    at: datetime | None
    stale: bool
    state: str


class Kline(Answer, frozen=True, kw_only=True):
    """A candle: the marks from `start` up to `end`. `backfilled`: it is the venue's own."""

    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int
    backfilled: bool = False


class Ticker(Answer, frozen=True, kw_only=True):
    """What an asset did within 24 hours, or since its first price: from `open_time` to `close_time`, which is now.
    `change_percent` is of `open`, `trades` counts marks."""

    asset: str
    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    change: Decimal
    change_percent: Decimal
    trades: int
    open_time: datetime
    close_time: datetime


class Tickers(Answer, frozen=True, kw_only=True):
    data: list[Ticker]


class Sourced(Answer, Generic[T], frozen=True, kw_only=True):
    """A value and where it is from: `default`, `configuration`, `dev` (set by hand), or the source that a profile
    names, with its date where it bears one."""

    value: T
    source: str
    date: str | None = None
    unsure: bool = False


class Tier(Answer, frozen=True, kw_only=True):
    """From a notional of `floor` USDC on, so much of it must be held."""

    floor: Decimal
    rate: Decimal
    max_leverage: Decimal | None = None


class AssetRates(Answer, frozen=True, kw_only=True):
    """Rates are fractions: 0.0005 is 0.05 %. `funding_rate` is one too, as text, or `feed` or `schedule`."""

    taker: Sourced[Decimal]
    maker: Sourced[Decimal]
    maintenance: Sourced[list[Tier]]
    maintenance_basis: Sourced[str]
    hold_close_fee: Sourced[bool]
    min_margin: Sourced[Decimal]
    liquidation_fee: Sourced[Decimal]
    residual: Sourced[str]
    funding_interval_s: Sourced[int]
    funding_offset_s: Sourced[int]
    funding_rate: Sourced[str]
    funding_rate_short: Sourced[Decimal | None]
    funding_weekdays: Sourced[list[int]]


class Rates(Answer, frozen=True, kw_only=True):
    """`rates` are by asset. `profile` is empty where there is none."""

    profile: str
    execution: Sourced[str]
    trigger: Sourced[str]
    limit_fill: Sourced[str]
    rates: dict[str, AssetRates]

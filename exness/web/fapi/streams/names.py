"""The names of market streams, and how often each is told. A name that is none of them is no error: nothing is told of
it."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from exness.core.instruments import Asset
from exness.web.fapi.market.intervals import KlineInterval


class Kind(StrEnum):
    """What a stream tells."""

    BOOK_TICKER = "bookTicker"
    AGG_TRADE = "aggTrade"
    TRADE = "trade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    FORCE_ORDER = "forceOrder"


class Topic(NamedTuple):
    """A stream. `asset` None: of all. `period_s` is how often it is told at most, 0 with every price; `timed` ones are
    looked at so often whatever happens. `levels` is of a part of the book, `in_list` whether each event is a list."""

    name: str
    kind: Kind
    asset: Asset | None
    period_s: float
    timed: bool = False
    interval: KlineInterval | None = None
    levels: int = 0
    in_list: bool = False


_SPEEDS = {"": 0.25, "@0ms": 0.0, "@100ms": 0.1, "@250ms": 0.25, "@500ms": 0.5}
_LEVELS = (5, 10, 20)
_MARK_SPEEDS = {"": 3.0, "@1s": 1.0}
_TICKER_S = 2.0
_ALL_TICKERS_S = 1.0
_TRADES_S = 0.1
_KLINES_S = 0.25
_LIQUIDATIONS_S = 1.0


class Names:
    """Every stream of a server, by its name."""

    def __init__(self, symbols: Iterable[tuple[str, Asset]]) -> None:
        topics = [*_of_all()]
        for symbol, asset in symbols:
            topics += _of_one(symbol.lower(), asset)
        self._topics = {topic.name: topic for topic in topics}

    def topic(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)


def _of_one(symbol: str, asset: Asset) -> Iterable[Topic]:
    yield Topic(f"{symbol}@bookTicker", Kind.BOOK_TICKER, asset, 0)
    yield Topic(f"{symbol}@aggTrade", Kind.AGG_TRADE, asset, _TRADES_S)
    yield Topic(f"{symbol}@trade", Kind.TRADE, asset, 0)
    yield Topic(f"{symbol}@ticker", Kind.TICKER, asset, _TICKER_S)
    yield Topic(f"{symbol}@miniTicker", Kind.MINI_TICKER, asset, _TICKER_S)
    yield Topic(f"{symbol}@forceOrder", Kind.FORCE_ORDER, asset, _LIQUIDATIONS_S)
    for speed, period_s in _MARK_SPEEDS.items():
        yield Topic(f"{symbol}@markPrice{speed}", Kind.MARK_PRICE, asset, period_s, timed=True)
    for speed, period_s in _SPEEDS.items():
        yield Topic(f"{symbol}@depth{speed}", Kind.DEPTH, asset, period_s)
        for levels in _LEVELS:
            yield Topic(f"{symbol}@depth{levels}{speed}", Kind.PARTIAL_DEPTH, asset, period_s, levels=levels)
    for interval in KlineInterval:
        for name, kind in (
            (f"{symbol}@kline_{interval}", Kind.KLINE),
            (f"{symbol}_perpetual@continuousKline_{interval}", Kind.CONTINUOUS_KLINE),
        ):
            yield Topic(name, kind, asset, _KLINES_S, timed=True, interval=interval)


def _of_all() -> Iterable[Topic]:
    yield Topic("!bookTicker", Kind.BOOK_TICKER, None, 0)
    yield Topic("!forceOrder@arr", Kind.FORCE_ORDER, None, _LIQUIDATIONS_S)
    yield Topic("!ticker@arr", Kind.TICKER, None, _ALL_TICKERS_S, in_list=True)
    yield Topic("!miniTicker@arr", Kind.MINI_TICKER, None, _ALL_TICKERS_S, in_list=True)
    for speed, period_s in _MARK_SPEEDS.items():
        yield Topic(f"!markPrice@arr{speed}", Kind.MARK_PRICE, None, period_s, timed=True, in_list=True)

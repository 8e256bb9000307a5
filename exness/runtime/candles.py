"""Candles, kept from accepted marks as they come: O(1) a tick for each interval."""

from enum import StrEnum

import msgspec

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price


class Interval(StrEnum):
    """How long a candle is; `seconds` of each."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]


_SECONDS = {
    Interval.M1: 60,
    Interval.M5: 300,
    Interval.M15: 900,
    Interval.H1: 3600,
    Interval.H4: 14_400,
    Interval.D1: 86_400,
}


class Candle(msgspec.Struct, gc=False):
    """One asset's marks from `start` (seconds since the epoch) for as long as the interval is.

    Prices are scaled by the asset's decimals, `volume` is in hundred-millionths of the asset, `trades` counts marks.
    """

    asset: Asset
    interval: Interval
    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    trades: int = 0


class CandleBook:
    """The newest candle of each asset and interval."""

    def __init__(self) -> None:
        self._current: dict[tuple[Asset, Interval], Candle] = {}

    def current(self, asset: Asset, interval: Interval) -> Candle | None:
        """The newest candle, which grows with the next mark. To read."""
        return self._current.get((asset, interval))

    def forget(self) -> None:
        """Begin anew with the next mark."""
        self._current.clear()

    def watch(self, tick: PriceTick, at: int) -> None:
        """Count a checked tick in (a `Sequencer` watcher). One that is suspect is no mark."""
        if tick.suspect:
            return
        mark, second = mark_price(tick.bid, tick.ask), at // 1_000_000
        for interval, length in _SECONDS.items():
            start = second - second % length
            candle = self._current.get((tick.asset, interval))
            if candle is None or candle.start != start:
                candle = Candle(tick.asset, interval, start, mark, mark, mark, mark)
                self._current[tick.asset, interval] = candle
            candle.high = max(candle.high, mark)
            candle.low = min(candle.low, mark)
            candle.close = mark
            candle.volume += tick.volume
            candle.trades += 1

"""Candles, kept from accepted marks as they come: O(1) a tick for each interval.

A candle in which no mark fell does not exist. What has grown since it was last written is handed on as whole
candles (`take_dirty`), so writing one twice changes nothing. With each goes how far its asset is counted, to the very
tick: a recording that is played again after a crash is counted on from there.
"""

from copy import copy
from enum import StrEnum

import msgspec

from exness.core.ceilings import STORED
from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price

MOST_UNWRITTEN = 10_000
"""Finished candles that may wait for the disk, per asset. Only a recording played at full speed can make so many."""


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

    Prices are scaled by the asset's decimals, `volume` is in hundred-millionths of the asset, `trades` counts marks. A
    volume is for the eye: it stays at what 64 bits hold, whatever a source says.
    `backfilled`: a venue's own candle, of trades there, from before we kept any.
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
    backfilled: bool = False


class Counted(msgspec.Struct, frozen=True, gc=False):
    """How far an asset's marks are in its candles: up to the `marks`-th of those at the time `at` (microseconds)."""

    asset: Asset
    at: int
    marks: int


class CandleBatch(msgspec.Struct, frozen=True):
    """Candles to write or as they were stored, and how far the assets in it are counted. `position` is where the
    source of ticks was then, if it says."""

    candles: list[Candle]
    counted: list[Counted]
    position: str = ""

    @property
    def at(self) -> int:
        """Time of the newest mark in it, in microseconds; 0 when there is none."""
        return max((counted.at for counted in self.counted), default=0)


class CandleQuery(msgspec.Struct, frozen=True):
    """Candles that begin at `first` or later and before `end` (seconds), oldest first: with a `first` the `limit`
    oldest of them, without one the `limit` newest."""

    asset: Asset
    interval: Interval
    first: int | None = None
    end: int | None = None
    limit: int = 500

    def choose(self, stored: list[Candle], growing: list[Candle]) -> list[Candle]:
        """The answer, from what a storage answered and the newer candles in memory, which replace stored ones."""
        candles = {candle.start: candle for candle in stored}
        candles |= {candle.start: candle for candle in growing if self._covers(candle)}
        ordered = [candles[start] for start in sorted(candles)]
        return ordered[-self.limit :] if self.first is None else ordered[: self.limit]

    def _covers(self, candle: Candle) -> bool:
        return (self.first is None or candle.start >= self.first) and (self.end is None or candle.start < self.end)


class CandleBook:
    """The newest candle of each asset and interval, and those before it that are not on disk yet.

    `is_replayed`: ticks that an earlier run has counted come again, with the same times, and are passed over. `stored`
    is what that run left.
    """

    def __init__(self, stored: CandleBatch | None = None, *, is_replayed: bool = False) -> None:
        self._series: dict[Asset, _Series] = {}
        self._backfilled: list[Candle] = []
        self.full = False
        """More candles than MOST_UNWRITTEN wait for the disk: whoever can should wait for `take_dirty`."""
        self._position = ""
        if stored is None:
            return
        for counted in stored.counted:
            self._series[counted.asset] = _Series(counted.asset, counted, is_replayed=is_replayed)
        for candle in stored.candles:
            self._series[candle.asset].current[candle.interval] = candle

    def current(self, asset: Asset, interval: Interval) -> Candle | None:
        """The newest candle, which grows with the next mark. To read."""
        series = self._series.get(asset)
        return None if series is None else series.grown().get(interval)

    def unwritten(self, asset: Asset, interval: Interval) -> list[Candle]:
        """The newest candles as they are now, oldest first: every one that the storage may have an older state of, or
        not at all. They go on growing. To read."""
        series = self._series.get(asset)
        if series is None:
            return []
        return [candle for candle in series.newest() if candle.interval is interval]

    def forget(self) -> None:
        """Begin anew with the next mark: what was is neither shown nor written any more."""
        self._series.clear()
        self._backfilled.clear()
        self.full = False

    def watch(self, tick: PriceTick, at: int) -> None:
        """Count a checked tick in (a `Sequencer` watcher). One that is suspect is no mark; one that comes with a time
        before the last counts at the last, as the engine takes it."""
        if tick.suspect:
            return
        series = self._series.get(tick.asset)
        if series is None:
            series = self._series[tick.asset] = _Series(tick.asset)
        if series.knows(at):
            return
        if tick.position:
            self._position = tick.position
        series.count(mark_price(tick.bid, tick.ask), tick.volume, at, tick.marks)
        if len(series.finished) >= MOST_UNWRITTEN:
            self.full = True

    def backfill(self, candles: list[Candle]) -> None:
        """Have a venue's own candles written; those of our own at the same place stay."""
        self._backfilled += candles

    def take_dirty(self) -> CandleBatch | None:
        """Copies of all candles that have grown since this was called last, to be written; None when there are none.

        What was taken before must have been written by then.
        """
        batch, self._backfilled = CandleBatch(self._backfilled, [], self._position), []
        for series in self._series.values():
            series.take_dirty(batch)
        self.full = False
        return batch if batch.candles else None


class _Series:
    """Marks are counted into one candle of nobody's, and that into all of the intervals when somebody looks."""

    __slots__ = (
        "_asset",
        "_at",
        "_grown",
        "_known",
        "_marks",
        "_met",
        "_minute_end",
        "_new",
        "current",
        "finished",
        "in_flight",
    )

    def __init__(self, asset: Asset, counted: Counted | None = None, *, is_replayed: bool = False) -> None:
        self.current: dict[Interval, Candle] = {}
        """As of when `grown` was last called."""
        self.finished: list[Candle] = []
        self.in_flight: list[Candle] = []
        """Finished ones that were taken: on disk once more are taken."""
        self._asset = asset
        self._at, self._marks = (counted.at, counted.marks) if counted is not None else (0, 0)
        self._known = counted if is_replayed else None
        self._met = 0
        self._minute_end = 0
        self._new: Candle | None = None
        """Of the marks that `current` lacks."""
        self._grown = False

    def knows(self, at: int) -> bool:
        """Whether an earlier run has counted this mark. To be asked for every mark of a replay, once and in order."""
        known = self._known
        if known is None:
            return False
        self._met += at == known.at
        if at < known.at or (at == known.at and self._met <= known.marks):
            return True
        self._known = None
        return False

    def count(self, mark: int, volume: int, at: int, marks: int = 1) -> None:
        if at > self._at:
            self._at, self._marks = at, 0
        self._marks += 1
        self._grown = True
        second = self._at // 1_000_000
        if second >= self._minute_end:  # every interval is made of whole minutes
            self._turn(second, mark)
        new = self._new
        if new is None:
            new = self._new = Candle(self._asset, Interval.M1, second, mark, mark, mark, mark)
        elif mark > new.high:
            new.high = mark
        elif mark < new.low:
            new.low = mark
        new.close = mark
        new.volume += volume
        new.trades += marks

    def grown(self) -> dict[Interval, Candle]:
        """The newest candle of each interval, with every mark in it."""
        new = self._new
        if new is not None:
            self._new = None
            for candle in self.current.values():
                candle.high, candle.low = max(candle.high, new.high), min(candle.low, new.low)
                candle.close = new.close
                candle.volume = min(candle.volume + new.volume, STORED)
                candle.trades += new.trades
        return self.current

    def newest(self) -> list[Candle]:
        return [*self.in_flight, *self.finished, *self.grown().values()]

    def take_dirty(self, batch: CandleBatch) -> None:
        self.in_flight, self.finished = self.finished, []
        if not self._grown:
            return
        self._grown = False
        batch.candles.extend(self.in_flight)
        batch.candles.extend(copy(candle) for candle in self.grown().values())
        batch.counted.append(Counted(self._asset, self._at, self._marks))

    def _turn(self, second: int, mark: int) -> None:
        """Begin what begins with this minute."""
        self.grown()
        self._minute_end = second - second % 60 + 60
        for interval, length_s in _SECONDS.items():
            start, candle = second - second % length_s, self.current.get(interval)
            if candle is None or candle.start != start:
                if candle is not None:
                    self.finished.append(candle)
                self.current[interval] = Candle(self._asset, interval, start, mark, mark, mark, mark)

"""What an asset did within 24 hours: of stored candles of five minutes, which are read and added up once in five
minutes, and the one that grows. The window ends with that one, and so is up to five minutes shorter than a day.
"""

import asyncio
from copy import copy

import msgspec

from exness.core.instruments import Asset
from exness.runtime.candles import Candle, CandleQuery, Interval
from exness.runtime.exchange import Exchange
from exness.web.fapi.market.bars import Bar, lot, volume_of
from exness.web.fapi.market.intervals import DAY_S
from exness.web.fapi.market.tape import trade_id

SLICE = Interval.M5


class Day(msgspec.Struct, frozen=True):
    """`bar` is all of it, until `at` (microseconds); `last_volume` is what the last trade was of."""

    bar: Bar
    at: int
    first_id: int
    last_id: int
    last_volume: int

    @property
    def change(self) -> int:
        return self.bar.close - self.bar.open

    @property
    def change_percent(self) -> int:
        """Thousandths of a percent, rounded towards 0."""
        size = abs(self.change) * 100_000 // self.bar.open
        return size if self.change >= 0 else -size

    def average(self, decimals: int) -> int:
        """By volume; a scaled price."""
        bar = self.bar
        return min(bar.high, max(bar.low, bar.value * int(10**decimals) // max(1, bar.volume)))


class _Closed(msgspec.Struct, frozen=True):
    """What has ended, and what it holds for: the slice of now, and the day's candle, which only a new day or a reset of
    the exchange takes away."""

    slice: int
    day: Candle | None
    bar: Bar | None
    first: int


class Days:
    """Of all assets of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._closed: dict[Asset, _Closed] = {}
        self._reading = asyncio.Lock()

    async def of(self, asset: Asset) -> Day | None:
        """None: it had no price yet. Raises NotTaken when too many reads wait."""
        exchange, at = self._exchange, self._exchange.clock.now_us()
        growing, minute = exchange.candle(asset, SLICE), exchange.candle(asset, Interval.M1)
        if growing is None or minute is None:
            return None
        current = max(at // 1_000_000 // SLICE.seconds * SLICE.seconds, growing.start)
        closed = await self._read(asset, current)
        instrument, marks = exchange.rules.instruments[asset], max(1, minute.trades)
        bar, first = copy(closed.bar), closed.first
        if bar is None:
            close = growing.close
            bar, first = Bar(current - DAY_S, current, close, close, close, close), growing.start
        if growing.start == current:
            bar.take(growing, instrument)
        return Day(
            bar=bar,
            at=at,
            first_id=trade_id(first, 1),
            last_id=trade_id(minute.start, marks),
            last_volume=max(lot(instrument), volume_of(minute, instrument) // marks),
        )

    async def _read(self, asset: Asset, current: int) -> _Closed:
        """All candles of the window that have ended, added up."""
        known = self._known(asset, current)
        if known is None:
            async with self._reading:  # many ask at once: one reads
                known = self._known(asset, current)
                if known is None:
                    known = self._closed[asset] = await self._add_up(asset, current)
        return known

    def _known(self, asset: Asset, current: int) -> _Closed | None:
        known = self._closed.get(asset)
        if known is None or known.slice != current or known.day is not self._exchange.candle(asset, Interval.D1):
            return None
        return known

    async def _add_up(self, asset: Asset, current: int) -> _Closed:
        exchange, start = self._exchange, current - DAY_S + SLICE.seconds
        day = exchange.candle(asset, Interval.D1)
        candles = await exchange.klines(CandleQuery(asset, SLICE, start, current, DAY_S // SLICE.seconds))
        if not candles:
            return _Closed(current, day, None, 0)
        opened = candles[0].open
        bar = Bar(start, current + SLICE.seconds, opened, opened, opened, opened)
        for candle in candles:
            bar.take(candle, exchange.rules.instruments[asset])
        return _Closed(current, day, bar, candles[0].start)

"""What an asset did within 24 hours: of stored candles of five minutes, which are read and added up once in five
minutes, and the one that grows. The window ends with that one, and so is up to five minutes shorter than a day.
"""

import asyncio
from copy import copy

import msgspec

from exness.core.ceilings import STORED
from exness.core.instruments import VOLUME_DECIMALS, Asset, Instrument
from exness.core.views import PriceOf
from exness.runtime.candles import Candle, CandleQuery, Interval
from exness.runtime.exchange import Exchange

DAY_S = 86_400
SLICE = Interval.M5


class Bar(msgspec.Struct, gc=False):
    """From `start` to before `end` (seconds). Prices are scaled by the asset's decimals, `volume` is in
    hundred-millionths of the asset and `value`, what that came to, in hundred-millionths of the quote."""

    start: int
    end: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    value: int = 0
    trades: int = 0

    def take(self, candle: Candle, instrument: Instrument) -> None:
        """Count a later candle in."""
        if not self.trades:
            self.open, self.high, self.low = candle.open, candle.high, candle.low
        else:
            self.high, self.low = max(self.high, candle.high), min(self.low, candle.low)
        self.close = candle.close
        volume = volume_of(candle, instrument)
        self.volume = min(self.volume + volume, STORED)
        self.value = min(self.value + value_of(candle, volume, instrument), STORED)
        self.trades += max(1, candle.trades)


def volume_of(candle: Candle, instrument: Instrument) -> int:
    """A candle's volume. Where its source knew none, each mark counts as a trade of the smallest quantity: programs
    take a bar without a volume for one without a trade."""
    marks = max(1, candle.trades)
    step = lot(instrument)
    return candle.volume if candle.volume >= step else marks * step


def lot(instrument: Instrument) -> int:
    """The smallest quantity there is, in hundred-millionths of the asset."""
    return int(10 ** max(0, VOLUME_DECIMALS - instrument.quantity_places))


def value_of(candle: Candle, volume: int, instrument: Instrument) -> int:
    """What a volume came to, at the average of the four prices: a candle does not know it better."""
    prices = candle.open + candle.high + candle.low + candle.close
    return volume * prices // (4 * int(10**instrument.decimals))


class Day(msgspec.Struct, frozen=True):
    """`bar` is all of it, until `at` (microseconds). Its first mark fell in the candle that began at `first` (seconds),
    its last one was the `marks`-th of the minute that began at `last`, of `last_volume`."""

    bar: Bar
    at: int
    first: int
    last: int
    marks: int
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
        """None: it has had no price since the start. The candles go back further, but may not have had the last one.

        Raises NotTaken when too many reads wait.
        """
        exchange, at = self._exchange, self._exchange.clock.now_us()
        if exchange.look(PriceOf(asset)).quote.price is None:
            return None
        growing, minute = exchange.candle(asset, SLICE), exchange.candle(asset, Interval.M1)
        if growing is None or minute is None:
            return None
        current = max(at // 1_000_000 // SLICE.seconds * SLICE.seconds, growing.start)
        closed = await self._read(asset, current)
        instrument, marks = exchange.rules.instruments[asset], max(1, minute.trades)
        bar, first = copy(closed.bar), closed.first
        if bar is None:
            close = growing.close
            start, end = current - DAY_S + SLICE.seconds, current + SLICE.seconds
            bar, first = Bar(start, end, close, close, close, close), growing.start
        if growing.start == current:
            bar.take(growing, instrument)
        return Day(
            bar=bar,
            at=at,
            first=first,
            last=minute.start,
            marks=marks,
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

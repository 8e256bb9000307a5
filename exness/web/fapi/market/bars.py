"""Bars of every interval, made of stored candles while they are read: a candle is looked at once, and no answer costs
more than its rows' worth of candles.

A bar in which no mark fell is flat, at the close before it, and its volume is 0; the last one may still grow. Before an
asset's first candle there are none.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from exness.core.instruments import Asset, Instrument
from exness.runtime.candles import Candle, CandleQuery
from exness.runtime.day import Bar
from exness.runtime.exchange import Exchange
from exness.web.fapi.market.intervals import LAST_S, KlineInterval

CANDLES_AT_ONCE = 1000
"""Read before the loop gets a turn."""


class BarQuery(msgspec.Struct, frozen=True):
    """Bars that begin from `first` to `last` (seconds, both included), oldest first: with a `first` the `limit` oldest
    of them, without one the `limit` newest."""

    asset: Asset
    interval: KlineInterval
    first: int | None = None
    last: int | None = None
    limit: int = 500


async def read_bars(exchange: Exchange, query: BarQuery) -> list[Bar]:
    """As they are now. Raises NotTaken when too many reads wait."""
    asset, interval, source = query.asset, query.interval, query.interval.source
    now_s = exchange.clock.now_us() // 1_000_000
    newest = interval.start_of(now_s if query.last is None else max(0, min(query.last, now_s)))
    if query.first is None:
        first = interval.step(newest, 1 - query.limit)
    else:
        first = interval.first_from(max(0, min(query.first, LAST_S)))
    before = await exchange.klines(CandleQuery(asset, source, end=first, limit=1))
    if not before:
        oldest = await exchange.klines(CandleQuery(asset, source, first=first, limit=1))
        if not oldest:
            return []
        first = interval.start_of(oldest[0].start)
    folding = Folding(exchange.rules.instruments[asset], interval, before[0].close if before else 0, first)
    end = min(interval.step(newest, 1), interval.step(first, query.limit))
    while first < end:
        candles = await exchange.klines(CandleQuery(asset, source, first, end, CANDLES_AT_ONCE))
        folding.take(candles)
        if len(candles) < CANDLES_AT_ONCE:
            break
        first = candles[-1].start + source.seconds
        await asyncio.sleep(0)
    folding.fill(end)
    return folding.bars


class Folding:
    """Makes bars of candles that come in their order. The next one begins at `start`, and `close` is what is before."""

    def __init__(self, instrument: Instrument, interval: KlineInterval, close: int, start: int) -> None:
        self.bars: list[Bar] = []
        self._instrument = instrument
        self._interval = interval
        self._close = close
        self._next = start

    def take(self, candles: Sequence[Candle]) -> None:
        for candle in candles:
            self.fill(self._interval.start_of(candle.start) + 1)
            self.bars[-1].take(candle, self._instrument)
            self._close = candle.close

    def fill(self, end: int) -> None:
        """Flat bars, until the next one would not begin before `end`."""
        while self._next < end:
            start, close = self._next, self._close
            self._next = max(start + 1, self._interval.step(start, 1))  # months have a last one
            self.bars.append(Bar(start, self._next, close, close, close, close))

"""A bar that grows with the ticks of one asset, for as long as somebody follows it.

It stands on the candle that is being counted and on those of its bar that have ended, and so costs a comparison a tick.
Each bar is handed on once more when it has ended; those without a mark are flat.
"""

from collections import deque
from copy import copy

from exness.core.instruments import Asset
from exness.runtime.candles import Candle, CandleQuery
from exness.runtime.day import Bar
from exness.runtime.exchange import Exchange
from exness.web.fapi.market.intervals import KlineInterval

MOST_ENDED = 100
"""Bars that may wait to be told of: when time leaps further, the oldest are left out."""


class GrowingBar:
    """`begin` comes first, then `watch` with every tick."""

    def __init__(self, exchange: Exchange, asset: Asset, interval: KlineInterval) -> None:
        self.ended: deque[Bar] = deque(maxlen=MOST_ENDED)
        self._exchange = exchange
        self._asset = asset
        self._interval = interval
        self._candle: Candle | None = None
        """The one that is being counted."""
        self._is_in = False
        """It has been added to the bar: it had ended."""
        self._bar: Bar | None = None
        """Without that candle."""

    async def begin(self) -> None:
        """Read what the bar of now holds already. Raises NotTaken when too many reads wait."""
        while True:
            candle = self._exchange.candle(self._asset, self._interval.source)
            if candle is None:
                self._candle, self._bar = None, None
                return
            bar = self._begun(candle)
            query = CandleQuery(self._asset, self._interval.source, bar.start, candle.start)
            ended = await self._exchange.klines(query) if candle.start > bar.start else []
            if self._exchange.candle(self._asset, self._interval.source) is candle:  # else another has begun meanwhile
                for each in ended:
                    bar.take(each, self._exchange.rules.instruments[self._asset])
                self._candle, self._bar, self._is_in = candle, bar, False
                return

    def watch(self) -> None:
        """A tick was counted."""
        candle = self._exchange.candle(self._asset, self._interval.source)
        if candle is None or candle is self._candle:
            return
        before, bar = self._candle, self._bar
        if bar is None or before is None or candle.start == before.start:  # the first there is, or that after a reset
            self._candle, self._bar, self._is_in = candle, self._begun(candle), False
            return
        self._add()
        self._end_before(candle.start)
        self._candle, self._is_in = candle, False

    def now(self, at_s: int) -> Bar | None:
        """The bar at this time; None: there is no price yet. Those that have ended by then are in `ended`."""
        if self._bar is None:
            return None
        if at_s >= self._bar.end:
            self._add()
            self._end_before(at_s)
        bar = copy(self._bar)
        if self._candle is not None and not self._is_in:
            bar.take(self._candle, self._exchange.rules.instruments[self._asset])
        return bar

    def _begun(self, candle: Candle) -> Bar:
        start, opened = self._interval.start_of(candle.start), candle.open
        return Bar(start, self._interval.step(start, 1), opened, opened, opened, opened)

    def _add(self) -> None:
        if self._bar is not None and self._candle is not None and not self._is_in:
            self._bar.take(self._candle, self._exchange.rules.instruments[self._asset])
            self._is_in = True

    def _end_before(self, at_s: int) -> None:
        """Have the bar that a time lies in, and hand those before it on."""
        bar = self._bar
        assert bar is not None, "there was a price"
        step, close = self._interval.step, bar.close
        if at_s < bar.end:
            return
        self.ended.append(bar)
        current = self._interval.start_of(at_s)
        start = max(bar.end, step(current, -MOST_ENDED))
        while start < current:
            self.ended.append(Bar(start, step(start, 1), close, close, close, close))
            start = step(start, 1)
        self._bar = Bar(current, step(current, 1), close, close, close, close)

"""Ticks on their way to the engine. Bounded, and no wick is ever lost.

When an asset's queue is full it is thinned to the tick with its lowest mark, the one with its highest and the
last one, in the order they came: whatever any of the shed ticks would have set off, one of these sets off.
"""

from collections import Counter, deque

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price


class TickQueue:
    """First in, first out over all assets; at most `bound` (3 or more) of one asset."""

    def __init__(self, bound: int) -> None:
        if bound < 3:
            raise ValueError("a tick queue needs room for low, high and last")
        self._bound = bound
        self._ticks: deque[PriceTick] = deque()
        self._waiting: Counter[Asset] = Counter()
        self.shed = 0
        """Ticks thinned out so far."""

    def __len__(self) -> int:
        return len(self._ticks)

    def put(self, tick: PriceTick) -> None:
        if self._waiting[tick.asset] >= self._bound:
            self._thin(tick.asset)
        self._ticks.append(tick)
        self._waiting[tick.asset] += 1

    def pop(self) -> PriceTick:
        """The oldest tick. Raises IndexError when there is none."""
        tick = self._ticks.popleft()
        self._waiting[tick.asset] -= 1
        return tick

    def _thin(self, asset: Asset) -> None:
        own = [tick for tick in self._ticks if tick.asset == asset]
        keep = {id(min(own, key=_mark)), id(max(own, key=_mark)), id(own[-1])}
        self._ticks = deque(tick for tick in self._ticks if tick.asset != asset or id(tick) in keep)
        self._waiting[asset] = len(keep)
        self.shed += len(own) - len(keep)


def _mark(tick: PriceTick) -> int:
    return mark_price(tick.bid, tick.ask)

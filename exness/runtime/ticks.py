"""Ticks on their way to the engine. Bounded, and no wick is ever lost.

When an asset's queue is full it is thinned to the tick with its lowest mark, the one with its highest, the last one
accepted and the last one, in the order they came: whatever any of the shed ticks would have set off, one of these sets
off, and the price is the last one accepted, as if none had been shed.
"""

from collections import Counter, deque

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price


class TickQueue:
    """First in, first out over all assets; at most `bound` (3 or more) of one asset, one more while suspect."""

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
        self._ticks.append(tick)
        self._waiting[tick.asset] += 1
        if self._waiting[tick.asset] > self._bound:
            self._thin(tick.asset)

    def pop(self) -> PriceTick:
        """The oldest tick. Raises IndexError when there is none."""
        tick = self._ticks.popleft()
        self._waiting[tick.asset] -= 1
        return tick

    def _thin(self, asset: Asset) -> None:
        ticks = list(self._ticks)
        own = [place for place, tick in enumerate(ticks) if tick.asset == asset]
        marks = {place: _mark(ticks[place]) for place in own if not ticks[place].suspect}
        keep = {own[-1]}
        if marks:
            keep |= {min(marks, key=marks.__getitem__), max(marks, key=marks.__getitem__), max(marks)}
        shed = set(own) - keep
        self._ticks = deque(tick for place, tick in enumerate(ticks) if place not in shed)
        self._waiting[asset] = len(keep)
        self.shed += len(shed)


def _mark(tick: PriceTick) -> int:
    return mark_price(tick.bid, tick.ask)

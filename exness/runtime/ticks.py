"""Ticks on their way to the engine. Bounded, and no wick is ever lost.

When an asset's queue is full it is thinned to the tick with its lowest mark, the one with its highest, the last one
accepted and the last one, in the order they came: whatever any of the shed ticks would have set off, one of these sets
off, and the price is the last one accepted, as if none had been shed. Volume and number of the shed marks go to the
next one that stays, so candles miss none of them.
"""

from collections import Counter, deque

from msgspec.structs import replace

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
        _hand_on(ticks, sorted(marks), shed)
        self._ticks = deque(tick for place, tick in enumerate(ticks) if place not in shed)
        self._waiting[asset] = len(keep)
        self.shed += len(shed)


def _hand_on(ticks: list[PriceTick], accepted: list[int], shed: set[int]) -> None:
    """Give what was traded at the shed marks to the next mark that stays: the last of all marks does."""
    volume = marks = 0
    for place in accepted:
        tick = ticks[place]
        if place in shed:
            volume, marks = volume + tick.volume, marks + tick.marks
        elif marks:
            ticks[place] = replace(tick, volume=tick.volume + volume, marks=tick.marks + marks)
            volume = marks = 0


def _mark(tick: PriceTick) -> int:
    return mark_price(tick.bid, tick.ask)

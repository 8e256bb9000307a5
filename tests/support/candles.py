"""Candles the straight way: from all ticks at once. Shares no arithmetic with `exness.runtime.candles`."""

from collections.abc import Iterable
from fractions import Fraction

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.runtime.candles import Candle, CandleBatch, Counted, Interval

LENGTHS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}

Key = tuple[Asset, Interval, int]


def straight(ticks: Iterable[tuple[PriceTick, int]]) -> dict[Key, Candle]:
    """Group the marks of every asset by the interval they fall into. A late one falls into that of the last before."""
    groups: dict[Key, list[tuple[int, int]]] = {}
    latest: dict[Asset, int] = {}
    for tick, came_at in ticks:
        if tick.suspect:
            continue
        at = latest[tick.asset] = max(came_at, latest.get(tick.asset, 0))
        mark = round(Fraction(tick.bid + tick.ask, 2))
        for name, length in LENGTHS.items():
            start = at // (length * 1_000_000) * length
            groups.setdefault((tick.asset, Interval(name), start), []).append((mark, tick.volume))
    return {
        key: Candle(
            *key,
            open=group[0][0],
            high=max(mark for mark, _ in group),
            low=min(mark for mark, _ in group),
            close=group[-1][0],
            volume=sum(volume for _, volume in group),
            trades=len(group),
        )
        for key, group in groups.items()
    }


class Written:
    """What a storage holds: the newest state of every candle that was written."""

    def __init__(self) -> None:
        self.candles: dict[Key, Candle] = {}
        self.counted: dict[Asset, Counted] = {}

    def write(self, batch: CandleBatch | None) -> None:
        if batch is not None:
            self.candles |= {(each.asset, each.interval, each.start): each for each in batch.candles}
            self.counted |= {each.asset: each for each in batch.counted}

    def left(self) -> CandleBatch:
        """What the next run begins with; copies, like from a disk."""
        newest = {key[:2]: candle for key, candle in sorted(self.candles.items())}
        return CandleBatch(
            [Candle(*(getattr(each, name) for name in each.__struct_fields__)) for each in newest.values()],
            list(self.counted.values()),
        )

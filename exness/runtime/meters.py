"""What is measured while the exchange runs: counted here in plain integers, at a fraction of a microsecond each, and
made into metrics only when somebody asks (`observability/metrics.py`)."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence

LATENCIES_S = (
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Histogram:
    """How often a figure fell at or below each of `bounds` (and above the one before it), and beyond the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = LATENCIES_S) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def note(self, figure: float) -> None:
        self.counts[bisect_left(self.bounds, figure)] += 1
        self.total += figure

    @property
    def count(self) -> int:
        return sum(self.counts)


class LoopWatch:
    """How late the loop comes to what is due. `lag_s` is the latest figure, `longest_s` the longest since
    `take_longest` was last asked; both in seconds."""

    def __init__(self, every_s: float = 0.05) -> None:
        self._every_s = every_s
        self.lags = Histogram()
        self.lag_s = 0.0
        self._longest_s = 0.0
        self._due_s: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._due_s = time.monotonic() + self._every_s
            await asyncio.sleep(self._every_s)
            self.lag_s = max(0.0, time.monotonic() - self._due_s)
            self._longest_s = max(self._longest_s, self.lag_s)
            self.lags.note(self.lag_s)

    def take_longest(self) -> float:
        longest, self._longest_s = self._longest_s, 0.0
        return longest

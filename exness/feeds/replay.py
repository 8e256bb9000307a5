"""Recorded prices at their own pace, or at a multiple of it.

Promises: ticks in the recording's order and none left out; tick k at start + (t_k - t_0) / speed, without drift; the
loop gets its turn also when the replay is behind. A recording's own cadence does not make its prices stale, a hole in
it does. What the files mean is for `recording` to say.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from exness.core.commands import PriceTick
from exness.core.instruments import Asset, Instrument
from exness.feeds.pacing import Pacer
from exness.feeds.recording import RecordedTick, ReplayError, in_order, read_ticks

__all__ = ["ReplayError", "ReplayFeed"]

_LATENESS_US = 5_000_000
"""Added to the life of a tick whose successor has a known time: that one may be handled late on a busy machine."""

_TICKS_BEFORE_YIELD = 100


class ReplayFeed:
    """A PriceFeed of recorded files, merged by time and symbol."""

    simulated = True

    def __init__(
        self,
        files: Sequence[Path],
        instruments: Sequence[Instrument],
        life_us: int,
        speed: float = 1.0,
        *,
        pacer: Pacer | None = None,
    ) -> None:
        """`life_us`: how long a price may be traded on at least. `speed`: recorded seconds per second; `math.inf`
        is as fast as it goes. Reads nothing yet. Raises ReplayError for no files or a speed that is none."""
        if not files:
            raise ReplayError("a replay needs at least one file")
        if not speed > 0:
            raise ReplayError(f"the replay speed must be above 0, not {speed}")
        self.counters: Counter[str] = Counter()
        self.ended = False
        """True once every tick of the recording has been emitted."""
        self._files = [Path(file) for file in files]
        self._instruments = list(instruments)
        self._life_us = life_us
        self._speed = speed
        self._pacer = pacer or Pacer()

    def describe(self) -> str:
        return f"REPLAYED prices at {self._speed:g}x from {', '.join(file.name for file in self._files)}"

    def check(self) -> None:
        """Read every file to its end. Raises ReplayError for the first line that cannot be replayed.

        Takes about 1 s per 100,000 candles: call it from a thread.
        """
        for file in self._files:
            for _ in read_ticks(file, self._instruments):
                pass

    def iter_ticks(self) -> Iterator[tuple[int, Asset, int, int]]:
        """(microseconds since the epoch, asset, bid, ask) of every tick in order; bid and ask scaled."""
        for tick in in_order(self._files, self._instruments):
            yield tick.time_us, tick.asset, tick.bid, tick.ask

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Emit until the recording ends. Raises ReplayError if a file is broken: `check` first."""
        self.ended = False
        with closing(in_order(self._files, self._instruments)) as ticks:
            await self._play(ticks, emit)
        self.ended = True

    async def _play(self, ticks: Iterator[RecordedTick], emit: Callable[[PriceTick], None]) -> None:
        start_s, first_us = self._pacer.now(), None
        in_a_row = 0
        for tick in ticks:
            if first_us is None:
                first_us = tick.time_us
            wait_s = start_s + (tick.time_us - first_us) / 1e6 / self._speed - self._pacer.now()
            if wait_s > 0 or in_a_row >= _TICKS_BEFORE_YIELD:
                await self._pacer.sleep(wait_s)
                in_a_row = 0
            in_a_row += 1
            self.counters["ticks"] += 1
            emit(PriceTick(tick.asset, tick.bid, tick.ask, self._life_of(tick)))

    def _life_of(self, tick: RecordedTick) -> int:
        """Microseconds of real time: the configured life, or until the asset's next tick is due if that is longer."""
        if tick.gap_us is None:
            return max(self._life_us, math.ceil(self._life_us / self._speed))
        return max(self._life_us, math.ceil(tick.gap_us / self._speed) + _LATENESS_US)

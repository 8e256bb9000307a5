"""The time a feed paces itself by, in one place so that a test can hold it still; and keeping to it."""

import asyncio
import time

_IN_A_ROW = 100


class Pacer:
    """Seconds of a clock that never goes back, and waiting by it."""

    def now(self) -> float:
        """Seconds since some fixed moment. Read afresh: uvloop's own `loop.time()` stands still within a step."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less only lets the loop do what else is due."""
        await asyncio.sleep(max(0.0, seconds))


class Pace:
    """Recorded times at so many recorded seconds a second, without drift. What is late goes on at once, but for a turn
    of the loop every so often."""

    def __init__(self, pacer: Pacer, speed: float) -> None:
        self._pacer = pacer
        self._speed = speed
        self._start: tuple[float, int] | None = None
        self._in_a_row = 0

    async def reach(self, time_us: int) -> None:
        """Return when it is due. The first one is due at once."""
        if self._start is None:
            self._start = self._pacer.now(), time_us
        start_s, first_us = self._start
        wait_s = start_s + (time_us - first_us) / 1e6 / self._speed - self._pacer.now()
        if wait_s > 0 or self._in_a_row >= _IN_A_ROW:
            await self._pacer.sleep(wait_s)
            self._in_a_row = 0
        self._in_a_row += 1

"""The time a feed paces itself by, in one place so that a test can hold it still."""

import asyncio
import time


class Pacer:
    """Seconds of a clock that never goes back, and waiting by it."""

    def now(self) -> float:
        """Seconds since some fixed moment. Read afresh: uvloop's own `loop.time()` stands still within a step."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less only lets the loop do what else is due."""
        await asyncio.sleep(max(0.0, seconds))

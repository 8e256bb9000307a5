"""Time and ids for the runtime. The core gets both as arguments."""

import os
import time

_PAGE_BYTES = 4096
_TIME_BITS = (1 << 40) - 1


class SystemClock:
    """UTC wall time that never steps: read once at start, then carried on by the monotonic clock.

    So a wall clock that is set back or forward while the process runs moves neither a trade's time nor a price's age.
    `not_before_us` is the newest time already in the journal: a restart does not go behind it.
    """

    def __init__(self, not_before_us: int = 0) -> None:
        self._start_us = max(time.time_ns() // 1000, not_before_us)
        self._start_mono_ns = time.monotonic_ns()

    def now_us(self) -> int:
        return self._start_us + (time.monotonic_ns() - self._start_mono_ns) // 1000


class RandomBits:
    """Random bytes from the system, fetched by the page: one call for 256 ids instead of one for each."""

    def __init__(self) -> None:
        self._page = b""
        self._at = 0

    def hex(self, size: int) -> str:
        """`size` bytes in hex, never the same ones again."""
        begin = self._at
        end = begin + size
        if end > len(self._page):
            self._page, begin, end = os.urandom(_PAGE_BYTES), 0, size
        self._at = end
        return self._page[begin:end].hex()


class RandomIds:
    """128 bits in hex: 40 of time (milliseconds, coming round after 34 years), 88 random ones that nobody can guess.

    Ids that rise with time lie side by side in the tables' indexes, so a commit of many trades writes a few pages
    instead of one for each trade.
    """

    def __init__(self) -> None:
        self._bits = RandomBits()

    def new(self) -> str:
        return f"{time.time_ns() // 1_000_000 & _TIME_BITS:010x}{self._bits.hex(11)}"

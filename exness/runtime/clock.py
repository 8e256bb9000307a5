"""Time and ids for the runtime. The core gets both as arguments."""

import secrets
import time


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


class RandomIds:
    """128 random bits in hex: nobody can guess one."""

    def new(self) -> str:
        return secrets.token_hex(16)

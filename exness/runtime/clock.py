"""Times and ids for the runtime. The core gets both as arguments."""

import itertools
import os
import time

_PAGE_BYTES = 4096


class WallClock:
    """The machine's time, as it is now: for what users have beside trades (sessions, links, mails).

    It is read anew each time, so every process of a machine has the same; when somebody sets it, it steps, ahead or
    back. The exchange's own time (`ports.Clock`) may be held, stepped or behind, and neither can stand for the other:
    the method has another name, so the type checker refuses the wrong one.
    """

    def wall_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1000


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

    def seconds_until(self, at_us: int) -> float:
        """See `ports.Clock`."""
        return max(0, at_us - self.now_us()) / 1_000_000


LAST_US = 253_370_764_800 * 1_000_000
"""9999-01-01: no step leads beyond it, so that every time can be shown."""

SPEED_UNIT = 1000
"""A speed is an integer of thousandths: 1000 is real time."""


def shown_speed(speed: int) -> int | float:
    """Thousandths as a multiple of real time. With three decimals at most, its float prints exactly."""
    whole, rest = divmod(speed, SPEED_UNIT)
    return speed / SPEED_UNIT if rest else whole


class ManualClock:
    """UTC time that can be held, stepped and run at another speed. Like any clock of ours it never goes back.

    It begins with the wall's time at real speed. `not_before_us` as in `SystemClock`.
    """

    def __init__(self, not_before_us: int = 0) -> None:
        self._at_us = max(time.time_ns() // 1000, not_before_us)
        self._since_ns = time.monotonic_ns()
        self.paused = False
        self.speed = SPEED_UNIT
        """How fast it runs, in thousandths; kept while it is paused."""

    def now_us(self) -> int:
        if self.paused:
            return self._at_us
        return self._at_us + (time.monotonic_ns() - self._since_ns) * self.speed // (1000 * SPEED_UNIT)

    def pause(self) -> None:
        """Stand still from now on."""
        self._settle()
        self.paused = True

    def resume(self) -> None:
        """Run on from where it stands."""
        self._settle()
        self.paused = False

    def run_at(self, speed: int) -> None:
        """From now on, thousandths of real time. A paused clock stays paused."""
        assert speed > 0, "a clock that stands is paused"
        self._settle()
        self.speed = speed

    def advance_to(self, at_us: int) -> None:
        """Be at this time at once; nothing when it has passed already."""
        self._settle()
        self._at_us = max(self._at_us, at_us)

    def seconds_until(self, at_us: int) -> float | None:
        """See `ports.Clock`. None while it is paused before that time."""
        left = max(0, at_us - self.now_us())
        if left and self.paused:
            return None
        return left * SPEED_UNIT / self.speed / 1_000_000

    def _settle(self) -> None:
        """What has run so far counts; from here on another speed may hold."""
        self._at_us, self._since_ns = self.now_us(), time.monotonic_ns()


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
    """UUIDv7 (RFC 9562, section 5.7) as 32 hex digits: 48 bits of milliseconds, then 74 that nobody can guess.

    Ids that rise with time lie side by side in the tables' indexes, so a commit of many trades writes a few pages
    instead of one for each trade.
    """

    def __init__(self) -> None:
        self._bits = RandomBits()

    def new(self) -> str:
        random = self._bits.hex(10)
        return f"{time.time_ns() // 1_000_000:012x}7{random[:3]}{_VARIANT[random[3]]}{random[4:19]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class CommandIds:
    """What a source calls its commands, `http:5b2e90c1a4f7-1`: a prefix of this process's own and a count, so that none
    comes again, in no journal."""

    def __init__(self, source: str, process: str = "") -> None:
        self._prefix = f"{source}:{process or os.urandom(6).hex()}-"
        self._count = itertools.count(1)

    def new(self) -> str:
        return f"{self._prefix}{next(self._count)}"

"""The fifteen intervals of klines: when a bar of each begins, and which stored candles it is made of.

Times are whole seconds since the epoch. Weeks begin on Monday and months with their first day, UTC; everything else is
counted from the epoch, three days too.
"""

from datetime import UTC, datetime
from enum import StrEnum

from exness.runtime.candles import Interval
from exness.runtime.day import DAY_S

WEEK_S = 7 * DAY_S
_FIRST_MONDAY_S = 4 * DAY_S
_EPOCH_YEAR = 1970
_MOST_MONTHS = 12 * (9999 - _EPOCH_YEAR)
LAST_S = 253_370_764_800
"""9999-01-01: no bar begins later."""


class KlineInterval(StrEnum):
    """How long a bar is."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"
    D3 = "3d"
    W1 = "1w"
    MONTH = "1M"

    @property
    def source(self) -> Interval:
        """The longest stored candles that its bars are made of."""
        return _SOURCES[self]

    def start_of(self, at_s: int) -> int:
        """When the bar begins in which a time lies."""
        if self is KlineInterval.MONTH:
            return _first_of(_month_of(at_s))
        length, offset = _LENGTHS[self]
        return at_s - (at_s - offset) % length

    def step(self, start_s: int, bars: int) -> int:
        """When the bar begins that is so many after the one that begins at `start_s`."""
        if self is KlineInterval.MONTH:
            return _first_of(_month_of(start_s) + bars)
        return start_s + bars * _LENGTHS[self][0]

    def first_from(self, at_s: int) -> int:
        """When the first bar begins that begins at this time or later."""
        start = self.start_of(at_s)
        return start if start == at_s else self.step(start, 1)


_LENGTHS: dict[KlineInterval, tuple[int, int]] = {
    KlineInterval.M1: (60, 0),
    KlineInterval.M3: (180, 0),
    KlineInterval.M5: (300, 0),
    KlineInterval.M15: (900, 0),
    KlineInterval.M30: (1800, 0),
    KlineInterval.H1: (3600, 0),
    KlineInterval.H2: (7200, 0),
    KlineInterval.H4: (14_400, 0),
    KlineInterval.H6: (21_600, 0),
    KlineInterval.H8: (28_800, 0),
    KlineInterval.H12: (43_200, 0),
    KlineInterval.D1: (DAY_S, 0),
    KlineInterval.D3: (3 * DAY_S, 0),
    KlineInterval.W1: (WEEK_S, _FIRST_MONDAY_S),
}
"""Length, and when one begins."""

_SOURCES = {
    interval: max(
        (each for each in Interval if length % each.seconds == 0 and offset % each.seconds == 0),
        key=lambda each: each.seconds,
    )
    for interval, (length, offset) in _LENGTHS.items()
} | {KlineInterval.MONTH: Interval.D1}


def _month_of(at_s: int) -> int:
    """Months since the epoch."""
    at = datetime.fromtimestamp(max(0, min(at_s, LAST_S)), UTC)
    return 12 * (at.year - _EPOCH_YEAR) + at.month - 1


def _first_of(month: int) -> int:
    years, rest = divmod(max(0, min(month, _MOST_MONTHS)), 12)
    return int(datetime(_EPOCH_YEAR + years, rest + 1, 1, tzinfo=UTC).timestamp())

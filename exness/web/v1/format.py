"""How figures look outside: money and prices as decimal strings with all their decimals, times as ISO 8601 UTC with
microseconds, leverage as a number, names in camel case."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from exness.core.money import format_hundredths, format_scaled

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_us: int) -> str:
    """Microseconds since the epoch as `2026-01-31T09:15:02.123456Z`."""
    return f"{_second_out(at_us // 1_000_000)}.{at_us % 1_000_000:06d}Z"


@lru_cache(maxsize=1024)
def _second_out(at_s: int) -> str:
    """Most times that are told lie in the last few seconds: a look-up instead of 2 us."""
    return (_EPOCH + timedelta(seconds=at_s)).replace(tzinfo=None).isoformat()


def leverage_out(hundredths: int) -> int | float:
    """Leverage as the JSON number it came in as: 10, 40.99. With two decimals at most, its float prints exactly."""
    whole, rest = divmod(hundredths, 100)
    return float(format_hundredths(hundredths)) if rest else whole


def percent_out(scaled: int) -> str:
    """A percentage kept with four decimals, as a decimal string."""
    return format_scaled(scaled, 4)


def camel(text: str) -> str:
    """Names of fields in a text as JSON has them."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), text)

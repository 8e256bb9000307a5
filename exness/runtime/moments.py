"""Points in time as text: strict readers, with one sentence for whatever is not taken.

Two forms are read. RFC 3339, with a zone or without one (then it is UTC), or a date alone: `parse_rfc3339`. A whole
number of a unit since the epoch: `parse_epoch`. What people hand us about prices and orders takes either and has to
lie between 2005 and 2100 (`parse_time`): a time outside is a time of another unit, and is told which one it looks like.
Every ValueError raised here completes the sentence "<field> ...".
"""

import re
from datetime import UTC, datetime, timedelta

EARLIEST_US = 1_104_537_600_000_000
"""2005-01-01, in microseconds since the epoch. Before it nobody recorded prices like ours."""
LATEST_US = 4_102_444_800_000_000
"""2100-01-01, less than four times the other: a number that lies between the two in one unit does in no other."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - compared with what has had its offset taken off
_MICROSECOND = timedelta(microseconds=1)
_NS_PER_UNIT = {
    "seconds": 10**9,
    "milliseconds": 10**6,
    "microseconds": 10**3,
    "nanoseconds": 1,
    "minutes": 60 * 10**9,
}
_RANGE = "a time from 2005-01-01 to 2100-01-01"
_FORM = "must be a date like 2024-08-05 or a time like 2024-08-05T06:00:00Z"

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,40}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))?)?",
    re.ASCII,
)
_WHOLE = re.compile(r"\d{1,20}", re.ASCII)
_NUMBER = re.compile(r"([+-]?\d{1,20})(?:\.\d{0,20})?", re.ASCII)
_COMPACT_DATE = re.compile(r"(?:20|19)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?", re.ASCII)


def is_date(text: str) -> bool:
    """Whether the text has the form of a date alone, `YYYY-MM-DD`: callers may take it for the whole day."""
    return _DATE.fullmatch(text) is not None


def parse_rfc3339(text: str) -> int:
    """Microseconds since the epoch of any year from 1 to 9999; before 1970 they are negative. Raises ValueError.

    Takes `YYYY-MM-DD` (midnight UTC), RFC 3339, and RFC 3339 without its zone (UTC): no other form of ISO 8601. As that
    RFC allows (5.6), `t` and `z` may be small and a space may stand for the T. A fraction may have any number of
    digits, those beyond the microsecond are cut off. A leap second is the moment at which it ends: the epoch counts
    none.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_FORM)
    *calendar, fraction, sign, hours, minutes = match.groups(default="0")
    year, month, day, hour, minute, second = map(int, calendar)
    is_leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, second - is_leap)  # noqa: DTZ001
    except ValueError:
        raise ValueError("is no day and time of the calendar") from None
    time_us = (moment - _EPOCH) // _MICROSECOND + int(fraction[:6].ljust(6, "0"))
    offset_us = (int(hours) * 60 + int(minutes)) * 60_000_000
    time_us += offset_us if sign == "-" else -offset_us
    return _after_leap(time_us) if is_leap else time_us


def parse_epoch(text: str, unit: str) -> int:
    """A whole number of `unit` (`seconds`, ...) since the epoch, in microseconds. Raises ValueError for anything else
    and outside 2005 to 2100."""
    if not _WHOLE.fullmatch(text):
        hint = ", which looks like a date or time of RFC 3339" if _RFC3339.fullmatch(text) else looks_like(text)
        raise ValueError(f"must be a whole number of {unit} since the epoch, not {shown(text)}{hint}")
    scale = _NS_PER_UNIT[unit]
    time_us = int(text) * scale // 1_000
    if not EARLIEST_US <= time_us <= LATEST_US:
        raise ValueError(f"must be {_RANGE} in {unit} since the epoch, not {shown(text)}{looks_like(text)}")
    return time_us


def parse_time(text: str) -> int:
    """Microseconds since the epoch, from such a number or from what `parse_rfc3339` takes. Raises ValueError for
    anything else and outside 2005 to 2100."""
    if _WHOLE.fullmatch(text):
        return parse_epoch(text, "microseconds")
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{_FORM}, or microseconds since the epoch, not {shown(text)}{looks_like(text)}")
    time_us = parse_rfc3339(text)
    if not EARLIEST_US <= time_us <= LATEST_US:
        raise ValueError(f"must be {_RANGE}, not {shown(text)}")
    return time_us


def unit_of(value: int) -> str | None:
    """The unit in which a number since the epoch would lie between 2005 and 2100; None: in none."""
    for unit, scale in _NS_PER_UNIT.items():
        if EARLIEST_US <= value * scale // 1_000 <= LATEST_US:
            return unit
    return None


def looks_like(text: str) -> str:
    """What a refused time looks like, to be added to the sentence about it; empty when it looks like none."""
    if _COMPACT_DATE.fullmatch(text):
        return ", which looks like a date without dashes"
    number = _NUMBER.fullmatch(text)
    unit = unit_of(int(number[1])) if number else None
    return f", which looks like {unit}" if unit else ""


def show_moment(time_us: int) -> str:
    """`2024-08-05T06:00:00Z`, with a fraction only where there is one."""
    return f"{(_EPOCH + timedelta(microseconds=time_us)).isoformat()}Z"


def _after_leap(time_us: int) -> int:
    """The end of a leap second whose 59th is `time_us`. Leap seconds end a month (RFC 3339, appendix D)."""
    after_us = time_us // 1_000_000 * 1_000_000 + 1_000_000
    after = datetime.fromtimestamp(after_us // 1_000_000, UTC)
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise ValueError("is no day and time of the calendar")
    return after_us


def shown(text: str) -> str:
    """How a refused field appears in the sentence."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")

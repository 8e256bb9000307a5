"""Points in time as text: ISO 8601 or microseconds since the epoch in, ISO 8601 out."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)


def parse_moment(text: str) -> int:
    """Microseconds since the epoch. Without a zone it is UTC. Raises ValueError for what is no point in time."""
    if _DIGITS.fullmatch(text) and len(text) > 8:
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def show_moment(time_us: int) -> str:
    """`2024-08-05T06:00:00Z`, with a fraction only where there is one."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")

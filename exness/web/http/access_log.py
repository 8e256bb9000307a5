"""The access log: one line per request, off the way of requests.

A request leaves its figures; the line is made of them in the thread that writes the log. When nobody takes the log,
lines are dropped and counted (`exness_log_lines_dropped_total`): no request ever waits for one. Only the path is
written, never a query, which may hold a link's token, and never a header.
"""

from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from time import time
from typing import Any, NamedTuple

LOGGER = "exness.access"
PATH_CHARACTERS = 200

Fields = MutableMapping[str, Any]


class AccessRecord(NamedTuple):
    """One request. `seconds` until its answer was ready."""

    method: str
    path: str
    status: int
    seconds: float
    caller: str
    request_id: str


class AccessLog:
    """`later(logger, fields)` logs, in its own time, what `fields` returns."""

    def __init__(self, later: Callable[[str, Callable[[], Fields]], None]) -> None:
        self._later = later

    def note(self, line: AccessRecord) -> None:
        at = time()
        self._later(LOGGER, lambda: _fields(line, at))


def _fields(line: AccessRecord, at: float) -> Fields:
    return {
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "event": "request",
        "method": line.method[:PATH_CHARACTERS],
        "path": line.path[:PATH_CHARACTERS],
        "status": line.status,
        "ms": round(line.seconds * 1000, 3),
        "client": line.caller,
        "request_id": line.request_id,
    }

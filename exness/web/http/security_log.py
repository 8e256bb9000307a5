"""Sign-ins, and requests that were turned away: a count of everything, and a log line without secrets.

Sign-ins and ended sessions are a line each. Refused requests come in floods, so each reason gets a line at most every
ten seconds, with how many there were since. No token, no link and no whole mail address is ever logged.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from exness.access.emails import masked

REFUSALS_EVERY_S = 10.0

_log = structlog.get_logger("exness.audit")


class SecurityLog:
    """`counters` counts by event; a refused request is `refused_<reason>`."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.counters: Counter[str] = Counter()
        self._now_s = now_s
        self._last_line_s: dict[str, float] = {}
        self._last_count: dict[str, int] = {}

    def note(self, event: str, email: str, request_id: str, **fields: str) -> None:
        """Something that somebody did: `link_asked`, `signed_in`, `signed_out`, `link_refused`."""
        self.counters[event] += 1
        _log.info(event, account=masked(email), request_id=request_id, **fields)

    def refused(self, reason: str, client: str) -> None:
        """A request that was turned away. `reason` is an error's code, or why a connection was closed."""
        name = f"refused_{reason}"
        self.counters[name] += 1
        now_s = self._now_s()
        if now_s - self._last_line_s.get(name, -REFUSALS_EVERY_S) >= REFUSALS_EVERY_S:
            since = self.counters[name] - self._last_count.get(name, 0)
            self._last_line_s[name], self._last_count[name] = now_s, self.counters[name]
            _log.info("requests_refused", reason=reason, client=client, since_last_line=since)

"""Who is told of ticks. A bug in one of them is logged once and counted, and stops nothing: who watches must not stop
who trades."""

import structlog

from exness.core.commands import PriceTick
from exness.runtime.ports.engine import Watcher

_log = structlog.get_logger("exness.runtime.watchers")


class Watchers(list[Watcher]):
    """Called with every tick that was checked, once all that it set off is decided."""

    failed = 0
    """Ticks that somebody missed because of a bug."""

    def tell(self, tick: PriceTick, at: int) -> None:
        """`at`: when the engine took it (microseconds)."""
        for watcher in self:
            try:
                watcher(tick, at)
            except Exception:  # noqa: BLE001 - see above
                self.failed += 1
                if self.failed == 1:
                    _log.exception("a watcher of ticks failed; from now on such failures are only counted")

"""The access log: one line per request, off the way of requests.

A request leaves its figures in a queue; a task writes them as log lines, many at a time, in a thread. When the queue
is full, lines are dropped and counted: no request ever waits for a log. Only the path is written, never a query, which
may hold a link's token, and never a header.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

WRITE_EVERY_S = 0.2
LINES_KEPT = 20_000

_log = structlog.get_logger("exness.access")


class Line(NamedTuple):
    """One request. `seconds` until its answer was ready."""

    method: str
    path: str
    status: int
    seconds: float
    caller: str
    request_id: str


class AccessLog:
    def __init__(self, bound: int = LINES_KEPT) -> None:
        self._lines: deque[Line] = deque()
        self._bound = bound
        self.dropped = 0
        """Lines for which there was no room."""
        self._told_dropped = 0

    def note(self, line: Line) -> None:
        if len(self._lines) >= self._bound:
            self.dropped += 1
        else:
            self._lines.append(line)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what comes, as long as the context is open, and at its end what is left."""
        writing = asyncio.create_task(self._run(), name="access log")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._write(self._taken())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            if self._lines or self.dropped > self._told_dropped:
                await asyncio.to_thread(self._write, self._taken())

    def _taken(self) -> list[Line]:
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            _log.info(
                "request",
                method=line.method,
                path=line.path[:200],
                status=line.status,
                ms=round(line.seconds * 1000, 3),
                client=line.caller,
                request_id=line.request_id,
            )
        if self.dropped > self._told_dropped:
            _log.warning("access log lines dropped", count=self.dropped - self._told_dropped)
            self._told_dropped = self.dropped

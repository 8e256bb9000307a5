"""Keeps a connection to the wire: whoever works on it is called again with a new one when it was lost, or when the
database that the work needs was."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from exness.runtime.ports.journal import StorageError
from exness.spread.streams import Streams, Wire, WireLost

_log = structlog.get_logger("exness.spread")

AGAIN_S = 0.1


class Link:
    """`what` it is for, for the log. `is_up` while there is a connection."""

    def __init__(self, wire: Wire, what: str) -> None:
        self._wire = wire
        self._what = what
        self.is_up = False
        self.lost = 0
        """How often the connection was lost."""

    async def run(self, work: Callable[[Streams], Awaitable[None]]) -> None:
        """Until cancelled, or until `work` ends otherwise than by WireLost."""
        told = False
        while True:
            try:
                streams = await self._wire.connect()
                try:
                    self.is_up = True
                    if told:
                        _log.info("the wire is back", what=self._what)
                        told = False
                    await work(streams)
                    return
                finally:
                    self.is_up = False
                    await streams.close()
            except (WireLost, StorageError) as error:
                if not told:
                    told = True
                    self.lost += 1
                    _log.warning("the wire is gone", what=self._what, wire=self._wire.describe(), why=str(error))
            await asyncio.sleep(AGAIN_S)


async def woken(event: asyncio.Event, within_s: float) -> None:
    """Clear the event, and return once it is set, or after so long."""
    event.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()

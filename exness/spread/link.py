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
TELL_EVERY_S = 10.0
"""Who can connect and then can not work would else fill the log."""


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
        loop, is_told, quiet_until_s = asyncio.get_running_loop(), False, 0.0
        while True:
            try:
                streams = await self._wire.connect()
                try:
                    self.is_up = True
                    if is_told:
                        is_told = False
                        _log.info("the wire is back", what=self._what)
                    await work(streams)
                    return
                except WireLost:
                    self.lost += 1
                    raise
                finally:
                    self.is_up = False
                    await streams.close()
            except (WireLost, StorageError) as error:
                if not is_told and loop.time() >= quiet_until_s:
                    is_told, quiet_until_s = True, loop.time() + TELL_EVERY_S
                    gone = "the wire is gone" if isinstance(error, WireLost) else "the wire waits for the database"
                    _log.warning(gone, what=self._what, wire=self._wire.describe(), why=str(error))
            await asyncio.sleep(AGAIN_S)


async def woken(event: asyncio.Event, within_s: float) -> None:
    """Clear the event, and return once it is set, or after so long."""
    event.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()

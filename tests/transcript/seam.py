"""The one place where the transcript touches the code: how an exchange is started, and what stands still in it.

Whoever moves or renames the parts of the exchange adapts this module and nothing else of the transcript. What it needs:
a server in this process on a free port, with settings by their public names; a session token for a mail address; every
session of one ended; the tables of routes and errors. Time is fixed below all code of ours, in the module `time`: the
wall clock stands until a step moves it, and what the exchange's clock adds to it (the monotonic clock in nanoseconds)
stands too. Ids and tokens stay random, as nothing may depend on them: the player gives each a name.
"""

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from exness import __version__
from exness.app import databases, entry, tokens
from exness.config import Config, load
from exness.core.instruments import Asset
from exness.process.signals import Stop
from exness.runtime.listings import Listing
from exness.storage.opened import Storage
from exness.web.app import endpoints_of
from exness.web.stream.protocol import STREAM_ERRORS, CloseCode
from exness.web.v1.errors import ERRORS
from tests.support.memory_storage import MemoryCandles, MemoryJournal, MemorySnapshots, MemoryTables

VERSION = __version__
ERROR_CODES = frozenset(map(str, [*ERRORS, *STREAM_ERRORS]))
CLOSE_CODES = frozenset(map(int, CloseCode))
ENDPOINTS = [row.key for row in endpoints_of(dev=True).rows if row.tag != "Terminal"]
"""The terminal is for people: its words are no contract."""

START_S = 1_769_850_902
"""2026-01-31T09:15:02Z: when every scene begins."""
START_MICROSECOND = 123_456

LOOK_S = 0.02
"""A server looks for what another process ended at most every 10 ms: after this time its next request sees it."""

SETTINGS = {
    "EXNESS_SERVER_PORT": "0",
    "EXNESS_FEED_SOURCE": "manual",
    "EXNESS_DEV_CONTROL": "true",
    "EXNESS_AUTH_SECRET": "a secret of thirty-two bytes or more",
    "EXNESS_LIMITS_TRADE_PER_ACCOUNT": "1000000/day",
    "EXNESS_LIMITS_TRADE_PER_IP": "1000000/day",
    "EXNESS_LIMITS_READ_PER_ACCOUNT": "1000000/day",
    "EXNESS_LIMITS_READ_PER_IP": "1000000/day",
    "EXNESS_LIMITS_PROBE_PER_IP": "1000000/day",
    "EXNESS_LIMITS_MAIL_PER_IP": "1000000/day",
    "EXNESS_LIMITS_MAIL_PER_ADDRESS": "1000000/day",
}
"""Of every exchange, as the environment has them. Windows of a day: what is left of one depends on no second."""


class FixedTime:
    """The machine's time, which stands until somebody moves it."""

    def __init__(self) -> None:
        self._now_us = START_S * 1_000_000 + START_MICROSECOND

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)

    def time(self) -> float:
        return self._now_us / 1_000_000

    def time_ns(self) -> int:
        return self._now_us * 1000

    @contextmanager
    def held(self) -> Iterator["FixedTime"]:
        """As long as the context is open, this is the time."""
        with (
            patch.object(time, "time", self.time),
            patch.object(time, "time_ns", self.time_ns),
            patch.object(time, "monotonic_ns", lambda: 0),
        ):
            yield self


class Running:
    """A server in this process, and what the command line does beside it."""

    def __init__(self, config: Config, port: int) -> None:
        self._config = config
        self.port = port
        self.outbox = config.storage.data_dir / "outbox"

    async def revoke(self, email: str) -> None:
        """`exness token --revoke EMAIL`."""
        await asyncio.to_thread(tokens.revoke_sessions, self._config, email)
        await asyncio.sleep(LOOK_S)


def read_config(data_dir: Path, settings: Mapping[str, str]) -> Config:
    no_file = data_dir.with_name("no.toml")
    no_file.touch()
    environment = SETTINGS | {"EXNESS_STORAGE_DATA_DIR": str(data_dir)} | dict(settings)
    return load(no_file, environment, {})


async def issue_tokens(data_dir: Path, settings: Mapping[str, str], emails: Sequence[str]) -> list[str]:
    """`exness token EMAIL`, for each."""
    return await asyncio.to_thread(tokens.issue_tokens, read_config(data_dir, settings), emails)


@asynccontextmanager
async def serving(
    data_dir: Path, settings: Mapping[str, str], storage: "Memory | None" = None
) -> AsyncIterator[Running]:
    """Start an exchange, as `exness serve` does, and stop it at the end, as SIGTERM does."""
    config, stop = read_config(data_dir, settings), Stop()
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def say(line: str) -> None:
        if line.startswith("listening on "):
            listening.set_result(int(line.rpartition(":")[2]))

    with _collector_left_alone(), storage.instead() if storage is not None else _nothing():
        server = asyncio.create_task(entry.serve(config, say, stop))
        started: set[asyncio.Future[Any]] = {server, listening}
        await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
        if server.done():
            await server
        try:
            yield Running(config, await listening)
        finally:
            stop._on_signal(signal.SIGTERM, None)
            await server


class Memory:
    """The storage in memory, in the place of the one on disk. What it holds outlives a restart, like a disk."""

    def __init__(self) -> None:
        self._journal = MemoryJournal()
        self._tables = MemoryTables({})
        self._candles = MemoryCandles()
        self._snapshots = MemorySnapshots()

    @asynccontextmanager
    async def _open(
        self, data_dir: Path, instruments: Mapping[Asset, Listing], *, snapshots_kept: int
    ) -> AsyncIterator[Storage]:
        self._tables.instruments = instruments
        yield Storage(self._journal, self._tables, self._tables, self._candles, self._snapshots)

    @contextmanager
    def instead(self) -> Iterator[None]:
        with patch.object(databases, "open_storage", self._open):
            yield


@contextmanager
def _collector_left_alone() -> Iterator[None]:
    """A server tunes Python's collector for its whole process, which is not only its own here."""

    def nothing(*_: int) -> None: ...

    with (
        patch.object(gc, "collect", nothing),
        patch.object(gc, "freeze", nothing),
        patch.object(gc, "set_threshold", nothing),
    ):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield

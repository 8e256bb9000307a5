"""Rows of a cascade: one price liquidates every open trade there is.

The shipped exchange with its storage on disk, in one process, from the tick until all of it is durable and then until
it is in the tables. The baseline decides, encodes and commits the same records alone, before or after it, with nothing
beside it. A probe wants to run every millisecond and asks for a balance each time: its worst delay is the longest hold
of the loop, and every read that it gets is one that was answered meanwhile.
"""

import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import uvloop

from exness.app import build as assembly
from exness.app import entry
from exness.config import load
from exness.core.commands import PriceTick
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.instruments import Asset
from exness.core.views import BalanceOf
from exness.runtime.assembly import Parts
from exness.runtime.recovery import Recovered
from exness.storage.batch import execute_batch
from exness.storage.codec import encode
from exness.storage.database import transaction
from exness.storage.files import JOURNAL_DB
from exness.storage.journal import INSERT_RECORD
from exness.storage.sqlite import open_storage
from tests.bench.books import LIFE_US, PRICES, account_id, do, longs
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child
from tests.support.waiting import until

SOL = Asset("SOL")
CRASH = PriceTick(SOL, PRICES[SOL] // 2, PRICES[SOL] // 2, LIFE_US)
PROBE_S = 0.001
BATCH = 20_000
TABLES_S = 300
"""In which the tables have all of it, too."""


async def measure_cascade(settings: Settings, progress: Progress) -> list[Figure]:
    """Each round in a process of its own."""
    done = []
    for number in range(settings.cascade_rounds):
        with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
            arguments = {"trades": settings.cascade_trades, "data_dir": folder, "ours_first": number % 2 == 0}
            done.append(await in_child(settings, __name__, "cascade", **arguments))
        progress.say(
            f"cascade: {settings.cascade_trades:,} trades in {done[-1]['ours_s']:.2f} s, alone in "
            f"{done[-1]['alone_s']:.2f}; longest hold {done[-1]['hold_ms']:.1f} ms, {done[-1]['reads']} reads answered"
        )
    return [
        figure("cascade.durable", "s", [Round(each["ours_s"], each["alone_s"]) for each in done], rounds_of=done),
        figure("cascade.hold", "ms", [Round(each["hold_ms"]) for each in done]),
    ]


# --- in a process of their own --------------------------------------------------------------------------------------


def cascade(trades: int, data_dir: str, ours_first: bool) -> dict[str, float]:
    """`hold_ms` until the tick's records were durable, `hold_after_ms` until the tables had them too."""
    sys.setswitchinterval(entry.SWITCH_INTERVAL_S)
    ours, theirs = longs(trades), longs(trades)
    history = ours[1]
    gc.collect()
    gc.freeze()
    alone_s = 0.0 if ours_first else _alone(theirs[0], Path(data_dir) / "alone")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_ours(ours[0], history, Path(data_dir) / "ours"))
    return {**measured, "alone_s": alone_s or _alone(theirs[0], Path(data_dir) / "alone")}


def _alone(engine: Engine, place: Path) -> float:
    """Seconds to decide, encode and commit, into a journal of the same shape."""
    with journal_alone(place) as commit:
        began = time.perf_counter()
        commit(do(engine, CRASH))
        return time.perf_counter() - began


@contextmanager
def journal_alone(place: Path) -> Iterator[Callable[[list[Record]], None]]:
    """A journal of the same shape, new, and what commits records to it as one transaction."""
    asyncio.run(_make(place))
    with closing(sqlite3.connect(place / JOURNAL_DB, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")

        def commit(records: list[Record]) -> None:
            with transaction(connection):
                execute_batch(connection, INSERT_RECORD, [encode(record) for record in records])

        yield commit


async def _make(place: Path) -> None:
    async with open_storage(place, load(None, {}, {}).instruments()):
        pass


async def _ours(engine: Engine, history: list[Record], place: Path) -> dict[str, float]:
    async with shipped(engine, history, place, {}) as parts, running(parts):
        return await _measured(parts, engine)


@asynccontextmanager
async def shipped(engine: Engine, history: list[Record], place: Path, environ: dict[str, str]) -> AsyncIterator[Parts]:
    """The shipped exchange with its storage, as it would be after a start. It does not run yet."""
    config = load(None, environ, {"storage.data_dir": place})
    async with open_storage(place, config.instruments()) as storage:
        for first in range(0, len(history), BATCH):
            await storage.journal.append(history[first : first + BATCH])
            await storage.tables.write(history[first : first + BATCH])
        recovered = Recovered(engine.state, 0, 0, 0.0, "", [])
        source, stored = assembly.make_source(config), await storage.candles.newest_candles()
        yield assembly.make_parts(config, storage, recovered, source, stored, tables_seq=engine.state.seq)


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """Writer, sequencer and projector, which at the end finish what they have."""
    async with asyncio.TaskGroup() as tasks:
        writing, sequencing, _ = [
            tasks.create_task(each.run()) for each in (parts.writer, parts.sequencer, parts.projector)
        ]
        yield
        parts.sequencer.close()
        await sequencing
        parts.writer.close()
        await writing
        parts.projector.close()


async def _measured(parts: Parts, engine: Engine) -> dict[str, float]:
    trades, first = engine.state.open_trades, engine.state.seq
    probe = Probe(parts)
    probing = asyncio.create_task(probe.run())
    await asyncio.sleep(0.1)
    probe.take()
    began = time.perf_counter()
    parts.sequencer.tick(CRASH)
    while parts.writer.durable_seq < first + trades:
        await parts.writer.progress()
    ours_s = time.perf_counter() - began
    hold_s, hold_cpu_s, reads = probe.take()
    commits = parts.writer.commits
    assert commits == 1, f"one transaction, not {commits}"
    await until(lambda: parts.projector.seq == first + trades, "for the tables", within_s=TABLES_S, pause_s=0.01)
    tables_s, (hold_after_s, hold_after_cpu_s, _) = time.perf_counter() - began, probe.take()
    probing.cancel()
    assert engine.state.open_trades == 0
    return {
        "ours_s": ours_s,
        "hold_ms": hold_s * 1000,
        "hold_cpu_ms": hold_cpu_s * 1000,
        "reads": reads,
        "tables_s": tables_s,
        "hold_after_ms": hold_after_s * 1000,
        "hold_after_cpu_ms": hold_after_cpu_s * 1000,
    }


class Probe:
    """Due every millisecond, and reads a balance each time."""

    def __init__(self, parts: Parts) -> None:
        self._exchange = parts.exchange
        self._worst_s = 0.0
        self._worst_cpu_s = 0.0
        self._reads = 0

    async def run(self) -> None:
        while True:
            due, cpu_s = time.perf_counter() + PROBE_S, time.thread_time()
            await asyncio.sleep(PROBE_S)
            self._worst_s = max(self._worst_s, time.perf_counter() - due)
            self._worst_cpu_s = max(self._worst_cpu_s, time.thread_time() - cpu_s)
            self._exchange.look(BalanceOf(account_id(0)))
            self._reads += 1

    def take(self) -> tuple[float, float, int]:
        """Seconds that it was late at worst, that the loop's thread worked between two reads at most, and how often it
        read, since it was asked last."""
        taken = self._worst_s, self._worst_cpu_s, self._reads
        self._worst_s, self._worst_cpu_s, self._reads = 0.0, 0.0, 0
        return taken

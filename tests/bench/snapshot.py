"""Row of the loop's stall: how late a task that is due every millisecond gets, with a snapshot being taken and without.

The shipped exchange with its storage on disk, in one process, holding very many open trades, while one trader opens and
closes. A window without a snapshot, as long as the last one took, stands beside each window with one.
"""

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop

from exness.app import build as assembly
from exness.app import entry
from exness.config import load
from exness.core.commands import CloseTrade, OpenAccount
from exness.core.events import AccountOpened, Record
from exness.core.outcomes import Done
from exness.core.state import State
from exness.runtime.exchange import Exchange
from exness.runtime.recovery import Recovered
from exness.runtime.snapshots import Snapshotter
from exness.storage.batch import execute_batch
from exness.storage.codec import encode
from exness.storage.files import JOURNAL_DB
from exness.storage.journal import INSERT_RECORD
from exness.storage.sqlite import open_storage
from tests.bench.books import DEPOSIT, account_id, engine_with, order, order_id
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child

PROBE_S = 0.001
TRADER_PAUSE_S = 0.02
SHORTEST_WINDOW_S = 0.5
TRADER = account_id(10**12)


async def measure_stall(settings: Settings, progress: Progress) -> list[Figure]:
    """One process for each size."""
    figures = []
    for size in settings.sizes:
        progress.say(f"stall: {size:,} open trades")
        with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
            arguments = {"size": size, "rounds": settings.snapshot_rounds, "data_dir": Path(folder) / "data"}
            windows = await in_child(settings, __name__, "stall", **arguments)
        rounds = [Round(each["with_ms"], each["without_ms"]) for each in windows]
        figures.append(figure(f"stall.{size}", "ms", rounds, windows=windows))
    return figures


# --- in a process of their own --------------------------------------------------------------------------------------


def stall(size: int, rounds: int, data_dir: str) -> list[dict[str, float]]:
    """The worst lag of each window with and without a snapshot, and what the snapshot took."""
    state = engine_with(size).state
    sys.setswitchinterval(entry.SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_stall(state, rounds, Path(data_dir)))


async def _stall(state: State, rounds: int, data_dir: Path) -> list[dict[str, float]]:
    config = load(None, {}, {"storage.data_dir": data_dir})
    async with open_storage(data_dir, config.instruments()):
        pass
    _pretend_journal_up_to(data_dir, state.seq)
    async with open_storage(data_dir, config.instruments()) as storage:
        recovered = Recovered(state, 0, 0, 0.0, "", [])
        parts = assembly.make_parts(config, storage, recovered, assembly.make_source(config))
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(parts.writer.run())
            sequencing = tasks.create_task(parts.sequencer.run())
            await parts.exchange.do(OpenAccount(TRADER, "trader@example.com", DEPOSIT))
            trading = tasks.create_task(_trade(parts.exchange))
            windows = await _windows(parts.snapshotter(storage.snapshots, 1.0, 0), rounds)
            trading.cancel()
            parts.sequencer.close()
            await sequencing
            parts.writer.close()
            await writing
    return windows


async def _windows(snapshotter: Snapshotter, rounds: int) -> list[dict[str, float]]:
    windows: list[dict[str, float]] = []
    await snapshotter.take()  # the first one makes the file
    for _ in range(rounds):
        alone = max(SHORTEST_WINDOW_S, snapshotter.stats.seconds)
        without = await lag_while(lambda: asyncio.sleep(alone))  # noqa: B023 - awaited here
        under = await lag_while(snapshotter.take)
        took = {"snapshot_s": snapshotter.stats.seconds, "longest_step_ms": snapshotter.stats.longest_step_s * 1000}
        windows.append({"with_ms": under * 1000, "without_ms": without * 1000, **took})
    return windows


async def lag_while(work: Callable[[], Awaitable[Any]]) -> float:
    """Seconds that a probe, due every millisecond, was late at worst while `work` ran."""
    worst, stop = 0.0, False

    async def probe() -> None:
        nonlocal worst
        while not stop:
            due = time.perf_counter() + PROBE_S
            await asyncio.sleep(PROBE_S)
            worst = max(worst, time.perf_counter() - due)

    probing = asyncio.create_task(probe())
    await work()
    stop = True
    await probing
    return worst


async def _trade(exchange: Exchange) -> None:
    """Opens and closes, durably, until cancelled."""
    chance, number = random.Random(5), 10**12
    while True:
        number += 1
        opened = await exchange.do(order(chance, TRADER, number))
        assert isinstance(opened, Done), opened
        await exchange.do(CloseTrade(TRADER, order_id(number)))
        await asyncio.sleep(TRADER_PAUSE_S)


def _pretend_journal_up_to(data_dir: Path, seq: int) -> None:
    """A last record for the journal to go on from: what is measured never reads those before it."""
    record = Record(seq, 1, AccountOpened(account_id(0), "nobody@example.com", 0))
    with closing(sqlite3.connect(data_dir / JOURNAL_DB)) as connection, connection:
        execute_batch(connection, INSERT_RECORD, [encode(record)])

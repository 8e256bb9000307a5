"""Rows of recovery: what `serve` does before it opens its port, against plainly decoding the bytes it needs.

Once from a snapshot of many open trades, once by replaying a journal from its first record. The baselines read the same
rows with plain `sqlite3`, check and decode them with our codec, and throw them away. Files are in the system's cache
for both, as they are for a process that is restarted.
"""

import asyncio
import random
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from exness.config import load
from exness.core.commands import CloseTrade, OpenAccount
from exness.core.events import Record
from exness.core.plain import PlainAccount
from exness.runtime.recovery import recover
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Writer
from exness.storage.codec import decode
from exness.storage.files import JOURNAL_DB, SNAPSHOTS_DB
from exness.storage.journal_rows import SELECT_RECORDS
from exness.storage.opened import Storage
from exness.storage.sqlite import open_storage
from tests.bench.books import DEPOSIT, account_id, do, opening, order, wander, wide_rules
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child
from tests.support.books import make_engine

BATCH = 20_000
ACCOUNTS = 1_000


async def measure_recovery(settings: Settings, progress: Progress) -> list[Figure]:
    """Each round in a process of its own."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        for kind, size in (("snapshot", settings.snapshot_trades), ("replay", settings.events)):
            data_dir, rounds, notes = Path(folder) / kind, [], []
            progress.say(f"recovery: preparing {size:,} {'open trades' if kind == 'snapshot' else 'events'}")
            await in_child(settings, __name__, f"prepare_{kind}", data_dir=data_dir, size=size)
            for number in range(settings.recovery_rounds):
                arguments = {"data_dir": data_dir, "kind": kind, "ours_first": number % 2 == 0}
                done = await in_child(settings, __name__, "recovery", **arguments)
                rounds.append(Round(done["ours_s"], done["theirs_s"]))
                notes.append(done["recovered"])
                progress.say(f"recovery: {kind} {done['ours_s']:.2f} s, decoding {done['theirs_s']:.2f} s")
            figures.append(figure(f"recovery.{kind}", "s", rounds, size=size, recovered=notes))
    return figures


# --- in a process of their own --------------------------------------------------------------------------------------


def prepare_snapshot(data_dir: str, size: int) -> None:
    """A data directory with so many open trades and a snapshot of all of it."""
    engine = make_engine(wide_rules())

    async def prepare() -> None:
        async with storage_in(Path(data_dir)) as storage:
            await _append(storage, opening(engine, size))
            writer = Writer(storage.journal, durable_seq=engine.state.seq, bound=1, batch=1)
            await Snapshotter(engine.state, writer, storage.snapshots, 1.0, 0).take()

    asyncio.run(prepare())


def prepare_replay(data_dir: str, size: int) -> None:
    """A data directory with so many events and no snapshot: accounts, then trades that come and go."""

    async def prepare() -> None:
        async with storage_in(Path(data_dir)) as storage:
            await _append(storage, _coming_and_going(size))

    asyncio.run(prepare())


def recovery(data_dir: str, kind: str, ours_first: bool) -> dict[str, Any]:
    """Seconds to recover, and to decode."""
    decoding = decode_snapshot if kind == "snapshot" else decode_journal
    place, theirs_s = Path(data_dir), 0.0
    if not ours_first:
        theirs_s = decoding(place)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ours_s, recovered = runner.run(_recover(place))
    return {"ours_s": ours_s, "theirs_s": theirs_s or decoding(place), "recovered": recovered}


async def _recover(place: Path) -> tuple[float, dict[str, float]]:
    async with storage_in(place) as storage:
        began = time.perf_counter()
        done = await recover(storage.journal, storage.snapshots)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        await storage.journal.check(up_to=done.snapshot_seq)
        check_s = time.perf_counter() - began
    assert not done.notes, done.notes
    counts = {"snapshot": done.snapshot_seq, "replayed": done.replayed, "open": done.state.open_trades}
    return seconds, {**counts, "of_it_checking_the_journal_s": check_s}


def decode_snapshot(place: Path) -> float:
    """Seconds to read, inflate and decode the accounts of the one snapshot there is."""
    chunks, account = msgspec.msgpack.Decoder(list[bytes]).decode, msgspec.msgpack.Decoder(PlainAccount).decode
    with closing(sqlite3.connect(place / SNAPSHOTS_DB)) as connection:
        began = time.perf_counter()
        for (data,) in connection.execute("SELECT accounts FROM chunks ORDER BY seq, n"):
            for encoded in chunks(zlib.decompress(data)):
                account(encoded)
        return time.perf_counter() - began


def decode_journal(place: Path) -> float:
    """Seconds to read, check and decode every record."""
    with closing(sqlite3.connect(place / JOURNAL_DB)) as connection:
        began = time.perf_counter()
        for row in connection.execute(SELECT_RECORDS, (0, -1)):
            decode(row)
        return time.perf_counter() - began


def storage_in(place: Path) -> Any:
    """The storage `serve` opens there."""
    return open_storage(place, load(None, {}, {}).instruments())


async def _append(storage: Storage, records: Iterable[Record]) -> None:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            await storage.journal.append(batch)
            batch = []
    await storage.journal.append(batch)


def _coming_and_going(events: int) -> Iterator[Record]:
    engine, chance, made = make_engine(wide_rules()), random.Random(3), 0
    wander(engine, 0)
    for number in range(ACCOUNTS):
        account = account_id(number)
        yield from do(engine, OpenAccount(account, f"{account}@example.com", DEPOSIT))
        made += 1
    while made < events:
        opens = order(chance, account_id(made % ACCOUNTS), made)
        yield from do(engine, opens)
        yield from do(engine, CloseTrade(opens.account, opens.trade_id))
        made += 2

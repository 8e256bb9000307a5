"""storage/takeover.py: a directory of before journal.db is taken over, whenever that is killed, and nothing is lost."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from exness.core.capture import digest_of
from exness.core.events import Record
from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.runtime.ports.journal import StorageError
from exness.runtime.recovery import recover
from exness.storage import takeover
from exness.storage.backup import backup, restore
from exness.storage.database import DatabaseRefused
from exness.storage.files import EXCHANGE_DBS, JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB
from exness.storage.rebuild import rebuild
from exness.storage.repair import find_damage
from exness.storage.sqlite import open_storage
from exness.storage.takeover import take_over, take_over_steps
from exness.storage.verify import verify, verify_directory
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import random_trading, read_all
from tests.storage.damage import checked, contents, make_directory, make_older, old_row
from tests.support.books import SOL
from tests.support.process import ROOT
from tests.support.waiting import until

DESK = random_trading(31, steps=150)
"""Read only."""
CANDLES = CandleBatch(
    [Candle(SOL, Interval.M1, start, 1, 4, 1, 2, volume=7, trades=3) for start in (0, 60, 120)],
    [Counted(SOL, 130_000_000, 3)],
)

KILLS = """
import os, shutil, sys
from pathlib import Path
from exness.storage import takeover
takeover.ROWS_AT_ONCE = 40
source, target = map(Path, sys.argv[1:])
done = False
for steps in range(100):
    folder = target / str(steps)
    shutil.copytree(source, folder)
    child = os.fork()
    if child == 0:
        made = takeover.take_over_steps(folder)
        for _ in range(steps):
            if next(made, None) is None:
                os._exit(1)
        os._exit(0)  # as a kill does: nothing is closed, nothing is written any more
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1:
        break
"""
"""Take copies of a directory over, each killed one step later than the one before, the last one not at all."""


async def make_old(data_dir: Path) -> None:
    await make_directory(data_dir, DESK.records, [DESK.state.seq])
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        await storage.candles.write(CANDLES, DESK.state.seq)
    make_older(data_dir)
    assert list(contents(data_dir)) == [MAIN_DB, SNAPSHOTS_DB]


async def assert_taken_over(data_dir: Path) -> None:
    """The next start finds everything, and leaves nothing else behind."""
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        assert await read_all(storage.journal) == DESK.records
        assert await storage.candles.candles(CandleQuery(SOL, Interval.M1)) == CANDLES.candles
        assert (await storage.candles.newest_candles()).counted == CANDLES.counted
        assert await storage.candles.heard() == DESK.state.seq
        recovered = await recover(storage.journal, storage.snapshots)
        assert (recovered.snapshot_seq, recovered.notes) == (DESK.state.seq, [])
        assert recovered.digest == digest_of(DESK.state)
        assert (await storage.tables.watermark()).seq == 0
        await storage.tables.write(DESK.records)
    assert list(contents(data_dir)) == sorted(EXCHANGE_DBS)
    assert with_own_connection(data_dir / JOURNAL_DB, "SELECT count(*) FROM assets") == [(len(INSTRUMENTS),)]
    assert checked(data_dir).tables == DESK.state.seq


def killed_at_every_step(old: Path, killed: Path) -> list[Path]:
    killed.mkdir()
    command = [sys.executable, "-c", KILLS, str(old), str(killed)]
    subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    return sorted(killed.iterdir(), key=lambda folder: int(folder.name))


async def test_everything_is_there_after_it(tmp_path: Path) -> None:
    await make_old(tmp_path)
    await assert_taken_over(tmp_path)
    assert await take_over(tmp_path) is False, "there is nothing left to do"


async def test_whenever_it_is_killed_nothing_is_lost_and_the_next_start_goes_on(tmp_path: Path) -> None:
    await make_old(tmp_path / "old")
    folders = killed_at_every_step(tmp_path / "old", tmp_path / "killed")
    assert len(folders) > 12
    both = 0
    for folder in folders:
        both += (folder / JOURNAL_DB).exists() and (folder / MAIN_DB).exists()
        journal = JOURNAL_DB if (folder / JOURNAL_DB).exists() else MAIN_DB
        report = verify(folder / journal, folder / SNAPSHOTS_DB, lambda done, total: None)
        assert (report.records, report.digest) == (DESK.state.seq, digest_of(DESK.state)), folder.name
        await assert_taken_over(folder)
    assert both > 0, "it was also killed between the two files"


async def test_one_that_is_killed_again_and_again_still_gets_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was begun is gone on with: each life does a few chunks more of it."""
    monkeypatch.setattr(takeover, "ROWS_AT_ONCE", 5)
    await make_old(tmp_path)
    lives = 0
    while takeover.holds_old_journal(tmp_path / MAIN_DB):
        lives += 1
        assert lives < 20
        with closing(take_over_steps(tmp_path)) as steps:
            for _ in range(9):
                next(steps, None)
    assert lives > 2
    await assert_taken_over(tmp_path)


async def test_what_a_killed_server_left_in_the_log_is_taken_over_too(tmp_path: Path) -> None:
    await make_old(tmp_path / "old")
    late = DESK.records[-7:]
    with closing(sqlite3.connect(tmp_path / "old" / MAIN_DB, isolation_level=None)) as server:
        server.execute("DELETE FROM journal WHERE seq >= ?", (late[0].seq,))
        server.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        server.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", [old_row(record) for record in late])
        shutil.copytree(tmp_path / "old", tmp_path / "killed")
    await assert_taken_over(tmp_path / "killed")


async def test_verify_and_backup_take_it_as_it_lies_and_a_restore_takes_it_over(tmp_path: Path) -> None:
    await make_old(tmp_path / "old")
    before = contents(tmp_path / "old")
    report = verify_directory(tmp_path / "old", lambda done, total: None)
    assert (report.records, report.snapshots, report.tables) == (DESK.state.seq, 1, None)
    assert contents(tmp_path / "old") == before
    backup(tmp_path / "old", tmp_path / "copy.db", lambda done, total: None)
    assert verify(tmp_path / "copy.db", None, lambda done, total: None).digest == digest_of(DESK.state)
    restore(tmp_path / "copy.db", tmp_path / "new")
    shutil.copy(tmp_path / "old" / SNAPSHOTS_DB, tmp_path / "new" / SNAPSHOTS_DB)
    (tmp_path / "new" / "lock").unlink()
    await assert_taken_over(tmp_path / "new")


async def test_a_rebuild_and_a_repair_say_what_takes_it_over(tmp_path: Path) -> None:
    await make_old(tmp_path)
    before = contents(tmp_path)
    for command in (rebuild, find_damage):
        with pytest.raises(StorageError, match=r"has no journal\.db: .* start the server once, which takes it over"):
            command(tmp_path, lambda done, total: None)
    assert contents(tmp_path) == before


async def test_a_disk_without_room_for_a_second_copy_is_refused_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_old(tmp_path)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("exness.storage.takeover.shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(DatabaseRefused, match="bytes must be free there; 1,000 are: make room, then start again"):
            await take_over(tmp_path)
    assert contents(tmp_path) == before
    await assert_taken_over(tmp_path)


async def test_a_copy_that_was_begun_of_another_exchange_is_thrown_away(tmp_path: Path) -> None:
    await make_old(tmp_path / "mine")
    other = random_trading(5, steps=30)
    await make_directory(tmp_path / "other", other.records)
    shutil.copy(tmp_path / "other" / JOURNAL_DB, tmp_path / "mine" / f"{JOURNAL_DB}.part")
    with pytest.raises(StorageError, match="start again, it is made anew"):
        await take_over(tmp_path / "mine")
    assert not (tmp_path / "mine" / JOURNAL_DB).exists()
    await assert_taken_over(tmp_path / "mine")


async def records_beside(data_dir: Path, records: list[Record]) -> None:
    """A journal.db with these records beside an older main.db."""
    await make_directory(data_dir / "new", records)
    (data_dir / "new" / JOURNAL_DB).rename(data_dir / JOURNAL_DB)
    shutil.rmtree(data_dir / "new")


async def test_an_older_main_db_goes_only_when_the_journal_has_all_of_it(tmp_path: Path) -> None:
    await make_old(tmp_path)
    await records_beside(tmp_path, DESK.records[:-1])
    before = contents(tmp_path)
    with pytest.raises(DatabaseRefused, match="one of them is of another exchange; move that one away"):
        await take_over(tmp_path)
    assert {name: contents(tmp_path)[name] for name in (MAIN_DB, JOURNAL_DB)} == {
        name: before[name] for name in (MAIN_DB, JOURNAL_DB)
    }


async def test_a_start_that_is_stopped_in_it_ends_between_two_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "ROWS_AT_ONCE", 10)
    await make_old(tmp_path)
    taking = asyncio.create_task(take_over(tmp_path))
    await until((tmp_path / f"{JOURNAL_DB}.part").exists)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not (tmp_path / JOURNAL_DB).exists()
    assert not (tmp_path / MARKET_DB).exists()
    await assert_taken_over(tmp_path)

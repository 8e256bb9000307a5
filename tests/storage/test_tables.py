"""storage/tables.py: the tables in main.db are the state, and are made anew when they can't be gone on with."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exness.core.evolve import evolve
from exness.core.state import State
from exness.runtime.ports.journal import StorageError
from exness.runtime.projector import Projector
from exness.storage import rows as row_types
from exness.storage.database import DatabaseRefused
from exness.storage.files import JOURNAL_DB, MAIN_DB
from exness.storage.rebuild import rebuild
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import append_all, batches, random_trading
from tests.storage.damage import checked, make_directory, tamper, write_all
from tests.storage.tables import all_tables, assert_tables_are, rows
from tests.support.books import assert_books_balance, known_history
from tests.support.lanes import examples

DESK = random_trading(8, steps=120)
"""Read only."""


@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 200))
def test_after_any_trading_the_tables_are_the_state(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
) -> None:
    data_dir = tmp_path_factory.mktemp("any")
    desk = random_trading(seed, steps)

    async def run() -> None:
        async with open_storage(data_dir, INSTRUMENTS) as storage:
            await write_all(storage, desk.records, seed)

    asyncio.run(run())
    assert_tables_are(data_dir, desk.state, desk.records)
    assert_books_balance(desk.state)


async def test_the_tables_are_the_state_after_every_batch(tmp_path: Path) -> None:
    state = State()
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for batch in batches(DESK.records):
            await storage.tables.write(batch)
            for record in batch:
                evolve(state, record)
            assert_tables_are(tmp_path, state, DESK.records[: state.seq])


@pytest.mark.parametrize(
    ("sabotage", "sentence"),
    [
        ("CREATE TRIGGER no BEFORE INSERT ON account_records BEGIN SELECT raise(ABORT, 'disk'); END", "can't be used"),
        ("CREATE TRIGGER no BEFORE UPDATE ON watermark BEGIN SELECT raise(ROLLBACK, 'disk'); END", "can't be used"),
        ("DELETE FROM balances WHERE account_id = 'bob'", "a row of balances that the journal changes is not there"),
        ("DELETE FROM sums", "a row of sums that the journal changes is not there: run `exness rebuild`"),
    ],
)
async def test_a_transaction_that_fails_leaves_nothing_half_applied(
    tmp_path: Path, sabotage: str, sentence: str
) -> None:
    records = known_history().records
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.tables.write(records[:3])
        with_own_connection(tmp_path / MAIN_DB, sabotage)
        before = all_tables(tmp_path)
        for _ in range(2):
            with pytest.raises(StorageError, match=sentence):
                await storage.tables.write(records[3:])
            assert all_tables(tmp_path) == before
            assert (await storage.tables.watermark()).seq == 3


async def filled(data_dir: Path) -> dict[str, list[tuple[object, ...]]]:
    """Open it as a start does, and let the tables follow to the journal's end. Returns them."""
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        last_seq, mark = await storage.journal.last_seq(), await storage.tables.watermark()
        projector = Projector(storage.tables, storage.journal, seq=mark.seq, durable_seq=last_seq)
        following = asyncio.create_task(projector.run())
        await projector.reached(last_seq)
        projector.close()
        await following
    return all_tables(data_dir)


STALE = {
    "of another version": (
        f"PRAGMA user_version = {row_types.VERSION + 1}",
        f"they are of version {row_types.VERSION + 1}",
    ),
    "of an older version": ("PRAGMA user_version = 5", "they are of version 5"),
    "ahead of the journal": ("UPDATE watermark SET seq = seq + 1", "they were at record"),
    "of another journal": ("UPDATE watermark SET checksum = checksum + 1", "they are of another journal"),
}


@pytest.mark.parametrize("what", STALE)
async def test_tables_that_can_not_be_gone_on_with_are_made_anew_by_themselves(tmp_path: Path, what: str) -> None:
    statement, why = STALE[what]
    await make_directory(tmp_path, DESK.records)
    right = all_tables(tmp_path)
    tamper(tmp_path / MAIN_DB, "UPDATE balances SET free = 7")
    with_own_connection(tmp_path / MAIN_DB, statement)
    with capture_logs() as said:
        assert await filled(tmp_path) == right
    assert [(line["event"], why in line["why"]) for line in said] == [
        ("the tables are made anew from the journal", True)
    ]
    assert checked(tmp_path).tables == len(DESK.records)


@pytest.mark.parametrize("damage", ["missing", "empty", "no database", "half of it"])
async def test_tables_that_are_lost_or_damaged_are_made_anew(tmp_path: Path, damage: str) -> None:
    await make_directory(tmp_path, DESK.records)
    right, path = all_tables(tmp_path), tmp_path / MAIN_DB
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "no database":
            path.write_bytes(b"no database" * 1000)
        case _:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert await filled(tmp_path) == right


async def test_tables_that_are_behind_go_on_from_where_they_are(tmp_path: Path) -> None:
    await make_directory(tmp_path / "whole", DESK.records)
    async with open_storage(tmp_path / "behind", INSTRUMENTS) as storage:
        await append_all(storage.journal, DESK.records)
        await storage.tables.write(DESK.records[:50])
    with_own_connection(tmp_path / "behind" / MAIN_DB, "CREATE TABLE still_the_same_file (a)")
    assert checked(tmp_path / "behind").tables == 50, "verify takes them as far as they have come"
    assert await filled(tmp_path / "behind") == all_tables(tmp_path / "whole")
    assert rows(tmp_path / "behind", "SELECT count(*) FROM still_the_same_file") == [(0,)]


async def test_tables_beside_an_empty_journal_prove_that_it_was_lost(tmp_path: Path) -> None:
    await make_directory(tmp_path, DESK.records)
    (tmp_path / JOURNAL_DB).unlink()
    before = (tmp_path / MAIN_DB).read_bytes()
    with pytest.raises(DatabaseRefused, match=r"the journal is empty, but .*journal\.db was lost"):
        await filled(tmp_path)
    assert (tmp_path / MAIN_DB).read_bytes() == before


async def test_another_applications_file_is_left_alone(tmp_path: Path) -> None:
    await make_directory(tmp_path, DESK.records)
    tamper(tmp_path / MAIN_DB, "UPDATE balances SET free = 7")
    with_own_connection(tmp_path / MAIN_DB, "PRAGMA application_id = 7")
    before = (tmp_path / MAIN_DB).read_bytes()
    with pytest.raises(DatabaseRefused, match="belongs to another application"):
        await filled(tmp_path)
    assert (tmp_path / MAIN_DB).read_bytes() == before


async def test_a_rebuild_makes_the_same_tables_and_tells_how_far_it_is(tmp_path: Path) -> None:
    await make_directory(tmp_path, DESK.records)
    right = all_tables(tmp_path)
    tamper(tmp_path / MAIN_DB, "UPDATE trades SET margin = margin + 1")
    calls: list[tuple[int, int]] = []
    assert rebuild(tmp_path, lambda done, total: calls.append((done, total))) == len(DESK.records)
    assert calls[-1] == (len(DESK.records), len(DESK.records))
    assert all_tables(tmp_path) == right
    assert checked(tmp_path).tables == len(DESK.records)


async def test_a_rebuild_that_was_killed_is_gone_on_with_by_the_next_start(tmp_path: Path) -> None:
    await make_directory(tmp_path, DESK.records)
    right = all_tables(tmp_path)

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exness.storage.rebuild.RECORDS_AT_ONCE", 30)
        with pytest.raises(Killed):
            rebuild(tmp_path, kill)
    assert checked(tmp_path).tables == 30
    assert await filled(tmp_path) == right


def test_the_tables_are_strict(tmp_path: Path) -> None:
    asyncio.run(make_directory(tmp_path, []))
    connection = sqlite3.connect(tmp_path / MAIN_DB)
    strict = connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    connection.close()
    assert {name for name, is_strict in strict if not is_strict} == {"sqlite_schema"}

"""Opening database files: settings, migrations, refusals."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from exness.runtime.listings import Listing
from exness.runtime.ports.journal import StorageError
from exness.storage import database
from exness.storage.auth import open_auth
from exness.storage.database import (
    SNAPSHOTS,
    DatabaseDamaged,
    DatabaseRefused,
    Schema,
    explain,
    migrations,
    open_reader,
)
from exness.storage.files import EXCHANGE_DBS, JOURNAL_DB, SNAPSHOTS_DB
from exness.storage.journal import JOURNAL, SqliteJournal
from exness.storage.snapshots import SnapshotStoreDamaged, SqliteSnapshots
from exness.storage.sqlite import open_storage, set_snapshots_aside
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import read_all
from tests.storage.tables import journal_rows
from tests.support.books import ANN, BTC, SOL, desk_with, known_history, open_trade


async def open_once(data_dir: Path) -> None:
    async with open_storage(data_dir, INSTRUMENTS):
        pass


def files(data_dir: Path) -> list[str]:
    return sorted(path.name for path in data_dir.iterdir())


async def test_a_migration_that_is_cancelled_ends_at_once_and_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal does that comes in a long one. The next start does it anew."""
    await open_once(tmp_path)
    before = with_own_connection(tmp_path / JOURNAL_DB, "SELECT name FROM sqlite_schema")
    scripts, started = migrations(JOURNAL), threading.Event()
    endless = (
        "CREATE TABLE new AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n;"
    )

    def with_a_long_one(schema: Schema) -> list[str]:
        started.set()
        return [*scripts, endless] if schema == JOURNAL else migrations(schema)

    monkeypatch.setattr("exness.storage.database.migrations", with_a_long_one)
    opening = asyncio.create_task(open_once(tmp_path))
    await asyncio.to_thread(started.wait)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    monkeypatch.undo()
    assert with_own_connection(tmp_path / JOURNAL_DB, "PRAGMA user_version") == [(len(scripts),)]
    assert with_own_connection(tmp_path / JOURNAL_DB, "SELECT name FROM sqlite_schema") == before
    await open_once(tmp_path)


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
async def test_commits_are_as_safe_as_sqlite_makes_them(tmp_path: Path, database: str) -> None:
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        assert isinstance(storage.journal, SqliteJournal)
        assert isinstance(storage.snapshots, SqliteSnapshots)
        writer = storage.journal._writer if database == JOURNAL_DB else storage.snapshots._database

        def pragma(connection: sqlite3.Connection, name: str) -> object:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]

        settings = {
            name: await writer.run(pragma, name)
            for name in (
                "journal_mode",
                "synchronous",
                "fullfsync",
                "checkpoint_fullfsync",
                "foreign_keys",
                "busy_timeout",
                "auto_vacuum",
            )
        }
        full, incremental = 2, 2
        assert settings == {
            "journal_mode": "wal",
            "synchronous": full,
            "fullfsync": 1,
            "checkpoint_fullfsync": 1,
            "foreign_keys": 1,
            "busy_timeout": 5000,
            "auto_vacuum": incremental,
        }


@pytest.mark.parametrize(("database", "schema"), [(JOURNAL_DB, JOURNAL), (SNAPSHOTS_DB, SNAPSHOTS)])
async def test_an_empty_directory_gets_databases_of_the_newest_version(
    tmp_path: Path, database: str, schema: object
) -> None:
    data_dir = tmp_path / "not" / "yet there"
    await open_once(data_dir)
    path = data_dir / database
    expected = JOURNAL if schema == JOURNAL else SNAPSHOTS
    assert with_own_connection(path, "PRAGMA application_id") == [(expected.application_id,)]
    assert with_own_connection(path, "PRAGMA user_version") == [(len(migrations(expected)),)]
    strict = with_own_connection(path, "SELECT name, strict FROM pragma_table_list WHERE schema = 'main'")
    assert {name for name, is_strict in strict if not is_strict} == {"sqlite_schema"}


async def test_of_many_who_make_a_database_at_once_one_makes_its_tables(tmp_path: Path) -> None:
    """Each has a connection and a thread of its own, as processes have; all of them see the same tables."""

    async def issuer() -> str:
        async with open_auth(tmp_path) as auth:
            return (await auth.revocations(0)).issuer

    issuers = set(await asyncio.gather(*(issuer() for _ in range(8))))
    assert len(issuers) == 1
    assert len(issuers.pop()) == 32, "the id of a new store"


def test_a_lock_that_sqlite_does_not_wait_for_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives up at once on some locks, whatever its timeout."""
    tried: list[str] = []

    def pragma(connection: sqlite3.Connection, pragma: str) -> int | str:
        if pragma == "journal_mode = WAL" and len(tried) < 3:
            tried.append(pragma)
            busy = sqlite3.OperationalError("database is locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise busy
        return real(connection, pragma)

    real = database._pragma
    monkeypatch.setattr(database, "_pragma", pragma)
    with closing(sqlite3.connect(tmp_path / JOURNAL_DB, isolation_level=None)) as connection:
        database.prepare(connection, tmp_path / JOURNAL_DB, JOURNAL)
        assert real(connection, "journal_mode") == "wal"
    assert len(tried) == 3


async def test_opening_again_changes_nothing_and_finds_everything(tmp_path: Path) -> None:
    records = known_history().records
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(records)
    for _ in range(2):
        async with open_storage(tmp_path, INSTRUMENTS) as storage:
            assert await read_all(storage.journal) == records
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        with pytest.raises(StorageError, match=f"the next one is {len(records) + 1}"):
            await storage.journal.append(records[:1])


async def test_closing_folds_the_logs_in_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(known_history().records)
        threads = set(threading.enumerate()) - before
    assert len(threads) == 7, "journal.db, main.db and market.db to write and to read each, snapshots.db"
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert files(tmp_path) == sorted(EXCHANGE_DBS)


async def test_a_reader_can_not_write(tmp_path: Path) -> None:
    async with open_storage(tmp_path, INSTRUMENTS), open_reader(tmp_path / JOURNAL_DB) as reader:
        with pytest.raises(StorageError, match="can't be written"):
            await reader.run(lambda connection: connection.execute("DELETE FROM journal"))


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
async def test_a_database_of_a_newer_version_is_refused_and_untouched(tmp_path: Path, database: str) -> None:
    await open_once(tmp_path)
    path = tmp_path / database
    with_own_connection(path, "PRAGMA user_version = 99")
    with_own_connection(path, "PRAGMA journal_mode = DELETE")
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused, match=r"was written by a newer version of exness \(schema 99, this one") as no:
        await open_once(tmp_path)
    assert str(path) in str(no.value)
    assert "use that version" in str(no.value)
    assert path.read_bytes() == before


def another_application(path: Path) -> None:
    with_own_connection(path, "PRAGMA application_id = 7")


def somebody_elses_tables(path: Path) -> None:
    with_own_connection(path, "CREATE TABLE cats (name)")


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
@pytest.mark.parametrize("make", [another_application, somebody_elses_tables])
async def test_another_applications_database_is_refused_and_untouched(
    tmp_path: Path, database: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / database
    make(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused, match="belongs to another application: move it away") as no:
        await open_once(tmp_path)
    assert str(path) in str(no.value)
    assert path.read_bytes() == before


async def test_databases_that_changed_places_are_refused(tmp_path: Path) -> None:
    await open_once(tmp_path)
    (tmp_path / JOURNAL_DB).rename(tmp_path / "other")
    (tmp_path / SNAPSHOTS_DB).rename(tmp_path / JOURNAL_DB)
    with pytest.raises(DatabaseRefused, match="belongs to another application"):
        await open_once(tmp_path)


async def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_DB
    path.write_bytes(b"These are not the pages you are looking for. " * 100)
    before = path.read_bytes()
    with pytest.raises(DatabaseDamaged, match="is damaged or no SQLite database") as no:
        await open_once(tmp_path)
    assert str(path) in str(no.value)
    assert "restore a backup" in str(no.value)
    assert path.read_bytes() == before


async def test_a_directory_in_the_place_of_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_DB).mkdir()
    with pytest.raises(DatabaseRefused, match="it must be a file in a directory that can be written"):
        await open_once(tmp_path)


async def test_a_data_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for data_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DatabaseRefused, match=r"the data directory .* can't be made"):
            await open_once(data_dir)


async def test_a_database_that_another_process_writes_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exness.storage.database.BUSY_TIMEOUT_MS", 50)
    await open_once(tmp_path)
    with closing(sqlite3.connect(tmp_path / JOURNAL_DB, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await open_once(tmp_path)  # nothing is to be written
        with pytest.raises(StorageError, match="another process holds it"):
            async with open_storage(tmp_path, {SOL: Listing(SOL, 6, 5_000, "Solana II", "SOL_USD", "")}):
                pass


async def test_a_snapshot_store_that_is_none_can_be_moved_aside_and_made_anew(tmp_path: Path) -> None:
    records = known_history().records
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(records)
    (tmp_path / SNAPSHOTS_DB).write_bytes(b"no database" * 1000)
    with pytest.raises(SnapshotStoreDamaged, match="move it away, the journal brings everything back") as no:
        await open_once(tmp_path)
    assert str(tmp_path / SNAPSHOTS_DB) in str(no.value)
    aside = set_snapshots_aside(tmp_path)
    assert aside.read_bytes() == b"no database" * 1000
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        assert await storage.snapshots.infos() == []
        assert await read_all(storage.journal) == records
    assert set_snapshots_aside(tmp_path) != aside


async def test_assets_follow_the_configuration(tmp_path: Path) -> None:
    await open_once(tmp_path)
    gold = Listing(SOL, 6, 5_000, "Solana II", "SOL_USD", "sol.svg")
    async with open_storage(tmp_path, {SOL: gold}):
        pass
    assert journal_rows(tmp_path, "SELECT * FROM assets WHERE symbol = 'SOL'") == [
        ("SOL", "Solana II", 6, "SOL_USD", "sol.svg", 5_000)
    ]
    assert journal_rows(tmp_path, "SELECT count(*) FROM assets") == [(3,)], "one no longer configured stays"


async def test_an_assets_decimals_can_change_while_it_has_no_trades(tmp_path: Path) -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", SOL))
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(desk.records)
    fine_btc = Listing(BTC, 6, 10_000, "Bitcoin", "BTC_USDC", "")
    async with open_storage(tmp_path, INSTRUMENTS | {BTC: fine_btc}):
        assert journal_rows(tmp_path, "SELECT decimals FROM assets WHERE symbol = 'BTC'") == [(6,)]


async def test_other_decimals_for_an_asset_with_trades_are_refused(tmp_path: Path) -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", SOL))
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(desk.records)
    coarse = Listing(SOL, 4, 10_000, "Solana", "SOL_USDC", "")
    with pytest.raises(DatabaseRefused, match=r"trades of SOL at 6 decimals.*set assets\.SOL\.decimals back to 6"):
        async with open_storage(tmp_path, INSTRUMENTS | {SOL: coarse}):
            pass
    await open_once(tmp_path)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (sqlite3.SQLITE_FULL, "the disk is full: make room, then start again"),
        (sqlite3.SQLITE_IOERR, "the disk reports an error"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk reports an error"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "it can't be written: check the permissions"),
        (sqlite3.SQLITE_CORRUPT, "is damaged or no SQLite database"),
    ],
)
def test_what_sqlite_reports_is_told_in_a_sentence(code: int, sentence: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    told = str(explain(Path("main.db"), error))
    assert "main.db" in told
    assert sentence in told
    assert "as SQLite says it" in told

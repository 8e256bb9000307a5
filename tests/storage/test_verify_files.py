"""verify on files: what a kill left, what is no database or another one, and how much memory it takes."""

import os
import re
import shutil
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zlib import crc32

import pytest

from exness.core.capture import digest_of
from exness.core.events import Record
from exness.core.instruments import Side
from exness.runtime.ports.journal import StorageError
from exness.storage.files import JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from exness.storage.verify_tables import Difference
from tests.contracts.backends import INSTRUMENTS
from tests.storage.agreeing import DESK, MIDDLE
from tests.storage.damage import (
    checked,
    contents,
    row_of,
    tamper,
    write_all,
)
from tests.support.books import (
    ANN,
    close_trade,
    desk_with,
    open_trade,
)
from tests.support.process import Server, finished

# --- what a kill left -----------------------------------------------------------------------------------------------


async def killed_server(data_dir: Path) -> str:
    """What a kill leaves behind: records in the write-ahead log. Returns what a start recovers from it."""
    async with Server(data_dir, env={"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.05"}) as server:
        token = await server.token("ann@example.com")
        for number in range(5):
            body = {"asset": "SOL", "type": "long", "margin": 1 + number, "leverage": 2}
            answer = await server.post("/trade/create", token, body)
            assert answer.status == 200
        server.kill()
        await server.restart()
        state = server.banner("state")
        server.kill()
        await server.wait()
    assert (data_dir / f"{JOURNAL_DB}-wal").stat().st_size > 0
    return state


@pytest.mark.slow
@pytest.mark.parametrize("index", ["left", "lost"])
async def test_what_a_killed_server_left_agrees_with_the_next_banner_and_stays_untouched(
    tmp_path: Path, index: str
) -> None:
    data_dir = tmp_path / "data"
    state = await killed_server(data_dir)
    if index == "lost":
        for database in (JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB):
            (data_dir / f"{database}-shm").unlink()
    before = contents(data_dir)
    done = await finished("verify", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert contents(data_dir) == before
    assert re.search(rf"^  state +{state}$", done.output, re.MULTILINE)
    assert "  journal       6 records" in done.output


@pytest.mark.parametrize("index", ["left", "lost"])
@pytest.mark.parametrize("database", [JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB])
def test_a_log_of_which_a_kill_left_the_header_alone_is_no_log(
    data_dir: Path, tmp_path: Path, database: str, index: str
) -> None:
    killed = tmp_path / "killed"
    with closing(sqlite3.connect(data_dir / database, isolation_level=None)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {version}")  # one frame, which changes nothing
        shutil.copytree(data_dir, killed)
    log = killed / f"{database}-wal"
    assert log.stat().st_size > 4096, "the header and a page"
    os.truncate(log, 32)
    if index == "lost":
        (killed / f"{database}-shm").unlink()
    before = contents(killed)
    assert checked(killed).digest == digest_of(DESK.state)
    assert contents(killed) == before


# --- what can't be read ---------------------------------------------------------------------------------------------


def refusal(data_dir: Path) -> str:
    with pytest.raises((StorageError, Difference)) as found:
        checked(data_dir)
    return str(found.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_database_is_found(data_dir: Path, kept: float) -> None:
    path = data_dir / JOURNAL_DB
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * kept))
    assert refusal(data_dir)


def test_a_page_of_nonsense_is_found(data_dir: Path) -> None:
    path = data_dir / JOURNAL_DB
    root = _root_page(path, "journal")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    assert "can't be read further" in refusal(data_dir)


def _root_page(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        page: int = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    return page


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
def test_a_file_that_is_no_database_is_named(data_dir: Path, database: str) -> None:
    (data_dir / database).write_bytes(b"this is no database, however long one reads it" * 1000)
    assert f"{database} is damaged or no SQLite database" in refusal(data_dir)


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
def test_a_newer_version_is_named(data_dir: Path, database: str) -> None:
    tamper(data_dir / database, "PRAGMA user_version = 99")
    assert f"{database} was written by a newer version of exness" in refusal(data_dir)


@pytest.mark.parametrize("database", [JOURNAL_DB, SNAPSHOTS_DB])
def test_another_applications_database_is_named(data_dir: Path, database: str) -> None:
    tamper(data_dir / database, "PRAGMA application_id = 7")
    assert f"{database} belongs to another application" in refusal(data_dir)


def test_an_empty_or_missing_journal_is_named(data_dir: Path) -> None:
    (data_dir / JOURNAL_DB).write_bytes(b"")
    assert refusal(data_dir).endswith("journal.db is empty")
    (data_dir / JOURNAL_DB).unlink()
    assert refusal(data_dir).endswith("main.db holds tables and no journal, from which they are made: name that one")
    (data_dir / MAIN_DB).unlink()
    assert refusal(data_dir).endswith("journal.db is not there")


def test_the_checksum_is_the_documented_one(data_dir: Path) -> None:
    """Anyone can check a journal with nothing but SQLite and a CRC-32."""
    for row_seq in (1, MIDDLE):
        seq, at, kind, payload, request, checksum, version, cause = row_of(data_dir, row_seq)
        asked = f"{len(request.encode())} {request}{payload}"
        written = f"{seq} {at} {kind}.{version} {len(cause.encode())} {cause}{asked}"
        if version == 1 and not cause:
            written = f"{seq} {at} {kind} {asked}"
        assert checksum == crc32(written.encode())


# --- memory ---------------------------------------------------------------------------------------------------------


def churn(rounds: int) -> Iterator[Record]:
    """Records of an exchange whose state stays small, however long it runs."""
    desk = desk_with(ANN)
    yield from desk.records
    desk.records.clear()
    for number in range(rounds):
        desk.at += 1
        desk.do(open_trade(f"o-{number}", side=Side.LONG if number % 2 else Side.SHORT, margin="1", leverage="2"))
        desk.do(close_trade(f"o-{number}"))
        yield from desk.records
        desk.records.clear()


async def peak_of_verify(data_dir: Path, rounds: int) -> int:
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        batch: list[Record] = []
        for record in churn(rounds):
            batch.append(record)
            if len(batch) >= 2000:
                await write_all(storage, batch)
                batch = []
        await write_all(storage, batch)
    tracemalloc.start()
    try:
        assert checked(data_dir).records > 2 * rounds
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
async def test_its_memory_grows_with_the_state_and_not_with_the_journal(tmp_path: Path) -> None:
    await peak_of_verify(tmp_path / "warm", 10)
    short = await peak_of_verify(tmp_path / "short", 1_500)
    long = await peak_of_verify(tmp_path / "long", 15_000)
    print(f"peak over 3,000 records {short:,} bytes, over 30,000 records {long:,} bytes")
    assert long < 2 * short + 200_000

"""The journal in SQLite: all or nothing, and whatever is wrong with it is named."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exness.core.events import AccountOpened, Deposited, Record, TradeOpened
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.storage import journal
from exness.storage.files import JOURNAL_DB
from exness.storage.journal import SqliteJournal
from exness.storage.opened import Storage
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import append_all, random_trading, read_all
from tests.storage.tables import journal_rows
from tests.support.books import ANN, known_history


def all_rows(data_dir: Path) -> list[tuple[object, ...]]:
    return journal_rows(data_dir, "SELECT * FROM journal ORDER BY seq")


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        yield storage


async def test_the_journal_can_be_read_with_sql_alone(storage: Storage, tmp_path: Path) -> None:
    await storage.journal.append(known_history().records)
    asked = journal_rows(
        tmp_path, "SELECT payload ->> '$.trade.asset', payload ->> '$.balance' FROM journal WHERE seq = 4"
    )
    assert asked == [("SOL", 4_988_500_000)]


async def test_a_transaction_that_fails_leaves_nothing_half_applied(storage: Storage, tmp_path: Path) -> None:
    records = known_history().records
    await storage.journal.append(records[:3])
    no = "CREATE TRIGGER no BEFORE INSERT ON journal WHEN new.seq = 7 BEGIN SELECT raise(ABORT, 'disk'); END"
    with_own_connection(tmp_path / JOURNAL_DB, no)
    before = all_rows(tmp_path)
    with pytest.raises(StorageError, match="can't be used"):
        await storage.journal.append(records[3:])
    assert all_rows(tmp_path) == before
    with pytest.raises(StorageError, match="takes no more records"):
        await storage.journal.append(records[3:])
    assert all_rows(tmp_path) == before


async def test_a_full_disk_fails_the_whole_commit_and_what_was_written_stays(storage: Storage, tmp_path: Path) -> None:
    desk = random_trading(9, steps=400)
    await storage.journal.append(desk.records[:20])
    before = all_rows(tmp_path)

    def fill(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    assert isinstance(storage.journal, SqliteJournal)
    await storage.journal._writer.run(fill)
    with pytest.raises(StorageError, match="the disk is full: make room, then start again"):
        await storage.journal.append(desk.records[20:])
    assert all_rows(tmp_path) == before
    assert await read_all(storage.journal) == desk.records[:20]


async def test_a_number_no_row_can_hold_is_refused_and_nothing_is_written(storage: Storage, tmp_path: Path) -> None:
    before = all_rows(tmp_path)
    records = [Record(1, 5, AccountOpened(ANN, "ann@example.com", 1)), Record(2, 2**63, Deposited(ANN, 1, 2))]
    with pytest.raises(StorageError, match="over 64 bits"):
        await storage.journal.append(records)
    assert all_rows(tmp_path) == before


async def test_text_that_is_no_unicode_is_refused_and_nothing_is_written(storage: Storage, tmp_path: Path) -> None:
    before = all_rows(tmp_path)
    with pytest.raises(StorageError, match="record 1 can't be stored"):
        await storage.journal.append([Record(1, 5, AccountOpened(ANN, "ann@example.com", 1), request="\udcff")])
    assert all_rows(tmp_path) == before


async def test_an_append_given_up_by_its_caller_is_followed_by_the_next(storage: Storage) -> None:
    records = known_history().records
    append = asyncio.create_task(storage.journal.append(records[:5]))
    await asyncio.sleep(0)
    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append
    await storage.journal.append(records[5:])
    assert await read_all(storage.journal) == records


async def test_a_flipped_bit_anywhere_in_a_stored_record_is_found(storage: Storage, tmp_path: Path) -> None:
    records = known_history().records
    await storage.journal.append(records)
    seq = next(record.seq for record in records if isinstance(record.event, TradeOpened))
    ((payload,),) = journal_rows(tmp_path, "SELECT CAST(payload AS BLOB) FROM journal WHERE seq = ?", seq)
    assert isinstance(payload, bytes)
    for place in range(len(payload)):
        flipped = payload[:place] + bytes([payload[place] ^ (1 << place % 8)]) + payload[place + 1 :]
        change = "UPDATE journal SET payload = CAST(? AS TEXT) WHERE seq = ?"
        with_own_connection(tmp_path / JOURNAL_DB, change, flipped, seq)
        with pytest.raises(JournalDamaged) as damage:
            await read_all(storage.journal, after=seq - 1)
        assert damage.value.seq == seq
    with_own_connection(
        tmp_path / JOURNAL_DB, "UPDATE journal SET payload = CAST(? AS TEXT) WHERE seq = ?", payload, seq
    )
    assert await read_all(storage.journal) == records


async def test_a_page_that_makes_no_sense_to_sqlite_names_the_record_it_begins_at(tmp_path: Path) -> None:
    desk = random_trading(13, steps=500)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append(desk.records)
    path = tmp_path / JOURNAL_DB
    data = path.read_bytes()
    place = data.index(desk.records[200].request.encode() or b"request-200")
    page = place // 4096 * 4096
    path.write_bytes(data[:page] + b"\xff" * 4096 + data[page + 4096 :])
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        read: list[Record] = []

        async def read_on() -> None:
            async for chunk in storage.journal.read():
                read.extend(chunk)

        with pytest.raises(JournalDamaged) as damage:
            await read_on()
        assert damage.value.seq == len(read) + 1
        assert read == desk.records[: len(read)]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("UPDATE journal SET at = at + 1 WHERE seq = ?", "its checksum does not match"),
        ("DELETE FROM journal WHERE seq = ?", "it is missing"),
    ],
)
async def test_the_check_names_the_damaged_record_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, why: str
) -> None:
    monkeypatch.setattr(journal, "RECORDS_PER_READ", 5)
    for seq in range(1, 10):
        data_dir = tmp_path / str(seq)
        async with open_storage(data_dir, INSTRUMENTS) as storage:
            await append_all(storage.journal, known_history().records)
            for up_to in range(10):
                await storage.journal.check(up_to)
            with_own_connection(data_dir / JOURNAL_DB, what, seq)
            await storage.journal.check(seq - 1)
            for up_to in range(seq, 10):
                with pytest.raises(JournalDamaged, match=f"record {seq} is damaged: {why}"):
                    await storage.journal.check(up_to)


async def test_a_check_of_more_records_than_there_are_names_the_first_that_is_missing(storage: Storage) -> None:
    await append_all(storage.journal, known_history().records)
    with pytest.raises(JournalDamaged, match="record 10 is damaged: it is missing"):
        await storage.journal.check(12)

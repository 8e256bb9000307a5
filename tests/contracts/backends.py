"""What the contract tests run against: each storage, with the means to damage what it holds."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from exness.core.events import Record
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.snapshots import Snapshots
from exness.runtime.ports.tables import History, Tables
from exness.storage.files import JOURNAL_DB, SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from tests.contracts.trading import batches
from tests.support.books import LISTINGS
from tests.support.memory_storage import MemoryCandles, MemoryJournal, MemorySnapshots, MemoryTables
from tests.support.postgres import Postgres

INSTRUMENTS = LISTINGS
KEPT = 3
"""Snapshots."""


class Stored(msgspec.Struct):
    """A storage that keeps KEPT snapshots. `damage_record(seq)` changes one character of that record's payload,
    `lose_record(seq)` removes the record alone, `damage_snapshot(seq)` changes one byte of an account in it,
    `lose_chunk(seq)` removes its last accounts."""

    journal: Journal
    tables: Tables
    history: History
    candles: CandleStore
    snapshots: Snapshots
    damage_record: Callable[[int], None]
    lose_record: Callable[[int], None]
    damage_snapshot: Callable[[int], None]
    lose_chunk: Callable[[int], None]

    async def fill(self, records: Sequence[Record]) -> None:
        """Append records, and have the tables follow."""
        for batch in batches(records):
            await self.journal.append(batch)
            await self.tables.write(batch)


@asynccontextmanager
async def memory_backend(_: Path) -> AsyncIterator[Stored]:
    journal, snapshots = MemoryJournal(), MemorySnapshots(KEPT)

    def damage_record(seq: int) -> None:
        row = journal.rows[seq - 1]
        journal.rows[seq - 1] = (*row[:3], row[3].replace("a", "b", 1), *row[4:])

    def lose_record(seq: int) -> None:
        del journal.rows[seq - 1]

    def damage_snapshot(seq: int) -> None:
        first = snapshots.stored[seq].chunks[0]
        in_its_mail_address = first[0].index(b"@") + 1
        before, after = first[0][:in_its_mail_address], first[0][in_its_mail_address:]
        first[0] = before + bytes([after[0] ^ 1]) + after[1:]

    def lose_chunk(seq: int) -> None:
        snapshots.stored[seq].chunks.pop()

    tables, candles = MemoryTables(INSTRUMENTS), MemoryCandles()
    yield Stored(journal, tables, tables, candles, snapshots, damage_record, lose_record, damage_snapshot, lose_chunk)


@asynccontextmanager
async def sqlite_backend(data_dir: Path) -> AsyncIterator[Stored]:
    def change(database: str, statement: str) -> Callable[[int], None]:
        def changed(seq: int) -> None:
            with_own_connection(data_dir / database, statement, seq)

        return changed

    async with open_storage(data_dir, INSTRUMENTS, snapshots_kept=KEPT) as storage:
        yield Stored(
            *storage,
            change(JOURNAL_DB, "UPDATE journal SET payload = replace(payload, 'a', 'b') WHERE seq = ?"),
            change(JOURNAL_DB, "DELETE FROM journal WHERE seq = ?"),
            change(
                SNAPSHOTS_DB,
                "UPDATE chunks SET accounts = CAST(substr(accounts, 1, 9) || x'00' || substr(accounts, 11) AS BLOB)"
                " WHERE seq = ? AND n = 0",
            ),
            change(
                SNAPSHOTS_DB,
                "DELETE FROM chunks WHERE (seq, n) IN (SELECT seq, max(n) FROM chunks WHERE seq = ? GROUP BY seq)",
            ),
        )


@asynccontextmanager
async def postgres_backend(server: Postgres, schema: str) -> AsyncIterator[Stored]:
    from exness.storage.postgres.session import Address  # needs asyncpg
    from exness.storage.postgres.storage import open_storage as open_postgres

    def change(statement: str) -> Callable[[int], None]:
        def changed(seq: int) -> None:
            server.sql(f'SET search_path TO "{schema}"; {statement.format(seq=seq)}')

        return changed

    async with open_postgres(Address(server.url, schema), INSTRUMENTS, snapshots_kept=KEPT) as opened:
        yield Stored(
            *opened.storage,
            change("UPDATE journal SET payload = replace(payload, 'a', 'b') WHERE seq = {seq}"),
            change("DELETE FROM journal WHERE seq = {seq}"),
            change("UPDATE chunks SET accounts = set_byte(accounts, 9, 0) WHERE seq = {seq} AND n = 0"),
            change("DELETE FROM chunks WHERE seq = {seq} AND n = (SELECT max(n) FROM chunks WHERE seq = {seq})"),
        )


def with_own_connection(path: Path, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    """One statement by somebody else, past our code and its foreign keys."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, parameters).fetchall()
    finally:
        connection.close()

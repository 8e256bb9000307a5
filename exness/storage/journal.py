"""The journal in journal.db: one row a record, each with its checksum. Appended to, and read back whole."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from exness.core.events import Record
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.storage.archive import Archives, last_archived, row_of, rows_after
from exness.storage.batch import MOST_ROWS, execute_batch, whole
from exness.storage.codec import FINGERPRINTED, check_row, decode, encode, fingerprint
from exness.storage.database import Database, DatabaseDamaged, Schema, explain
from exness.storage.journal_rows import LAST_SEQ, SELECT_CHECKSUMS, SELECT_RECORDS

JOURNAL = Schema("journal", 0x65786D6A)

RECORDS_PER_READ = 2_000
ROWS_AT_ONCE = 4 * MOST_ROWS
"""Encoded at a time: a list of 200,000 rows takes 20 ms to be freed, in which nobody else has Python's lock."""

INSERT_RECORD = "INSERT INTO journal (seq, at, kind, payload, request, checksum, version, cause) VALUES {rows}"


class SqliteJournal:
    """Implements `ports.Journal`. One writer; readers come over a connection of their own."""

    def __init__(self, writer: Database, reader: Database, last_seq: int, archives: Archives) -> None:
        """`archives` are used on the reader's thread only."""
        self._writer = writer
        self._reader = reader
        self._last = last_seq
        self._failed = False
        self._archives = archives

    async def append(self, records: Sequence[Record]) -> None:
        """See `ports.Journal`. After a failure every further append is refused: what is on disk is then only known
        to whoever reads it again."""
        if records:
            await self._writer.run(self._append, records)

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        """See `ports.Journal`. Whole records before a damaged one are handed out first."""
        while True:
            chunk = await self._reader.run(_read_chunk, self._reader, self._archives, after)
            if chunk.records:
                yield chunk.records
                after = chunk.records[-1].seq
            if chunk.damage is not None:
                raise chunk.damage
            if len(chunk.records) < RECORDS_PER_READ:
                return

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        return await self._reader.run(pick, self._archives, seqs)

    async def last_seq(self) -> int:
        return await self._reader.run(select_last_seq)

    async def check(self, up_to: int) -> None:
        """See `ports.Journal`. About 2 us a record; payloads are not decoded. What is archived was checked then."""
        after = await self._reader.run(last_archived)
        while after < up_to:
            after = await self._reader.run(_check_chunk, self._reader, after, up_to)

    async def fingerprint(self, seq: int) -> int:
        """See `ports.Journal`. It takes a third of a millisecond."""
        rows = await self._reader.run(_select_all, SELECT_CHECKSUMS, (max(0, seq - FINGERPRINTED), seq))
        return fingerprint(checksum for (checksum,) in rows)

    def _append(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        if self._failed:
            raise StorageError(f"{self._writer.path} takes no more records since a write failed: start again")
        try:
            check_row_of_seq(self._last, records)
            with whole(connection, records):
                for first in range(0, len(records), ROWS_AT_ONCE):
                    rows = [encode(record) for record in records[first : first + ROWS_AT_ONCE]]
                    execute_batch(connection, INSERT_RECORD, rows)
        except BaseException as error:
            self._failed = True
            if isinstance(error, OverflowError):
                raise StorageError(f"records {records[0].seq} and on hold a number over 64 bits") from error
            raise
        self._last = records[-1].seq


def check_row_of_seq(last: int, records: Sequence[Record]) -> None:
    """A journal with a hole is never written."""
    for expected, record in enumerate(records, last + 1):
        if record.seq != expected:
            raise StorageError(f"record {record.seq} can't be written, the next one is {expected}")


def select_last_seq(connection: sqlite3.Connection) -> int:
    last: int = connection.execute(LAST_SEQ).fetchone()[0]
    return last


def _select_all(connection: sqlite3.Connection, statement: str, parameters: tuple[int, ...]) -> list[tuple[int]]:
    return connection.execute(statement, parameters).fetchall()


def pick(connection: sqlite3.Connection, archives: Archives, seqs: Sequence[int]) -> list[Record]:
    """Raises JournalDamaged."""
    records = []
    for seq in seqs:
        row = row_of(connection, archives, seq)
        if row is None:
            raise JournalDamaged(seq, "it is missing")
        records.append(decode(row))
    return records


class _Chunk(NamedTuple):
    records: list[Record]
    damage: JournalDamaged | None


def _read_chunk(connection: sqlite3.Connection, reader: Database, archives: Archives, after: int) -> _Chunk:
    """The next whole records, and what ends them early. Its work is done on the reader's thread."""
    records: list[Record] = []
    expected = after + 1
    try:
        for row in rows_after(connection, archives, after, RECORDS_PER_READ):
            if row[0] != expected:
                raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
            records.append(decode(row))
            expected += 1
    except JournalDamaged as damage:
        return _Chunk(records, damage)
    except sqlite3.DatabaseError as error:
        return _Chunk(records, _named(reader.path, error, expected))
    return _Chunk(records, None)


def _check_chunk(connection: sqlite3.Connection, reader: Database, after: int, up_to: int) -> int:
    """Check the next records and return the last one's seq. Raises JournalDamaged at the first that is not whole."""
    limit, expected = min(RECORDS_PER_READ, up_to - after), after + 1
    try:
        for row in connection.execute(SELECT_RECORDS, (after, limit)):
            check_row(row, expected)
            expected += 1
    except sqlite3.DatabaseError as error:
        raise _named(reader.path, error, expected) from error
    if expected <= after + limit:
        raise JournalDamaged(expected, "it is missing")
    return after + limit


def _named(path: Path, error: sqlite3.DatabaseError, seq: int) -> JournalDamaged:
    """The record at which the file can't be read further. Raises the error when it is not about the file's content."""
    explained = explain(path, error)
    if not isinstance(explained, DatabaseDamaged):
        raise error
    return JournalDamaged(seq, str(explained))

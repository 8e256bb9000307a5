"""The tables in main.db: two verbs, `put` and `change`, whose statements are made from the row structs.

With the rows of a batch goes the watermark, in the same transaction. It carries the checksum of its record: tables of
another journal, of another version, or ahead of the journal are made anew.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import cast

import msgspec

from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.ports.tables import Watermark
from exness.storage.archive import require_all
from exness.storage.batch import execute_batch
from exness.storage.changes import Kind, Values
from exness.storage.codec import checksum_of, decode
from exness.storage.database import Database, DatabaseDamaged, DatabaseRefused, Schema, explain, transaction
from exness.storage.files import remove
from exness.storage.fold import gather
from exness.storage.journal_rows import LAST_SEQ, SELECT_RECORD
from exness.storage.rows import TABLES, VERSION, Row, Table, schema
from exness.storage.wide import add, split

MAIN = Schema("main", 0x65786D6E, "NORMAL", schema(), VERSION)

SELECT_WATERMARK = "SELECT seq, checksum, reset FROM watermark"
MOVE_WATERMARK = "UPDATE watermark SET seq = ?, checksum = ?, reset = ?"
RECORDS_OF = "SELECT seq FROM account_records WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?"


Stored = tuple[object, ...]
"""A row, or some of its columns, as SQLite gets it."""


class SqliteTables:
    """Implements `ports.Tables`. One writer, with a connection and a thread of its own."""

    def __init__(self, writer: Database, reader: Database) -> None:
        self._writer = writer
        self._reader = reader

    async def write(self, records: Sequence[Record]) -> None:
        await self._writer.run(write, records)

    async def watermark(self) -> Watermark:
        return await self._reader.run(select_watermark)

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        return await self._reader.run(_records_of, account, after, limit)


def write(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """What records do to the tables and the watermark, in one transaction. Raises StorageError when they do not follow
    on it, or a row is missing that they change."""
    mark = select_watermark(connection)
    if records[0].seq != mark.seq + 1:
        raise StorageError(f"the tables are at record {mark.seq}, record {records[0].seq} does not follow")
    try:
        _write(connection, records, mark)
    except OverflowError as error:
        raise StorageError(f"records {records[0].seq} and on add up to more than 64 bits hold") from error


def _write(connection: sqlite3.Connection, records: Sequence[Record], mark: Watermark) -> None:
    batch = gather(records)
    last = records[-1]
    with transaction(connection):
        if batch.reset:
            clear(connection)
        for table, puts in batch.puts.items():
            put(connection, table, puts.values())
        for kind, changes in batch.in_order():
            change(connection, kind, changes)
        connection.execute(MOVE_WATERMARK, (last.seq, checksum_of(last), batch.reset or mark.reset))


def clear(connection: sqlite3.Connection) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM {table.name}")  # a name of ours  # nosec B608


def put(connection: sqlite3.Connection, table: Table, rows: Iterable[Row]) -> None:
    execute_batch(connection, put_statement(table), row_values(table, rows))


def change(connection: sqlite3.Connection, kind: Kind, changes: Mapping[str, Values]) -> None:
    """Each must find its row; if not, tables and journal disagree and nothing is written."""
    rows = changed_values(kind, changes)
    if execute_batch(connection, change_statement(kind), rows) != len(rows):
        raise StorageError(f"a row of {kind.table.name} that the journal changes is not there: run `exness rebuild`")


def select_watermark(connection: sqlite3.Connection) -> Watermark:
    return Watermark(*connection.execute(SELECT_WATERMARK).fetchone())


def _records_of(connection: sqlite3.Connection, account: AccountId, after: int, limit: int) -> list[int]:
    if select_watermark(connection).reset > after:
        raise StorageError("the exchange was reset since")
    return [seq for (seq,) in connection.execute(RECORDS_OF, (account, after, limit))]


def row_values(table: Table, rows: Iterable[Row]) -> list[Stored]:
    """As `put_statement` takes them."""
    wide = _wide(table, table.columns)
    return [_stored(msgspec.structs.astuple(row), wide) for row in rows]


def changed_values(kind: Kind, changes: Mapping[str, Values]) -> list[Stored]:
    """As `change_statement` takes them."""
    wide = _wide(kind.table, kind.columns)
    return [(key, *_stored(values, wide)) for key, values in changes.items()]


@cache
def _wide(table: Table, columns: Sequence[str]) -> tuple[int, ...]:
    """The places of wide ones among these columns, the last first."""
    return tuple(place for place in reversed(range(len(columns))) if columns[place] in table.wide)


def _stored(values: Stored, wide: tuple[int, ...]) -> Stored:
    """Values as they are stored, wide ones as two."""
    if not wide:
        return values
    stored = list(values)
    for place in wide:
        stored[place : place + 1] = split(cast(int, stored[place]))
    return tuple(stored)


@cache
def stored_columns(table: Table) -> tuple[str, ...]:
    return tuple(stored for column in table.columns for stored in _stored_column(table, column))


def _stored_column(table: Table, column: str) -> tuple[str, ...]:
    return (column, f"{column}_e18") if column in table.wide else (column,)


@cache
def put_statement(table: Table) -> str:
    columns = ", ".join(stored_columns(table))
    return f"INSERT INTO {table.name} ({columns}) VALUES {{rows}}"  # of names of ours  # nosec B608


@cache
def change_statement(kind: Kind) -> str:
    """Its rows are the key and the columns, wide ones as two."""
    table, given = kind.table, (f"given.column{number}" for number in range(2, 100))
    assignments = []
    for column in kind.columns:
        if kind.first:
            assignments.append(f"{column} = coalesce({column}, {next(given)})")
        elif not kind.adds:
            assignments += [f"{stored} = {next(given)}" for stored in _stored_column(table, column)]
        elif column in table.wide:
            assignments.append(add(column, next(given), next(given)))
        else:
            assignments.append(f"{column} = {column} + {next(given)}")
    return (
        f"UPDATE {table.name} SET {', '.join(assignments)} "  # of names of ours  # nosec B608
        f"FROM (VALUES {{rows}}) AS given WHERE {table.name}.{table.key} = given.column1"
    )


def discard_stale(journal: sqlite3.Connection, path: Path) -> str | None:
    """Remove a main.db that can't be gone on with. Returns why, as the end of a sentence; None when there is none, or
    it is good. Raises DatabaseRefused when it is not ours, or proves that the journal is gone."""
    if not path.exists():
        require_all(journal, path.parent, "the tables are made anew from all records")
        return None
    why = _why_stale(journal, path)
    if why is not None:
        require_all(journal, path.parent, f"the tables are made anew from all records, as {why}")
        list(remove(path))
    return why


def _why_stale(journal: sqlite3.Connection, path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application not in (0, MAIN.application_id):
                raise DatabaseRefused(
                    f"{path} belongs to another application: move it away, or choose another data directory"
                )
            if version == 0:
                return None  # made by a start that was killed, and empty
            if version != VERSION:
                return f"they are of version {version}, this program's are of {VERSION}"
            mark = select_watermark(connection)
    except sqlite3.Error as error:
        explained = explain(path, error)
        if not isinstance(explained, DatabaseDamaged):
            raise DatabaseRefused(str(explained)) from error
        return f"they were damaged ({error})"
    last_seq = journal.execute(LAST_SEQ).fetchone()[0]
    if mark.seq > 0 == last_seq:
        raise DatabaseRefused(
            f"the journal is empty, but {path} shows {mark.seq} records of it: journal.db was lost; "
            "restore a backup, or move the whole directory away to start with an empty exchange"
        )
    if mark.seq > last_seq:
        return f"they were at record {mark.seq}, and the journal ends at {last_seq}"
    if mark.seq and _whole_checksum(journal, mark.seq) not in (None, mark.checksum):
        return f"they are of another journal, whose record {mark.seq} was another"
    return None


def _whole_checksum(journal: sqlite3.Connection, seq: int) -> int | None:
    """Of a record; None when it is damaged or archived, which says nothing of the tables."""
    row = journal.execute(SELECT_RECORD, (seq,)).fetchone()
    try:
        return None if row is None else checksum_of(decode(row))
    except JournalDamaged:
        return None

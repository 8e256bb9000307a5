"""The tables in PostgreSQL, made from the same row structs, by the same fold, with the same statements as in SQLite.

The watermark moves first, from the very record that the batch follows: of two processes that write, one does.
"""

import asyncio
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.ports.tables import Watermark
from exness.storage.changes import Batch, Kind
from exness.storage.codec import checksum_of, decode
from exness.storage.fold import gather
from exness.storage.postgres.journal import LAST_SEQ, SELECT_RECORD, raw
from exness.storage.postgres.session import Connection, Session, quoted
from exness.storage.rows import HOUSE, TABLES, VERSION, Table, typed_columns
from exness.storage.tables import change_statement, changed_values, put_statement, row_values

ROWS_AT_ONCE = 200
"""In one statement: packing them takes the loop about a millisecond."""
ROOM = {"balances": 50, "sums": 50, "watermark": 10}
"""Percent of a page that is filled at first, in tables whose rows change all the time: a changed row stays on its page
then, and in its index."""
ON_THE_LOOP = 50
"""Records; more are folded in a thread."""

SELECT_WATERMARK = "SELECT seq, checksum, reset FROM watermark WHERE shard = $1"
MOVE_WATERMARK = """
    UPDATE watermark SET seq = $3, checksum = $4, reset = coalesce($5, reset) WHERE shard = $1 AND seq = $2"""
RECORDS_OF = """
    SELECT seq FROM account_records WHERE shard = $1 AND account_id = $2 AND seq > $3 ORDER BY seq LIMIT $4"""
MAKE_WATERMARK = """
    CREATE TABLE watermark (
        shard    smallint PRIMARY KEY,
        version  integer NOT NULL, -- of the tables together
        seq      bigint  NOT NULL, -- every record up to this one is in the tables, none after it
        checksum bigint  NOT NULL, -- that record's own
        reset    bigint  NOT NULL  -- the record that forgot all before it, 0 if there was none
    )"""
HAS_TABLES = "SELECT to_regclass('watermark') IS NOT NULL"


class PostgresTables:
    """Implements `ports.Tables`."""

    def __init__(self, writer: Session, reader: Session) -> None:
        self._writer = writer
        self._reader = reader
        self._shard = writer.address.shard

    async def write(self, records: Sequence[Record]) -> None:
        if len(records) <= ON_THE_LOOP:
            packed = fold(records)
        else:
            packed = await asyncio.to_thread(fold, records)
        await self._writer.write(lambda connection: write(connection, self._shard, records, packed))

    async def watermark(self) -> Watermark:
        return await self._reader.run(lambda connection: select_watermark(connection, self._shard))

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        async def found(connection: Connection) -> list[int]:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                if (await select_watermark(connection, self._shard)).reset > after:
                    raise StorageError("the exchange was reset since")
                rows = await connection.fetch(RECORDS_OF, self._shard, account, after, limit)
            return [seq for (seq,) in rows]

        return await self._reader.run(found)


class _Packed:
    """What a batch comes to, as columns for its statements."""

    def __init__(self, batch: Batch) -> None:
        self.reset = batch.reset
        self.puts = [
            (table, chunk) for table, puts in batch.puts.items() for chunk in _chunks(row_values(table, puts.values()))
        ]
        self.changes = [
            (kind, chunk) for kind, changes in batch.in_order() for chunk in _chunks(changed_values(kind, changes))
        ]


def fold(records: Sequence[Record]) -> _Packed:
    """What these records do together."""
    return _Packed(gather(records))


Columns = list[tuple[Any, ...]]


def _chunks(rows: list[tuple[Any, ...]]) -> list[Columns]:
    return [list(zip(*rows[place : place + ROWS_AT_ONCE], strict=True)) for place in range(0, len(rows), ROWS_AT_ONCE)]


async def write(connection: Connection, shard: int, records: Sequence[Record], packed: _Packed) -> None:
    """Within a transaction. Raises StorageError when the records do not follow on the watermark, or a row is missing
    that they change."""
    first, last = records[0].seq, records[-1]
    reset = packed.reset or None
    moved = await connection.execute(MOVE_WATERMARK, shard, first - 1, last.seq, checksum_of(last), reset)
    if _count(moved) != 1:
        mark = await select_watermark(connection, shard)
        raise StorageError(f"the tables are at record {mark.seq}, record {first} does not follow")
    if packed.reset:
        for table in TABLES:
            await connection.execute(f"DELETE FROM {table.name} WHERE shard = $1", shard)  # ours  # nosec B608
    for table, columns in packed.puts:
        await connection.execute(_put(table), shard, *columns)
    for kind, columns in packed.changes:
        if _count(await connection.execute(_change(kind), shard, *columns)) != len(columns[0]):
            raise StorageError(
                f"a row of {kind.table.name} that the journal changes is not there: run `exness rebuild`"
            )


def _count(status: str) -> int:
    """Rows that a statement has changed, as it says: "UPDATE 3"."""
    return int(status.rpartition(" ")[2])


async def select_watermark(connection: Connection, shard: int) -> Watermark:
    return Watermark(*await connection.fetchrow(SELECT_WATERMARK, shard))


@cache
def _put(table: Table) -> str:
    arrays = ", ".join(f"${number}::{_type(kind)}[]" for number, (_, kind, _) in enumerate(typed_columns(table), 2))
    statement = put_statement(table).replace(f"{table.name} (", f"{table.name} (shard, ")
    rows = f"SELECT $1, given.* FROM unnest({arrays}) AS given"  # of names of ours  # nosec B608
    return quoted(statement.replace("VALUES {rows}", rows))


@cache
def _change(kind: Kind) -> str:
    table = kind.table
    types = {name: _type(of) for name, of, _ in typed_columns(table)}
    stored = [table.key, *chain.from_iterable(_stored(table, column) for column in kind.columns)]
    arrays = ", ".join(f"${number}::{types[column]}[]" for number, column in enumerate(stored, 2))
    names = ", ".join(f"column{number}" for number in range(1, len(stored) + 1))
    given = f"unnest({arrays}) AS given ({names})"
    statement = change_statement(kind).replace("(VALUES {rows}) AS given", given)
    return quoted(f"{statement} AND {table.name}.shard = $1")


def _stored(table: Table, column: str) -> tuple[str, ...]:
    return (column, f"{column}_e18") if column in table.wide else (column,)


def _type(kind: type) -> str:
    return "bigint" if kind is int else "text"


# --- made, and made anew --------------------------------------------------------------------------------------------


def script() -> list[str]:
    """The statements that make the tables, empty."""
    return [*chain.from_iterable(map(_create, TABLES)), f"{MAKE_WATERMARK} WITH (fillfactor = {ROOM['watermark']})"]


def _create(table: Table) -> list[str]:
    columns = [
        f"{column} {_type(kind)}{'' if optional else ' NOT NULL'}" for column, kind, optional in typed_columns(table)
    ]
    body = ", ".join(["shard smallint NOT NULL", *columns, f"PRIMARY KEY (shard, {', '.join(table.primary)})"])
    room = f" WITH (fillfactor = {ROOM[table.name]})" if table.name in ROOM else ""
    return [quoted(f"CREATE TABLE {table.name} ({body}){room}"), *filter(None, table.more.split(";\n"))]


async def make_tables(connection: Connection, shard: int) -> None:
    """Make them anew, empty. Within a transaction; for who holds the shard."""
    for name in (*(table.name for table in TABLES), "watermark"):
        await connection.execute(f"DROP TABLE IF EXISTS {name}")
    for statement in script():
        await connection.execute(statement)
    await connection.execute("INSERT INTO watermark VALUES ($1, $2, 0, 0, 0)", shard, VERSION)
    await connection.execute("INSERT INTO balances SELECT $1, $2, 0, 0, 0, 0, 0", shard, HOUSE)


async def why_stale(connection: Connection, shard: int) -> str | None:
    """Why the tables can't be gone on with, as the end of a sentence; "" where there are none; None: they are good."""
    if not await connection.fetchval(HAS_TABLES):
        return ""
    version = await connection.fetchval("SELECT version FROM watermark WHERE shard = $1", shard)
    if version != VERSION:
        return f"they are of version {version}, this program's are of {VERSION}"
    mark = await select_watermark(connection, shard)
    last_seq = await connection.fetchval(LAST_SEQ, shard)
    if mark.seq > last_seq:
        return f"they were at record {mark.seq}, and the journal ends at {last_seq}"
    if mark.seq and await _other_checksum(connection, shard, mark):
        return f"they are of another journal, whose record {mark.seq} was another"
    return None


async def _other_checksum(connection: Connection, shard: int, mark: Watermark) -> bool:
    """A damaged record says nothing of the tables."""
    try:
        row = await connection.fetchrow(SELECT_RECORD, shard, mark.seq)
        return row is not None and checksum_of(decode(raw(row))) != mark.checksum
    except JournalDamaged:
        return False

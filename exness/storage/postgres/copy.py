"""An exchange in PostgreSQL as the files of a data directory, of one moment and while a server runs.

So there is one verifier and one form of backups, and a way back from PostgreSQL: what is checked or kept is what would
lie in files.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from exness.storage.auth import KEY_COLUMNS
from exness.storage.backup import new_file
from exness.storage.database import SNAPSHOTS, Schema, explain, prepare, transaction
from exness.storage.files import JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB, Progress
from exness.storage.journal import JOURNAL
from exness.storage.market import COLUMNS as CANDLE
from exness.storage.postgres.journal import LAST_SEQ
from exness.storage.postgres.migrate import require
from exness.storage.postgres.session import FAULTS, Address, Connection, close, connect, explained, quoted
from exness.storage.postgres.storage import ASSET
from exness.storage.postgres.tables import HAS_TABLES
from exness.storage.rows import TABLES, VERSION
from exness.storage.tables import MAIN, stored_columns

ROWS_AT_ONCE = 2_000

JOURNAL_COLUMNS = "seq, at, kind, payload, request, checksum, version, cause"
INTO_JOURNAL = f"""
    INSERT INTO journal ({JOURNAL_COLUMNS})
    VALUES (?, ?, ?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))"""  # of constants alone  # nosec B608
SNAPSHOT = "seq, header, digest, chunks, stored_bytes, checksum"
CHUNK = "seq, n, accounts, checksum"
COUNTED = "asset, at, marks"


@asynccontextmanager
async def one_moment(address: Address) -> AsyncIterator[Connection]:
    """A connection that only reads, and sees one moment. Raises StorageError."""
    connection = await connect(address, "exness")
    try:
        await require(connection, address)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except FAULTS as error:
        raise explained(address, error) from error
    finally:
        await close(connection)


async def copy_all(address: Address, folder: Path, progress: Progress) -> None:
    """Write journal, snapshots and tables as files into an empty folder. Raises StorageError."""
    async with one_moment(address) as source:
        await _copy_journal(source, address, folder / JOURNAL_DB, progress)
        with closing(_made(folder / SNAPSHOTS_DB, SNAPSHOTS)) as target, transaction(target):
            for table, columns in (("snapshots", SNAPSHOT), ("chunks", CHUNK)):
                await _copy(source, target, table, columns, f"WHERE shard = {address.shard}")
        await _copy_tables(source, address, folder / MAIN_DB)


async def backup(address: Address, file: Path, progress: Progress) -> None:
    """Write a backup: journal, candles and API keys in one new file. Raises StorageError."""
    with new_file(file) as draft:
        async with one_moment(address) as source:
            await _copy_journal(source, address, draft, progress)
            with closing(sqlite3.connect(draft, isolation_level=None)) as target:
                with transaction(target):
                    for table, columns in (("candles", CANDLE), ("counted", COUNTED), ("api_keys", KEY_COLUMNS)):
                        target.execute(f"CREATE TABLE {table} ({columns})")
                        await _copy(source, target, table, columns, "")
                target.execute("PRAGMA journal_mode = DELETE").fetchone()


async def _copy_journal(source: Connection, address: Address, path: Path, progress: Progress) -> None:
    last = await source.fetchval(LAST_SEQ, address.shard)
    with closing(_made(path, JOURNAL)) as target, transaction(target):
        await _copy(source, target, "assets", ASSET, "")
        where = f"WHERE shard = {address.shard} ORDER BY seq"
        async for rows in _chunks(source, f"SELECT {JOURNAL_COLUMNS} FROM journal {where}"):  # nosec B608
            target.executemany(INTO_JOURNAL, rows)
            progress(rows[-1][0], last)


async def _copy_tables(source: Connection, address: Address, path: Path) -> None:
    """None, where they are of another version: the next start makes them anew."""
    if not await source.fetchval(HAS_TABLES):
        return
    mark = await source.fetchrow("SELECT * FROM watermark WHERE shard = $1", address.shard)
    if mark["version"] != VERSION:
        return
    with closing(_made(path, MAIN)) as target, transaction(target):
        for table in TABLES:
            target.execute(f"DELETE FROM {table.name}")  # a name of ours  # nosec B608
            columns = ", ".join(stored_columns(table))
            await _copy(source, target, table.name, columns, f"WHERE shard = {address.shard}")
        place = mark["seq"], mark["checksum"], mark["reset"]
        target.execute("UPDATE watermark SET seq = ?, checksum = ?, reset = ?", place)


async def _copy(source: Connection, target: sqlite3.Connection, table: str, columns: str, where: str) -> None:
    values = ", ".join("?" * len(columns.split(",")))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({values})"  # of names of ours  # nosec B608
    async for rows in _chunks(source, quoted(f"SELECT {columns} FROM {table} {where}")):  # of ours  # nosec B608
        target.executemany(insert, rows)


async def _chunks(source: Connection, query: str) -> AsyncIterator[Sequence[Any]]:
    cursor = await source.cursor(query)
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        yield [tuple(row) for row in rows]


def _made(path: Path, schema: Schema) -> sqlite3.Connection:
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        prepare(connection, path, schema)
    except sqlite3.Error as error:
        connection.close()
        raise explain(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection

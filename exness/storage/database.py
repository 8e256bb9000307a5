"""One SQLite file: opened, checked, brought to the present schema, and worked on from aiosqlite's thread.

A file that is not ours, is newer than this program, or can't be used is refused with one sentence that names it and
says what to do. Nothing here knows a table; what does lies beside it: `journal`, `tables`, `history`, `market`,
`snapshots`.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import aiosqlite

from exness.runtime.ports.journal import StorageError

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
BUSY_PAUSE_S = 0.005
"""How long a statement waits for another connection's lock before it fails."""

INTERRUPT_EVERY_S = 0.05
"""An interrupt between two statements is not felt by the second."""

STATEMENTS_KEPT = 500
"""Prepared, per connection: a batch of rows has one for each of its sizes."""

WAL_KEPT_BYTES = 16 * 1024 * 1024
"""A write-ahead log that grew beyond this is cut back to it after a checkpoint."""


OLDEST_SQLITE = (3, 38, 0)
"""What our statements need: `->>` is the newest part of SQL in them. Python brings its own SQLite, or takes the
operating system's."""


class DatabaseRefused(StorageError):
    """The file can't be opened as it is, or is not ours to open."""


class DatabaseDamaged(DatabaseRefused):
    """The file is no SQLite database, or its pages contradict one another."""


class Schema(NamedTuple):
    """What a database file of ours is. Its migrations lie in `migrations/<name>/NNNN_what.sql`, numbered from 1
    (they may ask `is_new_database()`, which is 1 when the file is made and 0 when an older one is migrated); or it is
    made by `script` as `version`, and never migrated.

    With `synchronous` FULL a commit is on the disk when it returns. With NORMAL a power cut may take the last ones
    back, whole: enough for what can be made again.
    """

    name: str
    application_id: int
    synchronous: str = "FULL"
    script: str = ""
    version: int = 0


SNAPSHOTS = Schema("snapshots", 0x6578736E)


class Database:
    """A connection and its thread."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self.path = path
        self._connection = connection

    async def run(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(connection, ...)` on the connection's thread. Raises StorageError for what SQLite refuses.

        One trip to that thread does a whole transaction. aiosqlite's public calls make a trip per statement, which
        takes 0.66 ms instead of 0.31 to append one record, 2.2 instead of 2.0 for 100, and 2.8 instead of 0.8 for one
        while the loop has other work: hence the two private names here, and only here.
        And a cancelled caller can't leave a transaction half done: the function runs to its end once it is queued.
        """
        connection = self._connection
        try:
            result: T = await connection._execute(function, connection._conn, *args, **kwargs)  # type: ignore[no-untyped-call]
            return result
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def interrupt(self) -> None:
        """End the statement at work, if there is one; its transaction is then undone. From the loop."""
        self._connection._conn.interrupt()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All writes in it are done, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # after some errors SQLite has rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads in it see the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


@asynccontextmanager
async def open_database(path: Path, schema: Schema) -> AsyncIterator[Database]:
    """The writing connection: makes the file if need be, migrates it, and folds the write-ahead log in at the end.

    Raises DatabaseRefused.
    """
    async with _connect(path, f"{path.as_uri()}?mode=rwc") as database:
        await _prepared(database, path, schema)
        try:
            yield database
        finally:
            with suppress(StorageError):  # what is not folded in now stays in the log, as durable as before
                await database.run(_checkpoint)


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[Database]:
    """A connection to an open database that can't write."""
    async with _connect(path, f"{path.as_uri()}?mode=ro") as database:
        await database.run(_prepare_reader)
        yield database


@contextmanager
def opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A file that is there, by a connection of its own. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


@contextmanager
def changing(path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """A database that no server has open, for one transaction; made if it is not there. Raises StorageError."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            prepare(connection, path, schema)
            with transaction(connection):
                yield connection
    except sqlite3.Error as error:
        raise explain(path, error) from error


def explain(path: Path, error: sqlite3.Error) -> StorageError:
    """SQLite's error as a sentence for the operator."""
    code = _code(error)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return DatabaseDamaged(
            f"{path} is damaged or no SQLite database ({error}): restore a backup, or move it away to start without it"
        )
    hint = _HINTS.get(code)
    if hint is not None:
        return StorageError(f"{path} can't be used, {hint} ({error})")
    return StorageError(f"{path} can't be used: {error}")


_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: make room, then start again",
    sqlite3.SQLITE_IOERR: "the disk reports an error: check it, then start again",
    sqlite3.SQLITE_BUSY: "another process holds it: stop that one first",
    sqlite3.SQLITE_LOCKED: "another connection holds it: stop that one first",
    sqlite3.SQLITE_READONLY: "it can't be written: check the permissions of the file and its directory",
    sqlite3.SQLITE_PERM: "it can't be written: check the permissions of the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened: it must be a file in a directory that can be written",
    sqlite3.SQLITE_CONSTRAINT: "a row breaks a rule of the tables",
}


def _code(error: sqlite3.Error) -> int:
    """SQLite's own, without what it adds to it; 0 where the module raised by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@asynccontextmanager
async def _connect(path: Path, uri: str) -> AsyncIterator[Database]:
    refused: list[sqlite3.Error] = []

    def connect() -> sqlite3.Connection:
        """With explicit transactions. Does not raise: aiosqlite would then leave its thread to end by itself, after the
        loop perhaps."""
        try:
            return sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=STATEMENTS_KEPT)
        except sqlite3.Error as error:
            refused.append(error)
            return sqlite3.connect(":memory:")

    connection = await aiosqlite.Connection(connect, iter_chunk_size=1)
    try:
        for error in refused:
            raise DatabaseRefused(str(explain(path, error))) from error
        yield Database(path, connection)
    finally:
        await connection.close()


async def _prepared(database: Database, path: Path, schema: Schema) -> None:
    """A migration can take long. When it is cancelled it ends at once, and begins anew at the next start."""
    preparing = asyncio.create_task(database.run(prepare, path, schema), name=f"preparing {path.name}")
    try:
        await asyncio.shield(preparing)
    except asyncio.CancelledError:
        while not preparing.done():
            database.interrupt()
            await asyncio.wait((preparing,), timeout=INTERRUPT_EVERY_S)
        preparing.exception()  # it was interrupted, or was done before
        raise


def prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Make a new connection one that writes, to the present schema. Raises DatabaseRefused.

    Not for every lock does SQLite wait as long as it is told to: where it gives up at once, because somebody else makes
    the same database at this moment, it is asked again.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            return _prepare(connection, path, schema)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                explained = explain(path, error)
                raise (
                    explained if isinstance(explained, DatabaseRefused) else DatabaseRefused(str(explained))
                ) from error
        time.sleep(BUSY_PAUSE_S)


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """On macOS a sync reaches the drive's cache only; `fullfsync` has the drive write it out."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    with one_view(connection):  # another process may be making its tables right now
        version = check_ours(connection, path, schema)
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only possible before the first table
    mode = _pragma(connection, "journal_mode = WAL")
    if mode != "wal":
        raise DatabaseRefused(f"{path} can't keep a write-ahead log there: put the data directory on a local disk")
    connection.execute(f"PRAGMA synchronous = {schema.synchronous}")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    _migrate(connection, schema, version)


def require_sqlite() -> None:
    """Refuse an SQLite that is too old before it meets a statement it can't read. Raises DatabaseRefused."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseRefused(
            f"{sys.executable} comes with SQLite {sqlite3.sqlite_version}, and exness needs {oldest} or newer: "
            "use another Python, or a newer release of the operating system"
        )


def check_ours(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """The file's schema version; 0 when it is new. Raises DatabaseRefused."""
    require_sqlite()
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    assert isinstance(version, int), "user_version is a number"
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != schema.application_id:
        raise DatabaseRefused(f"{path} belongs to another application: move it away, or choose another data directory")
    newest = schema.version or len(migrations(schema))
    if version > newest:
        raise DatabaseRefused(
            f"{path} was written by a newer version of exness (schema {version}, this one knows {newest}): "
            "use that version, or restore a backup from before it"
        )
    return version


def _migrate(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    """Apply what is newer than `version`: to a new file all of it at once, to an older one each step by itself.

    Two processes may come at the same time: each step asks again whether the other one has done it.
    """
    if schema.script:
        _make(connection, schema)
        return
    scripts = migrations(schema)
    connection.create_function("is_new_database", 0, lambda: int(version == 0))
    steps = list(enumerate(scripts[version:], version + 1))
    for group in [steps] if version == 0 else [[step] for step in steps]:
        with transaction(connection):
            for number, script in group:
                if _pragma(connection, "user_version") == number - 1:
                    _run(connection, script, number)


def _make(connection: sqlite3.Connection, schema: Schema) -> None:
    with transaction(connection):
        if _pragma(connection, "user_version") == 0:
            connection.execute(f"PRAGMA application_id = {schema.application_id}")
            _run(connection, schema.script, schema.version)


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    for statement in _statements(script):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")


def _statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would end the transaction it is called in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def migrations(schema: Schema) -> list[str]:
    """The scripts in order: the n-th brings a database to schema version n."""
    folder = resources.files("exness.storage") / "migrations" / schema.name
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _pragma(connection: sqlite3.Connection, pragma: str) -> int | str:
    value: int | str = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return value

"""Reading a data directory that no server runs on, without changing a byte of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from exness.core.capture import Digest, Header
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.storage.database import Schema, check_ours, explain
from exness.storage.files import JOURNAL_DB, MAIN_DB
from exness.storage.journal import JOURNAL
from exness.storage.rows import VERSION
from exness.storage.snapshots import StoredRow, check_row, read_chunk, select_all, select_row

OLD_MAIN = Schema("main", 0x65786D6E, version=VERSION)
"""A main.db of before journal.db: it holds the journal, too."""

LOG_HEADER_BYTES = 32
"""Of a write-ahead log, before its first frame: https://www.sqlite.org/fileformat.html#the_write_ahead_log"""

HAS_JOURNAL = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'journal'"
JOURNAL_COLUMNS = "SELECT name FROM pragma_table_info('journal')"
OLD_COLUMNS = {"seq", "at", "kind", "payload", "request", "checksum"}
OLD_JOURNAL = "CREATE TEMP VIEW journal AS SELECT *, 1 AS version, '' AS cause FROM main.journal"
"""What stands in the place of a journal from before it had these columns: the connection's own, and not on the disk."""

HAS_ARCHIVES = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'archives'"
NO_ARCHIVES = "CREATE TEMP TABLE archives (first INTEGER, last INTEGER, digest BLOB)"
"""The same, of before there were archives."""


class DatabaseEmpty(StorageError):
    """The file is a database without a table in it."""


@contextmanager
def open_offline(path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, also what a killed server left in the write-ahead log. Raises StorageError,
    DatabaseEmpty when nothing was ever in it."""
    try:
        with (
            offline_uri(path) as uri,
            closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection,
        ):
            if check_ours(connection, path, schema) == 0:
                raise DatabaseEmpty(f"{path} is empty")
            if {name for (name,) in connection.execute(JOURNAL_COLUMNS)} == OLD_COLUMNS:
                connection.execute(OLD_JOURNAL)
            if not connection.execute(HAS_ARCHIVES).fetchone()[0]:
                connection.execute(NO_ARCHIVES)
            yield connection
    except sqlite3.Error as error:
        raise explain(path, error) from error


@contextmanager
def open_journal(path: Path) -> Iterator[sqlite3.Connection]:
    """The journal in journal.db, in a backup, or in a main.db of a version before journal.db. See `open_offline`."""
    with open_offline(path, OLD_MAIN if _is_old_main(path) else JOURNAL) as connection:
        if not connection.execute(HAS_JOURNAL).fetchone()[0]:
            raise StorageError(f"{path} holds tables and no journal, from which they are made: name that one")
        yield connection


def require_journal(data_dir: Path) -> Path:
    """Where journal.db is. Raises StorageError when there is none, and says what to do with an older directory."""
    path = data_dir / JOURNAL_DB
    if not path.exists() and (data_dir / MAIN_DB).exists():
        raise StorageError(
            f"{data_dir} has no {JOURNAL_DB}: if an older version left it, start the server once, which takes it over"
        )
    return path


def _is_old_main(path: Path) -> bool:
    try:
        with offline_uri(path) as uri, closing(sqlite3.connect(uri, uri=True)) as connection:
            application: int = connection.execute("PRAGMA application_id").fetchone()[0]
            return application == OLD_MAIN.application_id
    except sqlite3.Error as error:
        raise explain(path, error) from error


@contextmanager
def offline_uri(path: Path) -> Iterator[str]:
    """What to open so that not a byte of it changes.

    With nothing in a write-ahead log the file is read as it lies. A log that is a header alone, as a kill before its
    first frame leaves it, has nothing in it: SQLite would look for another header until it gives up. With a log that
    has, SQLite makes an index of it beside it, which goes again; an index that a killed server left is not believed and
    not touched either.
    """
    if not path.is_file():
        raise StorageError(f"{path} is not there")
    log, index = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    has_log = log.exists() and log.stat().st_size > LOG_HEADER_BYTES
    leave_index = index.exists()
    mode = "mode=ro&immutable=1"
    if has_log:
        mode = "mode=ro&readonly_shm=1" if leave_index else "mode=ro"
    try:
        yield f"{path.absolute().as_uri()}?{mode}"
    finally:
        if has_log and not leave_index:
            with suppress(OSError):
                index.unlink()


class StoredSnapshot:
    """One snapshot as it is stored, read chunk by chunk. Every method raises SnapshotDamaged."""

    def __init__(self, connection: sqlite3.Connection, seq: int) -> None:
        self._connection = connection
        self.seq = seq

    def header(self) -> Header:
        return self._row().header

    def accounts(self) -> Iterator[list[bytes]]:
        """Its accounts; at the end, that they match its digest."""
        row = self._row()
        digest = Digest(row.header)
        for n in range(row.chunks):
            yield read_chunk(self._connection, self.seq, n, digest)
        if digest.hex() != row.digest:
            raise SnapshotDamaged(f"snapshot {self.seq} is damaged: its accounts do not match its digest")

    def _row(self) -> StoredRow:
        return check_row(self.seq, select_row(self._connection, self.seq))


def stored_snapshots(connection: sqlite3.Connection) -> list[StoredSnapshot]:
    """All that are kept, newest first."""
    return [StoredSnapshot(connection, row[0]) for row in select_all(connection)]

"""A consistent copy of the journal and its tables, taken while a server runs; and the way back.

A copy is one file: main.db at one moment. Snapshots are not needed, the journal brings everything back. Who is signed
in is not in it, nor who was and is no more: a restore ends all sessions, so none that had ended comes back.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from exness.runtime.ports import StorageError
from exness.storage.auth import end_everything
from exness.storage.database import MAIN, check_ours, explain
from exness.storage.datadir import locked, prepare, sync
from exness.storage.offline import open_offline
from exness.storage.sqlite import MAIN_DB, SNAPSHOTS_DB

PAGES_PER_STEP = 1_000

Progress = Callable[[int, int], None]
"""Called with pages done and pages in all."""


def backup(data_dir: Path, file: Path, progress: Progress) -> None:
    """Copy main.db to a new `file` with SQLite's online backup. The server may go on meanwhile.

    The copy is of the moment it begins: a read transaction holds that moment, so writes of the server neither show in
    it nor start it over. It appears under its name only when it is whole. Raises StorageError.
    """
    source = data_dir / MAIN_DB
    if file.exists():
        raise StorageError(f"{file} is there already: name a new file")
    if not source.is_file():
        raise StorageError(f"{source} is not there: nothing to back up")
    draft = file.with_name(f".{file.name}.part")
    try:
        _copy_running(source, draft, progress)
        _flush(draft)
        os.link(draft, file)  # fails if someone made it meanwhile
        _flush(file.parent)
    except FileExistsError as error:
        raise StorageError(f"{file} is there already: name a new file") from error
    except sqlite3.Error as error:  # of either file: SQLite does not say which
        raise StorageError(f"the backup {file} can't be made: {explain(source, error)}") from error
    except OSError as error:
        raise StorageError(f"the backup {file} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _copy_running(source: Path, draft: Path, progress: Progress) -> None:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as origin:
        if check_ours(origin, source, MAIN) == 0:
            raise StorageError(f"{source} is empty: nothing to back up")
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        _copy(origin, draft, progress)
        origin.execute("COMMIT")


def _copy(origin: sqlite3.Connection, draft: Path, progress: Progress) -> None:
    draft.touch(mode=0o600)
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        origin.backup(copy, pages=PAGES_PER_STEP, progress=lambda _, left, total: progress(total - left, total))
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()


def _flush(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk itself."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(handle)
    finally:
        os.close(handle)


def restore(file: Path, data_dir: Path) -> None:
    """Make `file` the journal of a data directory that holds none yet. Raises StorageError and then changes nothing.

    It is copied through SQLite: a main.db that was taken from a data directory as it lay may have a log beside it.
    An auth.db that lies in the directory already may be older than the last logout, or newer: it starts over.
    """
    with open_offline(file, MAIN) as backup:
        result = backup.execute("PRAGMA quick_check").fetchone()[0]
        if result != "ok":
            raise StorageError(f"{file} is damaged ({' '.join(result.split())}): use another backup")
        prepare(data_dir)
        with locked(data_dir):
            _refuse_exchange(data_dir)
            draft = data_dir / f"{MAIN_DB}.part"
            try:
                _copy(backup, draft, lambda done, total: None)
                _flush(draft)
                end_everything(data_dir)
                draft.rename(data_dir / MAIN_DB)
                _flush(data_dir)
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"{file} can't be restored to {data_dir / MAIN_DB}: {error}") from error
            finally:  # also when it is interrupted
                with suppress(OSError):
                    draft.unlink()


def _refuse_exchange(data_dir: Path) -> None:
    """Also a log that was left behind when its database was moved away: SQLite would play it into the backup."""
    for database in (MAIN_DB, SNAPSHOTS_DB):
        for name in (database, f"{database}-wal", f"{database}-journal"):
            if (data_dir / name).exists():
                raise StorageError(f"{data_dir} holds an exchange already ({name}): restore into an empty directory")

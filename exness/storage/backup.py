"""A consistent copy of the journal and its tables, taken while a server runs; and the way back.

A copy is one file: main.db at one moment. Snapshots are not needed, the journal brings everything back. The secret is
not in it: after a restore on another machine everyone signs in again.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from exness.runtime.ports import StorageError
from exness.storage.database import MAIN, check_ours, explain
from exness.storage.datadir import locked, prepare
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
        _copy(source, draft, progress)
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        os.link(draft, file)  # fails if someone made it meanwhile
    except FileExistsError as error:
        raise StorageError(f"{file} is there already: name a new file") from error
    except sqlite3.Error as error:
        raise explain(source, error) from error
    except OSError as error:
        raise StorageError(f"the backup {file} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    draft.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as origin,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        check_ours(origin, source, MAIN)
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        origin.backup(copy, pages=PAGES_PER_STEP, progress=lambda _, left, total: progress(total - left, total))
        origin.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()


def restore(file: Path, data_dir: Path) -> None:
    """Make `file` the journal of a data directory that holds none yet. Raises StorageError and then changes nothing."""
    with open_offline(file, MAIN) as copy:
        result = copy.execute("PRAGMA quick_check").fetchone()[0]
        if result != "ok":
            raise StorageError(f"{file} is damaged ({result}): use another backup")
    prepare(data_dir)
    with locked(data_dir):
        for name in (MAIN_DB, SNAPSHOTS_DB):
            if (data_dir / name).exists():
                raise StorageError(f"{data_dir} holds an exchange already ({name}): restore into an empty directory")
        draft = data_dir / f"{MAIN_DB}.part"
        try:
            shutil.copyfile(file, draft)
            draft.chmod(0o600)
            with draft.open("rb") as handle:
                os.fsync(handle.fileno())
            draft.rename(data_dir / MAIN_DB)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise StorageError(f"{data_dir / MAIN_DB} can't be written: {error.strerror}") from error

"""A consistent copy of the journal, and the candles and API keys with it, taken while a server runs; and the way back.

A copy is one file: the journal at one moment, the candles, and the API keys, whose secrets are encrypted under the auth
secret, which is not in it. Tables and snapshots are made from the journal. Who is signed in is not in it, nor who was
and is no more: a restore ends all sessions, so none that had ended comes back.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from exness.access.api_keys import Sealer
from exness.process.locks import flush
from exness.runtime.ports.journal import StorageError
from exness.storage.archive import last_archived
from exness.storage.archiving import fill_in
from exness.storage.auth import copy_keys, end_everything, keys_in, replace_keys
from exness.storage.database import check_ours, explain, opened, transaction
from exness.storage.datadir import locked, prepare
from exness.storage.files import EXCHANGE_DBS, JOURNAL_DB, MAIN_DB, MARKET_DB, Progress, remove
from exness.storage.journal import JOURNAL
from exness.storage.offline import HAS_ARCHIVES, OLD_MAIN, offline_uri, open_journal
from exness.storage.takeover import copy_steps, holds_old_journal

PAGES_PER_STEP = 1_000


def backup(data_dir: Path, file: Path, progress: Progress) -> None:
    """Copy the journal to a new `file` with SQLite's online backup, and candles and API keys after it. The server may
    go on meanwhile.

    The copy is of the moment it begins: a read transaction holds that moment, so writes of the server neither show in
    it nor start it over. It appears under its name only when it is whole. Raises StorageError.
    """
    source = data_dir / JOURNAL_DB
    if not source.exists() and holds_old_journal(data_dir / MAIN_DB):
        source = data_dir / MAIN_DB
    if file.exists():
        raise StorageError(f"{file} is there already: name a new file")
    if not source.is_file():
        raise StorageError(f"{source} is not there: nothing to back up")
    with new_file(file) as draft:
        try:
            _copy_running(source, draft, progress)
            _add_archived(data_dir, draft)
            _add_candles(data_dir / MARKET_DB, draft)
            _add_keys(data_dir, draft)
        except sqlite3.Error as error:  # of either file: SQLite does not say which
            raise StorageError(f"the backup {file} can't be made: {explain(source, error)}") from error


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Where to write a backup, which appears under its name only when it is whole. Raises StorageError."""
    draft = file.with_name(f".{file.name}.part")
    try:
        yield draft
        flush(draft)
        os.link(draft, file)  # fails if someone made it meanwhile
        flush(file.parent)
    except FileExistsError as error:
        raise StorageError(f"{file} is there already: name a new file") from error
    except OSError as error:
        raise StorageError(f"the backup {file} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _copy_running(source: Path, draft: Path, progress: Progress) -> None:
    with opened(source, "ro") as origin:
        if check_ours(origin, source, OLD_MAIN if source.name == MAIN_DB else JOURNAL) == 0:
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


def _add_archived(data_dir: Path, draft: Path) -> None:
    """A backup is whole: it stands on no archive."""
    with opened(draft) as copy:
        if copy.execute(HAS_ARCHIVES).fetchone()[0]:
            fill_in(copy, data_dir)


def _add_candles(market_db: Path, draft: Path) -> None:
    """As they are now, which may be later than the journal's moment."""
    if not market_db.exists():
        return
    uri = f"{market_db.absolute().as_uri()}?mode=ro"
    with opened(draft) as copy:
        copy.execute("ATTACH DATABASE ? AS market", (uri,))
        with transaction(copy):
            for table in ("candles", "counted"):
                copy.execute(f"CREATE TABLE {table} AS SELECT * FROM market.{table}")  # a name of ours  # nosec B608


def _add_keys(data_dir: Path, draft: Path) -> None:
    """As they are now, too."""
    with opened(draft) as copy:
        copy_keys(data_dir, copy)


class RestoredKeys(NamedTuple):
    """How many API keys of a backup are good again, and how many need another auth secret."""

    kept: int
    lost: int


def restore(file: Path, data_dir: Path, auth_secrets: Sequence[bytes] = ()) -> RestoredKeys:
    """Make a data directory that holds no exchange yet one of what is in `file`, also when an older version made it.
    Of the API keys those are kept that one of the auth secrets opens. Raises StorageError and then changes nothing.

    It is copied through SQLite: what was taken from a data directory as it lay may have a log beside it. An auth.db
    that lies in the directory already may be older than the last logout, or newer: it starts over.
    """
    with open_journal(file) as backup:
        result = backup.execute("PRAGMA quick_check").fetchone()[0]
        if last_archived(backup):
            raise StorageError(
                f"{file} is no backup but a journal of which records up to {last_archived(backup)} are archived: "
                "move the whole directory, or make a backup (`exness backup`), which has them"
            )
        if result != "ok":
            raise StorageError(f"{file} is damaged ({' '.join(result.split())}): use another backup")
        stored, sealer = keys_in(backup), Sealer(auth_secrets)
    keys = [key for key in stored if sealer.open(key) is not None]
    prepare(data_dir)
    with locked(data_dir):
        _refuse_exchange(data_dir)
        try:
            end_everything(data_dir)
            replace_keys(data_dir, keys)
            with offline_uri(file) as uri:
                for _ in copy_steps(file, uri, data_dir):
                    pass
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{file} can't be restored to {data_dir}: {error}") from error
        finally:  # also when it is interrupted
            if not (data_dir / JOURNAL_DB).exists():
                _remove_parts(data_dir)
    return RestoredKeys(len(keys), len(stored) - len(keys))


def _remove_parts(data_dir: Path) -> None:
    for name in (f"{JOURNAL_DB}.part", f"{MARKET_DB}.part", MARKET_DB):
        with suppress(OSError):
            list(remove(data_dir / name))


def _refuse_exchange(data_dir: Path) -> None:
    """Also a log that was left behind when its database was moved away: SQLite would play it into the backup."""
    for database in EXCHANGE_DBS:
        for name in (database, f"{database}-wal", f"{database}-journal"):
            if (data_dir / name).exists():
                raise StorageError(f"{data_dir} holds an exchange already ({name}): restore into an empty directory")
    _remove_parts(data_dir)

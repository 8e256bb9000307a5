"""What it takes to open a directory of an older version: told beforehand, and a copy kept of what is changed in place.

A start changes three things of an older directory. Databases get the tables and columns that they lack, in place: of
those a copy is kept beside them, unless they are large (`LARGEST_COPY`): no step rewrites a record, a candle or a
snapshot. Tables of main.db are made anew. A main.db of before journal.db is taken over (see `takeover`), which copies
and compares.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from exness import __version__
from exness.process.locks import flush
from exness.runtime.ports.journal import StorageError
from exness.storage.auth import AUTH, AUTH_DB
from exness.storage.database import (
    SNAPSHOTS,
    DatabaseDamaged,
    DatabaseRefused,
    Schema,
    check_ours,
    explain,
    migrations,
)
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB, Progress
from exness.storage.journal import JOURNAL
from exness.storage.journal_rows import LAST_SEQ
from exness.storage.market import MARKET
from exness.storage.offline import HAS_JOURNAL, OLD_MAIN, offline_uri
from exness.storage.tables import MAIN

MIGRATED = {JOURNAL_DB: JOURNAL, MARKET_DB: MARKET, SNAPSHOTS_DB: SNAPSHOTS, AUTH_DB: AUTH}
LARGEST_COPY = 256 * 1024 * 1024
"""Bytes of a database of which a copy is kept."""
TABLE_RECORDS_PER_S = 20_000
COPIED_BYTES_PER_S = 20_000_000
"""How fast tables are made and a journal is taken over, on two shared cores with a slow disk."""

HAS_RELEASES = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'releases'"
LAST_RELEASE = "SELECT version FROM releases ORDER BY number DESC LIMIT 1"
SELECT_RELEASES = "SELECT version FROM releases"
INSERT_RELEASE = "INSERT INTO releases (version, at, seq) VALUES (?, ?, ?)"


class Step(NamedTuple):
    """What is done to one file, and how long it takes about."""

    file: str
    what: str
    seconds: float


class Upgrade(NamedTuple):
    """`release`: which wrote the directory last; empty when it was one that did not note it."""

    release: str
    steps: list[Step]


def plan(data_dir: Path) -> Upgrade:
    """What a start would do first. Changes nothing. Raises StorageError, also for what a start refuses."""
    if not any((data_dir / name).exists() for name in (JOURNAL_DB, MAIN_DB)):
        raise StorageError(f"{data_dir} holds no exchange: nothing to upgrade")
    release, records, steps = "", 0, []
    for name, schema in MIGRATED.items():
        with _opened(data_dir / name) as connection:
            if connection is None:
                continue
            version = check_ours(connection, data_dir / name, schema)
            if name == JOURNAL_DB and version:
                release, records = _release(connection), connection.execute(LAST_SEQ).fetchone()[0]
            newest = len(migrations(schema))
            if 0 < version < newest:
                steps.append(_migration(data_dir / name, version, newest))
    steps += _of_tables(data_dir / MAIN_DB, records)
    refuse_newer(data_dir, release)
    return Upgrade(release, steps)


def _migration(path: Path, version: int, newest: int) -> Step:
    size = path.stat().st_size
    kept = (
        f"a copy of {size:,} bytes is kept as {_copy_of(path, version).name}"
        if size <= LARGEST_COPY
        else f"with {size:,} bytes it is too large for a copy to be kept, `exness backup` makes one"
    )
    to = f"schema {version} becomes {newest}"
    what = f"{to}: its tables are brought up to date, no record, candle or snapshot is rewritten; {kept}"
    return Step(path.name, what, min(size, LARGEST_COPY) / COPIED_BYTES_PER_S)


def _of_tables(path: Path, records: int) -> Iterator[Step]:
    with _opened(path) as connection:
        if connection is None:
            return
        version = check_ours(connection, path, OLD_MAIN)
        if connection.execute(HAS_JOURNAL).fetchone()[0]:
            size = path.stat().st_size
            what = f"it holds an older version's journal, which is copied to {JOURNAL_DB} and compared ({size:,} bytes)"
            records = connection.execute(LAST_SEQ).fetchone()[0]
            yield Step(path.name, what, size / COPIED_BYTES_PER_S)
        elif version in (0, MAIN.version):
            return
        yield Step(path.name, f"its tables are made anew from {records:,} records", records / TABLE_RECORDS_PER_S)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that only reads; None when there is no file. Raises StorageError for all that SQLite says in it."""
    if not path.exists():
        yield None
        return
    try:
        with offline_uri(path) as uri, closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise explain(path, error) from error


def _release(journal: sqlite3.Connection) -> str:
    if not journal.execute(HAS_RELEASES).fetchone()[0]:
        return ""
    row = journal.execute(LAST_RELEASE).fetchone()
    return str(row[0]) if row else ""


def refuse_newer(data_dir: Path, release: str) -> None:
    """Raise DatabaseRefused when a newer release has written there."""
    if _numbers(release) > _numbers(__version__):
        raise DatabaseRefused(
            f"{data_dir} was written by exness {release}, and this is {__version__}, an older one: "
            f"use {release} or newer, or restore a backup from before it"
        )


def _numbers(release: str) -> tuple[int, ...]:
    parts = release.split(".")
    return tuple(map(int, parts)) if all(map(str.isdecimal, parts)) else ()


def refuse_newer_releases(journal: sqlite3.Connection, data_dir: Path) -> None:
    """The same by what a journal says, for who is about to change the directory."""
    if journal.execute(HAS_RELEASES).fetchone()[0]:
        for (release,) in journal.execute(SELECT_RELEASES).fetchall():
            refuse_newer(data_dir, release)


def note_release(journal: sqlite3.Connection, data_dir: Path) -> None:
    """Have the directory say that this release writes to it. Raises DatabaseRefused when a newer one has."""
    refuse_newer_releases(journal, data_dir)
    if _release(journal) != __version__:
        seq = journal.execute(LAST_SEQ).fetchone()[0]
        journal.execute(INSERT_RELEASE, (__version__, time.time_ns() // 1_000, seq))


def keep_copies(data_dir: Path, progress: Progress) -> list[Path]:
    """Copy each database that a start will change in place, unless it is large or was copied already. For who holds the
    directory. Raises StorageError."""
    made: list[Path] = []
    for name, schema in MIGRATED.items():
        with suppress(DatabaseDamaged):  # whoever opens it says what is to be done
            made += _kept(data_dir / name, schema, progress)
    return made


def _kept(path: Path, schema: Schema, progress: Progress) -> Iterator[Path]:
    """The copy of one, if one is made."""
    with _opened(path) as connection:
        if connection is None:
            return
        version = check_ours(connection, path, schema)
        copy = _copy_of(path, version)
        if not 0 < version < len(migrations(schema)) or copy.exists() or path.stat().st_size > LARGEST_COPY:
            return
        _copy(connection, copy, progress)
        yield copy


def _copy_of(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.schema-{version}")


def _copy(origin: sqlite3.Connection, copy: Path, progress: Progress) -> None:
    part = copy.with_name(f"{copy.name}.part")
    with suppress(FileNotFoundError):
        part.unlink()
    try:
        part.touch(mode=0o600)
        with closing(sqlite3.connect(part, isolation_level=None)) as target:
            origin.backup(target, pages=1_000, progress=lambda _, left, total: progress(total - left, total))
        flush(part)
        part.replace(copy)
        flush(copy.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the copy {copy}, which an upgrade keeps, can't be written: {error}") from error

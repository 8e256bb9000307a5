"""Moves the beginning of the journal into archives, also while a server runs, and back.

What may go lies behind a snapshot that was held against a replay of all records up to it, behind every other snapshot
kept, and behind what tables and candles have heard. So no start needs it, not even one that falls back to the oldest
snapshot.

First an archive is written whole under another name, gets its name and is read back. Then journal.db learns of it, and
its records go in small transactions, between which a server commits. Whenever that is killed, each record is in one of
both places, or in both, and the next run goes on: it drops what a known archive has already, and writes a draft anew.
"""

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from exness.process.locks import flush
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.storage.archive import (
    ARCHIVE,
    INSERT_BLOCK,
    RECORDS_PER_BLOCK,
    SELECT_BLOCKS_BACKWARDS,
    Archives,
    Piece,
    check_piece,
    digest_of_blocks,
    last_archived,
    open_piece,
    packed,
    pieces_of,
    rows_after,
    unpacked,
)
from exness.storage.codec import FINGERPRINTED, RawRow, check_row
from exness.storage.database import SNAPSHOTS, Schema, check_ours, explain, migrations, opened, prepare, transaction
from exness.storage.datadir import locked, locked_for
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB, Progress, remove
from exness.storage.journal import JOURNAL
from exness.storage.offline import stored_snapshots
from exness.storage.upgrade import refuse_newer_releases
from exness.storage.verify import replayed, restored_of

RECORDS_PER_PIECE = 1_000_000
FEWEST = RECORDS_PER_BLOCK
"""Records that are worth an archive."""
ROWS_AT_ONCE = 2_000
"""Of a transaction in the journal, while a server may wait for the next one: some 10 ms."""
PAUSE_S = 0.01
PAGES_AT_ONCE = 500
"""That the file gives back to the system in one go."""
ARCHIVE_LOCK = "archive.lock"
DRAFT = "journal.archive.part"
NAME = re.compile(r"journal-(\d{12})-\d{12}\.archive")

INSERT_ARCHIVE = "INSERT OR IGNORE INTO archives (first, last, digest) VALUES (?, ?, ?)"
FORGET_ARCHIVE = "DELETE FROM archives WHERE first = ?"
FORGET = """
    DELETE FROM journal WHERE seq <= (SELECT max(seq) FROM (
        SELECT seq FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?))"""
PUT_BACK = """
    INSERT OR IGNORE INTO journal (seq, at, kind, payload, request, checksum, version, cause)
    VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))"""
FIRST_SEQ = "SELECT coalesce(min(seq), 1) FROM journal"
SELECT_MARK = "SELECT seq FROM watermark"


class Archived(NamedTuple):
    """What an `archive` did: pieces with the bytes of each, and how large journal.db was and is. `snapshot` is the one
    that was verified, 0 when there was nothing to archive."""

    pieces: list[tuple[Path, Piece, int]]
    snapshot: int
    before: int
    after: int


def archive(data_dir: Path, progress: Progress) -> Archived:
    """Archive what may go. Raises StorageError."""
    path = data_dir / JOURNAL_DB
    if not path.is_file():
        raise StorageError(f"{path} is not there: nothing to archive")
    before = path.stat().st_size
    with (
        locked_for(data_dir, ARCHIVE_LOCK, "archive"),
        _writing(path) as journal,
        closing(Archives(data_dir)) as archives,
    ):
        for piece in pieces_of(journal):
            if _first(journal) <= piece.last:
                _forget(journal, piece)
        _remove_unknown(data_dir, last_archived(journal))
        snapshot, last = _last_to_go(data_dir, journal, archives, progress)
        made = [_archive(data_dir, journal, archives, piece) for piece in _parts(last_archived(journal), last)]
        if made:
            _give_room_back(journal)
            journal.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return Archived(
        [(piece.path(data_dir), piece, piece.path(data_dir).stat().st_size) for piece in made],
        snapshot if made else 0,
        before,
        path.stat().st_size,
    )


def restore_archives(data_dir: Path, progress: Progress) -> int:
    """Put every archived record back into the journal of a stopped exchange, newest first, and remove the archives. How
    many there were. Raises StorageError; whenever it ends, the journal is whole with the archives that are left."""
    path = data_dir / JOURNAL_DB
    if not path.is_file():
        raise StorageError(f"{path} is not there: nothing to restore to")
    with locked(data_dir), locked_for(data_dir, ARCHIVE_LOCK, "archive"), _writing(path) as journal:
        pieces = pieces_of(journal)
        for piece in pieces:
            check_piece(piece, data_dir)
        _remove_unknown(data_dir, last_archived(journal))
        count = 0
        for piece in reversed(pieces):
            for done in _put_back(data_dir, journal, piece):
                progress(count + done, pieces[-1].last)
            count += piece.last - piece.first + 1
            piece.path(data_dir).unlink()
            flush(data_dir)
    return count


def fill_in(journal: sqlite3.Connection, data_dir: Path) -> None:
    """Put archived records into a copy of the journal, which then stands on no archive. Raises StorageError."""
    for piece in reversed(pieces_of(journal)):
        check_piece(piece, data_dir)
        for _ in _put_back(data_dir, journal, piece):
            pass


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with opened(path) as connection:
            if check_ours(connection, path, JOURNAL) < len(migrations(JOURNAL)):
                raise StorageError(
                    f"{path} was written by an older version: start the server once, which takes it over"
                )
            refuse_newer_releases(connection, path.parent)
            prepare(connection, path, JOURNAL)
            yield connection
    except sqlite3.Error as error:
        raise explain(path, error) from error
    except OSError as error:
        raise StorageError(f"{path} can't be archived: {error.strerror}") from error


# --- what may go ----------------------------------------------------------------------------------------------------


def _last_to_go(data_dir: Path, journal: sqlite3.Connection, archives: Archives, progress: Progress) -> tuple[int, int]:
    """The snapshot that was verified, and the last record that may go."""
    with _reading(data_dir / SNAPSHOTS_DB, SNAPSHOTS) as snapshots:
        snapshots.execute("BEGIN")  # a server drops the oldest meanwhile
        stored = sorted(stored_snapshots(snapshots), key=lambda each: each.seq)
        last = min([each.seq for each in stored[:1]] + _heard(data_dir)) - FINGERPRINTED if stored else 0
        if last < last_archived(journal) + FEWEST:
            return 0, 0
        for each in stored:
            try:
                at, digest = restored_of(each)
                break
            except SnapshotDamaged:
                continue
        else:
            raise StorageError(f"no snapshot in {data_dir} is whole: nothing was archived")
    if replayed(journal, archives, each.seq, progress) != (at, digest):
        raise StorageError(f"snapshot {each.seq} is not the state that the journal leads to: run `exness verify`")
    return each.seq, last


def _heard(data_dir: Path) -> list[int]:
    """Up to which record tables and candles have heard the journal. Candles that are at 0 will not ask for it."""
    marks = []
    for name in (MAIN_DB, MARKET_DB):
        path = data_dir / name
        try:
            with opened(path, "ro") as connection:
                marks.append(connection.execute(SELECT_MARK).fetchone()[0])
        except sqlite3.Error as error:
            raise explain(path, error) from error
    tables, candles = marks
    return [tables, candles] if candles else [tables]


@contextmanager
def _reading(path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StorageError(f"{path} is not there: only what lies behind a snapshot can be archived")
    try:
        with opened(path, "ro") as connection:
            check_ours(connection, path, schema)
            yield connection
    except sqlite3.Error as error:
        raise explain(path, error) from error


def _remove_unknown(data_dir: Path, archived: int) -> None:
    """Archives that a killed run left before journal.db knew of them, or after it had forgotten them: their records are
    all in the journal."""
    for path in data_dir.glob("journal-*.archive"):
        if (named := NAME.fullmatch(path.name)) and int(named.group(1)) > archived:
            path.unlink()


def _parts(archived: int, last: int) -> Iterator[tuple[int, int]]:
    for first in range(archived + 1, last + 1, RECORDS_PER_PIECE):
        yield first, min(last, first + RECORDS_PER_PIECE - 1)


# --- there and back -------------------------------------------------------------------------------------------------


def _archive(data_dir: Path, journal: sqlite3.Connection, archives: Archives, part: tuple[int, int]) -> Piece:
    """Write one archive, and drop its records from the journal."""
    first, last = part
    draft = data_dir / DRAFT
    list(remove(draft))
    draft.touch(mode=0o600)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        prepare(connection, draft, ARCHIVE)
        for begin in range(first, last + 1, RECORDS_PER_BLOCK):
            rows = list(rows_after(journal, archives, begin - 1, min(RECORDS_PER_BLOCK, last + 1 - begin)))
            for expected, row in enumerate(rows, begin):
                check_row(row, expected)
            connection.execute(INSERT_BLOCK, packed(rows))
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        piece = Piece(first, last, digest_of_blocks(draft, connection))
    flush(draft)
    path = piece.path(data_dir)
    draft.replace(path)  # one of this name is of a run that was killed before journal.db knew it
    flush(data_dir)
    check_piece(piece, data_dir)
    _forget(journal, piece)
    return piece


def _forget(journal: sqlite3.Connection, piece: Piece) -> None:
    """Have the journal know an archive, and drop its records."""
    gone = ROWS_AT_ONCE
    while gone == ROWS_AT_ONCE:
        with transaction(journal):
            journal.execute(INSERT_ARCHIVE, piece)
            gone = journal.execute(FORGET, (piece.last, ROWS_AT_ONCE)).rowcount
        time.sleep(PAUSE_S)


def _put_back(data_dir: Path, journal: sqlite3.Connection, piece: Piece) -> Iterator[int]:
    """Newest block first, so that the journal has no hole at any moment but the one at its beginning."""
    path, done = piece.path(data_dir), 0
    with closing(open_piece(piece, data_dir)) as connection:
        for block in connection.execute(SELECT_BLOCKS_BACKWARDS, (_first(journal),)):
            rows: Sequence[RawRow] = unpacked(path, block)
            with transaction(journal):
                journal.executemany(PUT_BACK, rows)
                if block[0] == piece.first:
                    journal.execute(FORGET_ARCHIVE, (piece.first,))
            done += len(rows)
            yield done


def _give_room_back(journal: sqlite3.Connection) -> None:
    """Shrink the file by its free pages, a few at a time. One that can't shrink keeps them for new records."""
    left, before = _free_pages(journal), -1
    while left and left != before:
        journal.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        before, left = left, _free_pages(journal)
        time.sleep(PAUSE_S)


def _first(journal: sqlite3.Connection) -> int:
    """The oldest record that is in the journal itself."""
    first: int = journal.execute(FIRST_SEQ).fetchone()[0]
    return first


def _free_pages(journal: sqlite3.Connection) -> int:
    free: int = journal.execute("PRAGMA freelist_count").fetchone()[0]
    return free

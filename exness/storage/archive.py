"""Records that no start needs any more, in compressed files beside the journal: how they lie there, and are read.

An archive is an SQLite file of blocks, `journal-FIRST-LAST.archive`, that nobody changes once it has its name. Each
block has a checksum, and so has the whole: journal.db keeps that of each archive it stands on, so a file that is
missing, damaged or another one's is told by its name. Who reads the journal finds archived records by the hole that
they left at its beginning (`rows_after`, `row_of`).
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from exness.runtime.ports.journal import StorageError
from exness.storage.codec import RawRow, check_row
from exness.storage.database import Schema, check_ours
from exness.storage.journal_rows import SELECT_RECORD, SELECT_RECORDS

ARCHIVE = Schema(
    "archive",
    0x65786D61,
    script="""
CREATE TABLE blocks (
    last     INTEGER PRIMARY KEY,
    first    INTEGER NOT NULL,
    records  BLOB    NOT NULL,         -- their rows in the journal, as msgpack, compressed by zlib
    checksum INTEGER NOT NULL          -- CRC-32 of it
) STRICT;
""",
    version=1,
)

RECORDS_PER_BLOCK = 1_000
COMPRESSION = 6
OPEN_AT_ONCE = 4
"""Archives that one reader has open."""

SELECT_ARCHIVES = "SELECT first, last, digest FROM archives ORDER BY first"
SELECT_ARCHIVE_OF = "SELECT first, last, digest FROM archives WHERE first <= ? AND last >= ?"
LAST_ARCHIVED = "SELECT coalesce(max(last), 0) FROM archives"
SELECT_BLOCK = "SELECT first, last, records, checksum FROM blocks WHERE last >= ? ORDER BY last LIMIT 1"
SELECT_BLOCKS = "SELECT first, last, records, checksum FROM blocks ORDER BY last"
SELECT_BLOCKS_BACKWARDS = "SELECT first, last, records, checksum FROM blocks WHERE first < ? ORDER BY last DESC"
INSERT_BLOCK = "INSERT INTO blocks (last, first, records, checksum) VALUES (?, ?, ?, ?)"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[RawRow]).decode

Block = tuple[int, int, bytes, int]


class Piece(NamedTuple):
    """One archive, as journal.db knows it. `digest` is SHA-256 over its blocks."""

    first: int
    last: int
    digest: bytes

    def path(self, data_dir: Path) -> Path:
        return data_dir / f"journal-{self.first:012d}-{self.last:012d}.archive"


class ArchiveMissing(StorageError):
    """An archive that is needed can't be read."""


class Archives:
    """Reads the archives in a folder, for one thread at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._open: dict[Piece, sqlite3.Connection] = {}

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def rows(self, journal: sqlite3.Connection, after: int, limit: int) -> list[RawRow]:
        """Some of the records after `after`, at most `limit` unless that is negative; none when the next one is not
        archived. Raises ArchiveMissing."""
        found = journal.execute(SELECT_ARCHIVE_OF, (after + 1, after + 1)).fetchone()
        if found is None:
            return []
        piece = Piece(*found)
        block = self._read(piece, after)
        rows = [row for row in unpacked(piece.path(self._data_dir), block) if row[0] > after]
        return rows if limit < 0 else rows[:limit]

    def _read(self, piece: Piece, after: int) -> Block:
        path = piece.path(self._data_dir)
        try:
            block: Block | None = self._connection(piece).execute(SELECT_BLOCK, (after + 1,)).fetchone()
        except sqlite3.Error as error:
            raise ArchiveMissing(_damaged(path, str(error))) from error
        if block is None:
            raise ArchiveMissing(_damaged(path, f"record {after + 1} is not in it"))
        return block

    def _connection(self, piece: Piece) -> sqlite3.Connection:
        connection = self._open.get(piece)
        if connection is None:
            if len(self._open) >= OPEN_AT_ONCE:
                self._open.pop(next(iter(self._open))).close()
            connection = self._open[piece] = open_piece(piece, self._data_dir)
        return connection


def open_piece(piece: Piece, data_dir: Path) -> sqlite3.Connection:
    """An archive, to read. Raises ArchiveMissing."""
    path = piece.path(data_dir)
    if not path.is_file():
        raise ArchiveMissing(
            f"records {piece.first} to {piece.last} of the journal are archived, and {path} is not there: put it back"
        )
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    try:
        if check_ours(connection, path, ARCHIVE) == 0:
            raise ArchiveMissing(_damaged(path, "it is empty"))
    except sqlite3.Error as error:
        connection.close()
        raise ArchiveMissing(_damaged(path, str(error))) from error
    except StorageError:
        connection.close()
        raise
    return connection


def pieces_of(journal: sqlite3.Connection) -> list[Piece]:
    """The archives that the journal stands on, oldest first."""
    return [Piece(*row) for row in journal.execute(SELECT_ARCHIVES)]


def last_archived(journal: sqlite3.Connection) -> int:
    """Records up to this one may lie in archives. 0: none does."""
    last: int = journal.execute(LAST_ARCHIVED).fetchone()[0]
    return last


def require_all(journal: sqlite3.Connection, data_dir: Path, why: str) -> None:
    """Raise ArchiveMissing, with `why` they are needed, unless every archive can be opened."""
    for piece in pieces_of(journal):
        try:
            open_piece(piece, data_dir).close()
        except ArchiveMissing as missing:
            raise ArchiveMissing(f"{why}: {missing}") from missing


def digest_of_blocks(path: Path, connection: sqlite3.Connection) -> bytes:
    """SHA-256 over the blocks of an archive. Raises ArchiveMissing when it can't be read."""
    digest = hashlib.sha256()
    try:
        for first, last, records, checksum in connection.execute(SELECT_BLOCKS):
            digest.update(b"%d %d %d %d " % (first, last, checksum, len(records)))
            digest.update(records)
    except (sqlite3.Error, TypeError) as error:
        raise ArchiveMissing(_damaged(path, str(error))) from error
    return digest.digest()


def check_piece(piece: Piece, data_dir: Path) -> None:
    """Raise ArchiveMissing unless an archive is, to the bit, the one that the journal stands on."""
    connection = open_piece(piece, data_dir)
    try:
        path = piece.path(data_dir)
        if digest_of_blocks(path, connection) != piece.digest:
            raise ArchiveMissing(_damaged(path, "its checksum is not the one that the journal keeps"))
    finally:
        connection.close()


def packed(rows: list[RawRow]) -> Block:
    """Rows that follow each other, as they are stored."""
    records = zlib.compress(_pack(rows), COMPRESSION)
    return rows[-1][0], rows[0][0], records, zlib.crc32(records)


def unpacked(path: Path, block: Block) -> list[RawRow]:
    """The rows of a block, each checked. Raises ArchiveMissing, and JournalDamaged for a record that is not whole."""
    first, last, records, checksum = block
    try:
        if zlib.crc32(records) != checksum:
            raise ArchiveMissing(_damaged(path, f"records {first} to {last} do not match their checksum"))
        rows = _unpack(zlib.decompress(records))
    except (TypeError, zlib.error, msgspec.MsgspecError) as error:
        raise ArchiveMissing(_damaged(path, str(error))) from error
    if len(rows) != last - first + 1:
        raise ArchiveMissing(_damaged(path, f"records {first} to {last} are not all there"))
    for expected, row in enumerate(rows, first):
        check_row(row, expected)
    return rows


def _damaged(path: Path, why: str) -> str:
    return f"the archive {path} is damaged or another one's ({why}): put a good copy in its place"


# --- the journal with what is archived of it ------------------------------------------------------------------------


def rows_after(journal: sqlite3.Connection, archives: Archives, after: int, limit: int = -1) -> Iterator[RawRow]:
    """The rows after `after` in order, at most `limit` unless that is negative, from wherever they lie. As they are in
    journal.db, unchecked. Raises ArchiveMissing, sqlite3.Error."""
    while limit:
        rows = journal.execute(SELECT_RECORDS, (after, limit))
        row = next(rows, None)
        if row is None:
            return
        archived = archives.rows(journal, after, limit) if row[0] != after + 1 else []
        if not archived:
            yield row
            yield from rows
            return
        yield from archived
        after, limit = archived[-1][0], max(-1, limit - len(archived)) if limit > 0 else limit


def row_of(journal: sqlite3.Connection, archives: Archives, seq: int) -> RawRow | None:
    """One row, from wherever it lies; None when it is nowhere. Raises ArchiveMissing."""
    row: RawRow | None = journal.execute(SELECT_RECORD, (seq,)).fetchone()
    if row is None:
        row = next(iter(archives.rows(journal, seq - 1, 1)), None)
    return row

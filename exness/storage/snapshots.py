"""Pictures of the state in snapshots.db: a row of metadata and compressed chunks of accounts, all checksummed.

Packing, hashing and compressing are done on the connection's thread, not on the loop.
"""

import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import msgspec

from exness.core.capture import Digest, Header, decode_header, encode_header
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo
from exness.storage.database import Database, DatabaseDamaged

P = ParamSpec("P")
T = TypeVar("T")

COMPRESSION = 1
"""zlib's fastest: accounts shrink to 27 %. Level 6 takes 2.5 times as long for 24 %."""

CHUNKS_PER_READ = 16
"""A trip to the connection's thread takes as long as a chunk of 500 trades; 16 of them are about 3 MB inflated."""

INSERT_CHUNK = "INSERT INTO chunks (seq, n, accounts, checksum) VALUES (?, ?, ?, ?)"
INSERT_SNAPSHOT = """
    INSERT INTO snapshots (seq, header, digest, chunks, stored_bytes, checksum) VALUES (?, ?, ?, ?, ?, ?)"""
SELECT_SNAPSHOTS = """
    SELECT seq, header, CAST(digest AS BLOB), chunks, stored_bytes, checksum FROM snapshots ORDER BY seq DESC"""
SELECT_SNAPSHOT = """
    SELECT seq, header, CAST(digest AS BLOB), chunks, stored_bytes, checksum FROM snapshots WHERE seq = ?"""
SELECT_CHUNK = "SELECT accounts, checksum FROM chunks WHERE seq = ? AND n = ?"
DROP_SNAPSHOT = "DELETE FROM snapshots WHERE seq = ?"
DROP_SNAPSHOTS_FROM = "DELETE FROM snapshots WHERE seq >= ?"
DROP_OLDEST = "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)"
DROP_LOOSE_CHUNKS = "DELETE FROM chunks WHERE seq NOT IN (SELECT seq FROM snapshots)"

_pack = msgspec.msgpack.Encoder().encode
_unpack_accounts = msgspec.msgpack.Decoder(list[bytes]).decode


class SnapshotStoreDamaged(DatabaseDamaged):
    """snapshots.db is no database. It may be moved away: the journal alone brings everything back."""


class SqliteSnapshots:
    """Implements `ports.Snapshots`. `kept` snapshots stay, the oldest go."""

    def __init__(self, database: Database, kept: int) -> None:
        self._database = database
        self._kept = kept

    @asynccontextmanager
    async def draft(self, header: Header) -> AsyncIterator["SqliteDraft"]:
        draft = SqliteDraft(self._database, header, self._kept)
        try:
            await self._database.run(draft.begin)
            yield draft
        finally:
            await self._database.run(draft.forget)

    async def infos(self) -> list[SnapshotInfo]:
        """See `ports.Snapshots`. One whose row is damaged is listed too, without a digest: it must not pass for none.

        Raises SnapshotStoreDamaged when not even the list can be read.
        """
        try:
            return [info_of(row) for row in await self._database.run(select_all)]
        except DatabaseDamaged as error:
            raise SnapshotStoreDamaged(str(error)) from error

    async def header(self, seq: int) -> Header:
        return check_row(seq, await self._read(select_row, seq)).header

    async def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        row = check_row(seq, await self._read(select_row, seq))
        digest, count = Digest(row.header), 0
        for first in range(0, row.chunks, CHUNKS_PER_READ):
            accounts = await self._read(_read_chunks, seq, first, min(first + CHUNKS_PER_READ, row.chunks), digest)
            count += len(accounts)
            yield accounts
        if count != row.header.accounts or digest.hex() != row.digest:
            raise SnapshotDamaged(f"snapshot {seq} is damaged: its accounts do not match its digest")

    async def _read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Damage met while one snapshot is read is that snapshot's."""
        try:
            return await self._database.run(function, *args, **kwargs)
        except DatabaseDamaged as error:
            raise SnapshotDamaged(str(error)) from error


class SqliteDraft:
    """Implements `ports.SnapshotDraft`: one transaction, from `begin` to `commit` or `forget`."""

    def __init__(self, database: Database, header: Header, kept: int) -> None:
        self._database = database
        self._header = header
        self._kept = kept
        self._digest = Digest(header)
        self._chunks = 0
        self._stored_bytes = 0

    async def add(self, accounts: Sequence[bytes]) -> None:
        if accounts:
            await self._database.run(self._add, accounts)

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        return await self._database.run(self._commit, journal)

    def begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(DROP_SNAPSHOT, (self._header.seq,))  # the same state again: the new picture counts
        connection.execute(DROP_LOOSE_CHUNKS)

    def forget(self, connection: sqlite3.Connection) -> None:
        """Nothing to do after `commit`."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _add(self, connection: sqlite3.Connection, accounts: Sequence[bytes]) -> None:
        data, checksum = packed(accounts, self._digest)
        connection.execute(INSERT_CHUNK, (self._header.seq, self._chunks, data, checksum))
        self._chunks += 1
        self._stored_bytes += len(data)

    def _commit(self, connection: sqlite3.Connection, journal: int | None) -> SnapshotInfo:
        header = encode_header(msgspec.structs.replace(self._header, journal=journal))
        digest = self._digest.hex()
        stored_bytes = self._stored_bytes + len(header)
        checksum = checksum_of(self._header.seq, header, digest.encode(), self._chunks, stored_bytes)
        connection.execute(INSERT_SNAPSHOT, (self._header.seq, header, digest, self._chunks, stored_bytes, checksum))
        connection.execute(DROP_OLDEST, (self._kept,))
        connection.execute(DROP_LOOSE_CHUNKS)
        connection.execute("COMMIT")
        _give_room_back(connection, stored_bytes)
        return SnapshotInfo(self._header.seq, self._header.at, digest, stored_bytes)


class StoredRow(NamedTuple):
    """A snapshot's row that matches its checksum."""

    header: Header
    digest: str
    chunks: int
    stored_bytes: int


RawRow = tuple[int, bytes, bytes, int, int, int]


def check_row(seq: int, row: RawRow | None) -> StoredRow:
    if row is None:
        raise SnapshotDamaged(f"snapshot {seq} is not there")
    _, header, digest, chunks, stored_bytes, checksum = row
    try:
        whole = checksum_of(seq, header, digest, chunks, stored_bytes) == checksum
        if whole:
            return StoredRow(decode_header(header), digest.decode(), chunks, stored_bytes)
    except (TypeError, msgspec.DecodeError) as error:  # TypeError: damage turned a value into one of another type
        raise SnapshotDamaged(f"snapshot {seq} is damaged: {error}") from error
    raise SnapshotDamaged(f"snapshot {seq} is damaged: its row does not match its checksum")


def checksum_of(seq: int, header: bytes, digest: bytes, chunks: int, stored_bytes: int) -> int:
    return zlib.crc32(b"%d %d %d %s %s" % (seq, chunks, stored_bytes, digest, header))


def info_of(row: RawRow) -> SnapshotInfo:
    try:
        checked = check_row(row[0], row)
    except SnapshotDamaged:
        return SnapshotInfo(row[0], at=0, digest="", stored_bytes=0)
    return SnapshotInfo(row[0], checked.header.at, checked.digest, checked.stored_bytes)


def select_all(connection: sqlite3.Connection) -> list[RawRow]:
    return connection.execute(SELECT_SNAPSHOTS).fetchall()


def select_row(connection: sqlite3.Connection, seq: int) -> RawRow | None:
    row: RawRow | None = connection.execute(SELECT_SNAPSHOT, (seq,)).fetchone()
    return row


def packed(accounts: Sequence[bytes], digest: Digest) -> tuple[bytes, int]:
    """Accounts as a chunk stores them, with its checksum. The digest gets them."""
    for account in accounts:
        digest.add(account)
    data = zlib.compress(_pack(accounts), COMPRESSION)
    return data, zlib.crc32(data)


def unpacked(seq: int, n: int, row: tuple[bytes, int] | None, digest: Digest) -> list[bytes]:
    """The accounts of a snapshot's chunk, which the digest gets. Raises SnapshotDamaged."""
    if row is None:
        raise SnapshotDamaged(f"snapshot {seq} is damaged: chunk {n} is not there")
    data, checksum = row
    try:
        if zlib.crc32(data) != checksum:
            raise SnapshotDamaged(f"snapshot {seq} is damaged: chunk {n} does not match its checksum")
        accounts = _unpack_accounts(zlib.decompress(data))
    except (TypeError, zlib.error, msgspec.DecodeError) as error:
        raise SnapshotDamaged(f"snapshot {seq} is damaged: chunk {n}: {error}") from error
    digest.add(b"".join(accounts))
    return accounts


def read_chunk(connection: sqlite3.Connection, seq: int, n: int, digest: Digest) -> list[bytes]:
    return unpacked(seq, n, connection.execute(SELECT_CHUNK, (seq, n)).fetchone(), digest)


def _read_chunks(connection: sqlite3.Connection, seq: int, first: int, end: int, digest: Digest) -> list[bytes]:
    return [account for n in range(first, end) for account in read_chunk(connection, seq, n, digest)]


def _give_room_back(connection: sqlite3.Connection, needed: int) -> None:
    """Shrink the file by its free pages, all but those which another snapshot of this size will need."""
    page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    free_pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
    spare = free_pages - 2 * (needed // page_size + 1)
    if spare > 0:
        connection.executescript(f"PRAGMA incremental_vacuum({spare})")  # `execute` would stop after one page

"""Pictures of the state in PostgreSQL, with the rows, chunks and checksums of snapshots.db.

Packing, hashing and compressing are done in a thread, not on the loop.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from exness.core.capture import Digest, Header, encode_header
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo
from exness.storage.postgres.session import FAULTS, Address, Connection, Session, close, connect, explained
from exness.storage.snapshots import RawRow, check_row, checksum_of, info_of, packed, unpacked

INSERT_CHUNK = "INSERT INTO chunks (shard, seq, n, accounts, checksum) VALUES ($1, $2, $3, $4, $5)"
INSERT_SNAPSHOT = """
    INSERT INTO snapshots (shard, seq, header, digest, chunks, stored_bytes, checksum)
    VALUES ($1, $2, $3, $4, $5, $6, $7)"""
_COLUMNS = "seq, header, convert_to(digest, 'UTF8'), chunks, stored_bytes, checksum"
SELECT_SNAPSHOTS = f"SELECT {_COLUMNS} FROM snapshots WHERE shard = $1 ORDER BY seq DESC"  # of constants  # nosec B608
SELECT_SNAPSHOT = f"SELECT {_COLUMNS} FROM snapshots WHERE shard = $1 AND seq = $2"  # of constants alone  # nosec B608
SELECT_CHUNK = "SELECT accounts, checksum FROM chunks WHERE shard = $1 AND seq = $2 AND n = $3"
DROP_SNAPSHOT = "DELETE FROM snapshots WHERE shard = $1 AND seq = $2"
DROP_OLDEST = """
    DELETE FROM snapshots
    WHERE shard = $1 AND seq NOT IN (SELECT seq FROM snapshots WHERE shard = $1 ORDER BY seq DESC LIMIT $2)"""
DROP_LOOSE_CHUNKS = """
    DELETE FROM chunks WHERE shard = $1 AND seq NOT IN (SELECT seq FROM snapshots WHERE shard = $1)"""


class PostgresSnapshots:
    """Implements `ports.Snapshots`. `kept` snapshots stay, the oldest go. A draft is one transaction, over a connection
    of its own."""

    def __init__(self, reader: Session, kept: int) -> None:
        self._reader = reader
        self._address = reader.address
        self._shard = reader.address.shard
        self._kept = kept

    @asynccontextmanager
    async def draft(self, header: Header) -> AsyncIterator["PostgresDraft"]:
        connection = await connect(self._address, f"exness snapshots {self._shard}")
        try:
            draft = PostgresDraft(self._address, connection, header, self._kept)
            await draft.begin()
            yield draft
        finally:
            await close(connection)  # what was not committed is forgotten

    async def infos(self) -> list[SnapshotInfo]:
        rows = await self._reader.run(lambda connection: connection.fetch(SELECT_SNAPSHOTS, self._shard))
        return [info_of(_raw(row)) for row in rows]

    async def header(self, seq: int) -> Header:
        return check_row(seq, await self._row(seq)).header

    async def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        row = check_row(seq, await self._row(seq))
        digest, count = Digest(row.header), 0
        for n in range(row.chunks):
            accounts = await asyncio.to_thread(unpacked, seq, n, await self._chunk(seq, n), digest)
            count += len(accounts)
            yield accounts
        if count != row.header.accounts or digest.hex() != row.digest:
            raise SnapshotDamaged(f"snapshot {seq} is damaged: its accounts do not match its digest")

    async def _row(self, seq: int) -> RawRow | None:
        row = await self._reader.run(lambda connection: connection.fetchrow(SELECT_SNAPSHOT, self._shard, seq))
        return None if row is None else _raw(row)

    async def _chunk(self, seq: int, n: int) -> tuple[bytes, int] | None:
        row = await self._reader.run(lambda connection: connection.fetchrow(SELECT_CHUNK, self._shard, seq, n))
        return None if row is None else (row[0], row[1])


class PostgresDraft:
    """Implements `ports.SnapshotDraft`."""

    def __init__(self, address: Address, connection: Connection, header: Header, kept: int) -> None:
        self._address = address
        self._connection = connection
        self._header = header
        self._kept = kept
        self._digest = Digest(header)
        self._transaction = connection.transaction()
        self._chunks = 0
        self._stored_bytes = 0

    async def begin(self) -> None:
        try:
            await self._transaction.start()
            await self._execute(DROP_SNAPSHOT, self._header.seq)  # the same state again: the new picture counts
            await self._execute(DROP_LOOSE_CHUNKS)
        except FAULTS as error:
            raise explained(self._address, error) from error

    async def add(self, accounts: Sequence[bytes]) -> None:
        if not accounts:
            return
        data, checksum = await asyncio.to_thread(packed, accounts, self._digest)
        try:
            await self._execute(INSERT_CHUNK, self._header.seq, self._chunks, data, checksum)
        except FAULTS as error:
            raise explained(self._address, error) from error
        self._chunks += 1
        self._stored_bytes += len(data)

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        header = encode_header(msgspec.structs.replace(self._header, journal=journal))
        seq, digest, stored_bytes = self._header.seq, self._digest.hex(), self._stored_bytes + len(header)
        checksum = checksum_of(seq, header, digest.encode(), self._chunks, stored_bytes)
        try:
            await self._execute(INSERT_SNAPSHOT, seq, header, digest, self._chunks, stored_bytes, checksum)
            await self._execute(DROP_OLDEST, self._kept)
            await self._execute(DROP_LOOSE_CHUNKS)
            await self._transaction.commit()
        except FAULTS as error:
            raise explained(self._address, error) from error
        return SnapshotInfo(seq, self._header.at, digest, stored_bytes)

    async def _execute(self, statement: str, *values: object) -> None:
        await self._connection.execute(statement, self._address.shard, *values)


def _raw(row: Any) -> RawRow:
    seq, header, digest, chunks, stored_bytes, checksum = row
    return seq, header, digest, chunks, stored_bytes, checksum

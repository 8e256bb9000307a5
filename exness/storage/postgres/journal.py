"""The journal in PostgreSQL. Every append proves in its own transaction that its process is still the engine of the
shard: the epoch must be its own, and the newest record the one that it knows. Else nothing is written.

Whatever goes wrong with an append ends the process: whether it is done is only known to who reads it again. An append
is never cancelled or given a time: PostgreSQL would then commit without the standby, and say so in a warning only. Any
warning is therefore such an end, too.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from exness.core.events import Record
from exness.runtime.ports.journal import Fenced, JournalDamaged, StorageError
from exness.storage.codec import FINGERPRINTED, RawRow, Row, check_row, decode, encode, fingerprint
from exness.storage.journal import RECORDS_PER_READ, check_row_of_seq
from exness.storage.postgres.lease import Lease
from exness.storage.postgres.session import FAULTS, Connection, Session, explained

APPEND = "SELECT append_records($1::smallint, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
RECORDS_AT_ONCE = 500
"""In one call, which takes the loop about two milliseconds to pack. More, as a tick can set off, take several, in one
transaction."""
MOST_PLACE = 32_767
ON_THE_LOOP = 200
"""Records are packed and unpacked in a thread beyond it: 4 us each."""

_COLUMNS = "seq, at, kind, convert_to(payload, 'UTF8'), request, checksum, version, cause"
SELECT_RECORDS = f"SELECT {_COLUMNS} FROM journal WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3"  # of constants  # nosec B608
SELECT_RECORD = f"SELECT {_COLUMNS} FROM journal WHERE shard = $1 AND seq = $2"  # of constants alone  # nosec B608
SELECT_CHECKSUMS = "SELECT checksum FROM journal WHERE shard = $1 AND seq > $2 AND seq <= $3 ORDER BY seq"
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM journal WHERE shard = $1"


class PostgresRecords:
    """The journal, for who only reads it: implements the rest of `ports.Journal`."""

    def __init__(self, reader: Session) -> None:
        self._reader = reader
        self._shard = reader.address.shard

    async def append(self, records: Sequence[Record]) -> None:
        raise AssertionError("only the engine of a shard appends to its journal")

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        while True:
            rows = await self._rows(after, RECORDS_PER_READ)
            chunk = await _off_the_loop(len(rows), decoded, rows, after)
            if chunk.records:
                yield chunk.records
                after = chunk.records[-1].seq
            if chunk.damage is not None:
                raise chunk.damage
            if len(chunk.records) < RECORDS_PER_READ:
                return

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        return await self._reader.run(lambda connection: pick(connection, self._shard, seqs))

    async def last_seq(self) -> int:
        last: int = await self._reader.run(lambda connection: connection.fetchval(LAST_SEQ, self._shard))
        return last

    async def check(self, up_to: int) -> None:
        after = 0
        while after < up_to:
            limit = min(RECORDS_PER_READ, up_to - after)
            rows = await self._rows(after, limit)
            await _off_the_loop(len(rows), _check, rows, after)
            if len(rows) < limit:
                raise JournalDamaged(after + len(rows) + 1, "it is missing")
            after += limit

    async def fingerprint(self, seq: int) -> int:
        after = max(0, seq - FINGERPRINTED)
        rows = await self._reader.run(lambda connection: connection.fetch(SELECT_CHECKSUMS, self._shard, after, seq))
        return fingerprint(checksum for (checksum,) in rows)

    async def newest(self, within_us: int, most: int) -> list[Record]:
        """The newest records, oldest first: at least those of so many microseconds before the last one, unless there
        are more than `most`."""
        found: list[Record] = []
        first = await self.last_seq() + 1
        while first > 1 and len(found) < most and (not found or found[0].at > found[-1].at - within_us):
            after = max(0, first - 1 - RECORDS_PER_READ)
            rows = await self._rows(after, first - 1 - after)
            chunk = await _off_the_loop(len(rows), decoded, rows, after)
            if chunk.damage is not None:
                raise chunk.damage
            found, first = chunk.records + found, after + 1
        return found

    async def _rows(self, after: int, limit: int) -> list[Any]:
        rows: list[Any] = await self._reader.run(
            lambda connection: connection.fetch(SELECT_RECORDS, self._shard, after, limit)
        )
        return rows


class PostgresJournal(PostgresRecords):
    """Implements `ports.Journal`, over the connection that holds the shard; readers have another one. `position` tells
    where the source of prices was, by the last record that is appended."""

    def __init__(
        self, lease: Lease, reader: Session, last_seq: int, position: Callable[[int], str] | None = None
    ) -> None:
        super().__init__(reader)
        self._lease = lease
        self._last = last_seq
        self._failed = False
        self._position = position

    async def append(self, records: Sequence[Record]) -> None:
        """See `ports.Journal`. Raises Fenced when another process has the shard now: nothing was written then. It goes
        on when its caller is cancelled."""
        if records:
            appending = asyncio.ensure_future(self._append(records))
            appending.add_done_callback(_hear_out)
            await asyncio.shield(appending)

    async def _append(self, records: Sequence[Record]) -> None:
        if self._failed:
            raise StorageError(
                f"{self._lease.address.describe()} takes no more records since a write failed: start again"
            )
        try:
            check_row_of_seq(self._last, records)
            await self._write(records)
        except BaseException as error:
            self._failed = True
            if isinstance(error, FAULTS):
                raise explained(self._lease.address, error) from error
            if isinstance(error, OverflowError):
                raise StorageError(f"records {records[0].seq} and on hold a number over 64 bits") from error
            raise
        self._last = records[-1].seq

    async def _write(self, records: Sequence[Record]) -> None:
        lease, last = self._lease, records[-1].seq
        position = None if self._position is None else self._position(last)
        if len(records) <= RECORDS_AT_ONCE:
            await self._call(records, 0, position)
        else:
            place = 0
            async with lease.connection.transaction():
                for at in range(0, len(records), RECORDS_AT_ONCE):
                    some = records[at : at + RECORDS_AT_ONCE]
                    follows = at > 0 and records[at - 1].cause == some[0].cause
                    place = await self._call(some, place + 1 if follows else 0, position)
        lease.refuse_warned()

    async def _call(self, records: Sequence[Record], place: int, position: str | None) -> int:
        """`place` is the first record's among those of its command; returns the last one's."""
        rows = await _off_the_loop(len(records), _encoded, records)
        numbers = places(rows, place)
        _, ats, kinds, payloads, requests, checksums, versions, causes = zip(*rows, strict=True)
        written = await self._lease.connection.fetchval(
            APPEND,
            self._shard,
            self._lease.epoch,
            records[0].seq,
            ats,
            kinds,
            payloads,
            [request.encode() for request in requests],
            checksums,
            versions,
            [cause.encode() for cause in causes],
            numbers,
            position,
        )
        if not written:
            raise Fenced(
                f"another process is the engine of shard {self._shard} now: this one has written nothing since, and "
                "ends"
            )
        return numbers[-1]


def places(rows: list[Row], first: int = 0) -> list[int]:
    """The place of each record among those of its command, which are never split over two appends. `first` is the place
    of the first one."""
    numbers = [min(first, MOST_PLACE)]
    for row, before in zip(rows[1:], rows, strict=False):
        numbers.append(min(numbers[-1] + 1, MOST_PLACE) if row[7] == before[7] else 0)
    return numbers


class _Chunk(NamedTuple):
    records: list[Record]
    damage: JournalDamaged | None


async def pick(connection: Connection, shard: int, seqs: Sequence[int]) -> list[Record]:
    """Raises JournalDamaged."""
    records = []
    for seq in seqs:
        row = await connection.fetchrow(SELECT_RECORD, shard, seq)
        if row is None:
            raise JournalDamaged(seq, "it is missing")
        records.append(decode(raw(row)))
    return records


def _hear_out(appending: asyncio.Future[None]) -> None:
    """Its caller may have gone: its error is then nobody's, and no news."""
    if not appending.cancelled():
        appending.exception()


def raw(row: Any) -> RawRow:
    """A row as the codec wants it."""
    seq, at, kind, payload, request, checksum, version, cause = row
    return seq, at, kind.encode(), payload, request, checksum, version, cause


async def _off_the_loop(count: int, function: Any, *args: Any) -> Any:
    return function(*args) if count <= ON_THE_LOOP else await asyncio.to_thread(function, *args)


def _encoded(records: Sequence[Record]) -> list[Row]:
    return [encode(record) for record in records]


def decoded(rows: list[Any], after: int) -> _Chunk:
    """Whole records up to the first that is not."""
    records: list[Record] = []
    try:
        for expected, row in enumerate(rows, after + 1):
            if row[0] != expected:
                raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
            records.append(decode(raw(row)))
    except JournalDamaged as damage:
        return _Chunk(records, damage)
    return _Chunk(records, None)


def _check(rows: list[Any], after: int) -> None:
    for expected, row in enumerate(rows, after + 1):
        check_row(raw(row), expected)

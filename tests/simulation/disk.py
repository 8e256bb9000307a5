"""A disk that keeps what it was told to keep, takes its time, and now and then does not.

It outlives the processes: each life works on it through its own SimJournal and SimSnapshots, which implement
`ports.Journal`, `ports.Tables` and `ports.Snapshots`. A transaction is on the disk whole or not at all. Tables are
synced less: a power cut can take the last of their transactions back, whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from random import Random
from zlib import crc32

import msgspec

from exness.core.capture import Digest, Header
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo
from exness.runtime.ports.tables import Watermark
from exness.storage.codec import FINGERPRINTED, Row, decode, encode, fingerprint
from tests.support.journal_rows import as_read
from tests.support.memory_storage import MemoryTables


class Outage(StrEnum):
    """What becomes of a commit that is under way when the power is cut."""

    LOST = "lost"
    KEPT = "kept"


class Decay(StrEnum):
    """What becomes of the snapshots when the power is cut."""

    NONE = "none"
    LOSE_NEWEST = "lose newest"
    LOSE_ALL = "lose all"
    DAMAGE_NEWEST = "damage newest"
    DAMAGE_ALL = "damage all"


class CommitFault(StrEnum):
    """A commit that fails: before anything is on the disk, or after all of it is."""

    BEFORE = "before it is durable"
    AFTER = "after it is durable"


class Snapshot(msgspec.Struct):
    """A snapshot as it lies on the disk. `checksum` is of the header; `digest` of what is in the accounts."""

    header: bytes
    checksum: int
    digest: str
    seq: int
    at: int
    accounts: list[bytes]


class Disk:
    """`on_commit` hears of every transaction at the moment it is on the disk, `on_snapshot` of every snapshot,
    `on_tables` of every write of the tables."""

    def __init__(self, random: Random, snapshots_kept: int) -> None:
        self.random = random
        self.rows: list[Row] = []
        self.snapshots: dict[int, Snapshot] = {}
        self.kept = snapshots_kept
        self.commit_fault: CommitFault | None = None
        self.snapshot_fails = False
        self.slow_s = 0.0
        self.in_flight: list[Row] = []
        self.snapshot_in_flight: Snapshot | None = None
        self.failed = False
        self.tables = MemoryTables({})
        self.marks = [0]
        """How far the tables had come, the newest last: a power cut may set them back."""
        self.tables_fail = False
        self.on_commit: Callable[[list[Row]], None] = lambda rows: None
        self.on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None
        self.on_tables: Callable[[MemoryTables], None] = lambda tables: None
        self.reached: Callable[[str], None] = lambda what: None

    def copy(self) -> "Disk":
        """The same content on another disk, for looking at."""
        other = Disk(Random(0), self.kept)
        other.rows = list(self.rows)
        other.snapshots = {seq: _copy(snapshot) for seq, snapshot in self.snapshots.items()}
        return other

    def latency(self) -> float:
        """Mostly short, sometimes none, sometimes long."""
        return self.random.choice((0.0, 0.0, 1e-5, 1e-4, 1e-3, 0.01)) * self.random.uniform(0.5, 2.0)

    def commit(self, rows: list[Row]) -> None:
        self.rows += rows
        self.on_commit(rows)

    def keep(self, snapshot: Snapshot) -> None:
        self.snapshots[snapshot.seq] = snapshot
        for seq in sorted(self.snapshots)[: -self.kept]:
            del self.snapshots[seq]
        self.on_snapshot(snapshot)

    def boot(self) -> None:
        """A new process: nothing is under way, nothing has failed."""
        self.in_flight, self.snapshot_in_flight, self.failed = [], None, False
        self.commit_fault, self.snapshot_fails, self.tables_fail, self.slow_s = None, False, False, 0.0

    def cut_power(self, outage: Outage, decay: Decay) -> None:
        """What a crash leaves."""
        if self.in_flight:
            self._end_commit(outage)
        if self.snapshot_in_flight is not None:
            self.reached("crash while a snapshot is written")
            if self.random.random() < 0.5:
                torn = _copy(self.snapshot_in_flight)
                torn.accounts = torn.accounts[:-1]
                torn.checksum ^= 0 if torn.accounts else 1
                self.snapshots[torn.seq] = torn
                self.reached("snapshot torn")
        self._end_tables()
        self._decay(decay)

    def _end_tables(self) -> None:
        """They may have lost what was not synced, or all of it: they are made anew then."""
        seq = self.tables.mark.seq
        if seq < len(self.rows):
            self.reached("crash while the tables are behind")
        lost = self.random.random()
        if lost < 0.3 and len(self.marks) > 1:
            self.reached("tables set back")
            seq = self.random.choice(self.marks)
        elif lost < 0.4:
            self.reached("tables lost")
            seq = 0
        self.tables, self.marks = tables_of(self.rows[:seq]), [seq]

    def _end_commit(self, outage: Outage) -> None:
        on_disk = self.rows[-1:] == self.in_flight[-1:]
        self.reached("crash after a commit, before its answer" if on_disk else f"crash in a commit: {outage}")
        if not on_disk and outage is not Outage.LOST:
            self.commit(self.in_flight)

    def _decay(self, decay: Decay) -> None:
        seqs = sorted(self.snapshots, reverse=True)
        if decay is Decay.NONE or not seqs:
            return
        self.reached(f"snapshots: {decay}")
        chosen = seqs if decay in (Decay.LOSE_ALL, Decay.DAMAGE_ALL) else seqs[:1]
        for seq in chosen:
            if decay in (Decay.LOSE_ALL, Decay.LOSE_NEWEST):
                del self.snapshots[seq]
            else:
                spoil(self.snapshots[seq], self.random)


def damaged(row: Row, random: Random) -> Row:
    """One field of the row, not as it was written."""
    seq, at, kind, payload, request, checksum, version, cause = row
    match random.randrange(8):
        case 0:
            return seq, at ^ (1 << random.randrange(40)), kind, payload, request, checksum, version, cause
        case 1:
            return seq, at, kind[:-1], payload, request, checksum, version, cause
        case 2:
            cut = payload[: random.randrange(len(payload))]
            return seq, at, kind, cut, request, checksum, version, cause
        case 3:
            return seq, at, kind, payload, request + "!", checksum, version, cause
        case 4:
            return seq, at, kind, payload, request, checksum ^ (1 << random.randrange(32)), version, cause
        case 5:
            return seq, at, kind, payload, request, checksum, version ^ 1, cause
        case 6:
            return seq, at, kind, payload, request, checksum, version, cause + "!"
        case _:
            place = random.randrange(len(payload))
            other = chr((ord(payload[place]) - 31) % 95 + 32)
            changed = payload[:place] + other + payload[place + 1 :]
            return seq, at, kind, changed, request, checksum, version, cause


def spoil(snapshot: Snapshot, random: Random) -> None:
    """Flip a bit somewhere in a snapshot."""
    if snapshot.accounts and random.random() < 0.8:
        number = random.randrange(len(snapshot.accounts))
        snapshot.accounts[number] = _flip(snapshot.accounts[number], random)
    else:
        snapshot.header = _flip(snapshot.header, random)


def _flip(blob: bytes, random: Random) -> bytes:
    place = random.randrange(len(blob))
    return blob[:place] + bytes([blob[place] ^ (1 << random.randrange(8))]) + blob[place + 1 :]


def _copy(snapshot: Snapshot) -> Snapshot:
    return msgspec.structs.replace(snapshot, accounts=list(snapshot.accounts))


class SimJournal:
    """Implements `ports.Journal` for one life."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def append(self, records: Sequence[Record]) -> None:
        disk = self._disk
        if disk.failed:
            raise StorageError("a commit has failed before: start again")
        fault, disk.commit_fault = disk.commit_fault, None
        slow_s, disk.slow_s = disk.slow_s, 0.0
        rows = [encode(record) for record in records]
        disk.in_flight = rows
        await asyncio.sleep(disk.latency() + slow_s)
        if fault is CommitFault.BEFORE:
            raise self._failure(fault)
        disk.commit(rows)
        await asyncio.sleep(disk.latency())
        if fault is CommitFault.AFTER:
            raise self._failure(fault)
        disk.in_flight = []

    def _failure(self, fault: CommitFault) -> StorageError:
        disk = self._disk
        disk.failed, disk.in_flight = True, []
        disk.reached(f"commit failed {fault}")
        return StorageError(f"the disk failed {fault}")

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        rows, at_once = self._disk.rows, self._disk.random.choice((1, 3, 1000))
        for start in range(max(0, after), len(rows), at_once):
            await asyncio.sleep(self._disk.latency())
            records: list[Record] = []
            try:
                for expected, row in enumerate(rows[start : start + at_once], start + 1):
                    if row[0] != expected:
                        raise JournalDamaged(expected, "it is missing")
                    records.append(decode_row(row))
            except JournalDamaged:
                if records:
                    yield records
                raise
            yield records

    async def record(self, seq: int) -> Record:
        await asyncio.sleep(self._disk.latency())
        return decode_row(self._disk.rows[seq - 1])

    async def last_seq(self) -> int:
        await asyncio.sleep(0)
        return self._disk.rows[-1][0] if self._disk.rows else 0

    async def check(self, up_to: int) -> None:
        await asyncio.sleep(self._disk.latency())
        for expected, row in enumerate(self._disk.rows[:up_to], 1):
            if row[0] != expected:
                raise JournalDamaged(expected, "it is missing")
            decode_row(row)

    async def fingerprint(self, seq: int) -> int:
        await asyncio.sleep(self._disk.latency())
        return fingerprint(row[5] for row in self._disk.rows[max(0, seq - FINGERPRINTED) : seq])

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        await asyncio.sleep(self._disk.latency())
        return [decode_row(self._disk.rows[seq - 1]) for seq in seqs]


class SimTables:
    """Implements `ports.Tables` for one life. Now and then a write fails; whatever fails is whole or undone."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def write(self, records: Sequence[Record]) -> None:
        disk = self._disk
        await asyncio.sleep(5 * disk.latency())
        if disk.tables_fail:
            disk.tables_fail = False
            disk.reached("tables failed")
            raise StorageError("no room for the tables")
        await disk.tables.write(records)
        disk.on_tables(disk.tables)
        disk.marks = [*disk.marks[-3:], disk.tables.mark.seq]
        await asyncio.sleep(disk.latency())

    async def watermark(self) -> Watermark:
        return self._disk.tables.mark

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        await asyncio.sleep(self._disk.latency())
        return await self._disk.tables.records_of(account, after, limit)


def tables_of(rows: Sequence[Row]) -> MemoryTables:
    """What these records make, all at once."""
    tables = MemoryTables({})
    if rows:
        tables.take([decode_row(row) for row in rows])
    return tables


def decode_row(row: Row) -> Record:
    return decode(as_read(row))


class SimSnapshots:
    """Implements `ports.Snapshots` for one life."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def draft(self, header: Header) -> "SimDraft":
        return SimDraft(self._disk, header)

    async def infos(self) -> list[SnapshotInfo]:
        await asyncio.sleep(0)
        newest_first = sorted(self._disk.snapshots.values(), key=lambda snapshot: -snapshot.seq)
        return [_info(snapshot) for snapshot in newest_first]

    async def header(self, seq: int) -> Header:
        await asyncio.sleep(0)
        return header_of(self._find(seq))

    async def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        snapshot = self._find(seq)
        digest = Digest(header_of(snapshot))
        for account in snapshot.accounts:
            await asyncio.sleep(self._disk.latency())
            digest.add(account)
            yield [account]
        if digest.hex() != snapshot.digest:
            raise SnapshotDamaged(f"snapshot {seq} does not match its digest")

    def _find(self, seq: int) -> Snapshot:
        if seq not in self._disk.snapshots:
            raise SnapshotDamaged(f"snapshot {seq} is not there")
        return self._disk.snapshots[seq]


def header_of(snapshot: Snapshot) -> Header:
    """Raises SnapshotDamaged."""
    if crc32(snapshot.header) != snapshot.checksum:
        raise SnapshotDamaged(f"the header of snapshot {snapshot.seq} does not match its checksum")
    return msgspec.msgpack.decode(snapshot.header, type=Header)


def _info(snapshot: Snapshot) -> SnapshotInfo:
    return SnapshotInfo(snapshot.seq, snapshot.at, snapshot.digest, sum(map(len, snapshot.accounts)))


class SimDraft:
    """Implements `ports.SnapshotDraft`."""

    def __init__(self, disk: Disk, header: Header) -> None:
        self._disk = disk
        self._header = header
        self._accounts: list[bytes] = []

    async def __aenter__(self) -> "SimDraft":
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._disk.snapshot_in_flight = None

    async def add(self, accounts: Sequence[bytes]) -> None:
        await asyncio.sleep(self._disk.latency())
        self._accounts += accounts

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        disk, snapshot = self._disk, self._whole(msgspec.structs.replace(self._header, journal=journal))
        disk.snapshot_in_flight = snapshot
        await asyncio.sleep(20 * disk.latency())
        if disk.snapshot_fails:
            disk.snapshot_fails = False
            disk.reached("snapshot failed")
            raise StorageError("no room for a snapshot")
        disk.keep(snapshot)
        disk.snapshot_in_flight = None
        await asyncio.sleep(disk.latency())
        return _info(snapshot)

    def _whole(self, header: Header) -> Snapshot:
        encoded, digest = msgspec.msgpack.encode(header), Digest(header)
        for account in self._accounts:
            digest.add(account)
        return Snapshot(encoded, crc32(encoded), digest.hex(), header.seq, header.at, self._accounts)

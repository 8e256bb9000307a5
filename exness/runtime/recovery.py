"""The one way back: newest whole snapshot, then the journal after it, through `evolve`.

A damaged snapshot falls back to the one before it and a longer tail. Damage in the journal is not repaired by guessing:
recovery refuses and names the record. What a snapshot covers is not read for the state; it is checked all the same,
behind the open port (`Recovered.unchecked`), since the journal is the audit trail.

A snapshot is only ever kept of what the journal holds. So one that is ahead of it proves that acknowledged records are
gone, and one of another journal that the two files do not belong together: recovery refuses, and changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import msgspec
import structlog

from exness.core.capture import Header, Restorer, digest_of
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.plain import FORMAT
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.sums import Books, books_of
from exness.runtime.moments import show_moment
from exness.runtime.ports.journal import Journal, JournalDamaged, StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo, Snapshots

_log = structlog.get_logger("exness.runtime.recovery")

_PROGRESS_EVERY = 200_000


class Recovered(msgspec.Struct, frozen=True):
    """What was recovered. `snapshot_seq` is 0 when there was none to start from; `notes` says what was not as it
    should be, one sentence each; `digest` is of the state."""

    state: State
    snapshot_seq: int
    replayed: int
    seconds: float
    digest: str
    notes: list[str]
    unchecked: int = 0
    """The journal's records up to this one were not held against their checksums."""

    @property
    def books(self) -> Books:
        """The sums of the state."""
        return books_of(self.state)

    def engine(self, rules: Rules, liquidations_per_step: int) -> Engine:
        """One that goes on from here."""
        return Engine(rules, self.state, liquidations_per_step)


async def recover(journal: Journal, snapshots: Snapshots) -> Recovered:
    """Rebuild the state. Raises StorageError with a sentence for the operator when that is not possible exactly."""
    started = time.monotonic()
    notes: list[str] = []
    await _refuse_lost_records(journal, snapshots)
    infos, last_seq = await snapshots.infos(), await journal.last_seq()
    try:
        state, digest = await _newest_snapshot(journal, snapshots, infos, last_seq, notes)
        snapshot_seq = state.seq
        await _replay(journal, state)
    except JournalDamaged as damage:
        raise StorageError(what_to_do(damage, last_seq)) from damage
    return Recovered(
        state=state,
        snapshot_seq=snapshot_seq,
        replayed=state.seq - snapshot_seq,
        seconds=time.monotonic() - started,
        digest=digest if digest and state.seq == snapshot_seq else digest_of(state),
        notes=notes,
        unchecked=snapshot_seq,
    )


def what_to_do(damage: JournalDamaged, last_seq: int) -> str:
    """The damage in a sentence for the operator."""
    if damage.seq == last_seq:
        return f"{damage}; it is the newest one: `exness repair` shows what is left of it, and cuts it on request"
    return (
        f"{damage}; it is not the last one, so it can't be cut: restore a backup "
        f"(`exness restore`), or copy the data directory away and start with an empty one"
    )


async def _refuse_lost_records(journal: Journal, snapshots: Snapshots) -> None:
    """Raise StorageError when a snapshot proves that the journal once went further. One whose own row is damaged proves
    nothing: its number may be what was damaged."""
    infos, last_seq = await snapshots.infos(), await journal.last_seq()  # an engine may be at work: it goes on between
    if infos and last_seq == 0:
        raise StorageError(
            f"the journal is empty, but there is a snapshot of record {infos[0].seq}: journal.db was lost; "
            f"restore a backup, or move snapshots.db away to start with an empty exchange"
        )
    for info in infos:
        if info.seq > last_seq and await _header(snapshots, info.seq) is not None:
            raise StorageError(
                f"records are missing: the journal ends at {last_seq}, but there is a snapshot of record {info.seq}, "
                f"which was on disk before it (was journal.db copied without its journal.db-wal, or replaced by an "
                f"older one?); nothing was changed: put journal.db-wal back beside it, or restore a newer backup into "
                f"a new directory; to go on without the records after {last_seq}, move snapshots.db away"
            )


async def _header(snapshots: Snapshots, seq: int) -> Header | None:
    """None when it is damaged."""
    try:
        return await snapshots.header(seq)
    except (SnapshotDamaged, msgspec.MsgspecError):
        return None


async def _newest_snapshot(
    journal: Journal, snapshots: Snapshots, infos: Sequence[SnapshotInfo], last_seq: int, notes: list[str]
) -> tuple[State, str]:
    """The state it holds and the digest that its bytes were held against, which is that of an older form, and so not
    given, in snapshots of an older format; an empty state when there is none."""
    for info in infos:
        if info.seq > last_seq:
            notes.append(
                f"snapshot {info.seq} is damaged and ahead of the journal, which ends at {last_seq}; it was left out"
            )
            continue
        try:
            header = await snapshots.header(info.seq)
            await _refuse_other_journal(journal, header)
            return await _load(snapshots, info.seq), info.digest if header.format == FORMAT else ""
        except (SnapshotDamaged, msgspec.MsgspecError, ValueError, AssertionError) as damage:
            notes.append(f"snapshot {info.seq} is damaged ({damage}); the one before it was used")
    return State(), ""


async def _refuse_other_journal(journal: Journal, header: Header) -> None:
    """Raise StorageError unless the snapshot is of this journal. Those of 0.1.0 know the time of their record only."""
    seq = header.seq
    if seq == 0:
        return
    at = await _time_of(journal, seq)
    if header.at == at and header.journal in (None, await journal.fingerprint(seq)):
        return
    await journal.check(header.seq)  # damage would look like another journal
    proof = (
        "the records up to it differ"
        if header.at == at
        else f"its last record is of {show_moment(header.at)}, the same of the journal of {show_moment(at)}"
    )
    raise StorageError(
        f"snapshot {seq} is of another journal, {proof}: journal.db and snapshots.db do not belong together; nothing "
        f"was changed: put the two together that do, or move snapshots.db away, the journal brings everything back"
    )


async def _time_of(journal: Journal, seq: int) -> int:
    """When a record happened that is there."""
    async with aclosing(cast(AsyncGenerator[list[Record], None], journal.read(after=seq - 1))) as chunks:
        return (await anext(chunks))[0].at


async def _load(snapshots: Snapshots, seq: int) -> State:
    restorer = Restorer(await snapshots.header(seq))
    async for accounts in snapshots.accounts(seq):
        for account in accounts:
            restorer.add(account)
    return restorer.finish()


async def _replay(journal: Journal, state: State) -> None:
    started_at = state.seq
    async for records in journal.read(after=state.seq):
        for record in records:
            try:
                evolve(state, record)
            except (AssertionError, KeyError) as misfit:
                raise StorageError(
                    f"journal record {record.seq} does not fit the state before it ({misfit!r}): restore a backup"
                ) from misfit
        if (state.seq - started_at) // _PROGRESS_EVERY != (state.seq - len(records) - started_at) // _PROGRESS_EVERY:
            _log.info("replaying the journal", seq=state.seq, replayed=state.seq - started_at)
        await asyncio.sleep(0)

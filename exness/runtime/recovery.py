"""The one way back: newest whole snapshot, then the journal after it, through `evolve`.

A damaged snapshot falls back to the one before it and a longer tail. A damaged last record is written anew from the
tables if they hold all of it, else cut, and said so. Damage in the middle of the journal is not repaired by guessing:
recovery refuses and names the record, also when a later snapshot would do, since the journal is the audit trail.
"""

import asyncio
import time

import msgspec
import structlog

from exness.core.capture import Restorer, digest_of
from exness.core.evolve import evolve
from exness.core.state import State
from exness.runtime.ports import Journal, JournalDamaged, SnapshotDamaged, Snapshots, StorageError

_log = structlog.get_logger()

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


async def recover(journal: Journal, snapshots: Snapshots) -> Recovered:
    """Rebuild the state. Raises StorageError with a sentence for the operator when that is not possible exactly."""
    started = time.monotonic()
    notes: list[str] = []
    last_seq = await _settle_last(journal, notes)
    state, digest = await _newest_snapshot(snapshots, last_seq, notes)
    snapshot_seq = state.seq
    try:
        await journal.check(up_to=snapshot_seq)
        await _replay(journal, state)
    except JournalDamaged as damage:
        raise StorageError(
            f"{damage}; it is not the last one, so it can't be cut: restore a backup "
            f"(`exness restore`), or copy the data directory away and start with an empty one"
        ) from damage
    await _drop_ahead(snapshots, state.seq)
    return Recovered(
        state=state,
        snapshot_seq=snapshot_seq,
        replayed=state.seq - snapshot_seq,
        seconds=time.monotonic() - started,
        digest=digest if state.seq == snapshot_seq > 0 else digest_of(state),
        notes=notes,
    )


async def _settle_last(journal: Journal, notes: list[str]) -> int:
    """The last whole record's seq. A damaged last one is mended if it can be, or cut, and that is noted."""
    last_seq = await journal.last_seq()
    try:
        async for _ in journal.read(after=last_seq - 1):
            pass
    except JournalDamaged as damage:
        if damage.seq != last_seq:
            raise StorageError(f"{damage}: restore a backup (`exness restore`)") from damage
        if await journal.mend(last_seq):
            notes.append(
                f"{damage}; it was the last one and has been cut and written anew from the tables: nothing is lost"
            )
            return last_seq
        await journal.cut(last_seq)
        notes.append(f"{damage}; it was the last one and has been cut")
        return last_seq - 1
    return last_seq


async def _newest_snapshot(snapshots: Snapshots, last_seq: int, notes: list[str]) -> tuple[State, str]:
    """The state it holds and the digest that its bytes were held against; an empty state when there is none."""
    infos = await snapshots.infos()
    if infos and last_seq == 0:
        raise StorageError(
            f"the journal is empty, but there is a snapshot of record {infos[0].seq}: main.db was lost; "
            f"restore a backup, or move snapshots.db away to start with an empty exchange"
        )
    for info in infos:
        if info.seq > last_seq:
            notes.append(f"snapshot {info.seq} is ahead of the journal, which ends at {last_seq}; it was left out")
            continue
        try:
            return await _load(snapshots, info.seq), info.digest
        except (SnapshotDamaged, msgspec.MsgspecError, ValueError, AssertionError) as damage:
            notes.append(f"snapshot {info.seq} is damaged ({damage}); the one before it was used")
    return State(), ""


async def _drop_ahead(snapshots: Snapshots, seq: int) -> None:
    """Forget what is ahead of the journal: once the journal has grown past it, it would pass for its past."""
    if any(info.seq > seq for info in await snapshots.infos()):
        await snapshots.drop_from(seq + 1)


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

"""The one way back: newest whole snapshot, then the journal after it, through `evolve`.

A damaged snapshot falls back to the one before it and a longer tail. A damaged last record is cut, and said so. Damage
in the middle of the journal is not repaired by guessing: recovery refuses and names the record.
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
    last_seq = await journal.last_seq()
    state = await _newest_snapshot(snapshots, last_seq, notes)
    snapshot_seq = state.seq
    try:
        await _replay(journal, state)
    except JournalDamaged as damage:
        if damage.seq != last_seq:
            raise StorageError(
                f"{damage}; it is not the last one, so nothing after it can be trusted: restore a backup, "
                f"or copy the data directory away and start with an empty one"
            ) from damage
        await journal.cut(damage.seq)
        notes.append(f"{damage}; it was the last one and has been cut")
    return Recovered(
        state=state,
        snapshot_seq=snapshot_seq,
        replayed=state.seq - snapshot_seq,
        seconds=time.monotonic() - started,
        digest=digest_of(state),
        notes=notes,
    )


async def _newest_snapshot(snapshots: Snapshots, last_seq: int, notes: list[str]) -> State:
    for info in await snapshots.infos():
        if info.seq > last_seq:
            notes.append(f"snapshot {info.seq} is ahead of the journal, which ends at {last_seq}; it was left out")
            continue
        try:
            return await _load(snapshots, info.seq)
        except (SnapshotDamaged, msgspec.MsgspecError, ValueError, AssertionError) as damage:
            notes.append(f"snapshot {info.seq} is damaged ({damage}); the one before it was used")
    return State()


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

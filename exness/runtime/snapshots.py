"""Takes a snapshot now and then, without holding the loop.

The picture is taken in small steps between which the loop turns (see `core.capture`); hashing, compressing and
writing happen in the storage's thread. It is only committed once the journal is durable up to it, so a snapshot never
knows more than the journal.
"""

import asyncio
import time

import msgspec
import structlog

from exness.core.capture import Capture
from exness.core.state import State
from exness.runtime.ports.snapshots import SnapshotInfo, Snapshots
from exness.runtime.writer import Halted, Writer

_log = structlog.get_logger("exness.runtime.snapshots")

STEP = 400
"""Accounts, trades and client order ids encoded in one step: well under a millisecond."""


class SnapshotStats(msgspec.Struct):
    """Of the latest snapshot. `longest_step_s` is the longest it held the loop at a time."""

    taken: int = 0
    failed: int = 0
    seconds: float = 0.0
    longest_step_s: float = 0.0
    stored_bytes: int = 0


class Snapshotter:
    def __init__(self, state: State, writer: Writer, snapshots: Snapshots, interval_s: float, last_seq: int) -> None:
        self._state = state
        self._writer = writer
        self._snapshots = snapshots
        self._interval_s = interval_s
        self._last_seq = last_seq
        self.stats = SnapshotStats()

    async def run(self) -> None:
        """Every interval, if anything changed, until cancelled. One that fails is tried again at the next turn: the
        journal alone is enough to recover from."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.try_take()

    async def try_take(self) -> SnapshotInfo | None:
        """Like `take`, but a failure is counted and logged. Returns None then."""
        try:
            return await self.take()
        except Exception as failure:  # noqa: BLE001 - whatever it was, the journal has everything
            self.stats.failed += 1
            _log.error("snapshot failed", error=str(failure))
            return None

    async def take(self) -> SnapshotInfo | None:
        """Take one now. None when nothing has changed since the last."""
        if self._state.seq == self._last_seq:
            return None
        started = time.monotonic()
        longest = 0.0
        with Capture(self._state) as capture:
            async with self._snapshots.draft(capture.header) as draft:
                while True:
                    step_started = time.monotonic()
                    accounts = capture.take(STEP)
                    longest = max(longest, time.monotonic() - step_started)
                    if not accounts:
                        break
                    await draft.add(accounts)
                    await asyncio.sleep(0)
                await self._writer.on_disk(capture.header.seq)
                fingerprint = await self._writer.fingerprint(capture.header.seq)
                if self._writer.failed:
                    raise Halted  # perhaps for a bug that left the state half changed before all of it was taken
                info = await draft.commit(fingerprint)
        self._last_seq = info.seq
        self.stats = SnapshotStats(
            taken=self.stats.taken + 1,
            failed=self.stats.failed,
            seconds=time.monotonic() - started,
            longest_step_s=longest,
            stored_bytes=info.stored_bytes,
        )
        _log.info("snapshot taken", seq=info.seq, state=info.digest, bytes=info.stored_bytes)
        return info

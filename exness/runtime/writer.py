"""The write-behind task: what has queued becomes one transaction of the journal, then answers go out and followers
are told.

While one commit is on its way to the disk the next batch gathers, so the disk sets the pace and a commit is shared
by everyone who came meanwhile. The durable watermark is the `seq` up to which everything is on disk: it only rises.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from exness.core.events import Event, Record
from exness.runtime.meters import BATCHES, Histogram
from exness.runtime.ports.journal import Journal, StorageError
from exness.runtime.watermark import Watermark

COUNTED_PER_TURN = 10_000
"""Records counted before the loop gets a turn: about a millisecond."""

Kind = tuple[type[Event], str]
"""Of an event, and its reason where it has one."""


class Halted(Exception):
    """The exchange has stopped: it is not known whether what was asked is on disk. Ask again after the restart."""


Follower = Callable[[Sequence[Record]], None]
"""Told of records once they are on disk, in order. Must be quick, and must not raise."""


class Writer:
    """Owns the journal. `bound` and `batch` count records; a tick's records are never split over two transactions.

    With `wait_for_disk` False (`acknowledge = "memory"`) no answer waits for the watermark.
    """

    def __init__(
        self,
        journal: Journal,
        followers: Sequence[Follower] = (),
        *,
        durable_seq: int,
        bound: int,
        batch: int,
        wait_for_disk: bool = True,
    ) -> None:
        self._journal = journal
        self._followers = tuple(followers)
        self._bound = bound
        self._batch = batch
        self._wait_for_disk = wait_for_disk
        self._groups: deque[list[Record]] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._mark = Watermark(durable_seq)
        self._closing = False
        self._progressed = asyncio.Event()
        self._on_progress: list[Callable[[], None]] = []
        self.halted = False
        self.failed = False
        """It was halted before everything was written: nothing more may be believed of the state."""
        self.commit_s = Histogram()
        self.batches = Histogram(BATCHES)
        self.largest_batch = 0
        self.events: Counter[Kind] = Counter()
        """Durable records since the start, by what they tell."""
        self._commit_began_s: float | None = None

    @property
    def durable_seq(self) -> int:
        """Everything up to it is on disk. It only rises."""
        return self._mark.seq

    def call_on_progress(self, call: Callable[[], None]) -> None:
        """Have this called after every commit and when the writer halts: there may be room now, or never again."""
        self._on_progress.append(call)

    @property
    def queued(self) -> int:
        """Records waiting for or in a commit."""
        return self._queued

    @property
    def waiting(self) -> int:
        """Who waits for a commit, those who have gone meanwhile included."""
        return self._mark.waiting

    @property
    def bound(self) -> int:
        return self._bound

    @property
    def commits(self) -> int:
        return self.commit_s.count

    @property
    def stuck_s(self) -> float:
        """How long the commit that is under way has taken so far; 0 when there is none."""
        return time.monotonic() - self._commit_began_s if self._commit_began_s is not None else 0.0

    @property
    def has_room(self) -> bool:
        return self._queued < self._bound

    async def progress(self) -> None:
        """Return after the next commit, or when the writer halts."""
        self._arrived.set()
        if not self.halted:
            await self._progressed.wait()

    def put(self, records: list[Record]) -> None:
        """Queue what one command brought about. It goes into one transaction, whole."""
        self._groups.append(records)
        self._queued += len(records)
        self._arrived.set()

    def when_on_disk(self, seq: int) -> asyncio.Future[None] | None:
        """A future for the moment everything up to `seq` is on disk; None when it is.
        The future raises Halted when the process stops before."""
        return self._mark.when(seq)

    def when_durable(self, seq: int) -> asyncio.Future[None] | None:
        """Like `when_on_disk`, for the moment when everything up to `seq` may be told; None when nobody waits for the
        disk."""
        return self.when_on_disk(seq) if self._wait_for_disk else None

    async def durable(self, seq: int) -> None:
        """Return when everything up to `seq` may be told: it is on disk, or nobody waits for that. Raises Halted."""
        if self._wait_for_disk:
            await self.on_disk(seq)

    async def on_disk(self, seq: int) -> None:
        """Return when everything up to `seq` is on disk, however the exchange acknowledges. Raises Halted."""
        future = self.when_on_disk(seq)
        if future is not None:
            await future

    async def fingerprint(self, seq: int) -> int:
        """What ties a snapshot to this journal, see `ports.Journal.fingerprint`."""
        return await self._journal.fingerprint(seq)

    async def run(self) -> None:
        """Write until `close`. Raises StorageError when a commit fails: nothing of it was acknowledged."""
        try:
            while await self._something_to_write():
                await self._commit(self._next_batch())
        except BaseException:
            self.failed = True
            raise
        finally:
            self._halt()

    def close(self) -> None:
        """Let `run` return once everything queued is written."""
        self._closing = True
        self._arrived.set()

    async def _something_to_write(self) -> bool:
        while not self._groups:
            if self._closing or self.halted:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return not self.halted

    def _next_batch(self) -> list[Record]:
        records = self._groups.popleft()
        if not (self._groups and len(records) + len(self._groups[0]) <= self._batch):
            return records  # as it is: what one tick set off may be very long
        records = list(records)
        while self._groups and len(records) + len(self._groups[0]) <= self._batch:
            records += self._groups.popleft()
        return records

    async def _commit(self, records: list[Record]) -> None:
        if records[0].seq != self.durable_seq + 1:
            raise StorageError(f"record {records[0].seq} does not follow {self.durable_seq} on disk")
        self.commit_s.note(await self._append(records))
        self.batches.note(len(records))
        self._queued -= len(records)
        self.largest_batch = max(self.largest_batch, len(records))
        self._mark.move(records[-1].seq)
        for follower in self._followers:
            follower(records)
        self._made_progress()
        await self._count(records)

    def _made_progress(self) -> None:
        self._progressed.set()
        self._progressed = asyncio.Event()
        for call in self._on_progress:
            call()

    async def _append(self, records: list[Record]) -> float:
        """Returns how many seconds it took."""
        self._commit_began_s = began_s = time.monotonic()
        await self._journal.append(records)
        self._commit_began_s = None
        return time.monotonic() - began_s

    async def _count(self, records: list[Record]) -> None:
        """By what they tell. The loop turns between very many."""
        for number, record in enumerate(records, 1):
            self.events[type(record.event), getattr(record.event, "reason", "")] += 1
            if number % COUNTED_PER_TURN == 0:
                await asyncio.sleep(0)

    def halt(self) -> None:
        """Write nothing more, and tell nobody that anything more is on disk: whoever waits hears Halted. A commit that
        is under way may still end up there."""
        self.failed = True
        self._halt()

    def _halt(self) -> None:
        self.halted = True
        self._mark.end(Halted)
        self._arrived.set()
        self._made_progress()

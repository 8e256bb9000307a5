"""The write-behind task: what has queued becomes one transaction, then answers and broadcasts go out.

While one commit is on its way to the disk the next batch gathers, so the disk sets the pace and a commit is shared
by everyone who came meanwhile. The durable watermark is the `seq` up to which everything is on disk: it only rises.
"""

import asyncio
import contextlib
import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

import structlog

from exness.core.events import Event, Record
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBatch
from exness.runtime.flush import CandleFlush
from exness.runtime.meters import BATCHES, Histogram
from exness.runtime.ports import Journal, StorageError

_log = structlog.get_logger()

COUNTED_PER_TURN = 10_000
"""Records counted before the loop gets a turn: about a millisecond."""


class Halted(Exception):
    """The exchange has stopped: it is not known whether what was asked is on disk. Ask again after the restart."""


class Writer:
    """Owns the journal. `bound` and `batch` count records; a tick's records are never split over two transactions.

    With `wait_for_disk` False (`acknowledge = "memory"`) no answer waits for the watermark. `candles` ride along.
    """

    def __init__(
        self,
        journal: Journal,
        bus: Bus,
        *,
        durable_seq: int,
        bound: int,
        batch: int,
        wait_for_disk: bool = True,
        candles: CandleFlush | None = None,
    ) -> None:
        self._journal = journal
        self._bus = bus
        self._bound = bound
        self._batch = batch
        self._wait_for_disk = wait_for_disk
        self._candles = candles
        self._groups: deque[list[Record]] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waiter_number = 0
        self._closing = False
        self._progressed = asyncio.Event()
        self.durable_seq = durable_seq
        self.halted = False
        self.failed = False
        """It was halted before everything was written: nothing more may be believed of the state."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called after every commit and when the writer halts: there may be room now, or never again."""
        self.commit_s = Histogram()
        self.batches = Histogram(BATCHES)
        self.largest_batch = 0
        self.events: Counter[type[Event]] = Counter()
        """Durable records since the start, by what they tell."""
        self._commit_began_s: float | None = None

    @property
    def queued(self) -> int:
        """Records waiting for or in a commit."""
        return self._queued

    @property
    def waiting(self) -> int:
        """Who waits for a commit, those who have gone meanwhile included."""
        return len(self._waiters)

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

    @property
    def is_behind(self) -> bool:
        """There is no room for records, or for candles: who brings ticks as fast as they are taken waits a while."""
        return not self.has_room or (self._candles is not None and self._candles.is_full)

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
        if seq <= self.durable_seq:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.halted:
            future.set_exception(Halted())
            return future
        self._waiter_number += 1
        heapq.heappush(self._waiters, (seq, self._waiter_number, future))
        return future

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
            if not self.halted:
                await self._write_candles(self._taken(lambda candles: candles.take()))
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
            if self._candles is None:
                await self._arrived.wait()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._candles.pause_s()):
                    await self._arrived.wait()
            if not self._groups:
                await self._write_candles(self._taken(lambda candles: candles.overdue()))
        return not self.halted

    def _taken(self, take: Callable[[CandleFlush], CandleBatch | None]) -> CandleBatch | None:
        """Candles to write. They are for display: a bug in them costs candles, and no trade."""
        if self._candles is None:
            return None
        try:
            return take(self._candles)
        except Exception:  # noqa: BLE001 - see above
            _log.exception("candles could not be taken; they are not written this time")
            return None

    async def _write_candles(self, candles: CandleBatch | None) -> None:
        """Candles alone, when there is no commit for them to ride on."""
        if candles is not None:
            await self._append([], candles)
            self._made_progress()

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
        kinds = await _kinds_of(records)
        if self.halted:
            return
        candles = self._taken(lambda candles: candles.riding(kinds))
        self.commit_s.note(await self._append(records, candles))
        self.batches.note(len(records))
        self.events.update(kinds)
        self.durable_seq = records[-1].seq
        self._queued -= len(records)
        self.largest_batch = max(self.largest_batch, len(records))
        self._wake()
        self._bus.publish(records)
        self._made_progress()

    def _made_progress(self) -> None:
        self._progressed.set()
        self._progressed = asyncio.Event()
        self.on_progress()

    async def _append(self, records: list[Record], candles: CandleBatch | None) -> float:
        """Returns how many seconds it took."""
        self._commit_began_s = began_s = time.monotonic()
        await self._journal.append(records, candles)
        self._commit_began_s = None
        return time.monotonic() - began_s

    def _wake(self) -> None:
        waiters = self._waiters
        while waiters and waiters[0][0] <= self.durable_seq:
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)

    def halt(self) -> None:
        """Write nothing more, and tell nobody that anything more is on disk: whoever waits hears Halted. A commit that
        is under way may still end up there."""
        self.failed = True
        self._halt()

    def _halt(self) -> None:
        self.halted = True
        for _, _, future in self._waiters:
            if not future.done():
                future.set_exception(Halted())
                future.exception()  # whoever asked may have gone; that is no error of its own
        self._waiters.clear()
        self._arrived.set()
        self._made_progress()


async def _kinds_of(records: Sequence[Record]) -> Counter[type[Event]]:
    """How many events there are of each kind. The loop turns between very many."""
    kinds: Counter[type[Event]] = Counter()
    for first in range(0, len(records), COUNTED_PER_TURN):
        if first:
            await asyncio.sleep(0)
        kinds.update([type(record.event) for record in records[first : first + COUNTED_PER_TURN]])
    return kinds

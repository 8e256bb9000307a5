"""Keeps the tables up with the journal: takes its records once they are on disk, in order, in batches of its own.

It gathers for a moment, as a transaction for one record costs nearly what one for a hundred does; but writes at once
when somebody waits for what is not in them yet. What it can't keep in memory it reads from the journal; so it does at
the start, from where the tables have come to. Tables that can't be written stop no trade: it is tried again, and who
asks for what is not in them yet is refused.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import structlog

from exness.core.events import Record
from exness.runtime.meters import Histogram
from exness.runtime.ports.journal import Journal, JournalDamaged, StorageError
from exness.runtime.ports.tables import Tables
from exness.runtime.watermark import Watermark

_log = structlog.get_logger("exness.runtime.projector")

BATCH = 2_000
"""Records that go into one transaction."""
MOST_IN_MEMORY = 50_000
"""Records that may wait here; beyond it they are dropped, and read from the journal when their turn comes."""
GATHER_S = 0.1
"""How long records are gathered for one transaction when nobody waits for the tables. A record in one of 300 takes
22 us of processor time, in one of 100 it takes 32."""
RETRY_S = 1.0
WAIT_S = 2.0
"""How long a reader waits for the tables, and a start, before it opens the port with some way to go."""
TELL_EVERY_S = 5.0


class TablesBehind(Exception):
    """The tables have not come to what was asked for, and whoever asked has waited long enough."""


class Projector:
    """`seq` is the tables' watermark, `durable_seq` the journal's last record, `gather_s` in place of GATHER_S."""

    def __init__(
        self, tables: Tables, journal: Journal, *, seq: int, durable_seq: int, gather_s: float | None = None
    ) -> None:
        self._tables = tables
        self._journal = journal
        self._mark = Watermark(seq)
        self._durable_seq = durable_seq
        self._gather_s = gather_s
        self._records: deque[Record] = deque()
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=BATCH)
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        """Set when there is no more time to gather."""
        self._closing = False
        self._told_s = time.monotonic()
        self.failures = 0
        self.behind_s = Histogram()
        """From a commit of the journal until its records were in the tables."""

    @property
    def seq(self) -> int:
        """Every record up to it is in the tables."""
        return self._mark.seq

    @property
    def behind(self) -> int:
        """Records that are not in the tables yet."""
        return max(0, self._durable_seq - self._mark.seq)

    def take(self, records: Sequence[Record]) -> None:
        """Records that are on disk now, each time in order. What was taken before is passed over, and what is missing
        before them is read from the journal. Never waits."""
        if self._records and records[0].seq != (last := self._records[-1].seq) + 1:
            records = [record for record in records if record.seq > last]
            if not records:
                return
            if records[0].seq != last + 1:
                self._records.clear()
        self._durable_seq = max(self._durable_seq, records[-1].seq)
        if len(self._records) + len(records) > MOST_IN_MEMORY:
            self._records.clear()
        else:
            self._records.extend(records)
        self._arrivals.append((self._durable_seq, time.monotonic()))
        self._arrived.set()
        if self.behind >= BATCH:
            self._wanted.set()

    def heard(self, seq: int) -> None:
        """The journal is on disk up to `seq`: what does not come here is read from it."""
        if seq > self._durable_seq:
            self._durable_seq = seq
            self._arrivals.append((seq, time.monotonic()))
            self._arrived.set()

    async def reached(self, seq: int) -> None:
        """Return once the tables hold everything up to `seq`. Raises TablesBehind after WAIT_S."""
        future = self._mark.when(seq)
        if future is None:
            return
        self._wanted.set()
        try:
            async with asyncio.timeout(WAIT_S):
                await future
        except TimeoutError:
            raise TablesBehind from None

    async def run(self) -> None:
        """Until `close`. Raises JournalDamaged for a record that is not whole."""
        while not (self._closing and (not self.behind or not self._from_memory(1))):
            if not self.behind:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._gather()
            try:
                await self._step()
            except JournalDamaged:
                raise
            except StorageError as error:
                self._failed(error)
                if self._closing:
                    return
                await asyncio.sleep(RETRY_S)
                await self._look()

    def close(self) -> None:
        """Let `run` return once what is in memory is written. What is not is read again by the next start."""
        self._closing = True
        self._arrived.set()
        self._wanted.set()

    async def _gather(self) -> None:
        """Let more come, unless there is much already, somebody waits, or this is the end."""
        if self._closing or self.behind >= BATCH or self._mark.waiting:
            return
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S if self._gather_s is None else self._gather_s):
                await self._wanted.wait()

    async def _step(self) -> None:
        records = self._from_memory(BATCH) or await self._from_journal()
        await self._tables.write(records)
        self._mark.move(records[-1].seq)
        now_s = time.monotonic()
        while self._arrivals and self._arrivals[0][0] <= self.seq:
            self.behind_s.note(now_s - self._arrivals.popleft()[1])
        if self.behind > MOST_IN_MEMORY and now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            _log.info("the tables follow the journal", at=self.seq, of=self._durable_seq)

    async def _look(self) -> None:
        """At where the tables are: a write that failed may be done, and only its answer lost."""
        with contextlib.suppress(StorageError):
            seq = (await self._tables.watermark()).seq
            if seq > self.seq:
                self._mark.move(seq)

    def _from_memory(self, most: int) -> list[Record]:
        """The next records as far as they are here. They stay until the tables have them."""
        records = self._records
        while records and records[0].seq <= self.seq:
            records.popleft()
        if not records or records[0].seq != self.seq + 1:
            return []
        return [records[place] for place in range(min(most, len(records)))]

    async def _from_journal(self) -> list[Record]:
        async with aclosing(cast(AsyncGenerator[list[Record], None], self._journal.read(self.seq))) as chunks:
            records = await anext(chunks, None)
        if not records:
            raise JournalDamaged(self.seq + 1, "it is missing")
        return records[:BATCH]

    def _failed(self, error: StorageError) -> None:
        self.failures += 1
        if self.failures == 1 or self.failures % 60 == 0:
            _log.error("the tables can't be written; trading goes on, history does not", at=self.seq, why=str(error))

"""Writes the candles that have grown, beside the journal and never in its way.

Once a second, sooner when very many wait. What a live feed brought since the last time is lost from them at a `kill
-9`; a recording on its own time is counted again from there. A write that fails is tried again: candles are for
display.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from exness.core.events import ExchangeReset, Record
from exness.runtime.candles import Candle, CandleBatch, CandleBook, CandleQuery
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.journal import Journal

_log = structlog.get_logger("exness.runtime.flush")

FLUSH_S = 1.0


async def forget_before_reset(journal: Journal, store: CandleStore) -> None:
    """At the start: a reset that the last run has journaled, and no more than that, is heard now."""
    heard, last_seq = await store.heard(), await journal.last_seq()
    if not 0 < heard < last_seq:
        return
    async for records in journal.read(heard):
        if any(isinstance(record.event, ExchangeReset) for record in records):
            await store.write(CandleBatch([], []), last_seq, forget=True)
            return


class CandleFlush:
    """A follower of the journal, for the resets in it, that keeps a book's candles."""

    def __init__(self, book: CandleBook, store: CandleStore, *, seq: int) -> None:
        self._book = book
        self._store = store
        self._seq = seq
        self._written_seq = seq
        self._resets = 0
        self._forgotten = 0
        """Of the resets, those that the store knows of."""
        self._batch: CandleBatch | None = None
        """Taken from the book and not written yet."""
        self._wake = asyncio.Event()
        self._wrote = asyncio.Event()
        self._closing = False
        self.failures = 0

    @property
    def is_full(self) -> bool:
        """Very many candles wait: whoever brings ticks as fast as they are taken should wait for `room`."""
        return self._book.full

    def backfill(self, candles: list[Candle]) -> None:
        """Have a venue's own candles written, now; those of our own at the same place stay."""
        self._book.backfill(candles)
        self._wake.set()

    async def room(self) -> None:
        """Return after the next write, or when there will be none."""
        self._wake.set()
        if not self._closing:
            await self._wrote.wait()

    def take(self, records: Sequence[Record]) -> None:
        """Records that are on disk now."""
        self._seq = records[-1].seq
        if any(isinstance(record.event, ExchangeReset) for record in records):
            self._book.forget()
            self._batch = None
            self._resets += 1

    async def candles(self, query: CandleQuery) -> list[Candle]:
        """Candles as they are now, the running one too."""
        growing = self._book.unwritten(query.asset, query.interval)  # before the read: none can fall between the two
        stored = [] if self._forgotten < self._resets else await self._store.candles(query)
        return query.choose(stored, growing)

    async def run(self) -> None:
        """Until `close`, and then what is left."""
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._wake.wait()
            self._wake.clear()
            await self._write()
        await self._write()

    def close(self) -> None:
        self._closing = True
        self._wake.set()

    async def _write(self) -> None:
        try:
            await self._flush()
        except Exception as error:  # noqa: BLE001 - candles are for display: a bug in them costs candles, and no trade
            self.failures += 1
            if self.failures == 1:
                _log.error("candles could not be written; it is tried again", why=str(error))
        self._wrote.set()
        self._wrote = asyncio.Event()

    async def _flush(self) -> None:
        resets, seq = self._resets, self._seq
        if self._batch is None:
            self._batch = self._book.take_dirty()
        batch = self._batch
        if batch is None and seq == self._written_seq:
            return
        await self._store.write(batch or CandleBatch([], []), seq, forget=self._forgotten < resets)
        self._forgotten, self._written_seq = resets, seq
        if self._batch is batch:
            self._batch = None

"""runtime/flush.py: when candles are written, and what becomes of them at a reset and when a write fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from exness.core.events import Deposited, ExchangeReset, Record
from exness.core.instruments import AccountId
from exness.runtime import flush
from exness.runtime.candles import CandleBatch, CandleBook, CandleQuery, Counted, Interval
from exness.runtime.flush import CandleFlush, forget_before_reset
from tests.support.books import BTC, SECOND, SOL, START, tick
from tests.support.memory_storage import MemoryCandles, MemoryJournal
from tests.support.waiting import until

NEVER_S = 3600.0
M1 = CandleQuery(SOL, Interval.M1)


def deposited(seq: int) -> Record:
    return Record(seq, START + seq, Deposited(AccountId("ann"), 1, seq))


def reset(seq: int) -> Record:
    return Record(seq, START + seq, ExchangeReset())


class Desk:
    def __init__(self) -> None:
        self.book, self.store = CandleBook(), MemoryCandles()
        self.flush = CandleFlush(self.book, self.store, seq=0)

    def mark(self, at: int) -> None:
        self.book.watch(tick(SOL, "200"), START + at)

    @property
    def counted(self) -> int:
        """How far marks of SOL are counted in what is stored, after START; -1 when there are none."""
        return self.store.counted[SOL].at - START if SOL in self.store.counted else -1


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    running = asyncio.create_task(desk.flush.run())
    yield desk
    desk.flush.close()
    await asyncio.wait_for(running, 10)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever due by itself."""
    monkeypatch.setattr(flush, "FLUSH_S", NEVER_S)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "FLUSH_S", 0.005)


@pytest.mark.usefixtures("patient")
async def test_the_end_writes_what_is_left() -> None:
    async with desk() as running:
        running.mark(7)
        await asyncio.sleep(0)
        assert running.counted == -1
    assert running.counted == 7


@pytest.mark.usefixtures("hasty")
async def test_what_has_grown_is_written_by_itself_again_and_again() -> None:
    async with desk() as running:
        for at in (1, 2, 3):
            running.mark(at)
            await until(lambda at=at: running.counted == at)  # type: ignore[misc]


@pytest.mark.usefixtures("patient")
async def test_who_brings_ticks_too_fast_for_the_disk_waits_for_it_and_no_longer() -> None:
    async with desk() as running:
        minutes = 0
        while not running.flush.is_full:
            minutes += 1
            running.mark(minutes * 60 * SECOND)
        await asyncio.wait_for(running.flush.room(), 10)
        assert not running.flush.is_full
        assert running.counted == minutes * 60 * SECOND
    await asyncio.wait_for(running.flush.room(), 10)


@pytest.mark.usefixtures("hasty")
async def test_a_failed_write_is_said_once_and_tried_again_with_all_that_came_meanwhile() -> None:
    with capture_logs() as logs:
        async with desk() as running:
            running.store.failure = "the disk is full"
            running.mark(1)
            await until(lambda: running.flush.failures >= 3)
            running.mark(2)
            running.store.failure = None
            await until(lambda: running.counted == 2)
    assert [line["why"] for line in logs] == ["the disk is full"]
    assert (await running.store.candles(M1))[-1].trades == 2


@pytest.mark.usefixtures("hasty")
async def test_a_bug_in_the_candles_costs_candles_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: CandleBook) -> None:
        raise RuntimeError("a bug in the candles")

    with capture_logs() as logs:
        async with desk() as running:
            running.mark(1)
            with monkeypatch.context() as patch:
                patch.setattr(CandleBook, "take_dirty", fails)
                await until(lambda: running.flush.failures > 0)
            await until(lambda: running.counted == 1)
    assert len(logs) == 1


@pytest.mark.usefixtures("patient")
async def test_a_reset_is_seen_at_once_and_written_with_the_next_write() -> None:
    async with desk() as running:
        running.mark(1)
        await running.flush._write()
        running.flush.take([deposited(1), reset(2)])
        assert await running.flush.candles(M1) == []
        running.mark(2)
        shown = await running.flush.candles(M1)
        assert [candle.trades for candle in shown] == [1], "of after it"
        assert running.counted == 1, "the disk has not heard of it"
        await running.flush._write()
        assert await running.flush.candles(M1) == shown == await running.store.candles(M1)
        assert await running.store.heard() == 2


async def test_a_reset_that_the_last_run_did_not_write_any_more_is_heard_at_the_start() -> None:
    journal = MemoryJournal()
    await journal.append([deposited(1), reset(2), deposited(3)])
    for heard, kept in ((1, False), (2, True), (3, True)):
        running = Desk()
        running.mark(1)
        batch = running.book.take_dirty()
        assert batch is not None
        await running.store.write(batch, heard)
        await forget_before_reset(journal, running.store)
        assert (await running.store.candles(M1) != []) == kept, heard


async def test_candles_of_which_nothing_was_ever_heard_need_no_look_at_the_journal() -> None:
    class Unread(MemoryJournal):
        async def last_seq(self) -> int:
            return 10**9

    await forget_before_reset(Unread(), MemoryCandles())


async def test_how_far_each_asset_is_counted_is_kept() -> None:
    async with desk() as running:
        running.book.watch(tick(BTC, "100000"), START + 5)
        running.mark(7)
        running.mark(7)
    assert running.store.counted == {SOL: Counted(SOL, START + 7, 2), BTC: Counted(BTC, START + 5, 1)}
    assert await running.store.newest_candles() != CandleBatch([], [])

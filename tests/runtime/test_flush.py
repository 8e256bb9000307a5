"""runtime/flush.py, and the writer with it: which commits carry candles, and when they are written without one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from exness.core.events import Deposited, Record, TradeLiquidated
from exness.core.instruments import AccountId, OrderId
from exness.runtime import flush
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBatch, CandleBook, Counted
from exness.runtime.flush import CandleFlush
from exness.runtime.ports import StorageError
from exness.runtime.writer import Writer
from exness.storage.memory import MemoryJournal
from tests.support.books import ANN, BTC, SECOND, SOL, START, tick
from tests.support.waiting import until

NEVER_S = 3600.0


def deposited(seq: int) -> Record:
    return Record(seq, START + seq, Deposited(AccountId("ann"), 1, seq))


def liquidated(seq: int) -> Record:
    return Record(seq, START + seq, TradeLiquidated(OrderId("o"), ANN, SOL, 1, 1, 1, 1, 1, 1))


class CandleJournal(MemoryJournal):
    """Notes what came in which append: the records' numbers, and how far candles of SOL were counted, if any came."""

    def __init__(self) -> None:
        super().__init__()
        self.appends: list[tuple[list[int], int | None]] = []

    async def append(self, records: Sequence[Record], candles: CandleBatch | None = None) -> None:
        await super().append(records, candles)
        counted = None if candles is None else next(each.at - START for each in candles.counted if each.asset == SOL)
        self.appends.append(([record.seq for record in records], counted))


class Desk:
    def __init__(self, *, with_every_commit: bool = False) -> None:
        self.book, self.journal = CandleBook(), CandleJournal()
        self.writer = Writer(
            self.journal,
            Bus(100),
            durable_seq=0,
            bound=100,
            batch=50,
            candles=CandleFlush(self.book, with_every_commit=with_every_commit),
        )

    def mark(self, at: int) -> None:
        self.book.watch(tick(SOL, "200"), START + at)

    async def commit(self, record: Record) -> None:
        self.writer.put([record])
        await self.writer.on_disk(record.seq)


@asynccontextmanager
async def desk(*, with_every_commit: bool = False) -> AsyncIterator[Desk]:
    desk = Desk(with_every_commit=with_every_commit)
    desk.mark(0)
    writing = asyncio.create_task(desk.writer.run())
    await until(lambda: desk.journal.appends == [([], 0)], "for what is there at the start")
    yield desk
    desk.journal.disk.set()
    desk.writer.close()
    await asyncio.wait_for(writing, 10)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever due by itself."""
    monkeypatch.setattr(flush, "FLUSH_S", NEVER_S)
    monkeypatch.setattr(flush, "RIDE_S", NEVER_S)


@pytest.mark.usefixtures("patient")
async def test_commits_that_follow_fast_do_not_all_carry_candles_and_the_end_writes_the_rest() -> None:
    async with desk() as running:
        for seq in (1, 2, 3):
            running.mark(seq)
            await running.commit(deposited(seq))
    assert running.journal.appends[1:] == [([1], None), ([2], None), ([3], None), ([], 3)]


@pytest.mark.usefixtures("patient")
async def test_a_commit_with_a_liquidation_carries_every_tick_up_to_it() -> None:
    async with desk() as running:
        running.mark(1)
        await running.commit(deposited(1))
        running.mark(2)
        await running.commit(liquidated(2))
        running.mark(3)
    assert running.journal.appends[1:] == [([1], None), ([2], 2), ([], 3)]


@pytest.mark.usefixtures("patient")
async def test_when_ticks_come_again_after_a_crash_every_commit_carries_candles() -> None:
    async with desk(with_every_commit=True) as running:
        for seq in (1, 2):
            running.mark(seq)
            await running.commit(deposited(seq))
        await running.commit(deposited(3))
    assert running.journal.appends[1:] == [([1], 1), ([2], 2), ([3], None)]


async def test_a_commit_after_a_while_carries_candles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "FLUSH_S", NEVER_S)
    monkeypatch.setattr(flush, "RIDE_S", 0.0)
    async with desk() as running:
        running.mark(1)
        await running.commit(deposited(1))
    assert running.journal.appends[1:] == [([1], 1)]


async def test_without_a_commit_candles_are_written_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "FLUSH_S", 0.01)
    async with desk() as running:
        for at in (1, 2, 3):
            running.mark(at)
            await until(lambda at=at: running.journal.appends[-1] == ([], at))  # type: ignore[misc]
    assert running.journal.appends == [([], 0), ([], 1), ([], 2), ([], 3)]


@pytest.mark.usefixtures("patient")
async def test_what_comes_while_a_commit_is_on_its_way_goes_with_a_later_one() -> None:
    async with desk() as running:
        running.journal.disk.clear()
        running.mark(1)
        running.writer.put([liquidated(1)])
        await until(lambda: not running.writer._groups)
        running.mark(2)
        running.journal.disk.set()
        await running.writer.on_disk(1)
        assert running.journal.appends[1:] == [([1], 1)]
    assert running.journal.appends[2:] == [([], 2)]


@pytest.mark.usefixtures("patient")
async def test_who_brings_ticks_too_fast_for_the_disk_waits_for_it_and_no_longer() -> None:
    async with desk() as running:
        minutes = 0
        while not running.writer.is_behind:
            minutes += 1
            running.mark(minutes * 60 * SECOND)
        await running.writer.progress()
        assert not running.writer.is_behind
        assert running.journal.appends[1:] == [([], minutes * 60 * SECOND)]


async def test_a_failed_write_of_candles_stops_the_exchange() -> None:
    running = Desk()
    running.mark(0)
    running.journal.failure = "the disk is gone"
    with pytest.raises(StorageError, match="the disk is gone"):
        await asyncio.wait_for(running.writer.run(), 10)
    assert running.writer.halted
    await asyncio.wait_for(running.writer.progress(), 10)


async def test_how_far_each_asset_is_counted_is_kept() -> None:
    async with desk() as running:
        running.book.watch(tick(BTC, "100000"), START + 5)
        running.mark(7)
        running.mark(7)
    assert running.journal.counted == {SOL: Counted(SOL, START + 7, 2), BTC: Counted(BTC, START + 5, 1)}

"""runtime/projector.py: the tables follow the journal, in order, from memory or from the journal, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from exness.core.events import Record
from exness.runtime import projector
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.projector import Projector, TablesBehind
from exness.storage.fold import gather
from exness.storage.rows import TRADES
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import batches, random_trading
from tests.support.memory_storage import MemoryJournal, MemoryTables
from tests.support.waiting import until

DESK = random_trading(4)
"""Read only."""
ALL = len(DESK.records)


class HeldTables(MemoryTables):
    """Tables that are written when the test lets them, and fail when it wants. `sizes` are those of the batches."""

    def __init__(self) -> None:
        super().__init__(INSTRUMENTS)
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None
        self.sizes: list[int] = []

    async def write(self, records: Sequence[Record]) -> None:
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        await super().write(records)
        self.sizes.append(len(records))


class CountedJournal(MemoryJournal):
    """Counts how often it is read."""

    reads = 0

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        self.reads += 1
        async for chunk in super().read(after):
            yield chunk


class Desk:
    def __init__(self, *, in_journal: int = 0) -> None:
        self.journal, self.tables = CountedJournal(), HeldTables()
        self.in_journal = in_journal
        self.projector = Projector(self.tables, self.journal, seq=0, durable_seq=in_journal)

    async def commit(self, records: Sequence[Record]) -> None:
        await self.journal.append(records)
        self.projector.take(records)


@asynccontextmanager
async def following(*, in_journal: int = 0) -> AsyncIterator[Desk]:
    desk = Desk(in_journal=in_journal)
    await desk.journal.append(DESK.records[:in_journal])
    running = asyncio.create_task(desk.projector.run())
    try:
        yield desk
        desk.tables.open.set()
        desk.projector.close()
        await asyncio.wait_for(running, 10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def assert_all_there(tables: MemoryTables) -> None:
    assert tables.mark.seq == ALL
    whole = gather(DESK.records).puts
    assert tables.rows[TRADES] == whole[TRADES]


async def test_what_is_committed_follows_from_memory_in_order() -> None:
    async with following() as desk:
        for batch in batches(DESK.records):
            await desk.commit(batch)
            await desk.projector.reached(batch[-1].seq)
        assert desk.projector.behind == 0
        assert desk.projector.behind_s.count == len(list(batches(DESK.records)))
    assert_all_there(desk.tables)
    assert desk.journal.reads == 0


async def test_what_comes_while_it_writes_goes_into_the_next_batch_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "BATCH", 50)
    async with following() as desk:
        desk.tables.open.clear()
        for record in DESK.records[:111]:
            await desk.commit([record])
            await asyncio.sleep(0)
        assert desk.projector.behind == 111
        desk.tables.open.set()
        await desk.projector.reached(111)
        assert desk.tables.sizes == [50, 50, 11]


async def test_what_comes_within_a_moment_is_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "GATHER_S", 60.0)
    async with following() as desk:
        for record in DESK.records[:20]:
            await desk.commit([record])
            await asyncio.sleep(0)
        assert desk.tables.sizes == []
    assert desk.tables.sizes == [20]


async def test_who_waits_for_the_tables_waits_for_no_more_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "GATHER_S", 60.0)
    async with following() as desk:
        await desk.commit(DESK.records[:3])
        await asyncio.sleep(0.01)
        assert desk.projector.seq == 0
        await desk.projector.reached(2)
        assert desk.projector.seq == 3


async def test_as_much_as_fits_into_one_transaction_waits_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "GATHER_S", 60.0)
    monkeypatch.setattr(projector, "BATCH", 10)
    async with following() as desk:
        await desk.commit(DESK.records[:9])
        await asyncio.sleep(0.01)
        assert desk.tables.sizes == []
        await desk.commit(DESK.records[9:12])
        await until(lambda: desk.tables.sizes[:1] == [10])


async def test_what_has_no_room_in_memory_is_read_from_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "MOST_IN_MEMORY", 10)
    async with following() as desk:
        desk.tables.open.clear()
        for batch in batches(DESK.records):
            await desk.commit(batch)
            await asyncio.sleep(0)
            assert len(desk.projector._records) <= 10
        desk.tables.open.set()
        await desk.projector.reached(ALL)
        assert desk.journal.reads > 0
    assert_all_there(desk.tables)


async def test_a_start_goes_on_from_where_the_tables_are_while_new_records_come() -> None:
    async with following(in_journal=100) as desk:
        for record in DESK.records[100:]:
            await desk.commit([record])
        await desk.projector.reached(ALL)
    assert_all_there(desk.tables)
    assert desk.journal.reads == 1


async def test_a_write_that_fails_is_said_once_and_tried_again_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector, "RETRY_S", 0.001)
    with capture_logs() as logs:
        async with following() as desk:
            desk.tables.failure = StorageError("the disk is full")
            await desk.commit(DESK.records[:50])
            await until(lambda: desk.projector.failures > 3)
            await desk.commit(DESK.records[50:])
            desk.tables.failure = None
            await desk.projector.reached(ALL)
    assert_all_there(desk.tables)
    assert [line["why"] for line in logs] == ["the disk is full"]


async def test_who_waits_for_tables_that_do_not_come_is_refused_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "WAIT_S", 0.02)
    async with following() as desk:
        desk.tables.open.clear()
        await desk.commit(DESK.records)
        with pytest.raises(TablesBehind):
            await desk.projector.reached(1)
        assert not desk.tables.sizes


async def test_a_damaged_record_that_it_needs_ends_it() -> None:
    desk = Desk(in_journal=ALL)
    await desk.journal.append(DESK.records)
    row = desk.journal.rows[20]
    desk.journal.rows[20] = (*row[:5], row[5] ^ 1, *row[6:])
    with pytest.raises(JournalDamaged, match="record 21 is damaged"):
        await asyncio.wait_for(desk.projector.run(), 10)
    assert desk.tables.mark.seq <= 20


async def test_a_stop_does_not_wait_for_what_must_be_read_from_the_journal() -> None:
    async with following(in_journal=ALL) as desk:
        desk.tables.open.clear()
        await asyncio.sleep(0)
        desk.projector.close()
        desk.tables.failure = StorageError("cut short")
    assert desk.tables.mark.seq == 0


async def test_what_was_told_before_is_passed_over_and_a_hole_is_read_from_the_journal() -> None:
    """An engine that was paused tells of old records once more; a wire that forgot leaves a hole."""
    async with following() as desk:
        desk.tables.open.clear()
        await desk.journal.append(DESK.records)
        desk.projector.take(DESK.records[:10])
        desk.projector.take(DESK.records[3:8])
        desk.projector.take(DESK.records[5:20])
        desk.projector.take(DESK.records[30:40])
        desk.projector.heard(35)
        desk.projector.take(DESK.records[40:])
        assert desk.projector.behind == ALL
        desk.tables.open.set()
        await desk.projector.reached(ALL)
    assert_all_there(desk.tables)


class UnseenTables(HeldTables):
    """Of which one write is done and says otherwise."""

    async def write(self, records: Sequence[Record]) -> None:
        failure, self.failure = self.failure, None
        await super().write(records)
        if failure is not None:
            raise failure


async def test_a_write_whose_answer_is_lost_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "RETRY_S", 0.001)
    monkeypatch.setattr("tests.runtime.test_projector.HeldTables", UnseenTables)
    async with following() as desk:
        desk.tables.failure = StorageError("the session was lost")
        await desk.commit(DESK.records[:50])
        await desk.projector.reached(50)
        await desk.commit(DESK.records[50:])
        await desk.projector.reached(ALL)
        assert desk.projector.failures == 1
    assert_all_there(desk.tables)

"""runtime/writer.py: group commit, the watermark, and nothing acknowledged that is not on disk."""

import asyncio
from collections.abc import Sequence

import pytest

from exness.core.events import Deposited, Record
from exness.core.instruments import AccountId
from exness.runtime.bus import Bus
from exness.runtime.ports.journal import StorageError
from exness.runtime.writer import Halted, Writer
from tests.runtime.running import NotingJournal
from tests.support.waiting import until


def record(seq: int) -> Record:
    return Record(seq, 1000 + seq, Deposited(AccountId("ann"), 1, seq))


def records(first: int, last: int) -> list[Record]:
    return [record(seq) for seq in range(first, last + 1)]


class Desk:
    """A writer on a journal whose disk the test holds."""

    def __init__(self, *, bound: int = 100, batch: int = 50, wait_for_disk: bool = True) -> None:
        self.journal = NotingJournal()
        self.bus = Bus(1000)
        self.writer = Writer(
            self.journal, [self.bus.publish], durable_seq=0, bound=bound, batch=batch, wait_for_disk=wait_for_disk
        )
        self.task = asyncio.create_task(self.writer.run())

    async def commit_stands_still(self, group: Sequence[Record]) -> None:
        """Let a commit of this group begin and stand still."""
        self.journal.disk.clear()
        queued = self.writer.queued
        self.writer.put(list(group))
        await until(lambda: self.writer.queued == queued + len(group) and not self.writer._groups)

    async def close(self) -> None:
        self.journal.disk.set()
        self.writer.close()
        await self.task


async def test_whoever_waits_is_told_after_the_append_returned() -> None:
    desk = Desk()
    await desk.commit_stands_still([record(1)])
    waiting = asyncio.create_task(desk.writer.durable(1))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (waiting.done(), desk.writer.durable_seq, desk.journal.rows) == (False, 0, [])
    desk.journal.disk.set()
    await waiting
    assert (desk.writer.durable_seq, len(desk.journal.rows)) == (1, 1)
    await desk.close()


async def test_what_comes_while_a_commit_stands_still_shares_the_next() -> None:
    desk = Desk()
    await desk.commit_stands_still([record(1)])
    for seq in range(2, 21):
        desk.writer.put([record(seq)])
    desk.journal.disk.set()
    await desk.writer.durable(20)
    assert desk.journal.batches == [[1], list(range(2, 21))]
    assert (desk.writer.commits, desk.writer.largest_batch, desk.writer.queued) == (2, 19, 0)
    await desk.close()


async def test_a_batch_has_a_bound() -> None:
    desk = Desk(batch=8)
    await desk.commit_stands_still([record(1)])
    for seq in range(2, 21):
        desk.writer.put([record(seq)])
    await desk.close()
    assert [len(batch) for batch in desk.journal.batches] == [1, 8, 8, 3]


async def test_the_records_of_one_command_are_never_split_over_two_commits() -> None:
    desk = Desk(batch=8)
    await desk.commit_stands_still([record(1)])
    for first, last in ((2, 6), (7, 11), (12, 40), (41, 41), (42, 42)):
        desk.writer.put(records(first, last))
    await desk.close()
    assert desk.journal.batches == [[1], [2, 3, 4, 5, 6], [7, 8, 9, 10, 11], list(range(12, 41)), [41, 42]]


async def test_room_is_what_is_left_of_the_bound_and_a_commit_gives_it_back() -> None:
    desk = Desk(bound=3)
    progress: list[bool] = []
    desk.writer.call_on_progress(lambda: progress.append(desk.writer.has_room))
    await desk.commit_stands_still(records(1, 2))
    assert desk.writer.has_room
    desk.writer.put(records(3, 4))
    assert (desk.writer.has_room, desk.writer.queued) == (False, 4)
    desk.journal.disk.set()
    await desk.writer.durable(4)
    assert (desk.writer.has_room, desk.writer.queued, progress) == (True, 0, [True, True])
    await desk.close()


async def test_records_are_broadcast_once_they_are_on_disk_in_order() -> None:
    desk = Desk()
    with desk.bus.subscribe() as heard:
        await desk.commit_stands_still(records(1, 2))
        desk.writer.put(records(3, 4))
        assert not heard._records
        await desk.close()
        assert [(await anext(heard)).seq for _ in range(4)] == [1, 2, 3, 4]


async def test_who_waits_for_an_earlier_record_is_told_earlier() -> None:
    desk = Desk(batch=1)
    told: list[int] = []

    async def wait_for(seq: int) -> None:
        await desk.writer.durable(seq)
        assert desk.writer.durable_seq >= seq
        told.append(seq)

    await desk.commit_stands_still([record(1)])
    for seq in range(2, 6):
        desk.writer.put([record(seq)])
    waiting = [asyncio.create_task(wait_for(seq)) for seq in (5, 3, 1, 4, 2)]
    await until(lambda: len(desk.writer._mark._waiters) == 5)
    desk.journal.disk.set()
    await asyncio.gather(*waiting)
    assert told == [1, 2, 3, 4, 5]
    await desk.close()


async def test_what_is_on_disk_already_is_not_waited_for() -> None:
    desk = Desk()
    desk.writer.put(records(1, 3))
    await desk.writer.durable(3)
    assert [desk.writer.when_on_disk(seq) for seq in range(4)] == [None] * 4
    await desk.close()


async def test_one_who_stops_waiting_is_in_nobodys_way() -> None:
    desk = Desk()
    await desk.commit_stands_still([record(1)])
    gone, stays = (asyncio.create_task(desk.writer.durable(1)) for _ in range(2))
    await until(lambda: len(desk.writer._mark._waiters) == 2)
    gone.cancel()
    desk.journal.disk.set()
    await stays
    assert gone.cancelled()
    await desk.close()


async def test_acknowledged_in_memory_nobody_waits_but_a_snapshot_does() -> None:
    desk = Desk(wait_for_disk=False)
    await desk.commit_stands_still([record(1)])
    await desk.writer.durable(1)
    on_disk = asyncio.create_task(desk.writer.on_disk(1))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not on_disk.done()
    await desk.close()
    await on_disk


async def test_a_failed_append_halts_everyone_who_waits_and_acknowledges_nothing() -> None:
    desk = Desk()
    heard = desk.bus.subscribe()
    progress: list[bool] = []
    desk.writer.call_on_progress(lambda: progress.append(desk.writer.halted))
    await desk.commit_stands_still([record(1)])
    desk.writer.put([record(2)])
    waiting = [asyncio.create_task(desk.writer.durable(seq)) for seq in (1, 1, 2)]
    await until(lambda: len(desk.writer._mark._waiters) == 3)
    desk.journal.failure = "no space left"
    desk.journal.disk.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Halted] * 3
    with pytest.raises(StorageError, match="no space left"):
        await desk.task
    assert (desk.writer.halted, desk.writer.durable_seq, desk.journal.rows) == (True, 0, [])
    assert not heard._records
    assert progress == [True]
    with pytest.raises(Halted):
        await desk.writer.durable(1)


async def test_a_hole_is_never_written() -> None:
    desk = Desk()
    desk.writer.put([record(1)])
    desk.writer.put([record(3)])
    with pytest.raises(StorageError):
        await desk.task
    assert [row[0] for row in desk.journal.rows] in ([], [1])
    assert desk.writer.halted


async def test_records_that_do_not_follow_the_watermark_are_refused() -> None:
    desk = Desk()
    desk.writer.put([record(5)])
    with pytest.raises(StorageError, match="record 5 does not follow 0"):
        await desk.task
    assert desk.journal.rows == []


async def test_close_writes_what_has_queued_and_then_ends() -> None:
    desk = Desk(batch=2)
    await desk.commit_stands_still([record(1)])
    for seq in range(2, 8):
        desk.writer.put([record(seq)])
    desk.writer.close()
    assert not desk.task.done()
    desk.journal.disk.set()
    await desk.task
    assert [row[0] for row in desk.journal.rows] == list(range(1, 8))
    assert desk.writer.halted


async def test_a_writer_that_is_cancelled_in_a_commit_acknowledges_nothing() -> None:
    desk = Desk()
    await desk.commit_stands_still([record(1)])
    waiting = asyncio.create_task(desk.writer.durable(1))
    await until(lambda: len(desk.writer._mark._waiters) == 1)
    desk.task.cancel()
    with pytest.raises(Halted):
        await waiting
    assert (desk.writer.durable_seq, desk.writer.halted) == (0, True)

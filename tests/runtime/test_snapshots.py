"""runtime/snapshots.py: a picture of one moment, taken while everything goes on, never ahead of the journal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from exness.core.capture import Header, digest_of
from exness.core.instruments import AccountId
from exness.core.state import State
from exness.runtime import snapshots as snapshots_module
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.snapshots import SnapshotDraft, SnapshotInfo
from exness.runtime.recovery import recover
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Halted
from tests.runtime.running import Running, running
from tests.support.books import ANN, SOL, close_trade, deposit, open_account, open_trade, tick
from tests.support.memory_storage import MemoryDraft, MemoryJournal, MemorySnapshots
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few accounts take many steps."""
    monkeypatch.setattr(snapshots_module, "STEP", 1)


class WatchedSnapshots(MemorySnapshots):
    """The shipped snapshots; `on_add` is called before every part that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = 0
        self.failure: str | None = None
        self.on_add: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def draft(self, header: Header) -> AsyncIterator["WatchedDraft"]:
        if self.failure is not None:
            raise StorageError(self.failure)
        yield WatchedDraft(self, header)


class WatchedDraft(MemoryDraft):
    def __init__(self, snapshots: WatchedSnapshots, header: Header) -> None:
        super().__init__(snapshots, header)
        self._watched = snapshots

    async def add(self, accounts: Sequence[bytes]) -> None:
        self._watched.parts += 1
        self._watched.on_add()
        await super().add(accounts)


def snapshotter(
    exchange: Running, snapshots: MemorySnapshots, last_seq: int = 0, interval_s: float = 3600
) -> Snapshotter:
    return Snapshotter(exchange.state, exchange.writer, snapshots, interval_s, last_seq)


async def many_accounts(exchange: Running, number: int = 20) -> list[AccountId]:
    accounts = [AccountId(f"user-{n}") for n in range(number)]
    for account in accounts:
        await exchange.do(open_account(account))
        await exchange.do(open_trade(f"of-{account}", account=account, margin="10"))
    return accounts


async def restored(snapshots: MemorySnapshots, journal: MemoryJournal, seq: int) -> State:
    """The state of a stored snapshot, without the tail after it."""
    cut = MemoryJournal()
    cut.rows = journal.rows[:seq]
    recovered = await recover(cut, snapshots)
    assert (recovered.snapshot_seq, recovered.replayed, recovered.notes) == (seq, 0, [])
    return recovered.state


async def test_when_nothing_has_changed_none_is_taken() -> None:
    async with running() as exchange:
        snapshots = MemorySnapshots()
        taking = snapshotter(exchange, snapshots, last_seq=exchange.state.seq)
        assert await taking.take() is None
        await exchange.quote(SOL, "201")  # a price is no change
        assert await taking.take() is None
        assert (snapshots.stored, taking.stats.taken) == ({}, 0)
        await exchange.do(deposit(ANN, "1"))
        info = await taking.take()
        assert info is not None
        assert info.seq == exchange.state.seq
        assert await taking.take() is None
        assert (list(snapshots.stored), taking.stats.taken) == ([info.seq], 1)


async def test_every_snapshot_says_the_digest_of_its_state() -> None:
    async with running() as exchange:
        await many_accounts(exchange)
        with capture_logs() as logs:
            info = await snapshotter(exchange, MemorySnapshots()).take()
        assert info is not None
        (line,) = [line for line in logs if line["event"] == "snapshot taken"]
        assert (line["seq"], line["state"]) == (exchange.state.seq, digest_of(exchange.state))


async def test_a_stored_snapshot_is_the_state() -> None:
    async with running() as exchange:
        await many_accounts(exchange)
        snapshots = MemorySnapshots()
        taking = snapshotter(exchange, snapshots)
        info = await taking.take()
        assert info is not None
        assert (info.seq, info.digest) == (exchange.state.seq, digest_of(exchange.state))
        again = await restored(snapshots, exchange.journal, info.seq)
        assert digest_of(again) == digest_of(exchange.state)
        assert taking.stats.stored_bytes == info.stored_bytes > 0
        assert 0 <= taking.stats.longest_step_s <= taking.stats.seconds


async def test_while_commands_go_on_the_stored_snapshot_is_the_state_it_began_with() -> None:
    async with running() as exchange:
        accounts = await many_accounts(exchange)
        snapshots = WatchedSnapshots()
        began_with, seq = digest_of(exchange.state), exchange.state.seq

        def go_on() -> None:
            """At every part: someone already written and someone not yet written change, and a newcomer comes."""
            n = snapshots.parts
            for command in (
                deposit(accounts[0], "1"),
                deposit(accounts[-1], "2"),
                open_trade(f"new-{n}", account=accounts[n % 20], margin="1"),
                close_trade(f"of-{accounts[-n % 20]}", account=accounts[-n % 20]),
                open_account(AccountId(f"newcomer-{n}")),
            ):
                exchange.ask(command)
            if n == 10:
                exchange.sequencer.tick(tick(SOL, "100"))

        snapshots.on_add = go_on
        info = await snapshotter(exchange, snapshots).take()
        assert info is not None
        assert (info.seq, info.digest) == (seq, began_with)
        assert snapshots.parts == 21
        await until(lambda: exchange.sequencer.waiting == 0)
        assert exchange.state.seq > seq + 60
        assert digest_of(await restored(snapshots, exchange.journal, seq)) == began_with
        await exchange.writer.durable(exchange.state.seq)
        assert (await recover(exchange.journal, snapshots)).digest == digest_of(exchange.state)


async def test_a_snapshot_is_not_committed_before_the_journal_is_on_disk_up_to_it() -> None:
    await assert_waits_for_the_disk(wait_for_disk=True)


async def test_that_holds_even_when_trades_are_acknowledged_in_memory() -> None:
    await assert_waits_for_the_disk(wait_for_disk=False)


async def assert_waits_for_the_disk(*, wait_for_disk: bool) -> None:
    async with running(wait_for_disk=wait_for_disk) as exchange:
        exchange.hold_disk()
        exchange.ask(deposit(ANN, "1"))
        await until(lambda: exchange.state.seq == 2)
        snapshots = WatchedSnapshots()
        taking = asyncio.create_task(snapshotter(exchange, snapshots).take())
        await until(lambda: snapshots.parts == 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert (snapshots.stored, taking.done()) == ({}, False)
        exchange.release_disk()
        info = await taking
        assert info is not None
        assert info.seq == 2
        assert list(snapshots.stored) == [2]


async def test_when_the_journal_fails_the_snapshot_is_not_committed() -> None:
    exchange = Running().start()
    snapshots = WatchedSnapshots()
    await exchange.do(open_account())
    exchange.hold_disk()
    lost = exchange.ask(deposit(ANN, "1"))
    await until(lambda: exchange.state.seq == 2)
    taking = asyncio.create_task(snapshotter(exchange, snapshots).take())
    await until(lambda: snapshots.parts == 1 and exchange.writer._mark._waiters)
    exchange.journal.failure = "the disk is gone"
    exchange.release_disk()
    outcomes = await asyncio.gather(taking, lost, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Halted, Halted]
    assert snapshots.stored == {}
    with pytest.raises(StorageError):
        await exchange.stop()


async def test_a_failing_snapshot_leaves_the_exchange_running_and_is_tried_again() -> None:
    async with running() as exchange:
        snapshots = WatchedSnapshots()
        snapshots.failure = "snapshots.db is full"
        taking = snapshotter(exchange, snapshots, interval_s=0.001)
        task = asyncio.create_task(taking.run())
        await until(lambda: taking.stats.failed >= 2)
        assert taking.stats.taken == 0
        await exchange.do(deposit(ANN, "1"))
        assert not task.done()
        snapshots.failure = None
        await until(lambda: taking.stats.taken == 1)
        assert list(snapshots.stored) == [exchange.state.seq]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_snapshot_that_fails_half_way_leaves_nothing_behind_and_the_next_one_is_whole() -> None:
    async with running() as exchange:
        await many_accounts(exchange)
        snapshots = WatchedSnapshots()

        def fail_in_the_middle() -> None:
            if snapshots.parts == 7:
                raise StorageError("no space left")

        snapshots.on_add = fail_in_the_middle
        taking = snapshotter(exchange, snapshots)
        with pytest.raises(StorageError):
            await taking.take()
        assert snapshots.stored == {}
        assert exchange.state.observer is None
        info = await taking.take()
        assert info is not None
        assert info.digest == digest_of(exchange.state)


async def test_a_snapshot_that_is_cancelled_lets_the_state_go() -> None:
    async with running() as exchange:
        exchange.hold_disk()
        exchange.ask(deposit(ANN, "1"))
        await until(lambda: exchange.state.seq == 2)
        snapshots = WatchedSnapshots()
        taking = snapshotter(exchange, snapshots)
        task = asyncio.create_task(taking.take())
        await until(lambda: snapshots.parts == 1 and exchange.state.observer is not None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert exchange.state.observer is None
        exchange.release_disk()
        info = await taking.take()
        assert isinstance(info, SnapshotInfo)


async def test_between_two_steps_the_loop_gets_its_turn() -> None:
    async with running() as exchange:
        await many_accounts(exchange)
        snapshots = WatchedSnapshots()
        turns = 0
        turns_at_part: list[int] = []
        snapshots.on_add = lambda: turns_at_part.append(turns)

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await snapshotter(exchange, snapshots).take()
        counting.cancel()
        assert len(turns_at_part) == 21
        assert all(later > earlier for earlier, later in pairwise(turns_at_part))


def test_the_draft_of_these_tests_is_a_snapshot_draft() -> None:
    draft: SnapshotDraft = WatchedDraft(WatchedSnapshots(), Header(0, 0, 0, 0, 0, 0))
    assert isinstance(draft, MemoryDraft)

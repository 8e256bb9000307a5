"""A bug in the core, met on each way into the engine: nothing is decided, written or told after it, and the process
ends with it. A watcher's bug costs nothing but what it watches for.

How each was seen to fail: `_decide` without its guard (the bug itself is raised), without `writer.halt()` (who waits
for the disk waits on), `perform` that does not look at `halted` (it goes on with the half changed state).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from exness.core.commands import PriceTick
from exness.core.outcomes import Done
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Halted
from tests.runtime.running import Running, running
from tests.support.books import ANN, BOB, ETH, SOL, START, close_trade, deposit, open_account, open_trade, tick
from tests.support.memory_storage import MemorySnapshots
from tests.support.planted import WHAT, PlantedBug
from tests.support.waiting import WAIT_S, until

TRADES = 9
STEP = 2
"""Liquidations a step."""

Way = Callable[[Running], Awaitable[object]]
WAYS: dict[str, tuple[Way, int]] = {}
"""By name: what is done, and which record of it meets the bug."""


def way(th: int = 1) -> Callable[[Way], Way]:
    def add(do: Way) -> Way:
        WAYS[do.__name__] = (do, th)
        return do

    return add


@way()
async def a_request_where_it_stands(exchange: Running) -> object:
    return await exchange.sequencer.submit(deposit(ANN, "1"))


@way()
async def a_close(exchange: Running) -> object:
    return await exchange.sequencer.submit(close_trade("t0"))


@way()
async def the_first_account_of_somebody(exchange: Running) -> object:
    return await exchange.sequencer.submit(open_account(BOB))


@way(th=2)
async def a_request_from_the_inbox(exchange: Running) -> object:
    exchange.sequencer.tick(tick(SOL, "200"))  # is before them: they queue
    good, bad = exchange.ask(deposit(ANN, "1")), exchange.ask(deposit(ANN, "1"))
    with suppress(Halted):
        await good
    return await bad


@way()
async def a_tick(exchange: Running) -> object:
    exchange.sequencer.tick(tick(SOL, "150"))
    await until(lambda: exchange.sequencing is not None and exchange.sequencing.done())
    raise Halted


@way(th=2 * STEP + 1)
async def a_later_step_of_a_tick(exchange: Running) -> object:
    return await a_tick(exchange)


@way()
async def a_price_set_by_hand(exchange: Running) -> object:
    return await exchange.sequencer.perform(tick(SOL, "150"), START)


@way(th=2 * STEP + 1)
async def a_later_step_of_a_price_set_by_hand(exchange: Running) -> object:
    return await exchange.sequencer.perform(tick(SOL, "150"), START)


@way(th=2 * STEP + 1)
async def a_later_step_of_a_price_whose_setter_has_gone(exchange: Running) -> object:
    setting = asyncio.create_task(exchange.sequencer.perform(tick(SOL, "150"), START))
    await until(lambda: exchange.state.open_trades < TRADES)
    setting.cancel()
    with suppress(asyncio.CancelledError):
        await setting
    await until(lambda: exchange.sequencing is not None and exchange.sequencing.done())
    raise Halted


@way()
async def an_order_of_a_replay(exchange: Running) -> object:
    return await exchange.sequencer.perform(open_trade("scripted"), START, "replay:1")


@pytest.mark.parametrize("name", WAYS)
async def test_a_bug_in_the_core_stops_everything_on_every_way_into_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, th = WAYS[name]
    bug = PlantedBug(monkeypatch)
    exchange = Running(liquidations_per_step=STEP).start()
    await exchange.do(open_account())
    for asset, price in ((SOL, "200"), (ETH, "3000")):
        await exchange.quote(asset, price)
    for number in range(TRADES):
        await exchange.do(open_trade(f"t{number}", margin="1", leverage="100"))
    on_disk = len(exchange.journal.rows)
    exchange.hold_disk()
    decided_before = exchange.ask(deposit(ANN, "5"))
    await until(lambda: exchange.writer.waiting == 1)
    bug.arm(th)
    with pytest.raises(Halted):
        await do(exchange)
    assert bug.met
    at_the_bug = (exchange.state.seq, exchange.state.free, exchange.state.open_trades)

    async def refused(command: Awaitable[object], error: type[Exception]) -> Exception:
        with pytest.raises(error) as raised:
            async with asyncio.timeout(WAIT_S):
                await command
        return raised.value

    for command in (deposit(ANN, "1"), open_trade("late"), close_trade("t1"), open_account(BOB)):
        busy = await refused(exchange.sequencer.submit(command), NotTaken)
        assert isinstance(busy, NotTaken)
        assert busy.why is Busy.SHUTTING_DOWN
        await refused(exchange.sequencer.perform(command, START), Halted)
    exchange.sequencer.tick(tick(SOL, "1"))
    await refused(decided_before, Halted)
    await refused(exchange.writer.on_disk(exchange.state.seq + 1), Halted)
    assert exchange.sequencing is not None
    assert exchange.writing is not None
    with pytest.raises(AssertionError, match=WHAT):
        await exchange.sequencing
    exchange.release_disk()  # what was on its way there may still come
    await exchange.writing
    assert (exchange.state.seq, exchange.state.free, exchange.state.open_trades) == at_the_bug
    assert bug.applied_after == 0
    assert len(exchange.journal.rows) - on_disk <= 1


async def test_a_snapshot_is_not_kept_that_was_being_taken_when_a_bug_was_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bug = PlantedBug(monkeypatch)
    exchange = Running().start()
    await exchange.do(open_account())
    kept, asked, go_on = MemorySnapshots(), asyncio.Event(), asyncio.Event()

    async def slow(seq: int) -> int:
        asked.set()
        await go_on.wait()
        return 0

    monkeypatch.setattr(exchange.journal, "fingerprint", slow)
    taking = asyncio.create_task(Snapshotter(exchange.state, exchange.writer, kept, 3600, 0).try_take())
    await asked.wait()
    bug.arm()
    with pytest.raises(Halted):
        await exchange.sequencer.submit(deposit(ANN, "1"))
    go_on.set()
    with capture_logs():
        assert await taking is None
    assert kept.stored == {}
    assert exchange.sequencing is not None
    await asyncio.gather(exchange.sequencing, return_exceptions=True)


# --- what is not the engine ---------------------------------------------------------------------------------------


async def test_a_watcher_that_fails_is_logged_once_and_costs_nobody_anything() -> None:
    told: list[PriceTick] = []

    def fails(tick: PriceTick, at: int) -> None:
        raise RuntimeError("a bug in what watches")

    with capture_logs() as logs:
        async with running() as exchange:
            exchange.sequencer.watchers += [fails, lambda tick, at: told.append(tick)]
            await exchange.do(open_trade("t", leverage="10"))
            await exchange.quote(SOL, "199")
            outcome = await exchange.sequencer.perform(tick(SOL, "150"), START)
            assert isinstance(outcome, Done)
            assert len(outcome.records) == 1
            await exchange.writer.on_disk(exchange.state.seq)
            await exchange.do(deposit(ANN, "1"))
            assert (len(told), exchange.sequencer.watchers.failed) == (2, 2)
    assert [line["log_level"] for line in logs if "watcher" in line["event"]] == ["error"]


# --- the steps of one command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [False, True])
async def test_a_price_set_by_hand_lets_the_loop_turn_and_nothing_come_between_its_steps(gone: bool) -> None:
    """Also when whoever set it has gone: no tick stays half done."""
    async with running(liquidations_per_step=10, writer_batch=20) as exchange:
        await asyncio.gather(*(exchange.ask(open_trade(f"t{n}", margin="1", leverage="100")) for n in range(95)))
        first = exchange.state.seq + 1
        setting = asyncio.create_task(exchange.sequencer.perform(tick(SOL, "100"), START))
        steps_seen: set[int] = set()
        requests: list[asyncio.Task[object]] = []
        also_setting: list[asyncio.Task[object]] = []
        turns = 0
        while exchange.state.open_trades:
            if 0 < exchange.state.open_trades < 95:
                steps_seen.add(exchange.state.open_trades)
                requests.append(exchange.ask(deposit(ANN, "1")))
                if not also_setting:
                    also_setting.append(asyncio.create_task(exchange.sequencer.perform(tick(SOL, "101"), START)))
                    exchange.sequencer.tick(tick(ETH, "3001"))
                if gone:
                    setting.cancel()
            turns += 1
            assert turns < 1000, "it stays half done"
            await asyncio.sleep(0)
        assert steps_seen == {85, 75, 65, 55, 45, 35, 25, 15, 5}
        if gone:
            with pytest.raises(asyncio.CancelledError):
                await setting
        else:
            outcome = await setting
            assert isinstance(outcome, Done)
            assert [record.seq for record in outcome.records] == list(range(first, first + 95))
        outcomes = await asyncio.gather(*requests, *also_setting)
        assert list(range(first, first + 95)) in exchange.journal.batches
        seqs = [record.seq for outcome in outcomes if isinstance(outcome, Done) for record in outcome.records]
        assert min(seqs) == first + 95
        price = exchange.state.price(SOL)
        assert price is not None
        assert price.mark == 101_000_000


async def test_a_stop_waits_for_a_price_that_is_half_done() -> None:
    async with running(liquidations_per_step=5) as exchange:
        await asyncio.gather(*(exchange.ask(open_trade(f"t{n}", margin="1", leverage="100")) for n in range(50)))
        setting = asyncio.create_task(exchange.sequencer.perform(tick(SOL, "100"), START))
        await until(lambda: exchange.state.open_trades < 50)
        setting.cancel()
        exchange.sequencer.close()
        assert exchange.sequencing is not None
        await exchange.sequencing
        assert exchange.state.open_trades == 0
        assert exchange.writer.queued >= 50 or exchange.writer.durable_seq == exchange.state.seq

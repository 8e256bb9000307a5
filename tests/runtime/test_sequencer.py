"""runtime/sequencer.py: one total order, ticks first, and a refusal that means nothing happened."""

import asyncio

import pytest

from exness.core.commands import OpenTrade
from exness.core.engine import Done
from exness.core.instruments import Asset
from exness.core.rejects import Refusal, Reject, TooLittle
from exness.core.state import BooksError
from exness.runtime.sequencer import Busy, NotTaken
from exness.runtime.writer import Halted
from tests.runtime.running import Running, running
from tests.support.books import (
    ANN,
    BOB,
    ETH,
    SECOND,
    SHORT,
    SOL,
    START,
    close_trade,
    deposit,
    digest_and_interest,
    is_liquidation,
    make_rules,
    open_account,
    open_trade,
    tick,
    usdc,
)
from tests.support.exchange import SetClock
from tests.support.waiting import until


async def refused(request: "asyncio.Task[object]") -> Busy:
    with pytest.raises(NotTaken) as refusal:
        await request
    return refusal.value.why


async def fill(exchange: Running, requests: int) -> "list[asyncio.Task[object]]":
    """Stop the disk, put one record in the writer (whose bound must be 1) and so many requests in the inbox."""
    exchange.hold_disk()
    writing = exchange.ask(deposit(ANN, "1"))
    await until(lambda: exchange.writer.queued == 1)
    waiting = [exchange.ask(deposit(ANN, "1")) for _ in range(requests)]
    await exchange.waiting(requests)
    return [writing, *waiting]


# --- stamping and answering ---------------------------------------------------------------------------------------


async def test_a_command_is_stamped_with_the_time_and_the_request_that_asked_for_it() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        clock.now += 7
        outcome = await exchange.sequencer.submit(deposit(ANN, "1"), "req-7")
        assert isinstance(outcome, Done)
        assert [(record.seq, record.at, record.request) for record in outcome.records] == [(2, START + 7, "req-7")]


async def test_a_command_is_answered_once_its_events_are_on_disk_and_not_before() -> None:
    async with running() as exchange:
        exchange.hold_disk()
        request = exchange.ask(deposit(ANN, "1"))
        await until(lambda: exchange.state.seq == 2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not request.done()
        assert len(exchange.journal.rows) == 1
        exchange.release_disk()
        assert isinstance(await request, Done)
        assert len(exchange.journal.rows) == 2


async def test_acknowledged_in_memory_a_command_is_answered_before_it_is_on_disk() -> None:
    async with running(wait_for_disk=False) as exchange:
        exchange.hold_disk()
        assert await exchange.do(deposit(ANN, "1"))
        assert exchange.writer.durable_seq < exchange.state.seq


SHOWN: dict[str, tuple[OpenTrade, Reject, bool]] = {
    "another body under the id of a trade": (
        open_trade("again", margin="2", client_order="mine"),
        Reject.CLIENT_ORDER_ID_CONFLICT,
        True,
    ),
    "more than the balance": (open_trade("dear", margin="4999.5", leverage="1"), Reject.INSUFFICIENT_MARGIN, True),
    "more than the open interest": (open_trade("large", margin="999", leverage="10"), Reject.POSITION_LIMIT, True),
    "no price": (open_trade("blind", asset=Asset("DOGE")), Reject.PRICE_UNAVAILABLE, False),
    "a price that has moved": (
        open_trade("late", margin="1", slippage=10, expected="100"),
        Reject.SLIPPAGE_EXCEEDED,
        False,
    ),
}
"""What is asked after a trade that is not on disk yet, why it is refused, and whether that tells of the trade."""


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("name", SHOWN)
async def test_a_refusal_waits_for_the_disk_when_it_shows_what_is_not_on_it_yet(name: str, queued: bool) -> None:
    command, reject, shows = SHOWN[name]
    async with running(rules=make_rules(max_open_interest="6000")) as exchange:
        exchange.hold_disk()
        opening = exchange.ask(open_trade("t", margin="1", leverage="2", client_order="mine"))
        await until(lambda: exchange.writer.queued == 1)
        if queued:
            exchange.sequencer.tick(tick(ETH, "3000"))  # is before it
        refusing = exchange.ask(command)
        if shows:
            await until(lambda: exchange.writer.waiting == 2, "for the refusal to wait")
            assert not refusing.done()
            exchange.release_disk()
        outcome = await refusing
        assert isinstance(outcome, Refusal)
        assert outcome.reject is reject
        assert exchange.writer.durable_seq == (2 if shows else 1)
        exchange.release_disk()
        await opening


async def test_acknowledged_in_memory_a_refusal_waits_for_nothing() -> None:
    async with running(wait_for_disk=False) as exchange:
        exchange.hold_disk()
        await exchange.do(open_trade("t", margin="4000"))
        outcome = await exchange.sequencer.submit(open_trade("dear", margin="4000"))
        assert isinstance(outcome, Refusal)
        assert outcome.figures == TooLittle(usdc("4000"), usdc("1000"))


async def test_a_refusal_waits_for_no_disk() -> None:
    async with running() as exchange:
        exchange.hold_disk()
        exchange.ask(deposit(ANN, "1"))
        await until(lambda: exchange.writer.queued == 1)
        outcome = await exchange.sequencer.submit(close_trade("unknown"))
        assert outcome == Refusal(Reject.TRADE_NOT_FOUND)


async def test_commands_are_executed_in_the_order_they_came() -> None:
    async with running() as exchange:
        requests = [exchange.ask(open_trade(f"t{number}", margin="1")) for number in range(50)]
        outcomes = await asyncio.gather(*requests)
        opened = [outcome.records[0] for outcome in outcomes if isinstance(outcome, Done)]
        assert [record.seq for record in opened] == list(range(2, 52))
        assert list(exchange.state.accounts[ANN].trades) == [f"t{number}" for number in range(50)]


# --- ticks first --------------------------------------------------------------------------------------------------


async def test_a_tick_goes_before_a_request_that_came_earlier_and_still_waits() -> None:
    exchange = Running()
    requests = [exchange.ask(command) for command in (open_account(), open_trade("t"))]
    await exchange.waiting(2)
    exchange.sequencer.tick(tick(SOL, "200"))
    exchange.sequencer.tick(tick(SOL, "210"))
    exchange.start()
    await asyncio.gather(*requests)
    assert exchange.state.accounts[ANN].trades["t"].entry == 210_000_000  # type: ignore[index]
    await exchange.stop()


async def test_between_two_slices_of_requests_every_tick_that_has_come_is_checked() -> None:
    class TickingClock(SetClock):
        """Asked for the time of the fifth request, it brings a tick."""

        calls = 0

        def now_us(self) -> int:
            self.calls += 1
            if self.calls == 1 + 1 + 3:  # the first tick, the account, three trades
                exchange.sequencer.tick(tick(SOL, "210"))
            return super().now_us()

    exchange = Running(clock=TickingClock(), slice_commands=2)
    requests = [exchange.ask(open_account()), *(exchange.ask(open_trade(f"t{n}", margin="1")) for n in range(7))]
    await exchange.waiting(8)
    exchange.sequencer.tick(tick(SOL, "200"))
    exchange.start()
    await asyncio.gather(*requests)
    entries = [trade.entry // 1_000_000 for trade in exchange.state.accounts[ANN].trades.values()]
    assert entries == [200, 200, 200, 210, 210, 210, 210]
    await exchange.stop()


async def test_under_a_full_inbox_a_tick_is_handled_at_once() -> None:
    async with running(writer_queue=1, inbox_size=20) as exchange:
        await exchange.do(open_trade("long", leverage="10"))
        requests = await fill(exchange, 20)
        with pytest.raises(NotTaken):
            await exchange.sequencer.submit(deposit(ANN, "1"))
        await exchange.quote(SOL, "150")
        assert exchange.state.accounts[ANN].trades == {}
        assert exchange.sequencer.waiting == 20
        exchange.release_disk()
        await asyncio.gather(*requests)


async def test_every_tick_of_a_burst_is_checked_none_for_another() -> None:
    async with running(slice_commands=3) as exchange:
        await exchange.do(open_trade("long", leverage="10"))
        await exchange.do(open_trade("short", side=SHORT, leverage="10"))
        for price in ["200", "201", "179", "200", "202"] * 4 + ["221", "200"]:
            exchange.sequencer.tick(tick(SOL, price))
        await until(lambda: exchange.state.open_trades == 0)
        assert exchange.sequencer.ticks_shed == 0


async def test_a_tick_that_sets_nothing_off_writes_nothing() -> None:
    async with running() as exchange:
        commits = exchange.writer.commits
        for price in ("199", "201", "200"):
            await exchange.quote(SOL, price)
        assert (exchange.writer.commits, exchange.writer.queued, exchange.state.seq) == (commits, 0, 1)


async def test_a_cascade_is_done_in_steps_with_turns_for_the_loop_nothing_in_between_and_in_one_append() -> None:
    async with running(liquidations_per_step=10, writer_batch=20, slice_commands=5) as exchange:
        await asyncio.gather(*(exchange.ask(open_trade(f"t{n}", margin="1", leverage="100")) for n in range(95)))
        first = exchange.state.seq + 1
        steps_seen: set[int] = set()
        requests: list[asyncio.Task[object]] = []

        async def watch() -> None:
            """Whoever else is on the loop: sees the cascade half done, and asks for something then."""
            while exchange.state.open_trades:
                if 0 < exchange.state.open_trades < 95:
                    steps_seen.add(exchange.state.open_trades)
                    requests.append(exchange.ask(deposit(ANN, "1")))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        exchange.sequencer.tick(tick(SOL, "100"))
        await watching
        assert steps_seen == {85, 75, 65, 55, 45, 35, 25, 15, 5}
        outcomes = await asyncio.gather(*requests)
        cascade = list(range(first, first + 95))
        assert cascade in exchange.journal.batches
        assert min(outcome.records[0].seq for outcome in outcomes if isinstance(outcome, Done)) == first + 95
        events = [record.event async for records in exchange.journal.read(first - 1) for record in records][:95]
        assert all(is_liquidation(event) for event in events)


# --- not taken ----------------------------------------------------------------------------------------------------


async def test_a_full_inbox_refuses_at_once_and_nothing_is_done() -> None:
    async with running(writer_queue=1, inbox_size=3) as exchange:
        requests = await fill(exchange, 3)
        before = digest_and_interest(exchange.state)
        assert await refused(exchange.ask(open_trade("late"))) is Busy.OVERLOADED
        assert digest_and_interest(exchange.state) == before
        assert (exchange.sequencer.waiting, exchange.sequencer.overloads) == (3, 1)
        exchange.release_disk()
        await asyncio.gather(*requests)
        assert exchange.state.accounts[ANN].trades == {}
        await exchange.do(open_trade("later"))


async def test_a_request_that_waits_too_long_is_refused_untouched() -> None:
    async with running(writer_queue=1, inbox_wait_s=0.02) as exchange:
        requests = await fill(exchange, 3)
        before = digest_and_interest(exchange.state)
        assert [await refused(request) for request in requests[1:]] == [Busy.OVERLOADED] * 3
        assert digest_and_interest(exchange.state) == before
        assert exchange.sequencer.waiting == 0
        exchange.release_disk()
        await requests[0]
        assert exchange.state.deposits == 5_001_000_000
        await exchange.do(open_trade("later"))


async def test_ticks_that_keep_coming_do_not_keep_a_waiting_request_from_its_end() -> None:
    async with running(writer_queue=1, inbox_wait_s=0.02) as exchange:
        requests = await fill(exchange, 1)
        while not requests[1].done():
            exchange.sequencer.tick(tick(SOL, "200"))
            await asyncio.sleep(0)
        assert await refused(requests[1]) is Busy.OVERLOADED


async def test_whoever_goes_away_while_waiting_gets_nothing_done() -> None:
    async with running(writer_queue=1) as exchange:
        requests = await fill(exchange, 0)
        gone, stays = exchange.ask(open_trade("gone")), exchange.ask(open_trade("stays"))
        await exchange.waiting(2)
        gone.cancel()
        exchange.release_disk()
        await asyncio.gather(*requests, stays)
        assert list(exchange.state.accounts[ANN].trades) == ["stays"]


async def test_whoever_goes_away_after_the_engine_decided_changes_nothing_of_it() -> None:
    async with running() as exchange:
        exchange.hold_disk()
        gone = exchange.ask(open_trade("gone"))
        await until(lambda: exchange.state.open_trades == 1)
        gone.cancel()
        exchange.release_disk()
        await exchange.do(deposit(ANN, "1"))
        assert list(exchange.state.accounts[ANN].trades) == ["gone"]
        assert [row[2] for row in exchange.journal.rows] == ["account_opened", "trade_opened", "deposited"]


async def test_after_close_nothing_is_taken_and_what_was_taken_is_executed() -> None:
    async with running(writer_queue=1) as exchange:
        requests = await fill(exchange, 5)
        exchange.sequencer.close()
        assert await refused(exchange.ask(deposit(ANN, "100"))) is Busy.SHUTTING_DOWN
        exchange.release_disk()
        assert all(isinstance(outcome, Done) for outcome in await asyncio.gather(*requests))
        assert exchange.state.deposits == 5_006_000_000
        assert exchange.sequencing is not None
        await exchange.sequencing


async def test_a_tick_that_came_before_close_is_checked() -> None:
    async with running() as exchange:
        await exchange.do(open_trade("long"))
        exchange.sequencer.tick(tick(SOL, "100"))
        exchange.sequencer.close()
        assert exchange.sequencing is not None
        await exchange.sequencing
        assert exchange.state.open_trades == 0


async def test_after_the_journal_failed_nothing_is_taken() -> None:
    exchange = Running().start()
    exchange.journal.failure = "the disk is gone"
    with pytest.raises(Halted):
        await exchange.sequencer.submit(open_account())
    assert await refused(exchange.ask(open_account(BOB))) is Busy.SHUTTING_DOWN
    assert BOB not in exchange.state.accounts
    assert exchange.writing is not None
    assert exchange.sequencing is not None
    await exchange.sequencing
    await asyncio.gather(exchange.writing, return_exceptions=True)


async def test_a_bug_in_the_core_stops_the_sequencer_and_acknowledges_nothing() -> None:
    exchange = Running().start()
    await exchange.do(open_account())
    exchange.state.deposits += 1  # as if a bug had made money
    requests = [exchange.ask(deposit(ANN, "1")) for _ in range(3)]
    assert exchange.sequencing is not None
    with pytest.raises(BooksError):
        await exchange.sequencing
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Halted, NotTaken, NotTaken]
    assert len(exchange.journal.rows) == 1
    assert await refused(exchange.ask(deposit(ANN, "1"))) is Busy.SHUTTING_DOWN
    exchange.writer.close()
    assert exchange.writing is not None
    await exchange.writing


async def test_time_in_the_journal_never_falls_even_if_a_clock_does() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        clock.now += SECOND
        (late,) = await exchange.do(deposit(ANN, "1"))
        clock.now -= 5 * SECOND
        (later,) = await exchange.do(deposit(ANN, "1"))
        assert later.at == late.at == START + SECOND

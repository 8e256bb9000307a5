"""runtime/sequencer.py: what time brings comes before whatever comes at or after it, and by itself else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from exness.core.commands import PlaceOrder, TimeInForce
from exness.core.events import OrderEnded, Record
from exness.core.instruments import OrderId
from exness.core.outcomes import Done
from exness.core.rates import Rates
from exness.core.rules import Rules
from exness.feeds.manual import ManualFeed
from exness.runtime.clock import ManualClock, SystemClock
from exness.runtime.ports.prices import ScriptedPrice
from tests.runtime.running import Running, running
from tests.support.books import (
    ANN,
    ETH,
    LONG,
    PRICE_LIFE,
    SECOND,
    SOL,
    START,
    deposit,
    make_rules,
    open_account,
    open_trade,
    price_of,
    usdc,
)
from tests.support.exchange import SetClock
from tests.support.waiting import until

HOUR = 3_600 * SECOND
FIRST = START // HOUR * HOUR + HOUR
"""The first settlement."""


def place(order: str, expires_at: int, limit: str = "150") -> PlaceOrder:
    return PlaceOrder(
        account=ANN,
        order_id=OrderId(order),
        asset=SOL,
        side=LONG,
        margin=usdc("1"),
        leverage=100,
        limit=price_of(SOL, limit),
        time_in_force=TimeInForce.GTT,
        expires_at=expires_at,
    )


def funded(interval_s: int = 3_600, rate: int = 10_000, of: Any = (SOL,)) -> Rules:
    """Longs pay 0.01 % an hour."""
    rates = {asset: Rates(funding_interval_s=interval_s, funding_rate=rate) for asset in of}
    return msgspec.structs.replace(make_rules(), rates=rates)


def written(exchange: Running) -> list[tuple[str, int]]:
    """Kind and time of each record that is in the journal."""
    return [(row[2], row[1]) for row in exchange.journal.rows]


@asynccontextmanager
async def by_hand(**options: Any) -> AsyncIterator[tuple[Running, ManualFeed]]:
    """An exchange whose clock is held by hand, standing at START, with ann's account and SOL at 200."""
    feed = ManualFeed(PRICE_LIFE)
    feed.clock.pause()
    feed.clock._at_us = START
    exchange = Running(clock=feed.clock, **options).start()
    feed.hold(exchange.sequencer)
    conducting = asyncio.create_task(feed.conduct())
    try:
        await exchange.do(open_account())
        await feed.set_price(SOL, price_of(SOL, "200"), price_of(SOL, "200"))
        yield exchange, feed
        await exchange.stop()
    finally:
        conducting.cancel()
        await asyncio.gather(conducting, return_exceptions=True)


async def test_an_expiry_comes_before_the_tick_of_its_time_which_fills_nothing_any_more() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        await exchange.do(place("a", START + 5 * SECOND))
        clock.advance(5)
        await exchange.quote(SOL, "100")
        await until(lambda: exchange.writer.durable_seq == exchange.state.seq)
        assert written(exchange)[1:] == [("order_placed", START), ("order_ended", START + 5 * SECOND)]
        assert exchange.state.accounts[ANN].free == usdc("5000")


async def test_a_request_at_a_time_finds_what_time_has_brought_before_it() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        await exchange.do(place("a", START + 5 * SECOND))
        await exchange.do(place("b", START + 7 * SECOND))
        clock.advance(9)
        (record,) = await exchange.do(deposit(ANN, "1"))
        assert record.at == START + 9 * SECOND
        assert written(exchange)[3:] == [
            ("order_ended", START + 5 * SECOND),
            ("order_ended", START + 7 * SECOND),
            ("deposited", START + 9 * SECOND),
        ]
        assert [record.event.status for record in await ended(exchange)] == ["expired", "expired"]


async def ended(exchange: Running) -> list[Any]:
    records: list[Record] = [record async for chunk in exchange.journal.read(0) for record in chunk]
    return [record for record in records if isinstance(record.event, OrderEnded)]


async def test_what_is_due_at_different_times_is_written_in_transactions_of_their_own() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        for number, second in enumerate((5, 5, 7)):
            await exchange.do(place(f"o{number}", START + second * SECOND))
        exchange.hold_disk()
        clock.advance(9)
        seq = exchange.state.seq
        puts: list[list[int]] = []
        put = exchange.writer.put

        def noting(records: list[Record]) -> None:
            puts.append([record.seq for record in records])
            put(records)

        exchange.writer.put = noting  # type: ignore[method-assign]
        await exchange.quote(ETH, "3000")
        assert puts == [[seq + 1, seq + 2], [seq + 3]]


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
async def test_when_nothing_comes_what_is_due_is_done_by_a_timer(clock: SystemClock | ManualClock) -> None:
    async with running(clock=clock) as exchange:
        due = clock.now_us() + 30_000
        await exchange.do(place("a", due + SECOND))
        await exchange.do(place("b", due))  # nearer than what the loop sleeps towards
        await until(lambda: len(exchange.state.accounts[ANN].orders) == 1)
        assert clock.now_us() >= due
        await until(lambda: exchange.writer.durable_seq == exchange.state.seq)
        assert written(exchange)[-1] == ("order_ended", due)


async def test_a_clock_that_is_held_brings_nothing_until_it_is_stepped_and_then_each_thing_at_its_time() -> None:
    async with by_hand(rules=funded()) as (exchange, feed):
        await exchange.do(open_trade("t", margin="100", leverage="10"))
        await exchange.do(place("a", FIRST + SECOND))
        for _ in range(50):
            await asyncio.sleep(0)
        assert exchange.state.seq == 3
        moved = await feed.set_clock(None, None, FIRST + 2 * HOUR - START)
        assert (moved.at, moved.liquidated, moved.scripted) == (FIRST + 2 * HOUR, 0, 0)
        await until(lambda: exchange.writer.durable_seq == exchange.state.seq)
        assert written(exchange)[3:] == [
            ("trade_changed", FIRST),
            ("order_ended", FIRST + SECOND),
            ("trade_changed", FIRST + HOUR),
            ("trade_changed", FIRST + 2 * HOUR),
        ]
        assert exchange.state.house.funding == 3 * usdc("0.1")


async def test_a_clock_that_is_let_run_faster_wakes_what_sleeps_by_it() -> None:
    async with by_hand() as (exchange, feed):
        await exchange.do(place("a", START + 3_600 * SECOND))
        await feed.set_clock(False, 100_000_000, 0)
        await until(lambda: not exchange.state.accounts[ANN].orders, "for an hour of 36 ms")
        assert exchange.state.at == START + 3_600 * SECOND


async def test_settlements_on_the_way_of_a_step_liquidate_and_are_counted_and_scripted_prices_come_in_between() -> None:
    async with by_hand(rules=funded(rate=9_000_000)) as (exchange, feed):  # 9 % an hour, of ten times the margin
        await exchange.do(open_trade("t", margin="100", leverage="10"))
        offsets = (FIRST - START, FIRST + HOUR - SECOND - START)
        await feed.run_script([ScriptedPrice(offset, SOL, price_of(SOL, "199")) for offset in offsets])
        moved = await feed.set_clock(None, None, FIRST + HOUR - START)
        assert (moved.scripted, moved.liquidated) == (2, 1)
        await until(lambda: exchange.writer.durable_seq == exchange.state.seq)
        assert written(exchange)[2:] == [
            ("trade_changed", FIRST),
            ("trade_changed", FIRST + HOUR),
            ("trade_closed", FIRST + HOUR),
        ]


async def test_a_large_settlement_lets_the_loop_turn_with_nothing_in_between_and_is_one_transaction() -> None:
    clock = SetClock()
    async with running(clock=clock, rules=funded(), liquidations_per_step=10, writer_batch=20) as exchange:
        await asyncio.gather(*(exchange.ask(open_trade(f"t{n}", margin="1", leverage="100")) for n in range(95)))
        first = exchange.state.seq + 1
        seen: set[int] = set()
        requests: list[asyncio.Task[Any]] = []

        async def watch() -> None:
            while exchange.state.seq < first + 94:
                if exchange.state.seq >= first:
                    seen.add(exchange.state.seq - first + 1)
                    requests.append(exchange.ask(deposit(ANN, "1")))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        clock.now = FIRST
        asked = exchange.ask(deposit(ANN, "1"))
        await watching
        assert seen == {10, 20, 30, 40, 50, 60, 70, 80, 90}
        outcomes = await asyncio.gather(asked, *requests)
        assert list(range(first, first + 95)) in [batch[:95] for batch in exchange.journal.batches]
        seqs = [outcome.records[0].seq for outcome in outcomes if isinstance(outcome, Done)]
        assert seqs == list(range(first + 95, first + 95 + len(outcomes)))  # whoever asked first goes first


async def test_a_settlement_begun_is_done_to_its_end_when_whoever_asked_goes() -> None:
    clock = SetClock()
    async with running(clock=clock, rules=funded(), liquidations_per_step=5) as exchange:
        await asyncio.gather(*(exchange.ask(open_trade(f"t{n}", margin="1", leverage="100")) for n in range(20)))
        first = exchange.state.seq + 1
        clock.now = FIRST
        asked = exchange.ask(deposit(ANN, "1"))
        await until(lambda: first <= exchange.state.seq < first + 20, pause_s=0)
        asked.cancel()
        await until(lambda: exchange.writer.durable_seq >= first + 20)
        assert exchange.state.house.funding == 20 * usdc("0.01")


async def test_years_that_pass_at_once_wait_for_the_writer_between_their_settlements() -> None:
    clock = SetClock()
    async with running(clock=clock, rules=funded(rate=1), writer_queue=5) as exchange:
        await exchange.do(open_trade("t", margin="100"))
        exchange.hold_disk()
        clock.now = FIRST + 1_000 * HOUR
        asked = exchange.ask(deposit(ANN, "1"))
        await until(lambda: exchange.writer.queued >= 5)
        for _ in range(200):
            await asyncio.sleep(0)
        assert exchange.writer.queued <= 6
        exchange.release_disk()
        outcome = await asked
        assert isinstance(outcome, Done)
        assert outcome.records[0].seq == 2 + 1_001 + 1


async def test_settlements_without_trades_or_a_price_cost_nothing_however_many_have_passed() -> None:
    clock = SetClock()
    async with running(clock=clock, rules=funded(interval_s=1, of=(SOL, ETH))) as exchange:
        clock.now = START + 10**9 * SECOND
        await exchange.do(deposit(ANN, "1"))
        assert exchange.state.seq == 2
        assert exchange.sequencer.next_due == clock.now // SECOND * SECOND + SECOND


async def test_a_bug_in_what_time_brings_stops_the_exchange() -> None:
    exchange = Running().start()
    await exchange.do(open_account())
    await exchange.quote(SOL, "200")
    await exchange.do(place("a", START + SECOND))
    exchange.state.deposits += 1  # as if a bug had made money
    assert isinstance(exchange.clock, SetClock)
    exchange.clock.advance(1)
    exchange.sequencer.clock_changed()
    assert exchange.sequencing is not None
    with pytest.raises(AssertionError, match="do not balance"):
        await exchange.sequencing
    assert [kind for kind, _ in written(exchange)] == ["account_opened", "order_placed"]
    exchange.writer.close()
    assert exchange.writing is not None
    await exchange.writing

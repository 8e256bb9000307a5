"""feeds/manual.py: prices and time by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from exness.core.commands import Command, PriceTick
from exness.core.engine import Done
from exness.core.events import Record
from exness.core.instruments import Asset
from exness.core.prices import PriceState
from exness.feeds.manual import ManualFeed
from exness.runtime.clock import LAST_US
from exness.runtime.ports.prices import LastRecord, OutOfTime, ScriptedPrice
from tests.runtime.running import Running
from tests.support.books import (
    ANN,
    BTC,
    ETH,
    PRICE_LIFE,
    SECOND,
    SHORT,
    SOL,
    assert_books_balance,
    is_liquidation,
    open_account,
    open_trade,
    price_of,
)
from tests.support.waiting import until


class Manual:
    """A manual feed with an exchange, its clock paused at first."""

    def __init__(self, feed: ManualFeed, running: Running) -> None:
        self.feed, self.running = feed, running
        self.start = feed.now_us()

    async def price(self, asset: Asset, mid: str) -> int:
        """Set a price; how many trades it liquidated."""
        scaled = price_of(asset, mid)
        return (await self.feed.set_price(asset, scaled, scaled)).liquidated

    async def do(self, *commands: Command) -> None:
        for command in commands:
            await self.running.do(command)

    async def step(self, seconds: float) -> None:
        await self.feed.set_clock(None, None, round(seconds * SECOND))

    def state_of(self, asset: Asset) -> PriceState:
        return self.running.state.price_state(asset, self.feed.now_us())

    def mark(self, asset: Asset) -> int:
        price = self.running.state.price(asset)
        assert price is not None
        return price.mark

    async def records(self) -> list[Record]:
        await self.running.writer.on_disk(self.running.state.seq)
        return [record async for chunk in self.running.journal.read() for record in chunk]


@asynccontextmanager
async def manual(paused: bool = True, **options: Any) -> AsyncIterator[Manual]:
    feed = ManualFeed(PRICE_LIFE)
    running = Running(clock=feed.clock, **options)
    feed.hold(running.sequencer)
    if paused:
        feed.clock.pause()
    running.writing = asyncio.create_task(running.writer.run())
    running.sequencing = asyncio.create_task(running.sequencer.run())
    feeding = asyncio.create_task(feed.conduct(LastRecord()))
    try:
        yield Manual(feed, running)
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
        running.journal.disk.set()
        running.sequencer.close()
        await running.sequencing
        running.writer.close()
        await running.writing
        assert_books_balance(running.state)


def script(*prices: tuple[float, Asset, str]) -> list[ScriptedPrice]:
    return [ScriptedPrice(round(offset * SECOND), asset, price_of(asset, mid)) for offset, asset, mid in prices]


async def test_there_is_no_price_until_one_is_set() -> None:
    async with manual() as it:
        assert it.state_of(SOL) is PriceState.DOWN
        await it.price(SOL, "200")
        assert (it.state_of(SOL), it.state_of(ETH)) == (PriceState.LIVE, PriceState.DOWN)


async def test_a_price_lives_its_life_in_engine_time_and_a_held_clock_keeps_it_alive() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        await it.step(PRICE_LIFE / SECOND)
        assert it.state_of(SOL) is PriceState.LIVE
        await it.step(0.000_001)
        assert it.state_of(SOL) is PriceState.STALE
        await it.price(SOL, "200")
        assert it.state_of(SOL) is PriceState.LIVE


async def test_what_a_price_sets_off_is_decided_when_it_is_set_and_not_one_unit_before() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        await it.do(open_account(), open_trade("a", SOL, leverage="10"))
        assert await it.price(SOL, "180.000001") == 0
        assert it.running.state.open_trades == 1
        assert await it.price(SOL, "180") == 1
        assert it.running.state.open_trades == 0
        assert is_liquidation((await it.records())[-1].event)


async def test_no_guard_doubts_a_leap_or_a_wide_book() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        await it.price(SOL, "2")
        assert (it.state_of(SOL), it.mark(SOL)) == (PriceState.LIVE, price_of(SOL, "2"))
        await it.feed.set_price(SOL, price_of(SOL, "1"), price_of(SOL, "999"))
        assert (it.state_of(SOL), it.mark(SOL)) == (PriceState.LIVE, price_of(SOL, "500"))
        assert it.feed.counters == {"ticks": 3}


async def test_a_tick_that_sets_off_more_than_one_step_of_the_engine_is_still_one() -> None:
    async with manual(liquidations_per_step=2) as it:
        await it.price(SOL, "200")
        await it.do(open_account(), *(open_trade(f"t{number}", SOL) for number in range(7)))
        assert await it.price(SOL, "100") == 7
        records = (await it.records())[-7:]
        assert all(is_liquidation(record.event) for record in records)
        assert len({record.at for record in records}) == 1
        assert [record.seq for record in records] in it.running.journal.batches, "one transaction"


async def test_the_seq_that_is_told_covers_what_was_set_off() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        await it.do(open_account(), open_trade("a", SOL))
        moved = await it.feed.set_price(SOL, 1, 1)
        assert (moved.seq, moved.at, moved.liquidated) == (3, it.start, 1)


# --- scripts ------------------------------------------------------------------------------------------------------


async def test_a_step_meets_every_scripted_price_on_its_way_at_its_own_time() -> None:
    async with manual() as it:
        seen: list[tuple[int, Asset, int]] = []

        def watch(tick: PriceTick, at: int) -> None:
            assert it.feed.now_us() == at, "whoever asks meanwhile sees the time of the price"
            seen.append((at - it.start, tick.asset, tick.bid))

        it.running.sequencer.watchers.append(watch)
        await it.feed.run_script(script((0, SOL, "200"), (1.5, BTC, "99000"), (1.5, SOL, "190"), (4, SOL, "170")))
        assert seen == [(0, SOL, price_of(SOL, "200"))], "what is due at once is set at once"
        assert it.feed.script_left == 3
        await it.step(1.499_999)
        assert len(seen) == 1
        moved = await it.feed.set_clock(None, None, 1)
        assert (moved.scripted, moved.at) == (2, it.start + 1_500_000)
        assert seen[1:] == [(1_500_000, BTC, price_of(BTC, "99000")), (1_500_000, SOL, price_of(SOL, "190"))]
        await it.step(100)
        assert seen[3:] == [(4_000_000, SOL, price_of(SOL, "170"))]
        assert (it.feed.now_us(), it.feed.script_left) == (it.start + 101_500_000, 0)


async def test_a_wick_between_two_scripted_prices_of_one_step_still_liquidates_at_its_time() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        await it.do(open_account(), open_trade("a", SOL), open_trade("b", SOL, SHORT))
        await it.feed.run_script(script((2, SOL, "180"), (3, SOL, "200"), (4, SOL, "220.000001"), (5, SOL, "200")))
        moved = await it.feed.set_clock(None, None, 60 * SECOND)
        assert (moved.scripted, moved.liquidated) == (4, 2)
        assert [record.at - it.start for record in (await it.records())[-2:]] == [2 * SECOND, 4 * SECOND]


async def test_a_running_clock_meets_scripted_prices_by_itself() -> None:
    async with manual(paused=False) as it:
        it.feed.clock.run_at(1_000_000)
        seen: list[int] = []
        it.running.sequencer.watchers.append(lambda tick, at: seen.append(at))
        await it.feed.run_script(script(*((10 * number, SOL, str(100 + number)) for number in range(5))))
        await until(lambda: not it.feed.script_left, "for the script to end")
        assert [at - seen[0] for at in seen] == [0, 10_000_000, 20_000_000, 30_000_000, 40_000_000]
        assert it.mark(SOL) == price_of(SOL, "104")


async def test_a_script_waits_while_the_clock_is_paused_and_goes_on_when_it_runs_fast() -> None:
    async with manual() as it:
        await it.feed.run_script(script((60, SOL, "150")))
        await asyncio.sleep(0)
        assert it.feed.script_left == 1
        await it.feed.set_clock(False, 1_000_000, 0)
        await until(lambda: not it.feed.script_left, "for a minute at a thousand times real time")
        assert it.mark(SOL) == price_of(SOL, "150")


async def test_a_price_set_by_hand_comes_after_the_scripted_ones_that_are_due() -> None:
    async with manual() as it:
        await it.feed.run_script(script((1, SOL, "150")))
        it.feed.clock.advance_to(it.start + 2 * SECOND)
        assert await it.price(SOL, "160") == 0
        assert (it.mark(SOL), it.feed.script_left) == (price_of(SOL, "160"), 0)


async def test_a_new_script_takes_the_place_of_the_old_one_and_an_empty_one_ends_it() -> None:
    async with manual() as it:
        await it.feed.run_script(script((1, SOL, "150"), (2, SOL, "151")))
        await it.feed.run_script(script((1, ETH, "3000")))
        await it.step(10)
        assert (it.state_of(SOL), it.state_of(ETH)) == (PriceState.DOWN, PriceState.LIVE)
        await it.feed.run_script(script((1, SOL, "150")))
        await it.feed.run_script([])
        await it.step(10)
        assert (it.state_of(SOL), it.feed.script_left) == (PriceState.DOWN, 0)


async def test_a_reset_forgets_the_script_and_lets_the_clock_run() -> None:
    async with manual() as it:
        await it.feed.run_script(script((1, SOL, "150")))
        await it.feed.set_clock(None, 5000, 0)
        await it.feed.reset()
        assert (it.feed.script_left, it.feed.paused, it.feed.speed) == (0, False, 1000)
        assert it.feed.now_us() >= it.start


async def test_nothing_leads_beyond_the_last_time_that_can_be_shown() -> None:
    async with manual() as it:
        await it.step((LAST_US - it.start) / SECOND - 60)
        before = it.feed.now_us()
        with pytest.raises(OutOfTime):
            await it.step(70)
        with pytest.raises(OutOfTime):
            await it.feed.run_script(script((0, SOL, "1"), (70, SOL, "1")))
        assert (it.feed.now_us(), it.state_of(SOL)) == (before, PriceState.DOWN), "and nothing of it was done"


async def test_a_caller_who_goes_away_while_the_disk_is_slow_leaves_the_script_whole() -> None:
    async with manual(writer_queue=1) as it:
        await it.price(SOL, "200")
        await it.do(open_account())
        await it.do(open_trade("a", SOL))
        it.running.journal.disk.clear()
        await it.price(SOL, "1")
        await it.feed.run_script(script((1, SOL, "300"), (2, SOL, "400")))
        stepping = asyncio.create_task(it.step(5))
        await asyncio.sleep(0)
        assert not stepping.done(), "the writer has no room"
        stepping.cancel()
        with suppress(asyncio.CancelledError):
            await stepping
        assert it.feed.script_left == 2
        it.running.journal.disk.set()
        await it.step(5)
        assert (it.feed.script_left, it.mark(SOL)) == (0, price_of(SOL, "400"))


async def test_who_is_cancelled_half_way_through_a_scripted_price_leaves_it_done_and_not_to_be_set_again() -> None:
    async with manual(liquidations_per_step=2) as it:
        told: list[int] = []
        it.running.sequencer.watchers.append(lambda tick, at: told.append(tick.bid))
        await it.price(SOL, "200")
        await it.do(open_account(), *(open_trade(f"t{number}", SOL, leverage="10") for number in range(9)))
        await it.feed.run_script(script((5, SOL, "150")))
        stepping = asyncio.create_task(it.step(5))
        await until(lambda: it.running.state.open_trades < 9)
        stepping.cancel()
        with suppress(asyncio.CancelledError):
            await stepping
        await it.price(ETH, "3000")
        assert (it.feed.script_left, it.running.state.open_trades) == (0, 0)
        assert told.count(price_of(SOL, "150")) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_however_it_is_asked_at_once_times_never_fall_and_prices_keep_their_order(seed: int) -> None:
    rng = random.Random(seed)
    async with manual() as it:
        await it.price(SOL, "200")
        await it.do(open_account())
        times: list[int] = []
        it.running.sequencer.watchers.append(lambda tick, at: times.append(at))
        asked = list[Awaitable[object]]()
        for number in range(60):
            match rng.randrange(4):
                case 0:
                    asked.append(it.feed.set_price(SOL, 1, rng.randint(1, 300_000_000)))
                case 1:
                    asked.append(it.feed.set_clock(None, None, rng.randint(1, 5 * SECOND)))
                case 2:
                    steps = sorted(rng.uniform(0, 9) for _ in range(rng.randrange(8)))
                    asked.append(it.feed.run_script(script(*((step, SOL, "200") for step in steps))))
                case _:
                    asked.append(it.running.sequencer.submit(open_trade(f"t{number}", SOL, account=ANN)))
        await asyncio.gather(*asked)
        assert times == sorted(times), f"seed {seed}"
        recorded = [record.at for record in await it.records()]
        assert recorded == sorted(recorded), f"seed {seed}"


async def test_a_stopped_exchange_ends_the_script_without_a_cry() -> None:
    async with manual() as it:
        await it.price(SOL, "200")
        outcome = await it.running.sequencer.perform(PriceTick(SOL, 1, 1, PRICE_LIFE), it.start)
        assert outcome == Done([])
        it.running.writer.halted = True
        await it.feed.set_clock(False, None, 0)
        feeding = asyncio.create_task(it.feed.conduct(LastRecord()))
        it.feed._script.append((0, PriceTick(SOL, 1, 1, PRICE_LIFE)))
        it.feed._changed.set()
        await feeding
        it.running.writer.halted = False

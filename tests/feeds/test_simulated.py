"""Seeded random walks, and their schedule."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice, pairwise

import pytest

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.feeds.simulated import OTHER_PRICE, TYPICAL_PRICE, RandomWalk, SimulatedFeed
from exness.runtime.listings import Listing
from tests.feeds.helpers import BTC, ETH, INSTRUMENTS, LIFE_US, SOL, HeldPacer, instrument
from tests.support.lanes import mostly_slow
from tests.support.waiting import until


class Enough(Exception):
    """Raised by a listener that has what it wants: a simulated feed never ends by itself."""


class Listener:
    def __init__(self, pacer: HeldPacer, count: int, also: Callable[[int], None] = lambda _: None) -> None:
        self.ticks: list[PriceTick] = []
        self.times: list[float] = []
        self._pacer, self._count, self._also = pacer, count, also

    def __call__(self, tick: PriceTick) -> None:
        if len(self.ticks) == self._count:
            raise Enough
        self.ticks.append(tick)
        self.times.append(round(self._pacer.at - 1_000.0, 6))
        self._also(len(self.ticks))


async def play(
    count: int, instruments: Sequence[Listing] = INSTRUMENTS, seed: int = 7, ticks_per_s: float = 4.0
) -> Listener:
    pacer = HeldPacer()
    listener = Listener(pacer, count)
    with pytest.raises(Enough):
        await SimulatedFeed(instruments, LIFE_US, seed, ticks_per_s, pacer=pacer).run(listener)
    return listener


def walk(each: Listing, seed: int, count: int) -> list[tuple[int, int]]:
    prices = RandomWalk(each, seed)
    return [prices.next() for _ in range(count)]


def test_the_same_seed_gives_the_same_prices_and_another_seed_others() -> None:
    assert walk(SOL, 1, 1_000) == walk(SOL, 1, 1_000)
    assert walk(SOL, 1, 1_000) != walk(SOL, 2, 1_000)


def test_the_prices_of_a_seed_are_these_in_every_version() -> None:
    assert walk(SOL, 1, 3) == [(171429967, 171440254), (171422296, 171432582), (171425966, 171436253)]


def test_assets_of_one_seed_do_not_move_together() -> None:
    moves = [[after > before for (before, _), (after, _) in pairwise(walk(each, 1, 1_000))] for each in (SOL, ETH)]
    same = sum(a == b for a, b in zip(*moves, strict=True))
    assert 400 < same < 600


@pytest.mark.parametrize("each", [*INSTRUMENTS, instrument("DOGE", 6), instrument("ROUND", 0)], ids=lambda i: i.asset)
@pytest.mark.parametrize("seed", mostly_slow([0, 1, -5], quick=1))
def test_prices_stay_sound_and_near_where_they_began_for_hundreds_of_thousands_of_ticks(
    each: Listing, seed: int
) -> None:
    typical = TYPICAL_PRICE.get(each.asset, OTHER_PRICE) * 10**each.decimals
    prices = RandomWalk(each, seed)
    for bid, ask in (prices.next() for _ in range(150_000)):
        assert typical * 7 // 10 < bid < ask < typical * 13 // 10


def test_a_spread_is_about_a_basis_point_and_a_tick_moves_a_fraction_of_one() -> None:
    prices = walk(BTC, 3, 20_000)
    spreads = [(ask - bid) * 10_000 / bid for bid, ask in prices]
    moves = [abs(after - before) * 10_000 / before for (before, _), (after, _) in pairwise(prices)]
    assert 0.4 < min(spreads) <= max(spreads) < 1.01
    assert 0.2 < sum(moves) / len(moves) < 0.6
    assert max(moves) < 2


def test_an_asset_of_few_decimals_moves_too() -> None:
    assert len(set(walk(instrument("CENTS", 2), 1, 20_000))) > 20


@pytest.mark.parametrize("level", [1, 2])
def test_a_price_far_away_is_drawn_back_and_kept_within_half_and_twice(level: int) -> None:
    prices = RandomWalk(SOL, 1)
    anchor = prices._anchor
    prices._level = anchor // 2 if level == 1 else anchor * 2
    start = abs(prices._level - anchor)
    for _ in range(60_000):
        bid, ask = prices.next()
        assert anchor // 2 <= prices._level <= anchor * 2
        assert 0 < bid < ask
    assert abs(prices._level - anchor) < start


async def test_every_asset_ticks_at_once_and_then_in_turn_evenly_spread() -> None:
    heard = await play(12)
    assert [tick.asset for tick in heard.ticks] == ["SOL", "ETH", "BTC"] * 4
    assert heard.times[:3] == [0, 0, 0]
    assert heard.times[3:] == pytest.approx([turn / 12 for turn in range(1, 10)], abs=1e-5)


async def test_ticks_are_those_of_each_assets_walk_whatever_the_pace_and_company() -> None:
    fast = await play(300, ticks_per_s=50)
    alone = await play(100, [ETH], ticks_per_s=0.1)
    expected = walk(ETH, 7, 100)
    assert [(tick.bid, tick.ask) for tick in fast.ticks if tick.asset == "ETH"] == expected
    assert [(tick.bid, tick.ask) for tick in alone.ticks] == expected
    assert {tick.life_us for tick in fast.ticks} == {LIFE_US}


async def test_small_delays_do_not_add_up() -> None:
    pacer = HeldPacer()

    def delay(_: int) -> None:
        pacer.at += 0.05

    listener = Listener(pacer, 103, delay)
    with pytest.raises(Enough):
        await SimulatedFeed(INSTRUMENTS, LIFE_US, 7, 4.0, pacer=pacer).run(listener)
    assert listener.times[102] - listener.times[3] == pytest.approx(99 / 12, abs=0.06)


async def test_after_a_stall_the_missed_ticks_are_not_made_up_for() -> None:
    pacer = HeldPacer()

    def stall(count: int) -> None:
        if count == 6:
            pacer.at += 3_600

    listener = Listener(pacer, 12, stall)
    with pytest.raises(Enough):
        await SimulatedFeed(INSTRUMENTS, LIFE_US, 7, 4.0, pacer=pacer).run(listener)
    gaps = [after - before for before, after in pairwise(listener.times[6:])]
    assert listener.times[6] > 3_600
    assert gaps == pytest.approx([1 / 12] * 5, abs=1e-5)


async def test_it_gives_way_before_every_tick() -> None:
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await play(100)
    task.cancel()
    assert others > 90


async def test_it_counts_its_ticks_and_says_that_they_are_simulated() -> None:
    pacer = HeldPacer()
    feed = SimulatedFeed([SOL], LIFE_US, 42, pacer=pacer)
    with pytest.raises(Enough):
        await feed.run(Listener(pacer, 5))
    assert feed.simulated
    assert feed.counters == Counter(ticks=6)
    assert "SIMULATED" in feed.describe()
    assert "42" in feed.describe()


async def test_it_ticks_in_real_time_until_cancelled() -> None:
    heard: list[PriceTick] = []
    task = asyncio.create_task(SimulatedFeed(INSTRUMENTS, LIFE_US, 1, 200.0).run(heard.append))
    await until(lambda: len(heard) >= 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {tick.asset for tick in islice(heard, 3)} == {Asset("SOL"), Asset("ETH"), Asset("BTC")}


@pytest.mark.parametrize("ticks_per_s", [0, -1, float("inf"), float("nan")])
def test_a_pace_that_is_none_is_refused(ticks_per_s: float) -> None:
    with pytest.raises(ValueError, match="ticks per second"):
        SimulatedFeed(INSTRUMENTS, LIFE_US, 1, ticks_per_s)


def test_no_assets_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an asset"):
        SimulatedFeed([], LIFE_US, 1)

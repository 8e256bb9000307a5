"""feeds/scenarios.py through the simulated feed: what each script does to the prices, every time alike."""

from itertools import pairwise
from typing import Any

import pytest

from exness.config.schema import SCENARIO_NAMES
from exness.core.commands import PriceTick
from exness.feeds.guard import Guard, GuardSettings
from exness.feeds.scenarios import SCENARIOS, table
from exness.feeds.simulated import SimulatedFeed
from tests.feeds.helpers import ETH, INSTRUMENTS, SOL, HeldPacer

LIFE_S = 30
TICKS_PER_S = 5.0


class Over(Exception):
    """The time to listen is over."""


class Heard:
    """What a scenario emits in its first seconds, by a held clock: (second, tick)."""

    def __init__(self, seconds: float) -> None:
        self.pacer = HeldPacer()
        self.ticks: list[tuple[float, PriceTick]] = []
        self.feed: SimulatedFeed
        self._seconds = seconds

    def __call__(self, tick: PriceTick) -> None:
        self.ticks.append((round(self.pacer.at - 1_000, 6), tick))

    def of(self, asset: str) -> list[tuple[float, int]]:
        """(second, mid) of an asset's ticks."""
        return [(at, (tick.bid + tick.ask) // 2) for at, tick in self.ticks if tick.asset == asset]

    def shares(self, asset: str = "SOL") -> dict[float, float]:
        """The price at each second as a share of the first one."""
        prices = self.of(asset)
        return {at: price / prices[0][1] for at, price in prices}

    def silences(self, asset: str) -> list[tuple[float, float]]:
        """(from, to) of every silence of more than a second."""
        times = [at for at, _ in self.of(asset)]
        return [(a, b) for a, b in pairwise(times) if b - a > 1]


async def hear(scenario: str, seconds: float, seed: int = 7, guarded: bool = True, **options: Any) -> Heard:
    heard = Heard(seconds)
    pacer = heard.pacer
    sleep = pacer.sleep

    async def until_over(nap: float) -> None:
        if pacer.at - 1_000 > seconds:
            raise Over
        await sleep(nap)

    pacer.sleep = until_over  # type: ignore[method-assign, assignment]
    guard = Guard(INSTRUMENTS, GuardSettings(1_000)) if guarded else None
    heard.feed = SimulatedFeed(
        INSTRUMENTS, LIFE_S * 10**6, seed, TICKS_PER_S, scenario=scenario, guard=guard, pacer=pacer, **options
    )
    with pytest.raises(Over):
        await heard.feed.run(heard)
    return heard


def test_the_configuration_knows_the_same_scenarios_and_help_describes_each() -> None:
    assert tuple(SCENARIOS) == SCENARIO_NAMES
    assert [line.split()[0] for line in table().splitlines()] == list(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_seed_makes_the_same_ticks_every_time_and_another_seed_others(name: str) -> None:
    one, again, other = await hear(name, 60), await hear(name, 60), await hear(name, 60, seed=8)
    assert one.ticks == again.ticks
    assert one.feed.counters == again.feed.counters
    assert one.ticks != other.ticks


async def test_calm_is_the_plain_walk() -> None:
    heard = await hear("calm", 60)
    assert heard.feed.describe() == "SIMULATED prices, a random walk with seed 7: no real market"
    assert all(0.99 < share < 1.01 for share in heard.shares().values())
    assert heard.silences("SOL") == []


async def test_volatile_moves_many_times_as_far_and_leaps() -> None:
    calm, volatile = await hear("calm", 120), await hear("volatile", 120)
    moves = [[abs(b - a) / a for (_, a), (_, b) in pairwise(each.of("SOL"))] for each in (calm, volatile)]
    assert sum(moves[1]) > 8 * sum(moves[0])
    assert max(moves[1]) > 0.004 > max(moves[0])


async def test_crash_falls_by_a_third_in_ten_seconds_and_recovers_half_of_it() -> None:
    shares = (await hear("crash", 40)).shares()
    assert all(abs(share - 1) < 0.01 for at, share in shares.items() if at < 3)
    low = min(shares.values())
    assert 0.68 < low < 0.72
    assert 12 < next(at for at, share in shares.items() if share == low) < 14
    assert all(0.83 < share < 0.87 for at, share in shares.items() if at > 26)


async def test_pump_rises_by_two_fifths_and_falls_back() -> None:
    shares = (await hear("pump", 40)).shares()
    assert 1.37 < max(shares.values()) < 1.43
    assert all(1.09 < share < 1.15 for at, share in shares.items() if at > 26)


async def test_a_wick_is_a_single_tick_far_away_and_comes_again() -> None:
    for asset in ("SOL", "ETH", "BTC"):
        shares = (await hear("wick", 31)).shares(asset)
        far = [(round(at), round(share, 2)) for at, share in shares.items() if abs(share - 1) > 0.1]
        assert far == [(3, 0.85), (8, 1.15), (13, 0.75), (18, 0.85), (23, 1.15), (28, 0.75)]


async def test_a_gap_has_no_tick_in_the_range_it_leaps_over() -> None:
    shares = (await hear("gap", 12)).shares()
    assert not [share for share in shares.values() if 0.93 < share < 0.99]
    assert min(shares.values()) < 0.925


async def test_stale_silences_the_first_asset_for_longer_than_a_price_lives_and_no_other() -> None:
    heard = await hear("stale", 100)
    ((begin, end),) = heard.silences("SOL")
    assert (round(begin), round(end)) == (5, 5 + 15 + LIFE_S)
    assert heard.silences("ETH") == heard.silences("BTC") == []


async def test_flapping_silences_all_again_and_again_once_for_longer_than_a_price_lives() -> None:
    heard = await hear("flapping", 90)
    for asset in ("SOL", "ETH", "BTC"):
        lengths = [round(end - begin) for begin, end in heard.silences(asset)]
        assert lengths == [4, 12, 5 + LIFE_S]


async def test_crossed_quotes_are_refused_and_counted_and_move_no_price() -> None:
    heard = await hear("crossed", 20)
    assert heard.feed.counters.keys() == {"ticks", "crossed"}
    assert heard.feed.counters["ticks"] == len(heard.ticks)
    assert heard.feed.counters["crossed"] == (len(heard.ticks) + heard.feed.counters["crossed"]) // 5
    assert all(tick.bid <= tick.ask for _, tick in heard.ticks)
    raw = await hear("crossed", 20, guarded=False)
    assert sum(tick.bid > tick.ask for _, tick in raw.ticks) == heard.feed.counters["crossed"]


async def test_volatility_is_each_assets_own() -> None:
    usual, wild = await hear("calm", 60), await hear("calm", 60, volatility={SOL.asset: 1_000})
    assert wild.of("ETH") == usual.of(ETH.asset)
    spread = [max(each.shares().values()) - min(each.shares().values()) for each in (usual, wild)]
    assert spread[1] > 5 * spread[0]


async def test_every_tick_says_what_was_traded() -> None:
    heard = await hear("calm", 20)
    worth = [tick.volume * tick.bid / 10**14 for _, tick in heard.ticks if tick.asset == "SOL"]
    assert min(worth) > 9
    assert max(worth) < 4_200
    assert len(set(worth)) > 50

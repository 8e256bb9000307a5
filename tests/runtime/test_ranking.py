"""runtime/ranking.py, held against the plainest computation: every trade, looked at anew."""

import asyncio
import random
from collections import defaultdict

import pytest

from exness.core.instruments import AccountId
from exness.runtime.ranking import Ranking, Standing, Window

ACCOUNTS = [AccountId(f"account {number}") for number in range(7)]
Trade = tuple[AccountId, int, int]
"""Whose, its profit, and the hour it was closed in."""


def ranked(trades: list[Trade]) -> list[Standing]:
    sums: dict[AccountId, list[int]] = defaultdict(lambda: [0, 0])
    for account, profit, _ in trades:
        sums[account][0] += profit
        sums[account][1] += 1
    ordered = sorted(sums.items(), key=lambda each: (-each[1][0], each[0]))
    return [
        Standing(1 + sum(other[0] > profit for other in sums.values()), account, profit, count)
        for account, (profit, count) in ordered
    ]


@pytest.mark.parametrize("seed", range(20))
async def test_a_window_ranks_what_closed_within_it(seed: int) -> None:
    rng = random.Random(seed)
    window, ever, trades, hour = Window(24), Window(), list[Trade](), 1000
    await window.advance(hour)
    for _ in range(300):
        match rng.random():
            case late if late < 0.1:
                hour += rng.choice([1, 1, 5, 30])
                await window.advance(hour)
            case _:
                trade = rng.choice(ACCOUNTS), rng.choice([-5, 0, 5, rng.randrange(-100, 100)]), hour - rng.randrange(40)
                trades.append(trade)
                for each in (window, ever):
                    each.add(*trade)
        within = [trade for trade in trades if trade[2] >= hour - 24]
        # What is added late is of no window any more, whatever has been in it since.
        assert window.since == hour - 24
        assert window.ranking.top(99) == ranked(within), f"seed {seed}"
        assert ever.ranking.top(99) == ranked(trades)
        for account in ACCOUNTS:
            found = [standing for standing in ranked(within) if standing.account == account]
            assert window.ranking.find(account) == (found[0] if found else None)


def test_equal_profits_share_a_rank_and_the_next_one_is_left_out() -> None:
    ranking = Ranking()
    for number, profit in enumerate([5, 7, 5, -1]):
        ranking.add(ACCOUNTS[number], profit, 1)
    assert [standing.rank for standing in ranking.top(9)] == [1, 2, 2, 4]
    assert (len(ranking), len(ranking.top(2))) == (4, 2)


async def test_what_was_cleared_while_hours_pass_is_not_counted_out_again() -> None:
    window = Window(24)
    await window.advance(100)
    for number in range(250):
        window.add(AccountId(str(number)), 1, 100)
    passing = asyncio.create_task(window.advance(200))
    await asyncio.sleep(0)  # a part of them has been counted out
    assert 0 < len(window.ranking) < 250
    window.clear()
    window.add(ACCOUNTS[0], 3, 200)
    await passing
    assert window.ranking.top(9) == [Standing(1, ACCOUNTS[0], 3, 1)]


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_arranged_at_last_is_ranked_as_if_it_always_had_been(seed: int) -> None:
    rng = random.Random(seed)
    at_once, at_last = Ranking(), Ranking(is_arranged=False)
    names = [AccountId(str(number)) for number in range(250)]
    for place in range(1500):
        if place == 1000:
            await at_last.arrange()
        name, profit = rng.choice(names), rng.randrange(-9, 9)
        for ranking in (at_once, at_last):
            ranking.add(name, profit, 1)
    assert at_last.top(999) == at_once.top(999)
    assert len(at_last.top(999)) > 200

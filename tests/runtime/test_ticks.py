"""runtime/ticks.py: bounded, and no wick is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price
from exness.runtime.ticks import TickQueue
from tests.support.books import BTC, SOL, tick
from tests.support.lanes import examples

Prices = list[tuple[Asset, int, int]]

quotes = st.tuples(st.sampled_from((SOL, BTC)), st.integers(1, 60), st.integers(0, 3))
feeds = st.lists(quotes, max_size=60)


def of(asset: Asset, bid: int, spread: int) -> PriceTick:
    return PriceTick(asset, bid, bid + spread, 30)


def queue_of(bound: int, ticks: list[PriceTick]) -> TickQueue:
    queue = TickQueue(bound)
    for one in ticks:
        queue.put(one)
    return queue


def plain(ticks: list[PriceTick]) -> list[PriceTick]:
    """Without what they stand for beside themselves."""
    return [replace(tick, volume=0, marks=1) for tick in ticks]


def drained(queue: TickQueue) -> list[PriceTick]:
    return [queue.pop() for _ in range(len(queue))]


def stood_for(ticks: list[PriceTick], asset: Asset) -> tuple[int, int]:
    """Volume and number of an asset's marks."""
    accepted = [one for one in ticks if one.asset == asset and not one.suspect]
    return sum(one.volume for one in accepted), sum(one.marks for one in accepted)


def crossed(ticks: list[PriceTick], asset: Asset) -> tuple[set[int], set[int]]:
    """Which thresholds these ticks reach from above (a long's) and from below (a short's)."""
    marks = [mark_price(one.bid, one.ask) for one in ticks if one.asset == asset]
    thresholds = range(70)
    return (
        {price for price in thresholds if any(mark <= price for mark in marks)},
        {price for price in thresholds if any(mark >= price for mark in marks)},
    )


@given(feeds, st.integers(3, 12))
@examples(300)
def test_the_ticks_that_are_kept_cross_whatever_all_ticks_cross(feed: Prices, bound: int) -> None:
    ticks = [of(*quote) for quote in feed]
    queue = queue_of(bound, ticks)
    shed = queue.shed
    heirs = drained(queue)
    for asset in (SOL, BTC):
        assert stood_for(heirs, asset) == stood_for(ticks, asset), "what was thinned out is with those that stay"
    kept, ticks = plain(heirs), plain(ticks)
    for asset in (SOL, BTC):
        assert crossed(kept, asset) == crossed(ticks, asset)
        own = [one for one in ticks if one.asset == asset]
        kept_own = [one for one in kept if one.asset == asset]
        assert len(kept_own) <= bound
        assert kept_own[-1:] == own[-1:]  # the last price is the price
    assert shed == len(ticks) - len(kept)
    left = iter(ticks)
    assert all(one in left for one in kept), "kept ticks are in the order they came"


@given(st.lists(st.one_of(quotes, st.none()), max_size=80), st.integers(3, 6))
@examples(200)
def test_that_holds_while_ticks_are_taken_out_too(steps: "list[tuple[Asset, int, int] | None]", bound: int) -> None:
    """None takes one out. Whatever came is crossed by what was taken out and what is left."""
    queue, came, taken = TickQueue(bound), [], []
    for step in steps:
        if step is not None:
            came.append(of(*step))
            queue.put(came[-1])
        elif queue:
            taken.append(queue.pop())
    kept = taken + drained(queue)
    for asset in (SOL, BTC):
        assert crossed(kept, asset) == crossed(came, asset)


def test_ticks_come_out_in_the_order_they_went_in_over_all_assets() -> None:
    ticks = [tick(SOL, "1"), tick(BTC, "2"), tick(SOL, "3"), tick(BTC, "4")]
    assert drained(queue_of(10, ticks)) == ticks


def test_a_full_queue_keeps_low_high_and_last_in_their_order() -> None:
    ticks = [tick(SOL, price) for price in ("5", "9", "6", "1", "7", "8")]
    queue = queue_of(5, ticks)
    assert [one.bid // 1_000_000 for one in drained(queue)] == [9, 1, 8]
    assert queue.shed == 3


def test_one_assets_flood_costs_another_asset_nothing() -> None:
    ticks = [tick(BTC, "1"), *(tick(SOL, str(price)) for price in range(1, 100)), tick(BTC, "2")]
    kept = drained(queue_of(3, ticks))
    assert [one.bid for one in kept if one.asset == BTC] == [10_000, 20_000]
    assert sum(one.asset == SOL for one in kept) <= 3


def test_the_same_tick_again_and_again_is_counted_each_time() -> None:
    same = tick(SOL, "5")
    queue = queue_of(3, [same] * 10)
    assert len(queue) <= 3
    kept = drained(queue)
    assert plain(kept) == [same] * (10 - queue.shed)
    assert stood_for(kept, SOL) == (0, 10)
    queue.put(same)
    assert queue.pop() is same


@pytest.mark.parametrize("bound", [2, 1, 0, -1])
def test_a_queue_without_room_for_low_high_and_last_is_refused(bound: int) -> None:
    with pytest.raises(ValueError, match="low, high and last"):
        TickQueue(bound)


def test_an_empty_queue_has_nothing_to_take() -> None:
    queue = TickQueue(3)
    assert not queue
    with pytest.raises(IndexError):
        queue.pop()

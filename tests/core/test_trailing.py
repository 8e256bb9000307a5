"""core/trailing.py: the stack of watermarks gives what a list of stops gives, each with a watermark of its own."""

import json
import random
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exness.core.instruments import Side
from exness.core.trailing import Trail, TrailingStops, level_at
from tests.support.books import LONG, SHORT
from tests.support.lanes import examples

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "orders.json").read_text())["vectors"]


def is_better(side: Side, price: int, than: int) -> bool:
    return price > than if side is LONG else price < than


def exact_level(side: Side, watermark: int, trail: Trail) -> Fraction:
    share = Fraction(trail.width, 10_000)
    distance = watermark * share if trail.is_percent else Fraction(trail.width)
    return watermark - distance if side is LONG else watermark + distance


def is_reached(side: Side, price: int, level: Fraction) -> bool:
    return price <= level if side is LONG else price >= level


@dataclass
class Naive:
    """Every stop with its own watermark, looked at one by one, in fractions."""

    side: Side
    trailing: dict[int, tuple[Trail, int]] = field(default_factory=dict)
    waiting: dict[int, tuple[Trail, int]] = field(default_factory=dict)

    def move(self, price: int) -> bool:
        bettered = [(t, w) for t, w in self.trailing.values() if is_better(self.side, price, w)]
        self.trailing.update({trail.number: (trail, price) for trail, _ in bettered})
        return bool(bettered)

    def activated(self, price: int) -> list[int]:
        """Nearest activation first."""
        sign = 1 if self.side is LONG else -1
        reached = [(sign * at, n) for n, (_, at) in self.waiting.items() if sign * price >= sign * at]
        return [number for _, number in sorted(reached)]

    def level(self, number: int) -> int:
        trail, watermark = self.trailing[number]
        exact = exact_level(self.side, watermark, trail)
        return exact.__floor__() if self.side is LONG else exact.__ceil__()

    def due(self, price: int) -> list[int]:
        sign = -1 if self.side is LONG else 1
        found = [
            (sign * self.level(number), number)
            for number, (trail, watermark) in self.trailing.items()
            if is_reached(self.side, price, exact_level(self.side, watermark, trail))
        ]
        return [number for _, number in sorted(found)]


class Pair:
    """The stops and the naive list, driven alike. Things are the numbers of the stops."""

    def __init__(self, side: Side, price: int, budget: int) -> None:
        self.stops: TrailingStops[int] = TrailingStops(side)
        self.naive = Naive(side)
        self.price, self.budget = price, budget
        self.trails: dict[int, Trail] = {}
        self.time = 16

    def set(self, width: int, is_percent: bool) -> None:
        self.time += 16
        trail = Trail(width, is_percent, self.time, self.time)
        self._start(trail)

    def wait(self, width: int, is_percent: bool, away: int) -> None:
        self.time += 16
        sign = 1 if self.naive.side is LONG else -1
        activation = max(1, self.price + sign * (away + 1))
        if sign * activation <= sign * self.price:
            return
        self.naive.waiting[self.time] = (Trail(width, is_percent, self.time, 0), activation)
        self.stops.wait(activation, self.time, self.time)

    def remove(self, which: int) -> None:
        numbers = sorted(self.naive.trailing) + sorted(self.naive.waiting)
        if not numbers:
            return
        number = numbers[which % len(numbers)]
        if number in self.naive.waiting:
            _, activation = self.naive.waiting.pop(number)
            assert self.stops.stop_waiting(activation, number) == number
        else:
            self._end(number)

    def tick(self, price: int, finishes: bool) -> None:
        """`finishes`: the merge is done in steps first, as the engine does; else whoever asks next does it."""
        self.time += 16
        self.price = price
        moves = self.naive.move(price)
        assert self.stops.betters(price) is moves
        if moves:
            self.stops.move(price)
        assert not self.stops.betters(price)
        for number in self.naive.activated(price):
            assert self.stops.first_activated(price) == number
            trail, activation = self.naive.waiting.pop(number)
            assert self.stops.stop_waiting(activation, number) == number
            self._start(Trail(trail.width, trail.is_percent, number, self.time))
        assert self.stops.first_activated(price) is None
        while finishes and not self.stops.merge(self.budget):
            pass
        for number in self.naive.due(price):
            assert self.stops.first_due(price) == number
            self._end(number)
        assert self.stops.first_due(price) is None

    def again(self) -> None:
        """As from a picture."""
        watermarks = self.stops.watermarks()
        self.stops = TrailingStops(self.naive.side)
        self.stops.restore(watermarks, ((self.trails[number], number) for number in sorted(self.naive.trailing)))
        for number, (_, activation) in self.naive.waiting.items():
            self.stops.wait(activation, number, number)
        assert self.stops.watermarks() == watermarks

    def check(self) -> None:
        assert len(self.stops) == len(self.naive.trailing) + len(self.naive.waiting)
        for number, (trail, watermark) in self.naive.trailing.items():
            assert self.stops.watermark_of(self.trails[number]) == watermark
            assert self.stops.level_of(self.trails[number]) == self.naive.level(number)
            assert level_at(self.naive.side, watermark, trail.width, is_percent=trail.is_percent) != watermark

    def _start(self, trail: Trail) -> None:
        self.trails[trail.number] = trail
        self.naive.trailing[trail.number] = (trail, self.price)
        self.stops.add(trail, self.price, trail.number)

    def _end(self, number: int) -> None:
        del self.naive.trailing[number]
        assert self.stops.remove(self.trails[number]) == number


widths = st.integers(1, 12) | st.integers(1, 9_999)
steps = st.lists(
    st.tuples(st.just("tick"), st.integers(-12, 12), st.booleans())
    | st.tuples(st.just("set"), widths, st.booleans())
    | st.tuples(st.just("wait"), widths, st.booleans(), st.integers(0, 20))
    | st.tuples(st.just("remove"), st.integers(0, 100))
    | st.tuples(st.just("again")),
    max_size=80,
)


def play(side: Side, start: int, step: int, budget: int, moves: list[Any]) -> None:
    pair = Pair(side, start, budget)
    for what, *figures in moves:
        if what == "tick":
            pair.tick(max(1, pair.price + step * figures[0]), figures[1])
        else:
            getattr(pair, what)(*figures)
        if what != "set":  # so that what is set meets a merge that is not done yet
            pair.check()
    pair.check()


@examples(300)
@given(
    st.sampled_from(Side),
    st.sampled_from([3, 40, 9_990, 10_010, 10**9]),
    st.sampled_from([1, 7, 997]),
    st.integers(1, 6),
    steps,
)
def test_the_stack_gives_what_a_list_of_stops_gives(
    side: Side, start: int, step: int, budget: int, moves: list[Any]
) -> None:
    play(side, start, step, budget, moves)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("seed", range(4))
def test_so_it_does_over_thousands_of_steps_with_deep_stacks(side: Side, seed: int) -> None:
    dice = random.Random(f"{side}{seed}")
    pair = Pair(side, 10**6, 3)
    drift = -1 if side is LONG else 1
    for step in range(1_500):
        down = step % 300 < 200  # falls for long, so that the stack grows deep, then rises through it
        what = dice.choice(["set", "set", "wait", "remove", "tick", "tick", "tick"])
        if what == "tick":
            far = dice.randrange(300) * (1 if down else 3)
            pair.tick(max(1, pair.price + drift * far * (1 if down else -1)), dice.random() < 0.5)
        elif what == "remove":
            pair.remove(dice.randrange(1_000))
        elif what == "set":
            pair.set(dice.choice([dice.randrange(1, 40_000), 30_000]) if dice.random() < 0.5 else 300, False)
            pair.set(dice.randrange(1, 900), True)
        else:
            pair.wait(dice.randrange(1, 900), dice.random() < 0.5, dice.randrange(2_000))
        if step % 50 == 0:
            pair.check()
            pair.again()
    pair.check()


@given(st.sampled_from(Side), st.integers(1, 10**12), st.integers(1, 9_999), st.booleans())
@example(LONG, 1, 9_999, True)
def test_the_level_is_the_first_whole_price_for_which_the_exact_rule_holds(
    side: Side, watermark: int, width: int, is_percent: bool
) -> None:
    exact = exact_level(side, watermark, Trail(width, is_percent, 1, 1))
    level = level_at(side, watermark, width, is_percent=is_percent)
    assert is_reached(side, level, exact)
    assert not is_reached(side, level + (1 if side is LONG else -1), exact)


@pytest.mark.parametrize("vector", [pytest.param(each, id=each["name"]) for each in VECTORS if each["op"] == "trail"])
def test_a_worked_example_trails_by_its_levels_and_fires_where_it_says(vector: dict[str, Any]) -> None:
    given, side = vector["given"], Side(vector["given"]["side"])
    trail = Trail(given.get("distance") or given["percent"], "percent" in given, 16, 16)
    stops: TrailingStops[str] = TrailingStops(side)
    levels: list[int | None] = []
    fires_at = None
    activation = given.get("activation")
    if activation is not None:
        stops.wait(activation, 16, "stop")
    for place, price in enumerate(given["prices"]):
        if stops.betters(price):
            stops.move(price)
        if place == 0 and activation is None:
            stops.add(trail, price, "stop")
        elif stops.first_activated(price):
            stops.add(trail, price, stops.stop_waiting(activation, 16))
        levels.append(stops.level_of(trail) if not stops.first_activated(price) and _trails(stops) else None)
        if fires_at is None and stops.first_due(price):
            fires_at = place
    assert {"levels": levels, "fires_at": fires_at} == vector["expect"]


def _trails(stops: TrailingStops[str]) -> bool:
    return stops.watermarks() != ([], [])


def test_a_move_costs_the_same_however_many_trail_and_what_it_leaves_to_merge_is_done_in_small_parts() -> None:
    stops: TrailingStops[int] = TrailingStops(LONG)
    for number in range(1, 1_001):  # each at a price of its own, falling: 1,000 groups
        stops.add(Trail(50_000, False, number, number), 100_000 - number, number)
    assert len(stops.watermarks()[0]) == 1_000
    stops.move(100_000)
    assert stops.watermarks() == ([(1, 100_000)], [])
    calls = 0
    while not stops.merge(10):
        calls += 1
    assert 100 <= calls <= 250
    assert stops.watermarks() == ([(1, 100_000)], [])
    assert (stops.first_due(50_001), stops.first_due(50_000)) == (None, 1)


def test_the_smaller_group_is_merged_into_the_larger() -> None:
    """In all, a stop is merged into another group as often as its own at least doubles."""
    for newest, below in ((1, 500), (500, 1)):
        stops: TrailingStops[int] = TrailingStops(SHORT)
        for number in range(1, below + 1):
            stops.add(Trail(10, True, number, number), 1_000, number)
        for number in range(below + 1, below + newest + 1):
            stops.add(Trail(10, True, number, number), 1_001, number)
        stops.move(1_000)
        calls = 1
        while not stops.merge(1):
            calls += 1
        assert calls <= 4
        assert stops.watermarks() == ([], [(1, 1_000)])
        assert stops.first_due(1_001) == 1


@pytest.mark.parametrize("side", Side)
def test_a_price_at_the_watermark_below_makes_one_group_of_the_two_and_a_picture_shows_it_so_at_once(
    side: Side,
) -> None:
    worse = 99 if side is LONG else 101
    stops: TrailingStops[int] = TrailingStops(side)
    stops.add(Trail(5, False, 16, 16), 100, 1)
    stops.add(Trail(5, False, 32, 32), worse, 2)
    assert stops.watermarks()[0] == [(16, 100), (32, worse)]
    stops.move(100)
    assert stops.watermarks()[0] == [(16, 100)]
    assert stops.merge(10)
    assert stops.watermarks()[0] == [(16, 100)]
    assert [start for start, _, _ in stops._by_distance._groups] == [16]


@pytest.mark.parametrize("side", Side)
def test_of_percents_that_come_to_one_level_at_a_small_price_the_least_number_is_first(side: Side) -> None:
    stops: TrailingStops[int] = TrailingStops(side)
    trails = [Trail(width, True, number, number) for width, number in ((400, 16), (300, 32), (9_000, 48), (200, 64))]
    for trail in trails:
        stops.add(trail, 10, trail.number)
    order = []
    while (number := stops.first_due(1 if side is LONG else 40)) is not None:
        order.append(number)
        stops.remove(next(trail for trail in trails if trail.number == number))
    assert order == [16, 32, 64, 48]


@pytest.mark.parametrize("side", Side)
def test_of_percents_that_come_to_one_level_the_nearest_is_first_if_its_number_is_the_least(side: Side) -> None:
    stops: TrailingStops[int] = TrailingStops(side)
    for width, number in ((300, 16), (400, 32), (200, 48)):
        stops.add(Trail(width, True, number, number), 10, number)
    assert stops.first_due(1 if side is LONG else 40) == 16
    stops.remove(Trail(200, True, 48, 48))
    assert stops.first_due(1 if side is LONG else 40) == 16


def test_what_does_not_trail_cannot_be_removed() -> None:
    stops: TrailingStops[int] = TrailingStops(LONG)
    with pytest.raises(AssertionError, match="number 16 does not trail"):
        stops.remove(Trail(5, False, 16, 16))
    stops.add(Trail(5, False, 16, 16), 100, 1)
    with pytest.raises(AssertionError):
        stops.remove(Trail(6, False, 16, 16))
    assert stops.level_of(Trail(5, False, 16, 16)) == 95

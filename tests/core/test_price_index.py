"""core/price_index.py: the index gives what a full scan gives, and its parts stay small."""

import random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core import price_index
from exness.core.price_index import FALLING, RISING, Direction, PriceIndex
from tests.support.lanes import examples

Thing = tuple[int, int]
"""Price and number, which is all there is to tell."""

directions = st.sampled_from([FALLING, RISING])
few_prices = st.integers(-3, 9)
many_prices = st.integers(0, 10**18)
operations = st.lists(
    st.tuples(st.just("add"), few_prices | many_prices)
    | st.tuples(st.just("remove"), st.integers(0, 1000))
    | st.tuples(st.just("replace"), st.integers(0, 1000))
    | st.tuples(st.just("take"), few_prices | many_prices),
    max_size=80,
)


def in_order(things: list[Thing], direction: Direction) -> list[Thing]:
    return sorted(things, key=lambda thing: (direction * thing[0], thing[1]))


def reached(price: int, by: int, direction: Direction) -> bool:
    return by >= price if direction == RISING else by <= price


def assert_structure(index: PriceIndex[Thing], listed: list[Thing], direction: Direction) -> None:
    """The promise on cost: sorted, no empty part, no part longer than twice a chunk, so that every call is short."""
    chunks = index._chunks
    entries = [entry for chunk in chunks for entry in chunk]
    assert entries == sorted(set(entries))
    assert len(entries) == len(index) == len(listed)
    assert all(1 <= len(chunk) <= 2 * price_index._CHUNK for chunk in chunks)
    assert index._lasts == [chunk[-1] for chunk in chunks]
    assert [len(things) for things in index._things] == [len(chunk) for chunk in chunks]
    assert [(price, number) for price, number, _ in index] == in_order(listed, direction)


def drain(index: PriceIndex[Thing], price: int) -> list[Thing]:
    taken = []
    while (due := index.first_due(price)) is not None:
        assert index.remove(*due) == due
        taken.append(due)
    return taken


def loaded(things: list[Thing], direction: Direction) -> PriceIndex[Thing]:
    index: PriceIndex[Thing] = PriceIndex(direction)
    for thing in things:
        index.add_unsorted(*thing, thing)
    index.sort()
    return index


@pytest.mark.parametrize("chunk", [2, 3, 256])
@examples(60)
@given(direction=directions, steps=operations)
def test_the_index_gives_what_a_scan_of_everything_gives(
    chunk: int, direction: Direction, steps: list[tuple[str, int]]
) -> None:
    with patch.object(price_index, "_CHUNK", chunk):
        index: PriceIndex[str] = PriceIndex(direction)
        names: dict[Thing, str] = {}
        for number, (what, figure) in enumerate(steps, start=1):
            listed = in_order(list(names), direction)
            if what == "add":
                names[figure, number] = f"added {number}"
                index.add(figure, number, names[figure, number])
            elif what == "take":
                due = [each for each in listed if reached(each[0], figure, direction)]
                assert index.first_due(figure) == (names[due[0]] if due else None)
                behind = [each for each in listed if direction * each[0] >= direction * figure]
                before = [each for each in listed if direction * each[0] <= direction * figure]
                assert index.first_from(figure) == ((*behind[0], names[behind[0]]) if behind else None)
                assert index.last_up_to(figure) == ((*before[-1], names[before[-1]]) if before else None)
            elif listed and what == "remove":
                chosen = listed[figure % len(listed)]
                assert index.remove(*chosen) == names.pop(chosen)
            elif listed:
                chosen = listed[figure % len(listed)]
                names[chosen] = f"replaced {number}"
                index.replace(*chosen, names[chosen])
            listed = in_order(list(names), direction)
            assert list(index) == [(*each, names[each]) for each in listed]
            assert index.first() == ((*listed[0], names[listed[0]]) if listed else None)
            assert len(index) == len(listed)


@examples(60)
@given(direction=directions, prices=st.lists(few_prices | many_prices, max_size=60), chunk=st.sampled_from([2, 256]))
def test_loading_many_at_once_equals_adding_them_one_by_one(
    direction: Direction, prices: list[int], chunk: int
) -> None:
    with patch.object(price_index, "_CHUNK", chunk):
        things = [(price, number) for number, price in enumerate(prices, start=1)]
        together = loaded(things[::-1], direction)
        added: PriceIndex[Thing] = PriceIndex(direction)
        for thing in things:
            added.add(*thing, thing)
        assert_structure(together, things, direction)
        assert_structure(added, things, direction)
        later = (5, len(things) + 1)
        together.add(*later, later)
        assert [thing for _, _, thing in together] == in_order([*things, later], direction)


def test_a_falling_price_reaches_what_is_at_it_or_above_and_a_rising_one_what_is_at_it_or_below() -> None:
    falling, rising = loaded([(100, 1)], FALLING), loaded([(100, 1)], RISING)
    assert [falling.first_due(price) for price in (101, 100, 99)] == [None, (100, 1), (100, 1)]
    assert [rising.first_due(price) for price in (99, 100, 101)] == [None, (100, 1), (100, 1)]


@pytest.mark.parametrize("direction", [FALLING, RISING])
@pytest.mark.parametrize("spread", [3, 1_000, 10**14], ids=["ties", "some ties", "no ties"])
def test_thousands_are_split_into_bounded_parts(direction: Direction, spread: int) -> None:
    dice = random.Random(f"{direction}{spread}")
    index: PriceIndex[Thing] = PriceIndex(direction)
    things = [(dice.randrange(spread), number) for number in range(1, 5_001)]
    for thing in things:
        index.add(*thing, thing)
    assert_structure(index, things, direction)
    # Never fewer parts than needed, never parts of less than half: a split leaves 256 and 257.
    assert 5_000 // 512 < len(index._chunks) <= 5_000 // 256 + 1
    gone = set(dice.sample(things, 2_500))
    for thing in things:
        if thing in gone:
            index.remove(*thing)
    left = [thing for thing in things if thing not in gone]
    assert_structure(index, left, direction)
    assert drain(index, direction * 10**15) == in_order(left, direction)
    assert (index._chunks, index._things, index._lasts, len(index)) == ([], [], [], 0)


@pytest.mark.parametrize("descending", [False, True])
def test_what_is_added_in_order_of_price_is_split_too(descending: bool) -> None:
    index: PriceIndex[Thing] = PriceIndex(RISING)
    things = [(5_000 - number if descending else number, number) for number in range(1, 4_001)]
    for thing in things:
        index.add(*thing, thing)
    assert_structure(index, things, RISING)


def test_the_largest_numbers_and_prices_stay_apart() -> None:
    things = [(0, 0), (0, 2**52 - 1), (1, 0), (10**18, 2**52 - 1)]
    assert [thing for _, _, thing in loaded(things, RISING)] == things
    assert [(price, number) for price, number, _ in loaded(things, FALLING)] == [things[3], things[2], *things[:2]]


def test_loading_is_for_an_empty_index() -> None:
    index = loaded([(5, 1)], FALLING)
    index.add_unsorted(6, 2, (6, 2))
    with pytest.raises(AssertionError, match="filled by add_unsorted alone"):
        index.sort()


@pytest.mark.parametrize("direction", [FALLING, RISING])
@pytest.mark.parametrize("chunk", [2, 256], ids=["many parts", "one part"])
@pytest.mark.parametrize("other", [(5, 2), (5, 9), (4, 3), (6, 3), (0, 3), (100, 3)])
def test_what_is_not_listed_so_cannot_be_removed_or_replaced_and_takes_no_other_with_it(
    direction: Direction, chunk: int, other: Thing
) -> None:
    listed = [(4, 1), (5, 3), (5, 4), (6, 5), (7, 6)]
    with patch.object(price_index, "_CHUNK", chunk):
        index = loaded(listed, direction)
        with pytest.raises(AssertionError, match=rf"number {other[1]} is not listed at {other[0]}"):
            index.remove(*other)
        with pytest.raises(AssertionError, match=rf"number {other[1]} is not listed at {other[0]}"):
            index.replace(*other, other)
        assert_structure(index, listed, direction)


def test_nothing_is_listed_twice() -> None:
    index = loaded([(5, 1), (5, 2)], RISING)
    with pytest.raises(AssertionError, match="number 1 is listed at 5 already"):
        index.add(5, 1, (5, 1))
    assert_structure(index, [(5, 1), (5, 2)], RISING)


def test_nothing_is_found_in_an_empty_index() -> None:
    index: PriceIndex[Thing] = PriceIndex(FALLING)
    found = (index.first(), index.first_from(0), index.last_up_to(0), index.first_due(0))
    assert found == (None,) * 4
    with pytest.raises(AssertionError, match="number 1 is not listed at 5"):
        index.remove(5, 1)

"""core/triggers.py: the index gives what a full scan gives, and its parts stay small."""

import random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core import margin, triggers
from exness.core.events import Trade
from exness.core.instruments import Side, TradeId
from exness.core.triggers import TriggerIndex
from tests.support.books import ANN, LONG, SHORT, SOL
from tests.support.lanes import examples

few_prices = st.integers(0, 12)
many_prices = st.integers(0, 10**14)
operations = st.lists(
    st.tuples(st.just("add"), few_prices | many_prices)
    | st.tuples(st.just("remove"), st.integers(0, 1000))
    | st.tuples(st.just("take"), few_prices | many_prices),
    max_size=80,
)


def trade(seq: int, liquidation: int, side: Side = LONG) -> Trade:
    return Trade(TradeId(f"t{seq}"), ANN, SOL, side, 1, 100, liquidation, liquidation, 0, seq)


def in_order(trades: list[Trade]) -> list[Trade]:
    """Nearest price first, then as they were opened."""
    return sorted(trades, key=lambda trade: (trade.liquidation * (-1 if trade.side is LONG else 1), trade.seq))


def scan(trades: list[Trade], mark: int) -> Trade | None:
    """What the index should find: look at every trade."""
    due = [trade for trade in trades if margin.is_due(trade.side, trade.liquidation, mark)]
    return in_order(due)[0] if due else None


def load(index: TriggerIndex, trades: list[Trade]) -> None:
    """List them as recovery does."""
    for each in trades:
        index.add_unsorted(each)
    index.sort()


def drain(index: TriggerIndex, mark: int) -> list[Trade]:
    """Take out everything this mark sets off, in the order the index gives it."""
    taken = []
    while (due := index.first_due(mark)) is not None:
        index.remove(due)
        taken.append(due)
    return taken


def mark_for_all(side: Side) -> int:
    return 0 if side is LONG else 10**15


def assert_structure(index: TriggerIndex, listed: list[Trade]) -> None:
    """The promise on cost: sorted, no empty part, no part longer than 2 x 512, so that every call is short."""
    chunks = index._chunks
    entries = [entry for chunk in chunks for entry in chunk]
    assert entries == sorted(entries)
    assert len(entries) == len(set(entries)) == len(index) == len(listed)
    assert all(1 <= len(chunk) <= 2 * triggers._CHUNK for chunk in chunks)
    assert index._lasts == [chunk[-1] for chunk in chunks]
    assert set(index._trades) == {trade.seq for trade in listed}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("chunk", [2, 3, 512])
@examples(60)
@given(operations=operations)
def test_the_index_finds_what_a_full_scan_finds(side: Side, chunk: int, operations: list[tuple[str, int]]) -> None:
    with patch.object(triggers, "_CHUNK", chunk):
        index, listed = TriggerIndex(side), list[Trade]()
        for seq, (operation, number) in enumerate(operations, start=1):
            if operation == "add":
                listed.append(trade(seq, number, side))
                index.add(listed[-1])
            elif operation == "remove" and listed:
                index.remove(listed.pop(number % len(listed)))
            elif operation == "take":
                due = scan(listed, number)
                assert index.first_due(number) == due
                assert index.first_due(number) == due, "asking changed something"
                if due is not None:
                    index.remove(due)
                    listed.remove(due)
            assert_structure(index, listed)
        assert drain(index, mark_for_all(side)) == in_order(listed)
        assert_structure(index, [])


@pytest.mark.parametrize("side", Side)
@examples(60)
@given(prices=st.lists(few_prices | many_prices, max_size=60), chunk=st.integers(2, 8))
def test_loading_many_at_once_equals_adding_them_one_by_one(side: Side, prices: list[int], chunk: int) -> None:
    with patch.object(triggers, "_CHUNK", chunk):
        trades = [trade(seq, price, side) for seq, price in enumerate(prices, start=1)]
        loaded, added = TriggerIndex(side), TriggerIndex(side)
        load(loaded, trades[::-1])
        for each in trades:
            added.add(each)
        assert_structure(loaded, trades)
        assert_structure(added, trades)
        later = trade(len(trades) + 1, 5, side)
        loaded.add(later)
        added.add(later)
        assert drain(loaded, mark_for_all(side)) == drain(added, mark_for_all(side)) == in_order([*trades, later])


def test_an_empty_index_sets_nothing_off() -> None:
    for side in Side:
        index = TriggerIndex(side)
        assert index.first_due(mark_for_all(side)) is None
        assert len(index) == 0


def test_a_long_is_due_at_its_price_and_below_and_a_short_at_its_price_and_above() -> None:
    long, short = trade(1, 100, LONG), trade(2, 100, SHORT)
    longs, shorts = TriggerIndex(LONG), TriggerIndex(SHORT)
    longs.add(long)
    shorts.add(short)
    assert [longs.first_due(mark) for mark in (101, 100, 99)] == [None, long, long]
    assert [shorts.first_due(mark) for mark in (99, 100, 101)] == [None, short, short]


def test_a_long_at_1x_waits_for_a_price_of_0() -> None:
    index = TriggerIndex(LONG)
    index.add(trade(1, 0, LONG))
    assert index.first_due(1) is None


@pytest.mark.parametrize("side", Side)
def test_trades_of_one_price_come_in_the_order_they_were_opened(side: Side) -> None:
    index = TriggerIndex(side)
    trades = [trade(seq, 100, side) for seq in (7, 3, 9, 1, 5)]
    for each in trades:
        index.add(each)
    assert [each.seq for each in drain(index, 100)] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("side", Side)
def test_the_nearest_price_comes_first_whatever_was_opened_first(side: Side) -> None:
    index = TriggerIndex(side)
    for seq, price in enumerate((90, 110, 100), start=1):
        index.add(trade(seq, price, side))
    nearest_first = [110, 100, 90] if side is LONG else [90, 100, 110]
    assert [each.liquidation for each in drain(index, mark_for_all(side))] == nearest_first


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("spread", [3, 1_000, 10**14], ids=["ties", "some ties", "no ties"])
def test_thousands_of_trades_are_split_into_bounded_parts(side: Side, spread: int) -> None:
    dice = random.Random(f"{side}{spread}")
    index = TriggerIndex(side)
    trades = [trade(seq, dice.randrange(spread), side) for seq in range(1, 5_001)]
    for each in trades:
        index.add(each)
    assert_structure(index, trades)
    # Never fewer parts than needed, never parts of less than half: a split leaves 512 and 513.
    assert 5_000 // 1_024 < len(index._chunks) <= 5_000 // 512 + 1
    gone = set(dice.sample(range(1, 5_001), 2_500))
    for each in trades:
        if each.seq in gone:
            index.remove(each)
    left = [each for each in trades if each.seq not in gone]
    assert_structure(index, left)
    assert drain(index, mark_for_all(side)) == in_order(left)
    assert (index._chunks, index._lasts) == ([], [])


@pytest.mark.parametrize("descending", [False, True])
def test_trades_added_in_order_of_price_are_split_too(descending: bool) -> None:
    index = TriggerIndex(SHORT)
    trades = [trade(seq, 5_000 - seq if descending else seq, SHORT) for seq in range(1, 4_001)]
    for each in trades:
        index.add(each)
    assert_structure(index, trades)
    assert drain(index, 10_000) == in_order(trades)


def test_thousands_are_loaded_into_bounded_parts() -> None:
    index = TriggerIndex(LONG)
    trades = [trade(seq, seq % 17, LONG) for seq in range(1, 3_001)]
    load(index, trades)
    assert_structure(index, trades)
    assert len(index._chunks) == -(-3_000 // 512)


def test_loading_is_for_an_empty_index() -> None:
    index = TriggerIndex(LONG)
    index.add(trade(1, 5))
    with pytest.raises(AssertionError):
        load(index, [trade(2, 6)])


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("chunk", [2, 512], ids=["many parts", "one part"])
@pytest.mark.parametrize("other", [(2, 5), (9, 5), (3, 4), (3, 6), (3, 0), (3, 100)])
def test_a_trade_that_is_not_listed_as_it_is_cannot_be_removed_and_takes_no_other_with_it(
    side: Side, chunk: int, other: tuple[int, int]
) -> None:
    """One that was never listed, and one whose price has changed since, whatever stands where it would be."""
    listed = [trade(1, 4, side), trade(3, 5, side), trade(4, 5, side), trade(5, 6, side), trade(6, 7, side)]
    with patch.object(triggers, "_CHUNK", chunk):
        index = TriggerIndex(side)
        for each in listed:
            index.add(each)
        with pytest.raises(AssertionError, match=rf"trade t{other[0]} is not listed at {other[1]}"):
            index.remove(trade(*other, side))
        assert_structure(index, listed)
        assert drain(index, mark_for_all(side)) == in_order(listed)


def test_nothing_can_be_removed_from_an_index_that_lists_nothing() -> None:
    with pytest.raises(AssertionError, match="trade t1 is not listed at 5"):
        TriggerIndex(LONG).remove(trade(1, 5))

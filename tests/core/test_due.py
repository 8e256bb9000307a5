"""core/due.py: what time brings comes in order of its time, and the nearest time is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.due import DueTimes, Expiry, SettlementTime
from exness.core.instruments import Asset
from tests.support.books import BTC, ETH, SOL
from tests.support.lanes import examples


def test_nothing_is_due_where_nothing_waits() -> None:
    due: DueTimes[str] = DueTimes()
    assert (due.next_due, due.first_due(10**18), len(due)) == (None, None, 0)


def test_at_one_time_expiries_come_before_settlements_by_number_and_settlements_by_asset() -> None:
    due: DueTimes[str] = DueTimes()
    for asset in (SOL, BTC, ETH):
        due.settle_next(asset, 100)
    due.add_expiry(100, 7, "seven")
    due.add_expiry(100, 3, "three")
    due.add_expiry(99, 9, "nine")
    assert due.first_due(98) is None
    got = []
    while (first := due.first_due(100)) is not None:
        got.append(first)
        if isinstance(first, Expiry):
            assert due.remove_expiry(first.at, {"three": 3, "seven": 7, "nine": 9}[first.thing]) == first.thing
        else:
            due.settle_next(first.asset, None)
    assert got == [
        Expiry(99, "nine"),
        Expiry(100, "three"),
        Expiry(100, "seven"),
        SettlementTime(100, BTC),
        SettlementTime(100, ETH),
        SettlementTime(100, SOL),
    ]
    assert due.next_due is None


def test_the_next_settlement_of_an_asset_takes_the_place_of_the_one_before() -> None:
    due: DueTimes[str] = DueTimes()
    due.settle_next(SOL, 100)
    due.settle_next(SOL, 200)
    assert (due.next_due, len(due)) == (200, 1)
    assert due.first_due(250) == SettlementTime(200, SOL)


def test_what_is_not_listed_cannot_be_removed() -> None:
    due: DueTimes[str] = DueTimes()
    due.add_expiry(5, 1, "one")
    with pytest.raises(AssertionError, match="number 2 is not listed at 5"):
        due.remove_expiry(5, 2)
    assert due.next_due == 5


@examples(100)
@given(
    st.lists(
        st.tuples(st.just("expire"), st.integers(0, 30))
        | st.tuples(st.just("settle"), st.integers(0, 30) | st.none())
        | st.tuples(st.just("remove"), st.integers(0, 100)),
        max_size=60,
    )
)
def test_the_nearest_time_is_that_of_a_scan_of_everything(steps: list[tuple[str, int | None]]) -> None:
    due: DueTimes[int] = DueTimes()
    expiries: dict[int, int] = {}
    settlements: dict[Asset, int] = {}
    for number, (what, figure) in enumerate(steps):
        if what == "settle":
            asset = (SOL, ETH, BTC)[number % 3]
            due.settle_next(asset, figure)
            settlements.pop(asset, None)
            settlements |= {} if figure is None else {asset: figure}
        elif what == "expire" and figure is not None:
            due.add_expiry(figure, number, number)
            expiries[number] = figure
        elif expiries and figure is not None:
            chosen = sorted(expiries)[figure % len(expiries)]
            assert due.remove_expiry(expiries.pop(chosen), chosen) == chosen
        every = [(at, 0, number, Expiry(at, number)) for number, at in expiries.items()]
        later = [(at, 1, asset, SettlementTime(at, asset)) for asset, at in settlements.items()]
        nearest = min([each[:3] for each in every] + [each[:3] for each in later], default=None, key=str_last)
        assert due.next_due == (None if nearest is None else nearest[0])
        assert len(due) == len(every) + len(later)
        found = due.first_due(30)
        assert found == next((each[3] for each in [*every, *later] if each[:3] == nearest), None)


def str_last(each: tuple[int, int, object]) -> tuple[int, int, int, str]:
    at, kind, name = each
    return (at, kind, name, "") if isinstance(name, int) else (at, kind, 0, str(name))

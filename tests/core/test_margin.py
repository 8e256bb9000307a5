"""core/margin.py: what is worked out of prices, against check values and exact fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core import margin
from tests.support.books import SOL, price_of, usdc

margins = st.integers(1, 10) | st.integers(1, 10**13)
prices = st.integers(1, 200) | st.integers(1, 10**12)


@pytest.mark.parametrize(
    ("bid", "ask", "mark"),
    [
        (100, 100, 100),
        (100, 102, 101),
        (100, 101, 100),
        (101, 102, 102),
        (102, 103, 102),
        (0, 1, 0),
        (1, 2, 2),
        (103, 100, 102),
    ],
)
def test_the_mark_is_the_middle_with_a_half_to_the_even_neighbour(bid: int, ask: int, mark: int) -> None:
    assert margin.mark_price(bid, ask) == mark


@given(prices, prices)
def test_the_mark_is_the_exact_middle_rounded_half_even(bid: int, ask: int) -> None:
    assert margin.mark_price(bid, ask) == round(Fraction(bid + ask, 2))


@pytest.mark.parametrize(
    ("expected", "actual", "allowed", "exceeded"),
    [
        ("200", "202", 100, False),  # exactly 1 %
        ("200", "202.000001", 100, True),
        ("200", "198", 100, False),
        ("200", "197.999999", 100, True),
        ("200", "200", 10, False),
        ("200", "200.2", 10, False),
        ("200", "200.200001", 10, True),
        ("200", "400", 10_000, False),
        ("200", "400.000001", 10_000, True),
        ("200", "0.000001", 10_000, False),
    ],
)
def test_slippage_is_exceeded_one_unit_over_the_bound_and_not_at_it(
    expected: str, actual: str, allowed: int, exceeded: bool
) -> None:
    assert margin.slippage_exceeded(price_of(SOL, expected), price_of(SOL, actual), allowed) is exceeded


@given(prices, prices, st.integers(10, 10_000))
def test_slippage_is_compared_exactly(expected: int, actual: int, allowed: int) -> None:
    exact = Fraction(abs(actual - expected), expected)
    assert margin.slippage_exceeded(expected, actual, allowed) is (exact > Fraction(allowed, 10_000))


@pytest.mark.parametrize(
    ("amount", "of", "percent"),
    [("1", "10", 100_000), ("-10", "10", -1_000_000), ("0", "10", 0), ("1", "3", 333_333), ("-1", "3", -333_334)],
)
def test_a_percentage_has_four_decimals_and_is_rounded_down(amount: str, of: str, percent: int) -> None:
    assert margin.percent_of_margin(usdc(amount), usdc(of)) == percent


@given(st.integers(-(10**15), 10**15), margins)
def test_a_percentage_is_the_exact_one_rounded_down(amount: int, of: int) -> None:
    assert margin.percent_of_margin(amount, of) == math.floor(Fraction(amount, of) * 100 * 10_000)

"""core/margin.py: the trading formulas, against the check values of API.md and against exact fractions."""

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exness.core import margin
from exness.core.ceilings import STORED
from exness.core.events import Trade
from exness.core.instruments import AccountId, Asset, Side, TradeId
from tests.reference.twin import gain
from tests.support.books import BTC, LONG, SHORT, SOL, hundredths, price_of, usdc

sides = st.sampled_from(Side)
margins = st.integers(1, 10) | st.integers(1, 10**13)
leverages = st.integers(100, 10_000) | st.sampled_from([100, 101, 4_099, 9_999, 10_000])
prices = st.integers(1, 200) | st.integers(1, 10**12)


def sign_of(side: Side) -> int:
    return 1 if side is LONG else -1


def exact_gain(side: Side, amount: int, leverage: int, entry: int, exit_: int) -> Fraction:
    """In micro-USDC, not rounded."""
    return gain(side, amount * Fraction(leverage, 100), entry, exit_)


@pytest.mark.parametrize(
    ("side", "asset", "entry", "leverage", "liquidation"),
    [
        (LONG, SOL, "201.470000", "3700", "201.415548"),
        (LONG, SOL, "198.84", "40.99", "193.989060"),
        (LONG, BTC, "100000", "10", "90000"),
        (SHORT, BTC, "100000", "10", "110000"),
        (LONG, BTC, "100000", "100", "99000"),
        (SHORT, BTC, "100000", "100", "101000"),
        # At 1x a long cannot be liquidated, a short at the double price.
        (LONG, SOL, "201.47", "1", "0"),
        (SHORT, SOL, "201.47", "1", "402.94"),
        # A distance that does not come out is rounded away from the entry.
        (LONG, SOL, "0.000010", "3", "0.000006"),
        (SHORT, SOL, "0.000010", "3", "0.000014"),
        (LONG, SOL, "0.000001", "100", "0"),
        (SHORT, SOL, "0.000001", "100", "0.000002"),
    ],
)
def test_the_liquidation_price_has_the_check_values_of_the_contract(
    side: Side, asset: Asset, entry: str, leverage: str, liquidation: str
) -> None:
    got = margin.liquidation_price(side, price_of(asset, entry), hundredths(leverage))
    assert got == price_of(asset, liquidation)


@pytest.mark.parametrize(
    ("side", "amount", "leverage", "entry", "exit_", "pnl"),
    [
        (LONG, "10", "10", "200", "202", "1"),
        (SHORT, "10", "10", "200", "202", "-1"),
        (LONG, "10", "10", "200", "198", "-1"),
        (SHORT, "10", "10", "200", "198", "1"),
        (LONG, "10", "10", "200", "200", "0"),
        (LONG, "11.5", "40.99", "198.84", "198.84", "0"),
        (LONG, "11.5", "40.99", "198.84", "198.840001", "0.000002"),  # 2.37 micro-USDC down to 2
        (LONG, "11.5", "40.99", "198.84", "198.839999", "-0.000003"),  # -2.37 down to -3
        (LONG, "11.5", "40.99", "198.84", "193.989061", "-11.5"),  # -11499999.8 down to all of the margin
        (LONG, "11.5", "40.99", "198.84", "193.989060", "-11.5"),
        (LONG, "10", "10", "200", "100", "-10"),  # never below -M
        (SHORT, "10", "10", "200", "300", "-10"),
        (LONG, "10", "1", "200", "0.000001", "-10"),
        (LONG, "10", "100", "200", "400", "1000"),  # a gain has no cap
        (SHORT, "10", "100", "200", "0.000001", "999.999995"),
    ],
)
def test_pnl_is_rounded_down_and_never_below_the_margin(
    side: Side, amount: str, leverage: str, entry: str, exit_: str, pnl: str
) -> None:
    got = margin.pnl(side, usdc(amount), hundredths(leverage), price_of(SOL, entry), price_of(SOL, exit_))
    assert got == usdc(pnl)


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


@given(margins, leverages)
def test_the_notional_is_exact_in_hundredths(amount: int, leverage: int) -> None:
    assert Fraction(margin.notional(amount, leverage), 100) == amount * Fraction(leverage, 100)


@given(sides, margins, leverages, prices, prices)
def test_pnl_is_the_exact_gain_rounded_down_but_never_less_than_the_margin(
    side: Side, amount: int, leverage: int, entry: int, exit_: int
) -> None:
    exact = exact_gain(side, amount, leverage, entry, exit_)
    assert margin.uncapped_pnl(side, amount, leverage, entry, exit_) == math.floor(exact)
    assert margin.pnl(side, amount, leverage, entry, exit_) == max(-amount, math.floor(exact))


@given(sides, margins, leverages, prices)
@example(LONG, 1, 10_000, 1)
@example(SHORT, 1, 10_000, 1)
@example(LONG, 10**13, 100, 10**12)
def test_the_liquidation_price_is_the_first_at_which_the_loss_reaches_the_margin(
    side: Side, amount: int, leverage: int, entry: int
) -> None:
    liquidation = margin.liquidation_price(side, entry, leverage)
    one_before = liquidation + sign_of(side)
    assert -exact_gain(side, amount, leverage, entry, liquidation) >= amount
    assert -exact_gain(side, amount, leverage, entry, one_before) < amount
    assert margin.pnl(side, amount, leverage, entry, liquidation) == -amount
    assert margin.is_due(side, liquidation, liquidation)
    assert not margin.is_due(side, liquidation, one_before)
    assert not margin.is_due(side, liquidation, entry)


@given(sides, margins, leverages, prices, prices)
def test_a_mark_liquidates_exactly_when_the_loss_has_reached_the_margin(
    side: Side, amount: int, leverage: int, entry: int, mark: int
) -> None:
    liquidation = margin.liquidation_price(side, entry, leverage)
    lost = -exact_gain(side, amount, leverage, entry, mark)
    assert margin.is_due(side, liquidation, mark) is (lost >= amount)


@given(margins, leverages, prices, st.integers(-(10**12), 10**12))
def test_long_and_short_mirror_each_other(amount: int, leverage: int, entry: int, move: int) -> None:
    long, short = (margin.liquidation_price(side, entry, leverage) for side in (LONG, SHORT))
    assert entry - long == short - entry
    assert margin.is_due(LONG, long, entry + move) is margin.is_due(SHORT, short, entry - move)
    for formula in (margin.pnl, margin.uncapped_pnl):
        assert formula(LONG, amount, leverage, entry, entry + move) == formula(
            SHORT, amount, leverage, entry, entry - move
        )


@given(margins, leverages, prices, prices)
def test_both_sides_together_gain_nothing_but_lose_a_rounding_at_most(
    amount: int, leverage: int, entry: int, exit_: int
) -> None:
    both = sum(margin.uncapped_pnl(side, amount, leverage, entry, exit_) for side in Side)
    assert both in (-1, 0)


@given(margins, prices, prices)
def test_a_long_at_1x_is_never_reached(amount: int, entry: int, mark: int) -> None:
    assert margin.liquidation_price(LONG, entry, 100) == 0
    assert not margin.is_due(LONG, 0, mark)
    assert -exact_gain(LONG, amount, 100, entry, mark) < amount


@given(sides, margins, leverages, prices, prices)
def test_a_trade_ends_with_what_the_price_has_made_of_its_margin_and_a_shortfall_beyond_it(
    side: Side, amount: int, leverage: int, entry: int, mark: int
) -> None:
    trade = Trade(TradeId("t"), AccountId("ann"), Asset("SOL"), side, amount, leverage, entry, 0, 0, 1)
    gain = math.floor(exact_gain(side, amount, leverage, entry, mark))
    pnl = max(-amount, min(gain, STORED))
    settled = margin.settle(trade, mark)
    assert settled == margin.Settlement(pnl, amount + pnl, min(STORED, max(0, -gain - amount)))
    assert margin.settle(trade, mark, most=0) == msgspec.structs.replace(
        settled, pnl=min(0, pnl), returned=amount + min(0, pnl)
    )
    assert margin.pnl(side, amount, leverage, entry, mark) == max(gain, -amount)


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

"""core/line.py as a trade without rates is on it: against the check values of API.md and against exact fractions."""

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exness.core import line as lines
from exness.core.ceilings import STORED
from exness.core.instruments import Asset, Side
from exness.core.line import is_reached, trade_line
from tests.reference.twin import gain
from tests.support.books import BTC, LONG, SHORT, SOL, hundredths, price_of, usdc

sides = st.sampled_from(Side)
margins = st.integers(1, 10) | st.integers(1, 10**13)
leverages = st.integers(100, 10_000) | st.sampled_from([100, 101, 4_099, 9_999, 10_000])
prices = st.integers(1, 200) | st.integers(1, 10**12)


def liquidation_price(side: Side, entry: int, leverage: int, amount: int = 1) -> int:
    """Whatever the margin is."""
    return lines.liquidation_price(trade_line(side, amount, leverage, entry))


def pnl(side: Side, amount: int, leverage: int, entry: int, exit_: int) -> int:
    return lines.pnl(trade_line(side, amount, leverage, entry), exit_)


def uncapped_pnl(side: Side, amount: int, leverage: int, entry: int, exit_: int) -> int:
    return lines.gain(trade_line(side, amount, leverage, entry), exit_)


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
    got = liquidation_price(side, price_of(asset, entry), hundredths(leverage))
    assert got == price_of(asset, liquidation)


@pytest.mark.parametrize(
    ("side", "amount", "leverage", "entry", "exit_", "gained"),
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
    side: Side, amount: str, leverage: str, entry: str, exit_: str, gained: str
) -> None:
    got = pnl(side, usdc(amount), hundredths(leverage), price_of(SOL, entry), price_of(SOL, exit_))
    assert got == usdc(gained)


@given(sides, margins, leverages, prices, prices)
def test_pnl_is_the_exact_gain_rounded_down_but_never_less_than_the_margin(
    side: Side, amount: int, leverage: int, entry: int, exit_: int
) -> None:
    exact = exact_gain(side, amount, leverage, entry, exit_)
    assert uncapped_pnl(side, amount, leverage, entry, exit_) == math.floor(exact)
    assert pnl(side, amount, leverage, entry, exit_) == max(-amount, math.floor(exact))


@given(sides, margins, leverages, prices)
@example(LONG, 1, 10_000, 1)
@example(SHORT, 1, 10_000, 1)
@example(LONG, 10**13, 100, 10**12)
def test_the_liquidation_price_is_the_first_at_which_the_loss_reaches_the_margin(
    side: Side, amount: int, leverage: int, entry: int
) -> None:
    liquidation = liquidation_price(side, entry, leverage, amount)
    one_before = liquidation + sign_of(side)
    assert -exact_gain(side, amount, leverage, entry, liquidation) >= amount
    assert -exact_gain(side, amount, leverage, entry, one_before) < amount
    assert pnl(side, amount, leverage, entry, liquidation) == -amount
    assert is_reached(side, liquidation, liquidation)
    assert not is_reached(side, liquidation, one_before)
    assert not is_reached(side, liquidation, entry)


@given(sides, margins, leverages, prices, prices)
def test_a_mark_liquidates_exactly_when_the_loss_has_reached_the_margin(
    side: Side, amount: int, leverage: int, entry: int, mark: int
) -> None:
    liquidation = liquidation_price(side, entry, leverage)
    lost = -exact_gain(side, amount, leverage, entry, mark)
    assert is_reached(side, liquidation, mark) is (lost >= amount)


@given(margins, leverages, prices, st.integers(-(10**12), 10**12))
def test_long_and_short_mirror_each_other(amount: int, leverage: int, entry: int, move: int) -> None:
    long, short = (liquidation_price(side, entry, leverage) for side in (LONG, SHORT))
    assert entry - long == short - entry
    assert is_reached(LONG, long, entry + move) is is_reached(SHORT, short, entry - move)
    for formula in (pnl, uncapped_pnl):
        assert formula(LONG, amount, leverage, entry, entry + move) == formula(
            SHORT, amount, leverage, entry, entry - move
        )


@given(margins, leverages, prices, prices)
def test_both_sides_together_gain_nothing_but_lose_a_rounding_at_most(
    amount: int, leverage: int, entry: int, exit_: int
) -> None:
    both = sum(uncapped_pnl(side, amount, leverage, entry, exit_) for side in Side)
    assert both in (-1, 0)


@given(margins, prices, prices)
def test_a_long_at_1x_is_never_reached(amount: int, entry: int, mark: int) -> None:
    assert liquidation_price(LONG, entry, 100) == 0
    assert not is_reached(LONG, 0, mark)
    assert -exact_gain(LONG, amount, 100, entry, mark) < amount


@given(sides, margins, leverages, prices, prices)
def test_a_trade_ends_with_what_the_price_has_made_of_its_margin_and_a_shortfall_beyond_it(
    side: Side, amount: int, leverage: int, entry: int, mark: int
) -> None:
    line = trade_line(side, amount, leverage, entry)
    gained = math.floor(exact_gain(side, amount, leverage, entry, mark))
    capped = max(-amount, min(gained, STORED))
    settled = lines.settle(line, mark)
    assert settled == lines.Settlement(capped, amount + capped, min(STORED, max(0, -gained - amount)))
    assert lines.settle(line, mark, most=0) == msgspec.structs.replace(
        settled, pnl=min(0, capped), returned=amount + min(0, capped)
    )
    assert pnl(side, amount, leverage, entry, mark) == max(gained, -amount)

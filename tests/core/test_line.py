"""core/line.py: the formulas of a position, against exact fractions and against those of a trade without rates."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from exness.core import line as lines_of
from exness.core.ceilings import MOST_PRICE, STORED
from exness.core.instruments import Side
from exness.core.line import Line, trade_line
from exness.core.rates import FREE, RATE_UNIT, Basis, Rates, Residual, Tier
from tests.support.books import LONG, SHORT
from tests.support.lanes import examples
from tests.support.rates import (
    all_rates,
    exact_gain,
    exact_notional,
    exact_requirement,
    is_exactly_due,
    leverages,
    lines,
    margins,
    of,
    prices,
    rates_below_half,
    sides,
)

sums = st.integers(-(10**15), 10**15)


def toward_loss(line: Line) -> int:
    return -1 if line.side is LONG else 1


# Notional, gain, fees


@given(lines(), prices, rates_below_half)
def test_notional_gain_and_fee_are_the_exact_ones_rounded_against_the_trader(line: Line, price: int, rate: int) -> None:
    assert lines_of.notional(line, price) == math.ceil(exact_notional(line, price))
    assert lines_of.entry_notional(line) == math.ceil(Fraction(line.cost, line.unit))
    assert lines_of.gain(line, price) == math.floor(exact_gain(line, price))
    assert lines_of.pnl(line, price) == max(-line.margin, math.floor(exact_gain(line, price)))
    assert lines_of.fee(line, price, rate) == math.ceil(exact_notional(line, price) * of(rate))
    assert lines_of.entry_fee(line, rate) == math.ceil(Fraction(line.cost, line.unit) * of(rate))
    average = Fraction(line.cost, line.size)
    assert lines_of.average_entry(line) == (math.ceil(average) if line.side is LONG else math.floor(average))


@given(margins, leverages, prices, rates_below_half)
def test_the_commission_of_an_opening_does_not_depend_on_its_price(
    margin: int, leverage: int, entry: int, rate: int
) -> None:
    fee = lines_of.entry_fee(trade_line(LONG, margin, leverage, entry), rate)
    assert fee == math.ceil(Fraction(margin * leverage, 100) * of(rate))


@given(lines(), leverages)
def test_initial_margin_is_the_entry_notional_by_the_leverage_rounded_up(line: Line, leverage: int) -> None:
    exact = Fraction(line.cost, line.unit) / Fraction(leverage, 100)
    assert lines_of.initial_margin(line, leverage) == math.ceil(exact)


@given(margins, leverages, prices)
def test_the_initial_margin_of_a_new_trade_is_its_margin(margin: int, leverage: int, entry: int) -> None:
    assert lines_of.initial_margin(trade_line(LONG, margin, leverage, entry), leverage) == margin


@given(st.integers(0, 10**15), leverages, rates_below_half)
def test_the_largest_margin_is_the_last_that_with_its_commission_is_not_more_than_what_is_free(
    free: int, leverage: int, rate: int
) -> None:
    def required(margin: int) -> int:
        return margin + math.ceil(Fraction(margin * leverage, 100) * of(rate))

    most = lines_of.max_margin(free, leverage, rate)
    assert required(most) <= free < required(most + 1)


# Liquidation


@examples(200)
@given(lines(), all_rates(), prices)
def test_a_mark_is_due_exactly_when_margin_and_gain_are_not_more_than_the_requirement(
    line: Line, rates: Rates, mark: int
) -> None:
    assert lines_of.requirement(line, rates, mark) == math.ceil(exact_requirement(line, rates, mark))
    assert lines_of.is_due(line, rates, mark) is is_exactly_due(line, rates, mark)


@examples(200)
@given(lines(), all_rates(), prices)
@example(trade_line(LONG, 1, 100, 1), FREE, 1)
@example(trade_line(SHORT, 1, 10_000, 1), FREE, 1)
@example(trade_line(SHORT, 1, 10_000, 1), Rates(min_margin=10**12), 1)
@example(trade_line(LONG, 10**6, 100, 10**6), Rates(maintenance=(Tier(0, RATE_UNIT // 2),)), 1)
@example(trade_line(LONG, 1, 100, 200_000_000), Rates(min_margin=MOST_PRICE), 1)
def test_the_liquidation_price_is_the_first_that_is_due_and_all_beyond_it_are(
    line: Line, rates: Rates, mark: int
) -> None:
    liquidation = lines_of.liquidation_price(line, rates)
    safe = liquidation - toward_loss(line)
    assert liquidation >= (0 if line.side is LONG else 1)
    if liquidation == STORED:
        assert is_exactly_due(line, rates, MOST_PRICE) is (line.side is LONG), "no price is more"
        return
    assert liquidation < STORED
    assert liquidation == 0 or is_exactly_due(line, rates, liquidation)
    assert safe == 0 or not is_exactly_due(line, rates, safe)
    assert lines_of.is_reached(line.side, liquidation, mark) is is_exactly_due(line, rates, mark)
    bankruptcy = lines_of.bankruptcy_price(line)
    assert (liquidation - bankruptcy) * toward_loss(line) <= 0
    assert bankruptcy == 0 or line.margin + exact_gain(line, bankruptcy) <= 0


@examples(40)
@given(
    sides,
    st.integers(1, 3_000),
    st.integers(100, 2_000),
    st.integers(1, 40),
    st.builds(
        Rates,
        taker=st.integers(0, RATE_UNIT // 2 - 1),
        maintenance=st.sampled_from(
            [
                (),
                (Tier(0, 3_000_000),),
                (Tier(0, 10**6), Tier(500, 10**7), Tier(2_000, 49_999_999)),
                (Tier(900, 10**7),),
            ]
        ),
        maintenance_basis=st.sampled_from(Basis),
        hold_close_fee=st.booleans(),
        min_margin=st.sampled_from([0, 1, 50, 4_000]),
    ),
)
def test_a_scan_of_every_price_finds_none_that_is_due_and_not_reached_nor_the_other_way_round(
    side: Side, margin: int, leverage: int, entry: int, rates: Rates
) -> None:
    line = trade_line(side, margin, leverage, entry)
    liquidation = lines_of.liquidation_price(line, rates)
    marks = range(1, 3 * entry + 5)
    due = [mark for mark in marks if is_exactly_due(line, rates, mark)]
    assert due == [mark for mark in marks if lines_of.is_reached(side, liquidation, mark)]


@given(lines(), all_rates(), st.integers(1, 10**12))
def test_margin_that_is_added_never_brings_liquidation_nearer(line: Line, rates: Rates, added: int) -> None:
    before = lines_of.liquidation_price(line, rates)
    after = lines_of.liquidation_price(lines_of.with_margin(line, line.margin + added), rates)
    assert (after - before) * toward_loss(line) >= 0


@examples(200)
@given(lines(), rates_below_half, sums)
def test_the_break_even_price_is_the_first_at_which_gain_less_fee_is_what_is_owed(
    line: Line, rate: int, owed: int
) -> None:
    def comes_to(price: int) -> Fraction:
        return exact_gain(line, price) - exact_notional(line, price) * of(rate)

    price = lines_of.break_even_price(line, rate, owed)
    if price is None:
        assert line.side is SHORT
        assert comes_to(1) < owed
        return
    assert price >= 1
    assert comes_to(price) >= owed
    before = price + toward_loss(line)
    assert before == 0 or comes_to(before) < owed


# Parts and margin


@given(lines(), leverages, prices)
def test_what_can_be_taken_out_leaves_the_initial_margin_and_the_loss(line: Line, leverage: int, mark: int) -> None:
    loss = min(0, math.floor(exact_gain(line, mark)))
    needed = math.ceil(Fraction(line.cost, line.unit) / Fraction(leverage, 100))
    assert lines_of.removable(line, leverage, mark) == max(0, line.margin + loss - needed)


@examples(200)
@given(lines(), st.integers(1, 9_999), prices)
def test_a_part_and_what_stays_are_the_whole_and_gain_what_it_gains(line: Line, percent: int, price: int) -> None:
    size = lines_of.size_of_percent(line, percent)
    assert size == math.floor(line.size * Fraction(percent, 10_000))
    assume(size > 0)
    part, left = lines_of.split(line, size)
    assert (part.size, part.size + left.size) == (size, line.size)
    assert part.margin == math.floor(Fraction(line.margin * size, line.size))
    assert (part.margin + left.margin, part.cost + left.cost) == (line.margin, line.cost)
    assert {(each.side, each.unit) for each in (part, left)} == {(line.side, line.unit)}
    exact = Fraction(line.cost * size, line.size)
    assert part.cost == (math.ceil(exact) if line.side is LONG else math.floor(exact))
    apart = lines_of.gain(part, price) + lines_of.gain(left, price)
    assert lines_of.gain(line, price) - 1 <= apart <= lines_of.gain(line, price)


@given(sides, margins, leverages, prices, st.integers(1, 9_999))
def test_the_cost_of_a_part_of_a_trade_comes_out(
    side: Side, margin: int, leverage: int, entry: int, percent: int
) -> None:
    line = trade_line(side, margin, leverage, entry)
    size = lines_of.size_of_percent(line, percent)
    assume(size > 0)
    part, left = lines_of.split(line, size)
    assert (part.cost, left.cost) == (size * entry, left.size * entry)


@given(lines(), all_rates(), st.integers(1, 9_999))
def test_what_stays_of_a_trade_is_not_liquidated_earlier(line: Line, rates: Rates, percent: int) -> None:
    """A least margin is left out: it stays the same for the smaller position."""
    assume(line.cost % line.size == 0)
    size = lines_of.size_of_percent(line, percent)
    assume(size > 0)
    _, left = lines_of.split(line, size)
    without_least = Rates(**{name: getattr(rates, name) for name in ("taker", "maintenance", "hold_close_fee")})
    before = lines_of.liquidation_price(line, without_least)
    assert (lines_of.liquidation_price(left, without_least) - before) * toward_loss(line) >= 0


@given(lines(), st.data())
def test_the_size_of_a_margin_releases_at_least_that_margin_and_no_size_less_does(
    line: Line, data: st.DataObject
) -> None:
    margin = data.draw(st.integers(1, line.margin))
    size = lines_of.size_of_margin(line, margin)
    assert Fraction(line.margin * size, line.size) >= margin > Fraction(line.margin * (size - 1), line.size)


@given(sides, st.lists(st.tuples(st.integers(1, 10**6), prices), min_size=1, max_size=5), leverages)
def test_a_net_position_costs_the_sum_of_its_fills_and_their_margins_rounded_up(
    side: Side, fills: list[tuple[int, int]], leverage: int
) -> None:
    (size, price), *more = fills
    line = lines_of.net_line(side, size, price, 1_000, leverage)
    for size, price in more:
        line = lines_of.increased(line, size, price, leverage)
    exact = [Fraction(100 * size * price, 1_000 * leverage) for size, price in fills]
    assert line == Line(
        side, sum(size for size, _ in fills), sum(s * p for s, p in fills), 1_000, sum(map(math.ceil, exact))
    )


@pytest.mark.parametrize(
    ("decimals", "quantity_decimals", "unit"),
    [
        (4, 5, 1_000),
        (6, 4, 10_000),
        (6, 3, 1_000),
        (6, 0, 1),
        (6, 5, 100_000),
        (6, 6, None),
        (0, 5, None),
        (12, 0, None),
    ],
)
def test_a_net_position_has_a_unit_from_1_to_100000_or_there_is_none(
    decimals: int, quantity_decimals: int, unit: int | None
) -> None:
    assert lines_of.net_unit(decimals, quantity_decimals) == unit


# Ends


@examples(200)
@given(lines(), all_rates(), prices, st.integers(0, 10**12), st.just(STORED) | st.integers(0, 10**12))
def test_every_end_shares_out_margin_and_pnl_and_nothing_else(
    line: Line, rates: Rates, price: int, insurance: int, most: int
) -> None:
    gain = math.floor(exact_gain(line, price))
    pnl = max(-line.margin, min(gain, most))
    closed = lines_of.settle(line, price, rates.taker, insurance, most)
    fee = min(math.ceil(exact_notional(line, price) * of(rates.taker)), line.margin + pnl)
    shortfall = min(STORED, max(0, -line.margin - gain))
    covered = min(shortfall, insurance)
    assert closed == lines_of.Settlement(pnl, line.margin + pnl - fee, shortfall, fee, 0, covered)

    liquidated = lines_of.settle_liquidation(line, price, rates, insurance, most)
    fee = min(math.ceil(exact_notional(line, price) * of(rates.liquidation_fee)), line.margin + pnl)
    rest = line.margin + pnl - fee
    returned, forfeited = (rest, 0) if rates.residual is Residual.RETURN else (0, rest)
    assert liquidated == lines_of.Settlement(pnl, returned, shortfall, fee, forfeited, covered)


@examples(200)
@given(lines(), prices, st.integers(-RATE_UNIT + 1, RATE_UNIT - 1), st.integers(0, 3))
def test_funding_is_rounded_against_the_trader_and_leaves_one_micro_usdc(
    line: Line, mark: int, rate: int, weight: int
) -> None:
    owed = math.ceil(exact_notional(line, mark) * of(rate) * weight)
    paid = min(owed, line.margin - 1)
    assert lines_of.funding_payment(line, mark, rate, weight) == lines_of.Payment(paid, min(STORED, owed - paid))
    assert line.margin - paid >= 1


@given(lines(), prices, st.integers(-RATE_UNIT + 1, -1), st.integers(0, 1_000))
def test_a_receipt_of_funding_ends_at_what_the_account_can_hold(line: Line, mark: int, rate: int, most: int) -> None:
    owed = math.ceil(exact_notional(line, mark) * of(rate))
    assert lines_of.funding_payment(line, mark, rate, most=most) == lines_of.Payment(max(-most, owed), 0)

"""Rates for tests of the formulas, and their exact arithmetic once more: slow, obvious, in fractions."""

from fractions import Fraction
from itertools import zip_longest

from hypothesis import strategies as st

from exness.core.instruments import Side
from exness.core.line import Line, net_line, net_unit, trade_line, with_margin
from exness.core.rates import RATE_UNIT, Basis, Rates, Residual, Tier

sides = st.sampled_from(Side)
margins = st.integers(1, 10) | st.integers(1, 10**13)
leverages = st.integers(100, 10_000) | st.sampled_from([100, 101, 4_099, 9_999, 10_000])
prices = st.integers(1, 200) | st.integers(1, 10**12)
rates_below_half = st.integers(0, RATE_UNIT // 2 - 1) | st.sampled_from([0, 1, 50_000, 400_000])


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A trade as it was opened, or on another margin, or a net position of some fills."""
    side, margin, leverage = draw(sides), draw(margins), draw(leverages)
    if draw(st.booleans()):
        trade = trade_line(side, margin, leverage, draw(prices))
        return with_margin(trade, draw(margins)) if draw(st.booleans()) else trade
    unit = net_unit(4, draw(st.integers(2, 7)))
    assert unit is not None
    quantity = draw(st.integers(1, 10**6))
    position = net_line(side, quantity, draw(prices), unit, leverage)
    return with_margin(position, draw(margins)) if draw(st.booleans()) else position


@st.composite
def all_rates(draw: st.DrawFn) -> Rates:
    """Valid rates of every kind, free ones among them."""
    count = draw(st.integers(0, 4))
    floors = sorted(draw(st.sets(st.integers(0, 10**6) | st.integers(0, 10**14), min_size=count, max_size=count)))
    steps = sorted(draw(st.lists(rates_below_half, min_size=count, max_size=count)))
    return Rates(
        taker=draw(rates_below_half),
        maker=draw(rates_below_half),
        maintenance=tuple(Tier(floor, rate) for floor, rate in zip(floors, steps, strict=True)),
        maintenance_basis=draw(st.sampled_from(Basis)),
        hold_close_fee=draw(st.booleans()),
        min_margin=draw(st.just(0) | st.integers(0, 10**9)),
        liquidation_fee=draw(rates_below_half),
        residual=draw(st.sampled_from(Residual)),
    )


def of(rate: int) -> Fraction:
    """A rate as the fraction that it is."""
    return Fraction(rate, RATE_UNIT)


def exact_notional(line: Line, price: int) -> Fraction:
    return Fraction(line.size * price, line.unit)


def exact_gain(line: Line, price: int) -> Fraction:
    gained = exact_notional(line, price) - Fraction(line.cost, line.unit)
    return gained if line.side is Side.LONG else -gained


def exact_maintenance(notional: Fraction, tiers: tuple[Tier, ...]) -> Fraction:
    """Slice by slice: each pays the rate of its own tier."""
    total = Fraction(0)
    for tier, above in zip_longest(tiers, tiers[1:]):
        top = notional if above is None else min(notional, above.floor)
        total += max(Fraction(0), top - tier.floor) * of(tier.rate)
    return total


def exact_requirement(line: Line, rates: Rates, mark: int) -> Fraction:
    is_on_mark = rates.maintenance_basis is Basis.MARK
    notional = exact_notional(line, mark) if is_on_mark else Fraction(line.cost, line.unit)
    held = notional * of(rates.taker) if rates.hold_close_fee else Fraction(0)
    return held + max(exact_maintenance(notional, rates.maintenance), Fraction(rates.min_margin))


def is_exactly_due(line: Line, rates: Rates, mark: int) -> bool:
    held_apart = line.margin + exact_gain(line, mark)
    return held_apart <= exact_requirement(line, rates, mark)

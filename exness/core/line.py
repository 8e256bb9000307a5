"""A position is a straight line, and these are its formulas. A trade and a net position are the same thing here.

What a position has gained at a price `X` is `(size x X - cost) / unit` micro-USDC, and the opposite for a short. All
four figures are integers:

| | trade | net position |
|---|---|---|
| size `A` | margin x leverage at its opening (hundredths of a micro-USDC) | quantity, scaled |
| unit `D` | 100 x entry | `net_unit` |
| cost `C` | A x entry | sum of quantity x price of its fills |

Prices are scaled by the asset's decimals, leverage is in hundredths, rates are of 1e-8. Rules compare exact numbers;
only money that moves is rounded, always against the trader. Each function names its rounding.
"""

import msgspec

from exness.core.ceilings import STORED
from exness.core.instruments import LEVERAGE_UNIT, Side
from exness.core.money import USDC_DECIMALS
from exness.core.rates import FREE, RATE_UNIT, Rates, Residual

PERCENT_UNIT = 10_000
"""A percent is an integer of hundredths of a percent: 10000 is the whole."""

MOST_NET_UNIT: int = 10**5
"""Keeps the cost of a net position within 64 bits."""

_LONG = Side.LONG  # to look it up takes longer than to compare


class Line(msgspec.Struct, frozen=True, gc=False):
    """A position: `size`, `cost` and `unit` give what it gains, `margin` (micro-USDC) what it can lose. All above 0."""

    side: Side
    size: int
    cost: int
    unit: int
    margin: int


def trade_line(side: Side, margin: int, leverage: int, entry: int) -> Line:
    """The line of a trade as it is opened."""
    size = margin * leverage
    return Line(side, size, size * entry, LEVERAGE_UNIT * entry, margin)


def net_unit(decimals: int, quantity_decimals: int) -> int | None:
    """The unit of net positions in an asset. None: there can be none, for want of a unit from 1 to MOST_NET_UNIT."""
    exponent = decimals + quantity_decimals - USDC_DECIMALS
    unit: int = 10 ** max(0, exponent)
    return unit if exponent >= 0 and unit <= MOST_NET_UNIT else None


# What it is worth


def notional(line: Line, price: int) -> int:
    """`size x price / unit` in micro-USDC, for show: rounded up."""
    return -(-line.size * price // line.unit)


def entry_notional(line: Line) -> int:
    """`cost / unit` in micro-USDC, for show: rounded up."""
    return -(-line.cost // line.unit)


def average_entry(line: Line) -> int:
    """`cost / size`, for show: up for a long, down for a short. Nothing is worked out with it."""
    return -(-line.cost // line.size) if line.side is _LONG else line.cost // line.size


def gain(line: Line, price: int) -> int:
    """What it has gained at this price, in micro-USDC, rounded down: no loss is capped."""
    if line.side is _LONG:
        return (line.size * price - line.cost) // line.unit
    return (line.cost - line.size * price) // line.unit


def pnl(line: Line, price: int) -> int:
    """The same, but never less than `-margin`."""
    return max(-line.margin, gain(line, price))


# What it costs


def fee(line: Line, price: int, rate: int) -> int:
    """A rate of the notional at this price, in micro-USDC, rounded up."""
    return -(-line.size * price * rate // (line.unit * RATE_UNIT)) if rate else 0


def entry_fee(line: Line, rate: int) -> int:
    """A rate of the entry notional, in micro-USDC, rounded up: the commission of its opening, known before the fill."""
    return -(-line.cost * rate // (line.unit * RATE_UNIT)) if rate else 0


def initial_margin(line: Line, leverage: int) -> int:
    """The margin that its entry notional takes at this leverage, rounded up."""
    return -(-LEVERAGE_UNIT * line.cost // (line.unit * leverage))


def max_margin(free: int, leverage: int, rate: int) -> int:
    """The largest margin of a trade that, with its commission, is at most `free`. Rounded down."""
    whole = LEVERAGE_UNIT * RATE_UNIT
    return free * whole // (whole + leverage * rate)


# When it is liquidated


def requirement(line: Line, rates: Rates, mark: int) -> int:
    """What it must hold at this mark, in micro-USDC: maintenance, least margin and a held closing fee. Rounded up."""
    return -(-_required(line, rates, mark) // (line.unit * RATE_UNIT))


def is_due(line: Line, rates: Rates, mark: int) -> bool:
    """True when this mark liquidates: margin and gain are not more than what it must hold. Exact."""
    moved = line.size * mark - line.cost
    equity = line.margin * line.unit + (moved if line.side is _LONG else -moved)
    return RATE_UNIT * equity <= _required(line, rates, mark)


def _required(line: Line, rates: Rates, mark: int) -> int:
    """The requirement times `unit x RATE_UNIT`, exact: the largest of its lines, at least 0."""
    most = 0
    for slope, per_unit, per_cost in rates.requirements:
        required = slope * line.size * mark + per_unit * line.unit + per_cost * line.cost
        if required > most:
            most = required
    return most


def bankruptcy_price(line: Line) -> int:
    """The first whole price at which the margin is lost. 0 for a long: no price reaches it."""
    return liquidation_price(line, FREE)


def liquidation_price(line: Line, rates: Rates = FREE) -> int:
    """The first whole price that is due. 0 for a long: no price reaches it. It ends at STORED, as no price is more than
    MOST_PRICE.

    Every line of what it must hold crosses its equity once, as no slope reaches RATE_UNIT, and it is due from there
    on. So of the lines' crossings, rounded to the safe side of each, the one that comes first counts.
    """
    size, cost, unit = line.size, line.cost, line.unit
    if line.side is _LONG:
        lost = cost - unit * line.margin
        nearest = lost // size
        for slope, per_unit, per_cost in rates.requirements:
            constant = RATE_UNIT * lost + per_unit * unit + per_cost * cost
            price = constant // (size * (RATE_UNIT - slope))
            if price > nearest:
                nearest = price
        return min(nearest, STORED) if nearest > 0 else 0
    lost = cost + unit * line.margin
    nearest = -(-lost // size)
    for slope, per_unit, per_cost in rates.requirements:
        constant = RATE_UNIT * lost - per_unit * unit - per_cost * cost
        price = -(-constant // (size * (RATE_UNIT + slope)))
        if price < nearest:
            nearest = price
    return min(nearest, STORED) if nearest > 0 else 1


def is_reached(side: Side, liquidation: int, mark: int) -> bool:
    """True when a mark is at the liquidation price of a position of this side, or through it."""
    return mark <= liquidation if side is _LONG else mark >= liquidation


def break_even_price(line: Line, rate: int, owed: int) -> int | None:
    """The first whole price, in its winning direction, at which the gain less the closing fee (at this rate) is at
    least `owed` micro-USDC. Exact. None: no price above 0."""
    if line.side is _LONG:
        return max(1, -(-RATE_UNIT * (line.cost + line.unit * owed) // (line.size * (RATE_UNIT - rate))))
    price = RATE_UNIT * (line.cost - line.unit * owed) // (line.size * (RATE_UNIT + rate))
    return price if price > 0 else None


# How it is changed


def removable(line: Line, leverage: int, mark: int) -> int:
    """The most margin that can be taken out, in micro-USDC: what exceeds the initial margin once a loss at this mark is
    taken off. A gain that is not realised can't be taken. That it may not become due is for the caller."""
    return max(0, line.margin + min(0, gain(line, mark)) - initial_margin(line, leverage))


def with_margin(line: Line, margin: int) -> Line:
    """The same position on another margin."""
    return Line(line.side, line.size, line.cost, line.unit, margin)


def increased(line: Line, size: int, price: int, leverage: int) -> Line:
    """A net position after a fill on its own side. The margin of the fill is rounded up."""
    cost = size * price
    margin = -(-LEVERAGE_UNIT * cost // (line.unit * leverage))
    return Line(line.side, line.size + size, line.cost + cost, line.unit, line.margin + margin)


def net_line(side: Side, size: int, price: int, unit: int, leverage: int) -> Line:
    """A net position after its first fill. Its margin is rounded up."""
    return increased(Line(side, 0, 0, unit, 0), size, price, leverage)


def size_of_percent(line: Line, percent: int) -> int:
    """The size of this many hundredths of a percent of it, rounded down. 0: it is too small a part."""
    return line.size * percent // PERCENT_UNIT


def size_of_margin(line: Line, margin: int) -> int:
    """The size that this much of its margin carries, rounded up, so that at least that much is released."""
    return -(-line.size * margin // line.margin)


def split(line: Line, size: int) -> tuple[Line, Line]:
    """A part of it, smaller than the whole, and what stays.

    The margin released is rounded down. The cost of the part is rounded against the trader, up for a long and down for
    a short (that of a trade comes out); what stays keeps the remainder, so together nothing is lost.
    """
    margin = line.margin * size // line.size
    cost = line.cost * size
    cost = -(-cost // line.size) if line.side is _LONG else cost // line.size
    part = Line(line.side, size, cost, line.unit, margin)
    return part, Line(line.side, line.size - size, line.cost - cost, line.unit, line.margin - margin)


# How it ends, and what it pays on the way


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What the end of a position comes to, in micro-USDC: `margin + pnl = returned + fee + forfeited`.

    `shortfall` is what the loss exceeds the margin by. The house bears it: `covered` of it from the insurance. No money
    of the trader moves by it.
    """

    pnl: int
    returned: int
    shortfall: int
    fee: int = 0
    forfeited: int = 0
    covered: int = 0


def settle(line: Line, price: int, rate: int = 0, insurance: int = 0, most: int = STORED) -> Settlement:
    """What a close at this price comes to, with a commission at this rate out of its proceeds, of which its account can
    gain `most`. The fee is rounded up, and ends where nothing is left; a shortfall ends at STORED."""
    margin = line.margin
    uncapped = gain(line, price)
    gained = uncapped if uncapped < most else most
    if gained < -margin:
        gained = -margin
    left = margin + gained
    paid = min(fee(line, price, rate), left) if rate else 0
    if uncapped >= -margin:
        return Settlement(gained, left - paid, 0, paid)
    shortfall = min(-margin - uncapped, STORED)
    return Settlement(gained, left - paid, shortfall, paid, 0, min(shortfall, insurance))


def settle_liquidation(line: Line, mark: int, rates: Rates, insurance: int = 0, most: int = STORED) -> Settlement:
    """What a liquidation at this mark comes to: the liquidation fee, rounded up, out of what is left, and the rest
    forfeited or returned, as the rates say."""
    end = settle(line, mark, rates.liquidation_fee, insurance, most)
    if rates.residual is Residual.RETURN or not end.returned:
        return end
    return Settlement(end.pnl, 0, end.shortfall, end.fee, end.returned, end.covered)


class Payment(msgspec.Struct, frozen=True, gc=False):
    """One settlement of funding, in micro-USDC: `paid` out of the margin, below 0 received. `unpaid` is what the margin
    did not suffice for."""

    paid: int
    unpaid: int


def funding_payment(line: Line, mark: int, rate: int, weight: int = 1, most: int = STORED) -> Payment:
    """What it pays at a settlement: a rate of the notional, so many times. Rounded up, a receipt thereby down. It pays
    at most its margin less one micro-USDC, and receives at most `most`."""
    owed = -(-line.size * mark * rate * weight // (line.unit * RATE_UNIT))
    paid = max(-most, min(owed, line.margin - 1))
    return Payment(paid, min(max(0, owed - paid), STORED))

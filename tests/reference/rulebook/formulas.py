"""The arithmetic of one position, in exact fractions. What is rounded says so; all else is not."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from tests.reference.rulebook.rules import R, Rates


@dataclass(frozen=True)
class Position:
    """A trade or a net position: the same thing under the same formulas."""

    side: str
    size: int
    cost: int
    unit: int
    margin: int
    leverage: int
    is_net: bool = False

    @property
    def sign(self) -> int:
        return 1 if self.side == "long" else -1

    @property
    def entry_notional(self) -> Fraction:
        return Fraction(self.cost, self.unit)

    def notional(self, price: int) -> Fraction:
        return Fraction(self.size * price, self.unit)

    def gain(self, price: int) -> Fraction:
        return Fraction(self.sign * (self.size * price - self.cost), self.unit)

    @property
    def shown_entry(self) -> int:
        """The average, rounded against the trader."""
        average = Fraction(self.cost, self.size)
        return math.ceil(average) if self.side == "long" else math.floor(average)


def trade_position(side: str, margin: int, leverage: int, entry: int) -> Position:
    size = margin * leverage
    return Position(side, size, size * entry, 100 * entry, margin, leverage)


def fee(notional: Fraction, rate: int) -> int:
    return math.ceil(notional * rate / R)


def initial_margin(cost: int, unit: int, leverage: int) -> int:
    return math.ceil(Fraction(100 * cost, unit * leverage))


def maintenance(rates: Rates, notional: Fraction) -> Fraction:
    """Each slice of the notional pays the rate of the tier that it lies in."""
    total = Fraction(0)
    ceilings = [*(tier.floor for tier in rates.maintenance), None][1:]
    for tier, ceiling in zip(rates.maintenance, ceilings, strict=True):
        upto = notional if ceiling is None else min(notional, Fraction(ceiling))
        total += max(Fraction(0), upto - tier.floor) * Fraction(tier.rate, R)
    return total


def tier_of(rates: Rates, notional: Fraction) -> int | None:
    """Where in the tiers this notional lies; None below the first. A tier begins above its floor."""
    within = [number for number, tier in enumerate(rates.maintenance) if notional > tier.floor]
    return within[-1] if within else None


def held(position: Position, rates: Rates, price: int) -> Fraction:
    """What is kept back for the fee of closing."""
    if not rates.hold_close_fee:
        return Fraction(0)
    return _basis(position, rates, price) * rates.taker / R


def requirement(position: Position, rates: Rates, price: int) -> Fraction:
    """What must be there beyond the fee that is held."""
    return max(maintenance(rates, _basis(position, rates, price)), Fraction(rates.min_margin), Fraction(0))


def is_due(position: Position, rates: Rates, mark: int) -> bool:
    left = position.margin + position.gain(mark) - held(position, rates, mark)
    return left <= requirement(position, rates, mark)


@lru_cache(maxsize=10_000)
def liquidation_price(position: Position, rates: Rates) -> int:
    """The first whole price that is due: 0 for a long that none liquidates. The lines that the requirement is made of
    are solved one by one; that the answer is the first one is checked with the rule itself."""
    lines: list[Callable[[Fraction], Fraction]] = [lambda _: Fraction(0), lambda _: Fraction(rates.min_margin)]
    for tier in rates.maintenance:
        paid_below = Fraction(tier.floor * tier.rate, R) - maintenance(rates, Fraction(tier.floor))
        lines.append(lambda n, rate=tier.rate, less=paid_below: n * rate / R - less)  # type: ignore[misc]
    crossings = [_crossing(position, rates, line) for line in lines]
    if position.side == "long":
        first = max(0, *(math.floor(each) for each in crossings))
        assert first == 0 or is_due(position, rates, first)
        assert not is_due(position, rates, first + 1)
        return min(first, MOST)  # one that every price liquidates
    first = max(1, min(math.ceil(each) for each in crossings))
    assert is_due(position, rates, first)
    assert first == 1 or not is_due(position, rates, first - 1)
    return min(first, MOST)  # no price comes to where a short of next to nothing is liquidated


def bankruptcy_price(position: Position) -> int:
    return liquidation_price(position, Rates())


def _basis(position: Position, rates: Rates, price: int) -> Fraction:
    return position.entry_notional if rates.maintenance_basis == "entry" else position.notional(price)


def _crossing(position: Position, rates: Rates, line: Callable[[Fraction], Fraction]) -> Fraction:
    """The price at which what is left meets this line. Both are straight, so two points of them tell."""

    def over(price: int) -> Fraction:
        left = position.margin + position.gain(price) - held(position, rates, price)
        return left - line(_basis(position, rates, price))

    at_nothing = over(0)
    return at_nothing / (at_nothing - over(1))


MOST = 2**63 - 1
"""What an account can hold, and a shortfall come to. A gain ends where its account is full."""


@dataclass(frozen=True)
class Settled:
    """What an end, or a part of one, comes to."""

    pnl: int
    fee: int
    returned: int
    shortfall: int
    forfeited: int = 0


def close(position: Position, price: int, rate: int, room: int = MOST) -> Settled:
    """`room` is how much more its account can hold."""
    gained = math.floor(position.gain(price))
    pnl = max(-position.margin, min(gained, room))
    paid = min(fee(position.notional(price), rate), position.margin + pnl)
    shortfall = min(MOST, max(0, -position.margin - gained))
    return Settled(pnl, paid, position.margin + pnl - paid, shortfall)


def liquidate(position: Position, mark: int, rates: Rates, room: int = MOST) -> Settled:
    end = close(position, mark, rates.liquidation_fee, room)
    if rates.residual == "return":
        return end
    return replace(end, returned=0, forfeited=end.returned)


def split(position: Position, size: int) -> tuple[Position, Position]:
    """The part of this size, and what stays. Of a net position the part's cost is rounded against the trader; a trade's
    is exact."""
    cost = Fraction(position.cost * size, position.size)
    part_cost = math.ceil(cost) if position.side == "long" else math.floor(cost)
    margin = position.margin * size // position.size
    part = replace(position, size=size, cost=part_cost, margin=margin)
    left = replace(position, size=position.size - size, cost=position.cost - part_cost, margin=position.margin - margin)
    return part, left


def removable(position: Position, mark: int) -> int:
    loss = min(0, math.floor(position.gain(mark)))
    return max(0, position.margin + loss - initial_margin(position.cost, position.unit, position.leverage))


def added_by_leverage(position: Position, leverage: int) -> int:
    """What lowering the leverage takes; raising it takes nothing."""
    if leverage >= position.leverage:
        return 0
    return max(0, initial_margin(position.cost, position.unit, leverage) - position.margin)


def increased(position: Position, quantity: int, price: int) -> Position:
    cost = quantity * price
    margin = initial_margin(cost, position.unit, position.leverage)
    return replace(
        position,
        size=position.size + quantity,
        cost=position.cost + cost,
        margin=position.margin + margin,
    )


def funding(position: Position, mark: int, rate: int, room: int = MOST) -> tuple[int, int]:
    """What is paid out of the margin (below 0: received), and what can't be."""
    owed = math.ceil(position.notional(mark) * rate / R)
    paid = max(-room, min(owed, position.margin - 1))
    return paid, min(MOST, max(0, owed - paid))


def break_even(position: Position, rate: int, paid: int) -> int | None:
    """The first whole price in the winning direction that brings back what was `paid` and its own closing fee."""
    a, c, d = position.size, position.cost, position.unit
    if position.side == "long":
        price = math.ceil(Fraction(R * (c + d * paid), a * (R - rate)))
    else:
        price = math.floor(Fraction(R * (c - d * paid), a * (R + rate)))
    return price if price > 0 else None


def most_margin(free: int, leverage: int, rate: int) -> int:
    return math.floor(Fraction(free * 100 * R, 100 * R + leverage * rate))


def trail_level(side: str, watermark: int, distance: int | None, percent: int | None) -> int:
    """The first whole price for which the exact rule holds."""
    if percent is None:
        assert distance is not None
        return watermark - distance if side == "long" else watermark + distance
    part = Fraction(percent, 10_000)
    return math.floor(watermark * (1 - part)) if side == "long" else math.ceil(watermark * (1 + part))

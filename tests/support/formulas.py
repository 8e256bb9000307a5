"""Where venues liquidate an isolated position, each by the formula that it publishes, in fractions.

`side` is +1 for a long and -1 for a short; `margin` is USDC, `size` the quantity, and the rates are those of a small
position of BTC in the venue's own tables.
"""

from collections.abc import Callable
from fractions import Fraction

Formula = Callable[[int, Fraction, Fraction, Fraction], Fraction]
"""Of side, margin, size and entry: the price."""


def exness(side: int, margin: Fraction, size: Fraction, entry: Fraction) -> Fraction:
    """get.exness.help, article 6173903134620: a stop out at a margin level of 0 %, where equity is gone."""
    return entry - side * margin / size


def binance(side: int, margin: Fraction, size: Fraction, entry: Fraction) -> Fraction:
    """Binance FAQ b3c689c1f50a44cabb3a84e663b81d93, isolated and one-way: LP = (WB + cum - side x q x E) / (q x MMR -
    side x q); of the lowest tier of BTC MMR is 0.4 % and cum 0."""
    return (margin - side * size * entry) / (size * Fraction(4, 1_000) - side * size)


def hyperliquid(side: int, margin: Fraction, size: Fraction, entry: Fraction) -> Fraction:
    """Hyperliquid docs, "Liquidations": price - side x margin_available / size / (1 - l x side), with l = 1 /
    MAINTENANCE_LEVERAGE and margin_available = isolated margin - maintenance margin required; maintenance is half of
    the initial margin at the largest leverage, 40."""
    share = Fraction(1, 80)
    available = margin - size * entry * share
    return entry - side * available / size / (1 - share * side)


def gmx(side: int, margin: Fraction, size: Fraction, entry: Fraction) -> Fraction:
    """gmx-synthetics, PositionUtils.isPositionLiquidatable: what is left of the collateral, the closing fee of 0.06 %
    taken off, against minCollateralFactor, 0.5 %, of the size, which is that of the entry."""
    worth = size * entry
    return entry * (1 - side * (margin - worth * (Fraction(6, 10_000) + Fraction(5, 1_000))) / worth)


def backpack(side: int, margin: Fraction, size: Fraction, entry: Fraction) -> Fraction:
    """Backpack, margin and liquidation: equity / notional at the mark against a maintenance margin fraction of
    1.25 %."""
    return (entry - side * margin / size) / (1 - side * Fraction(125, 10_000))


FORMULAS: dict[str, Formula] = {each.__name__: each for each in (exness, binance, hyperliquid, gmx, backpack)}


def first_whole(side: int, price: Fraction, decimals: int) -> int:
    """The first price of so many decimals that is due: the last that is not above it, for a long."""
    scaled = price * 10**decimals
    return scaled.__floor__() if side == 1 else scaled.__ceil__()

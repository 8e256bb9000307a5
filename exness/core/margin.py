"""The formulas of margin trading, without state. Quote, display and trigger all call these.

Source: "Trading formulas" in docs/API.md. Units: margin `M` and pnl in micro-USDC, prices scaled by the
asset's decimals, leverage in hundredths. The notional `N = M x L` is kept in hundredths of a micro-USDC,
so that it is exact: it is never rounded inside a formula.
"""

import msgspec

from exness.core.ceilings import MOST_HELD, STORED
from exness.core.events import Trade
from exness.core.instruments import LEVERAGE_UNIT, SLIPPAGE_UNIT, Side


def mark_price(bid: int, ask: int) -> int:
    """The middle of bid and ask; a half unit goes to the even neighbour."""
    middle, half = divmod(bid + ask, 2)
    return middle + (middle & 1) if half else middle


def notional(margin: int, leverage: int) -> int:
    """`N = M x L` in hundredths of a micro-USDC, exact."""
    return margin * leverage


def uncapped_pnl(side: Side, margin: int, leverage: int, entry: int, exit_: int) -> int:
    """`floor(s*N*(X-E)/E)` in micro-USDC, before negative balance protection. Rounded down: against the trader."""
    move = exit_ - entry if side is Side.LONG else entry - exit_
    return notional(margin, leverage) * move // (entry * LEVERAGE_UNIT)


def pnl(side: Side, margin: int, leverage: int, entry: int, exit_: int) -> int:
    """What the trade gains or loses at `exit_`, in micro-USDC: never less than `-margin`."""
    return max(-margin, uncapped_pnl(side, margin, leverage, entry, exit_))


def most_pnl(free: int, locked: int, margin: int) -> int:
    """The most that a close can gain an account that has this much free and locked, this trade's `margin` included.

    What it holds ends at MOST_HELD. Where an older version let it hold more than that, there is no gain, and a loss
    only if the free balance could not be stored otherwise.
    """
    return max(MOST_HELD - free - locked, min(0, STORED - free - margin))


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What the end of a trade comes to, in micro-USDC: see TradeClosed."""

    pnl: int
    returned: int
    shortfall: int


def settle(trade: Trade, price: int, most: int = STORED) -> Settlement:
    """What a trade that ends at this price comes to, of which its account can gain `most`.

    What the loss exceeds the margin by is the shortfall. The house bears it, no money moves by it, and it ends at
    STORED. At the liquidation price and beyond, all of the margin is lost.
    """
    uncapped = uncapped_pnl(trade.side, trade.margin, trade.leverage, trade.entry, price)
    gained = max(-trade.margin, min(uncapped, most))
    return Settlement(gained, trade.margin + gained, min(max(0, -trade.margin - uncapped), STORED))


def liquidation_price(side: Side, entry: int, leverage: int) -> int:
    """The first price at which the loss reaches the margin: `E -+ ceil(E*M/N)`, with `M/N = 1/L`.

    0 for a long at 1x: no price reaches it.
    """
    distance = -(-entry * LEVERAGE_UNIT // leverage)
    return entry - distance if side is Side.LONG else entry + distance


def is_due(side: Side, liquidation: int, mark: int) -> bool:
    """True when a mark at this price liquidates: at the liquidation price or through it."""
    return mark <= liquidation if side is Side.LONG else mark >= liquidation


def slippage_exceeded(expected: int, actual: int, allowed: int) -> bool:
    """True when `abs(actual - expected) / expected` is more than `allowed` hundredths of a percent. Exact."""
    return abs(actual - expected) * SLIPPAGE_UNIT > allowed * expected


def percent_of_margin(amount: int, margin: int) -> int:
    """`amount / margin` in ten-thousandths of a percent (scaled percent with 4 decimals), rounded down like pnl."""
    return amount * 1_000_000 // margin

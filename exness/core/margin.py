"""What is worked out of prices and of what an account may hold: the formulas of a position are in `line`."""

from exness.core.ceilings import MOST_HELD, STORED
from exness.core.instruments import SLIPPAGE_UNIT


def mark_price(bid: int, ask: int) -> int:
    """The middle of bid and ask; a half unit goes to the even neighbour."""
    total = bid + ask
    middle = total >> 1
    return middle + (total & middle & 1)


def most_pnl(free: int, bound: int, margin: int) -> int:
    """The most that a close can gain an account that has this much free, and locked or reserved, the `margin` that is
    closed included.

    What it holds ends at MOST_HELD. Where an older version let it hold more than that, there is no gain, and a loss
    only if the free balance could not be stored otherwise.
    """
    room = MOST_HELD - free - bound
    return room if room >= 0 else max(room, min(0, STORED - free - margin))


def slippage_exceeded(expected: int, actual: int, allowed: int) -> bool:
    """True when `abs(actual - expected) / expected` is more than `allowed` hundredths of a percent. Exact."""
    return abs(actual - expected) * SLIPPAGE_UNIT > allowed * expected


def percent_of_margin(amount: int, margin: int) -> int:
    """`amount / margin` in ten-thousandths of a percent (scaled percent with 4 decimals), rounded down like pnl."""
    return amount * 1_000_000 // margin

"""What the tests of the feeds share."""

import asyncio

from exness.core.instruments import Asset
from exness.feeds.pacing import Pacer
from exness.runtime.listings import Listing

LIFE_US = 30_000_000
T0_US = 1_722_816_000_000_000
"""2024-08-05: recordings must be of our century."""


def since_t0(row: str) -> str:
    """A row of a recording. The time of the given one counts from T0, so that it is short to read; one of six digits or
    more, or that is no number, stays as it is."""
    time, comma, rest = row.partition(",")
    if not (time.isascii() and time.isdecimal() and len(time) < 6):
        return row
    # A quote has four fields and microseconds, a candle seconds.
    return f"{int(time) + (T0_US if row.count(',') == 3 else T0_US // 10**6)}{comma}{rest}"


def instrument(asset: str, decimals: int) -> Listing:
    return Listing(Asset(asset), decimals, 10_000, name=asset, symbol=f"{asset}_USDC", image_url="")


SOL, ETH, BTC = instrument("SOL", 6), instrument("ETH", 6), instrument("BTC", 4)
INSTRUMENTS = [SOL, ETH, BTC]


class HeldPacer(Pacer):
    """A clock that moves only when someone sleeps by it, or when a test says so."""

    def __init__(self) -> None:
        self.at = 1_000.0
        self.naps: list[float] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += max(0.0, seconds)
        await asyncio.sleep(0)

"""The words of the desk that every other module of the core uses: ids, sides, instruments."""

from enum import StrEnum
from typing import NewType

import msgspec

AccountId = NewType("AccountId", str)
TradeId = NewType("TradeId", str)
OrderId = NewType("OrderId", str)
"""Of an order, and of an exit that is one. A trade has the id of the order that opened it."""
Asset = NewType("Asset", str)

LEVERAGE_DECIMALS = 2
LEVERAGE_UNIT: int = 10**LEVERAGE_DECIMALS
"""Leverage is an integer of hundredths: 40.99x is 4099."""

VOLUME_DECIMALS = 8
"""What was traded is an integer of hundred-millionths of its asset."""

SLIPPAGE_UNIT = 10_000
"""Slippage is an integer of hundredths of a percent: 10000 is 100 %."""


class Side(StrEnum):
    """Direction of a trade. `long` gains when the price rises, `short` when it falls."""

    LONG = "long"
    SHORT = "short"


class Execution(StrEnum):
    """Which price a trade opens and closes at."""

    MID = "mid"
    TOUCH = "touch"


class _Quantities(msgspec.Struct, frozen=True, kw_only=True):
    quantity_decimals: int | None = None
    """Decimals of its quantities; None: as many as `quantity_places` says."""


class Instrument(_Quantities, frozen=True):
    """One tradable asset."""

    asset: Asset
    """Our name: SOL."""
    decimals: int
    """Decimals of its prices: a price of 201.5 at 6 decimals is 201500000."""
    max_leverage: int
    """Hundredths: 10000 is 100x."""

    @property
    def quantity_places(self) -> int:
        """Decimals of its quantities."""
        return max(0, 9 - self.decimals) if self.quantity_decimals is None else self.quantity_decimals


class Trigger(StrEnum):
    """Which price sets stops, take profits and trailing stops off."""

    SIDE = "side"
    """The side of the book that the close or the opening would be at."""
    MARK = "mark"


class LimitFill(StrEnum):
    """What a limit order that waited is filled at."""

    BETTER = "better"
    """The tick's price: the limit, or better."""
    LIMIT = "limit"
    """Exactly the limit, as in a book."""

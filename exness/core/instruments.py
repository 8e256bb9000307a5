"""The words of the desk that every other module of the core uses: ids, sides, instruments."""

from enum import StrEnum
from typing import NewType

import msgspec

AccountId = NewType("AccountId", str)
TradeId = NewType("TradeId", str)
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


class Instrument(msgspec.Struct, frozen=True):
    """One tradable asset."""

    asset: Asset
    """Our name: SOL."""
    decimals: int
    """Decimals of its prices: a price of 201.5 at 6 decimals is 201500000."""
    max_leverage: int
    """Hundredths: 10000 is 100x."""

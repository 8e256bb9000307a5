"""What an asset costs: commission, maintenance margin, liquidation fee, funding. The rates, and what is valid of them.

A rate is an integer of 1e-8 (`RATE_UNIT` = 10**8): 50000 is 0.05 %. Everything is 0 by default: trading is free then,
and a trade is liquidated once its margin is gone.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import msgspec

from exness.core.instruments import LEVERAGE_UNIT

RATE_DECIMALS = 8
RATE_UNIT: int = 10**RATE_DECIMALS
"""Rates are integers of this part: 50000 is 0.05 %."""

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


class Basis(StrEnum):
    """The notional that maintenance and a held closing fee are worked out on."""

    MARK = "mark"
    ENTRY = "entry"


class Residual(StrEnum):
    """Where what a liquidation leaves goes: to the insurance, or back to the trader."""

    FORFEIT = "forfeit"
    RETURN = "return"


class FundingSource(StrEnum):
    """Where funding rates come from when they are no fixed figure."""

    FEED = "feed"
    """The venue's newest."""
    SCHEDULE = "schedule"
    """The rows of a file."""


class Tier(msgspec.Struct, frozen=True, gc=False):
    """Maintenance of the part of a notional above `floor` (micro-USDC). `max_leverage` is in hundredths, and binds a
    trade whose entry notional lies in this tier; None: only the asset's does."""

    floor: int
    rate: int
    max_leverage: int | None = None


class Requirement(NamedTuple):
    """One line of what a position must hold: `(slope x size x price + per_unit x unit + per_cost x cost) / (unit x
    RATE_UNIT)` micro-USDC. The position is due once it is due by any of its lines."""

    slope: int
    per_unit: int
    per_cost: int


class Rates(msgspec.Struct, frozen=True, dict=True):
    """The rates of one asset. Money is micro-USDC. Valid only if `problems` finds nothing."""

    taker: int = 0
    maker: int = 0
    maintenance: tuple[Tier, ...] = ()
    maintenance_basis: Basis = Basis.MARK
    hold_close_fee: bool = False
    min_margin: int = 0
    liquidation_fee: int = 0
    residual: Residual = Residual.FORFEIT
    funding_interval_s: int = 0
    """0: there is no funding."""
    funding_offset_s: int = 0
    funding_rate: int | FundingSource = 0
    """What longs pay each time, below 0 what they get."""
    funding_rate_short: int | None = None
    """What shorts pay. None: the opposite of what longs do."""
    funding_weekdays: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 1)
    """How many times the rate is paid, by day in UTC, Monday first."""

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """The lines of what a position must hold, beside that nothing may be missing. None with all rates 0.

        Rates do not fall from tier to tier, so the progressive maintenance is the largest of the lines `rate x notional
        - cum`, with `cum` the sum of `floor x (rate - rate of the tier before)`: no tier has to be looked for.
        """
        held = self.taker if self.hold_close_fee else 0
        lines = [self._requirement(held, 0)] if held else []
        if self.min_margin:
            lines.append(self._requirement(held, self.min_margin * RATE_UNIT))
        before = cum = 0
        for tier in self.maintenance:
            cum += tier.floor * (tier.rate - before)
            before = tier.rate
            if tier.rate:
                lines.append(self._requirement(tier.rate + held, -cum))
        return tuple(lines)

    def _requirement(self, rate: int, constant: int) -> Requirement:
        is_on_mark = self.maintenance_basis is Basis.MARK
        return Requirement(rate, constant, 0) if is_on_mark else Requirement(0, constant, rate)

    @property
    def dearer(self) -> int:
        """The dearer of the two commissions: what an order reserves for."""
        return max(self.taker, self.maker)

    @property
    def fixed_funding(self) -> tuple[int, int] | None:
        """What longs and what shorts pay each time. None: a feed or a schedule says so."""
        if isinstance(self.funding_rate, FundingSource):
            return None
        short = self.funding_rate_short
        return self.funding_rate, -self.funding_rate if short is None else short

    def max_leverage(self, cost: int, unit: int) -> int | None:
        """The highest leverage (hundredths) of the tier that the entry notional `cost / unit` lies in. A tier begins
        above its floor. None: no tier says any."""
        most = None
        for tier in self.maintenance:
            if cost <= tier.floor * unit:
                break
            most = tier.max_leverage
        return most

    def next_settlement(self, after: int) -> int | None:
        """The first settlement time after `after`, in microseconds since the epoch. None: there is no funding."""
        if not self.funding_interval_s:
            return None
        interval = self.funding_interval_s * SECOND_US
        offset = self.funding_offset_s * SECOND_US
        return after - (after - offset) % interval + interval

    def weight(self, at: int) -> int:
        """How many times the rate is paid at this settlement time."""
        return self.funding_weekdays[(at // DAY_US + _EPOCH_WEEKDAY) % 7]


FREE = Rates()
"""Everything is 0: no commission, no maintenance, no funding."""


class Problem(NamedTuple):
    """What is wrong with rates: the key, and what completes the sentence `<key> must ...`."""

    key: str
    must: str


def problems(rates: Rates) -> Iterator[Problem]:
    """What can't hold, key by key, in the order of the keys. Whatever passes has one liquidation price."""
    for key in ("taker", "maker", "liquidation_fee"):
        if not 0 <= getattr(rates, key) < RATE_UNIT:
            yield Problem(key, "be a rate from 0 to below 1")
    yield from _maintenance_problems(rates)
    if rates.min_margin < 0:
        yield Problem("min_margin", "not be below 0")
    if rates.funding_interval_s < 0:
        yield Problem("funding_interval_s", "not be below 0")
    if rates.funding_offset_s < 0:
        yield Problem("funding_offset_s", "not be below 0")
    for key in ("funding_rate", "funding_rate_short"):
        rate = getattr(rates, key)
        if isinstance(rate, int) and not -RATE_UNIT < rate < RATE_UNIT:
            yield Problem(key, "be a rate between -1 and 1, both excluded")
    if isinstance(rates.funding_rate, FundingSource) and rates.funding_rate_short is not None:
        yield Problem("funding_rate_short", f"be left out where funding_rate is {rates.funding_rate}")
    if len(rates.funding_weekdays) != 7 or min(rates.funding_weekdays) < 0:
        yield Problem("funding_weekdays", "be seven factors of at least 0, Monday first")


def _maintenance_problems(rates: Rates) -> Iterator[Problem]:
    tiers = rates.maintenance
    if any(tier.floor < 0 or tier.rate < 0 for tier in tiers):
        yield Problem("maintenance", "have no floor and no rate below 0")
    if any(tier.max_leverage is not None and tier.max_leverage < LEVERAGE_UNIT for tier in tiers):
        yield Problem("maintenance", "have no max_leverage below 1")
    if any(below.floor >= above.floor for below, above in pairwise(tiers)):
        yield Problem("maintenance", "have tiers whose floors rise")
    if any(below.rate > above.rate for below, above in pairwise(tiers)):
        yield Problem("maintenance", "have tiers whose rates do not fall")
    held = rates.taker if rates.hold_close_fee else 0
    if any(tier.rate + held >= RATE_UNIT for tier in tiers):
        yield Problem("maintenance", "stay below 1 in every tier, the taker fee included where hold_close_fee is on")

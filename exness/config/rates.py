"""The settings of [rates], defined as those of `schema`."""

from pathlib import Path
from typing import Annotated

import msgspec

from exness.config import kinds, rate_kinds
from exness.config.kinds import integer, optional
from exness.core.rates import Basis, FundingSource, Residual, Tier

_WEEK_S = 604_800


class RatesConfig(msgspec.Struct, frozen=True):
    """What trading costs: commission, maintenance margin, liquidation fee, funding. Everything is free unless a profile
    or a key says otherwise. Rates are decimal fractions: 0.0005 is 0.05 %. A section [rates.<ASSET>] with any of these
    keys but insurance and funding_file goes over it for that asset."""

    taker: Annotated[int, rate_kinds.FEE] = 0
    """Commission of fills at the market, on the notional, opening and closing."""
    maker: Annotated[int, rate_kinds.FEE] = 0
    """Commission of limit orders that waited."""
    maintenance: Annotated[tuple[Tier, ...], rate_kinds.MAINTENANCE] = ()
    """Maintenance margin, as a share of the notional: a trade is liquidated once its margin and pnl are not more than
    that. In tiers each part of the notional above a floor (in USDC) pays that tier's rate; leverage above max_leverage
    of the entry notional's tier is refused."""
    maintenance_basis: Basis = Basis.MARK
    """Notional that maintenance is worked out on. "mark": at the mark. "entry": at the entry."""
    hold_close_fee: bool = False
    """true: the commission of closing is held beside the maintenance margin."""
    min_margin: Annotated[int, kinds.usdc(zero=True)] = 0
    """Least maintenance margin of a trade."""
    liquidation_fee: Annotated[int, rate_kinds.FEE] = 0
    """Taken at a liquidation, on the notional at the mark, from what is left."""
    residual: Residual = Residual.FORFEIT
    """What a liquidation leaves. "forfeit": it goes to the insurance. "return": to the trader."""
    funding_interval_s: Annotated[int, integer(0, _WEEK_S)] = 0
    """Time between settlements of funding, in seconds. 0: there is none."""
    funding_offset_s: Annotated[int, integer(0, _WEEK_S)] = 0
    """Settlements are this long after midnight UTC of 1970-01-01, and whole intervals later, in seconds."""
    funding_rate: Annotated[int | FundingSource, rate_kinds.FUNDING] = 0
    """What longs pay at each settlement, on the notional at the mark; below 0 they receive. "feed": the venue's newest
    rate. "schedule": the rates of funding_file."""
    funding_rate_short: Annotated[int | None, rate_kinds.FUNDING_SHORT] = None
    """What shorts pay."""
    funding_weekdays: Annotated[tuple[int, ...], rate_kinds.WEEKDAYS] = (1, 1, 1, 1, 1, 1, 1)
    """How many times the rate is paid on each day of the week, in UTC."""
    insurance: Annotated[int, kinds.usdc(zero=True)] = 0
    """What the house puts into its insurance at the first start and after a reset."""
    funding_file: Annotated[Path | None, optional(kinds.PATH)] = None
    """A CSV file of funding rates: time, asset, rate and, if it is another one for shorts, rate_short."""


RATES_OF_ALL = ("insurance", "funding_file")
"""Keys of [rates] that no asset has of its own."""

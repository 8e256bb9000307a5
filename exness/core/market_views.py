"""What everybody may see of an asset beside its price: what funding comes to, and how much is open."""

import msgspec

from exness.core.books import NOTIONAL_UNIT
from exness.core.instruments import Asset
from exness.core.money import USDC_DECIMALS
from exness.core.rules import Rules
from exness.core.state import State


class Funding(msgspec.Struct, frozen=True, gc=False):
    """The rate that longs pay at the next settlement by what is known now (1e-8), and when that is (microseconds);
    `newest` is the venue's rate. None: there is no funding. It is in no record."""

    rate: int
    next_at: int | None
    newest: int
    seq: int = 0


class FundingOf(msgspec.Struct, frozen=True, gc=False):
    """What does funding of this asset come to?"""

    asset: Asset

    def answer(self, state: State, rules: Rules, at: int) -> Funding:
        market = state.markets.get(self.asset)
        newest = 0 if market is None else market.funding
        rates = rules.rates_of(self.asset)
        next_at = rates.next_settlement(at)
        if next_at is None:
            return Funding(0, None, newest)
        return Funding(rules.funding_of(self.asset, next_at, newest)[0] * rates.weight(next_at), next_at, newest)


class OpenInterest(msgspec.Struct, frozen=True, gc=False):
    """A quantity of the asset, scaled by its quantity's decimals, rounded down; 0 while there is no price."""

    quantity: int
    seq: int


class OpenInterestOf(msgspec.Struct, frozen=True, gc=False):
    """How much of this asset is open, at the mark?"""

    asset: Asset

    def answer(self, state: State, rules: Rules, at: int) -> OpenInterest:
        market = state.markets.get(self.asset)
        if market is None or market.price is None:
            return OpenInterest(0, state.seq)
        instrument = rules.instruments[self.asset]
        unit = NOTIONAL_UNIT * 10**USDC_DECIMALS * market.price.mark
        scale = 10 ** (instrument.decimals + instrument.quantity_places)
        return OpenInterest(market.open_interest * scale // unit, state.seq)

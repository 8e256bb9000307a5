"""Questions about all accounts together, and the views that answer them: see `views`."""

import msgspec

from exness.core.books import NOTIONAL_UNIT
from exness.core.capture import digest_of
from exness.core.instruments import LEVERAGE_UNIT, Asset
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.tick_order import EXIT_ROWS, ORDER_ROWS
from exness.core.trades import Kind

_SHOWN = NOTIONAL_UNIT // LEVERAGE_UNIT


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The last record there is, and the engine's time then or later."""

    seq: int
    at: int


class NewestRecord(msgspec.Struct, frozen=True):
    """How far has the exchange come?"""

    def answer(self, state: State, rules: Rules, at: int) -> Newest:
        return Newest(state.seq, state.at)


class MarketSums(msgspec.Struct, frozen=True, gc=False):
    """Of one asset: `open_interest` and `exposure` are hundredths of a micro-USDC, rounded down, see `Market`."""

    open_trades: int
    open_interest: int
    exposure: int


class Books(msgspec.Struct, frozen=True):
    """Sums over all accounts, in micro-USDC."""

    seq: int
    at: int
    accounts: int
    open_trades: int
    free: int
    locked: int
    house_pnl: int
    deposits: int
    shortfall: int
    reserved: int
    commission: int
    funding: int
    insurance: int
    markets: dict[Asset, MarketSums]
    """Also of assets that are not configured any more."""

    @property
    def is_balanced(self) -> bool:
        """To the last unit."""
        house = self.house_pnl + self.commission + self.funding + self.insurance
        return self.free + self.locked + self.reserved + house == self.deposits


class AllBooks(msgspec.Struct, frozen=True):
    """What do all accounts come to?"""

    def answer(self, state: State, rules: Rules, at: int) -> Books:
        return books_of(state)


def books_of(state: State) -> Books:
    return Books(
        seq=state.seq,
        at=state.at,
        accounts=len(state.account_list),
        open_trades=state.open_trades,
        free=state.free,
        locked=state.locked,
        house_pnl=state.house.pnl,
        deposits=state.deposits,
        shortfall=state.shortfall,
        reserved=state.reserved,
        commission=state.house.commission,
        funding=state.house.funding,
        insurance=state.house.insurance,
        markets={
            asset: MarketSums(market.open_trades, market.open_interest // _SHOWN, market.exposure // _SHOWN)
            for asset, market in state.markets.items()
        },
    )


class WaitingByKind(msgspec.Struct, frozen=True):
    """How many orders wait to open, and exits to close, over all assets and by kind. An order that has a stop is one of
    kind stop until that is reached, whatever its limit."""

    orders: dict[Kind, int]
    exits: dict[Kind, int]
    seq: int = 0


class AllWaiting(msgspec.Struct, frozen=True):
    """What waits for a price?"""

    def answer(self, state: State, rules: Rules, at: int) -> WaitingByKind:
        return WaitingByKind(_waiting(state, ORDER_ROWS), _waiting(state, EXIT_ROWS), state.seq)


def _waiting(state: State, rows: dict[Kind, int]) -> dict[Kind, int]:
    markets = state.markets.values()
    return {
        kind: sum(len(market.rows[row]) + len(market.rows[row + 1]) for market in markets) for kind, row in rows.items()
    }


class StateDigest(msgspec.Struct, frozen=True):
    """See `capture.digest_of`."""

    seq: int
    digest: str


class DigestOfAll(msgspec.Struct, frozen=True):
    """What does the whole state hash to? It takes as long as a snapshot, in one piece."""

    def answer(self, state: State, rules: Rules, at: int) -> StateDigest:
        return StateDigest(state.seq, digest_of(state))

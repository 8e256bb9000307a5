"""An account's money while a command is decided, as it will be once all that is decided so far is applied."""

import msgspec

from exness.core.ceilings import MOST_HELD
from exness.core.events import TradeClosed, TradeReduced
from exness.core.state import Account, State


class Funds(msgspec.Struct, gc=False):
    """`seq` is that of the next record; `bound` is locked or reserved. Micro-USDC."""

    seq: int
    free: int
    bound: int
    insurance: int
    left_out: int = 0
    """The notional of an order that what is decided comes from: as `books` keeps it."""

    @property
    def most(self) -> int:
        """The most that it can still come to hold."""
        return max(0, MOST_HELD - self.free - self.bound)

    def release(self, reserved: int) -> None:
        """A reserve is given back."""
        self.free += reserved
        self.bound -= reserved

    def take(self, event: TradeClosed | TradeReduced) -> None:
        """A trade, or a part of it, has ended."""
        self.free += event.returned
        self.bound -= event.margin
        self.insurance -= event.covered
        self.seq += 1


def funds_of(state: State, account: Account) -> Funds:
    return Funds(state.seq + 1, account.free, account.bound, state.house.insurance)

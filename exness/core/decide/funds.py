"""An account's money while a command is decided, as it will be once all that is decided so far is applied."""

import msgspec

from exness.core import margin
from exness.core.ceilings import MOST_HELD
from exness.core.state import Account, State


class Funds(msgspec.Struct, gc=False):
    """`seq` is that of the next record; `bound` is locked or reserved. Micro-USDC."""

    seq: int
    free: int
    bound: int
    insurance: int
    left_out: int = 0
    """The notional of an order that what is decided comes from: as `books` keeps it."""

    def most_pnl(self, part: int) -> int:
        """The most that a close of so much margin can gain."""
        return margin.most_pnl(self.free, self.bound, part)

    @property
    def most(self) -> int:
        """The most that it can still come to hold."""
        return max(0, MOST_HELD - self.free - self.bound)

    def release(self, reserved: int) -> None:
        """A reserve is given back."""
        self.free += reserved
        self.bound -= reserved

    def close(self, part: int, returned: int, covered: int) -> None:
        """A trade, or a part of it, of so much margin has ended."""
        self.free += returned
        self.bound -= part
        self.insurance -= covered
        self.seq += 1


def funds_of(state: State, account: Account) -> Funds:
    return Funds(state.seq + 1, account.free, account.locked + account.reserved, state.house.insurance)

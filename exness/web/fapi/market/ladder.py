"""A book around bid and ask, made up: there is none here, as every order is filled at the price.

Which levels it has, and what waits at each, follows from bid and ask alone: every server shows the same, and it needs
no memory. Below the bid and above the ask the levels stand on a grid that does not move with the price, and what waits
at one depends on its price only. So when the price moves, what changes is the touch and the few levels at the edges.
"""

from collections.abc import Iterator

import msgspec

from exness.core.instruments import Instrument

LEVELS = 1000
"""Of each side, at most."""
_DIGITS = 5
"""The grid is so fine that the touch has as many digits: from 0.001 % to 0.01 % of the price."""
_LEAST_VALUE = 20_000
_MOST_MORE = 80_000
"""What waits at a level is worth from 20,000 to 100,000 of the quote."""

Changed = tuple[set[int], set[int]]
"""Prices of bids and of asks."""


class Ladder(msgspec.Struct, frozen=True, gc=False):
    """The book at one bid and ask, scaled prices."""

    bid: int
    ask: int

    @property
    def gap(self) -> int:
        return int(10 ** max(0, len(str(self.bid)) - _DIGITS))

    def bids(self, levels: int = LEVELS) -> Iterator[int]:
        """Best first."""
        yield self.bid
        gap, grid = self.gap, self.bid_grid
        for index in range(grid.stop - 1, max(grid.start, grid.stop - levels + 1) - 1, -1):
            yield index * gap

    def asks(self, levels: int = LEVELS) -> Iterator[int]:
        """Best first."""
        yield self.ask
        gap, grid = self.gap, self.ask_grid
        for index in grid[: levels - 1]:
            yield index * gap

    def has_bid(self, price: int) -> bool:
        gap = self.gap
        return price == self.bid or (price % gap == 0 and price // gap in self.bid_grid)

    def has_ask(self, price: int) -> bool:
        gap = self.gap
        return price == self.ask or (price % gap == 0 and price // gap in self.ask_grid)

    @property
    def bid_grid(self) -> range:
        """Below the touch, by number on the grid."""
        end = (self.bid - 1) // self.gap + 1
        return range(max(1, end - LEVELS + 1), end)

    @property
    def ask_grid(self) -> range:
        start = self.ask // self.gap + 1
        return range(start, start + LEVELS - 1)

    def changes(self, after: "Ladder") -> Changed:
        """The prices at which another book has something else. O(what changes), unless the grid does."""
        if self.gap != after.gap:
            return set(self.bids()) ^ set(after.bids()), set(self.asks()) ^ set(after.asks())
        gap = self.gap
        bids = {index * gap for index in _in_one(self.bid_grid, after.bid_grid)} | {self.bid, after.bid}
        asks = {index * gap for index in _in_one(self.ask_grid, after.ask_grid)} | {self.ask, after.ask}
        return (
            {price for price in bids if self.has_bid(price) != after.has_bid(price)},
            {price for price in asks if self.has_ask(price) != after.has_ask(price)},
        )


def quantity_at(price: int, instrument: Instrument) -> int:
    """What waits at a level, by its price alone; scaled by the quantity's decimals."""
    drawn = (price * 0x9E3779B97F4A7C15 >> 40) & 0xFFFF
    value = _LEAST_VALUE + (_MOST_MORE * drawn >> 16)
    return max(1, value * int(10 ** (instrument.decimals + instrument.quantity_places)) // price)


def _in_one(one: range, other: range) -> Iterator[int]:
    """What is in one of two ranges, and not in both."""
    first, second = (one, other) if one.start <= other.start else (other, one)
    yield from range(first.start, min(first.stop, second.start))
    low, high = sorted((first.stop, second.stop))
    yield from range(max(low, second.start), high)

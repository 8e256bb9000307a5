"""The books as they are told: who was shown which state, by one number that each asset's book counts.

A book is looked at when somebody asks for it or follows it, and its number grows with every state that is seen. Events
have even numbers and snapshots the odd one after, so that a snapshot lies between two events: the first event after it
begins at its number or before and ends after it, whichever way a client compares.
"""

import msgspec

from exness.core.instruments import Asset
from exness.core.prices import Price
from exness.web.fapi.market.ladder import Changed, Ladder

MOST_PENDING = 8 * 1000
"""Levels that may wait for the next event of a chain. One that has more is due at once."""


class BookEvent(msgspec.Struct, frozen=True):
    """What has changed from the update `first` to `last`; `before` is where the event before it ended. Bids are sorted
    best first, so are asks; what is not in `ladder` is gone."""

    first: int
    last: int
    before: int
    bids: list[int]
    asks: list[int]
    ladder: Ladder


class _Chain:
    """Those who are told at the same times."""

    def __init__(self, update: int) -> None:
        self.told = update
        self.bids: set[int] = set()
        self.asks: set[int] = set()

    def add(self, changed: Changed) -> None:
        self.bids |= changed[0]
        self.asks |= changed[1]

    @property
    def is_full(self) -> bool:
        return len(self.bids) + len(self.asks) >= MOST_PENDING


class Book:
    """One asset's. `update` is even; `start` should be higher than any number that was told before a restart."""

    def __init__(self, start: int) -> None:
        self.update = start - start % 2
        self.ladder: Ladder | None = None
        self._chains: dict[str, _Chain] = {}

    @property
    def snapshot(self) -> int:
        """The number of a picture of now."""
        return self.update + 1

    def observe(self, price: Price | None) -> Ladder | None:
        """The book at this price. None: there was none yet."""
        if price is None:
            return self.ladder
        before, ladder = self.ladder, Ladder(price.bid, price.ask)
        if ladder != before:
            self.ladder = ladder
            self.update += 2
            if self._chains:
                changed = before.changes(ladder) if before is not None else (set(ladder.bids()), set(ladder.asks()))
                for chain in self._chains.values():
                    chain.add(changed)
        return ladder

    def follow(self, chain: str) -> None:
        """From now on there are events of this chain; nothing if there are already."""
        self._chains.setdefault(chain, _Chain(self.update))

    def leave(self, chain: str) -> None:
        self._chains.pop(chain, None)

    def is_full(self, chain: str) -> bool:
        return self._chains[chain].is_full

    def take(self, chain: str) -> BookEvent | None:
        """What has changed since the event before; None: nothing was seen to."""
        told = self._chains[chain]
        if self.ladder is None or told.told == self.update:
            return None
        bids, asks, before = sorted(told.bids, reverse=True), sorted(told.asks), told.told
        self._chains[chain] = _Chain(self.update)
        return BookEvent(before + 1, self.update, before, bids, asks, self.ladder)


class Books:
    """Of all assets. `start_ms` is the wall's time: one number per millisecond is more than there are prices."""

    def __init__(self, start_ms: int) -> None:
        self._start = 2 * start_ms
        self._books: dict[Asset, Book] = {}

    def of(self, asset: Asset) -> Book:
        found = self._books.get(asset)
        if found is None:
            found = self._books[asset] = Book(self._start)
        return found

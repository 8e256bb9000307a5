"""What time brings: expiries of orders and settlements of funding, by due time.

At one time expiries come before settlements, expiries by number, settlements by asset.
"""

from typing import Generic, NamedTuple, TypeVar

from exness.core.instruments import Asset
from exness.core.price_index import RISING, PriceIndex

T = TypeVar("T")


class Expiry(NamedTuple, Generic[T]):
    """This thing ends at this time (microseconds)."""

    at: int
    thing: T


class SettlementTime(NamedTuple):
    """Funding of this asset is settled at this time (microseconds)."""

    at: int
    asset: Asset


class DueTimes(Generic[T]):
    """Expiries by time and number, and the next settlement of each asset. There are few assets."""

    __slots__ = ("_expiries", "_settlements", "next_due")

    def __init__(self) -> None:
        self._expiries: PriceIndex[T] = PriceIndex(RISING)
        self._settlements: list[SettlementTime] = []
        """Nearest first."""
        self.next_due: int | None = None
        """The nearest time at which anything is due."""

    def __len__(self) -> int:
        return len(self._expiries) + len(self._settlements)

    @property
    def expiring(self) -> int:
        """How many expiries there are."""
        return len(self._expiries)

    def add_expiry(self, at: int, number: int, thing: T) -> None:
        """O(log n)."""
        self._expiries.add(at, number, thing)
        if self.next_due is None or at < self.next_due:
            self.next_due = at

    def remove_expiry(self, at: int, number: int) -> T:
        """What was added so, done or not needed any more. O(log n)."""
        thing = self._expiries.remove(at, number)
        self._look()
        return thing

    def settle_next(self, asset: Asset, at: int | None) -> None:
        """When funding of the asset is settled next; None: never."""
        others = [each for each in self._settlements if each.asset != asset]
        self._settlements = sorted(others if at is None else [*others, SettlementTime(at, asset)])
        self._look()

    def first_due(self, at: int) -> Expiry[T] | SettlementTime | None:
        """What is due first, at or before this time. Changes nothing. O(1)."""
        if self.next_due is None or self.next_due > at:
            return None
        expiry = self._expiries.first()
        if expiry is not None and expiry[0] == self.next_due:
            return Expiry(expiry[0], expiry[2])
        return self._settlements[0]

    def _look(self) -> None:
        expiry = self._expiries.first()
        times = [expiry[0]] if expiry is not None else []
        times += [self._settlements[0].at] if self._settlements else []
        self.next_due = min(times, default=None)

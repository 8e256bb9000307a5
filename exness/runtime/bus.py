"""Every durable record, in order, to whoever in the process subscribes.

A subscriber that falls behind by more than its bound is cut off and told so: the exchange never waits for one. One that
has taken everything is not behind, however many records come at once: a batch is as large as what one tick set off.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from exness.core.events import Record


class FellBehind(Exception):
    """This subscriber did not keep up. It has missed records from here on and must start afresh."""


class Subscription:
    """An async iterator over records. Close it by leaving its `with` block."""

    def __init__(self, bus: "Bus", bound: int) -> None:
        self._bus = bus
        self._bound = bound
        self._records: deque[Record] = deque()
        self._arrived = asyncio.Event()
        self._cut_off = False
        self._closed = False

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.drop(self)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Record:
        """The next record. Raises FellBehind after the last that was kept, StopAsyncIteration when the bus closed."""
        while not self._records:
            if self._cut_off:
                raise FellBehind
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._records.popleft()

    def offer(self, records: Sequence[Record]) -> bool:
        """Take records if they fit, or if nothing waits; False when this subscriber is now cut off."""
        if self._records and len(self._records) + len(records) > self._bound:
            self._cut_off = True
        else:
            self._records.extend(records)
        self._arrived.set()
        return not self._cut_off

    @property
    def waiting(self) -> int:
        return len(self._records)

    def close(self) -> None:
        self._closed = True
        self._arrived.set()


class Bus:
    """Broadcasts records. `bound` is how many a subscriber may have waiting when more come."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._subscriptions: list[Subscription] = []
        self.cut_off = 0
        """Subscribers that fell behind, so far."""

    @property
    def bound(self) -> int:
        return self._bound

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    @property
    def furthest_behind(self) -> int:
        """Records that wait for the slowest subscriber."""
        return max((subscription.waiting for subscription in self._subscriptions), default=0)

    def subscribe(self) -> Subscription:
        """From now on, every record published."""
        subscription = Subscription(self, self._bound)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, records: Sequence[Record]) -> None:
        """Hand records to everyone. Costs nothing when nobody listens."""
        if not self._subscriptions:
            return
        slow = [subscription for subscription in self._subscriptions if not subscription.offer(records)]
        self.cut_off += len(slow)
        for subscription in slow:
            self.drop(subscription)

    def drop(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def close(self) -> None:
        """Nothing more will come."""
        for subscription in self._subscriptions:
            subscription.close()

"""One subscriber of the stream: what waits for it while it is too slow, and when it has waited too long.

Who keeps up gets every frame straight onto the wire. While the wire is full, events wait in their order, up to a bound,
and of each price and candle the newest frame waits alone. Who has more events waiting than the bound is told goodbye.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from exness.access.sessions import Session
from exness.core.instruments import AccountId
from exness.web.stream.protocol import PRIVATE, CloseCode, ping_frame

BYTES_PER_WRITE = 32_768
SUBSCRIBERS_PER_TURN = 200
"""Subscribers that one broadcast serves before the loop gets a turn."""

Slot = tuple[str, str]
"""Channel and asset: of each, the newest frame is enough."""


class Wire(Protocol):
    """The way to one client."""

    @property
    def writable(self) -> bool:
        """Whether it takes more just now. When it does again, somebody calls `Subscriber.flush`."""
        ...

    def write(self, data: bytes, /) -> None:
        """Send, or keep to send. Never waits."""
        ...

    def abort(self) -> None:
        """End the connection at once."""
        ...

    def stall(self) -> None:
        """Read nothing any more."""
        ...


class Subscriber:
    """One connection. `bound` is how many events may wait for it; `client` the client IP it counts for."""

    def __init__(self, wire: Wire, bound: int, now_s: float, client: str = "") -> None:
        self.client = client
        self.email = ""
        """Whose place it has, among those of accounts; "" before somebody signs in."""
        self.session: Session | None = None
        self.account: AccountId | None = None
        """Whose `private` channels are."""
        self.market: dict[str, int] = {}
        """Channels it listens to, and the seq its snapshot had: what comes later is for it."""
        self.private: dict[str, int] = {}
        """Likewise for `trades` and `account`; the seq is the journal's."""
        self.heard_s = now_s
        self.pinged_s: float | None = None
        """When it was pinged, if nothing has come since."""
        self.close_code: CloseCode | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing more will be sent."""
        self._wire = wire
        self._bound = bound
        self._events: deque[bytes] = deque()
        self._newest: dict[Slot, bytes] = {}
        self._held: deque[tuple[str, int, bytes]] | None = None
        self._last_code: CloseCode | None = None
        self._drained: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """Events that wait."""
        return len(self._events) + len(self._held or ())

    @property
    def subscriptions(self) -> int:
        return len(self.market) + len(self.private)

    # --- what is sent ---------------------------------------------------------------------------------------------

    def put(self, frame: bytes) -> None:
        """Send a frame that must not be lost, after those before it."""
        if self.close_code is not None:
            return
        if not self._events and self._wire.writable:
            self._wire.write(frame)
        elif self.waiting >= self._bound:
            self.end(CloseCode.FELL_BEHIND)
        else:
            self._events.append(frame)

    def send(self, channel: str, seq: int, frame: bytes) -> None:
        """Send an event of the journal; while `hold` is on it waits for `release`."""
        if self._held is None:
            self.put(frame)
        elif self.waiting >= self._bound:
            self.end(CloseCode.FELL_BEHIND)
        else:
            self._held.append((channel, seq, frame))

    def offer(self, frames: Iterable[tuple[Slot, bytes]], whole: bytes) -> None:
        """Send what is of use only while it is new. `whole` is all the frames in one."""
        if self.close_code is not None:
            return
        if not self._events and not self._newest and self._wire.writable:
            self._wire.write(whole)
        else:
            self._newest.update(frames)

    def hold(self) -> None:
        """Until `release`, events wait: what comes before them is being found out."""
        if self._held is None:
            self._held = deque()

    def release(self) -> None:
        """Let the held events go, but for those that a snapshot has told meanwhile."""
        held, self._held = self._held or (), None
        for channel, seq, frame in held:
            if seq > self.private.get(channel, seq):
                self.put(frame)

    def forget(self, channel: str) -> None:
        """Listen no more to a channel."""
        self.market.pop(channel, None)
        self.private.pop(channel, None)
        for slot in [each for each in self._newest if each[0] == channel]:
            del self._newest[slot]

    def ping(self, now_s: float) -> None:
        self.pinged_s = now_s
        self._wire.write(ping_frame())

    def heard(self, now_s: float) -> None:
        """It said something, so it is there."""
        self.heard_s = now_s
        self.pinged_s = None

    # --- when the wire takes more ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """The wire takes more: events first, then the newest of the rest."""
        while self._events and self._wire.writable:
            self._wire.write(self._next_events())
        while self._newest and not self._events and self._wire.writable:
            self._wire.write(self._newest.pop(next(iter(self._newest))))
        if not self._events:
            self._wake()
        if self._last_code is not None:
            self.end_when_sent(self._last_code)

    async def drained(self) -> None:
        """Return when no event waits in front, or when it is over. For one caller at a time."""
        while self._events and self.close_code is None:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def end_when_sent(self, code: CloseCode) -> None:
        """`end`, once what waits has gone out."""
        self._last_code = code
        if not self._events and not self._held:
            self.end(code)

    def end(self, code: CloseCode) -> None:
        """Nothing more goes to this subscriber, not even what waits, but a goodbye with this code."""
        if self.close_code is not None:
            return
        self.close_code = code
        self._events.clear()
        self._newest.clear()
        self._held = None
        self._wake()
        if not self.over.done():
            self.over.set_result(None)

    def _next_events(self) -> bytes:
        frames, size = [self._events.popleft()], 0
        while self._events and (size := size + len(frames[-1])) < BYTES_PER_WRITE:
            frames.append(self._events.popleft())
        return b"".join(frames)

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


def private_channels(subscriber: Subscriber) -> list[tuple[str, int]]:
    """A subscriber's private channels in the order in which one record's frames go out."""
    return [(channel, subscriber.private[channel]) for channel in PRIVATE if channel in subscriber.private]

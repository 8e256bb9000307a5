"""How many connections there may be, in all and of one client, and how long one may take to say something.

A connection that has begun a request and does not finish its head in time, or that is idle too long, is closed by one
task that looks at all of them every so often: per request this costs two clock readings and no timer.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from exness.web.http.client_ip import ClientIps, counted
from exness.web.http.security_log import SecurityLog

FREE_TIMES = 2
"""How many times as many places as are free one may hold."""


class Places:
    """So many places, and nobody gets another who holds twice as many as are free, nor more than `most_each`.

    Who takes all there is to get has two thirds of them; two who do have two fifths each, and a fifth is free; and so
    on. The fewer places are left, the fewer one may hold to get another, so newcomers go before those who have many.
    (Switches share their memory between queues by this rule; there it is called a dynamic threshold.)
    """

    def __init__(self, places: int, most_each: int | None = None) -> None:
        self._places = places
        self._most_each = most_each if most_each is not None else places
        self._held: Counter[str] = Counter()
        self.taken = 0

    @property
    def full(self) -> bool:
        return self.taken >= self._places

    def allows(self, who: str) -> bool:
        """Whether there is another one for `who`."""
        return self._held.get(who, 0) < min(FREE_TIMES * (self._places - self.taken), self._most_each)

    def take(self, who: str) -> None:
        self.taken += 1
        self._held[who] += 1

    def give_back(self, who: str) -> None:
        self.taken -= 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]


class OneConnection(Protocol):
    """What is known of a connection here."""

    deadline: float
    """The loop's time at which it is overdue."""

    def overdue(self) -> None:
        """It said nothing for too long."""


class Bounds(msgspec.Struct, frozen=True):
    """Of all connections. Times are seconds."""

    connections: int = 4000
    connections_per_ip: int = 1000
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0


class Connections:
    """All open connections of one server."""

    def __init__(
        self, bounds: Bounds | None = None, client_ips: ClientIps | None = None, security_log: SecurityLog | None = None
    ) -> None:
        self.bounds = bounds or Bounds()
        self._client_ips = client_ips or ClientIps()
        self.security_log = security_log or SecurityLog()
        self._open: set[OneConnection] = set()
        self._places = Places(self.bounds.connections, self.bounds.connections_per_ip)

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: OneConnection, peer: str) -> bool:
        """Count it in, unless there are too many. A trusted proxy's are its clients', whom nobody knows yet: they only
        count as a whole."""
        ip = counted(peer)
        if self._places.full:
            self.security_log.refused("connections", ip)
            return False
        if not self._places.allows(ip) and not self._client_ips.is_proxy(peer):
            self.security_log.refused("connections_per_ip", ip)
            return False
        self._open.add(connection)
        self._places.take(ip)
        return True

    def forget(self, connection: OneConnection, peer: str) -> None:
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._places.give_back(counted(peer))

    def refused(self, reason: str, peer: str) -> None:
        self.security_log.refused(reason, counted(peer))

    @asynccontextmanager
    async def swept(self) -> AsyncIterator[None]:
        """Close what is overdue, as long as the context is open."""
        sweeper = asyncio.create_task(self._sweep(), name="connections")
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)

    async def _sweep(self) -> None:
        pause_s = min(1.0, self.bounds.head_timeout_s / 4, self.bounds.idle_timeout_s / 4)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause_s)
            now = loop.time()
            for connection in [each for each in self._open if each.deadline < now]:
                connection.overdue()

"""The subscribers of one kind of stream: who comes and goes, who has fallen silent, and how all are told goodbye.

What they are told, and how they are spoken with, is for whoever builds on it: the hub of /stream, and other dialects.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from exness.web.http.connection_limits import Places
from exness.web.http.errors import ApiError
from exness.web.http.faults import Faults
from exness.web.services import StreamBounds
from exness.web.stream.faulty import FaultySubscriber
from exness.web.stream.protocol import CloseCode
from exness.web.stream.subscriber import Subscriber, Wire

SWEEP_S = 1.0
"""How often subscribers are looked at."""
DRAIN_S = 1.0
"""How long each step of the end may take: the last events, and the subscribers that are behind."""
RETRY_S = 1.0

_log = structlog.get_logger("exness.web.stream.pool")


class SubscriberPool:
    """Connected clients. `places` are those of all streams of a server.

    Whoever says nothing for `bounds.ping_interval_s` is pinged, and let go `ping_timeout_s` later.
    """

    def __init__(self, bounds: StreamBounds, places: Places, *, faults: Faults | None = None) -> None:
        """`faults`: what goes wrong on request."""
        self.bounds = bounds
        self.stopping = False
        self.closed: Counter[str] = Counter()
        """Connections that we ended, by close code."""
        self.subscribers: set[Subscriber] = set()
        self._by_client = places
        self._faults = faults

    def admit(self, wire: Wire, client: str) -> Subscriber:
        """A subscriber of nothing yet, of a client IP, that is to be counted in.

        Raises ApiError(overloaded, rate_limited, shutting_down).
        """
        if self.stopping:
            raise ApiError("shutting_down")
        if self._by_client.full:
            raise ApiError("overloaded", "The stream has as many readers as it can serve; try again later")
        if not self._by_client.allows(client):
            raise ApiError("rate_limited", "Too many streams from this address; close some and try again")
        return self._subscriber(wire, asyncio.get_running_loop().time(), client)

    def _subscriber(self, wire: Wire, now_s: float, client: str) -> Subscriber:
        if self._faults is None:
            return Subscriber(wire, self.bounds.queue, now_s, client)
        return FaultySubscriber(wire, self.bounds.queue, now_s, client, self._faults)

    def count_in(self, subscriber: Subscriber) -> None:
        """Until `leave`."""
        self._by_client.take(subscriber.client)
        self.subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """It is gone."""
        subscriber.end(CloseCode.NORMAL)
        self.closed[str(int(subscriber.close_code or CloseCode.NORMAL))] += 1
        if subscriber in self.subscribers:
            self.subscribers.discard(subscriber)
            self._by_client.give_back(subscriber.client)

    def check(self, subscriber: Subscriber, now_s: float) -> None:
        """Ping it, or let it go, if it has been silent for too long."""
        subscriber.flush()  # a connection of plain aiohttp does not say when it takes more
        if subscriber.pinged_s is not None:
            if now_s - subscriber.pinged_s >= self.bounds.ping_timeout_s:
                subscriber.end(CloseCode.NO_PONG)
        elif now_s - subscriber.heard_s >= self.bounds.ping_interval_s:
            subscriber.ping(now_s)

    def end_all(self, code: CloseCode) -> None:
        for subscriber in list(self.subscribers):
            subscriber.end(code)

    async def say_goodbye(self) -> None:
        """Let all go once what waits for them has gone out. Takes at most DRAIN_S, however slow they are."""
        subscribers = list(self.subscribers)
        for subscriber in subscribers:
            subscriber.end_when_sent(CloseCode.GOING_AWAY)
        if subscribers:
            await asyncio.wait([subscriber.over for subscriber in subscribers], timeout=DRAIN_S)
        self.end_all(CloseCode.GOING_AWAY)

    async def kept_up(self, job: Callable[[], Awaitable[None]]) -> None:
        """Run a job for ever. A bug in it costs the subscribers their connection, and the exchange nothing."""
        while True:
            try:
                await job()
            except Exception:  # noqa: BLE001 - see above
                _log.exception("the stream failed; its readers must connect again")
                self.end_all(CloseCode.INTERNAL_ERROR)
            await asyncio.sleep(RETRY_S)

"""The sockets of the face: who comes and goes and what each follows. What is told of the market is MarketStreams'
business, what is told of users that of `private`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import msgspec
from aiohttp import web

from exness.runtime.exchange import Exchange
from exness.web.fapi.market.handlers import MarketData
from exness.web.fapi.streams.market import MarketStreams
from exness.web.http.connection_limits import Places
from exness.web.http.faults import Faults
from exness.web.services import Fapi, StreamBounds
from exness.web.stream.pool import SWEEP_S, SubscriberPool
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Subscriber, Wire

PING_S = 180.0
PONG_S = 600.0
"""Pings every three minutes, ten minutes to say anything at all: as Binance has it."""


class Member(NamedTuple):
    """One socket. `is_wrapped`: each of its events names its stream."""

    subscriber: Subscriber
    is_wrapped: bool


class PrivateStreams(Protocol):
    """Streams that are no market's: those of users, whose names are their listen keys."""

    async def listen(self, subscriber: Subscriber, name: str, *, is_wrapped: bool) -> None:
        """Count a subscriber in, if it is the name of one."""
        ...

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """Count it out. A name that it does not listen to is passed over."""
        ...


class NoPrivateStreams:
    """There are none."""

    async def listen(self, subscriber: Subscriber, name: str, *, is_wrapped: bool) -> None:
        """Nothing is told of it."""

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """It was not counted in."""


class FapiHub(SubscriberPool):
    """All sockets of one server's face."""

    def __init__(
        self,
        exchange: Exchange,
        fapi: Fapi,
        data: MarketData,
        bounds: StreamBounds,
        places: Places,
        *,
        faults: Faults | None = None,
    ) -> None:
        """`places` are those of all streams of the server; `faults`: what goes wrong on request."""
        own = msgspec.structs.replace(bounds, ping_interval_s=PING_S, ping_timeout_s=PONG_S)
        super().__init__(own, places, faults=faults)
        self._exchange = exchange
        self.market = MarketStreams(exchange, fapi, data)
        self.private: PrivateStreams = NoPrivateStreams()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve subscribers as long as the context is open."""
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "face market": self.market.publish,
            "face liquidations": self.market.liquidations.follow,
            "face sweep": self._sweep,
        }
        tasks = [asyncio.create_task(self.kept_up(job), name=name) for name, job in jobs.items()]
        try:
            with self._exchange.watching(self.market.watch):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Goodbye to all. Takes at most DRAIN_S, however slow a subscriber is."""
        self.stopping = True
        await self.say_goodbye()

    def join(self, wire: Wire, client: str) -> Subscriber:
        """A new subscriber of nothing yet. Raises ApiError(overloaded, rate_limited, shutting_down)."""
        subscriber = self.admit(wire, client)
        self.count_in(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        super().leave(subscriber)
        self.unsubscribe(subscriber, list(subscriber.market))

    async def subscribe(self, member: Member, names: Sequence[str]) -> None:
        """Count a socket in. Of what is neither a market's nor a user's it is told nothing."""
        subscriber, is_wrapped = member
        for name in names:
            if name in subscriber.market or subscriber.close_code is not None:
                continue
            subscriber.market[name] = 0
            if self.market.is_stream(name):
                await self.market.listen(subscriber, name, is_wrapped=is_wrapped)
            else:
                await self.private.listen(subscriber, name, is_wrapped=is_wrapped)

    def unsubscribe(self, subscriber: Subscriber, names: Sequence[str]) -> None:
        for name in names:
            self.market.leave(subscriber, name)
            self.private.leave(subscriber, name)
            subscriber.forget(name)

    async def _sweep(self) -> None:
        """Ping who is silent."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = asyncio.get_running_loop().time()
            for number, subscriber in enumerate(list(self.subscribers), 1):
                self.check(subscriber, now_s)
                if number % SUBSCRIBERS_PER_TURN == 0:
                    await asyncio.sleep(0)


BINANCE_HUB = web.AppKey("binance hub", FapiHub)

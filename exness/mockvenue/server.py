"""The venue itself: REST and WebSocket on one loopback port, in Backpack's words, with faults on request.

    async with Venue(instruments) as venue:
        venue.take(PriceTick(...))          # or run a feed with `emit=venue.take`
        ...a client on venue.ws_url and venue.url...

Promises: a frame is made once however many listen; a reader that falls too far behind is cut off, nobody waits for it;
pings every 60 s and cuts off who has not answered one for 120 s; says Close before it goes. The only error code that
Backpack's documents name is 4006 (an unknown stream); 4000 for a request that can't be read is our own.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from exness.core.commands import PriceTick
from exness.mockvenue.candles import INTERVALS
from exness.mockvenue.client import Client, Frame
from exness.mockvenue.faults import Fault
from exness.mockvenue.market import PERP, Json, Market, stream_exists
from exness.mockvenue.rest import Rest, RestError, encode, in_its_words
from exness.runtime.listings import Listing

HOST = "127.0.0.1"

PING_INTERVAL_S = 60.0
PONG_TIMEOUT_S = 120.0
CLOSE_GRACE_S = 30.0
INVALID_STREAM: Json = {"id": None, "error": {"code": 4006, "message": "Invalid stream"}}
UNREADABLE: Json = {"id": None, "error": {"code": 4000, "message": "Invalid request"}}

_MAX_REQUEST_BYTES = 65_536
_MAX_STREAMS = 1_000


class _Request(msgspec.Struct):
    method: str
    params: list[str]


_requests = msgspec.json.Decoder(_Request)


class Venue:
    """Serves some instruments. Keeps its port and its markets across `stop` and `start`."""

    def __init__(
        self,
        instruments: Sequence[Listing],
        *,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        ping_interval_s: float = PING_INTERVAL_S,
        pong_timeout_s: float = PONG_TIMEOUT_S,
        close_grace_s: float = CLOSE_GRACE_S,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self.port = 0
        self.faults: Sequence[Fault] = faults
        """Of connections made from now on; those that are open keep theirs."""
        self.clients: set[Client] = set()
        self.connections = 0
        """Made since the first start."""
        self._markets = {each.asset: Market(each, seed) for each in instruments}
        self._by_symbol = {symbol: market for market in self._markets.values() for symbol in market.symbols}
        self._ping_interval_s = ping_interval_s
        self._pong_timeout_s = pong_timeout_s
        self._close_grace_s = close_grace_s
        self._now_us = now_us
        self._host = HOST
        self._runner: web.AppRunner | None = None
        self._chores: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """For REST."""
        return f"http://{self._host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self, port: int | None = None) -> None:
        """Listen on `port`, on the one of before, or on a free one. Raises OSError."""
        app = web.Application(middlewares=[in_its_words])
        app.router.add_get("/", self._connected)
        Rest(self._by_symbol, self._now_us).add_to(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port if port is None else port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        self._chores = [asyncio.create_task(self._ping()), asyncio.create_task(self._tell_tickers())]

    async def stop(self) -> None:
        """Say Close to everyone, give them the grace to answer, and go."""
        await self._end_chores()
        async with asyncio.TaskGroup() as goodbyes:
            for client in list(self.clients):
                goodbyes.create_task(self._say_goodbye(client))
        await self._leave()

    def drop(self) -> None:
        """End every connection without a Close frame; the port stays open."""
        for client in list(self.clients):
            client.abort()

    def take(self, tick: PriceTick) -> None:
        """A new price: to all who listen, and into candles and books."""
        market, now_us = self._markets[tick.asset], self._now_us()
        closed = market.take(tick, now_us)
        for symbol, kind in market.symbols.items():
            for interval, candle in closed:
                self._tell(f"kline.{interval}.{symbol}", partial(market.kline, symbol, candle, now_us, closed=True))
            self._tell(f"bookTicker.{symbol}", partial(market.book_ticker, symbol, now_us))
            self._tell(f"trade.{symbol}", partial(market.trade, symbol, now_us))
            if kind == PERP:
                self._tell(f"markPrice.{symbol}", partial(market.mark, symbol, now_us))
            self._tell_candles(market, symbol, now_us)

    def _tell_candles(self, market: Market, symbol: str, now_us: int) -> None:
        for interval in INTERVALS:
            candle = market.candles.current(interval)
            assert candle is not None
            self._tell(f"kline.{interval}.{symbol}", partial(market.kline, symbol, candle, now_us, closed=False))

    def _tell(self, stream: str, make: Callable[[], Json]) -> None:
        """Send a frame to all who subscribed to its stream; made only when somebody did."""
        listening = [client for client in self.clients if stream in client.streams]
        if not listening:
            return
        data = make()
        frame = Frame(stream, data, encode({"stream": stream, "data": data}).decode())
        for client in listening:
            client.put(frame)

    # --- connections ----------------------------------------------------------------------------------------------

    async def _connected(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=_MAX_REQUEST_BYTES, timeout=self._close_grace_s)
        if not socket.can_prepare(request).ok:
            raise RestError(404, "RESOURCE_NOT_FOUND", "Not found")
        await socket.prepare(request)
        if request.transport is None:  # it has gone already
            return socket
        client = Client(socket, request.transport, self.faults)
        self.clients.add(client)
        self.connections += 1
        sending = asyncio.create_task(client.send_all())
        try:
            async for message in socket:
                await self._hear(client, message)
        except ConnectionError:  # it went while it was answered
            pass
        finally:
            self.clients.discard(client)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return socket

    async def _hear(self, client: Client, message: WSMessage) -> None:
        match message.type:
            case WSMsgType.PING:
                await client.socket.pong(message.data)
            case WSMsgType.PONG:
                client.ponged_s = time.monotonic()
            case WSMsgType.TEXT | WSMsgType.BINARY:
                for refusal in self._obey(client, message.data):
                    await client.socket.send_str(encode(refusal).decode())
            case _:  # Close and its kin: the loop ends by itself
                pass

    def _obey(self, client: Client, text: str | bytes) -> list[Json]:
        """Subscribe or unsubscribe. No word to what is in order, an error frame for each stream there is not."""
        try:
            request = _requests.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return [UNREADABLE]
        match request.method:
            case "SUBSCRIBE":
                known = [stream for stream in request.params if self._knows(stream)]
                if len(client.streams | set(known)) > _MAX_STREAMS:
                    return [UNREADABLE]
                client.streams.update(known)
                return [INVALID_STREAM] * (len(request.params) - len(known))
            case "UNSUBSCRIBE":
                client.streams.difference_update(request.params)
                return []
            case _:
                return [UNREADABLE]

    def _knows(self, stream: str) -> bool:
        match stream.split("."):
            case [kind, symbol]:
                interval = ""
            case [kind, interval, symbol]:
                pass
            case _:
                return False
        market = self._by_symbol.get(symbol)
        return market is not None and stream_exists(market, kind, interval, symbol)

    async def _say_goodbye(self, client: Client) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._close_grace_s):
                await client.socket.close(code=WSCloseCode.GOING_AWAY, message=b"going away")

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._ping_interval_s)
            for client in list(self.clients):
                if time.monotonic() - client.ponged_s > self._pong_timeout_s:
                    client.abort()
                    continue
                with contextlib.suppress(ConnectionError):
                    await client.socket.ping()

    async def _tell_tickers(self) -> None:
        """The ticker streams, once a second."""
        while True:
            await asyncio.sleep(1)
            now_us = self._now_us()
            for symbol, market in self._by_symbol.items():
                if market.tick is not None:
                    self._tell(f"ticker.{symbol}", partial(market.ticker_stream, symbol, now_us))

    async def _end_chores(self) -> None:
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        self._chores = []

    async def _leave(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

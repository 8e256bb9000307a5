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
from typing import Any, Self, cast

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from exness.core.commands import PriceTick
from exness.mockvenue.candles import INTERVALS
from exness.mockvenue.faults import Fault, bad_frame
from exness.mockvenue.market import CURRENCY, LEVELS, PERP, SPOT, Json, Market, stream_exists
from exness.runtime.listings import Listing

HOST = "127.0.0.1"

PING_INTERVAL_S = 60.0
PONG_TIMEOUT_S = 120.0
CLOSE_GRACE_S = 30.0
FRAMES_WAITING = 10_000
"""Frames that may wait for one reader."""

INVALID_STREAM: Json = {"id": None, "error": {"code": 4006, "message": "Invalid stream"}}
UNREADABLE: Json = {"id": None, "error": {"code": 4000, "message": "Invalid request"}}

_MAX_REQUEST_BYTES = 65_536
_MAX_STREAMS = 1_000
_encode = msgspec.json.Encoder().encode


class _Request(msgspec.Struct):
    """What a client says."""

    method: str
    params: list[str]


_requests = msgspec.json.Decoder(_Request)


class RestError(Exception):
    """An error answer in the venue's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class Frame(msgspec.Struct, frozen=True):
    """A data frame, encoded, and what it was made of."""

    stream: str
    data: Json
    encoded: str


class Client:
    """One WebSocket connection: what it asked for, what waits for it, and how it is treated."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport, faults: Sequence[Fault]
    ) -> None:
        self.socket = socket
        # Another loop's transports are no subclass of asyncio's, they only look like them.
        self._transport = cast(asyncio.Transport, transport)
        self.streams: set[str] = set()
        self.ponged_s = time.monotonic()
        self._faults = faults
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(FRAMES_WAITING)
        self._sent = 0
        self._bad = 0
        self._held: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Send a frame in its turn. Who reads too slowly is cut off."""
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    async def send_all(self) -> None:
        """Send what comes until the connection ends or a fault ends it."""
        with contextlib.suppress(ConnectionError, RuntimeError):  # RuntimeError: it has been closed meanwhile
            while await self._send(await self._frames.get()):
                pass

    def abort(self) -> None:
        """End the connection without a goodbye."""
        self._transport.abort()

    async def _send(self, frame: Frame) -> bool:
        """Send one frame, well or badly. False when the connection is not to be used any more."""
        self._sent += 1
        striking = {fault.kind for fault in self._faults if self._sent % fault.every == 0}
        if "drop" in striking:
            self.abort()
            return False
        if "stall" in striking:
            self.streams.clear()  # nothing more gathers for it; without a pong it is cut off in the end
            self._transport.pause_reading()
            return False
        if "malformed" in striking:
            await self._send_bad(bad_frame(self._bad, frame.stream, frame.data))
            self._bad += 1
        if "reorder" in striking and self._held is None:
            self._held = frame
            return True
        await self.socket.send_str(frame.encoded)
        if "duplicate" in striking:
            await self.socket.send_str(frame.encoded)
        await self._send_held(frame.stream)
        return True

    async def _send_held(self, stream: str) -> None:
        held = self._held
        if held is not None and held.stream == stream:
            self._held = None
            await self.socket.send_str(held.encoded)

    async def _send_bad(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            await self.socket.send_str(frame)
        else:  # as a text frame, which bytes that are no text must not be
            await self.socket.send_frame(frame, WSMsgType.TEXT)


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
        app = web.Application(middlewares=[_in_its_words])
        app.router.add_get("/", self._connected)
        for path, handler in self._rest().items():
            app.router.add_get(f"/api/v1/{path}", handler)
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

    async def kill(self) -> None:
        """Go without a word, as when the machine loses its power."""
        await self._end_chores()
        self.drop()
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
        frame = Frame(stream, data, _encode({"stream": stream, "data": data}).decode())
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
                    await client.socket.send_str(_encode(refusal).decode())
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

    # --- REST -----------------------------------------------------------------------------------------------------

    def _rest(self) -> dict[str, Callable[[web.Request], Any]]:
        return {
            "ping": _answering(lambda request: web.Response(text="pong")),
            "time": _answering(lambda request: web.Response(text=str(self._now_us() // 1_000))),
            "status": _answering(lambda request: _json({"status": "Ok", "message": None})),
            "markets": _answering(lambda request: _json(self._listings(request))),
            "market": _answering(lambda request: _json(self._one(request).listing(request.query["symbol"]))),
            "assets": _answering(lambda request: _json(self._assets())),
            "securities": _answering(lambda request: _json([])),
            "ticker": _answering(lambda request: _json(self._priced(request).ticker(*self._of(request)))),
            "tickers": _answering(lambda request: _json(self._tickers())),
            "depth": _answering(lambda request: _json(self._depth(request))),
            "klines": _answering(lambda request: _json(self._klines(request))),
            "trades": _answering(lambda request: _json(self._trades(request))),
            "markPrices": _answering(lambda request: _json(self._mark_prices(request))),
        }

    def _one(self, request: web.Request) -> Market:
        """The market that is asked for."""
        symbol = request.query.get("symbol")
        if symbol is None:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "symbol is missing")
        market = self._by_symbol.get(symbol)
        if market is None:
            raise RestError(400, "INVALID_SYMBOL", "Invalid symbol")
        return market

    def _priced(self, request: web.Request) -> Market:
        market = self._one(request)
        if market.tick is None:
            raise RestError(404, "RESOURCE_NOT_FOUND", "There has been no price yet")
        return market

    def _of(self, request: web.Request) -> tuple[str, int]:
        return request.query["symbol"], self._now_us()

    def _listings(self, request: web.Request) -> list[Json]:
        wanted = request.query.getall("marketType", []) or [SPOT, PERP]
        rows = [market.listing(symbol) for symbol, market in self._by_symbol.items()]
        return [row for row in rows if row["marketType"] in wanted]

    def _assets(self) -> list[Json]:
        """Names only: nothing can be deposited or withdrawn here."""
        names = [(str(market.instrument.asset), market.instrument.name) for market in self._markets.values()]
        return [
            {"symbol": symbol, "displayName": name, "coingeckoId": None, "tokens": []}
            for symbol, name in [*names, (CURRENCY, "USD Coin")]
        ]

    def _tickers(self) -> list[Json]:
        now_us = self._now_us()
        return [market.ticker(symbol, now_us) for symbol, market in self._by_symbol.items() if market.tick is not None]

    def _depth(self, request: web.Request) -> Json:
        limit = _number(request, "limit", 100)
        if limit not in (5, 10, 20, 50, 100, 500, 1_000):
            raise RestError(400, "INVALID_CLIENT_REQUEST", "limit must be one of 5, 10, 20, 50, 100, 500, 1000")
        return self._priced(request).depth(min(limit, LEVELS), self._now_us())

    def _klines(self, request: web.Request) -> list[Json]:
        market, interval = self._one(request), request.query.get("interval", "")
        if interval not in INTERVALS:
            raise RestError(400, "INVALID_CLIENT_REQUEST", f"interval must be one of {', '.join(INTERVALS)}")
        if "startTime" not in request.query:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "startTime is missing")
        if request.query.get("priceType", "Last") not in ("Last", "Index", "Mark"):
            raise RestError(400, "INVALID_CLIENT_REQUEST", "priceType must be one of Last, Index, Mark")
        to_s = _number(request, "endTime", self._now_us() // 1_000_000)
        return market.klines(interval, _number(request, "startTime", 0), to_s)

    def _trades(self, request: web.Request) -> list[Json]:
        """Newest first."""
        limit = _number(request, "limit", 100)
        if not 1 <= limit <= 1_000:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "limit must be 1 to 1000")
        return list(reversed(self._one(request).trades))[:limit]

    def _mark_prices(self, request: web.Request) -> list[Json]:
        """A list, for one symbol too."""
        symbols = self._by_symbol if "symbol" not in request.query else {request.query["symbol"]: self._one(request)}
        now_us = self._now_us()
        return [
            market.mark_prices(symbol, now_us)
            for symbol, market in symbols.items()
            if market.symbols[symbol] == PERP and market.tick is not None
        ]


def _answering(answer: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    return handle


@web.middleware
async def _in_its_words(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors as the venue says them."""
    try:
        response: web.StreamResponse = await handler(request)
    except RestError as error:
        return _json(error.body, error.status)
    except web.HTTPException as error:
        code = "RESOURCE_NOT_FOUND" if error.status == 404 else "INVALID_CLIENT_REQUEST"
        return _json({"code": code, "message": error.reason}, error.status)
    return response


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=_encode(body), status=status, content_type="application/json")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise RestError(400, "INVALID_CLIENT_REQUEST", f"{name} must be a whole number")
    return int(text)

"""A venue on this machine that speaks Backpack's WebSocket protocol for book tickers, and misbehaves on request.

async with Venue() as venue:
    ...start a feed on venue.url...
    await venue.wait_for_subscription("SOL_USDC")
    await venue.send_quote("SOL_USDC", bid="188.40", ask="188.42")
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

WAIT_S = 10.0
"""How long a wait for something that should happen lasts before the test fails."""

INVALID_STREAM = {"id": None, "error": {"code": 4006, "message": "Invalid stream"}}


class Venue:
    """Serves `bookTicker.<symbol>` on a loopback port. Keeps its port and its records across `stop` and `start`."""

    def __init__(self, symbols: Collection[str] | None = None, *, ping_interval_s: float | None = None) -> None:
        """`symbols`: those it knows; None knows every one. `ping_interval_s`: pings from the server, as the real
        venue sends every 60 s; None sends none."""
        self.subscriptions: list[list[str]] = []
        """The streams each connection subscribed to, in the order of the connections; closed ones stay."""
        self.received: list[str] = []
        """Every text frame received, of all connections."""
        self.port = 0
        self._symbols = symbols
        self._ping_interval_s = ping_interval_s
        self._server: Server | None = None
        self._open: dict[ServerConnection, list[str]] = {}
        self._changed = asyncio.Event()
        self._update_id = 4_227_701_000

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def connected(self) -> int:
        """Connections open now."""
        return len(self._open)

    async def start(self) -> None:
        """Accept connections; on the same port as before."""
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, ping_interval=self._ping_interval_s, close_timeout=0.2
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Go away: no port, no connection, no goodbye."""
        server, self._server = self._server, None
        if server is not None:
            server.close(close_connections=False)
            await self.drop()
            await server.wait_closed()

    async def drop(self) -> None:
        """End every connection abruptly, without a Close frame."""
        for connection in list(self._open):
            connection.transport.abort()
        await self._wait(lambda: not self._open, "all connections dropped")

    async def close_gracefully(self, grace_s: float = 30.0) -> None:
        """Send Close to every connection, as the venue does on shutdown, and let the client answer within the grace."""
        async with asyncio.timeout(grace_s):
            await asyncio.gather(*(connection.close(1001, "going away") for connection in list(self._open)))
        await self._wait(lambda: not self._open, "all connections closed")

    def freeze(self) -> None:
        """Keep the sockets open but read nothing any more: no answer to a ping, as when a machine dies."""
        for connection in self._open:
            connection.transport.pause_reading()

    async def wait_for_connections(self, total: int, timeout_s: float = WAIT_S) -> None:
        """Until so many connections have been made since the first start."""
        await self._wait(lambda: len(self.subscriptions) >= total, f"{total} connections", timeout_s)

    async def wait_for_subscription(self, *symbols: str, timeout_s: float = WAIT_S) -> None:
        """Until one open connection is subscribed to all of these."""
        wanted = {_stream(symbol) for symbol in symbols}
        await self._wait(
            lambda: any(wanted <= set(streams) for streams in self._open.values()),
            f"a subscription to {wanted}",
            timeout_s,
        )

    async def send_quote(
        self,
        symbol: str,
        bid: str | None,
        ask: str | None,
        update_id: int | None = None,
        engine_time_us: int | None = None,
        **changed: Any,
    ) -> int:
        """A bookTicker frame to all who subscribed to it; returns to how many.

        Ids count up by themselves unless given. A side that is None is left out. `changed` overrides or adds keys.
        """
        if update_id is None:
            self._update_id += 1
            update_id = self._update_id
        data = book_ticker(symbol, bid, ask, update_id, engine_time_us) | changed
        frame = json.dumps({"stream": _stream(symbol), "data": data})
        receivers = [connection for connection, streams in self._open.items() if _stream(symbol) in streams]
        for connection in receivers:
            await _send(connection, frame)
        return len(receivers)

    async def send_raw(self, frame: str | bytes, *, text: bool = True) -> None:
        """Anything, to everyone, whole and as it is; bytes go out as a text frame unless `text` is false."""
        for connection in list(self._open):
            await _send(connection, frame, text)

    async def send_error(self, code: int, message: str) -> None:
        """An error frame of the venue, to everyone."""
        await self.send_raw(json.dumps({"id": None, "error": {"code": code, "message": message}}))

    async def _serve(self, connection: ServerConnection) -> None:
        streams: list[str] = []
        self.subscriptions.append(streams)
        self._open[connection] = streams
        self._note_change()
        try:
            while True:
                self.received.append(text := await connection.recv(decode=True))
                await self._answer(connection, streams, json.loads(text))
                self._note_change()
        except ConnectionClosed:
            pass
        finally:
            del self._open[connection]
            self._note_change()

    async def _answer(self, connection: ServerConnection, streams: list[str], request: dict[str, Any]) -> None:
        """Like the venue: no acknowledgement of what is in order, an error frame for a stream it does not know."""
        for stream in request["params"]:
            if request["method"] == "UNSUBSCRIBE":
                streams.remove(stream)
            elif self._knows(stream):
                streams.append(stream)
            else:
                await _send(connection, json.dumps(INVALID_STREAM))

    def _knows(self, stream: str) -> bool:
        kind, _, symbol = stream.partition(".")
        return kind == "bookTicker" and (self._symbols is None or symbol in self._symbols)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"the venue waited {timeout_s} s in vain for {what}") from None


def book_ticker(
    symbol: str, bid: str | None, ask: str | None, update_id: int, engine_time_us: int | None = None
) -> dict[str, object]:
    """The `data` of a bookTicker frame, in the venue's order of keys."""
    at = engine_time_us if engine_time_us is not None else time.time_ns() // 1_000
    sides = {"a": ask, "b": bid}
    return {
        "A": "12.50",
        "B": "40.11",
        "E": at + 1_677,
        "T": at,
        **{key: price for key, price in sides.items() if price is not None},
        "e": "bookTicker",
        "s": symbol,
        "u": str(update_id),
    }


def _stream(symbol: str) -> str:
    return f"bookTicker.{symbol}"


async def _send(connection: ServerConnection, frame: str | bytes, text: bool = True) -> None:
    """A connection that has just gone is no error of the venue's."""
    try:
        await connection.send(frame, text=text)
    except ConnectionClosed:
        pass

"""One WebSocket of any dialect: the handshake, the conversation until one side has had enough, the goodbye."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from exness.runtime.writer import Halted
from exness.web.http.aiohttp_protocol import Connection
from exness.web.http.errors import ApiError
from exness.web.stream.pool import SubscriberPool
from exness.web.stream.protocol import CloseCode
from exness.web.stream.subscriber import Subscriber

GOODBYE_S = 10.0
"""How long a client may take to answer our Close, and to read what stands before it."""
LAST_GOODBYE_S = 1.0
"""The same while the server is stopping."""


def require_upgrade(request: web.Request) -> None:
    """Raises ApiError(upgrade_required) for a request that asks for no WebSocket."""
    if request.headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        error = ApiError("upgrade_required")
        error.headers |= {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"}
        raise error


def check_handshake(request: web.Request, socket: web.WebSocketResponse) -> None:
    """Raises ApiError(invalid_request) for one that does not come out."""
    with contextlib.suppress(ValueError):  # a key that is not even ASCII
        if socket.can_prepare(request):
            return
    raise ApiError("invalid_request", "This is no valid WebSocket handshake")


async def serve(
    request: web.Request,
    socket: web.WebSocketResponse,
    pool: SubscriberPool,
    wire: "SocketWire",
    subscriber: Subscriber,
    listen: Callable[[], Awaitable[None]],
) -> web.WebSocketResponse:
    """Speak with a subscriber that is counted in, until it has left. `listen` takes what it says, for as long as it
    does."""
    try:
        await socket.prepare(request)
        wire.when_writable(subscriber.flush)
        await _until_over(subscriber, listen)
    finally:
        wire.when_writable(_nothing)
        pool.leave(subscriber)
    await _say_goodbye(socket, subscriber, LAST_GOODBYE_S if pool.stopping else GOODBYE_S)
    if not wire.writable:
        wire.abort()
    return socket


async def _until_over(subscriber: Subscriber, listen: Callable[[], Awaitable[None]]) -> None:
    listening = asyncio.ensure_future(listen())
    try:
        await asyncio.wait([listening, subscriber.over], return_when=asyncio.FIRST_COMPLETED)
    finally:
        listening.cancel()
        ended = (await asyncio.gather(listening, return_exceptions=True))[0]
    if isinstance(ended, Exception):
        subscriber.end(CloseCode.INTERNAL_ERROR)
        if not isinstance(ended, Halted | ConnectionError):
            raise ended


async def _say_goodbye(socket: web.WebSocketResponse, subscriber: Subscriber, within_s: float) -> None:
    """Close with the subscriber's code, and wait for the client's own Close, so that it has read all before it."""
    code = subscriber.close_code or CloseCode.NORMAL
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(within_s):
            await socket.close(code=code, message=code.name.lower().encode(), drain=False)


def _nothing() -> None: ...


class SocketWire:
    """A Wire: the connection of a request."""

    def __init__(self, request: web.Request) -> None:
        connection, transport = request.protocol, request.transport
        if transport is None:
            raise ConnectionResetError("it is gone already")
        self._connection = connection
        self._transport = transport
        self.write: Callable[[bytes], None] = self._transport.write
        """The transport's own: one call less for each frame and subscriber."""

    @property
    def writable(self) -> bool:
        return not (self._connection.writing_paused or self._transport.is_closing())

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call this when it takes more again. A connection of plain aiohttp can't: there the hub's sweep looks."""
        if isinstance(self._connection, Connection):
            self._connection.on_writable = callback

    def abort(self) -> None:
        self._transport.abort()

    def stall(self) -> None:
        self._transport.pause_reading()


class Window:
    """Counts what comes within a time, which begins with the first that comes after the one before it has ended."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._ends_s = 0.0
        self._count = 0

    def hit(self) -> int:
        """How many have come by now, this one too."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._ends_s:
            self._ends_s, self._count = now_s + self._within_s, 0
        self._count += 1
        return self._count

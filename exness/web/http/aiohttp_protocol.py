"""aiohttp's protocol, server and runner, as we need them. Only this file stands on private names of aiohttp.

What is not HTTP is answered in JSON, like everything else, and every connection can be told overdue (see
`connection_limits.py`). A client that shuts its writing side has said all it will say, and may well wait for the
answers: it gets them, and then the connection is closed. A connection that is reset cancels what it asked for.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

import msgspec
from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import WebSocketReader
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from exness.web.http.browser_rules import SECURITY_HEADERS, header_lines
from exness.web.http.connection_limits import Connections
from exness.web.http.errors import ApiError, ErrorRenderer

MAX_LINE_BYTES = 8190
"""The request line, so the longest URL."""
MAX_FIELD_BYTES = 8190
MAX_HEADERS = 100
LINGERING_S = 5.0
"""How long the rest of a body is waited for, to be thrown away, after the answer."""

JSON = "application/json; charset=utf-8"


RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Around = Callable[[RequestHandler], RequestHandler]


class BodyCutOff(web.RequestPayloadError):
    """The client said no more before its body was whole."""


class _SaidAll(ConnectionError):
    """Stands after the last request of a client that has shut its writing side: once everything before it is answered,
    aiohttp closes the connection, as it does at any ConnectionError."""


class Connection(web.RequestHandler):
    """One connection. `began` and `ended` are told by the middleware around every request."""

    def __init__(self, server: web.Server, connections: Connections, render: ErrorRenderer, **options: Any) -> None:
        super().__init__(server, **options)
        self._render = render
        self.deadline = math.inf
        self._connections = connections
        self._now = asyncio.get_running_loop().time
        self._between_requests = True
        self._head_began = True  # a new connection has something to say
        self._admitted = False
        self._peer = ""
        self._wire: asyncio.Transport | None = None
        """Until the connection is lost. aiohttp's own reference goes when it closes, while the last answer may not have
        been read: a client that never reads it would stay for ever."""
        self._newest_body: StreamReader = EMPTY_PAYLOAD
        self._said_all = False
        self.on_writable: Callable[[], None] = lambda: None
        """Called when the wire takes more again, after it was full."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"
        self._admitted = self._connections.admit(self, self._peer)
        stream = cast(asyncio.Transport, transport)  # uvloop's has the methods and is no subclass
        if self._admitted:
            self._wire = stream
            self.deadline = self._now() + self._connections.bounds.head_timeout_s
            super().connection_made(transport)
        else:
            stream.write(_too_many(self._render))
            stream.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        if self._admitted:
            self._connections.forget(self, self._peer)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if self._between_requests and not self._head_began:
            self._head_began = True
            self.deadline = self._now() + self._connections.bounds.head_timeout_s
        super().data_received(data)
        if self._messages:
            self._newest_body = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp says None, which closes
        """The client says no more. True: the connection stays open until what it has said is answered.

        A body that is not whole is refused at once, a WebSocket ends once its messages are answered.
        """
        if self._task_handler is None or self._task_handler.done():
            return False  # nobody is left to answer
        if self._said_all:
            return True
        self._said_all = True
        if self._payload_parser is not None:
            self._payload_parser.feed_eof()
            return True
        if not self._newest_body.is_eof():
            self._newest_body.set_exception(BodyCutOff())
        self._messages.append((_ErrInfo(400, _SaidAll(), ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return True

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        super().set_parser(parser, data_received_cb)
        if self._said_all:
            parser.feed_eof()

    def log_exception(self, *args: Any, **options: Any) -> None:
        """What aiohttp has to say of a bug. A body that nobody reads and that is broken is none."""
        if not isinstance(options.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **options)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp parses nothing once more and starts what has not stopped, twice for every body: 3 us of 120."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.on_writable()

    def began(self) -> None:
        """A whole head is here and a handler works on it."""
        self._between_requests = False
        self.deadline = math.inf

    def ended(self) -> None:
        """The handler is done; its answer goes out, and the next request may come."""
        self._between_requests = True
        self._head_began = False
        self.deadline = self._now() + self._connections.bounds.idle_timeout_s

    def overdue(self) -> None:
        if self._head_began:
            self._connections.refused("slow_head", self._peer)
        self.deadline = math.inf
        if self._wire is not None:
            self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, in our words. aiohttp's own would quote the request, token and all, into answer and log."""
        if isinstance(exc, _SaidAll):
            raise exc
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        error = _http_error(status, exc)
        self._connections.refused(error.code, self._peer)
        rendered = self._render(error)
        response = web.Response(body=msgspec.json.encode(rendered.body), status=rendered.status)
        response.headers["Content-Type"] = JSON
        response.headers.update(SECURITY_HEADERS | {"Server": "exness", "X-Request-ID": secrets.token_hex(8)})
        response.force_close()
        return response


class _Server(web.Server):
    """aiohttp's server with our connections."""

    def __init__(self, plain: web.Server, connections: Connections, around: Around, render: ErrorRenderer) -> None:
        super().__init__(
            around(plain.request_handler),
            request_factory=plain.request_factory,
            handler_cancellation=plain.handler_cancellation,
        )
        self._of_ours = connections
        self._render = render

    def __call__(self) -> Connection:
        return Connection(
            self,
            self._of_ours,
            self._render,
            loop=asyncio.get_running_loop(),
            **_options(self._of_ours),
        )


def _options(connections: Connections) -> dict[str, Any]:
    """Of aiohttp's protocol, ours or not."""
    return {
        "access_log": None,
        "keepalive_timeout": connections.bounds.idle_timeout_s,
        "max_line_size": MAX_LINE_BYTES,
        "max_field_size": MAX_FIELD_BYTES,
        "max_headers": MAX_HEADERS,
        "lingering_time": LINGERING_S,
        "auto_decompress": False,  # `read_body` does it: aiohttp calls a coding that it does not have a bad request
    }


def plain_runner(app: web.Application, connections: Connections, shutdown_timeout_s: float) -> web.AppRunner:
    """aiohttp's own runner, server and connections: with the same bounds of a head, but none on how many connections
    there are or how long a head takes."""
    options = _options(connections)
    return web.AppRunner(app, shutdown_timeout=shutdown_timeout_s, handler_cancellation=True, **options)


class Runner(web.AppRunner):
    """aiohttp's runner of an application, on our connections. `around` goes around the handler of every request; what
    never gets that far is refused in the words of `render`."""

    def __init__(
        self,
        app: web.Application,
        connections: Connections,
        shutdown_timeout_s: float,
        around: Around,
        render: ErrorRenderer,
    ) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=shutdown_timeout_s, handler_cancellation=True)
        self._connections = connections
        self._around = around
        self._render = render

    async def _make_server(self) -> web.Server:
        """The one place where aiohttp lets a runner choose its server; hence the underscore."""
        return _Server(await super()._make_server(), self._connections, self._around, self._render)


def _http_error(status: int, exc: BaseException | None) -> ApiError:
    if isinstance(exc, LineTooLong):
        return ApiError("headers_too_large")
    if 400 <= status < 500:
        return ApiError("invalid_request", _reason(exc))
    return ApiError("internal_error")


_REASONS = {
    "Missing 'Host'": "A request of HTTP/1.1 must have a Host header",
    "Too many headers": f"A request can have at most {MAX_HEADERS} headers",
    "HTTPS traffic": "This port speaks HTTP and not HTTPS",
}
"""By a part of what aiohttp's parser says, which as a whole may quote the request."""


def _reason(exc: BaseException | None) -> str:
    said = str(exc)
    return next((ours for part, ours in _REASONS.items() if part in said), "This is not valid HTTP")


@lru_cache(maxsize=1)
def _too_many(render: ErrorRenderer) -> bytes:
    """The answer to a connection that gets no handler, whole."""
    rendered = render(ApiError("rate_limited", "Too many connections; close some and try again"))
    body = msgspec.json.encode(rendered.body)
    headers = SECURITY_HEADERS | rendered.headers | {"Content-Type": JSON, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {rendered.status} {HTTPStatus(rendered.status).phrase}", header_lines(headers)]
    return ("\r\n".join(lines) + "Connection: close\r\n\r\n").encode() + body

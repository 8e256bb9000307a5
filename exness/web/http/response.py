"""JSON answers, head and body in one piece.

What a route answers is the same few headers around a body, so the head is put together from ready parts and written
with the body at once. aiohttp's own Response builds a table of headers, asks its signals and writes that table again:
12 us of 40 a request.
"""

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import HttpVersion10, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from exness.web.http.browser_rules import header_lines
from exness.web.http.request import REQUEST_STATE

SERVER = "exness"
JSON = "application/json; charset=utf-8"
encode = msgspec.json.Encoder().encode


class JsonResponse(web.StreamResponse):
    """A JSON answer of ours. `headers_beside` are those that not every answer has."""

    def __init__(self, body: bytes, status: int = 200, headers_beside: Mapping[str, str] | None = None) -> None:
        self._set_status(status, "")  # instead of super().__init__, which makes a table of headers for nothing
        self.json_body = body
        self._beside = headers_beside
        self._stays_open: bool | None = None

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open after it; None before it is sent."""
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it."""
        if self._stays_open is not None:
            return None
        self._stays_open = request.keep_alive
        body = b"" if request.method == hdrs.METH_HEAD else self.json_body
        await request.writer.write(self._head(request) + body)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""

    def plain(self) -> web.Response:
        """The same as aiohttp's own Response, which `complete` gives the headers of every answer."""
        headers = {hdrs.CONTENT_TYPE: JSON} | dict(self._beside or {})
        return web.Response(body=self.json_body, status=self.status, headers=headers)

    def _head(self, request: web.BaseRequest) -> bytes:
        request_state = request[REQUEST_STATE]
        browser_rules, allowance = request_state.browser_rules, request_state.allowance
        parts = [
            _constant(self.status, request.version == HttpVersion10, browser_rules.lines),
            f"Content-Length: {len(self.json_body)}\r\nX-Request-ID: {request_state.request_id}\r\n{_date.line()}",
        ]
        if self._beside is not None:
            parts.append(header_lines(self._beside))
        if allowance is not None and (self._beside is None or "X-RateLimit-Limit" not in self._beside):
            parts.append(header_lines(allowance.headers()))
        if hdrs.ORIGIN in request.headers:
            parts.append(header_lines(browser_rules.cors(request)))
        if not self._stays_open:
            parts.append("Connection: close\r\n")
        elif request.version == HttpVersion10:
            parts.append("Connection: keep-alive\r\n")
        parts.append("\r\n")
        return "".join(parts).encode()


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """A struct (or plain data) as a JSON answer."""
    return JsonResponse(encode(body), status, headers)


async def complete(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """The same headers for what aiohttp sends itself: pages, redirects, WebSockets."""
    request_state, headers = request[REQUEST_STATE], response.headers
    browser_rules, allowance = request_state.browser_rules, request_state.allowance
    for name, value in browser_rules.headers.items():
        headers.setdefault(name, value)
    headers[hdrs.SERVER] = SERVER  # aiohttp has put its version there
    headers["X-Request-ID"] = request_state.request_id
    headers.setdefault(hdrs.VARY, hdrs.ORIGIN)
    if hdrs.ORIGIN in request.headers:
        headers.update(browser_rules.cors(request))
    if allowance is not None and "X-RateLimit-Limit" not in headers:
        headers.update(allowance.headers())


@lru_cache(maxsize=256)
def _constant(status: int, old: bool, browser_lines: str) -> str:
    """What is the same in every answer of this status."""
    lines = header_lines({hdrs.CONTENT_TYPE: JSON, hdrs.SERVER: SERVER, hdrs.VARY: hdrs.ORIGIN})
    return f"HTTP/{'1.0' if old else '1.1'} {status} {HTTPStatus(status).phrase}\r\n{browser_lines}{lines}"


class _Date:
    """The header Date, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


_date = _Date()

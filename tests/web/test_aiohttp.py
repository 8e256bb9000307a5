"""web/http/aiohttp_protocol.py and response.py: what of aiohttp they stand on is there, and it makes no difference.

The first part names all that aiohttp does not promise, with the shape that we use, so that a release that changes
it says so here and not in production. The second holds what a client sees on our connections and responses against the
same server on plain aiohttp (`server.plain_http`); tests/transcript plays all its scenes there, too.
"""

import asyncio
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import WebSocketReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

import exness
from exness.web.http.aiohttp_protocol import Connection, Runner, _options
from exness.web.http.connection_limits import Connections
from tests.support.app import App, running_app
from tests.web.streams import listening

# --- what aiohttp does not promise -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (RequestHandler.connection_made, ["self", "transport"]),
        (RequestHandler.connection_lost, ["self", "exc"]),
        (RequestHandler.data_received, ["self", "data"]),
        (RequestHandler.eof_received, ["self"]),
        (RequestHandler.resume_writing, ["self"]),
        (RequestHandler.resume_reading, ["self", "resume_parser"]),
        (RequestHandler.set_parser, ["self", "parser", "data_received_cb"]),
        (RequestHandler.log_exception, ["self", "args", "kw"]),
        (RequestHandler.handle_error, ["self", "request", "status", "exc", "message"]),
        (web.StreamResponse._set_status, ["self", "status", "reason"]),
        (web.StreamResponse.prepare, ["self", "request"]),
        (web.StreamResponse.write_eof, ["self", "data"]),
        (web.AppRunner._make_server, ["self"]),
        (StreamReader.set_exception, ["self", "exc", "exc_cause"]),
    ],
    ids=lambda each: getattr(each, "__qualname__", None),
)
def test_what_we_override_or_call_takes_what_we_give(function: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_a_connection_has_the_parts_that_we_look_at() -> None:
    assert {"_messages", "_task_handler", "_payload_parser", "_waiter"} <= set(RequestHandler.__slots__)
    assert isinstance(inspect.getattr_static(BaseProtocol, "writing_paused"), property)
    assert {"transport", "_reading_paused"} <= set(BaseProtocol.__slots__)


def test_our_entry_in_the_queue_of_requests_is_one_of_aiohttps() -> None:
    error = ConnectionError()
    entry = _ErrInfo(400, error, "")
    assert (entry.status, entry.exc, entry.message) == (400, error, "")
    assert EMPTY_PAYLOAD.is_eof()
    assert callable(WebSocketReader.feed_eof)


def test_a_connection_takes_every_option_that_we_set() -> None:
    taken = inspect.signature(RequestHandler.__init__).parameters
    assert {"manager", "loop", *_options(Connections())} <= set(taken)


async def test_a_server_shows_what_a_runner_made_it_of() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise NotImplementedError

    server = web.Server(handler, handler_cancellation=True)
    assert server.request_handler is handler
    assert callable(server.request_factory)
    assert server.handler_cancellation is True


def test_a_response_needs_only_its_status_to_be_finished() -> None:
    """JsonResponse skips `__init__`: nothing that `finish_response` reads may come from there."""
    source = inspect.getsource(RequestHandler.finish_response)
    assert set(re.findall(r"\bresp\.(\w+)", source)) <= {"prepare", "write_eof", "status"}


def test_nothing_else_of_ours_stands_on_a_private_name() -> None:
    private = re.compile(r"from aiohttp[\w.]* import [^\n]*\b_\w|\b_ErrInfo\b|\b_make_server\b|\b_set_status\b")
    folder = Path(exness.__file__).parent
    found = {file.name for file in folder.rglob("*.py") if private.search(file.read_text(encoding="utf-8"))}
    assert found == {"aiohttp_protocol.py", "response.py"}


# --- ours and plain ----------------------------------------------------------------------------------------------


async def replies(app: App, *pieces: bytes) -> list[tuple[str, dict[str, str], bytes]]:
    """Status line, headers and body of each answer on a connection of its own, until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2]))
    writer.writelines(pieces)
    async with asyncio.timeout(10):
        rest = await reader.read()
    writer.close()
    found: list[tuple[str, dict[str, str], bytes]] = []
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = 0 if pieces[len(found)].startswith(b"HEAD") else int(headers.get("content-length", 0))
        body, rest = rest[:length], rest[length:]
        for name in ("date", "x-request-id"):
            headers.pop(name, None)
        if status.startswith("HTTP/1.0") and headers.get("connection") == "close":
            del headers["connection"]  # which goes without saying
        found.append((status, headers, body))
    return found


def asked(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, "Host: localhost", *headers, "", ""]).encode() + body


LAST = asked("GET /api/v1/prices HTTP/1.1", "Connection: close")
BODY = b'{"orderId": "x"}'
SPOKEN: dict[str, list[bytes]] = {
    "one": [LAST],
    "HEAD": [asked("HEAD /api/v1/prices HTTP/1.1"), LAST],
    "HTTP/1.0": [asked("GET /api/v1/prices HTTP/1.0")],
    "HTTP/1.0 that stays": [asked("GET /api/v1/prices HTTP/1.0", "Connection: keep-alive"), LAST],
    "a pipeline": [asked("GET /api/v1/prices/SOL HTTP/1.1"), asked("GET /healthz HTTP/1.1")] * 20 + [LAST],
    "a pipeline with a body": [
        asked("POST /api/v1/trade/close HTTP/1.1", f"Content-Length: {len(BODY)}", body=BODY),
        LAST,
    ],
    "an origin": [asked("GET /api/v1/prices HTTP/1.1", "Origin: http://evil.example"), LAST],
    "no route": [asked("GET /nothing HTTP/1.1"), LAST],
    "another method": [asked("DELETE /api/v1/prices HTTP/1.1"), LAST],
    "a file": [asked("GET /docs/page.css HTTP/1.1"), LAST],
}


@pytest.mark.parametrize("how", SPOKEN)
async def test_plain_aiohttp_gives_the_same_answers(how: str) -> None:
    found = []
    for plain in (False, True):
        async with running_app(plain=plain) as app:
            await app.quote_all()
            found.append(await replies(app, *SPOKEN[how]))
    ours, plainly = found
    assert len(ours) == len(SPOKEN[how])
    assert plainly == ours


async def test_which_of_the_two_serves() -> None:
    for plain in (False, True):
        async with running_app(plain=plain) as app:
            assert isinstance(app.runner, Runner) != plain
            assert app.http is not None
            async with app.http.get(f"{app.url}/healthz"):
                assert app.runner.server is not None
                assert all(isinstance(each, Connection) != plain for each in app.runner.server.connections)


@pytest.mark.parametrize("plain", [False, True])
async def test_an_answer_of_300_kilobytes_reaches_a_client_that_reads_slowly(plain: bool) -> None:
    async with running_app(plain=plain) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for _ in range(800):
            await ann.create(margin=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2]), limit=1024)
        close = f"Authorization: Bearer {ann.token}", "Connection: close"
        writer.write(asked("GET /api/v1/trade/open HTTP/1.1", *close))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
        assert length > 200_000
        got = 0
        while piece := await reader.read(4096):
            got += len(piece)
        assert got == length
        writer.close()


async def test_the_stream_works_on_plain_aiohttp() -> None:
    async with running_app(plain=True) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        async with listening(app, ann) as client:
            await client.subscribed("trades")
            await client.next("trades", "snapshot")
            created = await ann.create()
            assert (await client.next("trades", "opened"))["data"]["orderId"] == created["orderId"]

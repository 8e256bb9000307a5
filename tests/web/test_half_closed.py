"""A client that shuts its writing side has said all it will say. What it said is answered, and then it is over."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import uvloop

from exness.web.http.aiohttp_protocol import Connection
from exness.web.http.connection_limits import Bounds, Connections
from tests.support.app import API, App, Trader, order, running_app
from tests.support.waiting import WAIT_S, until
from tests.web.streams import RawClient, hub_of

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
"""`serve` runs on uvloop where it installs, and on asyncio elsewhere."""


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=str)


class Line:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *pieces: bytes) -> None:
        """Each piece is a packet of its own, that the server has read before the next one comes."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.001 if len(pieces) > 1 else 0)

    def shut(self) -> None:
        """No more comes from here."""
        self.writer.write_eof()

    def reset(self) -> None:
        """As when the client's machine has gone: no goodbye."""
        wire = self.writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def replies(self, *methods: str) -> list[Reply]:
        """Every answer up to the end of the connection; one for each method that was asked with."""
        async with asyncio.timeout(WAIT_S):
            rest = await self.reader.read()
        replies: list[Reply] = []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            method = methods[len(replies)] if len(replies) < len(methods) else "GET"
            size = int(headers.get("content-length", 0)) if method != "HEAD" else 0
            body, rest = rest[:size], rest[size:]
            assert len(body) == size, "an answer was cut off"
            replies.append(Reply(int(first.split()[1]), headers, body))
        return replies


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[Line]:
    line = Line(*await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2])))
    try:
        yield line
    finally:
        line.writer.close()
        with suppress(ConnectionError):
            await line.writer.wait_closed()


def on(loop: str, test: Callable[[App, Trader], Awaitable[None]], **options: Any) -> None:
    """Run a test on one of the LOOPS, with an app and somebody who is signed in."""

    async def run() -> None:
        async with running_app(**options) as app:
            await app.quote_all()
            (ann,) = await app.known("ann")
            await test(app, ann)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())


def head(trader: Trader | None, method: str, path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *headers]
    if trader is not None:
        lines.append(f"Authorization: Bearer {trader.token}")
    return "\r\n".join([*lines, "", ""]).encode()


def with_body(trader: Trader | None, method: str, path: str, body: bytes, *headers: str) -> bytes:
    typed = ("Content-Type: application/json", f"Content-Length: {len(body)}", *headers)
    return head(trader, method, path, *typed) + body


ORDER = json.dumps(order()).encode()
EMAIL = b'{"email": "ann@example.com"}'


class Kind(NamedTuple):
    """An endpoint by the way its answer comes about."""

    method: str
    path: str
    status: int
    body: bytes | None = None
    headers: tuple[str, ...] = ()


KINDS = {
    "a read on the short way": Kind("GET", f"{API}/balance", 200),
    "a read by the router": Kind("GET", "/healthz", 200),
    "a read of the tables": Kind("GET", f"{API}/trade/history?limit=1", 200),
    "a HEAD": Kind("HEAD", f"{API}/prices", 200),
    "a page": Kind("GET", "/docs", 200),
    "a redirect or a refusal": Kind("GET", f"{API}/signin/post?token=x", 401),
    "a bad query": Kind("GET", f"{API}/klines?interval=1m", 400),
    "no such address": Kind("GET", "/nowhere", 404),
    "no such method": Kind("DELETE", f"{API}/balance", 405),
    "an upgrade that is none": Kind("GET", f"{API}/stream", 426),
    "a trade on the short way": Kind("POST", f"{API}/trade/create", 200, ORDER),
    "a trade by the router": Kind("POST", f"{API}/trade/create", 200, ORDER, ("Expect: 100-continue",)),
    "a refused trade": Kind("POST", f"{API}/trade/close", 404, b'{"orderId": "none"}'),
    "a bad body": Kind("POST", f"{API}/trade/create", 400, b"{}"),
    "a body that nobody reads": Kind("POST", "/nowhere", 404, b"x" * 100_000),
    "a body that is too large": Kind("POST", f"{API}/trade/create", 413, b" " * 100_000),
    "a mail": Kind("POST", f"{API}/signin", 200, EMAIL),
    "a logout": Kind("POST", f"{API}/logout", 200, b""),
}


def whole(trader: Trader, kind: Kind) -> list[bytes]:
    if kind.body is None:
        return [head(trader, kind.method, kind.path, *kind.headers)]
    return [with_body(trader, kind.method, kind.path, kind.body, *kind.headers)]


def in_parts(trader: Trader, kind: Kind) -> list[bytes]:
    (said,) = whole(trader, kind)
    body = said.index(b"\r\n\r\n") + 4
    cuts = sorted({0, 7, body - 2, body, max(body, len(said) - 3), len(said)})
    return [said[begin:end] for begin, end in pairwise(cuts)]


def in_chunks(trader: Trader, kind: Kind) -> list[bytes]:
    assert kind.body is not None
    typed = ("Content-Type: application/json", "Transfer-Encoding: chunked", *kind.headers)
    half = len(kind.body) // 2
    parts = [part for part in (kind.body[:half], kind.body[half:]) if part]
    chunks = [f"{len(part):x};note=1\r\n".encode() + part + b"\r\n" for part in parts]
    return [head(trader, kind.method, kind.path, *typed), *chunks, b"0\r\nX-Trailer: 1\r\n\r\n"]


WAYS = {"whole": whole, "in parts": in_parts, "in chunks": in_chunks}
CASES = [(kind, way) for kind in KINDS for way in WAYS if way != "in chunks" or KINDS[kind].body is not None]


@pytest.mark.parametrize(("kind", "way"), CASES)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_half_closed_request_is_answered_and_the_connection_ends(loop: str, kind: str, way: str) -> None:
    asked = KINDS[kind]

    async def test(app: App, ann: Trader) -> None:
        async with connected(app) as line:
            await line.say(*WAYS[way](ann, asked))
            line.shut()
            replies = [reply for reply in await line.replies(asked.method) if reply.status != 100]
        assert [reply.status for reply in replies] == [asked.status], replies
        if asked.method != "HEAD":
            assert len(replies[0].body) == int(replies[0].headers["content-length"]) > 0
        opened = 1 if kind.startswith("a trade") else 0
        assert app.state.open_trades == opened
        await until(lambda: app.connections() <= 1, "for the connection to be over")

    on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_twenty_creates_and_twenty_reads_that_are_half_closed_get_forty_answers(loop: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        async def ask(said: bytes) -> int:
            async with connected(app) as line:
                await line.say(said)
                line.shut()
                (reply,) = await line.replies()
                return reply.status

        create = with_body(ann, "POST", f"{API}/trade/create", ORDER)
        healthz = head(None, "GET", "/healthz", "Connection: close")
        assert await asyncio.gather(*(ask(said) for said in [create, healthz] * 20)) == [200] * 40
        assert app.state.open_trades == 20

    on(loop, test)


@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.parametrize("loop", LOOPS)
def test_who_says_no_more_before_a_whole_head_is_let_go(loop: str, said: bytes) -> None:
    async def test(app: App, ann: Trader) -> None:
        async with connected(app) as line:
            await line.say(said)
            line.shut()
            assert await line.replies() == []

    on(loop, test)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_no_http_is_told_so_when_it_is_half_closed(loop: str, said: bytes) -> None:
    async def test(app: App, ann: Trader) -> None:
        async with connected(app) as line:
            await line.say(said)
            line.shut()
            (reply,) = await line.replies()
        assert reply.status in (400, 431)
        assert reply.json["success"] is False

    on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_request_of_a_pipeline_is_answered_in_order_before_the_end(loop: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        create = with_body(ann, "POST", f"{API}/trade/create", ORDER)
        said = [create, head(ann, "GET", f"{API}/balance"), head(None, "GET", "/nowhere"), create] * 25
        async with connected(app) as line:
            await line.say(b"".join(said) + b"GET /half")
            line.shut()
            replies = await line.replies()
        assert [reply.status for reply in replies] == [200, 200, 404, 200] * 25
        free = [reply.json["USDC"]["balance"] for reply in replies[1::4]]
        assert free == [5_000_000_000 - 100_000_000 * (2 * number + 1) for number in range(25)]
        assert app.state.open_trades == 50

    on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_whose_command_waits_for_the_disk_or_in_the_inbox_is_answered(loop: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        app.hold_disk()
        create = with_body(ann, "POST", f"{API}/trade/create", ORDER)
        async with connected(app) as first, connected(app) as second:
            await first.say(create)
            await until(lambda: app.writer.queued == 1)
            await second.say(create)
            await app.all_waiting(1)
            first.shut()
            second.shut()
            await asyncio.sleep(0.05)
            assert len(app.sequencer.inbox) == 1, "it still waits"
            app.release_disk()
            replies = [*await first.replies(), *await second.replies()]
        assert [(reply.status, reply.json["balance"]) for reply in replies] == [
            (200, "4900.000000"),
            (200, "4800.000000"),
        ]

    on(loop, test, writer_queue=1)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reset_still_cancels_what_waits(loop: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        (bob,) = await app.known("bob")
        app.hold_disk()
        in_the_way = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        before = app.connections()
        async with connected(app) as line:
            await line.say(with_body(ann, "POST", f"{API}/trade/create", ORDER))
            await app.all_waiting(1)
            line.reset()
        await until(lambda: app.connections() == before, "for the server to see the reset")
        app.release_disk()
        assert (await in_the_way).status == 200
        await until(lambda: len(app.sequencer.inbox) == 0)
        assert app.state.open_trades == 1
        assert ann.free == "5000.000000"

    on(loop, test, writer_queue=1)


CUT_OFF = {
    "of a length": (f"Content-Length: {len(ORDER) + 1}", ORDER),
    "of no byte": (f"Content-Length: {len(ORDER)}", b""),
    "in a chunk": ("Transfer-Encoding: chunked", f"{len(ORDER) + 1:x}\r\n".encode() + ORDER),
    "without its last chunk": ("Transfer-Encoding: chunked", f"{len(ORDER):x}\r\n".encode() + ORDER + b"\r\n"),
}


@pytest.mark.parametrize("cut", CUT_OFF)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_ends_too_soon_is_refused_at_once_even_if_it_is_good_json(loop: str, cut: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        length, body = CUT_OFF[cut]
        said = head(ann, "POST", f"{API}/trade/create", "Content-Type: application/json", length) + body
        async with connected(app) as line:
            await line.say(said)
            line.shut()
            (reply,) = await line.replies()
        assert (reply.status, reply.json["code"]) == (400, "invalid_request")
        assert reply.json["message"] == "The body ended before it was whole"
        assert app.state.open_trades == 0

    on(loop, test, body_timeout_s=60.0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_cut_off_body_that_nobody_reads_is_no_bug_of_ours(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test(app: App, ann: Trader) -> None:
        for framing, body in (("Content-Length: 9", b"12"), ("Transfer-Encoding: chunked", b"5\r\n12")):
            async with connected(app) as line:
                await line.say(head(None, "POST", "/nowhere", framing) + body)
                line.shut()
                assert [reply.status for reply in await line.replies()] == [404]
        assert caplog.records == []

    on(loop, test)


@pytest.mark.parametrize("shut", [True, False], ids=["half-closed", "open"])
@pytest.mark.parametrize("answers", [1, 200])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_never_reads_its_answers_does_not_stay(loop: str, answers: int, shut: bool) -> None:
    """One answer stands in the transport when aiohttp is done with it, of many it waits for room."""

    async def test(app: App, ann: Trader) -> None:
        open_connections = app.services.connections._open
        await until(lambda: not open_connections, "for the connection that was used before")
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.setblocking(False)
        asking = asyncio.get_running_loop()
        with wire:
            await asking.sock_connect(wire, ("127.0.0.1", int(app.url.rpartition(":")[2])))
            await until(lambda: open_connections)
            for connection in open_connections:
                assert isinstance(connection, Connection)
                assert connection.transport is not None
                connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            await asking.sock_sendall(wire, head(None, "GET", "/openapi.json") * answers)
            if shut:
                wire.shutdown(socket.SHUT_WR)
            else:  # as aiohttp does at its own timeout: from then on it knows no transport
                await asyncio.sleep(0.05)
                assert isinstance(connection, Connection)
                connection.force_close()
            await until(lambda: not open_connections, "for the server to lose its patience")

    on(loop, test, connections=Connections(Bounds(idle_timeout_s=0.3)))


HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
PING_SAID = bytes((0x81, 0x80 | 13)) + bytes(4) + b'{"op":"ping"}'


@pytest.mark.parametrize("said", [b"", PING_SAID])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_that_is_half_closed_with_its_handshake_ends_once_its_messages_are_answered(
    loop: str, said: bytes
) -> None:
    async def test(app: App, ann: Trader) -> None:
        async with connected(app) as line:
            await line.say(head(None, "GET", f"{API}/stream", *HANDSHAKE) + said)
            line.shut()
            async with asyncio.timeout(WAIT_S):
                answer = await line.reader.read()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert (b'"type":"pong"' in answer) == bool(said)
        await until(lambda: not hub_of(app).subscribers, "for the hub to forget it")
        assert ann.free == "5000.000000"

    on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_that_is_half_closed_later_ends_once_its_messages_are_answered(loop: str) -> None:
    async def test(app: App, ann: Trader) -> None:
        client = await RawClient.connect(app, ann)
        client.say("subscribe", channels=["trades"])
        client.say("ping")
        client._writer.write_eof()
        said = []
        while (frame := await client.frame())[0] != 0x8:
            said.append(json.loads(frame[1])["type"])
        assert said == ["subscribed", "snapshot", "pong"]
        assert int.from_bytes(frame[1][:2], "big") == 1000
        client.close()
        await until(lambda: not hub_of(app).subscribers, "for the hub to forget it")

    on(loop, test)

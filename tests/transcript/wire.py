"""Bytes to and from a server: HTTP as it stands on the wire, and WebSocket frames. No client library is between, so
that nothing is added, folded or lost."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

WAIT_S = 10.0
"""How long anything may take before a scene fails."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of every handshake: that of RFC 6455."""


class Answer(NamedTuple):
    """`headers`: in the order they came."""

    status_line: str
    headers: list[tuple[str, str]]
    body: bytes


def request(method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """A whole request."""
    lines = {"Host": "localhost:8002"} | dict(headers)
    if body is not None:
        lines.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


class Client:
    """Asks one request after the other, on one connection as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> Answer:
        """Send a request; the answer, and nothing but the answer."""
        async with asyncio.timeout(WAIT_S):
            if self._connection is None:
                self._connection = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._connection
            writer.write(sent)
            answer = await _read_answer(reader, is_head=sent.startswith(b"HEAD "))
        if ("connection", "close") in [(name.lower(), value) for name, value in answer.headers]:
            await self.end()
        return answer

    async def end(self) -> None:
        """Nothing more has come than was asked for."""
        if self._connection is None:
            return
        (reader, writer), self._connection = self._connection, None
        with suppress(OSError):  # it did not read all that we have sent
            writer.write_eof()
            assert await reader.read() == b"", "something came after the last answer"
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    assert head[0].startswith("HTTP/1."), f"an answer ends where it says: {head[0]}"
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
    if is_head or head[0].split()[1] in ("101", "204", "304"):
        return Answer(head[0], headers, b"")
    body = await reader.readexactly(lengths[0]) if lengths else await reader.read()
    return Answer(head[0], headers, body)


class Connection:
    """A WebSocket. `frames` are what the server has sent so far: text as it is, and `ping`, `pong` or `close CODE
    reason` for what is none."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.frames: list[str] = []
        self._came = asyncio.Event()
        self.is_closed = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int, sent: bytes) -> tuple[Answer, "Connection | None"]:
        """The answer to a handshake, and the connection when it was accepted."""
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            answer = await _read_answer(reader)
        if answer.status_line.split()[1] != "101":
            writer.close()
            return answer, None
        return answer, cls(reader, writer)

    def send(self, *messages: str | bytes) -> None:
        """All of them at once. Text; bytes as a binary message."""
        self._writer.write(b"".join(_frame(message) for message in messages))

    def send_close(self, code: int) -> None:
        self._writer.write(_frame(code.to_bytes(2, "big"), CLOSE))

    async def heard(self, count: int) -> list[str]:
        """So many frames, taken out of `frames`."""
        async with asyncio.timeout(WAIT_S):
            while len(self.frames) < count and not self.is_closed:
                self._came.clear()
                await self._came.wait()
        taken, self.frames = self.frames[:count], self.frames[count:]
        return taken

    async def end(self) -> None:
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                opcode, payload = await self._frame()
                self.frames.append(_shown(opcode, payload))
                self._came.set()
                if opcode == CLOSE:
                    self._writer.write(_frame(payload[:2], CLOSE))
                    self._writer.write_eof()
                    break
        self.is_closed = True
        self._came.set()

    async def _frame(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(2)
        assert head[0] & 0xF0 == 0x80, "whole, and with no extension"
        assert not head[1] & 0x80, "a server masks nothing"
        length = head[1]
        if length >= 126:
            length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
        return head[0] & 0x0F, await self._reader.readexactly(length)


def _frame(message: str | bytes, opcode: int | None = None) -> bytes:
    """A client's frame, masked with zeros: what stands in it can be read."""
    payload = message.encode() if isinstance(message, str) else message
    if opcode is None:
        opcode = TEXT if isinstance(message, str) else BINARY
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def _shown(opcode: int, payload: bytes) -> str:
    match opcode:
        case 1:
            return payload.decode()
        case 8:
            code = int.from_bytes(payload[:2], "big")
            return f"close {code} {payload[2:].decode()}".rstrip()
        case 9:
            return f"ping {payload.decode()}".rstrip()
        case 10:
            return f"pong {payload.decode()}".rstrip()
        case _:
            return f"a frame of kind {opcode}: {payload.hex()}"


def encoded(body: object) -> bytes:
    """A body as it is sent: text and bytes as they are, all else as JSON."""
    match body:
        case bytes():
            return body
        case str():
            return body.encode()
        case _:
            return json.dumps(body).encode()

"""What the tests of the stream speak with: a client of one WebSocket.

async with listening(app, ann) as client:
    snapshot = await client.subscribed("trades")
    ...
    opened = await client.next("trades")
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from exness.web.stream.hub import Hub
from tests.support.app import App, Trader
from tests.support.waiting import WAIT_S

Json = dict[str, Any]


class Client:
    """One connection. Frames that were skipped by `next` are kept in `frames`, as all others."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Json] = []
        """Everything that came."""

    async def say(self, op: str, **fields: Any) -> None:
        await self.socket.send_str(msgspec.json.encode({"op": op, **fields}).decode())

    async def frame(self) -> Json:
        """The next frame, whatever it is."""
        async with asyncio.timeout(WAIT_S):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        frame: Json = msgspec.json.decode(message.data)
        assert list(frame) == ["channel", "seq", "at", "type", "data"]
        self.frames.append(frame)
        return frame

    async def next(self, channel: str, kind: str | None = None) -> Json:
        """The next frame of a channel, over whatever others come."""
        return await self.until(lambda each: each["channel"] == channel and kind in (None, each["type"]))

    async def until(self, wanted: Callable[[Json], bool]) -> Json:
        while not wanted(frame := await self.frame()):
            pass
        return frame

    async def subscribed(self, *channels: str, **fields: Any) -> Json:
        """Subscribe; the control frame that says so."""
        await self.say("subscribe", channels=channels, **fields)
        answer = await self.next("control")
        assert answer["type"] == "subscribed", answer
        return answer

    async def snapshot(self, channel: str) -> Json:
        """Subscribe to one channel; its snapshot."""
        await self.subscribed(channel)
        return await self.next(channel, "snapshot")

    async def asked(self, op: str, **fields: Any) -> Json:
        """Say something; the control frame that answers."""
        await self.say(op, **fields)
        return await self.next("control")

    async def error(self, op: str, **fields: Any) -> Json:
        """Say something that is refused; what the error says."""
        answer = await self.asked(op, **fields)
        assert answer["type"] == "error", answer
        data: Json = answer["data"]
        return data

    async def pong(self) -> Json:
        """Once this returns, all that was on its way here has come."""
        return await self.asked("ping")

    async def closed(self) -> int | None:
        """Read on until the server closes; its code."""
        async with asyncio.timeout(WAIT_S):
            async for message in self.socket:
                assert message.type is aiohttp.WSMsgType.TEXT, message
                self.frames.append(msgspec.json.decode(message.data))
        return self.socket.close_code

    def told(self, channel: str) -> list[Json]:
        """What came on a channel, but for snapshots."""
        return [each for each in self.frames if each["channel"] == channel and each["type"] != "snapshot"]


@asynccontextmanager
async def listening(app: App, trader: Trader | None = None, **options: Any) -> AsyncIterator[Client]:
    """A connection, signed in as somebody or not."""
    assert app.http is not None
    headers = dict(options.pop("headers", {}))
    if trader is not None:
        headers["Authorization"] = f"Bearer {trader.token}"
    async with app.http.ws_connect(f"{app.url}/api/v1/stream", headers=headers, **options) as socket:
        yield Client(socket)


class RawClient:
    """A WebSocket by hand, that reads only when it is told to: its receiving buffer is small, and soon full."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = b""

    @classmethod
    async def connect(cls, app: App, trader: Trader | None = None) -> "RawClient":
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", int(app.url.rpartition(":")[2])))
        client = cls(*await asyncio.open_connection(sock=line, limit=2048))
        session = f"Authorization: Bearer {trader.token}\r\n" if trader is not None else ""
        client._writer.write(
            f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{session}"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        client.head = await client._reader.readuntil(b"\r\n\r\n")
        assert client.head.startswith(b"HTTP/1.1 101 "), client.head
        return client

    def say(self, op: str, **fields: Any) -> None:
        self.send(0x81, msgspec.json.encode({"op": op, **fields}))

    def send(self, first: int, payload: bytes) -> None:
        """A frame with this first byte, masked with zeros: the payload stays as it is."""
        size = len(payload)
        head = bytes((first, 0x80 | size)) if size < 126 else bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
        self._writer.write(head + bytes(4) + payload)

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(WAIT_S):
            first, size = await self._reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self._reader.readexactly(8), "big")
            return first & 0x0F, await self._reader.readexactly(size)

    async def rest(self) -> tuple[list[Json], int]:
        """Read on until the server says Close: all frames of text, and the code."""
        frames: list[Json] = []
        while True:
            opcode, payload = await self.frame()
            if opcode == 0x8:
                self.send(0x88, payload[:2])
                return frames, int.from_bytes(payload[:2], "big")
            if opcode == 0x1:
                frames.append(msgspec.json.decode(payload))

    def close(self) -> None:
        self._writer.close()


async def orders(trader: Trader, count: int) -> list[str]:
    """Open and close so many trades; their ids."""
    ids = [(await trader.create(margin=1))["orderId"] for _ in range(count)]
    for order_id in ids:
        await trader.close(order_id)
    return ids


def hub_of(app: App) -> Hub:
    assert app.hub is not None
    return app.hub


def narrow(app: App) -> None:
    """Make the server's side of every open stream hold little, so that who does not read is soon behind."""
    for reader in hub_of(app).subscribers:
        transport = reader._wire._connection.transport  # type: ignore[attr-defined]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transport.set_write_buffer_limits(high=4096)

"""What the tests of the stream speak with: a client of one WebSocket.

    async with listening(app, ann) as client:
        snapshot = await client.subscribed("trades")
        ...
        opened = await client.next("trades")
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.support.app import WAIT_S, App, Trader

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

"""A client of one socket of the face.

async with socket(app, "/ws/solusdc@bookTicker") as client:
    event = await client.next("bookTicker")
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.support.app import App
from tests.support.waiting import WAIT_S

Json = dict[str, Any]


class Client:
    """Everything that came is in `frames`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Any] = []

    async def frame(self) -> Any:
        async with asyncio.timeout(WAIT_S):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        self.frames.append(msgspec.json.decode(message.data))
        return self.frames[-1]

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        while not wanted(frame := await self.frame()):
            pass
        return frame

    async def next(self, event: str) -> Json:
        """The next event of a kind, over whatever others come."""
        found: Json = await self.until(lambda frame: isinstance(frame, dict) and frame.get("e") == event)
        return found

    async def say(self, **message: object) -> None:
        await self.socket.send_str(msgspec.json.encode(message).decode())

    async def asked(self, method: str, *params: str, id: object = 1) -> Json:  # noqa: A002 - its name on the wire
        """The answer to a request."""
        await self.say(method=method, params=params, id=id)
        answer: Json = await self.until(lambda frame: isinstance(frame, dict) and "id" in frame)
        return answer

    async def follow(self, *names: str) -> None:
        assert await self.asked("SUBSCRIBE", *names) == {"result": None, "id": 1}

    async def settled(self) -> None:
        """Once this returns, all that was on its way here has come."""
        assert "result" in await self.asked("LIST_SUBSCRIPTIONS")


@asynccontextmanager
async def socket(app: App, path: str = "/ws", **options: Any) -> AsyncIterator[Client]:
    assert app.http is not None
    async with app.http.ws_connect(app.url + path, **options) as connected:
        yield Client(connected)

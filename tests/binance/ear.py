"""Who hears a user data stream: a subscriber whose frames are kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from exness.web.fapi.users.streams import USER_STREAMS, UserStreams
from exness.web.stream.subscriber import Subscriber
from tests.binance.face import Bot
from tests.support.app import Answer, App
from tests.support.waiting import until


class Ear:
    """What one socket was sent. It is a Wire."""

    writable = True

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def write(self, data: bytes, /) -> None:
        while data:
            first, start = data[1], 2
            length = first
            if first == 126:
                length, start = int.from_bytes(data[2:4]), 4
            elif first == 127:
                length, start = int.from_bytes(data[2:10]), 10
            self.events.append(json.loads(data[start : start + length], parse_float=str))
            data = data[start + length :]

    def abort(self) -> None: ...

    def stall(self) -> None: ...

    async def heard(self, *names: str, within_s: float = 5.0) -> list[dict[str, Any]]:
        """Events of these types in this order, and no other; they are taken out."""
        await until(lambda: len(self.events) >= len(names), f"for {names}, not {self.names}", within_s=within_s)
        taken, self.events = self.events[: len(names)], self.events[len(names) :]
        assert [named(each) for each in taken] == list(names), taken
        return taken

    @property
    def names(self) -> list[str]:
        return [named(each) for each in self.events]


def named(event: dict[str, Any]) -> str:
    """An event's type, and of an order what happened to it."""
    match event.get("data", event):
        case {"e": "ORDER_TRADE_UPDATE", "o": order}:
            return f"ORDER {order['x']} {order['X']}"
        case {"e": "ALGO_UPDATE", "o": order}:
            return f"ALGO {order['X']}"
        case {"e": "ACCOUNT_UPDATE", "a": account}:
            return f"ACCOUNT {account['m']}"
        case {"e": name}:
            return str(name)
        case _:
            raise AssertionError(event)


def streams_of(app: App) -> UserStreams:
    return app.runner.app[USER_STREAMS]


async def with_key(bot: Bot, method: str, path: str = "/fapi/v1/listenKey", query: str = "") -> Answer:
    """Unsigned: the key alone."""
    return await bot.raw(method, path, query)


async def listen_key_of(bot: Bot) -> str:
    answer = await with_key(bot, "POST")
    assert answer.status == 200, answer
    return str(answer.body["listenKey"])


@asynccontextmanager
async def listening(bot: Bot, *, is_wrapped: bool = False) -> AsyncIterator[Ear]:
    ear, streams, name = Ear(), streams_of(bot.app), await listen_key_of(bot)
    subscriber = Subscriber(ear, 1000, asyncio.get_running_loop().time())
    await streams.listen(subscriber, name, is_wrapped=is_wrapped)
    try:
        yield ear
    finally:
        streams.leave(subscriber, name)

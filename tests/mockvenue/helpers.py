"""What the tests of the venue share: prices for it, and plain clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.mockvenue.server import Venue
from tests.feeds.helpers import INSTRUMENTS
from tests.support.waiting import WAIT_S

SOL, ETH, BTC = (Asset(name) for name in ("SOL", "ETH", "BTC"))


def tick(asset: Asset, price: float, spread: float = 0.0002) -> PriceTick:
    """A tick around a price, whose volume is 1.5 of the asset."""
    unit = 10 ** (4 if asset == BTC else 6)
    return PriceTick(
        asset, round(price * (1 - spread / 2) * unit), round(price * (1 + spread / 2) * unit), 0, False, 150_000_000
    )


def quote_all(venue: Venue) -> None:
    for asset, price in ((SOL, 200.0), (ETH, 3_000.0), (BTC, 100_000.0)):
        venue.take(tick(asset, price))


@asynccontextmanager
async def running_venue(**options: Any) -> AsyncIterator[Venue]:
    async with Venue(INSTRUMENTS, **({"close_grace_s": 0.5} | options)) as venue:
        yield venue


async def kill(venue: Venue) -> None:
    """Have it go without a word, as when the machine loses its power."""
    await venue._end_chores()
    venue.drop()
    await venue._leave()


class Listener:
    """A plain WebSocket client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, method: str, *streams: str) -> None:
        await self.socket.send_str(json.dumps({"method": method, "params": list(streams)}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self.socket.receive_str())


@asynccontextmanager
async def listening(venue: Venue) -> AsyncIterator[Listener]:
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws_url) as socket:
        yield Listener(socket)


async def get(venue: Venue, path: str, **query: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{venue.url}/api/v1/{path}", params=query) as response:
        is_json = response.content_type == "application/json"
        return response.status, await (response.json() if is_json else response.text())

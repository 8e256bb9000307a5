"""Price, clock and money in the hand of a test, by the endpoints of dev control."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from exness.feeds.manual import ManualFeed
from exness.runtime.ports.prices import LastRecord
from exness.web.services import Dev
from tests.support.app import App, Trader, running_app
from tests.support.books import PRICE_LIFE


@asynccontextmanager
async def manual_app(**options: Any) -> AsyncIterator[tuple[App, ManualFeed]]:
    """The app with a manual feed, its clock paused at first."""
    feed = ManualFeed(PRICE_LIFE)
    feed.clock.pause()
    async with running_app(clock=cast(Any, feed.clock), **{"dev": Dev(feed)} | options) as app:
        feed.hold(app.sequencer)
        feeding = asyncio.create_task(feed.conduct(LastRecord()))
        try:
            yield app, feed
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding


async def put_price(app: App, asset: str, body: Any, **options: Any) -> Any:
    return await app.request("PUT", f"/dev/prices/{asset}", body=body, **options)


async def set_price(app: App, asset: str, mid: str) -> dict[str, Any]:
    answer = await put_price(app, asset, {"mid": mid})
    assert answer.status == 200, answer
    return answer.body


async def clock(app: App, **order: Any) -> dict[str, Any]:
    answer = await app.post("/dev/clock", order)
    assert answer.status == 200, answer
    return answer.body


async def known(app: App, name: str = "ann") -> Trader:
    (trader,) = await app.known(name)
    return trader


def entry(offset: Any, asset: Any = "SOL", price: Any = "200") -> dict[str, Any]:
    return {"offset": offset, "asset": asset, "price": price}


async def run_script(app: App, *entries: dict[str, Any]) -> Any:
    return await app.post("/dev/prices/script", {"prices": list(entries)})

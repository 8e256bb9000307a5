"""countdownCancelAll: what cancels an account's orders of a symbol unless it is asked to wait again. By real time, in
memory: after a restart nothing counts down, and a client that lives asks again within seconds."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiohttp import web

from exness.core.commands import CancelOrders
from exness.core.instruments import AccountId, Asset
from exness.core.views import NetHoldingsOf
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import NotTaken
from exness.runtime.writer import Halted
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.shown import waiting
from exness.web.fapi.symbols import market_of
from exness.web.http.endpoint import POST
from exness.web.services import Fapi

MOST = 10_000
LONGEST_MS = 7 * 86_400_000
_log = structlog.get_logger("exness.web.countdowns")
Key = tuple[AccountId, Asset]


class Countdowns:
    """Those of one server, at most MOST."""

    def __init__(self, exchange: Exchange, fapi: Fapi) -> None:
        self._exchange = exchange
        self._fapi = fapi
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, key: Key, seconds: float) -> None:
        """Anew. Raises FapiError when there are too many."""
        self.stop(key)
        if len(self._tasks) >= MOST:
            raise FapiError(Code.OVERLOADED)
        task = self._tasks[key] = asyncio.create_task(self._count(key, seconds))
        task.add_done_callback(lambda done: self._tasks.pop(key) if self._tasks.get(key) is done else None)

    def stop(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def end(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self, key: Key, seconds: float) -> None:
        await asyncio.sleep(seconds)
        account, asset = key
        try:
            found = waiting(await self._exchange.see(NetHoldingsOf(account)), self._fapi, asset)
            named = frozenset(each.id for each in found if each.is_order)
            if named:
                await self._exchange.do(CancelOrders(account, named=named))
        except (NotTaken, Halted, LookupError):  # overloaded, stopped, or a reset has forgotten the account
            _log.warning("countdown could not cancel", asset=asset)


COUNTDOWNS = web.AppKey("countdowns", Countdowns)


async def running(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`."""
    yield
    await app[COUNTDOWNS].end()


async def count_down(ask: Ask) -> Any:
    """POST countdownCancelAll."""
    market = market_of(ask)
    countdown_ms = ask.params.need_integer("countdownTime", 0, LONGEST_MS)
    countdowns, key = ask.request.app[COUNTDOWNS], (ask.account, market.asset)
    if countdown_ms:
        countdowns.begin(key, countdown_ms / 1000)
    else:
        countdowns.stop(key)
    return {"symbol": market.symbol, "countdownTime": str(countdown_ms)}


ROWS = (
    Row(
        POST, "/fapi/v1/countdownCancelAll", 10, Security.TRADE, count_down, "Cancel all unless asked again",
        answers.COUNTDOWN, "symbol countdownTime", fast=False,
    ),
)  # fmt: skip

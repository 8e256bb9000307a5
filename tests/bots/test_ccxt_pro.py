"""ccxt.pro while the exchange is killed: its streams come back, and no order is placed twice."""

import asyncio
from pathlib import Path
from typing import Any

import ccxt.pro

from tests.binance.test_ccxt import urls_of
from tests.bots.clients import Desk, desk, key_of
from tests.support.waiting import until

SYMBOL = "SOL/USDC:USDC"
ORDERS, KILLS = 60, (15, 30, 45)
NO_PRICE = "-4131"
"""What an exchange that is back says until its first price comes."""


async def send(exchange: Any, name: str) -> str:
    """An order under a name of its own: where an answer is lost it is looked up before it is sent again."""
    while True:
        try:
            return str(
                (await exchange.create_order(SYMBOL, "market", "buy", 0.1, None, {"newClientOrderId": name}))["id"]
            )
        except ccxt.NetworkError:
            await asyncio.sleep(0.05)
        except ccxt.ExchangeError as error:
            if NO_PRICE not in str(error):
                raise
            await asyncio.sleep(0.05)
        try:
            return str((await exchange.fetch_order(None, SYMBOL, {"origClientOrderId": name}))["id"])
        except ccxt.OrderNotFound:
            pass
        except ccxt.NetworkError:
            await asyncio.sleep(0.05)


async def watch(exchange: Any, told: dict[str, Any], lost: list[str]) -> None:
    while True:
        try:
            for each in await exchange.watch_orders(SYMBOL):
                told[each["clientOrderId"]] = each
        except (ccxt.NetworkError, ccxt.ExchangeError) as error:
            lost.append(type(error).__name__)
            await asyncio.sleep(0.05)


async def kill(it: Desk, number: int) -> asyncio.Task[None]:
    """In the middle of the orders that come next."""
    await asyncio.sleep(number / 1000)
    it.server.kill()

    async def back() -> None:
        await it.server.restart()
        await it.again()

    return asyncio.create_task(back())


async def test_it_goes_on_after_kill_9_of_the_exchange_and_no_order_is_doubled(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        key = await key_of(it.server, "bot@example.com")
        exchange = ccxt.pro.binanceusdm(
            {"apiKey": key.key, "secret": key.secret, "rateLimit": 1, "options": {"fetchCurrencies": False}}
        )
        exchange.urls["api"] = exchange.urls["api"] | urls_of(it.server.url)
        exchange.urls["api"]["ws"] = dict.fromkeys(("linear", "future"), it.server.url.replace("http", "ws", 1) + "/ws")
        told: dict[str, Any] = {}
        lost: list[str] = []
        try:
            await exchange.load_markets()
            watching = asyncio.create_task(watch(exchange, told, lost))
            ids: list[str] = []
            for number in range(ORDERS):
                killing = asyncio.create_task(kill(it, number)) if number in KILLS else None
                ids.append(await send(exchange, f"order-{number}"))
                if killing is not None:
                    await (await killing)
            assert len(set(ids)) == ORDERS
            await until(lambda: len(lost) >= len(KILLS), "for the stream to break each time", within_s=30)

            async def heard() -> bool:
                """Of one more: the stream is back."""
                ids.append(await send(exchange, f"after-{len(ids)}"))
                await asyncio.sleep(0.2)
                return any(name.startswith("after-") for name in told)

            await until(heard, "for a stream that is back", within_s=60, pause_s=0.5)
            watching.cancel()
            rows = await exchange.fapiPrivateGetAllOrders({"symbol": "SOLUSDC", "limit": 1000})
            assert [row["orderId"] for row in rows] == ids
            assert len({row["clientOrderId"] for row in rows}) == len(ids)
            (position,) = await exchange.fetch_positions([SYMBOL])
            assert position["contracts"] * 10 == len(ids)
        finally:
            await exchange.close()

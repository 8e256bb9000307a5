"""freqtrade, the process, with its stops on the exchange: what it holds to be true is what the exchange says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.async_support
import pytest

from tests.binance.test_ccxt import urls_of
from tests.bots.clients import Desk, Key, desk, key_of
from tests.bots.freqtrade import Freqtrade
from tests.support.process import Server

EMAIL = "bot@example.com"
SYMBOLS = ("SOLUSDC", "ETHUSDC", "BTCUSDC")
OUTSIDE = {"deposit", "reserve", "margin"}
"""Reasons of the statement that move money and earn none."""
PLAIN = "ft_order_side != 'stoploss' and ft_is_open = 1"
STOPS = "ft_order_side = 'stoploss' and ft_is_open = 1"
MARKET: dict[str, Any] = {}
LIMIT = {
    "order_types": {
        "entry": "limit",
        "exit": "limit",
        "stoploss": "limit",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_limit_ratio": 0.99,
    }
}


@asynccontextmanager
async def trading(tmp_path: Path, settings: dict[str, Any]) -> AsyncIterator[tuple[Desk, Key, Freqtrade]]:
    """SOL at 200 and BTC at 100000 to be bought, ETH at 2999 to be sold: its candles have fallen."""
    async with desk(tmp_path, ETH="3006") as it:
        for mid in range(3005, 2998, -1):
            await it.price("ETH", str(mid))
            await it.step_on()
        key = await key_of(it.server, EMAIL)
        async with Freqtrade(tmp_path, it.server.url, key, rests=True, **settings) as bot:
            yield it, key, bot


@asynccontextmanager
async def asking(url: str, key: Key) -> AsyncIterator[Any]:
    """Who looks at the exchange with the bot's own key."""
    exchange = ccxt.async_support.binanceusdm({"apiKey": key.key, "secret": key.secret, "rateLimit": 1})
    exchange.urls["api"] = exchange.urls["api"] | urls_of(url)
    try:
        yield exchange
    finally:
        await exchange.close()


async def orders_of(exchange: Any) -> tuple[list[Any], list[Any]]:
    """All orders that the exchange has ever had of the account: plain ones, and conditional ones."""
    plain: list[Any] = []
    waiting: list[Any] = []
    for symbol in SYMBOLS:
        plain += await exchange.fapiPrivateGetAllOrders({"symbol": symbol})
        waiting += await exchange.fapiPrivateGetAllAlgoOrders({"symbol": symbol})
    return plain, waiting


async def assert_both_have_the_same_orders(url: str, key: Key, bot: Freqtrade) -> None:
    """Each order of the exchange is one that the bot knows, and the other way round: none twice, none lost."""
    async with asking(url, key) as exchange:
        plain, waiting = await orders_of(exchange)
    fired = {each["actualOrderId"] for each in waiting} - {""}
    liquidations = {each["orderId"] for each in plain if each["clientOrderId"].startswith("autoclose-")}
    known = [each["order_id"] for each in bot.orders()]
    assert len(known) == len(set(known))
    at_exchange = {each["orderId"] for each in plain} | {each["algoId"] for each in waiting}
    assert at_exchange - fired - liquidations == set(known) - fired - liquidations


async def assert_profit_is_the_statements(server: Server, bot: Freqtrade) -> None:
    """To the cent, and closer: of all that it has closed."""
    rows = await statement(server, await server.token(EMAIL))
    earned = sum(Decimal(row["amount"]) for row in rows if row["reason"] not in OUTSIDE)
    assert sum(each["close_profit_abs"] or 0 for each in bot.trades("is_open = 0")) == pytest.approx(
        float(earned), abs=0.005
    )


async def statement(server: Server, token: str) -> list[Any]:
    rows: list[Any] = []
    cursor = ""
    while True:
        page = (await server.get(f"/account/statement?limit=500{cursor}", token)).body
        rows += page["data"]
        if not page.get("nextCursor"):
            return rows
        cursor = f"&cursor={page['nextCursor']}"


@pytest.mark.parametrize("settings", [MARKET, LIMIT], ids=["market", "limit"])
async def test_it_enters_is_stopped_out_restarts_and_exits(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with trading(tmp_path, settings) as (it, key, bot):
        await bot.until(lambda: len(bot.orders(STOPS)) == 3, "for three stops on the exchange")
        assert [(each["pair"][:3], each["is_short"]) for each in bot.trades()] == [("SOL", 0), ("ETH", 1), ("BTC", 0)]

        await it.price("SOL", "195.9")
        await it.price("ETH", "3060")
        closed = await bot.until(lambda: len(bot.trades("is_open = 0")) == 2 and bot.trades("is_open = 0"), "for stops")
        assert {each["exit_reason"] for each in closed} == {"stoploss_on_exchange"}
        assert [each["close_rate"] for each in closed] == [195.9, 3060]

        await bot.kill()
        (held,) = bot.trades("pair = 'BTC/USDC:USDC'")
        (stop,) = bot.orders(f"{STOPS} and ft_trade_id = {held['id']}")
        await bot.start()
        await it.price("BTC", "101100")
        await bot.until(lambda: bot.trades(f"id = {held['id']} and is_open = 0"), "for the exit")
        (done,) = bot.trades(f"id = {held['id']}")
        assert (done["exit_reason"], done["close_rate"]) == ("roi", 101100)
        await bot.until(lambda: bot.orders(f"order_id = '{stop['order_id']}' and not ft_is_open"), "for the stop to go")
        (gone,) = bot.orders(f"order_id = '{stop['order_id']}'")
        assert (gone["status"], gone["filled"]) == ("expired", 0)
        assert "Traceback" not in bot.said
        await bot.stop()  # from here on a traceback may tell of the Ctrl+C

        await assert_both_have_the_same_orders(it.server.url, key, bot)
        await assert_profit_is_the_statements(it.server, bot)


async def test_it_goes_on_after_kill_9_of_the_exchange_and_no_order_is_doubled(tmp_path: Path) -> None:
    async with trading(tmp_path, MARKET) as (it, key, bot):
        await bot.until(lambda: len(bot.orders(STOPS)) == 3, "for three stops on the exchange")
        before = bot.trades()
        await it.crash()

        await it.price("SOL", "195.9")
        await it.crash()  # Its stop has fired, and the bot has not heard of it.
        await bot.until(lambda: bot.trades("id = 1 and is_open = 0"), "for the stop")
        assert bot.trades("id = 1")[0]["exit_reason"] == "stoploss_on_exchange"

        it.server.kill()
        await bot.until(lambda: "Retrying still for" in bot.said or "TemporaryError" in bot.said, "that it misses it")
        await it.server.restart()
        await it.again()
        await it.price("BTC", "101100")
        await bot.until(lambda: bot.trades("pair = 'BTC/USDC:USDC' and is_open = 0"), "for the exit")
        (short,) = bot.trades("pair = 'ETH/USDC:USDC'")
        assert (short["is_open"], short["amount"]) == (1, before[1]["amount"])
        await bot.stop()

        await assert_both_have_the_same_orders(it.server.url, key, bot)
        await assert_profit_is_the_statements(it.server, bot)


RECKLESS: dict[str, Any] = {
    "leverage": 50,
    "minimal_roi": {"0": 100},
    "stoploss": -0.99,
    "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False},
}


async def test_it_learns_of_a_liquidation_and_of_what_it_has_lost(tmp_path: Path) -> None:
    async with trading(tmp_path, RECKLESS) as (it, key, bot):
        await bot.until(lambda: len(bot.trades()) == 3 and not bot.orders(PLAIN), "for three positions")
        await it.price("SOL", "190")
        (lost,) = await bot.until(lambda: bot.trades("id = 1 and is_open = 0"), "for the liquidation")
        assert lost["close_profit_abs"] == pytest.approx(-lost["stake_amount"], abs=0.005)
        await bot.stop()
        await assert_both_have_the_same_orders(it.server.url, key, bot)
        await assert_profit_is_the_statements(it.server, bot)

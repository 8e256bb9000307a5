"""freqtrade trades a recorded month, two thousand times as fast: entries, stops, exits and liquidations, also while the
exchange is killed again and again."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bots.clients import MANUAL, Desk, Key, key_of, python_of
from tests.bots.freqtrade import Freqtrade
from tests.bots.test_freqtrade import (
    EMAIL,
    PLAIN,
    RECKLESS,
    asking,
    assert_both_have_the_same_orders,
    assert_profit_is_the_statements,
)
from tests.support.process import UNLIMITED, Server, free_port
from tests.support.recorded import recorded
from tests.support.waiting import until

MONTH = [f"candles1m_{asset}_2025-05-04_2025-06-03.csv.gz" for asset in ("SOL", "ETH", "BTC")]
SPEED = 2000
PLAYED_S = float(os.environ.get("BOT_SECONDS", "70"))
"""For how long it trades."""
WITHIN_S = 240
"""It enters once a minute at most, so what is to happen may take a while."""
UNSETTLED = (
    "select o.id from orders o join trades t on t.id = o.ft_trade_id where t.is_open = 1 and o.status = 'closed' "
    "and o.ft_order_side not in (case when t.is_short then 'sell' else 'buy' end)"
)
"""What has closed a trade that is still open: it knows the order, and has not reckoned yet."""


@asynccontextmanager
async def month(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Server, Freqtrade]]:
    """The bot, once it has entered. At the end the market stands still, and then both sides must say the same."""
    port = str(free_port())
    flags = ("--feed", "replay", "--replay", *(str(recorded(name)) for name in MONTH), "--speed", str(SPEED))
    python_of("freqtrade")
    async with Server(tmp_path / "data", *flags, "--port", port, env=UNLIMITED) as server:
        key = await key_of(server, EMAIL)
        async with Freqtrade(tmp_path, server.url, key, **settings) as bot:
            await bot.until(bot.trades, "for a first whole candle", 130)
            yield server, bot
            await settled(server, bot, key, port)
            await bot.stop()
        await assert_both_have_the_same_orders(server.url, key, bot)
        await assert_profit_is_the_statements(server, bot)


async def settled(server: Server, bot: Freqtrade, key: Key, port: str) -> None:
    """The exchange stops, without losing an answer, and goes on with the prices that there were: no stop fires, nothing
    is liquidated, no profit is taken that the bot would not hear of before it ends."""
    prices = (await server.get("/prices")).body
    await server.stop()
    server.flags = (*MANUAL, "--port", port)
    await server.start()
    desk = Desk(server)
    desk.prices = {asset: each["mark"] for asset, each in prices.items()}
    await desk.again()
    keeper = asyncio.create_task(desk.keep_fresh())
    async with asking(server.url, key) as exchange:

        async def agree() -> bool:
            held = {each["symbol"] for each in await exchange.fapiPrivateV3GetPositionRisk()}
            known = {each["pair"].replace("/", "").partition(":")[0] for each in bot.trades("is_open = 1")}
            return held == known and not bot.orders(PLAIN) and not bot.rows(UNSETTLED)

        try:
            await until(agree, "for both to hold the same", within_s=120, pause_s=0.2)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)


@pytest.mark.timeout(PLAYED_S + WITHIN_S + 300)
async def test_its_profit_is_the_statements_to_the_cent(tmp_path: Path) -> None:
    async with month(tmp_path) as (_, bot):
        await asyncio.sleep(PLAYED_S)
        await bot.until(lambda: len(bot.trades("is_open = 0")) >= 3, "for three trades", WITHIN_S)
    reasons = {each["exit_reason"] for each in bot.trades("is_open = 0")}
    assert reasons <= {"roi", "stoploss_on_exchange", "stop_loss", "emergency_exit"}


GREEDY = RECKLESS | {"leverage": 100, "minimal_roi": {"0": 1}}
"""1 % of the price away are twice the stake and nothing."""
LIQUIDATED = "is_open = 0 and abs(close_profit_abs + stake_amount) < 0.005"


@pytest.mark.timeout(PLAYED_S + WITHIN_S + 300)
async def test_with_liquidations_it_is_so_too(tmp_path: Path) -> None:
    async with month(tmp_path, **GREEDY) as (_, bot):
        await asyncio.sleep(PLAYED_S)
        await bot.until(lambda: bot.trades(LIQUIDATED), "for a liquidation", WITHIN_S)


KILLS = 4


@pytest.mark.timeout(KILLS * 60 + WITHIN_S + 300)
async def test_kill_9_after_kill_9_doubles_no_order_and_loses_none(tmp_path: Path) -> None:
    rng = random.Random(15)
    async with month(tmp_path) as (server, bot):
        for _ in range(KILLS + 1):
            before = len(bot.orders())
            await bot.until(lambda before=before: len(bot.orders()) > before, "for it to go on", 120)  # type: ignore[misc]
            await asyncio.sleep(rng.random())
            server.kill()
            await server.restart()

"""The bots of examples/, as they are, against a real exchange: they trade, outlive its kill -9, and end quietly."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.process import ROOT, UNLIMITED, Server, free_port

pytestmark = pytest.mark.slow
MANUAL = ("--feed", "manual", "--dev-control")
BOT = "bot@example.com"
WITHIN_S = 60


class Bot:
    """A script of examples/ that runs, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def says(self, words: str) -> str:
        """The next line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it ended without {words!r}: {self.said}")

    async def stopped(self) -> None:
        self.process.send_signal(signal.SIGINT)
        output, _ = await asyncio.wait_for(self.process.communicate(), WITHIN_S)
        assert self.process.returncode == 0, output
        assert output.decode().splitlines()[-1] == "stopped"


@asynccontextmanager
async def running(script: str, *arguments: str, **environment: str) -> AsyncIterator[Bot]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / script),
        *arguments,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # A job in the background ignores Ctrl+C, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield Bot(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def price(server: Server, mid: str) -> None:
    assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": mid})).status == 200


async def fall(server: Server, bot: Bot, token: str) -> str:
    """The price falls from 200 to 199, again if nobody bought: a bot that has just begun may not look yet."""
    bought = asyncio.create_task(bot.says("bought at"))
    while not bought.done():
        await price(server, "200")
        await asyncio.sleep(0.5)
        await price(server, "199")
        await asyncio.wait({bought}, timeout=5)
        if (await server.get("/trade/open", token)).body["data"]:
            break  # It has bought, and is slow to say so: another price of 200 would be one to sell at.
    return await bought


async def until_open(server: Server, token: str, count: int) -> list[dict[str, str]]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            rows: list[dict[str, str]] = (await server.get("/trade/open", token)).body["data"]
            if len(rows) == count:
                return rows
            await asyncio.sleep(0.05)


async def test_the_bot_buys_a_fall_takes_its_profit_and_goes_on_after_a_crash(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL, "--port", str(free_port())) as server:
        await price(server, "200")
        token = await server.token(BOT)
        async with running("bot.py", EXNESS_URL=server.url, TOKEN=token) as bot:
            assert "bought at 199" in await fall(server, bot, token)
            (trade,) = await until_open(server, token, 1)
            assert (trade["takeProfit"], trade["stopLoss"]) == ("199.400000", "198.200000")

            server.kill()
            await server.wait()
            await server.start()
            assert [row["orderId"] for row in await until_open(server, token, 1)] == [trade["orderId"]]
            await price(server, "199.5")
            assert "take_profit at 199.5" in await bot.says("USDC, balance")

            await fall(server, bot, token)
            (second,) = await until_open(server, token, 1)
            assert second["orderId"] != trade["orderId"]
            await price(server, "198")
            assert "stop_loss at 198" in await bot.says("USDC, balance")
            await bot.stopped()
        rows = (await server.get("/account/statement?limit=500", token)).body["data"]
        account = (await server.get("/account", token)).body
        assert sum(Decimal(row["amount"]) for row in rows) == Decimal(account["balance"])


async def test_the_bot_of_ccxt_sells_higher_is_stopped_out_and_goes_on_after_a_crash(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL, "--port", str(free_port()), env=UNLIMITED) as server:
        await price(server, "200")
        token = await server.token(BOT)
        created = await server.post("/keys", token, {"name": "bot"})
        (tmp_path / "key.json").write_text(json.dumps({name: created.body[name] for name in ("key", "secret")}))
        async with running("ccxt_bot.py", str(tmp_path / "key.json"), EXNESS_URL=server.url, EVERY_S="0.05") as bot:
            assert "bought at 199.0, stop at 198.2" in await fall(server, bot, token)
            server.kill()
            await server.wait()
            await bot.says("not there")
            await server.start()
            await price(server, "199.5")
            assert "sold at 199.5" in await bot.says("sold")

            await fall(server, bot, token)
            await price(server, "198")
            assert "stopped out near 198" in await bot.says("stopped out")
            await bot.stopped()
        positions = (await server.get("/net", token)).body["data"]
        assert [row["asset"] for row in positions if row["trade"] is not None] == []

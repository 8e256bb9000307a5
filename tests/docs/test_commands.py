"""The first trade and the chapter of the guide on orders: every command as it stands there, on a server."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import Ran, chapter, lines, run
from tests.docs.worked import Differs, compare
from tests.support.process import ROOT, Server

pytestmark = pytest.mark.slow

MANUAL = 'make serve ARGS="--feed manual --dev-control"'
GUIDE = chapter("docs/GUIDE.md", "Orders, exits and a statement that adds up")


def answers(ran: Ran) -> list[Any]:
    return [json.loads(line, parse_float=str) for line in ran.printed]


def others(value: Any) -> Iterator[Any]:
    """What is told with one figure of it changed, for each."""
    text = json.dumps(value)
    for number in re.finditer(r"(?<![A-Za-z])\d+(?:\.\d+)?", text):
        changed = str((int(number[0][-1]) + 1) % 10)
        yield json.loads(text[: number.end() - 1] + changed + text[number.end() :], parse_float=str)


async def test_the_chapter_on_orders_prints_what_it_says_and_its_money_adds_up(tmp_path: Path) -> None:
    assert f"```sh\n{MANUAL}\n```" in GUIDE
    async with Server(tmp_path / "data", "--feed", "manual", "--dev-control") as server:
        ran = await run(server, GUIDE, leave_out=MANUAL)
        assert sum(each.told is not None for each in ran) >= 8
        for each in ran:
            if each.told is None:
                continue
            found = answers(each)
            compare(each.told, found, each.commands)
            for other in others(each.told):
                with pytest.raises(Differs):
                    compare(other, found, each.commands)
        token = await server.token("you@example.com")
        rows = (await server.get("/account/statement?limit=500", token)).body["data"]
        account = (await server.get("/account", token)).body
        assert sum(Decimal(row["amount"]) for row in rows) == Decimal(account["balance"])
        assert account["equity"] == account["balance"]
        assert {row["reason"] for row in rows} == {"deposit", "reserve", "margin", "pnl", "commission", "funding"}


async def test_the_first_trade_works_word_for_word(tmp_path: Path) -> None:
    tour = chapter("docs/START.md", "First trade")
    async with Server(tmp_path / "data") as server:
        ran = await run(server, tour)
        for each in ran:
            assert not any('"success":false' in line for line in each.printed), each
        (trade,) = [each for each in ran if each.told is not None]
        assert trade.told is not None
        (told,), (answer,) = trade.told, answers(trade)
        prices = {"entryPrice", "liquidationPrice", "quantity", "line", "createdAt", "orderId"}
        assert told.keys() == answer.keys() - {"success", "net", "quantity", "funding", "realizedPnl", "line"}
        compare({key: value for key, value in told.items() if key not in prices}, answer, "the trade of the tour")
        for one in (told, answer):  # 5x: it is liquidated once a fifth of its price is lost
            entry = Decimal(one["entryPrice"])
            lost = (entry / 5).quantize(Decimal("0.000001"), "ROUND_UP")
            assert Decimal(one["liquidationPrice"]) == entry - lost
        text = "\n".join(line for each in ran for line in each.printed)
        assert '"status":"pending"' in text
        assert '"reason":"user"' in text
        assert '"closeReason":"user"' in text
        rows = (await server.get("/order/history", await server.token("you@example.com"))).body["data"]
        assert [(row["kind"], row["status"]) for row in rows] == [("limit", "cancelled")]


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


async def test_the_short_first_trade_of_the_readme_works_word_for_word(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        (ran,) = await run(server, chapter("README.md", "A first trade"))
        _, trade, account = [json.loads(line) for line in "".join(ran.printed).replace("}{", "}\n{").splitlines()]
        assert (trade["success"], trade["leverage"], trade["takeProfit"]) == (True, 5, "250.000000")
        assert (account["lockedMargin"], account["openTrades"]) == ("100.000000", 1)


async def test_the_listener_of_the_guide_hears_prices_candles_and_its_own_account(tmp_path: Path) -> None:
    told = chapter("docs/GUIDE.md", "Listen instead of asking")
    script = told.partition("```python\n")[2].partition("```")[0]
    (command,) = lines(told)
    assert command.endswith(" listen.py")
    async with Server(tmp_path / "data") as server:
        (tmp_path / "listen.py").write_text(script.replace("http://localhost:8002", server.url))
        environment = {**server.env, "TOKEN": await server.token("you@example.com"), "PYTHONUNBUFFERED": "1"}
        listener = await asyncio.create_subprocess_exec(
            sys.executable, "listen.py", cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert listener.stdout is not None
            missing = {"prices.SOL", "candles.1m.SOL", "trades", "account"}
            async with asyncio.timeout(60):
                while missing:
                    missing.discard(json.loads(await listener.stdout.readline()).get("channel"))
        finally:
            listener.kill()
            await listener.communicate()

"""What the page works out, and what the server says: the same text, for every row, while prices run."""

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import a_page, local, signed_in
from tests.support.process import UNLIMITED, Server

if TYPE_CHECKING:
    from playwright.async_api import Browser

YOU = "you@example.com"
ROWS = 200
NET = ("SOL", "ETH", "BTC")
TICKS_PER_S = 30
"""Of each of the three assets: 90 together."""
SECONDS = 60
RECORD = """() => {
  // Which price each row shows, and what it makes of it: all pairs that were ever on the screen.
  window.seen = {};
  const note = () => {
    for (const row of document.querySelectorAll('#trade-rows tr')) {
      (window.seen[row.dataset.order] ??= {})[row.cells[5].textContent] = row.cells[8].textContent;
    }
    window.recording = requestAnimationFrame(note);
  };
  note();
}"""
TAKE = """() => {
  cancelAnimationFrame(window.recording);
  return window.seen;
}"""


async def hold_all_kinds(server: Server, token: str) -> None:
    """Trades of both sides and all assets: some with a part closed, some with margin added, and net positions that were
    bought at two prices."""

    async def done(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await server.post(path, token, body)
        assert answer.status == 200, answer
        return dict(answer.body)

    for asset in NET:
        for quantity in ("0.02", "0.03"):
            await done("/net/order", {"asset": asset, "side": "sell", "quantity": quantity})
    for number in range(ROWS - len(NET)):
        side, margin = ("long", "short")[number % 2], f"{1 + number % 9}.000{number:03d}"
        asset, leverage = NET[number % 3], 1 + number % 2
        row = await done("/trade/create", {"asset": asset, "type": side, "margin": margin, "leverage": leverage})
        if number % 5 == 0:
            await done("/trade/close", {"orderId": row["orderId"], "percent": 3333})
        if number % 7 == 0:
            await done("/trade/margin", {"orderId": row["orderId"], "amount": "0.123457"})


async def test_for_a_minute_at_ninety_ticks_a_second_every_row_of_two_hundred_says_what_the_server_says(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    env = {"EXNESS_FEED_TICKS_PER_S": str(TICKS_PER_S), **UNLIMITED}
    async with Server(tmp_path / "data", env=env) as server, a_page(browser) as (page, context):
        token = await server.token(YOU)
        await hold_all_kinds(server, token)
        await signed_in(context, server)
        await page.goto(local(server))
        await expect(page.locator("#trade-rows tr")).to_have_count(ROWS)
        await page.evaluate(RECORD)
        said: dict[str, dict[Decimal, str]] = {}
        loop = asyncio.get_running_loop()
        until = loop.time() + SECONDS
        while loop.time() < until:
            for row in (await server.get("/trade/open", token)).body["data"]:
                said.setdefault(row["orderId"], {})[Decimal(row["markPrice"])] = row["unrealizedPnl"]
            await asyncio.sleep(0.05)
        shown = await page.evaluate(TAKE)
    assert len(said) == len(shown) == ROWS
    compared: Counter[str] = Counter()
    for order, by_mark in shown.items():
        for mark, gained in by_mark.items():
            told = said[order].get(Decimal(mark.replace(",", ""))) if mark != "–" else None
            if told is not None:
                assert gained == told, (order, mark)
                compared[order] += 1
    assert len(compared) == ROWS, "each row was seen at a price at which the server was asked, too"
    assert compared.total() > 10 * ROWS
    assert max(len(by_mark) for by_mark in said.values()) > SECONDS, "prices ran meanwhile"

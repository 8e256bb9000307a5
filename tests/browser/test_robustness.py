"""What a page lives through: a server that is killed, one that falls silent, a reset, a session that ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, link_of, local, signed_in
from tests.support.process import Server, finished, free_port

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"
SEEN = """() => ({
  rows: [...document.querySelectorAll('#trade-rows tr')]
    .map((row) => [...row.cells].slice(0, 10).map((cell) => cell.textContent)),
  money: ['equity', 'free', 'locked', 'open-pnl'].map((id) => document.getElementById(id).textContent),
  levels: [...document.querySelectorAll('.level')].map((level) => level.textContent).sort(),
  markets: [...document.querySelectorAll('#market-list .small')].map((each) => each.textContent),
})"""


async def set_price(server: Server, mid: str) -> None:
    assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": mid})).status == 200


async def trade(server: Server, token: str, **changed: Any) -> str:
    body = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10} | changed
    answer = await server.post("/trade/create", token, body)
    assert answer.status == 200
    return str(answer.body["orderId"])


async def is_live(page: "Page") -> None:
    from playwright.async_api import expect

    await expect(page.get_by_role("status", name="connection")).to_have_text("live")


async def assert_same_as_a_fresh_page(browser: "Browser", server: Server, page: "Page") -> None:
    """What a page has lived through is not to be seen on it."""
    async with a_page(browser) as (fresh, context):
        await signed_in(context, server)
        await fresh.goto(local(server))
        await is_live(fresh)
        lived, loaded = await page.evaluate(SEEN), await fresh.evaluate(SEEN)
        for _ in range(60):
            if lived == loaded:
                return
            await asyncio.sleep(0.1)
            lived, loaded = await page.evaluate(SEEN), await fresh.evaluate(SEEN)
        assert lived == loaded


async def test_a_page_outlives_kill_9_and_is_then_as_one_that_was_loaded_afresh(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    flags = (*MANUAL, "--port", str(free_port()))
    async with Server(tmp_path / "data", *flags) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        await set_price(server, "200")
        first, _second = await trade(server, token), await trade(server, token, type="short", leverage=5)
        await page.goto(link_of(server))
        await is_live(page)
        await expect(page.locator("#trade-rows tr")).to_have_count(2)
        killed = time.monotonic()
        server.kill()
        await expect(page.get_by_role("status", name="connection")).to_contain_text("down")
        assert time.monotonic() - killed < 6
        await expect(page.get_by_role("button", name="Open long")).to_be_disabled()
        await expect(page.get_by_role("button", name="close SOL long 10x").first).to_be_disabled()
        await expect(page.locator("#trouble")).to_contain_text("what is shown is old")
        await server.restart()
        await set_price(server, "201")
        assert (await server.post("/trade/close", token, {"orderId": first})).status == 200
        await is_live(page)
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await expect(page.get_by_role("button", name="Open long")).to_be_enabled()
        await page.get_by_role("tab", name="Events").click()
        await expect(page.locator("#event-rows")).to_contain_text("trades closed")
        seqs = await page.locator("#event-rows button").all_inner_texts()
        assert len(seqs) == 2, "the close and its balance, and nothing from before is told twice"
        await page.get_by_role("tab", name="Trades").click()
        await assert_same_as_a_fresh_page(browser, server, page)


class Proxy:
    """Passes on what both sides say, until it is told to hold its tongue with all connections open."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = free_port()
        self.silent = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            for task in self.tasks:
                task.cancel()
            server.close()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            for writer in self.writers:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer_reader, outer_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, outer_writer]
        for source, sink in ((reader, outer_writer), (outer_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self.tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if not self.silent.is_set():
                sink.write(data)
                await sink.drain()
        sink.close()


async def test_a_server_that_falls_silent_with_the_connection_open_is_seen_within_six_seconds(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with (
        Server(tmp_path / "data") as server,
        Proxy(int(server.url.rpartition(":")[2])).running() as proxy,
        a_page(browser) as (page, _),
    ):
        await page.goto(f"http://localhost:{proxy.port}/")
        await is_live(page)
        proxy.silent.set()
        began = time.monotonic()
        await expect(page.get_by_role("status", name="connection")).to_contain_text("down", timeout=10_000)
        assert time.monotonic() - began < 7, "six seconds, and one for a busy machine"
        proxy.silent.clear()
        await is_live(page)
        assert await page.locator("#market-list .state").first.inner_text() == "live"


async def test_after_a_reset_nothing_of_before_is_on_the_page(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        await set_price(server, "200")
        await trade(server, token)
        await page.goto(link_of(server))
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        assert (await server.post("/dev/reset")).status == 200
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await expect(page.locator("#free")).to_have_text("5,000.00")
        await expect(page.locator("#trouble")).to_contain_text("SOL has no price yet")
        await set_price(server, "100")
        await trade(server, token)
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await assert_same_as_a_fresh_page(browser, server, page)


async def test_a_session_that_is_revoked_leaves_nothing_of_the_account_on_the_screen(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        await set_price(server, "200")
        await trade(server, token)
        await page.goto(link_of(server))
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        closed = await trade(server, token, type="short")
        assert (await server.post("/trade/close", token, {"orderId": closed})).status == 200
        for tab, rows in (
            ("History", "#history-rows tr"),
            ("Account", "#statement-rows tr"),
            ("Account", "#asset-rows tr"),
        ):
            await page.get_by_role("tab", name=tab).click()
            await expect(page.locator(rows)).not_to_have_count(0)
        done = await finished("token", "--revoke", YOU, "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert done.code == 0
        await expect(page.get_by_role("heading", name="Sign in to trade")).to_be_visible()
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await expect(page.locator("#equity")).to_have_text("–")
        await expect(page.locator(".level")).to_have_count(0)
        for rows in ("#history-rows tr", "#statement-rows tr", "#asset-rows tr", "#event-rows tr"):
            await expect(page.locator(rows)).to_have_count(0)
        await expect(page.locator("#history-totals")).to_be_empty()
        await is_live(page)
        await expect(page.locator("#market-list")).to_contain_text("200.0000")

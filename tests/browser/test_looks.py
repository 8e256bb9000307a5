"""How the terminal looks and reads: both themes, a phone, a screen reader; the zoom is the user's."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.chromium import DESK, MANUAL, PHONE, a_page, link_of
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"
TABS = ("Trades", "Orders", "Net", "History", "Account", "Events", "Requests")


async def with_something_to_see(server: Server) -> None:
    """Two assets with prices, two trades open, one closed and one liquidated, at a time that stands still."""
    token = await server.token(YOU)

    async def price(asset: str, mid: str) -> None:
        assert (await server.request("PUT", f"/dev/prices/{asset}", body={"mid": mid})).status == 200

    async def trade(**changed: Any) -> str:
        body = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10} | changed
        answer = await server.post("/trade/create", token, body)
        assert answer.status == 200
        return str(answer.body["orderId"])

    closed = ""
    await server.post("/dev/clock", body={"paused": True})
    for step in range(40):
        await price("SOL", f"{200 + step % 7 - (step % 5) * 0.7:.2f}")
        await price("BTC", f"{80000 + 37 * step}")
        if step == 10:
            closed = await trade(type="short", leverage=3)
            await trade(leverage=100, margin=20)
        if step == 20:
            assert (await server.post("/trade/close", token, {"orderId": closed})).status == 200
            await trade()
            await trade(type="short", leverage=4, margin=250)
        await server.post("/dev/clock", body={"step": 20})
    for asset, mid in (("SOL", "201"), ("BTC", "81000"), ("ETH", "3000")):
        await price(asset, mid)


async def seen(page: "Page", server: Server) -> None:
    from playwright.async_api import expect

    await page.goto(link_of(server))
    await expect(page.get_by_role("status", name="connection")).to_have_text("live")
    await expect(page.locator("#trade-rows tr")).to_have_count(2)
    await still(page)


async def still(page: "Page") -> bytes:
    """The picture of a page once it stands still: its rows and its chart are there."""
    from playwright.async_api import expect

    for place in ("#ohlc", "#chart-sentence", "#preview"):
        await expect(page.locator(place)).not_to_be_empty()
    await expect(page.locator('.level[data-kind="entry"]')).to_have_count(2)
    before, now = b"", await page.locator("#main").screenshot()
    for _ in range(40):
        if before == now:
            break
        await asyncio.sleep(0.5)
        before, now = now, await page.locator("#main").screenshot()
    return now


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_a_reader_finds_nothing_wrong_and_nothing_is_wider_than_the_screen(
    browser: "Browser", tmp_path: Path, scheme: str, size: dict[str, int]
) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    async with Server(tmp_path / "data", *MANUAL) as server:
        await with_something_to_see(server)
        async with a_page(browser, viewport=size, color_scheme=scheme) as (page, _):
            await seen(page, server)

            async def looked_at(what: str) -> None:
                await page.evaluate(AXE_SCRIPT)
                found = await page.evaluate("axe.run().then(({violations}) => violations)")
                told = [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found]
                assert told == [], f"{what}: {told}"
                assert await page.evaluate("document.documentElement.scrollWidth") == size["width"], what

            for tab in TABS:
                await page.get_by_role("tab", name=tab).click()
                await asyncio.sleep(0.7)  # rows come by requests, and the page says nothing of when it has asked all
                await looked_at(tab)
            await page.get_by_role("tab", name="Trades").click()
            await page.get_by_role("button", name="change SOL long 10x").click()
            await looked_at("a trade that is changed")
            await page.keyboard.press("Escape")
            await page.evaluate("document.getElementById('book-net').click()")
            if size is PHONE:
                await page.locator('#sheet-bar [data-sheet="short"]').click()
            await looked_at("the ticket of net positions")
            if size is PHONE:
                await page.locator("#ticket-hide").click()
            await page.get_by_role("button", name="lab", exact=True).click()
            await looked_at("lab")
            await page.get_by_role("button", name="?", exact=True).click()
            await looked_at("help")


async def test_on_a_phone_long_opens_the_ticket_and_the_trade_closes_it(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server:
        await with_something_to_see(server)
        async with a_page(browser, viewport=PHONE, has_touch=True) as (page, _):
            await seen(page, server)
            submit = page.locator("#submit")
            await expect(submit).not_to_be_in_viewport()
            await page.locator('#sheet-bar [data-sheet="short"]').tap()
            await expect(submit).to_be_in_viewport()
            await submit.tap()
            await expect(page.locator("#trade-rows tr")).to_have_count(3)
            await expect(submit).not_to_be_in_viewport()


async def test_a_zoom_outlives_a_new_candle_and_a_trade(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server:
        await with_something_to_see(server)
        async with a_page(browser) as (page, _):
            await seen(page, server)
            chart = page.locator("#chart")

            async def bars() -> float:
                first, last = (await chart.get_attribute("data-bars") or "").split()
                return float(last) - float(first)

            before, attribute = await bars(), await chart.get_attribute("data-bars")
            box = await chart.bounding_box()
            assert box is not None
            await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            await page.mouse.wheel(0, -400)
            await expect(chart).not_to_have_attribute("data-bars", attribute or "")
            await page.mouse.move(5, 5)
            zoomed = await bars()
            assert zoomed < before * 0.95
            await server.post("/dev/clock", body={"step": 61})
            await server.request("PUT", "/dev/prices/SOL", body={"mid": "202"})
            await expect(page.locator("#ohlc")).to_contain_text("O 202.0000")
            await page.locator("#submit").click()
            await expect(page.locator("#trade-rows tr")).to_have_count(3)
            assert abs(await bars() - zoomed) < 0.1


async def test_two_launches_look_the_same_to_the_byte_and_the_themes_do_not(browser: "Browser", tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL) as server:
        await with_something_to_see(server)
        pictures = []
        for scheme in ("dark", "dark", "light"):
            async with a_page(browser, color_scheme=scheme) as (page, context):
                token = await server.token(YOU)
                url = server.url.replace("127.0.0.1", "localhost")
                await context.add_cookies([{"name": "authToken", "value": token, "url": url}])
                await page.goto(url)
                await page.locator("#trade-rows tr").first.wait_for()
                # Handles lie in a layer of their own, whose edges the browser may round either way.
                await page.evaluate("document.getElementById('levels').style.visibility = 'hidden'")
                pictures.append(await still(page))
        assert pictures[0] == pictures[1]
        assert pictures[0] != pictures[2]

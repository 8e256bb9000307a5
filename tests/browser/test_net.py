"""Net positions in the terminal: bought, sold, turned round and closed; what will be is said before the click."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, link_of
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"


async def set_price(server: Server, mid: str) -> None:
    assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": mid})).status == 200


async def trading_net(page: "Page", server: Server) -> None:
    """In front of the ticket of net positions, at 10x."""
    from playwright.async_api import expect

    await page.goto(link_of(server))
    await page.get_by_role("radio", name="Net position").check()
    await expect(page.locator("#ticket")).to_be_hidden()
    leverage = page.get_by_role("textbox", name="Leverage of the position")
    await expect(leverage).to_have_value("20")
    await leverage.fill("10")
    await page.get_by_role("button", name="set the leverage of net positions").click()
    await expect(page.locator("#net-said")).to_have_text("Net positions in SOL have 10x from now on.")


async def order(page: "Page", side: str, quantity: str, effect: str) -> None:
    """Ask for it once the page says what it would do."""
    from playwright.async_api import expect

    await page.get_by_role("radio", name=side).check()
    await page.get_by_role("textbox", name="Quantity").fill(quantity)
    await expect(page.get_by_label("what the net order would do")).to_contain_text(effect)
    await page.get_by_role("button", name=f"{side} {quantity} SOL: {effect}").click()
    await expect(page.locator("#net-said")).to_contain_text("Filled")


async def held(server: Server) -> Any:
    (row,) = (await server.get("/net?asset=SOL", await server.token(YOU))).body["data"]
    return row["trade"]


async def test_a_position_grows_turns_round_and_closes_and_the_page_says_so_before_each_click(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await trading_net(page, server)
        said, preview = page.locator("#net-said"), page.get_by_label("what the net order would do")
        await expect(preview).to_contain_text("flat → long 1")
        await expect(preview).to_contain_text("180.00")
        await order(page, "Buy", "1", "opens")
        await expect(said).to_have_text("Filled at 200.00, PnL 0.000000: now long 1 SOL.")
        await set_price(server, "210")
        await order(page, "Buy", "1", "adds")
        await expect(said).to_have_text("Filled at 210.00, PnL 0.000000: now long 2 SOL.")
        await page.get_by_role("tab", name="Net").click()
        cells = page.locator('#net-rows tr[data-asset="SOL"] td')
        await expect(page.get_by_role("tab", name="Net")).to_have_text("Net 1")
        for at, text in enumerate(("SOL", "long", "2.000", "10x", "41.00", "205.00", "210.00")):
            await expect(cells.nth(at)).to_have_text(text)
        for mid in ("219.123456", "220"):
            await set_price(server, mid)
            await expect(cells.nth(8)).to_have_text((await held(server))["unrealizedPnl"])
        await page.get_by_role("radio", name="Sell").check()
        await page.get_by_role("textbox", name="Quantity").fill("3")
        await expect(preview).to_contain_text("long 2 → short 1")
        await order(page, "Sell", "3", "turns round")
        await expect(said).to_have_text("Filled at 220.00, PnL 30.000000: now short 1 SOL.")
        await expect(cells.nth(1)).to_have_text("short")
        assert (await held(server))["quantity"] == "1.000"
        await page.get_by_role("button", name="close the net position in SOL").click()
        await expect(cells.nth(1)).to_have_text("flat")
        await expect(cells.nth(3)).to_have_text("10x")
        assert await held(server) is None
        await expect(page.locator("#free")).to_have_text("5,030.00")


async def test_what_only_reduces_never_opens_and_what_is_refused_says_why_at_its_field(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await trading_net(page, server)
        await page.get_by_role("checkbox", name="reduce only").check()
        await expect(page.locator("#reduce-only-error")).not_to_be_empty()
        await expect(page.locator("#net-submit")).to_be_disabled()
        await page.get_by_role("checkbox", name="reduce only").uncheck()
        await page.get_by_role("textbox", name="Quantity").fill("1000")
        await expect(page.locator("#quantity-error")).not_to_be_empty()
        await expect(page.locator("#net-submit")).to_be_disabled()
        await page.get_by_role("textbox", name="Quantity").fill("lots")
        await expect(page.locator("#quantity-error")).not_to_be_empty()
        await order(page, "Buy", "2", "opens")
        await page.get_by_role("checkbox", name="reduce only").check()
        await order(page, "Sell", "5", "closes")
        await expect(page.locator("#net-said")).to_contain_text("now flat")
        assert await held(server) is None
        await page.get_by_role("textbox", name="Leverage of the position").fill("1000")
        await page.get_by_role("button", name="set the leverage of net positions").click()
        await expect(page.locator("#net-leverage-error")).not_to_be_empty()
        await asyncio.sleep(0.5)  # a quote comes meanwhile, and takes nothing of it away
        await expect(page.locator("#net-leverage-error")).not_to_be_empty()


async def test_a_net_order_waits_at_its_price_and_the_keys_reach_all_of_it(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await trading_net(page, server)
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("s")
        await expect(page.get_by_role("radio", name="Sell")).to_be_checked()
        await page.keyboard.press("m")
        await page.keyboard.type("0.5")
        await page.locator("#net-kind").select_option("limit")
        await page.get_by_role("textbox", name="Price USDC").fill("210")
        await page.evaluate("document.activeElement.blur()")
        await expect(page.locator("#net-submit")).to_be_enabled()
        await page.keyboard.press("Enter")
        await expect(page.locator("#net-said")).to_have_text("Placed: it waits.")
        await expect(page.get_by_role("tab", name="Orders")).to_have_text("Orders 1")
        await set_price(server, "211")
        await expect(page.get_by_role("tab", name="Net")).to_have_text("Net 1")
        assert ((await held(server))["type"], (await held(server))["quantity"]) == ("short", "0.500")

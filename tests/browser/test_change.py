"""What can be done to an open trade in the terminal: parts, margin, leverage, exits; and all of them closed at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, link_of
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"


async def set_price(server: Server, mid: str) -> None:
    assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": mid})).status == 200


async def open_trade(server: Server, **changed: Any) -> str:
    body = {"asset": "SOL", "type": "long", "margin": "100", "leverage": "10"} | changed
    answer = await server.post("/trade/create", await server.token(YOU), body)
    assert answer.status == 200
    return str(answer.body["orderId"])


async def the_trade(server: Server) -> Any:
    (row,) = (await server.get("/trade/open", await server.token(YOU))).body["data"]
    return row


@asynccontextmanager
async def changing(browser: "Browser", folder: Path) -> AsyncIterator[tuple["Page", Server]]:
    """A long of 100 USDC at 200 and 10x, and the window in which it is changed."""
    from playwright.async_api import expect

    async with Server(folder / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await open_trade(server)
        await page.goto(link_of(server))
        await page.get_by_role("button", name="change SOL long 10x").click()
        await expect(page.get_by_role("dialog", name="Trade: SOL long")).to_be_visible()
        yield page, server


async def test_a_part_is_closed_and_margin_and_leverage_are_changed_as_the_server_answers(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with changing(browser, tmp_path) as (page, server):
        figures, said = page.locator("#change-figures"), page.locator("#change-said")
        await set_price(server, "210")
        await expect(figures).to_contain_text("50.000000 USDC, 50.00 %")
        await page.get_by_role("button", name="25 %").last.click()
        await page.get_by_role("button", name="close this part").click()
        await expect(said).to_have_text("Closed at 210.00, PnL 12.500000: 75.00 USDC of margin are left.")
        await expect(figures).to_contain_text("75.00 USDC at 10x")
        assert (await the_trade(server))["margin"] == "75.000000"
        await page.get_by_role("textbox", name="Margin USDC").last.fill("25")
        await page.get_by_role("button", name="add", exact=True).first.click()
        await expect(said).to_contain_text("Margin 100.00 USDC at 10x")
        await page.get_by_role("textbox", name="Margin USDC").last.fill("10")
        await page.get_by_role("button", name="take out").click()
        await expect(said).to_contain_text("Margin 90.00 USDC")
        await page.get_by_role("textbox", name="Margin USDC").last.fill("5000")
        await page.get_by_role("button", name="take out").click()
        await expect(page.locator("#margin-change-error")).not_to_be_empty()
        await page.get_by_role("textbox", name="Leverage x").last.fill("5")
        await page.get_by_role("button", name="set leverage").click()
        await expect(said).to_contain_text("at 5x")
        row = await the_trade(server)
        assert (row["leverage"], row["margin"]) == (5, "150.000000")
        await expect(figures).to_contain_text("150.00 USDC at 5x")
        await page.locator("#part").fill("100")
        await page.get_by_role("button", name="close this part").click()
        await expect(page.get_by_role("button", name="close this part")).to_be_disabled()
        await expect(page.locator("#trade-rows tr")).to_have_count(0)


async def test_exits_are_set_changed_and_removed_and_a_trailing_stop_follows_on_the_chart(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with changing(browser, tmp_path) as (page, server):
        said = page.locator("#change-said")
        save = page.get_by_role("button", name="save exits")
        await save.click()
        await expect(said).to_have_text("Nothing has changed.")
        await page.locator("#exits-take-profit").fill("220")
        await page.locator("#exits-stop-loss").fill("170")
        await save.click()
        await expect(said).to_contain_text("Set: take profit 220.00, stop loss 170.00.")
        await expect(said).to_contain_text("liquidat")
        await page.locator("#exits-stop-loss").fill("250")
        await save.click()
        await expect(page.locator("#exits-stop-loss-error")).not_to_be_empty()
        await page.locator("#exits-stop-loss").fill("")
        await page.locator("#exits-trailing").fill("2.5")
        await page.locator("#exits-activation").fill("205")
        await save.click()
        await expect(said).to_have_text("Set: take profit 220.00, a trailing stop.")
        row = await the_trade(server)
        assert (row["takeProfit"], row["stopLoss"]) == ("220.000000", None)
        assert row["trailingStop"] == {"percent": 250, "activation": "205.000000", "level": None}
        await expect(page.locator("#change-figures")).to_contain_text("waits for its price")
        await page.get_by_role("button", name="close this window").click()
        await set_price(server, "208")
        await expect(page.locator('.level[data-key^="trailing"]')).to_contain_text("trailing stop 202.80")
        await set_price(server, "210")
        await expect(page.locator('.level[data-key^="trailing"]')).to_contain_text("trailing stop 204.75")
        await set_price(server, "204.75")
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await page.get_by_role("tab", name="History").click()
        await expect(page.locator("#history-rows tr")).to_contain_text(["trailing stop"])


async def test_an_exit_of_a_part_waits_among_the_orders_and_ends_with_its_trade(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with changing(browser, tmp_path) as (page, server):
        await page.locator("#exit-price").fill("190")
        await page.get_by_role("form", name="exit of a part").get_by_role("button", name="add").click()
        await expect(page.locator("#exit-error")).not_to_be_empty()
        await page.locator("#exit-price").fill("220")
        await page.get_by_role("form", name="exit of a part").get_by_role("button", name="add").click()
        await expect(page.locator("#change-said")).to_have_text("Added: it stands among the orders.")
        await expect(page.locator("#tab-orders")).to_have_text("Orders 1")
        token = await server.token(YOU)
        (waiting,) = (await server.get("/order/open", token)).body["data"]
        assert (waiting["kind"], waiting["stopPrice"], waiting["quantity"]) == ("take_profit", "220.000000", "2.500")
        await server.post("/trade/close", token, {"orderId": (await the_trade(server))["orderId"]})
        await expect(page.locator("#change-said")).to_have_text("This trade has ended.")
        await expect(page.get_by_role("button", name="save exits")).to_be_disabled()
        await expect(page.locator("#tab-orders")).to_have_text("Orders")


async def test_the_ticket_opens_with_a_trailing_stop_and_says_what_is_wrong_with_one(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await page.goto(link_of(server))
        await page.locator("#more summary").click()
        await page.locator("#ticket-trailing").fill("lots")
        await expect(page.locator("#ticket-trailing-error")).not_to_be_empty()
        await page.locator("#ticket-trailing").fill("5")
        await page.locator("#ticket-trailing-unit").select_option("distance")
        await expect(page.locator("#ticket-trailing-error")).to_be_empty()
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        assert (await the_trade(server))["trailingStop"] == {"distance": "5.000000", "level": "195.000000"}
        await expect(page.locator('.level[data-key^="trailing"]')).to_contain_text("trailing stop 195.00")


async def test_a_trade_is_changed_by_keys_alone_and_all_are_closed_at_the_second_click(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await open_trade(server)
        await page.goto(link_of(server))
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.keyboard.press("e")
        await expect(page.get_by_role("dialog", name="Trade: SOL long")).to_be_visible()
        await expect(page.locator("#part")).to_be_focused()
        await page.keyboard.press("Control+a")
        await page.keyboard.type("40")
        await page.keyboard.press("Enter")
        await expect(page.locator("#change-said")).to_contain_text("60.00 USDC of margin are left")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog", name="Trade: SOL long")).to_be_hidden()
        await open_trade(server, type="short")
        await expect(page.locator("#trade-rows tr")).to_have_count(2)
        close_all = page.locator("#close-all")
        await close_all.click()
        await expect(close_all).to_have_text("all 2?")
        await expect(page.locator("#trade-rows tr")).to_have_count(2)
        await close_all.click()
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await expect(close_all).to_be_disabled()

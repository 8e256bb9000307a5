"""The lab: price, clock and money in the user's hand, and a pytest of what was done."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, link_of
from tests.support.process import ROOT, Server, free_port

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"


async def in_the_lab(page: "Page", server: Server) -> None:
    from playwright.async_api import expect

    await page.goto(link_of(server))
    await page.get_by_role("button", name="lab", exact=True).click()
    await expect(page.get_by_role("heading", name="Lab")).to_be_visible()


async def set_price(page: "Page", mid: str) -> None:
    from playwright.async_api import expect

    await page.get_by_label("new price").fill(mid)
    await page.get_by_role("button", name="set", exact=True).click()
    await expect(page.locator("#lab-said")).to_contain_text(f"SOL at {mid}")


async def mark_of(server: Server) -> str:
    return str((await server.get("/prices/SOL")).body["mark"])


async def passes(folder: Path, text: str) -> None:
    """A test that was recorded passes as it was copied."""
    (folder / "test_recorded.py").write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_recorded.py"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"{text}\n{output.decode()}"


async def test_price_clock_and_money_are_in_the_hand_and_each_says_what_came_of_it(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        said = page.locator("#lab-said")
        await page.get_by_role("button", name="+1 %").click()
        await expect(said).to_have_text("SOL has no price yet: set one")
        await set_price(page, "200")
        await page.get_by_role("button", name="+1 %").click()
        await expect(page.locator("#market-list")).to_contain_text("202.0000")
        assert await mark_of(server) == "202.000000"
        await set_price(page, "200")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.get_by_role("button", name="one unit before my liquidation").click()
        await expect(page.locator("#trade-rows td").nth(8)).to_have_text("-99.999995")
        await page.get_by_role("button", name="pause", exact=True).click()
        await expect(said).to_contain_text("paused at")
        await expect(page.locator("#clock")).to_contain_text("paused")
        await page.get_by_role("button", name="+1 min").click()
        await expect(page.locator("#trouble")).to_contain_text("stale")
        await expect(page.locator("#ticket-error")).to_contain_text("no fresh price")  # what it pushes down stands now
        await page.get_by_role("button", name="resume").click()
        await expect(said).to_contain_text("running from")
        await page.get_by_role("button", name="to my liquidation", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("Liquidated")
        await expect(said).to_contain_text("liquidated 1")
        await page.get_by_role("button", name="deposit").click()
        await expect(page.locator("#free")).to_have_text("5,900.00")
        await page.get_by_label("speed").fill("10")
        await page.get_by_label("speed").press("Enter")
        await expect(page.locator("#clock")).to_contain_text("×10")
        await page.get_by_role("button", name="forget everything").click()
        await expect(said).to_contain_text("type the word reset first")
        await page.get_by_label("type reset").fill("reset")
        await page.get_by_role("button", name="forget everything").click()
        await expect(page.locator("#free")).to_have_text("5,000.00")


async def test_a_preset_crashes_the_price_as_the_clock_comes_to_it(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        await set_price(page, "200")
        await page.get_by_role("button", name="pause", exact=True).click()
        await expect(page.locator("#clock")).to_contain_text("paused")
        await page.get_by_role("button", name="crash").click()
        await expect(page.locator("#lab-said")).to_contain_text("100 prices to come; the clock is paused")
        await page.get_by_role("button", name="+1 min").click()
        await expect(page.locator("#lab-said")).to_contain_text("paused at")
        assert await mark_of(server) == "180.000000"


async def test_the_price_is_dragged_by_mouse_and_by_arrow_keys(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        for mid in ("190", "210", "200"):
            await set_price(page, mid)
        handle = page.get_by_role("slider", name="price of SOL")
        await expect(handle).to_have_attribute("aria-valuetext", "200.000000")
        await handle.press("ArrowUp")
        await expect(handle).to_have_attribute("aria-valuetext", "200.200000")
        await handle.press("Shift+ArrowDown")  # from there, also before the exchange has answered
        await expect(handle).to_have_attribute("aria-valuetext", "198.198000")
        await expect(page.locator("#market-list")).to_contain_text("198.1980")
        box = await handle.bounding_box()
        assert box is not None
        x, y = box["x"] + 20, box["y"] + box["height"] / 2
        await page.mouse.move(x, y)
        await page.mouse.down()
        await page.mouse.move(x, y + 40, steps=4)
        await page.mouse.up()
        await expect(page.locator("#lab-said")).to_contain_text("done")
        await expect(handle).not_to_have_attribute("aria-valuetext", "198.198000")
        moved = float(await mark_of(server))
        assert 180 < moved < 198


async def test_one_changes_accounts_and_each_sees_its_own(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        await set_price(page, "200")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.get_by_label("trade as").fill("bob@example.com")
        await page.get_by_role("button", name="trade as").click()
        await expect(page.locator("#who")).to_have_text("bob@example.com")
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await expect(page.locator("#free")).to_have_text("5,000.00")
        await page.get_by_role("button", name=YOU).click()
        await expect(page.locator("#who")).to_have_text(YOU)
        await expect(page.locator("#trade-rows tr")).to_have_count(1)


async def test_there_is_no_lab_without_dev_control_and_a_small_one_with_another_feed(
    browser: "Browser", tmp_path: Path
) -> None:
    async with Server(tmp_path / "a") as server, a_page(browser) as (page, _):
        await page.goto(link_of(server))
        assert await page.locator("#lab-button").is_hidden()
    async with Server(tmp_path / "b", "--dev-control") as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        assert await page.locator("#lab-price").is_hidden()
        assert await page.locator("#deposit-form").is_visible()


async def test_what_was_recorded_is_a_pytest_that_passes_as_copied(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        await set_price(page, "198.84")
        await page.get_by_role("button", name="record", exact=True).click()
        await page.locator("#margin").fill("11.5")
        await page.locator("#leverage").fill("40.99")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.get_by_role("button", name="one unit before my liquidation").click()
        await expect(page.locator("#lab-said")).to_contain_text("done")
        await page.locator("#margin").fill("9000")
        await expect(page.locator("#margin-error")).not_to_be_empty()
        await expect(page.get_by_role("button", name="Open long")).to_be_disabled()
        await page.locator("#margin").fill("50")
        await page.get_by_role("radio", name="Short").check()
        await page.get_by_role("button", name="Open short").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(2)
        await page.get_by_role("button", name="close SOL short 40.99x").first.click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.get_by_role("button", name="crash").click()
        await expect(page.get_by_role("alert")).to_contain_text("Liquidated")
        await page.get_by_role("button", name="deposit").click()
        await expect(page.locator("#lab-said")).to_contain_text("paid in")
        await page.get_by_role("button", name="stop", exact=True).click()
        text = await page.locator("#recorded").input_value()
    assert text.count("assert ") > 6
    assert 'trade_1["liquidationPrice"] == "193.989060"' in text
    await passes(tmp_path, text)


async def test_the_page_follows_a_clock_that_somebody_else_sets(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await server.request("PUT", "/dev/prices/SOL", body={"mid": "200"})
        await server.post("/dev/clock", body={"paused": True})
        await in_the_lab(page, server)
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)

        async def shows(body: dict[str, Any], sign: str) -> str:
            """The page shows what the clock was set to; that time."""
            now = str((await server.post("/dev/clock", body=body)).body["now"])
            await expect(page.locator("#clock")).to_have_text(f"{sign}{now[:10]} {now[11:19]} UTC")
            return now

        await shows({"step": 3600}, "paused ")
        await expect(page.locator("#trade-rows td").nth(10)).to_have_text("1 h 0 min")
        await expect(page.locator("#trouble")).to_contain_text("SOL is stale")
        before = await shows({"step": 5}, "paused ")
        await expect(page.get_by_role("button", name="resume")).to_be_visible()
        await server.post("/dev/clock", body={"paused": False, "speed": 1000})
        await expect(page.locator("#clock")).to_contain_text("×1000")
        await expect(page.locator("#pause")).to_have_text("pause")
        await expect(page.locator("#speed")).to_have_value("1000")
        await expect(page.locator("#clock")).not_to_contain_text(before[11:16])
        script = [{"offset": offset, "asset": "SOL", "price": "201"} for offset in (86_400, 86_401)]
        await server.post("/dev/prices/script", body={"prices": script})
        await expect(page.locator("#clock-said")).to_have_text("2 scripted prices to come")
        await shows({"paused": True, "speed": 1, "step": 86_400 * 2}, "paused ")
        await expect(page.locator("#clock-said")).to_be_empty()
        await expect(page.locator("#market-list")).to_contain_text("201.0000")
        assert [url for url in asked if url.endswith("/dev/clock")] == []


async def test_a_page_outlives_a_server_that_comes_back_without_a_clock_to_hold(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    port = str(free_port())
    async with a_page(browser) as (page, _):
        async with Server(tmp_path / "data", *MANUAL, "--port", port) as server:
            await server.post("/dev/clock", body={"paused": True})
            await in_the_lab(page, server)
            await expect(page.locator("#clock")).to_contain_text("paused")
        await expect(page.get_by_role("status", name="connection")).to_contain_text("down")
        async with Server(tmp_path / "data", "--port", port):
            await expect(page.get_by_role("status", name="connection")).to_have_text("live")
            await expect(page.locator("#clock")).not_to_contain_text("paused")
            await expect(page.locator("#market-list")).to_contain_text("live")


async def test_rates_are_taken_over_or_set_by_hand_and_what_they_cost_is_seen(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await server.post("/dev/clock", body={"paused": True})
        await in_the_lab(page, server)
        await set_price(page, "200")
        said, house = page.locator("#lab-said"), page.get_by_label("accounts of the house")
        await expect(page.get_by_label("Commission, taker")).to_have_value("0")
        await page.get_by_label("as charged by").select_option("binance")
        await page.get_by_role("button", name="take over").click()
        await expect(said).to_have_text("rates of binance")
        await expect(page.get_by_label("Commission, taker")).to_have_value("0.05")
        await expect(page.get_by_label("Maintenance")).to_have_value(re.compile("^[0-9]+ tiers$"))
        await expect(page.get_by_label("preview")).to_contain_text("0.50 USDC")
        await page.get_by_label("Commission, taker").fill("0.1")
        await page.get_by_label("Maintenance").fill("1")
        await page.get_by_role("textbox", name="Funding %").fill("0.01")
        await page.get_by_role("textbox", name="every s").fill("60")
        await page.get_by_role("button", name="set rates of SOL").click()
        await expect(said).to_contain_text("rates of SOL set")
        told = (await server.get("/rates")).body["rates"]["SOL"]
        shown = [told[name]["value"] for name in ("taker", "maker", "fundingRate", "fundingIntervalS")]
        assert shown == ["0.00100000", "0.00020000", "0.00010000", 60]
        await expect(page.get_by_label("preview")).to_contain_text("1.00 USDC")
        await page.get_by_role("button", name="Open long").click()
        await expect(house).to_contain_text("1.000000")
        await page.get_by_role("button", name="+1 min").click()
        await page.get_by_role("button", name="change SOL long 10x").click()
        await expect(page.locator("#change-figures")).to_contain_text("1.000000 USDC")
        await expect(page.locator("#change-figures")).to_contain_text("0.100000 USDC")
        await page.get_by_role("button", name="close this window").click()
        await expect(house).to_contain_text("0.100000")
        books = (await server.get("/dev/house")).body
        for name in ("commission", "funding", "insurance", "shortfall"):
            await expect(house).to_contain_text(books[name])
        await page.get_by_label("Commission, taker").fill("lots")
        await page.get_by_role("button", name="set rates of SOL").click()
        await expect(page.locator("#rates-error")).not_to_be_empty()
        assert (await server.get("/rates")).body["rates"]["SOL"] == told


async def test_a_recording_that_began_with_rates_passes_as_copied(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        assert (await server.request("PUT", "/dev/profile", body={"profile": "hyperliquid"})).status == 200
        by_hand = {"taker": "0.001", "maintenance": [{"floor": 0, "rate": "0.01"}, {"floor": 500, "rate": "0.02"}]}
        assert (await server.request("PUT", "/dev/rates/SOL", body=by_hand)).status == 200
        await in_the_lab(page, server)
        await set_price(page, "200")
        await page.get_by_role("button", name="record", exact=True).click()
        await expect(page.locator("#lab-said")).to_contain_text("recording")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.get_by_role("button", name="change SOL long 10x").click()
        await page.get_by_role("button", name="close this part").click()
        await expect(page.locator("#change-said")).to_contain_text("are left")
        await page.locator("#exits-stop-loss").fill("190")
        await page.get_by_role("button", name="save exits").click()
        await expect(page.locator("#change-said")).to_contain_text("stop loss 190.00")
        await page.get_by_role("button", name="close this window").click()
        await page.get_by_role("radio", name="Net position").check()
        await page.get_by_role("textbox", name="Quantity").fill("0.5")
        await page.get_by_role("button", name="Buy 0.5 SOL: opens").click()
        await expect(page.locator("#net-said")).to_contain_text("Filled")
        await set_price(page, "189")
        await expect(page.get_by_role("alert")).to_contain_text("Liquidated")
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await page.get_by_role("button", name="stop", exact=True).click()
        text = await page.locator("#recorded").input_value()
    assert '"/dev/profile", {"profile": "hyperliquid"}' in text
    assert 'trade_2["pnl"] == "0.000000"' in text
    await passes(tmp_path, text)


async def test_what_a_script_ended_after_the_last_click_and_what_two_accounts_did_is_recorded_too(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await in_the_lab(page, server)
        await set_price(page, "200")
        await page.get_by_role("button", name="record", exact=True).click()
        await expect(page.locator("#lab-said")).to_contain_text("recording")
        await page.get_by_role("button", name="Open long").click()
        await page.get_by_role("button", name="close SOL long 10x").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await page.get_by_label("trade as").fill("bob@example.com")
        await page.get_by_role("button", name="trade as").click()
        await expect(page.locator("#free")).to_have_text("5,000.00")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await page.locator("#preset-seconds").fill("2")
        await page.get_by_role("button", name="crash").click()
        await expect(page.get_by_role("alert")).to_contain_text("Liquidated")
        await page.get_by_role("button", name="stop", exact=True).click()
        text = await page.locator("#recorded").input_value()
    assert text.count('row["liquidated"]') == 2, "that of each account"
    await passes(tmp_path, text)

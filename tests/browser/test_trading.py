"""The terminal in a real browser: sign in, trade, see it move and see it end."""

import ast
import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, link_of, local
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

YOU = "you@example.com"


async def cells(page: "Page", at: int = 0) -> list[str]:
    return [text.strip() for text in await page.locator("#trade-rows tr").nth(at).locator("td").all_inner_texts()]


async def set_price(server: Server, mid: str, asset: str = "SOL") -> Any:
    answer = await server.request("PUT", f"/dev/prices/{asset}", body={"mid": mid})
    assert answer.status == 200
    return answer.body


async def opened(page: "Page", server: Server) -> None:
    """In front of a terminal whose prices are there."""
    from playwright.async_api import expect

    await page.goto(link_of(server))
    await expect(page.get_by_role("status", name="connection")).to_have_text("live")
    await expect(page.get_by_role("button", name="Open long")).to_be_enabled()


async def test_one_click_after_the_start_a_trade_is_one_click_away(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data") as server, a_page(browser) as (page, _):
        await opened(page, server)
        assert await page.get_by_role("textbox", name="Margin USDC").input_value() == "100"
        assert await page.get_by_role("textbox", name="Leverage x").input_value() == "10"
        assert await page.get_by_role("radio", name="Long").is_checked()
        await expect(page.get_by_role("button", name="Open long, 100.00 USDC of SOL")).to_be_visible()
        said = page.get_by_label("preview")
        await expect(said).to_contain_text("liquidation")
        await expect(said).to_contain_text("5,000.00 → 4,900.00")
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        token = await server.token(YOU)
        (row,) = (await server.get("/trade/open", token)).body["data"]
        shown = await cells(page)
        assert shown[:4] == ["SOL", "long", "10x", "100.00"]
        assert float(shown[4].replace(",", "")) == float(row["entryPrice"])
        assert float(shown[6].replace(",", "")) == float(row["liquidationPrice"])
        await expect(page.locator('.level[data-kind="entry"]')).to_contain_text("long 10x")
        await expect(page.locator('.level[data-kind="liquidation"]')).to_contain_text("liquidation")
        await expect(page.locator("#chart canvas").first).to_be_visible()
        await expect(page.locator("#free")).to_have_text("4,900.00")


async def test_a_double_click_and_enter_trade_once(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await opened(page, server)
        button = page.get_by_role("button", name="Open long")
        await button.dblclick()
        await page.get_by_role("textbox", name="Margin USDC").press("Enter")
        await expect(page.locator("#trade-rows tr")).not_to_have_count(0)
        await expect(page.locator("#ticket-said")).to_contain_text("Opened")
        await asyncio.sleep(0.3)
        token = await server.token(YOU)
        opened_trades = (await server.get("/trade/open", token)).body["data"]
        sent = await page.evaluate(
            "performance.getEntriesByName(new URL('api/v1/trade/create', document.baseURI).href).length"
        )
        assert len(opened_trades) == sent
        assert sent <= 2, "the double click is one request; Enter, pressed after its answer, may be another"
        await expect(page.locator("#trade-rows tr")).to_have_count(sent)


async def test_rows_show_the_servers_own_figures_and_a_close_is_what_it_answers(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        await set_price(server, "198.84")
        for side, margin, leverage in (("long", "11.5", 40.99), ("short", "7.000001", 3), ("long", "100", 1)):
            body = {"asset": "SOL", "type": side, "margin": margin, "leverage": leverage}
            assert (await server.post("/trade/create", token, body)).status == 200
        await opened(page, server)
        for mid in ("199.123456", "195.000001", "194.1"):
            await set_price(server, mid)
            rows = (await server.get("/trade/open", token)).body["data"]
            for at, row in enumerate(reversed(rows)):
                await expect(page.locator("#trade-rows tr").nth(at).locator("td").nth(8)).to_have_text(
                    row["unrealizedPnl"]
                )
        await expect(page.locator("#trade-rows")).to_contain_text("never")
        await page.get_by_role("button", name="close SOL short 3x").first.click()
        await expect(page.locator("#trade-rows tr")).to_have_count(2)
        await page.get_by_role("tab", name="History").click()
        (row,) = (await server.get("/trade/history?status=closed", token)).body["data"]
        await expect(page.locator("#history-rows")).to_contain_text(row["pnl"])
        await expect(page.locator("#history-totals")).to_contain_text(f"PnL {row['pnl']} USDC")


async def test_a_liquidation_is_shown_where_it_cannot_be_missed(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await opened(page, server)
        await page.get_by_role("button", name="Open long").click()
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        await set_price(server, "180.000001")
        await expect(page.locator("#trade-rows td").nth(8)).to_have_text("-99.999995")
        assert await page.get_by_role("alert").count() == 0
        await set_price(server, "180")
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("Liquidated: SOL long 10x at 180.00, 100.00 USDC of margin lost.")
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await expect(page.locator("#equity")).to_have_text("4,900.00")
        await page.get_by_role("tab", name="History").click()
        await expect(page.locator("#history-rows tr")).to_contain_text(["liquidated"])
        await page.get_by_role("button", name="dismiss").click()
        await expect(alert).to_have_count(0)


async def test_a_refusal_is_the_servers_sentence_at_its_field(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await opened(page, server)
        token = await server.token(YOU)

        async def refused(fields: dict[str, str], place: str, **body: Any) -> None:
            for name, value in fields.items():
                await page.locator(f"#{name}").fill(value)
            # The quote says it first. What it cannot read may still be sent; what it refuses may not.
            await expect(page.locator(f"#{place}")).not_to_be_empty()
            if body.pop("sent", False):
                await page.locator("#submit").click()
            else:
                await expect(page.locator("#submit")).to_be_disabled()
            order = {"asset": "SOL", "type": "long", "margin": "100", "leverage": "10"} | body
            answer = await server.post("/trade/create", token, order)
            assert answer.status >= 400
            await expect(page.locator(f"#{place}")).to_have_text(answer.body["message"])
            for name in fields:
                await page.locator(f"#{name}").fill({"margin": "100", "leverage": "10"}.get(name, ""))

        await refused({"margin": "0"}, "margin-error", margin="0", sent=True)
        await refused({"margin": "6000"}, "margin-error", margin="6000")
        await refused({"leverage": "101"}, "leverage-error", leverage="101", sent=True)
        await refused({"margin": "lots"}, "margin-error", margin="lots", sent=True)
        await page.locator("#more summary").click()
        await refused({"slippage": "1", "expected": "100"}, "slippage-error", slippage=100, expectedPrice="100")
        assert (await server.get("/trade/open", token)).body["data"] == []


async def test_a_trade_is_opened_and_closed_by_keys_alone(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await opened(page, server)
        await page.keyboard.press("s")
        await expect(page.get_by_role("button", name="Open short")).to_be_visible()
        await page.keyboard.press("m")
        await page.keyboard.type("50")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Escape")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("Enter")
        await expect(page.locator("#trade-rows tr")).to_have_count(1)
        assert (await cells(page))[1:4] == ["short", "10x", "50.00"]
        await page.keyboard.press("x")
        await expect(page.locator("#trade-rows tr")).to_have_count(0)
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys and licences")).to_be_visible()


async def test_who_is_not_signed_in_sees_the_market_and_the_way_in(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data") as server, a_page(browser) as (page, _):
        await page.goto(local(server))
        await expect(page.get_by_role("status", name="connection")).to_have_text("live")
        await expect(page.locator("#market-list")).to_contain_text("live")
        await expect(page.get_by_role("heading", name="Sign in to trade")).to_be_visible()
        assert await page.locator("#ticket").is_hidden()
        assert await page.locator("#lab-button").is_hidden()
        await page.get_by_label("Mail address").fill("bob@example.com")
        await page.get_by_role("button", name="Mail me a link").click()
        await expect(page.locator("#signin-said")).to_contain_text("a link is on its way")


async def test_what_is_copied_is_what_was_asked(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, context):
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        await set_price(server, "200")
        await opened(page, server)
        token = await server.token(YOU)
        for button, run, read in (
            ("as curl", ["bash", "-c"], json.loads),
            ("as Python", ["python3", "-c"], ast.literal_eval),
        ):
            await page.get_by_role("button", name=button).click()
            await expect(page.locator("#ticket-said")).to_contain_text("Copied")
            text = await page.evaluate("navigator.clipboard.readText()")
            command = "\n".join(line for line in text.splitlines() if not line.startswith("TOKEN="))
            process = await asyncio.create_subprocess_exec(
                *run,
                command,
                env={"PATH": "/usr/bin:/bin:/usr/local/bin", "TOKEN": token},
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
            assert b"orderId" in output, text
            assert read(output.decode())["success"] is True
        await expect(page.locator("#trade-rows tr")).to_have_count(2)


async def test_another_asset_takes_no_price_of_the_one_before_and_no_quote(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        await set_price(server, "200")
        await set_price(server, "80000", "BTC")
        await opened(page, server)
        await page.locator("#kind").select_option("limit")
        await page.locator("#at").fill("190")
        await page.locator("#take-profit").fill("230")
        await expect(page.get_by_label("preview")).to_contain_text("171.00")
        asked: asyncio.Queue[str] = asyncio.Queue()

        async def late(route: Any) -> None:
            asked.put_nowait(route.request.post_data)
            answer = await route.fetch()
            await asyncio.sleep(0.4)
            await route.fulfill(response=answer)

        await page.route("**/api/v1/trade/quote", late)
        await page.locator("#margin").fill("50")
        assert '"SOL"' in await asked.get()
        await page.locator("#market-list button", has_text="BTC").click()
        await expect(page.locator("#at")).to_have_value("80000")
        await expect(page.locator("#take-profit")).to_have_value("")
        await expect(page.get_by_label("preview")).to_contain_text("72,000.00")
        await page.locator("#kind").select_option("market")
        await page.locator("#stop-loss").fill("90000")
        await expect(page.locator("#stop-loss-error")).not_to_be_empty()


async def test_what_the_exchange_does_by_itself_is_said_and_history_leads_to_its_candles(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        await server.post("/dev/clock", body={"paused": True})
        await set_price(server, "200")
        order = {
            "asset": "SOL",
            "type": "long",
            "margin": "100",
            "leverage": "10",
            "limitPrice": "190",
            "stopLoss": "185",
        }
        assert (await server.post("/order/create", token, order)).status == 200
        await opened(page, server)
        await set_price(server, "190")
        await expect(page.locator("#news")).to_contain_text("Filled: limit long of SOL at 190.00.")
        await set_price(server, "185")
        await expect(page.locator("#news")).to_contain_text(
            "Closed by stop loss: SOL long 10x at 185.00, PnL -26.315790."
        )
        await server.post("/dev/clock", body={"step": 3600 * 20})
        await set_price(server, "200")
        await page.get_by_role("tab", name="History").click()
        await page.locator("#history-rows button").click()
        await expect(page.get_by_role("button", name="5m", exact=True)).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("tab", name="Account").click()
        await expect(page.locator("#asset-rows tr").last).to_have_text(re.compile("^all1010-26"))
        await expect(page.locator("#equity-sentence")).to_contain_text("to 4,973.68 USDC")
        async with page.expect_download() as started:
            await page.get_by_role("tab", name="History").click()
            await page.get_by_role("button", name="CSV").click()
        lines = (await asyncio.to_thread(Path(await (await started.value).path()).read_text)).splitlines()
        assert len(lines) == 2
        assert "-26.315790" in lines[1]


async def test_a_level_that_is_dragged_where_it_may_not_stand_says_why_where_it_stood(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, _):
        token = await server.token(YOU)
        for mid in ("190", "210", "200"):
            await set_price(server, mid)
        body = {"asset": "SOL", "type": "long", "margin": "100", "leverage": "5", "stopLoss": "199.9"}
        assert (await server.post("/trade/create", token, body)).status == 200
        await opened(page, server)
        handle = page.get_by_role("slider", name="stop loss of long 5x")
        await handle.press("ArrowUp")
        await expect(handle).to_have_attribute("data-refused", "true")
        await expect(handle).to_contain_text("The current price would set it off at once")
        await expect(handle).to_have_attribute("aria-valuetext", "199.900000")
        await expect(handle).to_have_attribute("data-refused", "false")
        await expect(handle).to_contain_text("stop loss 199.90")
        await handle.press("ArrowDown")
        await expect(handle).to_have_attribute("aria-valuetext", "199.700100")

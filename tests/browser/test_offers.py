"""What the page shows where the server has more: orders, exits, quotes. Here a stand-in answers those calls."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import MANUAL, a_page, local, signed_in
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

MORE = "POST:/order/create POST:/trade/exits POST:/trade/quote"
QUOTE = {
    "success": True,
    "price": "200.000000",
    "liquidationPrice": "181.000000",
    "commission": "0.500000",
    "required": "100.500000",
    "breakEvenPrice": "200.200000",
    "maxMargin": "4975.124378",
}
REFUSAL = {"code": "insufficient_margin", "message": "That is more than you have", "details": {}}


async def offering(page: "Page", asked: list[tuple[str, Any]]) -> None:
    """A server that has them, as far as this page can see."""

    async def answered(route: "Route") -> None:
        path, body = route.request.url.rpartition("/api/v1")[2], json.loads(route.request.post_data or "{}")
        asked.append((path, body))
        quoted = QUOTE | ({"refusal": REFUSAL} if body.get("margin") == "5000" else {})
        placed = {"success": True, "status": "pending", "type": "short", "asset": "SOL"}
        answer = quoted if path == "/trade/quote" else placed
        await route.fulfill(json=answer)

    # Before any module runs. To answer for the page itself would make it one of no place, which may open no stream.
    await page.add_init_script(
        "document.addEventListener('readystatechange', () => {"
        f" if (document.readyState === 'interactive') document.documentElement.dataset.calls += ' {MORE}'; }})"
    )
    for call in ("trade/quote", "order/create"):
        await page.route(f"**/api/v1/{call}", answered)


async def test_a_quote_is_shown_before_the_click_and_its_refusal_keeps_one_from_it(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, context):
        await server.request("PUT", "/dev/prices/SOL", body={"mid": "200"})
        asked: list[tuple[str, Any]] = []
        await offering(page, asked)
        await signed_in(context, server)
        await page.goto(local(server))
        preview = page.get_by_label("preview")
        await expect(preview).to_contain_text("181.00")
        await expect(preview).to_contain_text("0.50 USDC")
        await expect(preview).to_contain_text("5,000.00 → 4,899.50")
        await page.locator("#margin").fill("5000")
        await expect(page.locator("#margin-error")).to_have_text("That is more than you have")
        await expect(page.locator("#submit")).to_be_disabled()
        await page.locator("#margin").fill("100")
        await expect(page.locator("#margin-error")).to_be_empty()
        await expect(page.locator("#submit")).to_be_enabled()
        assert all(path == "/trade/quote" for path, _body in asked)


async def test_a_stop_order_with_exits_is_placed_from_the_ticket(browser: "Browser", tmp_path: Path) -> None:
    from playwright.async_api import expect

    async with Server(tmp_path / "data", *MANUAL) as server, a_page(browser) as (page, context):
        await server.request("PUT", "/dev/prices/SOL", body={"mid": "200"})
        asked: list[tuple[str, Any]] = []
        await offering(page, asked)
        await signed_in(context, server)
        await page.goto(local(server))
        await expect(page.get_by_label("preview")).to_contain_text("181.00")
        await page.locator("#kind").select_option("stop")
        await expect(page.locator("#at")).to_have_value("200")
        await page.locator("#at").fill("190")
        await page.locator("#take-profit").fill("170")
        await page.locator("#stop-loss").fill("195.5")
        await page.get_by_role("radio", name="Short").check()
        await page.get_by_role("button", name="Place short stop, 100.00 USDC of SOL").click()
        await expect(page.locator("#ticket-said")).to_have_text("Placed short SOL: it waits.")
        (body,) = [body for path, body in asked if path == "/order/create"]
        assert body.pop("clientOrderId").startswith("web-")
        assert body == {
            "asset": "SOL",
            "type": "short",
            "margin": "100",
            "leverage": "10",
            "stopPrice": "190",
            "takeProfit": "170",
            "stopLoss": "195.5",
        }

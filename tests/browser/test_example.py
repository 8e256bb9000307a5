"""examples/front_end, as it is, served from the origin that the exchange allows by default."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from tests.browser.chromium import MANUAL, a_page
from tests.support.process import ROOT, Server, free_port

if TYPE_CHECKING:
    from playwright.async_api import Browser


@asynccontextmanager
async def a_folder(path: Path) -> AsyncIterator[str]:
    """Served on a free port of localhost. Yields its origin."""
    app = web.Application()
    app.router.add_static("/", path)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    try:
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        yield f"http://localhost:{port}"
    finally:
        await runner.cleanup()


async def test_the_front_end_of_one_file_trades_and_comes_back_after_a_crash(
    browser: "Browser", tmp_path: Path
) -> None:
    from playwright.async_api import expect

    async with a_folder(ROOT / "examples/front_end") as origin:
        allowed = {"EXNESS_SERVER_ALLOWED_ORIGINS": origin}
        async with (
            Server(tmp_path / "data", *MANUAL, "--port", str(free_port()), env=allowed) as server,
            a_page(browser) as (page, _),
        ):
            await server.request("PUT", "/dev/prices/SOL", body={"mid": "200"})
            token = await server.token("you@example.com")
            await page.goto(f"{origin}/index.html?server={server.url}")
            await page.get_by_label("Session").fill("not a session")
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("alert")).not_to_be_empty()
            await page.reload()
            await page.get_by_label("Session").fill(token)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.locator("#price")).to_have_text("200.000000")
            await expect(page.locator("#balance")).to_have_text("5000.000000")
            await page.get_by_role("button", name="Buy 100 USDC").click()
            row = page.locator("#trades tr")
            await expect(row).to_contain_text("180.000000")
            await server.request("PUT", "/dev/prices/SOL", body={"mid": "210"})
            await expect(row.locator("td").nth(3)).to_have_text("50.00")

            server.kill()
            await server.wait()
            await server.start()
            await server.request("PUT", "/dev/prices/SOL", body={"mid": "190"})
            await expect(row.locator("td").nth(3)).to_have_text("-50.00")
            await row.get_by_role("button", name="Close").click()
            await expect(row).to_have_count(0)
            await expect(page.locator("#balance")).to_have_text("4950.000000")
            await page.get_by_role("button", name="Sell 100 USDC").click()
            await expect(row).to_contain_text("short")
            await server.request("PUT", "/dev/prices/SOL", body={"mid": "209"})
            await expect(page.get_by_role("alert")).to_have_text("Liquidated at 209.000000.")
            await expect(row).to_have_count(0)

"""`python -m tests.browser.screenshots FOLDER`: the pictures of the documentation, made anew.

Of an exchange whose price and clock stand still, so that two runs differ in nothing that matters.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.chromium import DESK, MANUAL, PHONE, a_page, launched, link_of, why_not
from tests.browser.test_looks import with_something_to_see
from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

SETTLED_S = 1.0
"""For rows that come by requests, and for the chart's own drawing."""


async def _desk(page: "Page", folder: Path, name: str) -> None:
    await page.locator("#trade-rows tr").first.wait_for()
    await asyncio.sleep(SETTLED_S)
    await page.screenshot(path=folder / f"{name}.png")


async def _made(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        async with Server(Path(data) / "data", *MANUAL) as server, launched() as browser:
            await with_something_to_see(server)
            async with a_page(browser, viewport=DESK, color_scheme="dark") as (page, _):
                await page.goto(link_of(server))
                await _desk(page, folder, "terminal-dark")
                await page.get_by_role("button", name="lab", exact=True).click()
                await _desk(page, folder, "terminal-lab")
                await page.get_by_role("button", name="lab", exact=True).click()
                await page.emulate_media(color_scheme="light")
                await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
                await _desk(page, folder, "terminal-phone")
                await page.set_viewport_size(DESK)  # type: ignore[arg-type]
                await server.request("PUT", "/dev/prices/SOL", body={"mid": "170"})
                await page.get_by_role("alert").wait_for()
                await asyncio.sleep(SETTLED_S)
                await page.screenshot(path=folder / "terminal-liquidated.png")


def main() -> int:
    if why_not():
        print(f"no pictures: {why_not()}")
        return 1
    (folder,) = sys.argv[1:] or ["docs/pictures"]
    Path(folder).mkdir(parents=True, exist_ok=True)
    asyncio.run(_made(Path(folder)))
    for path in sorted(Path(folder).glob("*.png")):
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

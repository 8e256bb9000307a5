"""A Chromium, a server and a page, for the tests and for the screenshots.

The browser is the machine's own (Debian's package `chromium`), driven by Playwright's Python package; none is fetched.
Its coroutines are used: its other interface refuses to run inside a loop. A page's own policy is under test, so nothing
here switches it off, and whatever the browser complains of fails the test.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.process import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MANUAL = ("--feed", "manual", "--dev-control")
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 15_000
"""The machine may have other things to do."""
EXPECTED = (
    "net::ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "status of 4",
    "status of 503",
    "WebSocket connection to",
)
"""What a browser says of a server that is gone, or of a refusal."""


@cache
def why_not() -> str:
    """What is missing to run a browser; nothing if it can be."""
    if find_spec("playwright") is None:
        return "Playwright's package is not installed: make browser installs it"
    if executable() is None:
        return "no Chromium is here: apt-get install chromium, or name one in CHROMIUM"
    return ""


@cache
def executable() -> str | None:
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


def require_browser() -> None:
    """Skip the test, and say why, where there is no browser. Where there must be one, fail."""
    if why_not():
        assert not os.environ.get("BROWSER_REQUIRED"), why_not()
        pytest.skip(why_not())


@asynccontextmanager
async def launched() -> AsyncIterator["Browser"]:
    """A browser of its own."""
    require_browser()
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=PATIENCE_MS)
    root = [] if os.getuid() else ["--no-sandbox"]
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=executable(), args=[*FLAGS, *root])
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """What a page must never do: complain, break its policy, ask another host for anything."""

    def __init__(self, *, expected: tuple[str, ...] = ()) -> None:
        self.expected = expected
        self.seen: list[str] = []

    async def watch(self, page: "Page") -> None:
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error("
            "`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"
        )

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(each in text for each in self.expected):
            self.seen.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://localhost:", "http://127.0.0.1:", "blob:", "data:,")):
            self.seen.append(f"another host: {url}")

    def nothing(self) -> None:
        assert self.seen == []


@asynccontextmanager
async def a_page(
    browser: "Browser", *, expected: tuple[str, ...] = EXPECTED, **options: Any
) -> AsyncIterator[tuple["Page", "BrowserContext"]]:
    """A page of a profile of its own. At the end it must have had nothing to complain of."""
    context = await browser.new_context(**({"viewport": DESK} | options))
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watched = Watched(expected=expected)
    await watched.watch(page)
    try:
        yield page, context
        watched.nothing()
    finally:
        await context.close()


def link_of(server: Server) -> str:
    """The one click of the banner."""
    return next(line.split()[-1] for line in server.output if line.startswith("  terminal  "))


async def signed_in(context: "BrowserContext", server: Server, email: str = "you@example.com") -> None:
    """The cookie of a session, without a link."""
    token = await server.token(email)
    await context.add_cookies([{"name": "authToken", "value": token, "url": local(server), "httpOnly": True}])


def local(server: Server) -> str:
    """Where a browser goes that has the cookie."""
    return server.url.replace("127.0.0.1", "localhost")

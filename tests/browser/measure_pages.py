"""`python -m tests.browser.measure_pages`: what open pages of the terminal cost the server.

Prices tick 10 times a second for each of three assets. A page is its own account with trades open, one WebSocket with
all that the terminal listens to, and a quote a second for its ticket, as the page asks for one while the price moves.
What the server's process takes without pages is subtracted; shares are of one core.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from tests.support.process import UNLIMITED, Server

TICKS_PER_S = 10
"""Of each of three assets."""
TRADES = 10
"""Of each page."""
CHANNELS = ["prices", "candles.1m.SOL", "trades", "account", "orders"]
ORDER = {"asset": "SOL", "type": "long", "margin": "1", "leverage": "2"}


def cpu_s(pid: int) -> float:
    """Processor time that a process has had, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def share(server: Server, seconds: float) -> float:
    """Of one core, by the server."""
    before, began = cpu_s(server.pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_s(server.pid) - before) / (time.monotonic() - began)


class Page:
    """One open page, as the server sees it."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.email = f"page{number}@example.com"
        self.token = ""
        self.frames = 0
        self.quotes = 0

    async def trade(self) -> None:
        self.token = await self.server.token(self.email)
        for _ in range(TRADES):
            assert (await self.server.post("/trade/create", self.token, ORDER)).status == 200

    async def listen(self, http: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with http.ws_connect(f"{self.server.url}/api/v1/stream", headers=headers) as socket:
            await socket.send_json({"op": "subscribe", "channels": CHANNELS})
            async for _message in socket:
                self.frames += 1

    async def quote(self) -> None:
        while True:
            await asyncio.sleep(1)
            assert (await self.server.post("/trade/quote", self.token, ORDER)).status == 200
            self.quotes += 1


async def measure(pages: int, seconds: float) -> None:
    env = {"EXNESS_FEED_TICKS_PER_S": str(TICKS_PER_S), **UNLIMITED}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = await stack.enter_async_context(Server(Path(folder) / "data", env=env))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        opened = [Page(server, number) for number in range(pages)]
        for page in opened:
            await page.trade()
        await asyncio.sleep(2)
        alone = await share(server, seconds)
        print(f"no page:  {alone:6.1%} of a core; load {os.getloadavg()[0]:.1f}")
        tasks = [asyncio.create_task(page.listen(http)) for page in opened]
        try:
            await asyncio.sleep(2)
            frames = sum(page.frames for page in opened)
            listening = await share(server, seconds)
            told = (sum(page.frames for page in opened) - frames) / seconds / pages
            cost = f"{listening:6.1%}, so they cost {listening - alone:.1%}"
            print(f"{pages} pages, stream alone:  {cost}; {told:.0f} frames/s each")
            tasks += [asyncio.create_task(page.quote()) for page in opened]
            await asyncio.sleep(2)
            asking = await share(server, seconds)
            asked = sum(page.quotes for page in opened) / (seconds + 2) / pages
            cost = f"{asking:6.1%}, so they cost {asking - alone:.1%}"
            print(f"{pages} pages, with quotes:   {cost}; {asked:.2f} quotes/s each")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure_pages")
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    asyncio.run(measure(options.pages, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

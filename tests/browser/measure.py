"""`python -m tests.browser.measure`: what the terminal costs a browser, beside a bare page with a chart and its rows.

Prices tick 90 times a second (three assets, 30 each). The share of time that the main thread is at work comes from the
browser's own counters, frames from its animation frames. The bare page hears the same stream and writes, ten times a
second, one figure into as many rows and the newest candle into the same chart: what remains is ours.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from exness.web.terminal.files import chart_file
from tests.browser.chromium import a_page, launched, link_of, local, signed_in, why_not
from tests.support.process import UNLIMITED, Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

ROWS = (24, 200)
TICKS_PER_S = 30
"""Of each of three assets."""
YOU = "you@example.com"
FRAMES = """(seconds) => new Promise((done) => {
  const began = performance.now();
  let frames = 0;
  const count = (now) => {
    if (now - began >= seconds * 1000) return done(frames / seconds);
    frames++;
    requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
})"""
BARE = """([url, rows]) => {
  const table = document.querySelector("tbody");
  for (let at = 0; at < rows; at++) {
    const row = table.insertRow();
    for (let cell = 0; cell < 12; cell++) row.insertCell().append("0.000000");
  }
  const options = { autoSize: true, layout: { attributionLogo: false } };
  const chart = LightweightCharts.createChart(document.getElementById("chart"), options);
  const series = chart.addSeries(LightweightCharts.CandlestickSeries);
  let mark = 0, candle = null;
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({ op: "subscribe", channels: ["prices", "candles.1m.SOL"] }));
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.channel === "prices" && frame.type === "price") mark = Number(frame.data.mark);
    if (frame.channel.startsWith("candles") && frame.data) candle = frame.data;
  };
  setInterval(() => {
    for (const row of table.rows) {
      row.cells[5].firstChild.data = mark.toFixed(6);
      row.cells[8].firstChild.data = (mark * (row.rowIndex + 1)).toFixed(6);
    }
    if (candle) {
      const time = Date.parse(candle.start) / 1000;
      series.update({ time, open: +candle.open, high: +candle.high, low: +candle.low, close: +candle.close });
    }
  }, 100);
}"""
BARE_PAGE = (
    "<style>#chart{height:480px}div.rows{height:260px;overflow:auto;contain:strict}table{width:100%;table-layout:fixed}"
    "td{height:26px}</style><div id=chart></div><div class=rows><table><tbody></tbody></table></div>"
)


class Cost(NamedTuple):
    """`busy`: share of one core that the main thread takes; `script`: of it, running JavaScript."""

    busy: float
    script: float
    frames: float
    heap_mb: float

    def __str__(self) -> str:
        at_work = f"main thread {self.busy:6.1%}, script {self.script:5.1%}"
        return f"{at_work}, {self.frames:4.1f} frames/s, heap {self.heap_mb:.1f} MB"


async def cost(page: "Page", context: "BrowserContext", seconds: float) -> Cost:
    """What a page costs, once it has settled."""
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable")
    await asyncio.sleep(2)

    async def counters() -> dict[str, float]:
        told = await session.send("Performance.getMetrics")
        return {each["name"]: each["value"] for each in told["metrics"]}

    before = await counters()
    frames = await page.evaluate(FRAMES, seconds)
    after = await counters()
    passed = after["Timestamp"] - before["Timestamp"]
    spent = {name: (after[name] - before[name]) / passed for name in ("TaskDuration", "ScriptDuration")}
    return Cost(spent["TaskDuration"], spent["ScriptDuration"], frames, after["JSHeapUsedSize"] / 1e6)


async def terminal(browser: "Browser", server: Server, seconds: float) -> tuple[Cost, float]:
    """The terminal, and how long after the click its chart was there."""
    async with a_page(browser) as (page, context):
        await signed_in(context, server)
        began = time.monotonic()
        await page.goto(local(server))
        await page.locator("#chart[data-bars]:not([data-bars=''])").wait_for()
        first_chart = time.monotonic() - began
        return await cost(page, context, seconds), first_chart


async def bare(browser: "Browser", server: Server, rows: int, seconds: float) -> Cost:
    library = chart_file()
    assert library is not None
    source = await asyncio.to_thread(library.read_text, "utf-8")
    async with a_page(browser) as (page, context):
        await page.set_content(BARE_PAGE)
        await page.evaluate(source)
        await page.evaluate(BARE, [local(server).replace("http", "ws") + "/api/v1/stream", rows])
        return await cost(page, context, seconds)


async def measure(seconds: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = {"EXNESS_FEED_TICKS_PER_S": str(TICKS_PER_S), **UNLIMITED}
        async with Server(Path(folder) / "data", env=env) as server, launched() as browser:
            assert link_of(server)
            token = await server.token(YOU)
            opened = 0
            for rows in ROWS:
                for number in range(opened, rows):
                    body = {"asset": ("SOL", "ETH", "BTC")[number % 3], "type": "long", "margin": "1", "leverage": 2}
                    assert (await server.post("/trade/create", token, body)).status == 200
                opened = rows
                ratios = []
                for _ in range(rounds):
                    ours, first_chart = await terminal(browser, server, seconds)
                    theirs = await bare(browser, server, rows, seconds)
                    ratios.append(ours.busy / theirs.busy)
                    print(f"{rows} rows, terminal   {ours}; first chart after {first_chart:.2f} s")
                    print(f"{rows} rows, bare page  {theirs}; ratio {ratios[-1]:.2f}")
                print(f"{rows} rows: ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    if why_not():
        print(f"nothing is measured: {why_not()}")
        return 1
    options = parser.parse_args()
    asyncio.run(measure(options.seconds, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rows of CSV: very many trades of one account, exported over HTTP by the real process.

The server's loop is watched by its own meter of how late it comes to what is due. What an export takes in memory is the
most that the process has meanwhile beyond what it had before: it is asked at each part of the answer.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import aiohttp

from exness.config import load
from exness.core.commands import CloseTrade, OpenAccount
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.storage.sqlite import open_storage
from tests.bench.books import DEPOSIT, do, order, wander, wide_rules
from tests.bench.figures import Figure, Round, figure
from tests.bench.http import API, first_prices
from tests.bench.running import Progress, Settings, exness, in_child, rss_bytes, tokens
from tests.storage.damage import save
from tests.support.books import make_engine
from tests.support.process import Server
from tests.support.venue import Venue

AT_ONCE = 5_000
"""Records of a commit, while the history is made."""
LONGEST = "exness_loop_lag_longest_seconds "


async def measure_csv(settings: Settings, progress: Progress) -> list[Figure]:
    """Rows a second, the longest hold of the loop, and the memory, of each export."""
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        data_dir = Path(folder) / "data"
        progress.say(f"csv: {settings.csv_trades:,} trades are made")
        await in_child(settings, __name__, "fill", trades=settings.csv_trades, data_dir=data_dir)
        rates, holds, grown = [], [], []
        async with Venue() as venue, exness(settings, data_dir, venue) as server:
            await first_prices(venue, server)
            (token,) = await tokens(data_dir, 1)
            for number in range(settings.csv_rounds):
                await longest_hold_ms(server)
                lines, seconds, more = await _exported(server, token)
                assert lines == settings.csv_trades + 1, lines
                hold = await longest_hold_ms(server)
                rates.append(Round(settings.csv_trades / seconds))
                holds.append(Round(hold))
                grown.append(Round(more / 1e6))
                progress.say(
                    f"csv: round {number + 1}/{settings.csv_rounds}: {rates[-1].measured:,.0f} rows/s, "
                    f"longest hold {hold:.1f} ms, {grown[-1].measured:.1f} MB more"
                )
    return [
        figure("csv.rows", "rows/s", rates, trades=settings.csv_trades),
        figure("csv.hold", "ms", holds),
        figure("csv.memory", "MB", grown),
    ]


async def longest_hold_ms(server: Server) -> float:
    """Since this was asked last."""
    assert server._session is not None
    async with server._session.get(f"{server.url}/metrics") as response:
        text = await response.text()
    (line,) = [line for line in text.splitlines() if line.startswith(LONGEST)]
    return float(line.removeprefix(LONGEST)) * 1000


async def _exported(server: Server, token: str) -> tuple[int, float, int]:
    """Lines, seconds, and the bytes of memory that it took."""
    headers, before, most = {"Authorization": f"Bearer {token}"}, rss_bytes(server.pid), 0
    began, lines = time.perf_counter(), 0
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http,
        http.get(f"{server.url}{API}/trade/history?format=csv", headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        async for part in response.content.iter_any():
            lines += part.count(b"\n")
            most = max(most, rss_bytes(server.pid))
    return lines, time.perf_counter() - began, max(0, most - before)


# --- in a process of its own ----------------------------------------------------------------------------------------


def fill(trades: int, data_dir: str) -> int:
    """Opens and closes so many, each before the next, of the account of the first session. Returns the records."""
    return asyncio.run(_fill(trades, Path(data_dir)))


async def _fill(trades: int, data_dir: Path) -> int:
    config = load(None, {}, {"storage.data_dir": data_dir})
    engine, chance, account = make_engine(wide_rules()), random.Random(3), AccountId(f"{7:032x}")
    async with open_storage(data_dir, config.instruments()) as storage:
        batch: list[Record] = [*do(engine, OpenAccount(account, "trader-0@example.com", DEPOSIT))]
        for number in range(trades):
            if number % 100 == 0:
                wander(engine, chance.randint(-500, 500))
            opens = order(chance, account, number)
            batch += [*do(engine, opens), *do(engine, CloseTrade(account, opens.trade_id))]
            if len(batch) >= AT_ONCE or number + 1 == trades:
                await storage.journal.append(batch)
                await storage.tables.write(batch)
                batch = []
        await save(storage.snapshots, engine.state, await storage.journal.fingerprint(engine.state.seq))
        return engine.state.seq

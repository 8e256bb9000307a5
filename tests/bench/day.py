"""Rows of a long day: 24 hours of trading on a simulated clock, compressed, through sequencer, writer and SQLite.

Every simulated second each asset ticks and, on average, so many orders come as make up the day's; each is closed after
a quarter of an hour unless it was liquidated before. So what is open, and with it the memory, is the same from the
first hour on, and only the files grow. A snapshot is taken every five simulated minutes.
"""

import asyncio
import gc
import random
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from exness.app import build as assembly
from exness.config import load
from exness.core.commands import CloseTrade, OpenAccount, PriceTick
from exness.core.outcomes import Done
from exness.core.state import State
from exness.core.sums import AllBooks
from exness.runtime.assembly import Parts
from exness.runtime.recovery import Recovered
from exness.runtime.snapshots import Snapshotter
from exness.storage.sqlite import open_storage
from tests.bench.books import DEPOSIT, LIFE_US, PRICES, account_id, order
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child, rss_bytes
from tests.support.books import SECOND, START

ACCOUNTS = 200
HELD_S = 900
SNAPSHOT_EVERY_S = 300
REMEMBERED = 20
"""Client order ids per account: few, so that the window is full within the first hours."""
STEP = 300
"""Millionths by which a price may move in a second, back towards where it began."""


async def measure_day(settings: Settings, progress: Progress) -> list[Figure]:
    """One process, one day."""
    progress.say(f"day: 24 h with {settings.day_pairs:,} trades")
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        size = {"pairs": settings.day_pairs, "seconds": settings.day_s}
        done = await in_child(settings, __name__, "day", **size, data_dir=Path(folder) / "data")
    quarters = done["quarters"]
    first, half, last = quarters[0], quarters[1], quarters[-1]
    per_trade = (last["file_bytes"] - first["file_bytes"]) / (last["trades"] - first["trades"])
    memory = Round(last["rss_bytes"] / 1e6, half["rss_bytes"] / 1e6)
    return [
        figure("day.memory", "MB", [memory], **done),
        figure("day.bytes", "B", [Round(per_trade)]),
        figure("day.pairs", "trades/s", [Round(done["trades"] / done["seconds"])]),
    ]


# --- in a process of its own ----------------------------------------------------------------------------------------


def day(pairs: int, seconds: int, data_dir: str) -> dict[str, Any]:
    """Memory and size of the files at the end of each quarter of the day, and what was traded."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_day(pairs, seconds, Path(data_dir)))


async def _day(pairs: int, seconds: int, data_dir: Path) -> dict[str, Any]:
    flags = {"storage.data_dir": data_dir, "trading.client_order_ids_per_account": REMEMBERED}
    config = load(None, {}, flags)
    async with open_storage(data_dir, config.instruments()) as storage:
        recovered = Recovered(State(), 0, 0, 0.0, "", [])
        parts = assembly.make_parts(config, storage, recovered, assembly.make_source(config))
        snapshotter = parts.snapshotter(storage.snapshots, 1.0, 0)
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(parts.writer.run())
            done = await _Day(parts, snapshotter, pairs, seconds, data_dir).run()
            parts.writer.close()
            await writing
    return done


class _Day:
    def __init__(self, parts: Parts, snapshotter: Snapshotter, pairs: int, seconds: int, data_dir: Path) -> None:
        self._parts = parts
        self._snapshotter = snapshotter
        self._seconds = seconds
        self._per_second = pairs / seconds
        self._data_dir = data_dir
        self._chance = random.Random(6)
        self._prices = dict(PRICES)
        self._held: deque[tuple[int, CloseTrade]] = deque()
        self._trades = 0
        self._liquidated = 0

    async def run(self) -> dict[str, Any]:
        started, quarters = time.perf_counter(), []
        await self._open_accounts()
        for second in range(1, self._seconds + 1):
            await self._second(second, START + second * SECOND)
            if second % 10 == 0:
                await asyncio.sleep(0)
            if second % SNAPSHOT_EVERY_S == 0:
                await self._snapshotter.take()
            if second % (self._seconds // 4) == 0:
                quarters.append(await self._sample())
        return {
            "quarters": quarters,
            "trades": self._trades,
            "liquidated": self._liquidated,
            "open": self._parts.exchange.look(AllBooks()).open_trades,
            "seconds": time.perf_counter() - started,
        }

    async def _open_accounts(self) -> None:
        for number in range(ACCOUNTS):
            account = account_id(number)
            await self._parts.sequencer.perform(OpenAccount(account, f"{number}@example.com", DEPOSIT), START)

    async def _second(self, second: int, at: int) -> None:
        perform = self._parts.sequencer.perform
        for asset, usual in PRICES.items():
            self._prices[asset] += usual * self._chance.randint(-STEP, STEP) // 1_000_000
            self._prices[asset] += (usual - self._prices[asset]) // 20_000
            price = self._prices[asset]
            outcome = await perform(PriceTick(asset, price - 1000, price + 1000, LIFE_US), at)
            assert isinstance(outcome, Done)
            self._liquidated += len(outcome.records)
        while self._held and self._held[0][0] <= second:
            await perform(self._held.popleft()[1], at)  # refused when it was liquidated
        while self._trades < second * self._per_second:
            await self._open(second, at)

    async def _open(self, second: int, at: int) -> None:
        self._trades += 1
        opens = order(self._chance, account_id(self._trades % ACCOUNTS), self._trades)
        leverage = self._chance.choice((500, 1000, 5000, 10_000))
        client_order = f"client-{self._trades}" if self._trades % 4 else None
        opens = msgspec.structs.replace(opens, leverage=leverage, client_order=client_order)
        outcome = await self._parts.sequencer.perform(opens, at)
        assert isinstance(outcome, Done), outcome
        self._held.append((second + HELD_S, CloseTrade(opens.account, opens.trade_id)))

    async def _sample(self) -> dict[str, int]:
        await self._parts.exchange.all_on_disk()
        gc.collect()
        size = sum(part.stat().st_size for part in self._data_dir.iterdir())
        return {"rss_bytes": rss_bytes(), "file_bytes": size, "trades": self._trades}

"""`make soak MINUTES=30`: half of the peak load for a long time, and whether everything is still as it was.

The real process on a venue of ours. Traders open and close at half of the pace that was measured at the start; every
few seconds a crowd of trades at 100x is liquidated by one tick; histories and balances are read; snapshots are taken as
usual. Each minute prints a line. At the end SIGTERM must end it with 0 and `verify` must find nothing.

Exits 1 on any answer but 200, a cascade not done in time, memory that grew beyond its bound, or a failed verify.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tqdm import tqdm

from tests.bench.figures import latencies_us, percentile
from tests.bench.http import first_prices, trade_plan
from tests.bench.load import Plan
from tests.bench.running import (
    Load,
    Settings,
    exness,
    keep_off_the_server,
    load_generator,
    quote,
    quoting,
    rss_bytes,
    tokens,
)
from tests.support.process import ROOT, Server, finished
from tests.support.venue import Venue

CONNECTIONS = 64
PEAK_S = 5.0
VICTIMS = 8
VERIFY_WITHIN_S = 1800.0
"""A million records take 20 s and more."""
CROWD = 400
"""Trades that one cascade liquidates."""
CASCADE_EVERY_S = 10.0
CASCADE_WITHIN_S = 10.0
CRASHED, SYMBOL, CRASH = "ETH", "ETH_USDC", 0.985
READS_EVERY_S = 0.25
PROBE_EVERY_S = 0.05
GROWTH_SHARE = 0.10
GROWTH_BYTES = 30_000_000
"""Memory may grow by the larger of the two, from the end of the first interval on."""
MEGA = 1_000_000
COLUMNS = {
    "minute": 6,
    "req/s": 8,
    "p50 ms": 7,
    "p99 ms": 7,
    "errors": 6,
    "RSS MB": 7,
    "files MB": 8,
    "lag p99": 7,
    "worst": 6,
    "disk p99": 8,
    "worst ": 6,
    "liquidated": 10,
    "reads": 6,
}
"""Their widths."""


class Minute(msgspec.Struct):
    """One line. Latencies, lag and what the disk takes in milliseconds."""

    requests_per_s: float
    p50: float
    p99: float
    errors: int
    rss_bytes: int
    file_bytes: int
    lag_p99: float
    lag_worst: float
    disk_p99: float
    disk_worst: float
    liquidated: int
    reads: int


class Soak:
    """What runs beside the load, and what it has seen."""

    def __init__(self, server: Server, venue: Venue, load: Load, everybody: list[str], victims: list[str]) -> None:
        """`everybody` trades in turn, so many at a time as there are connections: users come and go, and nobody's
        history grows without end but those of the victims (to sort 13,000 trades by their pnl takes 26 ms)."""
        self._server = server
        self._venue = venue
        self._load = load
        self._everybody = deque(everybody)
        self._traders = everybody[:CONNECTIONS]
        self._victims = victims
        self._lags_ns: list[int] = []
        self._syncs_ns: list[int] = []
        self._liquidated = 0
        self._reads = 0
        self.errors: Counter[str] = Counter()

    async def peak(self, seconds: float) -> float:
        """Requests a second, as fast as they are answered."""
        done, _ = await self._load.try_run(self._plan(seconds, 0.0))
        self.errors.update(done.errors)
        return done.requests / done.seconds

    async def interval(self, seconds: float, per_second: float) -> Minute:
        """So many seconds of everything at once, with the next traders."""
        self._everybody.rotate(-CONNECTIONS)
        self._traders = [self._everybody[place] for place in range(CONNECTIONS)]
        self._lags_ns, self._syncs_ns, self._liquidated, self._reads = [], [], 0, 0
        before = self.errors.total()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for work in (self._probe, self._probe_disk, self._read, self._cascade):
                tasks.create_task(work(stop))
            done, latencies = await self._load.try_run(self._plan(seconds, per_second))
            stop.set()
        self.errors.update(done.errors)
        times = latencies_us(latencies)
        return Minute(
            requests_per_s=done.requests / done.seconds,
            p50=times.get("p50", 0) / 1000,
            p99=times.get("p99", 0) / 1000,
            errors=self.errors.total() - before,
            rss_bytes=rss_bytes(self._server.pid),
            file_bytes=size_of(self._server.data_dir),
            lag_p99=percentile(self._lags_ns, 0.99) / 1e6,
            lag_worst=max(self._lags_ns) / 1e6,
            disk_p99=percentile(self._syncs_ns, 0.99) / 1e6,
            disk_worst=max(self._syncs_ns) / 1e6,
            liquidated=self._liquidated,
            reads=self._reads,
        )

    def _plan(self, seconds: float, per_second: float) -> Plan:
        plan = trade_plan(Settings(seconds=seconds), self._traders, CONNECTIONS)
        plan.port = int(self._server.url.rpartition(":")[2])
        plan.per_second = per_second
        return plan

    async def _probe(self, stop: asyncio.Event) -> None:
        """How long the loop lets its simplest answer wait: its lag, seen from outside."""
        while not await _stopped(stop, PROBE_EVERY_S):
            began = time.perf_counter_ns()
            await self._get("/healthz")
            self._lags_ns.append(time.perf_counter_ns() - began)
        if not self._lags_ns:
            self._lags_ns.append(0)

    async def _probe_disk(self, stop: asyncio.Event) -> None:
        """How long the disk itself takes, whoever asks: a page of a file beside the data, written and synced."""
        page, path = bytes(4096), self._server.data_dir.parent / "probe"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            while not self._syncs_ns or not await _stopped(stop, PROBE_EVERY_S):
                self._syncs_ns.append(await asyncio.to_thread(_write_and_sync, descriptor, page))
        finally:
            os.close(descriptor)

    async def _read(self, stop: asyncio.Event) -> None:
        tokens_in_turn, number = self._traders + self._victims * 8, 0
        while not await _stopped(stop, READS_EVERY_S):
            number += 1
            token = tokens_in_turn[number % len(tokens_in_turn)]
            for path in ("/trade/history?limit=100", "/trade/history?liquidated=true&sortBy=pnl", "/balance"):
                await self._get(path, token)
                self._reads += 1

    async def _cascade(self, stop: asyncio.Event) -> None:
        """A crowd opens, one tick liquidates all of it. One that has begun is brought to its end."""
        while True:
            await asyncio.gather(*(self._crowd(token, CROWD // len(self._victims)) for token in self._victims))
            await quote(self._venue, SYMBOL, CRASH)
            if not await self._all_gone():
                self.errors["a cascade was not done in time"] += 1
            await quote(self._venue, SYMBOL)
            if await _stopped(stop, CASCADE_EVERY_S):
                return

    async def _crowd(self, token: str, count: int) -> None:
        order = {"asset": CRASHED, "type": "long", "margin": "1", "leverage": 100}
        for _ in range(count):
            answer = await self._server.post("/trade/create", token, order)
            self._note("/trade/create", answer.status)
            self._liquidated += answer.status == 200

    async def _all_gone(self) -> bool:
        deadline = time.monotonic() + CASCADE_WITHIN_S
        while time.monotonic() < deadline:
            answers = [await self._server.get("/trade/open", token) for token in self._victims]
            if not any(answer.body["data"] for answer in answers):
                return True
            await asyncio.sleep(0.05)
        return False

    async def _get(self, path: str, token: str | None = None) -> None:
        self._note(path, (await self._server.get(path, token)).status)

    def _note(self, path: str, status: int) -> None:
        if status != 200:
            self.errors[f"{path} answered {status}"] += 1


def _write_and_sync(descriptor: int, page: bytes) -> int:
    """Nanoseconds it takes."""
    began = time.perf_counter_ns()
    os.pwrite(descriptor, page, 0)
    os.fdatasync(descriptor)
    return time.perf_counter_ns() - began


async def _stopped(stop: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def soak(minutes: float, interval_s: float, settings: Settings, peak_s: float = PEAK_S) -> int:
    """0 when all was well to the end."""
    keep_off_the_server(settings)
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="exness-soak-") as folder:
        data_dir = Path(folder) / "data"
        async with (
            Venue() as venue,
            exness(settings, data_dir, venue) as server,
            load_generator(settings, Path(folder)) as load,
        ):
            await first_prices(venue, server)
            intervals = round(minutes * 60 / interval_s) + 2
            everybody = await tokens(data_dir, CONNECTIONS * intervals)
            victims = await tokens(data_dir, VICTIMS, "victim")
            async with quoting(venue, settings.quotes_per_s):
                run = Soak(server, venue, load, everybody, victims)
                failures += await _minutes(run, minutes, interval_s, peak_s)
            code = await server.stop()
            failures += [f"SIGTERM ended it with {code}"] if code else []
            print(f"stopped with {code} on SIGTERM", flush=True)
        verified = await finished("verify", "--data-dir", str(data_dir), cwd=ROOT, within_s=VERIFY_WITHIN_S)
        print(verified.output.rstrip() or verified.errors.rstrip(), flush=True)
        failures += ["verify failed"] if verified.code else []
    print("\n".join(["", *(f"FAILED: {failure}" for failure in failures)]) if failures else "\nall was well")
    return 1 if failures else 0


async def _minutes(run: Soak, minutes: float, interval_s: float, peak_s: float) -> list[str]:
    """Prints a line for each interval, and returns what was wrong."""
    peak = await run.peak(peak_s)
    print(f"peak {peak:,.0f} requests/s; from now on half of it, for {minutes:g} minutes", flush=True)
    print(row(*COLUMNS), flush=True)
    lines: list[Minute] = []
    count = max(1, round(minutes * 60 / interval_s))
    for number in tqdm(range(1, count + 1), unit=" intervals", file=sys.stderr, disable=None):
        each = await run.interval(interval_s, peak / 2)
        lines.append(each)
        tqdm.write(line(number * interval_s / 60, each), file=sys.stdout)
        sys.stdout.flush()
    return [f"{count} x {what}" for what, count in run.errors.items()] + grown(lines)


def line(minute: float, each: Minute) -> str:
    return row(
        f"{minute:.1f}",
        f"{each.requests_per_s:,.0f}",
        f"{each.p50:.2f}",
        f"{each.p99:.1f}",
        f"{each.errors}",
        f"{each.rss_bytes / MEGA:.1f}",
        f"{each.file_bytes / MEGA:.1f}",
        f"{each.lag_p99:.1f}",
        f"{each.lag_worst:.0f}",
        f"{each.disk_p99:.1f}",
        f"{each.disk_worst:.0f}",
        f"{each.liquidated:,}",
        f"{each.reads:,}",
    )


def row(*cells: str) -> str:
    return " ".join(f"{cell.strip():>{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True))


def grown(lines: Sequence[Minute]) -> list[str]:
    """What there is to say when memory grew beyond its bound."""
    first, last = lines[0].rss_bytes, lines[-1].rss_bytes
    if last - first <= max(GROWTH_BYTES, first * GROWTH_SHARE):
        return []
    return [f"memory grew from {first / MEGA:.1f} to {last / MEGA:.1f} MB"]


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder; one may go while we look."""
    return sum(part.stat().st_size for part in folder.rglob("*") if part.exists())


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between two lines")
    options = parser.parse_args()
    return asyncio.run(soak(options.minutes, min(options.interval, options.minutes * 60), Settings()))


if __name__ == "__main__":
    sys.exit(main())

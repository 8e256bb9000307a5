"""Rows over HTTP: the real process and an aiohttp endpoint in turn, under the same load from another process.

Every request carries its session and is answered in full; a create is durable before it is answered. Baseline and
exness get the same bytes and answer with bodies of the same size, one after the other within each round, so that each
ratio is of neighbours in time.
"""

import re
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.baseline import CLOSE, CREATE
from tests.bench.figures import Figure, Round, figure, latencies_us, timed
from tests.bench.load import Plan, get, post
from tests.bench.running import (
    Load,
    Progress,
    Settings,
    baseline,
    cpu_s,
    exness,
    in_child,
    load_generator,
    quote,
    quoting,
    tokens,
)
from tests.support.process import Server
from tests.support.venue import Venue
from tests.support.waiting import until

API = "/api/v1"
READS = {"balance": f"{API}/balance", "open": f"{API}/trade/open", "prices": f"{API}/prices"}
ORDER = '{"asset":"SOL","type":"long","margin":"10","leverage":5}'
ORDER_ID_DIGITS = 32
OPEN_TRADES = 10
READ_CONNECTIONS = 64
SATURATING = 16
BUSY_ENOUGH = 0.85
"""With so many connections and no one else on the machine, a server is busy for at least this share of the time."""


class Side(NamedTuple):
    """One of the two that are compared: where it listens, and its process."""

    name: str
    port: int
    pid: int


class Bench(NamedTuple):
    """Both sides, running, and the load."""

    exness: Side
    baseline: Side
    raw: Side
    load: Load
    venue: Venue
    server: Server
    data_dir: Path
    tokens: list[str]


async def measure_trades(settings: Settings, progress: Progress) -> list[Figure]:
    """Durable create and close at each number of connections, and one connection against commit + request."""
    async with bench(settings) as ready, quoting(ready.venue, settings.quotes_per_s):
        commits: list[Round] = []
        details: dict[int, dict[str, Any]] = defaultdict(lambda: defaultdict(list))
        for number in range(settings.rounds):
            for connections in settings.connections:
                plan = trade_plan(settings, ready.tokens, connections)
                ours, theirs = await both(ready, plan, number)
                details[connections]["exness"].append(ours)
                details[connections]["baseline"].append(theirs)
                progress.say(
                    f"trades: round {number + 1}/{settings.rounds}, {connections} connections: "
                    f"exness {ours['rate']:,.0f}/s p99 {ours['p99'] / 1000:.1f} ms, "
                    f"aiohttp {theirs['rate']:,.0f}/s p99 {theirs['p99'] / 1000:.1f} ms"
                )
                if connections == 1:
                    commit_us = await in_child(settings, __name__, "commit_us", folder=ready.data_dir.parent)
                    commits.append(Round(ours["p50"] / 1000, (commit_us + theirs["p50"]) / 1000))
        lag_ms = await tables_lag_ms(ready)
        raw = await one(ready.load, ready.raw, trade_plan(settings, ready.tokens, max(settings.connections)))
    figures = []
    for connections in settings.connections:
        figures += http_figures(f"trades.{connections}", details[connections], connections)
    if commits:
        figures.append(figure("trades.1.p50", "ms", commits))
        figures[-1].doubtful = any(each.doubtful for each in figures)
    figures.append(figure("trades.tables", "ms", [Round(lag_ms)]))
    figures[0].details["generator against a server that reads nothing"] = raw
    return figures


async def measure_reads(settings: Settings, progress: Progress) -> list[Figure]:
    """The three reads of a trader with ten open trades."""
    details: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(list))
    async with bench(settings, open_trades=OPEN_TRADES) as ready, quoting(ready.venue, settings.quotes_per_s):
        for number in range(settings.rounds):
            for name, path in READS.items():
                requests = [get(path, ready.tokens[0])]
                plan = Plan(0, READ_CONNECTIONS, settings.read_seconds, "", requests)
                ours, theirs = await both(ready, plan, number)
                details[name]["exness"].append(ours)
                details[name]["baseline"].append(theirs)
                progress.say(
                    f"reads: round {number + 1}/{settings.rounds}, {path}: exness {ours['rate']:,.0f}/s, "
                    f"aiohttp {theirs['rate']:,.0f}/s"
                )
    return [made for name in READS for made in http_figures(f"reads.{name}", details[name], READ_CONNECTIONS)]


@asynccontextmanager
async def bench(settings: Settings, open_trades: int = 0) -> AsyncIterator[Bench]:
    """Both servers and the load, warm. The first trader holds `open_trades`."""
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        data_dir = Path(folder) / "data"
        async with Venue() as venue, exness(settings, data_dir, venue) as server:
            traders = await tokens(data_dir, max(settings.connections))
            await first_prices(venue, server)
            answers = await sample_answers(server, traders[0], open_trades)
            for token in traders:
                await server.get("/balance", token)
            async with (
                baseline(settings, "aiohttp", answers) as (port, pid),
                baseline(settings, "raw", answers) as (raw_port, raw_pid),
                load_generator(settings, Path(folder)) as load,
            ):
                ours = Side("exness", int(server.url.rpartition(":")[2]), server.pid)
                raw = Side("raw", raw_port, raw_pid)
                yield Bench(ours, Side("aiohttp", port, pid), raw, load, venue, server, data_dir, traders)


async def first_prices(venue: Venue, server: Server) -> None:
    async def priced() -> bool:
        for symbol in ("SOL_USDC", "ETH_USDC", "BTC_USDC"):
            await quote(venue, symbol)
        return (await server.get("/readyz")).status == 200

    await until(priced, "for a price of every asset", within_s=20, pause_s=0.02)


async def sample_answers(server: Server, token: str, open_trades: int) -> dict[str, str]:
    """What exness answers on each path, for the baseline to answer with as many bytes."""
    answers = {}
    created = await _text(server, "POST", CREATE, token, ORDER)
    answers[CREATE] = created
    answers[CLOSE] = await _text(server, "POST", CLOSE, token, f'{{"orderId":"{_order_id(created)}"}}')
    for _ in range(open_trades):
        await _text(server, "POST", CREATE, token, ORDER)
    for path in READS.values():
        answers[path] = await _text(server, "GET", path, token)
    return answers


async def _text(server: Server, method: str, path: str, token: str, body: str | None = None) -> str:
    assert server._session is not None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with server._session.request(method, server.url + path, headers=headers, data=body) as response:
        text = await response.text()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} was answered {response.status}: {text}")
        return text


def _order_id(created: str) -> str:
    order = created.partition('"orderId":"')[2].partition('"')[0]
    assert len(order) == ORDER_ID_DIGITS, created
    return order


def trade_plan(settings: Settings, traders: list[str], connections: int, order: str = ORDER) -> Plan:
    """Create and close in turn, each connection a trader of its own."""
    length = len('{"orderId":""}') + ORDER_ID_DIGITS
    return Plan(
        port=0,
        connections=connections,
        seconds=settings.seconds,
        latencies="",
        requests=[post(CREATE, token, order) for token in traders],
        closes=[post(CLOSE, token, '{"orderId":"{order}"}', length) for token in traders],
    )


async def both(ready: Bench, plan: Plan, number: int) -> tuple[dict[str, float], dict[str, float]]:
    """One round of each, who goes first in turn: what exness did, what the baseline did."""
    if number % 2:
        theirs = await one(ready.load, ready.baseline, plan)
        return await one(ready.load, ready.exness, plan), theirs
    ours = await one(ready.load, ready.exness, plan)
    return ours, await one(ready.load, ready.baseline, plan)


async def one(load: Load, side: Side, plan: Plan) -> dict[str, float]:
    """Requests a second, latencies in microseconds, and what the processors did."""
    plan.port = side.port
    cpu, started = cpu_s(side.pid), time.perf_counter()
    done, latencies = await load.run(plan)
    cpu, seconds = cpu_s(side.pid) - cpu, time.perf_counter() - started
    return {
        "rate": done.requests / done.seconds,
        **latencies_us(latencies),
        "cpu_us": cpu / done.answered * 1e6,
        "server_cores": round(cpu / seconds, 3),
        "generator_cores": round(done.cpu_share, 3),
    }


BEHIND = re.compile(r'exness_tables_behind_seconds_bucket\{le="([^"]+)"\} (\S+)')


async def tables_lag_ms(ready: Bench) -> float:
    """Within so many milliseconds of a commit its records were in the tables, of 99 in 100: a bound of the histogram
    that the server keeps."""
    buckets = BEHIND.findall(await _text(ready.server, "GET", "/metrics", ready.tokens[0]))
    counts = {float(bound) * 1000: float(count) for bound, count in buckets}
    return min(bound for bound, count in counts.items() if count >= 0.99 * max(counts.values()))


def http_figures(name: str, each: dict[str, list[dict[str, float]]], connections: int) -> list[Figure]:
    """Requests a second, p99 and processor time a request, of what `one` told of both sides, round by round."""
    ours, theirs = each["exness"], each["baseline"]

    def rounds(what: str) -> list[Round]:
        return [Round(here[what], there[what]) for here, there in zip(ours, theirs, strict=True)]

    rate = timed(figure(f"{name}.rate", "req/s", rounds("rate"), **each), ours, theirs)
    tail = figure(f"{name}.p99", "us", rounds("p99"))
    busy = statistics.median(there["server_cores"] for there in theirs)
    if connections >= SATURATING and busy < BUSY_ENOUGH:
        rate.doubtful = tail.doubtful = True
        rate.note = f"doubtful: others kept the baseline from its core, it was at work {busy:.0%} of the time"
    return [rate, tail, figure(f"{name}.cpu", "us", rounds("cpu_us"))]


def commit_us(folder: str, commits: int = 300) -> float:
    """p50 of one durable commit: a row of a journal record's size into an empty database, synced like ours."""
    times: list[int] = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        connection = sqlite3.connect(Path(place) / "commits.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, payload TEXT)")
        for _ in range(commits):
            began = time.perf_counter_ns()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO journal (payload) VALUES (?)", ("x" * 400,))
            connection.execute("COMMIT")
            times.append(time.perf_counter_ns() - began)
        connection.close()
    return statistics.median(times) / 1000

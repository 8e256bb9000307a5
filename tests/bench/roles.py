"""Rows of an exchange of several processes, held against one process on SQLite: how much it does, how long one order
takes, where the processor time of an order goes, and how long it is silent when a part of it dies.

PostgreSQL, Redis and the roles may use every core, as the system likes: they have two here, which they share with the
load.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from exness.core.commands import OpenTrade
from exness.core.events import Record
from exness.core.outcomes import Done
from exness.runtime.bus import Bus
from exness.runtime.replica import Replica
from exness.spread import wire
from tests.bench.books import engine_with, opening
from tests.bench.costs import Contender, Measured, Ready
from tests.bench.figures import Figure, Round, figure, timed, unavailable
from tests.bench.http import BEHIND, Side, one, trade_plan
from tests.bench.running import (
    Load,
    Progress,
    Settings,
    cpu_s,
    exness,
    in_child,
    load_generator,
    quoting,
)
from tests.spread.deployment import Deployment
from tests.support.memory_storage import MemoryJournal
from tests.support.postgres import Postgres
from tests.support.process import ROOT, UNLIMITED, Answer, Server
from tests.support.redis import a_redis, why_missing
from tests.support.venue import Venue
from tests.support.waiting import until

NAMES = (
    "spread.roles",
    "spread.one",
    "spread.engine_us",
    "spread.server_us",
    "spread.link_us",
    "spread.behind_ms",
    "spread.engine_killed",
    "spread.redis_killed",
    "spread.cut",
)
LINK_BATCH = 20
LINK_ORDERS = 4_000
ALONE = 1


async def measure_roles(settings: Settings, progress: Progress, postgres: Postgres) -> list[Figure]:
    """Nothing, with the reason, where there is no Redis."""
    why = why_missing()
    if why is not None:
        return [unavailable(name, "", why) for name in NAMES]
    link = await in_child(settings, __name__, "link_us", rounds=settings.rounds)
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder, a_redis() as redis:
        deployment = Deployment(Path(folder), postgres, redis, "bench_roles", **UNLIMITED, **RICH)
        try:
            await deployment.start("engine1", "processor", "poller", "server1")
            await deployment.ready("server1")
            figures = await _beside_one_process(settings, progress, Path(folder), deployment)
            figures += await _silences(settings.rounds, progress, deployment)
        finally:
            await deployment.end()
    return [*figures, figure("spread.link_us", "us", [Round(each, None) for each in link])]


RICH = {"EXNESS_TRADING_INITIAL_BALANCE": "1000000"}


class _Both(NamedTuple):
    """What the rounds told."""

    ours: list[Measured]
    theirs: list[Measured]
    engine_us: list[float]


async def _beside_one_process(
    settings: Settings, progress: Progress, folder: Path, deployment: Deployment
) -> list[Figure]:
    async with (
        Venue() as venue,
        exness(settings, folder / "theirs" / "data", venue) as there,
        load_generator(settings, folder) as load,
        quoting(venue, settings.quotes_per_s),
    ):
        theirs = await Ready.of(settings, load, venue, there, Contender(ROOT))
        ours = await _ready(settings, load, deployment)
        engine = deployment["engine1"].pid
        many = await _rounds(settings, progress, ours, theirs, engine, settings.cost_connections)
        alone = await _rounds(settings, progress, ours, theirs, engine, ALONE)
    lag = await _processor_lag_ms(deployment["processor"])
    pairs = list(zip(many.ours, many.theirs, strict=True))
    ones = list(zip(alone.ours, alone.theirs, strict=True))
    return [
        timed(figure("spread.roles", "req/s", [Round(a["rate"], b["rate"]) for a, b in pairs]), many.ours, many.theirs),
        figure("spread.one", "us", [Round(a["p50"], b["p50"]) for a, b in ones]),
        figure("spread.engine_us", "us", [Round(each, None) for each in many.engine_us]),
        figure("spread.server_us", "us", [Round(a["cpu_us"], b["cpu_us"]) for a, b in pairs]),
        figure("spread.behind_ms", "ms", [Round(lag, None)]),
    ]


async def _ready(settings: Settings, load: Load, deployment: Deployment) -> Ready:
    server = deployment["server1"]
    traders = [await server.token(f"trader{number}@example.com") for number in range(settings.cost_connections)]
    for token in traders:
        assert (await server.get("/balance", token)).status == 200
    side = Side("spread out", int(server.url.rpartition(":")[2]), server.pid)
    return Ready(settings, load, side, traders, Contender(ROOT).order)


async def _rounds(
    settings: Settings, progress: Progress, ours: Ready, theirs: Ready, engine: int, connections: int
) -> _Both:
    done = _Both([], [], [])
    for number in range(settings.rounds):
        for each in (0, 1) if number % 2 else (1, 0):
            ready = (ours, theirs)[each]
            plan = trade_plan(settings, ready.tokens, connections, ready.order)
            before_s = cpu_s(engine)
            measured = await one(ready.load, ready.side, plan)
            (done.ours, done.theirs)[each].append(measured)
            if each == 0:
                requests = measured["rate"] * settings.seconds
                done.engine_us.append((cpu_s(engine) - before_s) / requests * 1e6)
        progress.say(
            f"spread: {connections} connections, round {number + 1}/{settings.rounds}: "
            f"{done.ours[-1]['rate']:,.0f} req/s beside {done.theirs[-1]['rate']:,.0f}"
        )
    return done


async def _processor_lag_ms(processor: Server) -> float:
    """A bound of its histogram that 99 in 100 records keep."""
    answer = await processor.get("/metrics")
    buckets = BEHIND.findall(str(answer.body))
    counts = {float(bound.replace("+Inf", "inf")) * 1000: float(count) for bound, count in buckets}
    return min(bound for bound, count in counts.items() if count >= 0.99 * max(counts.values()))


# --- when a part dies ---------------------------------------------------------------------------------------------


async def _silences(kills: int, progress: Progress, deployment: Deployment) -> list[Figure]:
    """From the fault until an order is answered, which is asked for again and again meanwhile."""
    async with _supervised(deployment):
        return [
            await _silence(kills, progress, deployment, "spread.engine_killed", lambda: _kill_engine(deployment)),
            await _silence(kills, progress, deployment, "spread.redis_killed", lambda: _kill_redis(deployment)),
            await _silence(kills, progress, deployment, "spread.cut", deployment.postgres.cut_sessions),
        ]


async def _silence(
    kills: int, progress: Progress, deployment: Deployment, name: str, fault: Callable[[], None]
) -> Figure:
    server, seconds = deployment["server1"], []
    token = await server.token("trader0@example.com")

    async def trades() -> bool:
        order = {"asset": "SOL", "type": "long", "margin": "1", "leverage": 2}
        with suppress(aiohttp.ClientError, TimeoutError):
            opened: Answer = await server.post("/trade/create", token, order)
            if opened.status == 200:
                await server.post("/trade/close", token, {"orderId": opened.body["orderId"]})
                return True
        return False

    for _ in range(kills):
        await until(lambda: _whole(deployment), within_s=60, pause_s=0.05)
        await until(trades, within_s=60)
        began = time.perf_counter()
        fault()
        await until(trades, within_s=60)
        seconds.append(time.perf_counter() - began)
    progress.say(f"{name}: silent for {statistics.median(seconds):.2f} s, {max(seconds):.2f} at most")
    return figure(name, "s", [Round(each, None) for each in seconds])


def _kill_engine(deployment: Deployment) -> None:
    """The one whose port is open."""
    active = next(name for name in ("engine1", "engine2") if deployment[name].url and deployment[name].running)
    deployment[active].kill()


def _kill_redis(deployment: Deployment) -> None:
    deployment.redis.kill()
    deployment.redis.start()


def _whole(deployment: Deployment) -> bool:
    """Every role is at work, and a spare engine waits."""
    processes = [deployment[name] for name in ("engine1", "engine2", "processor", "poller")]
    engines = processes[:2]
    waits = [any("waiting as a spare" in line for line in each.errors) and not each.url for each in engines]
    return all(each.running for each in processes) and sum(waits) == 1 and all(each.url for each in processes[2:])


@asynccontextmanager
async def _supervised(deployment: Deployment) -> AsyncIterator[None]:
    """Whoever ends is started again."""
    spare = deployment.made("engine2")
    await spare.open()
    starting: dict[str, asyncio.Task[None]] = {"engine2": asyncio.create_task(_started(spare))}

    async def supervise() -> None:
        while True:
            await asyncio.sleep(0.02)
            for name, process in deployment.processes.items():
                task = starting.get(name)
                if not process.running and (task is None or task.done()):
                    await process.wait()
                    starting[name] = asyncio.create_task(_started(process))

    supervising = asyncio.create_task(supervise())
    try:
        yield
    finally:
        supervising.cancel()
        for task in starting.values():
            task.cancel()
        await asyncio.gather(supervising, *starting.values(), return_exceptions=True)


async def _started(process: Server) -> None:
    process.url, process.output, process.errors = "", [], []
    with suppress(Exception):
        await process.start()


# --- in a process of its own --------------------------------------------------------------------------------------


def link_us(rounds: int) -> list[float]:
    """Processor time that the wire adds to an order at a server: its command packed, its answer and its records read,
    the copy of the state moved on."""
    return [asyncio.run(_link_us()) for _ in range(rounds)]


async def _link_us() -> float:
    engine = engine_with(0)
    records = list(opening(engine, LINK_ORDERS))
    replica = Replica(engine_with(0), Bus(1_000), MemoryJournal())
    batches = [records[place : place + LINK_BATCH] for place in range(0, len(records), LINK_BATCH)]
    commands = [_command_of(record) for record in records]
    answers = [wire.answer_of(f"bus:{record.seq}", Done([record]), record.seq) for record in records]
    packed = [_packed(batch, answers, records[0].seq) for batch in batches]
    began = time.process_time()
    for number, (news, told) in enumerate(packed):
        asks = [
            wire.ask_of(f"bus:{place}", command, "")
            for place, command in enumerate(commands[number * LINK_BATCH : (number + 1) * LINK_BATCH])
            if command is not None
        ]
        wire.pack(wire.Asks("server", asks))
        await replica.take(wire.records_of(wire.read_news(news)))
        wire.read_answers(told)
    return (time.process_time() - began) / len(records) * 1e6


def _packed(batch: list[Record], answers: list[wire.Answer], first: int) -> tuple[bytes, bytes]:
    news = wire.pack(wire.News("1-a", batch[0].seq, batch[-1].seq, wire.pack_records(batch)))
    told = [answers[record.seq - first] for record in batch]
    return news, wire.pack(wire.Answers("1-a", told))


def _command_of(record: Record) -> OpenTrade | None:
    trade = getattr(record.event, "trade", None)
    if trade is None:
        return None
    return OpenTrade(trade.account, trade.id, trade.asset, trade.side, trade.margin, trade.leverage)

"""A process that is one part of an exchange: engine, server, processor or poller (docs/SPREAD.md).

PostgreSQL holds all that must not be lost, Redis carries what they tell one another. Of each role but the server one
process is active, and the others wait. A process that can't be sure of its role any more ends, and whoever supervises
it starts it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from typing import Any

import structlog
from prometheus_client.core import Metric

from exness import __version__
from exness.app.build import StartError, make_bounds, make_rules, make_source
from exness.app.databases import address_of
from exness.app.life import backfill, hold, or_stop
from exness.app.probes import Role, probes
from exness.app.serving import run_server
from exness.app.start import check_assets, read_funding_rates, spare_the_collector
from exness.config import Config
from exness.core.commands import PayInsurance
from exness.observability.forms import counted, gauge, histogram, plain, total
from exness.runtime.candles import CandleBook
from exness.runtime.clock import SystemClock
from exness.runtime.flush import CandleFlush
from exness.runtime.inbox import NotTaken
from exness.runtime.meters import LoopWatch
from exness.runtime.parts import EngineParts, assemble_engine
from exness.runtime.projector import Projector
from exness.runtime.recovery import recover
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Halted
from exness.spread.engine import EngineEnd, Memory, Positions
from exness.spread.keys import Keys, epoch_name
from exness.spread.prices import PriceReader, Publisher
from exness.spread.records import RecordReader

_log = structlog.get_logger("exness.app.roles")

Say = Callable[[str], None]
Body = Callable[[asyncio.Event], Awaitable[None]]

REBUILT = 200_000
"""An engine that takes over knows the commands of at most so many of the journal's newest records."""
STUCK_S = 5.0
BEHIND = 50_000
ASK_EVERY_S = 0.5
DRAIN_S = 1.0


async def serve_role(config: Config, say: Say, stop: asyncio.Event, warnings: Sequence[str]) -> None:
    """Run the configured role until `stop`. Raises an OperatorError when it can't start, and whatever stopped it when
    it could not go on."""
    if find_spec("redis") is None:
        raise StartError("deploy.bus needs redis, which is not installed: pip install 'exness[spread]'")
    run = _ROLES[config.deploy.role]
    for warning in warnings:
        _log.warning(warning)
    async with AsyncExitStack() as stack:
        await run(config, stack, say, stop)
    _log.info("stopped", role=config.deploy.role)


def _wire(config: Config) -> tuple[Any, Keys]:
    from exness.spread.redis import RedisWire

    return RedisWire(config.deploy.bus), Keys(config.deploy.name)


async def _probed(
    config: Config, role: Role, say: Say, stop: asyncio.Event, where: str, work: Iterable[Coroutine[Any, Any, None]]
) -> None:
    """Work, with probes at the port, until `stop`; then the work is cancelled."""
    loop = LoopWatch()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in work]
        running.append(tasks.create_task(loop.run()))
        async with probes(config, role, loop) as listening:
            say(f"exness {__version__}, {role.name}\n  data       {where}\n  probes     {listening.local_url}")
            say(f"listening on {listening.local_url}")
            await stop.wait()
        for task in running:
            task.cancel()


# --- the engine ---------------------------------------------------------------------------------------------------


async def run_engine(config: Config, stack: AsyncExitStack, say: Say, stop: asyncio.Event) -> None:
    """Wait to be the one engine, recover, decide."""
    from exness.storage.postgres.roles import open_engine

    address, (wire, keys), positions = address_of(config), _wire(config), Positions()
    assert address is not None, "the configuration is checked"
    opening = open_engine(address, config.instruments(), config.storage.snapshots_kept, positions.of)
    storage = await or_stop(stack.enter_async_context(opening), stop)
    if storage is None:
        return
    lease = storage.lease
    positions.begin(lease.position)
    recovered = await recover(storage.journal, storage.snapshots)
    check_assets(recovered.books, config)
    asked_for_s = 2 * config.deploy.answer_timeout_s
    memory = Memory(asked_for_s)
    memory.rebuild(
        await storage.journal.newest(round(asked_for_s * 1_000_000), REBUILT), asyncio.get_running_loop().time()
    )
    spare_the_collector()
    engine = recovered.engine(make_rules(config, await read_funding_rates(config)), config.engine.slice_liquidations)
    clock, ends = SystemClock(not_before_us=recovered.books.at), list[EngineEnd]()
    parts = assemble_engine(
        engine,
        make_bounds(config),
        journal=storage.journal,
        clock=clock,
        followers=[lambda records: ends[0].take(records)],
    )
    epoch = epoch_name(lease.epoch, lease.holder)
    end = EngineEnd(
        wire, keys, epoch, parts.sequencer, parts.writer, memory, positions, clock, lease.position, storage.is_ours
    )
    ends.append(end)
    parts.sequencer.watchers.append(lambda tick, at: end.watch(parts.seq, tick))
    snapshots = parts.snapshotter(storage.snapshots, config.storage.snapshot_interval_s, recovered.snapshot_seq)
    for note in recovered.notes:
        _log.warning(note)
    _log.info("recovered", seq=recovered.books.seq, replayed=recovered.replayed, seconds=round(recovered.seconds, 3))
    insurance = config.rates.insurance if recovered.books.seq == 0 else 0
    await _decide(config, parts, end, snapshots, storage.watch, insurance, say, stop, lease.address.describe())


async def _decide(
    config: Config,
    parts: EngineParts,
    end: EngineEnd,
    snapshots: Snapshotter,
    watch: Callable[[], Awaitable[None]],
    insurance: int,
    say: Say,
    stop: asyncio.Event,
    where: str,
) -> None:
    """Until `stop`; then what was taken is decided, written and answered."""
    sequencer, writer, loop = parts.sequencer, parts.writer, LoopWatch()
    role = Role("engine", lambda: _engine_troubles(parts, end), lambda: _engine_figures(parts, end))
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run(), name="writer")
        sequencing = tasks.create_task(sequencer.run(), name="sequencer")
        if insurance:
            with suppress(Halted, NotTaken):  # the writer says why
                await sequencer.submit(PayInsurance(insurance))
        others = [
            tasks.create_task(end.run(), name="wire"),
            tasks.create_task(snapshots.run(), name="snapshots"),
            tasks.create_task(hold(watch), name="the shard"),
            tasks.create_task(loop.run(), name="loop"),
        ]
        async with probes(config, role, loop) as listening:
            say(f"exness {__version__}, engine\n  data       {where}\n  probes     {listening.local_url}")
            say(f"listening on {listening.local_url}")
            await stop.wait()
        sequencer.close()
        await sequencing
        writer.close()
        await writing
        await end.flush(DRAIN_S)
        for task in others:
            task.cancel()
    await snapshots.try_take()


def _engine_troubles(parts: EngineParts, end: EngineEnd) -> list[str]:
    troubles = [] if end.reading.is_up and end.writing.is_up else ["the wire is gone"]
    if parts.writer.halted:
        troubles.append("the journal can't be written")
    if parts.writer.stuck_s > STUCK_S:
        troubles.append("the journal is stuck: the database does not answer")
    return troubles


def _engine_figures(parts: EngineParts, end: EngineEnd) -> list[Metric]:
    sequencer, writer = parts.sequencer, parts.writer
    depth = gauge("queue_depth", "Entries that wait, by queue", "queue")
    sizes = {"inbox": len(sequencer.inbox), "ticks": len(sequencer.ticks), "writer": writer.queued}
    for queue, waiting in sizes.items():
        depth.add_metric([queue], waiting)
    return [
        depth,
        counted(
            "queue_shed",
            "Entries refused or dropped because a queue was full, by queue",
            {"inbox": sequencer.inbox.overloads, "ticks": sequencer.ticks.shed},
        ),
        histogram("decide_seconds", "Deciding one request", sequencer.decide_s),
        total("ticks_checked", "Price ticks the engine has checked", sequencer.ticks_checked),
        histogram("commit_seconds", "One commit of the journal", writer.commit_s),
        histogram("commit_records", "Journal records in one commit", writer.batches),
        plain("commit_stuck_seconds", "How long the commit under way has taken", writer.stuck_s),
        plain("journal_seq", "Newest journal record on disk", writer.durable_seq),
        total("commands", "Commands that came over the wire", end.commands),
        total("commands_repeated", "Of them, those that had come before", end.repeats),
        total("wire_lost", "Times the wire was lost", end.reading.lost + end.writing.lost),
        total("records_untold", "Records that servers must read from the journal", end.dropped),
    ]


# --- the processor ------------------------------------------------------------------------------------------------


async def run_processor(config: Config, stack: AsyncExitStack, say: Say, stop: asyncio.Event) -> None:
    """Wait to be the one processor, and keep the tables up with the journal."""
    from exness.storage.postgres.roles import open_processor

    address, (wire, keys) = address_of(config), _wire(config)
    assert address is not None, "the configuration is checked"
    storage = await or_stop(stack.enter_async_context(open_processor(address)), stop)
    if storage is None:
        return
    journal, tables = storage.journal, storage.tables
    seq = (await tables.watermark()).seq
    projector = Projector(tables, journal, seq=seq, durable_seq=await journal.last_seq(), gather_s=0.02)
    reader = RecordReader(wire, keys, projector.take, projector.heard)

    async def ask() -> None:
        """The journal itself, in case nobody tells of it."""
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            with suppress(Exception):  # the watch tells when the database is gone
                projector.heard(await journal.last_seq())

    def troubles() -> list[str]:
        found = [] if projector.behind < BEHIND else [f"the tables are {projector.behind:,} records behind the journal"]
        return found + ([] if reader.link.is_up else ["the wire is gone"])

    def figures() -> list[Metric]:
        return [
            histogram(
                "tables_behind_seconds", "From hearing of a record until it is in the tables", projector.behind_s
            ),
            plain("tables_behind_records", "Records that are not in the tables yet", projector.behind),
            plain("tables_seq", "Newest journal record in the tables", projector.seq),
            total("tables_failed", "Writes of the tables that failed and were tried again", projector.failures),
        ]

    role = Role("processor", troubles, figures)
    work = [projector.run(), reader.run(), ask(), hold(storage.watch)]
    await _probed(config, role, say, stop, address.describe(), work)


# --- the poller ---------------------------------------------------------------------------------------------------


async def run_poller(config: Config, stack: AsyncExitStack, say: Say, stop: asyncio.Event) -> None:
    """Wait to be the one poller, publish what the feed brings, and store candles of what was published."""
    from exness.storage.postgres.roles import open_poller

    address, (wire, keys), source = address_of(config), _wire(config), make_source(config)
    assert address is not None, "the configuration is checked"
    storage = await or_stop(stack.enter_async_context(open_poller(address, config.instruments())), stop)
    if storage is None:
        return
    feed, clock = source.feed, SystemClock()
    assert feed is not None, "the configuration is checked"
    stored = await storage.candles.newest_candles()
    book = CandleBook(stored)
    flush = CandleFlush(book, storage.candles, seq=await storage.candles.heard())
    publisher = Publisher(wire, keys, source.prices, clock, config.instruments())
    reader = PriceReader(keys, book.watch, clock, stored.position)

    def troubles() -> list[str]:
        found = [] if publisher.link.is_up else ["the wire is gone"]
        return found + ([] if feed.connected else ["the price feed is not connected"])

    def figures() -> list[Metric]:
        return [
            plain("feed_connected", "1 when there is a way to the source of prices", int(feed.connected)),
            counted("feed_messages", "Messages of the price feed, by what became of them", feed.counters),
            total("ticks_published", "Ticks sent over the wire", publisher.published),
            total("ticks_dropped", "Ticks that were too many for a wire that was gone", publisher.dropped),
            total("candles_failed", "Writes of candles that failed and were tried again", flush.failures),
        ]

    async def store() -> None:
        try:
            await flush.run()
        finally:
            flush.close()

    role = Role("poller", troubles, figures)
    work = [
        feed.run(publisher.emit),
        publisher.run(),
        reader.run(wire),
        store(),
        backfill(config, flush),
        hold(storage.watch),
    ]
    await _probed(config, role, say, stop, f"{address.describe()}; {feed.describe()}", work)


_ROLES: dict[str, Callable[[Config, AsyncExitStack, Say, asyncio.Event], Awaitable[None]]] = {
    "engine": run_engine,
    "server": run_server,
    "processor": run_processor,
    "poller": run_poller,
}

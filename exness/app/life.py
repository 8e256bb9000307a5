"""The life of a server: serves, drains, stops, once `start` is through.

With `build`, which makes the parts, and `start` the only modules that know the concrete classes. Stop is the start the
other way round, so that whatever was taken is answered and on disk before the end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import structlog
from aiohttp import web

from exness.access.magic_links import MagicLinks
from exness.access.ports import AuthStore
from exness.app.banner import YOU, banner, may_show_link
from exness.app.build import Beside, Source, StartError, make_parts, make_services
from exness.app.start import Started, start
from exness.app.tokens import link_to
from exness.config import Config
from exness.core.sums import DigestOfAll, NewestRecord
from exness.core.views import AllPrices
from exness.feeds.backfill import Backfill
from exness.feeds.replay import ReplayFeed
from exness.mail.links import PostedLinks
from exness.mail.postman import Postman
from exness.process.sockets import why_not_listening
from exness.runtime.assembly import Parts
from exness.runtime.clock import WallClock
from exness.runtime.exchange import Exchange
from exness.runtime.flush import CandleFlush
from exness.runtime.inbox import NotTaken
from exness.runtime.meters import LoopWatch
from exness.runtime.ports.journal import Journal, JournalDamaged, StorageError
from exness.runtime.ports.prices import LastRecord, ManualControl
from exness.runtime.projector import TablesBehind
from exness.runtime.recovery import Recovered, what_to_do
from exness.runtime.writer import Halted
from exness.storage.datadir import note_address
from exness.web.app import make_runner
from exness.web.http.listening import Listening, bind
from exness.web.v1 import PREFIX

_log = structlog.get_logger("exness.app.life")

T = TypeVar("T")

FIRST_PRICES_S = 0.5
"""How long a start waits for the first prices of a feed that needs no network."""


async def serve_all(
    config: Config, say: Callable[[str], None], stop: asyncio.Event, config_file: Path | None, warnings: Sequence[str]
) -> None:
    """Everything in this process, until `stop`. Raises an OperatorError when it can't start, and whatever stopped it
    when it could not go on."""
    async with AsyncExitStack() as stack:
        started = await or_stop(start(config, stack), stop)
        if started is not None:
            await _run(config, started, say, stop, config_file, warnings)
    if started is None:
        _log.info("stopped before it was open")


async def or_stop(work: Coroutine[None, None, T], stopping: asyncio.Event) -> T | None:
    """What `work` returns; None when `stopping` came first, and `work` has been cancelled and has ended."""
    if stopping.is_set():
        work.close()
        return None
    working = asyncio.create_task(work, name="start")
    stopped = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        working.cancel()
        with suppress(asyncio.CancelledError):
            return await working
        return None
    finally:
        working.cancel()
        stopped.cancel()


async def _check_covered(journal: Journal, recovered: Recovered) -> None:
    """Hold what a snapshot covers against its checksums, while the exchange serves. Raises StorageError, which stops
    it: the journal is the audit trail, and what can't be read can't be rebuilt."""
    try:
        await journal.check(up_to=recovered.unchecked)
    except JournalDamaged as damage:
        raise StorageError(what_to_do(damage, await journal.last_seq())) from damage


async def hold(watch: Callable[[], Awaitable[None]] | None) -> None:
    """End the exchange when it is no longer this process's. In files it always is."""
    if watch is not None:
        await watch()


async def backfill(config: Config, flush: CandleFlush) -> None:
    settings = config.feed
    if settings.source == "backpack" and settings.backfill_url:
        venue = Backfill(settings.backfill_url, list(config.instruments().values()), settings.backfill_candles)
        now_s = WallClock().wall_us() // 1_000_000  # the venue's time: ours may have been stepped ahead of it
        await venue.run(now_s, flush.backfill)


async def _feed_prices(
    source: Source, parts: Parts, last: LastRecord, opened: asyncio.Event, ended: Callable[[float], None]
) -> None:
    """Run the source. One that owns the time begins once the port is open; `ended` hears how long a recording took."""
    if source.conductor is not None:
        await opened.wait()
    started = time.monotonic()
    try:
        if source.conductor is not None:
            await source.conductor.conduct(last)
            await parts.exchange.all_on_disk()
        if source.feed is not None:
            await source.feed.run(parts.sequencer.tick)
    except Halted:  # the writer has said why
        return
    if source.recording is not None:
        ended(time.monotonic() - started)


def _replay_summary(recording: ReplayFeed, exchange: Exchange, seconds: float) -> str:
    state = exchange.look(DigestOfAll())
    return f"replay ended: {recording.summary()} in {seconds:.1f} s; seq {state.seq}, state {state.digest}"


async def _run(
    config: Config,
    started: Started,
    say: Callable[[str], None],
    stop: asyncio.Event,
    config_file: Path | None,
    warnings: Sequence[str],
) -> None:
    """Everything at work, from the first task to the last snapshot."""
    source, mailer, storage, store, recovered, candles, tables_seq, last, funding, where, watch = started
    parts = make_parts(config, storage, recovered, source, candles, tables_seq, funding)
    exchange, sequencer, writer = parts.exchange, parts.sequencer, parts.writer
    snapshotter = parts.snapshotter(storage.snapshots, config.storage.snapshot_interval_s, recovered.snapshot_seq)
    postman = Postman(mailer, life_s=config.auth.link_minutes * 60)
    loop, opened = LoopWatch(), asyncio.Event()

    def replayed(seconds: float) -> None:
        assert source.recording is not None, "nothing else ends"
        say(_replay_summary(source.recording, exchange, seconds))
        if config.feed.exit_at_end:
            stop.set()

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run(), name="writer")
        projecting = tasks.create_task(parts.projector.run(), name="tables")
        flushing = tasks.create_task(parts.flush.run(), name="candles")
        checking = tasks.create_task(_check_covered(storage.journal, recovered), name="check of the journal")
        sequencing = tasks.create_task(sequencer.run(), name="sequencer")
        feeding = tasks.create_task(_feed_prices(source, parts, last, opened, replayed), name="feed")
        snapshotting = tasks.create_task(snapshotter.run(), name="snapshots")
        backfilling = tasks.create_task(backfill(config, parts.flush), name="backfill")
        watching = tasks.create_task(loop.run(), name="loop")
        holding = tasks.create_task(hold(watch), name="the shard")
        tasks.create_task(postman.run(), name="mail")
        await _before_open(parts, recovered, source, stop)
        if not stop.is_set():
            beside = Beside(snapshotter, recovered, postman, loop)
            async with listening(config, exchange, source.control, store, beside) as (port, links):
                users_url = config.server.public_url or port.url
                note_address(config.storage.data_dir, users_url)
                terminal = link_to(users_url, await links.make(YOU)) if may_show_link(config, port) else ""
                say(banner(config, exchange, mailer, recovered, port, config_file, warnings, terminal, where))
                say(f"listening on {port.local_url}")
                opened.set()
                await stop.wait()
                _log.info("stopping: answering what is in flight")
        await postman.drain(config.server.shutdown_timeout_s)
        for task in (feeding, backfilling, snapshotting, watching, checking, holding):
            task.cancel()
        sequencer.close()
        await sequencing
        writer.close()
        await writing
        parts.flush.close()
        parts.projector.close()
        await asyncio.wait((flushing, projecting))
    parts.bus.close()
    await snapshotter.try_take()
    _log.info("stopped", seq=exchange.look(NewestRecord()).seq)


async def _before_open(parts: Parts, recovered: Recovered, source: Source, stop: asyncio.Event) -> None:
    """What is done before the first request comes, as far as it takes no time."""
    if recovered.books.seq == 0:
        with suppress(Halted, NotTaken):  # the writer says why
            await parts.exchange.pay_insurance()
    await _first_prices(source, parts.exchange, stop)
    with suppress(TablesBehind):
        await parts.projector.reached(recovered.books.seq)


@asynccontextmanager
async def listening(
    config: Config,
    exchange: Exchange,
    control: ManualControl | None,
    store: AuthStore,
    beside: Beside,
) -> AsyncIterator[tuple[Listening, MagicLinks]]:
    """Serve HTTP; yields where, and who makes links. Leaving stops accepting and waits for what is in flight. Raises
    StartError."""
    port: Listening

    def page_url() -> str:
        return f"{config.server.public_url or port.url}{PREFIX}/signin/post"

    mails = PostedLinks(beside.postman, page_url, config.auth.link_minutes)
    clock = WallClock()
    magic_links = MagicLinks(store, mails, clock, minutes=config.auth.link_minutes)
    services = make_services(config, exchange, control, store, magic_links, clock, beside)
    runner = make_runner(services, config.server.shutdown_timeout_s, plain=config.server.plain_http)
    await runner.setup()
    try:
        try:
            port = await bind(config.server.host, config.server.port)
            for bound in port.sockets:
                await web.SockSite(runner, bound).start()
        except (OSError, ValueError) as error:
            raise StartError(why_not_listening(config.server.host, config.server.port, error)) from error
        yield port, magic_links
    finally:
        await runner.cleanup()
        mails.hand_on_all()


async def _first_prices(source: Source, exchange: Exchange, stop: asyncio.Event) -> None:
    """Give a local feed a moment, so that the first trade can follow at once. No start waits for a venue."""
    if not source.prices.simulated or source.conductor is not None:
        return
    deadline = time.monotonic() + FIRST_PRICES_S
    while time.monotonic() < deadline and not stop.is_set():
        if all(quote.price is not None for quote in exchange.look(AllPrices()).quotes.values()):
            return
        await asyncio.sleep(0.005)

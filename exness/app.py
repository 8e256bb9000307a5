"""The composition root: builds everything from a Config, recovers, starts, serves, drains, stops.

The only module that knows every concrete class. Start: directory and lock, storage, recovery, writer and engine, feed,
port. Stop is the same the other way round, so that whatever was taken is answered and on disk before the end.
"""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog
from aiohttp import web

from exness import __version__
from exness.config import Config
from exness.core.engine import Engine
from exness.core.state import Rules, State
from exness.feeds.backpack import BackpackFeed
from exness.feeds.replay import ReplayError, ReplayFeed
from exness.feeds.simulated import SimulatedFeed
from exness.runtime.bus import Bus
from exness.runtime.clock import RandomIds, SystemClock
from exness.runtime.exchange import Exchange
from exness.runtime.ports import Clock, PriceFeed, StorageError
from exness.runtime.reads import BoundedHistory
from exness.runtime.recovery import Recovered, recover
from exness.runtime.sequencer import Sequencer
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Writer
from exness.storage.datadir import locked, prepare, read_secret
from exness.storage.snapshots import SnapshotStoreDamaged
from exness.storage.sqlite import Storage, open_storage, set_snapshots_aside
from exness.web.auth import Sessions
from exness.web.context import Context
from exness.web.limits import RateLimits
from exness.web.server import make_app

_log = structlog.get_logger()

FIRST_PRICES_S = 0.5
"""How long a start waits for the first prices of a feed that needs no network."""

SWITCH_INTERVAL_S = 0.000_1
"""How long a busy loop keeps Python's lock from the threads that write. At the usual 5 ms a loop that never idles
starves the journal: one append then took up to 21 s, at 0.1 ms at most 0.1 s."""


class StartError(Exception):
    """The exchange can't start. The message is one sentence for the operator."""


def make_sessions(config: Config, clock: Clock) -> Sessions:
    """Sessions signed with the configured secret, else with the data directory's. Raises StorageError."""
    secret = config.auth.secret.encode() or read_secret(config.storage.data_dir)
    return Sessions(secret, clock, days=config.auth.session_days, remembered=config.auth.session_cache)


def issue_token(config: Config, email: str) -> str:
    """A session token for a mail address; its account is made when it is first used. Raises StorageError."""
    prepare(config.storage.data_dir)
    return make_sessions(config, SystemClock()).issue(email)


async def serve(config: Config, say: Callable[[str], None]) -> None:
    """Run the exchange until SIGTERM or SIGINT. `say` prints a line to the operator.

    Raises StartError or StorageError when it can't start, and whatever stopped it when it could not go on.
    """
    data_dir = config.storage.data_dir
    prepare(data_dir)
    with locked(data_dir):
        feed = make_feed(config)
        await _check_feed(feed)
        async with _storage(config) as (storage, notes):
            recovered = await recover(storage.journal, storage.snapshots)
            recovered.notes[:0] = notes
            _check_assets(recovered.state, config)
            await _run(config, storage, recovered, feed, say)


@asynccontextmanager
async def _storage(config: Config) -> AsyncIterator[tuple[Storage, list[str]]]:
    """Both databases, and what was wrong with them. A snapshots.db that is none is moved aside: nothing is lost."""
    data_dir, notes = config.storage.data_dir, []
    async with AsyncExitStack() as stack:
        for _ in range(2):
            opening = open_storage(data_dir, config.instruments(), snapshots_kept=config.storage.snapshots_kept)
            try:
                storage = await stack.enter_async_context(opening)
                break
            except SnapshotStoreDamaged as damage:
                notes.append(f"{damage}; it is now {set_snapshots_aside(data_dir).name}")
        else:
            raise StorageError(f"{data_dir} can't hold a snapshots.db that can be read")
        yield storage, notes


def make_feed(config: Config) -> PriceFeed:
    """The configured source of prices. Raises StartError."""
    instruments = list(config.instruments().values())
    life_us = round(config.feed.price_ttl_s * 1_000_000)
    match config.feed.source:
        case "simulated":
            return SimulatedFeed(instruments, life_us, seed=config.feed.seed, ticks_per_s=config.feed.ticks_per_s)
        case "backpack":
            return BackpackFeed(config.feed.url, instruments, life_us)
        case "replay":
            try:
                return ReplayFeed(config.feed.replay_files, instruments, life_us, config.feed.speed)
            except ReplayError as error:
                raise StartError(str(error)) from error


async def _check_feed(feed: PriceFeed) -> None:
    """A recording is read through before anything starts. Raises StartError for the first line that can't be played."""
    if not isinstance(feed, ReplayFeed):
        return
    try:
        await asyncio.to_thread(feed.check)
    except ReplayError as error:
        raise StartError(str(error)) from error


def make_rules(config: Config) -> Rules:
    """The part of the configuration that the core decides by."""
    trading = config.trading
    return Rules(
        instruments=config.instruments(),
        execution=trading.execution,
        max_open_trades_per_account=trading.max_open_trades_per_account,
        max_notional_per_account=trading.max_notional_per_account,
        max_open_interest_per_asset=trading.max_open_interest_per_asset,
        client_order_ids_per_account=trading.client_order_ids_per_account,
    )


def make_exchange(config: Config, storage: Storage, recovered: Recovered, feed: PriceFeed) -> Exchange:
    """The exchange on a recovered state, nothing running yet."""
    state, rules = recovered.state, make_rules(config)
    clock, bus = SystemClock(not_before_us=state.at), Bus(config.engine.subscriber_queue)
    writer = Writer(
        storage.journal,
        bus,
        durable_seq=state.seq,
        bound=config.storage.writer_queue,
        batch=config.storage.writer_batch,
        wait_for_disk=config.storage.acknowledge == "durable",
    )
    sequencer = Sequencer(
        Engine(rules, state, liquidations_per_step=config.engine.slice_liquidations),
        writer,
        clock,
        inbox_size=config.engine.inbox_size,
        inbox_wait_s=config.engine.inbox_wait_s,
        slice_commands=config.engine.slice_commands,
        tick_queue=config.engine.tick_queue_per_asset,
    )
    return Exchange(
        rules=rules,
        state=state,
        sequencer=sequencer,
        writer=writer,
        bus=bus,
        history=BoundedHistory(storage.history, config.storage.read_queue),
        feed=feed,
        clock=clock,
        ids=RandomIds(),
        initial_balance=config.trading.initial_balance,
    )


async def _run(
    config: Config, storage: Storage, recovered: Recovered, feed: PriceFeed, say: Callable[[str], None]
) -> None:
    """Everything at work, from the first task to the last snapshot."""
    exchange = make_exchange(config, storage, recovered, feed)
    sequencer, writer = exchange.sequencer, exchange.writer
    snapshotter = Snapshotter(
        exchange.state, writer, storage.snapshots, config.storage.snapshot_interval_s, recovered.snapshot_seq
    )
    stop = _stop_signal()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run(), name="writer")
        sequencing = tasks.create_task(sequencer.run(), name="sequencer")
        feeding = tasks.create_task(feed.run(sequencer.tick), name="feed")
        snapshotting = tasks.create_task(snapshotter.run(), name="snapshots")
        await _first_prices(exchange)
        async with _listening(config, exchange) as url:
            say(banner(config, exchange, recovered, url))
            say(f"listening on {url}")
            await stop.wait()
            _log.info("stopping: answering what is in flight")
        feeding.cancel()
        snapshotting.cancel()
        sequencer.close()
        await sequencing
        writer.close()
        await writing
    exchange.bus.close()
    await snapshotter.take()
    _log.info("stopped", seq=exchange.state.seq)


@asynccontextmanager
async def _listening(config: Config, exchange: Exchange) -> AsyncIterator[str]:
    """Serve HTTP; yields the address. Leaving stops accepting and waits for what is in flight. Raises StartError."""
    limits = config.limits
    context = Context(
        exchange=exchange,
        sessions=make_sessions(config, exchange.clock),
        limits=RateLimits(
            enabled=limits.enabled,
            trade_per_account=limits.trade_per_account,
            trade_per_ip=limits.trade_per_ip,
            read_per_ip=limits.read_per_ip,
            most=limits.addresses_tracked,
        ),
        version=__version__,
        max_body_bytes=config.server.max_body_bytes,
    )
    runner = web.AppRunner(make_app(context), access_log=None, shutdown_timeout=config.server.shutdown_timeout_s)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.server.host, config.server.port)
        try:
            await site.start()
        except OSError as error:
            raise StartError(
                f"can't listen on {config.server.host}:{config.server.port}: {os.strerror(error.errno or 0).lower()}; "
                f"choose another with --port (0 picks a free one)"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def _first_prices(exchange: Exchange) -> None:
    """Give a local feed a moment, so that the first trade can follow at once. No start waits for a venue."""
    if not exchange.feed.simulated:
        return
    deadline = time.monotonic() + FIRST_PRICES_S
    while time.monotonic() < deadline:
        if all(exchange.state.price(asset) is not None for asset in exchange.rules.instruments):
            return
        await asyncio.sleep(0.005)


def _check_assets(state: State, config: Config) -> None:
    """Refuse to run without an asset in which trades are open: they could be neither liquidated nor closed."""
    for asset, market in state.markets.items():
        if market.open_trades and asset not in config.instruments():
            raise StartError(
                f"{market.open_trades} trades are open in {asset}, which is not configured: "
                f"add [assets.{asset}] to the configuration again"
            )


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. The second ends the process at once, which a restart recovers from."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            sys.stderr.write("stopped at once, without waiting for requests in flight\n")
            sys.stderr.flush()
            os._exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def banner(config: Config, exchange: Exchange, recovered: Recovered, url: str) -> str:
    """What an operator wants to know at start, and a first trade to paste."""
    data_dir = config.storage.data_dir.resolve()
    state = exchange.state
    python, url_api = sys.executable, f"{url}/api/v1"
    source = f"snapshot {recovered.snapshot_seq}" if recovered.snapshot_seq else "no snapshot"
    asset = next(iter(exchange.rules.instruments))
    lines = [
        f"exness {__version__}",
        f"  data       {data_dir}",
        f"  feed       {exchange.feed.describe()}",
        f"  recovered  {source} + {recovered.replayed} events = seq {state.seq}: {len(state.account_list)} accounts, "
        f"{state.open_trades} open trades in {recovered.seconds:.3f} s",
        f"  state      {recovered.digest}",
        *(f"  note       {note}" for note in recovered.notes),
        *_warnings(config),
        "  first trade, in another terminal:",
        f"    TOKEN=$({_quoted(python)} -m exness token you@example.com --data-dir {_quoted(data_dir)})",
        f'    curl -s {url_api}/trade/create -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\',
        f'      -d \'{{"asset": "{asset}", "type": "long", "margin": 100, "leverage": 10}}\'',
    ]
    return "\n".join(lines)


def _warnings(config: Config) -> list[str]:
    warnings = []
    if config.storage.acknowledge == "memory":
        warnings.append('  warning    acknowledge = "memory": a crash loses trades that were acknowledged')
    return warnings


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))


def run(config: Config, say: Callable[[str], None]) -> None:
    """`serve` on uvloop where it installs."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    new_loop = asyncio.new_event_loop
    with suppress(ImportError):
        import uvloop

        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(config, say))


__all__ = ["StartError", "StorageError", "issue_token", "run", "serve"]

"""The role `server`: HTTP, WebSocket and terminal on a copy of the engine's state. It holds nothing that matters."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from exness import __version__
from exness.access.ports import AuthStore
from exness.app.build import Beside, make_bounds, make_mailer, make_rules
from exness.app.databases import address_of
from exness.app.life import listening, or_stop
from exness.app.start import check_assets, read_funding_rates, spare_the_collector
from exness.config import Config
from exness.mail.postman import Postman
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBook
from exness.runtime.clock import RandomIds, SystemClock
from exness.runtime.meters import LoopWatch
from exness.runtime.parts import ServerParts, assemble_server
from exness.runtime.recovery import Recovered, recover
from exness.runtime.replica import FollowedCandles, Replica
from exness.runtime.snapshots import SnapshotStats
from exness.spread.desk import Desk
from exness.spread.keys import Keys
from exness.spread.prices import PriceReader
from exness.storage.datadir import locked, note_address, prepare

_log = structlog.get_logger("exness.app.serving")

LOOK_EVERY_S = 0.02
READY_S = 5.0
"""How long a start waits for the engine before it opens its port; /readyz tells what is missing."""


class NoSnapshots:
    """The engine takes them."""

    stats = SnapshotStats()


async def run_server(config: Config, stack: AsyncExitStack, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Make a copy of the state, keep it up, and serve."""
    from exness.spread.redis import RedisWire
    from exness.storage.postgres.roles import open_server

    prepare(config.storage.data_dir)
    stack.enter_context(locked(config.storage.data_dir))
    address = address_of(config)
    assert address is not None, "the configuration is checked"
    storage = await or_stop(stack.enter_async_context(open_server(address, config.instruments())), stop)
    if storage is None:
        return
    recovered = await recover(storage.journal, storage.snapshots)
    check_assets(recovered.books, config)
    stored = await storage.candles.newest_candles()
    rules = make_rules(config, await read_funding_rates(config))
    engine, bounds = recovered.engine(rules, config.engine.slice_liquidations), make_bounds(config)
    bus = Bus(bounds.subscriber_queue)
    replica = Replica(engine, bus, storage.journal)
    keys, server, clock = Keys(config.deploy.name), secrets.token_hex(16), SystemClock(not_before_us=recovered.books.at)
    prices = PriceReader(keys, replica.tick, clock, stored.position)
    desk = Desk(
        RedisWire(config.deploy.bus),
        keys,
        server,
        replica,
        prices,
        bound=bounds.inbox_size,
        timeout_s=config.deploy.answer_timeout_s,
    )
    parts = assemble_server(
        engine,
        replica,
        bus,
        desk,
        bounds,
        journal=storage.journal,
        tables=storage.tables,
        tables_seq=(await storage.tables.watermark()).seq,
        history=storage.history,
        candles=CandleBook(stored),
        candle_store=FollowedCandles(storage.candles),
        feed=prices,
        clock=clock,
        ids=RandomIds(),
        initial_balance=config.trading.initial_balance,
    )
    spare_the_collector()
    await _serve(config, parts, desk, replica, recovered, storage.access, say, stop, address.describe())
    bus.close()


async def _serve(
    config: Config,
    parts: ServerParts,
    desk: Desk,
    replica: Replica,
    recovered: Recovered,
    store: AuthStore,
    say: Callable[[str], None],
    stop: asyncio.Event,
    where: str,
) -> None:
    mailer = make_mailer(config)
    postman, loop = Postman(mailer, life_s=config.auth.link_minutes * 60), LoopWatch()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(desk.run(), name="wire")
        flushing = tasks.create_task(parts.flush.run(), name="candles")
        watching = tasks.create_task(loop.run(), name="loop")
        tasks.create_task(postman.run(), name="mail")
        await _ready(desk, stop)
        if not stop.is_set():
            beside = Beside(NoSnapshots(), recovered, postman, loop)
            async with listening(config, parts.exchange, None, store, beside) as (port, _):
                note_address(config.storage.data_dir, config.server.public_url or port.url)
                say(
                    f"exness {__version__}, server\n  data       {where}\n  wire       {desk.describe()}\n"
                    f"  mail       {mailer.describe()}\n  listening  {port.describe()}\n"
                    f"  users      {config.server.public_url or port.url}"
                )
                say(f"listening on {port.local_url}")
                await stop.wait()
                _log.info("stopping: answering what is in flight")
        await postman.drain(config.server.shutdown_timeout_s)
        replica.end()
        following.cancel()
        watching.cancel()
        parts.held.close()
        parts.flush.close()
        await asyncio.wait((flushing,))


async def _ready(desk: Desk, stop: asyncio.Event) -> None:
    """An engine that answers is waited for, for a while."""
    for _ in range(round(READY_S / LOOK_EVERY_S)):
        if stop.is_set() or not desk.troubles():
            return
        await asyncio.sleep(LOOK_EVERY_S)

"""From a Config to every part of a running exchange, nothing running yet.

With `app`, the only module that knows the concrete classes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from exness import __version__
from exness.access.api_keys import ApiKeys, Sealer
from exness.access.live_sessions import LiveSessions
from exness.access.magic_links import MagicLinks
from exness.access.ports import AuthStore, Mailer
from exness.access.revocations import RevocationWatch
from exness.access.sessions import Sessions
from exness.app.leaderboard import make_leaderboard
from exness.config import Config
from exness.config.kinds import STEP_DECIMALS
from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.feeds.backpack import BackpackFeed
from exness.feeds.guard import Guard, GuardSettings, JumpRule
from exness.feeds.manual import ManualFeed
from exness.feeds.replay import ReplayFeed, ReplayOptions
from exness.feeds.simulated import SimulatedFeed
from exness.mail.outbox import OutboxMailer
from exness.mail.postman import Postman
from exness.mail.resend import ResendMailer
from exness.mail.smtp import SmtpMailer
from exness.observability import logs
from exness.observability.metrics import HasStats, Metrics, RequestMeter, Watched
from exness.process import standard_streams as streams
from exness.process.errors import OperatorError
from exness.runtime.assembly import Bounds as QueueBounds
from exness.runtime.assembly import Parts, assemble
from exness.runtime.candles import CandleBatch, CandleBook
from exness.runtime.clock import RandomIds, SystemClock, WallClock
from exness.runtime.day import Days
from exness.runtime.exchange import Exchange
from exness.runtime.meters import LoopWatch
from exness.runtime.ports.prices import Conductor, ManualControl, PriceFeed, PriceSource
from exness.runtime.recovery import Recovered
from exness.runtime.web_urls import parse_web_url
from exness.storage.datadir import has_secret, read_previous_secret, read_secret
from exness.storage.opened import Storage
from exness.web.http.access_log import AccessLog
from exness.web.http.browser_rules import BrowserRules
from exness.web.http.client_ip import ClientIps
from exness.web.http.connection_limits import Bounds, Connections
from exness.web.http.rate_limits import RateLimits
from exness.web.http.security_log import SecurityLog
from exness.web.services import Dev, Fapi, Market, Services, StreamBounds
from exness.web.v1.price_cache import PriceCache

OUTBOX = "outbox"


class StartError(OperatorError):
    """The exchange can't start."""


def make_sessions(config: Config, clock: WallClock, keys: ApiKeys | None = None) -> Sessions:
    """Sessions signed with the configured secret, else with the data directory's. Raises StorageError."""
    auth, (secret, *previous) = config.auth, auth_secrets(config)
    days, remembered = auth.session_days, auth.session_cache
    return Sessions(secret, clock, days=days, remembered=remembered, previous=previous, keys=keys)


def make_keys(config: Config, store: AuthStore, clock: WallClock) -> ApiKeys:
    """API keys, sealed with the same secret. Raises StorageError."""
    return ApiKeys(store, clock, Sealer(auth_secrets(config)))


def auth_secrets(config: Config) -> list[bytes]:
    """The configured auth secret, else the data directory's, which is made at first use; then the one before it, if
    there is one. Raises StorageError."""
    data_dir, auth = config.storage.data_dir, config.auth
    secret = auth.secret.encode() or read_secret(data_dir)
    before = auth.previous_secret.encode() or read_previous_secret(data_dir)
    return [secret, before] if before else [secret]


def auth_secrets_there(config: Config) -> list[bytes]:
    """The same, and none is made: without one the list is empty. Raises StorageError."""
    is_there = config.auth.secret or has_secret(config.storage.data_dir)
    return auth_secrets(config) if is_there else []


def make_mailer(config: Config) -> Mailer:
    """The configured way for mails to leave. Raises StartError."""
    auth = config.auth
    try:
        if auth.resend_api_key:
            return ResendMailer(auth.resend_api_key, auth.mail_from)
        if auth.smtp_url:
            return SmtpMailer(auth.smtp_url, auth.mail_from)
        folder = config.storage.data_dir / OUTBOX
        return OutboxMailer(folder, auth.mail_from, log_links=not config.server.production)
    except ValueError as error:
        raise StartError(str(error)) from error


class Source(NamedTuple):
    """Where prices come from. Either a `feed` or a `conductor` brings them; `control` is the hand on one that is held
    by hand, `recording` is there where it is one."""

    prices: PriceSource
    feed: PriceFeed | None = None
    conductor: Conductor | None = None
    control: ManualControl | None = None
    recording: ReplayFeed | None = None


def make_source(config: Config) -> Source:
    """The configured source of prices. Raises ReplayError."""
    instruments, settings = list(config.instruments().values()), config.feed
    life_us, guard = round(settings.price_ttl_s * 1_000_000), make_guard(config)
    match settings.source:
        case "simulated":
            simulated = SimulatedFeed(
                instruments,
                life_us,
                seed=settings.seed,
                ticks_per_s=settings.ticks_per_s,
                scenario=settings.scenario,
                volatility={Asset(name): asset.volatility for name, asset in config.assets.items()},
                guard=guard,
            )
            return Source(simulated, simulated)
        case "backpack":
            venue = BackpackFeed(
                settings.url, instruments, life_us, guard=guard, resubscribe_after_s=settings.resubscribe_after_s
            )
            return Source(venue, venue)
        case "replay":
            options = ReplayOptions(
                begin_us=settings.replay_from,
                end_us=settings.replay_to,
                loop=settings.loop,
                allow_gaps=settings.allow_gaps,
                orders=settings.orders,
                initial_balance=config.trading.initial_balance,
            )
            replay = ReplayFeed(settings.replay_files, instruments, life_us, settings.speed, options, guard=guard)
            if replay.owns_time:
                return Source(replay, conductor=replay, recording=replay)
            return Source(replay, replay, recording=replay)
        case "manual":
            manual = ManualFeed(life_us)
            return Source(manual, conductor=manual, control=manual)


def make_guard(config: Config) -> Guard:
    """What the configured feed's quotes are judged by. A simulation and a recording may leap, unless told otherwise."""
    rules = {Asset(name): JumpRule(each.jump_share, each.jump_confirmations) for name, each in config.assets.items()}
    guards_jumps = config.feed.source == "backpack" or config.feed.jump_guard == "all"
    settings = GuardSettings(max_spread=config.feed.max_spread, jumps=rules if guards_jumps else {})
    return Guard(list(config.instruments().values()), settings)


FundingRows = Mapping[Asset, Sequence[tuple[int, int, int]]]
"""See `Rules.funding_rows`."""


def make_rules(config: Config, funding: FundingRows | None = None) -> Rules:
    """The part of the configuration that the core decides by. `funding` is what the file of funding rates says."""
    trading = config.trading
    return Rules(
        instruments=config.instruments(),
        execution=trading.execution,
        max_open_trades_per_account=trading.max_open_trades_per_account,
        max_notional_per_account=trading.max_notional_per_account,
        max_open_interest_per_asset=trading.max_open_interest_per_asset,
        client_order_ids_per_account=trading.client_order_ids_per_account,
        max_open_orders_per_account=trading.max_open_orders_per_account,
        max_exits_per_trade=trading.max_exits_per_trade,
        net_leverage=trading.net_leverage,
        trigger=trading.trigger,
        limit_fill=trading.limit_fill,
        rates={Asset(name): rates for name, rates in config.asset_rates.items()},
        funding_rows=funding or {},
    )


def make_parts(
    config: Config,
    storage: Storage,
    recovered: Recovered,
    source: Source,
    stored: CandleBatch | None = None,
    tables_seq: int = 0,
    funding: FundingRows | None = None,
) -> Parts:
    """The exchange on a recovered state, its newest candles and its tables where they are, nothing running yet."""
    conductor = source.conductor
    candles = CandleBook(stored, is_replayed=conductor is not None)
    newest_us = max(recovered.books.at, stored.at if stored is not None else 0)
    parts = assemble(
        recovered.engine(make_rules(config, funding), config.engine.slice_liquidations),
        make_bounds(config),
        journal=storage.journal,
        tables=storage.tables,
        tables_seq=tables_seq,
        history=storage.history,
        candles=candles,
        candle_store=storage.candles,
        feed=source.prices,
        clock=SystemClock(not_before_us=newest_us) if conductor is None else conductor.clock,
        ids=RandomIds(),
        initial_balance=config.trading.initial_balance,
        insurance=config.rates.insurance,
        wait_for_disk=config.storage.acknowledge == "durable",
    )
    if conductor is not None:
        conductor.hold(parts.sequencer)
    return parts


def make_bounds(config: Config) -> QueueBounds:
    engine, storage = config.engine, config.storage
    return QueueBounds(
        inbox_size=engine.inbox_size,
        inbox_wait_s=engine.inbox_wait_s,
        slice_commands=engine.slice_commands,
        tick_queue=engine.tick_queue_per_asset,
        subscriber_queue=engine.subscriber_queue,
        writer_queue=storage.writer_queue,
        writer_batch=storage.writer_batch,
        read_queue=storage.read_queue,
    )


class Beside(NamedTuple):
    """What is told of in /metrics beside the exchange."""

    snapshotter: HasStats
    recovered: Recovered
    postman: Postman
    loop: LoopWatch


def make_services(
    config: Config,
    exchange: Exchange,
    control: ManualControl | None,
    store: AuthStore,
    magic_links: MagicLinks,
    clock: WallClock,
    beside: Beside,
) -> Services:
    """Everything the routes work with. `control` is the hand on price and clock, `clock` the sessions'."""
    server, security_log, requests = config.server, SecurityLog(), RequestMeter()
    keys = make_keys(config, store, clock)
    sessions = make_sessions(config, clock, keys)
    client_ips = ClientIps(server.trusted_proxies, metrics_networks=server.metrics_networks, security_log=security_log)
    bounds = Bounds(
        connections=server.max_connections,
        connections_per_ip=config.limits.connections_per_ip,
        head_timeout_s=server.header_timeout_s,
        idle_timeout_s=server.idle_timeout_s,
    )
    connections = Connections(bounds, client_ips, security_log)
    return Services(
        exchange=exchange,
        listings=config.instruments(),
        sessions=sessions,
        live_sessions=LiveSessions(store, sessions),
        keys=keys,
        magic_links=magic_links,
        revocations=RevocationWatch(store, sessions, keys, clock),
        limits=make_limits(config),
        version=__version__,
        max_body_bytes=server.max_body_bytes,
        body_timeout_s=server.body_timeout_s,
        frontend_url=server.frontend_url or f"{urlsplit(server.public_url).path}/",
        public_url=server.public_url,
        production=server.production,
        client_ips=client_ips,
        browser_rules=make_browser_rules(config),
        connections=connections,
        security_log=security_log,
        stream=make_stream_bounds(config),
        dev=Dev(control) if config.dev.control else None,
        profile=config.trading.profile,
        access=AccessLog(logs.later) if config.log.access else None,
        requests=requests,
        loop=beside.loop,
        metrics=make_metrics(config, exchange, beside, requests, connections, security_log),
        price_cache=PriceCache(),
        days=Days(exchange),
        wall=clock,
        fapi=make_fapi(config),
        leaderboard=make_leaderboard(config, exchange, auth_secrets(config)[0]),
    )


def make_fapi(config: Config) -> Fapi | None:
    """The Binance face, with every asset that can have net positions. None: it is off."""
    if not config.fapi.enabled:
        return None
    markets = {}
    for asset, instrument in config.instruments().items():
        settings, quote = config.assets[asset], config.fapi.quote
        places = settings.net_quantity_decimals
        if places is None:
            continue
        markets[f"{asset}{quote}"] = Market(
            symbol=f"{asset}{quote}",
            instrument=instrument,
            tick=_step(settings.fapi_tick, settings.decimals),
            step=_step(settings.fapi_step, places),
            least_notional=settings.fapi_notional,
        )
    return Fapi(config.fapi.quote, markets)


def _step(configured: int | None, decimals: int) -> int:
    """In units of so many decimals; the smallest there is where nothing is configured."""
    return 1 if configured is None else configured // int(10 ** (STEP_DECIMALS - decimals))


def make_browser_rules(config: Config) -> BrowserRules:
    server = config.server
    own_origin = parse_web_url(server.public_url).origin if server.public_url else None
    return BrowserRules(server.allowed_origins, own_origin=own_origin, production=server.production)


def make_stream_bounds(config: Config) -> StreamBounds:
    stream = config.stream
    return StreamBounds(
        subscribers=stream.max_readers,
        subscriptions=stream.subscriptions,
        message_bytes=stream.message_bytes,
        messages_per_s=stream.messages_per_s,
        queue=stream.queue,
        resume_records=stream.resume_records,
        ping_interval_s=stream.ping_interval_s,
        ping_timeout_s=stream.ping_timeout_s,
    )


def make_metrics(
    config: Config,
    exchange: Exchange,
    beside: Beside,
    requests: RequestMeter,
    connections: Connections,
    security_log: SecurityLog,
) -> Metrics:
    """What /metrics tells."""
    data_dir, postman = config.storage.data_dir, beside.postman
    watched = Watched(
        exchange=exchange,
        snapshotter=beside.snapshotter,
        recovered=beside.recovered,
        loop=beside.loop,
        requests=requests,
        connections=lambda: len(connections),
        security=security_log.counters,
        files=lambda: file_sizes(data_dir),
        queues={"mail": (lambda: postman.held, postman.bound), **streams.queues()},
        counters={"mails": postman.counters},
        dropped_lines=streams.dropped(),
    )
    return Metrics(watched)


def file_sizes(data_dir: Path) -> dict[str, int]:
    """Bytes by name of the databases and of the logs beside them. SQLite removes those when it likes, so one that was
    listed may be gone when it is looked at."""
    sizes = {}
    for file in sorted(data_dir.glob("*.db*")):
        with suppress(FileNotFoundError):
            sizes[file.name] = file.stat().st_size
    return sizes


def make_limits(config: Config) -> RateLimits:
    limits = config.limits
    return RateLimits(
        enabled=limits.enabled,
        trade_per_account=limits.trade_per_account,
        trade_per_ip=limits.trade_per_ip,
        read_per_account=limits.read_per_account,
        read_per_ip=limits.read_per_ip,
        probe_per_ip=limits.probe_per_ip,
        mail_per_ip=limits.mail_per_ip,
        mail_per_address=limits.mail_per_address,
        fapi_per_ip=limits.fapi_per_ip,
        fapi_orders_per_account=limits.fapi_orders_per_account,
        block_after=limits.block_after,
        block_s=limits.block_s,
        most=limits.addresses_tracked,
    )

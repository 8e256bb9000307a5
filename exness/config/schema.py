"""Every setting: its type, default, bounds and unit. config.toml explains them to the operator, in the same order.

A row is `key: Annotated[type, rule] = default`. The loader takes keys and rules from here and the error texts are
made of them, so that a new setting is one row here and one in config.toml.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from exness.config import rules
from exness.config.rules import Boolean, Integer, ListOf, Number
from exness.core.instruments import Asset, Execution, Instrument

DAY_S = 86_400
SCENARIO_NAMES = ("calm", "volatile", "crash", "pump", "wick", "gap", "stale", "crossed", "flapping")
"""The rows of `feeds.scenarios`, which this module can't see; a test holds them alike."""
CURRENCY = "USDC"


class ServerConfig(msgspec.Struct, frozen=True):
    """Where it listens and whom it believes."""

    host: Annotated[str, rules.text("a host name or IP address", at_least=1)] = "127.0.0.1"
    port: Annotated[int, Integer(0, 65_535)] = 8002
    """0 picks a free one."""
    frontend_url: Annotated[str, rules.page_url()] = ""
    """Where a sign-in link leads in the end. Empty: our own page at /."""
    allowed_origins: Annotated[tuple[str, ...], ListOf(rules.origin())] = ("http://localhost:3000",)
    """Browser origins that may call with credentials, as browsers send them."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], ListOf(rules.network())] = ()
    """Peers whose X-Forwarded-For is believed."""
    metrics_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], ListOf(rules.network())] = (
        IPv4Network("127.0.0.0/8"),
        IPv6Network("::1/128"),
    )
    """Who may read /metrics."""
    public_url: Annotated[str, rules.base_url()] = ""
    """How users reach it, without a slash at its end; mailed links begin with it. Empty: by where it listens."""
    max_body_bytes: Annotated[int, Integer(1)] = 65_536
    max_connections: Annotated[int, Integer(1)] = 4000
    header_timeout_s: Annotated[float, Number(at_most=3600)] = 10.0
    """How long a request's line and headers may take."""
    body_timeout_s: Annotated[float, Number(at_most=3600)] = 10.0
    """How long a body may take."""
    idle_timeout_s: Annotated[float, Number(at_most=DAY_S)] = 75.0
    """How long a connection stays open between requests."""
    shutdown_timeout_s: Annotated[float, Number(at_most=3600)] = 4.0
    """How long requests in flight may take to end after a SIGTERM."""
    production: Annotated[bool, Boolean()] = False
    """Served over HTTPS: the session cookie is marked Secure."""


class StorageConfig(msgspec.Struct, frozen=True):
    """Where it keeps what happened, and how often."""

    data_dir: Annotated[Path, rules.path()] = Path("./data")
    acknowledge: Annotated[Literal["durable", "memory"], rules.one_of(("durable", "memory"))] = "durable"
    """When a trade is answered: once it is on disk, or once the engine has decided it."""
    snapshot_interval_s: Annotated[float, Number(at_most=DAY_S)] = 20.0
    snapshots_kept: Annotated[int, Integer(1)] = 10
    writer_batch: Annotated[int, Integer(1)] = 2000
    """Events in one transaction, at most."""
    writer_queue: Annotated[int, Integer(1)] = 20_000
    """Events waiting for the writer, at most."""
    read_queue: Annotated[int, Integer(1)] = 1000
    """History requests waiting for the tables, at most."""


class EngineConfig(msgspec.Struct, frozen=True):
    """Bounds of the one engine and its queues."""

    inbox_size: Annotated[int, Integer(1)] = 10_000
    """Requests waiting for the engine, at most."""
    inbox_wait_s: Annotated[float, Number(at_most=3600)] = 2.0
    """A request that has waited this long for the engine is refused, untouched."""
    tick_queue_per_asset: Annotated[int, Integer(3)] = 1000
    """Ticks waiting per asset, at most; beyond it low, high and last are kept, hence 3."""
    slice_commands: Annotated[int, Integer(1)] = 200
    """Commands handled before the loop gets a turn."""
    slice_liquidations: Annotated[int, Integer(1)] = 500
    """Liquidations handled before the loop gets a turn."""
    subscriber_queue: Annotated[int, Integer(1)] = 10_000
    """Events waiting for one in-process subscriber, at most."""


class FeedConfig(msgspec.Struct, frozen=True):
    """Where prices come from and how long they live."""

    source: Annotated[
        Literal["simulated", "backpack", "replay", "manual"],
        rules.one_of(("simulated", "backpack", "replay", "manual")),
    ] = "simulated"
    url: Annotated[str, rules.url("ws", "wss")] = "wss://ws.backpack.exchange"
    price_ttl_s: Annotated[float, Number(at_most=DAY_S)] = 30.0
    """How long a price may be traded on."""
    seed: Annotated[int, Integer(0, None)] = 0
    """Simulated: the same seed gives the same walk."""
    ticks_per_s: Annotated[float, Number(at_most=1000)] = 5.0
    """Simulated: ticks per second and asset."""
    scenario: Annotated[str, rules.one_of(tuple(SCENARIO_NAMES))] = "calm"
    """Simulated: what happens to the walk; `serve --help` describes each."""
    max_spread: Annotated[int, rules.share()] = 1000
    """Hundredths of a percent of the mark: a wider quote is refused; 0 refuses none."""
    jump_guard: Annotated[Literal["live", "all"], rules.one_of(("live", "all"))] = "live"
    """Whose jumps want confirmation: those of a live venue, or a simulation's and a recording's too."""
    resubscribe_after_s: Annotated[float, Number(at_most=DAY_S)] = 60.0
    """Backpack: how long one symbol may be silent while others tick."""
    backfill_url: Annotated[str, rules.url("http", "https", empty=True)] = ""
    """Backpack: where candles from before the start come from. Empty: from nowhere."""
    backfill_candles: Annotated[int, Integer(1, 1000)] = 500
    """Backpack: how many of each asset and interval."""
    replay_files: Annotated[tuple[Path, ...], ListOf(rules.path())] = ()
    speed: Annotated[float, rules.Speed()] = 1.0
    """Replay: 1 is real time, 10 ten times as fast, infinity as fast as it goes."""
    replay_from: Annotated[int | None, rules.Moment()] = None
    """Replay: microseconds since the epoch; what comes before is left out."""
    replay_to: Annotated[int | None, rules.Moment()] = None
    """Replay: what comes then or later is left out."""
    loop: Annotated[bool, Boolean()] = False
    """Replay: begin again at the end."""
    allow_gaps: Annotated[bool, Boolean()] = False
    """Replay: play a recording in which nothing comes for more than a day of real time."""
    orders: Annotated[Path | None, rules.optional_path()] = None
    """Replay: a CSV file of orders that ride along."""
    exit_at_end: Annotated[bool, Boolean()] = False
    """Replay: stop the exchange when the recording ends."""


class TradingConfig(msgspec.Struct, frozen=True):
    """What a trader gets and how far they may go."""

    initial_balance: Annotated[int, rules.usdc(zero=True)] = 5_000 * 10**6
    """Micro-USDC, paid in when an account is made."""
    execution: Annotated[Execution, rules.one_of(tuple(Execution))] = Execution.MID
    max_open_trades_per_account: Annotated[int, Integer(1)] = 1000
    max_notional_per_account: Annotated[int, rules.usdc(zero=False)] = 10_000_000 * 10**6
    """Micro-USDC: the sum of margin x leverage over an account's open trades."""
    max_open_interest_per_asset: Annotated[int, rules.usdc(zero=False)] = 1_000_000_000 * 10**6
    """Micro-USDC: the sum of margin x leverage over an asset's open trades."""
    client_order_ids_per_account: Annotated[int, Integer(1)] = 1000
    """How many of an account's newest clientOrderIds are remembered."""


class AuthConfig(msgspec.Struct, frozen=True):
    """Sessions, sign-in links and the mail that carries them."""

    secret: Annotated[str, rules.secret()] = ""
    """Signs tokens. Empty: made at first start and kept in the data directory."""
    previous_secret: Annotated[str, rules.secret()] = ""
    """Signs nothing; tokens signed with it stay good. Beside it, the file secret.previous is read."""
    session_days: Annotated[int, Integer(1, 3650)] = 7
    link_minutes: Annotated[int, Integer(1, 1440)] = 5
    resend_api_key: Annotated[str, rules.text()] = ""
    smtp_url: Annotated[str, rules.url("smtp", "smtps", empty=True)] = ""
    mail_from: Annotated[str, rules.mail_address()] = "exness <no-reply@localhost>"
    session_cache: Annotated[int, Integer(1)] = 10_000
    """Sessions kept in memory, at most."""

    def __repr__(self) -> str:
        """Like any other, but what is secret stays so: settings end up in logs and tracebacks."""
        fields = (
            f"{field}={'<hidden>' if is_secret('auth', field) and value else repr(value)}"
            for field, value in msgspec.structs.asdict(self).items()
        )
        return f"AuthConfig({', '.join(fields)})"


class LimitsConfig(msgspec.Struct, frozen=True):
    """How much one client may ask for. Rates count weights, but for mails."""

    enabled: Annotated[bool, Boolean()] = True
    trade_per_account: Annotated[str, rules.rate()] = "20000/second"
    trade_per_ip: Annotated[str, rules.rate()] = "20000/second"
    read_per_ip: Annotated[str, rules.rate()] = "5000/second"
    read_per_account: Annotated[str, rules.rate()] = "5000/second"
    probe_per_ip: Annotated[str, rules.rate()] = "400/second"
    """/healthz, /readyz and /metrics."""
    mail_per_ip: Annotated[str, rules.rate()] = "20/minute;100/hour"
    """Sign-in links that one caller may ask for."""
    mail_per_address: Annotated[str, rules.rate()] = "3/minute;10/hour"
    """Sign-in links that are mailed to one address."""
    block_after: Annotated[int, Integer(0)] = 1000
    """Refusals within a minute after which a caller is blocked; 0 blocks nobody."""
    block_s: Annotated[float, Number(at_most=DAY_S)] = 300.0
    connections_per_ip: Annotated[int, Integer(1)] = 1000
    addresses_tracked: Annotated[int, Integer(1)] = 100_000
    """Callers counted at once, at most."""


class StreamConfig(msgspec.Struct, frozen=True):
    """Bounds of the WebSocket stream."""

    max_readers: Annotated[int, Integer(1)] = 2000
    """Streams open at once."""
    subscriptions: Annotated[int, Integer(1)] = 100
    """Channels that one connection may listen to."""
    message_bytes: Annotated[int, Integer(128)] = 8192
    """A larger message of a client ends its connection. A session token must fit."""
    messages_per_s: Annotated[int, Integer(1)] = 50
    """Messages of one client that are answered, per second."""
    queue: Annotated[int, Integer(1)] = 5000
    """Frames that may wait for one client; prices and candles do not count."""
    resume_records: Annotated[int, Integer(0)] = 100_000
    """How many of the journal's newest records are searched to resume a stream."""
    ping_interval_s: Annotated[float, Number(at_most=3600)] = 20.0
    """A client that is silent for so long is pinged."""
    ping_timeout_s: Annotated[float, Number(at_most=3600)] = 20.0
    """How long it may take to answer that."""


class DevConfig(msgspec.Struct, frozen=True):
    """For tests and development, never for a public server."""

    control: Annotated[bool, Boolean()] = False
    """Programs on this machine may pay money in, start afresh and, with the manual feed, set prices and clock."""


class LogConfig(msgspec.Struct, frozen=True):
    """What is logged and in which form."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], rules.one_of(("debug", "info", "warning", "error"))
    ] = "info"
    format: Annotated[Literal["console", "json"], rules.one_of(("console", "json"))] = "console"
    access: Annotated[bool, Boolean()] = False


class AssetConfig(msgspec.Struct, frozen=True):
    """One tradable asset; its name is the section's: [assets.SOL]."""

    name: Annotated[str, rules.text("a name on one line", at_least=1)]
    decimals: Annotated[int, Integer(0, 12)]
    """Decimals of its prices."""
    symbol: Annotated[str, rules.text("the venue's name for it like SOL_USDC", at_least=1)]
    image_url: Annotated[str, rules.url("http", "https", empty=True)] = ""
    max_leverage: Annotated[int, rules.leverage()] = 100 * 100
    """Hundredths: 10000 is 100x."""
    jump_share: Annotated[int, rules.share()] = 2000
    """Hundredths of a percent: a mark further from the last one than this is a jump; 0: none is."""
    jump_confirmations: Annotated[int, Integer(0, 1000)] = 3
    """Further ticks near a jump that make it believed; 0: it is believed at once."""
    volatility: Annotated[int, rules.volatility()] = 100
    """Simulated: hundredths of the usual size of a move."""
    enabled: Annotated[bool, Boolean()] = True
    """False removes it; `Config.assets` holds enabled ones only."""


LOGOS = "https://raw.githubusercontent.com/trustwallet/assets/master/blockchains"
DEFAULT_ASSETS = {
    "SOL": AssetConfig("Solana", 6, "SOL_USDC", f"{LOGOS}/solana/info/logo.png"),
    "ETH": AssetConfig("Ethereum", 6, "ETH_USDC", f"{LOGOS}/ethereum/info/logo.png"),
    "BTC": AssetConfig("Bitcoin", 4, "BTC_USDC", f"{LOGOS}/bitcoin/info/logo.png"),
}


class Config(msgspec.Struct, frozen=True):
    """Every setting of one process. Values are already in the unit their field names."""

    server: ServerConfig = ServerConfig()
    storage: StorageConfig = StorageConfig()
    engine: EngineConfig = EngineConfig()
    feed: FeedConfig = FeedConfig()
    trading: TradingConfig = TradingConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    stream: StreamConfig = StreamConfig()
    dev: DevConfig = DevConfig()
    log: LogConfig = LogConfig()
    assets: dict[str, AssetConfig] = msgspec.field(default_factory=lambda: dict(DEFAULT_ASSETS))

    def instruments(self) -> dict[Asset, Instrument]:
        """What the core trades: SOL, ETH, BTC, then others in the order they were configured."""
        return {Asset(name): _instrument(Asset(name), asset) for name, asset in self.assets.items()}


def _instrument(asset: Asset, config: AssetConfig) -> Instrument:
    return Instrument(
        asset=asset,
        name=config.name,
        decimals=config.decimals,
        symbol=config.symbol,
        image_url=config.image_url,
        max_leverage=config.max_leverage,
    )


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerConfig,
    "storage": StorageConfig,
    "engine": EngineConfig,
    "feed": FeedConfig,
    "trading": TradingConfig,
    "auth": AuthConfig,
    "limits": LimitsConfig,
    "stream": StreamConfig,
    "dev": DevConfig,
    "log": LogConfig,
}
"""The sections of fixed keys. `assets` has one table per asset instead."""

SECRETS = frozenset({("auth", "secret"), ("auth", "previous_secret"), ("auth", "resend_api_key"), ("auth", "smtp_url")})


def is_secret(section: str, key: str) -> bool:
    """Never shown, neither in a repr nor in an error (an smtp_url may hold a password)."""
    return (section, key) in SECRETS

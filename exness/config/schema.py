"""Every setting, section by section: its type and bounds, its default, its flag and what people should know of it.

The first sentence of an explanation is also the help text of its flag; what a value may be is said by its kind
(see `definition`). After a change here run `make settings`, which writes config.toml and docs/SETTINGS.md anew.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from exness.config import kinds
from exness.config.definition import Flag, Row, rows_of
from exness.config.kinds import integer, list_of, number, optional
from exness.config.rates import RATES_OF_ALL, RatesConfig
from exness.core.instruments import Asset, Execution, LimitFill, Trigger
from exness.core.line import net_unit
from exness.core.profiles import PROFILES
from exness.core.rates import Rates
from exness.runtime.listings import Listing
from exness.runtime.ranking import MOST_RANKED

DAY_S = 86_400
SCENARIO_NAMES = ("calm", "volatile", "crash", "pump", "wick", "gap", "stale", "crossed", "flapping")
"""The rows of `feeds.scenarios`, which this module can't see; a test holds them alike."""
CURRENCY = "USDC"


class ServerConfig(msgspec.Struct, frozen=True):
    """Where the server listens and which peers it trusts."""

    host: Annotated[str, kinds.text("a host name or IP address", at_least=1), Flag("--host")] = "127.0.0.1"
    """Address to listen on. "0.0.0.0" listens on every IPv4 address of the machine, "::" or "*" on every IPv6 and IPv4
    address. With one of these set public_url too."""
    port: Annotated[int, integer(0, 65_535), Flag("--port")] = 8002
    """Port to listen on, 0 picks a free one. The line "listening on ..." names it."""
    frontend_url: Annotated[str, optional(kinds.PAGE_URL, "our own page", "")] = ""
    """Where a browser goes once its sign-in link is accepted. Our own page is / below public_url."""
    allowed_origins: Annotated[tuple[str, ...], list_of(kinds.ORIGIN)] = ("http://localhost:3000",)
    """Browser origins that may call with the session cookie."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], list_of(kinds.NETWORK)] = ()
    """Reverse proxies whose X-Forwarded-For is trusted. Behind a proxy that is not named here all users count as one,
    and the log warns of it."""
    metrics_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], list_of(kinds.NETWORK)] = (
        IPv4Network("127.0.0.0/8"),
        IPv6Network("::1/128"),
    )
    """Who may read /metrics and, in /readyz, where prices come from. Empty: nobody. Metrics cover all users together.
    What a proxy passes on is never taken for a request of its own address. A proxy that adds no header at all can't be
    told from a local program: let it refuse /metrics and /api/v1/dev itself."""
    public_url: Annotated[str, optional(kinds.BASE_URL, empty="")] = ""
    """How users reach this server, with the path that a proxy takes off, if any. Mailed links begin with it. "":
    http://localhost and the port, or the address it listens on when that is another one."""
    max_body_bytes: Annotated[int, integer()] = 65_536
    """Largest request body, in bytes. A larger one is answered with 413."""
    max_connections: Annotated[int, integer()] = 4000
    """Connections open at once. More are answered with 429 and closed. When the system's limit of open files (ulimit
    -n) does not allow so many, it is as many as it does allow, and the banner says so. An IP address that holds twice
    as many as are free gets no more, so none takes them all; those of a trusted proxy only count as a whole."""
    header_timeout_s: Annotated[float, number(at_most=3600)] = 10.0
    """How long the line and headers of a request may take, in seconds. Then the connection is closed."""
    body_timeout_s: Annotated[float, number(at_most=3600)] = 10.0
    """How long a request's body may take, in seconds. Then it is answered with 408."""
    idle_timeout_s: Annotated[float, number(at_most=DAY_S)] = 75.0
    """How long a connection stays open between two requests, in seconds."""
    shutdown_timeout_s: Annotated[float, number(at_most=3600)] = 4.0
    """How long requests in flight may take to end after SIGTERM or SIGINT, in seconds."""
    production: bool = False
    """true when it is served over HTTPS: the session cookie is then marked Secure and never sent in the clear."""
    plain_http: bool = False
    """true serves with aiohttp as it comes, to find out whether a fault lies in how we stand on it. Slower; there is no
    max_connections and no header_timeout_s then, and what is no HTTP is answered in aiohttp's words."""


class StorageConfig(msgspec.Struct, frozen=True):
    """Where data is kept, and how safely."""

    data_dir: Annotated[Path, kinds.PATH, Flag("--data-dir", "DIR")] = Path("./data")
    """Folder of the databases, the secret and the outbox. It is made when it does not exist."""
    acknowledge: Literal["durable", "memory"] = "durable"
    """When a trade is acknowledged. "durable": once it is on disk, so that no crash undoes it. "memory": once it is
    decided; faster, and a crash may undo what was acknowledged last."""
    snapshot_interval_s: Annotated[float, number(at_most=DAY_S)] = 20.0
    """Time between snapshots of the engine's state, in seconds. None is written when nothing changed."""
    snapshots_kept: Annotated[int, integer()] = 10
    """How many of the newest snapshots are kept."""
    writer_batch: Annotated[int, integer()] = 2000
    """Most events that the writer commits in one transaction."""
    writer_queue: Annotated[int, integer()] = 20_000
    """Events that may wait for the writer. When the queue is full, new requests are answered with 503."""
    read_queue: Annotated[int, integer()] = 1000
    """History requests that may wait for the tables, which have a reading connection of their own. When the queue is
    full, new ones are answered with 503."""


class EngineConfig(msgspec.Struct, frozen=True):
    """Bounds of the engine and its queues."""

    inbox_size: Annotated[int, integer()] = 10_000
    """Requests that may wait for the engine. When the queue is full, new ones are answered with 503."""
    inbox_wait_s: Annotated[float, number(at_most=3600)] = 2.0
    """Seconds that a request may wait for the engine (only while the disk is too slow for the load). After that it is
    answered with 503, and nothing of it was done."""
    tick_queue_per_asset: Annotated[int, integer(3)] = 1000
    """Price ticks that may wait, per asset. Beyond it the lowest, the highest and the last one are kept, so that no
    wick is lost."""
    slice_commands: Annotated[int, integer()] = 200
    """Commands handled in one go before the network gets a turn."""
    slice_liquidations: Annotated[int, integer()] = 200
    """Liquidations, fills and payments of funding handled in one go before the network gets a turn."""
    subscriber_queue: Annotated[int, integer()] = 10_000
    """Events that may wait for one subscriber inside the process. A subscriber that falls further behind is cut off."""


class FeedConfig(msgspec.Struct, frozen=True):
    """Where prices come from and how long they may be traded on."""

    source: Annotated[Literal["simulated", "backpack", "replay", "manual"], Flag("--feed")] = "simulated"
    """Where prices come from. "simulated": a random walk, needs no internet. "backpack": live prices of that exchange.
    "replay": recorded files. "manual": only those set through /api/v1/dev; needs control = true under [dev]."""
    url: Annotated[str, kinds.url("ws", "wss"), Flag("--feed-url", "URL")] = "wss://ws.backpack.exchange"
    """backpack: the venue's WebSocket."""
    price_ttl_s: Annotated[float, number(at_most=DAY_S)] = 30.0
    """How long a price may be traded on, in seconds. After that trades are answered with 503."""
    seed: Annotated[int, integer(0, None), Flag("--seed", "N")] = 0
    """simulated: start of the random walk. The same seed gives the same walk."""
    ticks_per_s: Annotated[float, number(at_most=1000)] = 5.0
    """simulated: ticks per second for each asset."""
    scenario: Annotated[str, kinds.one_of(SCENARIO_NAMES), Flag("--scenario", "NAME")] = "calm"
    """simulated: what happens to the walk. `python -m exness serve --help` describes each scenario."""
    max_spread: Annotated[int, kinds.SHARE] = 1000
    """Widest accepted spread, as a share of the mark; 0.1 is 10 %. A wider quote is refused and counted. 0 refuses
    none."""
    jump_guard: Literal["live", "all"] = "live"
    """Whose jumps want confirmation (see jump_share of an asset). "live": those of a live venue. "all": those of the
    simulation and of recordings too, which otherwise may jump as they like."""
    resubscribe_after_s: Annotated[float, number(at_most=DAY_S)] = 60.0
    """backpack: how long one asset may be silent while others tick, in seconds. Then it is subscribed to again."""
    backfill_url: Annotated[str, optional(kinds.url("http", "https"), empty="")] = ""
    """backpack: where to fetch older candles from, once at every start, such as "https://api.backpack.exchange". They
    are marked as backfilled in /klines."""
    backfill_candles: Annotated[int, integer(1, 1000)] = 500
    """backpack: how many candles of each asset and interval are fetched then."""
    replay_files: Annotated[tuple[Path, ...], list_of(kinds.PATH), Flag("--replay", "FILE")] = ()
    """replay: the recorded files. At least one when source is "replay"."""
    speed: Annotated[float, kinds.SPEED, Flag("--speed", "X")] = 1.0
    """replay: how many times as fast as it was recorded, or "max". 1.0 is real time. "max" is as fast as it goes; the
    exchange's clock is then the recording's."""
    replay_from: Annotated[int | None, kinds.MOMENT, Flag("--from", "TIME")] = None
    """replay: play from this time on, like 2024-08-05T06:00:00Z. It is UTC unless it says otherwise. "": from its
    start."""
    replay_to: Annotated[int | None, kinds.MOMENT, Flag("--to", "TIME")] = None
    """replay: play until just before this time. "": to its end."""
    loop: Annotated[bool, Flag("--loop")] = False
    """replay: begin again at the end, for ever."""
    allow_gaps: Annotated[bool, Flag("--allow-gaps")] = False
    """replay: play also a recording with a gap that lasts more than a day of real time, at this speed. Without it such
    a recording is refused: mostly it is a wrong time or a forgotten file."""
    orders: Annotated[Path | None, optional(kinds.PATH), Flag("--orders", "FILE")] = None
    """replay: a CSV file of orders that are replayed too. See "Replay" in docs/API.md; the exchange's clock is then the
    recording's."""
    exit_at_end: Annotated[bool, Flag("--exit-at-end")] = False
    """replay: stop the exchange when the recording has ended."""


class TradingConfig(msgspec.Struct, frozen=True):
    """What traders get and how far they may go. Amounts are in USDC and are read exactly as they stand here."""

    initial_balance: Annotated[int, kinds.usdc(zero=True)] = 5_000 * 10**6
    """What a new account gets."""
    profile: Annotated[str, optional(kinds.one_of(tuple(PROFILES)), empty=""), Flag("--profile")] = ""
    """Charge and pay as this venue does. It sets execution, trigger and limit_fill here and most of [rates]; a key that
    is given in this file, the environment or a flag goes over it."""
    execution: Execution = Execution.MID
    """Price a trade opens and closes at. "mid": the mid of bid and ask. "touch": a long opens at the ask and closes at
    the bid, a short the other way. Liquidation goes by the mid in both."""
    trigger: Trigger = Trigger.SIDE
    """Price that sets stops, take profits and trailing stops off. "side": the one that the fill would be at. "mark":
    the mid."""
    limit_fill: LimitFill = LimitFill.BETTER
    """What a limit order that waited is filled at. "better": the price that reached it, the limit or better. "limit":
    exactly the limit, as in a book."""
    net_leverage: Annotated[int, kinds.LEVERAGE] = 20 * 100
    """Leverage of net positions until an account sets another one."""
    max_open_trades_per_account: Annotated[int, integer()] = 1000
    """Trades an account may have open at once."""
    max_open_orders_per_account: Annotated[int, integer()] = 200
    """Orders an account may have waiting at once."""
    max_exits_per_trade: Annotated[int, integer()] = 10
    """Exits over a part that a trade may have at once, beside its take profit, stop loss and trailing stop."""
    max_notional_per_account: Annotated[int, kinds.usdc(zero=False)] = 10_000_000 * 10**6
    """Margin x leverage that an account may have open, over all its trades."""
    max_open_interest_per_asset: Annotated[int, kinds.usdc(zero=False)] = 1_000_000_000 * 10**6
    """Margin x leverage that may be open in one asset, over all accounts."""
    client_order_ids_per_account: Annotated[int, integer()] = 1000
    """How many of its newest clientOrderIds are remembered for each account. Repeating one of them opens no second
    trade."""


class AuthConfig(msgspec.Struct, frozen=True):
    """Sessions, sign-in links and the mail that carries them."""

    secret: Annotated[str, kinds.SIGNING_SECRET] = ""
    """Signs session tokens. The one made at first start is kept in data_dir. Better set it with EXNESS_AUTH_SECRET than
    here."""
    previous_secret: Annotated[str, kinds.SIGNING_SECRET] = ""
    """The secret before this one: sessions signed with it stay good until they expire, new ones are not signed with it.
    Without it, the file secret.previous in data_dir is read, if there is one."""
    session_days: Annotated[int, integer(1, 3650)] = 7
    """How long a session lasts, in days."""
    link_minutes: Annotated[int, integer(1, 1440)] = 5
    """How long a sign-in link may be used, in minutes."""
    resend_api_key: Annotated[str, kinds.secret(kinds.text())] = ""
    """Key of the mail provider Resend. "" for none. Better set it with EXNESS_AUTH_RESEND_API_KEY than here."""
    smtp_url: Annotated[str, kinds.secret(optional(kinds.url("smtp", "smtps"), empty=""))] = ""
    """Mail server: smtp://user:password@host:587 or smtps://user:password@host:465. With neither this nor
    resend_api_key, mails are written to the folder outbox in data_dir."""
    mail_from: Annotated[str, kinds.MAIL_ADDRESS] = "exness <no-reply@localhost>"
    """Sender of the mails."""
    session_cache: Annotated[int, integer()] = 10_000
    """Sessions kept in memory. Others are looked up in the database."""

    def __repr__(self) -> str:
        return _without_secrets("auth", self)


class LimitsConfig(msgspec.Struct, frozen=True):
    """How much one client may ask for. A rate is "2000/second"; "20/minute;500/hour" means both. Rates count weight:
    what a request costs, where the cheapest has weight 1 and takes some 40 microseconds, and opening or closing a trade
    has 3. The table is in docs/API.md, "Limits". The defaults do not stand in the way of a load test on this machine. A
    public server wants less: trade_per_account = "300/second" (100 orders), trade_per_ip = "600/second",
    read_per_account and read_per_ip = "1000/second", block_after = 200."""

    enabled: bool = True
    """false switches them all off."""
    trade_per_account: Annotated[str, kinds.RATE] = "20000/second"
    """Opening and closing trades, and dev control, per account. The default is 6,666 of them a second."""
    trade_per_ip: Annotated[str, kinds.RATE] = "20000/second"
    """The same, per IP address."""
    read_per_ip: Annotated[str, kinds.RATE] = "5000/second"
    """Everything else, and the messages of streams, per IP address. The default is about a fifth of the process."""
    read_per_account: Annotated[str, kinds.RATE] = "5000/second"
    """The same, per account."""
    probe_per_ip: Annotated[str, kinds.RATE] = "400/second"
    """/healthz, /readyz and /metrics, per IP address. They count apart, and a blocked address may ask for them too, so
    that no load makes a health check fail."""
    mail_per_ip: Annotated[str, kinds.RATE] = "20/minute;100/hour"
    """Sign-in links that one IP address may ask for. This and the next one count mails, not weight."""
    mail_per_address: Annotated[str, kinds.RATE] = "3/minute;10/hour"
    """Sign-in links that may be mailed to one address."""
    block_after: Annotated[int, integer(0)] = 1000
    """Refusals within a minute after which an IP address is refused everything but probes for block_s. 0 blocks
    nobody."""
    block_s: Annotated[float, number(at_most=DAY_S)] = 300.0
    """How long that lasts, in seconds."""
    connections_per_ip: Annotated[int, integer()] = 1000
    """Connections that one IP address may have open, fewer when server.max_connections is nearly reached. More are
    answered with 429 and closed."""
    fapi_per_ip: Annotated[str, kinds.RATE] = "2400/minute"
    """The Binance face, per IP address: it counts Binance's weights, apart from all others. The default is Binance's.
    Clients learn of it and slow down by themselves."""
    fapi_orders_per_account: Annotated[str, kinds.RATE] = "300/10 second;1200/minute"
    """Orders placed through the Binance face, per account. This counts orders, not weight."""
    addresses_tracked: Annotated[int, integer()] = 100_000
    """Accounts and IP addresses counted at once. The ones not seen for longest are forgotten first."""


class StreamConfig(msgspec.Struct, frozen=True):
    """The WebSocket stream, GET /api/v1/stream."""

    max_readers: Annotated[int, integer()] = 2000
    """Streams open at once. More are answered with 503. An IP address or account that holds twice as many as are free
    gets no more (429). They count as connections too (server.max_connections and limits.connections_per_ip)."""
    subscriptions: Annotated[int, integer()] = 100
    """Channels that one connection may subscribe to."""
    message_bytes: Annotated[int, integer(128)] = 8192
    """Largest message that a client may send, in bytes. A larger one ends its connection (code 1009). A session token
    must fit, which has some 350 characters."""
    messages_per_s: Annotated[int, integer()] = 50
    """Messages of one client that are answered, per second. A client that sends twice as many is disconnected (code
    4029)."""
    queue: Annotated[int, integer()] = 5000
    """Events that may wait for one client. A client that falls further behind is disconnected (code 4008) and may
    resume. Of each price and candle only the newest waits, whatever this is."""
    resume_records: Annotated[int, integer(0)] = 100_000
    """How many records of an account are read at most to resume a stream. Where there are more, a client gets a
    snapshot."""
    ping_interval_s: Annotated[float, number(at_most=3600)] = 20.0
    """A client that is silent for so long is pinged, in seconds."""
    ping_timeout_s: Annotated[float, number(at_most=3600)] = 20.0
    """How long its answer may take, in seconds. Then it is disconnected (code 4009)."""


class FapiConfig(msgspec.Struct, frozen=True):
    """The Binance face: what clients of Binance's USD-M futures ask for, below /fapi on the same port. See
    docs/BINANCE.md. How much of it one client may ask for stands in [limits], its steps of prices and quantities with
    each asset."""

    enabled: bool = True
    """false: there is nothing at its addresses."""
    quote: Annotated[str, kinds.QUOTE] = "USDC"
    """What the names of its symbols end in: BTCUSDC. "USDT" is for bots that have BTCUSDT written into them; the money
    is the same."""


class LeaderboardConfig(msgspec.Struct, frozen=True):
    """Who has gained most: GET /api/v1/leaderboard, for everybody who has an account here. An account shows under a
    name that is made from its id and the auth secret: nobody learns whose it is, and no mail address is ever shown."""

    enabled: bool = False
    """true: accounts are ranked by what their closed trades have realized, and every user sees it."""
    size: Annotated[int, integer(1, MOST_RANKED)] = MOST_RANKED
    """How many accounts are shown of each period."""


class DevConfig(msgspec.Struct, frozen=True):
    """For tests and development, never for a public server."""

    control: Annotated[bool, Flag("--dev-control")] = False
    """Let any program on this machine, without a session, sign in as anybody, pay money into accounts, start afresh,
    make requests go wrong and, with the manual feed, set prices and the clock. See "Dev control" in docs/API.md."""


class DeployConfig(msgspec.Struct, frozen=True):
    """An exchange that outlives its machine: see docs/SPREAD.md. Whoever fits on one machine leaves all of this as it
    is."""

    role: Annotated[Literal["all", "server", "engine", "processor", "poller"], Flag("--role")] = "all"
    """What this process does. "all": everything, as the only active one of its kind. The others are the parts of an
    exchange that is spread over several processes; they need deploy.database and deploy.bus."""
    database: Annotated[str, optional(kinds.DATABASE, "SQLite in storage.data_dir", "")] = ""
    """PostgreSQL: everything that is stored is there, and of several processes that name it one is active, the others
    wait to take over. It needs the extra exness[spread] and auth.secret. Several hosts stand with commas between them.
    Better set it with EXNESS_DEPLOY_DATABASE than here."""
    bus: Annotated[str, optional(kinds.BUS, "none: one process does everything", "")] = ""
    """Redis or Valkey, the wire between the roles. Nothing that matters is kept there. Better set it with
    EXNESS_DEPLOY_BUS than here."""
    name: Annotated[str, kinds.DATABASE_NAME] = "exness"
    """Schema in the database, and what the keys on the bus begin with. Each is an exchange of its own."""
    answer_timeout_s: Annotated[float, number(at_most=60)] = 5.0
    """How long a server asks the engine for an answer before it says that it is not known."""
    shards: Annotated[int, integer(1, 1)] = 1
    """Into how many parts the accounts are divided. Fixed when the exchange is made. More than 1 is not there yet."""

    def __repr__(self) -> str:
        return _without_secrets("deploy", self)


class LogConfig(msgspec.Struct, frozen=True):
    """What is logged and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """This and what is more severe is logged."""
    format: Literal["console", "json"] = "console"
    """"console": lines to read. "json": one JSON object a line."""
    access: bool = False
    """true: a line for each request as well, made and written in a thread, at level info. Lines that cannot be written
    are dropped and counted, as all lines of the log are."""


class AssetConfig(msgspec.Struct, frozen=True):
    """The assets that can be traded. A section [assets.<NAME>], 1 to 10 uppercase letters and digits, adds one; name,
    decimals and symbol are required there. SOL, ETH and BTC exist even when this file does not name them; enabled =
    false removes one. At least one must stay."""

    name: Annotated[str, kinds.text("a name on one line", at_least=1)]
    """Name to display."""
    decimals: Annotated[int, integer(0, 12)]
    """Decimals of its prices. Never change them while trades are open."""
    symbol: Annotated[str, kinds.text("the venue's name for it like SOL_USDC", at_least=1)]
    """Its name at the venue. No two assets share one."""
    image_url: Annotated[str, optional(kinds.url("http", "https"), empty="")] = ""
    """Logo to display."""
    max_leverage: Annotated[int, kinds.LEVERAGE] = 100 * 100
    """Highest leverage."""
    quantity_decimals: Annotated[int | None, kinds.QUANTITY_DECIMALS] = None
    """Decimals of quantities of net positions. Together with decimals from 6 to 11; an asset of 12 decimals has no net
    positions. Never change them while net positions are open."""
    jump_share: Annotated[int, kinds.SHARE] = 2000
    """A price further from the last one than this share of it is a jump; 0.2 is 20 %. It moves nothing, and no trade
    opens in the asset, until jump_confirmations more ticks near it confirm it. 0: no price is a jump."""
    jump_confirmations: Annotated[int, integer(0, 1000)] = 3
    """Ticks that confirm a jump. 0: a jump is believed at once."""
    volatility: Annotated[int, kinds.FACTOR] = 100
    """simulated: how many times as far as usual its price moves."""
    enabled: bool = True
    """false: it cannot be traded and is not listed."""
    fapi_tick: Annotated[int | None, optional(kinds.STEP, "its smallest price")] = None
    """The Binance face: step of its prices in orders."""
    fapi_step: Annotated[int | None, optional(kinds.STEP, "its smallest quantity")] = None
    """The Binance face: step of its quantities in orders."""
    fapi_notional: Annotated[int, kinds.usdc(zero=True)] = 5 * 10**6
    """The Binance face: least notional of an order that may open."""

    @property
    def net_quantity_decimals(self) -> int | None:
        """Of net positions. None: the asset has none."""
        decimals = max(0, 9 - self.decimals) if self.quantity_decimals is None else self.quantity_decimals
        return None if net_unit(self.decimals, decimals) is None else decimals


LOGOS = "https://raw.githubusercontent.com/trustwallet/assets/master/blockchains"
DEFAULT_ASSETS = {
    "SOL": AssetConfig("Solana", 6, "SOL_USDC", f"{LOGOS}/solana/info/logo.png", quantity_decimals=3),
    "ETH": AssetConfig("Ethereum", 6, "ETH_USDC", f"{LOGOS}/ethereum/info/logo.png", quantity_decimals=4),
    "BTC": AssetConfig("Bitcoin", 4, "BTC_USDC", f"{LOGOS}/bitcoin/info/logo.png", quantity_decimals=5),
}


class Config(msgspec.Struct, frozen=True):
    """Every setting of one process. Values are already in the unit their field names, amounts of money in micro-USDC,
    leverage and volatility in hundredths, shares in hundredths of a percent."""

    server: ServerConfig = ServerConfig()
    storage: StorageConfig = StorageConfig()
    engine: EngineConfig = EngineConfig()
    feed: FeedConfig = FeedConfig()
    trading: TradingConfig = TradingConfig()
    rates: RatesConfig = RatesConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    stream: StreamConfig = StreamConfig()
    fapi: FapiConfig = FapiConfig()
    leaderboard: LeaderboardConfig = LeaderboardConfig()
    dev: DevConfig = DevConfig()
    deploy: DeployConfig = DeployConfig()
    log: LogConfig = LogConfig()
    assets: dict[str, AssetConfig] = msgspec.field(default_factory=lambda: dict(DEFAULT_ASSETS))
    """The enabled ones."""
    asset_rates: dict[str, Rates] = msgspec.field(default_factory=lambda: dict.fromkeys(DEFAULT_ASSETS, Rates()))
    """What trading in each of them costs: [rates], and what goes over it."""

    def instruments(self) -> dict[Asset, Listing]:
        """What is traded: SOL, ETH, BTC, then others in the order they were configured."""
        return {
            Asset(name): Listing(
                Asset(name),
                asset.decimals,
                asset.max_leverage,
                asset.name,
                asset.symbol,
                asset.image_url,
                quantity_decimals=asset.quantity_decimals,
            )
            for name, asset in self.assets.items()
        }


SECTIONS: dict[str, type[msgspec.Struct]] = {
    field.name: field.type for field in msgspec.structs.fields(Config) if field.name not in ("assets", "asset_rates")
}
"""The sections of fixed keys. `assets` has one table per asset instead; `rates` may have them beside its keys."""
ROWS = {name: rows_of(struct) for name, struct in (SECTIONS | {"assets": AssetConfig}).items()}
"""Every setting, by its section and key."""
ASSET_RATES = {key: row for key, row in ROWS["rates"].items() if key not in RATES_OF_ALL}
"""The settings of a section [rates.<ASSET>]."""


def _without_secrets(section: str, settings: msgspec.Struct) -> str:
    """Their repr, in which what is secret stays so: settings end up in logs and tracebacks."""
    fields = (
        f"{key}={'<hidden>' if ROWS[section][key].kind.is_secret and value else repr(value)}"
        for key, value in msgspec.structs.asdict(settings).items()
    )
    return f"{type(settings).__name__}({', '.join(fields)})"


def rows_at(path: tuple[str, ...]) -> dict[str, Row]:
    """The settings of a section: ("server",), ("assets", "SOL"), ("rates", "SOL")."""
    return ASSET_RATES if path[0] == "rates" and len(path) > 1 else ROWS[path[0]]

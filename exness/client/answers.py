"""What the exchange answers, as Python has it: names in snake_case, money and prices as Decimal, times as datetimes.

The server's own structs hold texts, which is what it writes; the fields are the same, and a test says so. Fields that a
newer server adds are passed over.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every answer."""


# --- trades -------------------------------------------------------------------------------------------------------


class TradeCreated(Answer, frozen=True, kw_only=True):
    """`balance` is free, after it. A liquidation price of 0 means never."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    margin: Decimal
    leverage: Decimal
    entry_price: Decimal
    liquidation_price: Decimal
    created_at: datetime
    balance: Decimal


class TradeClosed(Answer, frozen=True, kw_only=True):
    """`balance` is None when the first answer was lost and this is told by a later one."""

    order_id: str
    close_price: Decimal
    pnl: Decimal
    returned: Decimal
    liquidated: bool
    closed_at: datetime
    balance: Decimal | None = None


class OpenTrade(Answer, frozen=True, kw_only=True):
    """`mark_price` and what follows from it are None while there is no price; `close_pnl` also when a close would be
    refused."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    margin: Decimal
    leverage: Decimal
    entry_price: Decimal
    liquidation_price: Decimal
    created_at: datetime
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    unrealized_pnl_percentage: Decimal | None
    close_pnl: Decimal | None
    stale: bool


class Pagination(Answer, frozen=True, kw_only=True):
    total: int
    limit: int
    offset: int
    has_more: bool


class OpenTrades(Answer, frozen=True, kw_only=True):
    """A page of them, or all, then without `pagination`."""

    data: list[OpenTrade]
    pagination: Pagination | None = None


class HistoryTrade(Answer, frozen=True, kw_only=True):
    """What only a closed trade has is None while it is open. `status` is open or closed."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    margin: Decimal
    leverage: Decimal
    entry_price: Decimal
    liquidation_price: Decimal
    open_price: Decimal
    close_price: Decimal | None
    pnl: Decimal | None
    pnl_percentage: Decimal | None
    status: str
    liquidated: bool
    shortfall: Decimal
    created_at: datetime
    closed_at: datetime | None
    duration_seconds: float | None


class Analytics(Answer, frozen=True, kw_only=True):
    total_trades: int
    open_trades: int
    closed_trades: int
    profitable_trades: int
    unprofitable_trades: int
    liquidated_trades: int
    total_pnl: Decimal


class History(Answer, frozen=True, kw_only=True):
    """`analytics` are of all trades that match, not of the page."""

    data: list[HistoryTrade]
    analytics: Analytics
    pagination: Pagination


# --- money --------------------------------------------------------------------------------------------------------


class AssetBalance(Answer, frozen=True, kw_only=True):
    """In integer minor units, as the exchange tells it; `amount` in the asset itself."""

    balance: int
    decimals: int

    @property
    def amount(self) -> Decimal:
        return Decimal(self.balance).scaleb(-self.decimals)


class UsdBalance(Answer, frozen=True, kw_only=True):
    """`usd` is what `balance` says in minor units."""

    balance: int
    decimals: int
    usd: Decimal


class Account(Answer, frozen=True, kw_only=True):
    """`balance` is free. What prices decide is None while an asset with open trades has none."""

    email: str
    balance: Decimal
    locked_margin: Decimal
    unrealized_pnl: Decimal | None
    close_pnl: Decimal | None
    equity: Decimal | None
    stale: bool
    open_trades: int


# --- the market ---------------------------------------------------------------------------------------------------


class SupportedAsset(Answer, frozen=True, kw_only=True):
    symbol: str
    name: str
    decimals: int
    image_url: str
    max_leverage: Decimal


class SupportedAssets(Answer, frozen=True, kw_only=True):
    assets: list[SupportedAsset]


class Price(Answer, frozen=True, kw_only=True):
    """All None before the first one. `price` is `mark` in units of the last of `decimal` decimals. `state` is live,
    suspect, stale or down."""

    asset: str
    price: Decimal | None
    decimal: int
    bid: Decimal | None
    ask: Decimal | None
    mark: Decimal | None
    at: datetime | None
    stale: bool
    state: str


class Kline(Answer, frozen=True, kw_only=True):
    """A candle: the marks from `start` up to `end`. `backfilled`: it is the venue's own."""

    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int
    backfilled: bool = False


# --- sessions and probes ------------------------------------------------------------------------------------------


class Message(Answer, frozen=True, kw_only=True):
    message: str


class SignedIn(Answer, frozen=True, kw_only=True):
    """`token` is a session: `Client(url, token=...)`."""

    email: str
    token: str
    expires_at: datetime


class Key(Answer, frozen=True, kw_only=True):
    """An API key. `expires_at` None: it has no end."""

    key: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class KeyCreated(Key, frozen=True, kw_only=True):
    """The only answer that has the secret."""

    secret: str

    def __repr__(self) -> str:
        """Without the secret: what has a repr ends up in a log."""
        return f"KeyCreated(key={self.key!r}, name={self.name!r}, <hidden>)"


class Keys(Answer, frozen=True, kw_only=True):
    data: list[Key]


class KeyRevoked(Answer, frozen=True, kw_only=True):
    key: str


class Health(Answer, frozen=True, kw_only=True):
    status: str
    version: str


class Readiness(Answer, frozen=True, kw_only=True):
    """`reasons` say what is missing while it is not ready; `prices` has the state of each asset's."""

    ready: bool
    reasons: list[str]
    feed: str
    simulated: bool
    connected: bool
    prices: dict[str, str]
    code: str | None = None
    message: str | None = None


# --- dev control --------------------------------------------------------------------------------------------------


class PriceSet(Answer, frozen=True, kw_only=True):
    """`liquidated`: how many trades this price closed."""

    asset: str
    bid: Decimal
    ask: Decimal
    mark: Decimal
    at: datetime
    liquidated: int


class ScriptSet(Answer, frozen=True, kw_only=True):
    """`scripted` prices are set by now, `left` are to come, `replaced` of an earlier script are not."""

    at: datetime
    scripted: int
    left: int
    replaced: int
    liquidated: int


class Clock(Answer, frozen=True, kw_only=True):
    """`now` is the exchange's own time, `speed` a multiple of real time."""

    now: datetime
    paused: bool
    speed: Decimal
    script_left: int


class ClockSet(Clock, frozen=True, kw_only=True):
    """`scripted` prices were set on the way, and closed `liquidated` trades."""

    scripted: int
    liquidated: int


class Deposited(Answer, frozen=True, kw_only=True):
    email: str
    amount: Decimal
    balance: Decimal
    at: datetime


class Books(Answer, frozen=True, kw_only=True):
    """Sums over all accounts. `balanced`: free + locked + house_pnl = deposits, to the last unit."""

    seq: int
    accounts: int
    open_trades: int
    free: Decimal
    locked: Decimal
    house_pnl: Decimal
    deposits: Decimal
    balanced: bool


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes wrong on request; see Faults in docs/API.md. `seen` and `struck` are counts that the exchange tells."""

    on: str
    do: str
    email: str | None = None
    nth: int | None = None
    every: int | None = None
    share: float | None = None
    seed: int | None = None
    times: int | None = None
    delay_s: float | None = None
    status: int | None = None
    seen: int = 0
    struck: int = 0


class Faults(Answer, frozen=True, kw_only=True):
    rules: list[FaultRule]


class Reset(Answer, frozen=True, kw_only=True):
    """`seq` is the record by which everything before is forgotten."""

    seq: int
    at: datetime


# --- the stream ---------------------------------------------------------------------------------------------------


class TradeEnded(Answer, frozen=True, kw_only=True):
    """What `closed` and `liquidated` tell; of a liquidation also the tick that did it."""

    order_id: str
    asset: str
    close_price: Decimal
    pnl: Decimal
    returned: Decimal
    liquidated: bool
    shortfall: Decimal
    closed_at: datetime
    balance: Decimal
    mark: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


class AccountState(Answer, frozen=True, kw_only=True):
    """What `account` tells, after each record that touched the account."""

    balance: Decimal
    locked_margin: Decimal
    open_trades: int


class Event(msgspec.Struct, frozen=True):
    """What a stream tells. `data` depends on channel and type, see DATA; of a type that is not known here it is what
    JSON holds."""

    channel: str
    seq: int
    at: datetime
    type: str
    data: Any


DATA: dict[tuple[str, str], Any] = {
    ("prices", "snapshot"): dict[str, Price],
    ("prices", "price"): Price,
    ("prices.", "snapshot"): Price,
    ("prices.", "price"): Price,
    ("candles.", "snapshot"): Kline | None,
    ("candles.", "candle"): Kline,
    ("trades", "snapshot"): list[OpenTrade],
    ("trades", "opened"): TradeCreated,
    ("trades", "closed"): TradeEnded,
    ("trades", "liquidated"): TradeEnded,
    ("account", "snapshot"): AccountState,
    ("account", "balance"): AccountState,
}
"""By the channel's name, up to its first dot, and type."""

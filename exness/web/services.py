"""What every handler gets: the exchange, the sessions, the limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import msgspec
from aiohttp import web

from exness.access.api_keys import ApiKeys
from exness.access.live_sessions import LiveSessions
from exness.access.magic_links import MagicLinks
from exness.access.revocations import RevocationWatch
from exness.access.sessions import Sessions
from exness.core.instruments import AccountId, Asset, Instrument
from exness.core.rules import Rules
from exness.core.views import Prices
from exness.observability.metrics import Metrics
from exness.runtime.clock import WallClock
from exness.runtime.day import Days
from exness.runtime.exchange import Exchange
from exness.runtime.leaderboard import Leaderboard
from exness.runtime.listings import Listing
from exness.runtime.meters import LoopWatch
from exness.runtime.ports.prices import ManualControl
from exness.runtime.ranking import Period
from exness.web.http.faults import Faults
from exness.web.http.request import REQUEST_STATE, HttpServices


class StreamBounds(msgspec.Struct, frozen=True):
    """Of the whole stream (`subscribers`) and of each connection. Times are seconds."""

    subscribers: int = 2000
    subscriptions: int = 100
    message_bytes: int = 8192
    messages_per_s: int = 50
    queue: int = 5000
    resume_records: int = 100_000
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0


@dataclass(frozen=True)
class Dev:
    """That dev control is on. `control` is None unless the feed is manual."""

    control: ManualControl | None = None
    faults: Faults = field(default_factory=Faults)


class Market(msgspec.Struct, frozen=True):
    """An asset as the Binance face has it. `tick` is a step of its prices and `step` one of its quantities, both in its
    own units; `least_notional` is micro-USDC."""

    symbol: str
    instrument: Instrument
    tick: int
    step: int
    least_notional: int

    @property
    def asset(self) -> Asset:
        return self.instrument.asset


class Fapi(msgspec.Struct, frozen=True):
    """What the Binance face trades, by symbol and in the order of the assets. `quote` is what it calls the money."""

    quote: str
    markets: Mapping[str, Market]

    def symbol(self, asset: Asset) -> str:
        return f"{asset}{self.quote}"


class Ranked(Protocol):
    """The leaderboard as it is shown."""

    board: Leaderboard

    async def answer(self, period: Period, limit: int, account: AccountId) -> msgspec.Struct: ...


class BodyCache(Protocol):
    """An answer that is the same for everybody, until something changes."""

    def body(self, prices: Prices, rules: Rules) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Services(HttpServices):
    """Shared by all handlers of one server. `sessions` and `keys` know what `revocations` has told them: ask for that
    first."""

    exchange: Exchange
    listings: Mapping[Asset, Listing]
    sessions: Sessions
    live_sessions: LiveSessions
    magic_links: MagicLinks
    revocations: RevocationWatch
    keys: ApiKeys
    version: str
    frontend_url: str
    public_url: str
    """How users reach us, without a slash at its end. "": it is not known."""
    production: bool
    dev: Dev | None
    """None: dev control is off, and its addresses are none."""
    profile: str
    """The configured one; "": none."""
    loop: LoopWatch
    metrics: Metrics | None
    wall: WallClock
    """The machine's, which signatures and listen keys go by."""
    fapi: Fapi | None
    """The Binance face; None: it is off."""
    price_cache: BodyCache
    """Of GET /prices."""
    days: Days
    """What each asset did within 24 hours."""
    stream: StreamBounds
    leaderboard: Ranked | None
    """None: it is off."""


def services_of(request: web.BaseRequest) -> Services:
    return cast(Services, request[REQUEST_STATE].services)

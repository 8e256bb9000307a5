"""What the runtime and the web need from outside, as Protocols. `storage`, `feeds` and the tests implement them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec

from exness.core.capture import Header
from exness.core.commands import Command, PriceTick
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.core.outcomes import Outcome
from exness.core.views import Question, View
from exness.runtime.candles import Candle, CandleBatch, CandleQuery

V = TypeVar("V", bound=View)


class Clock(Protocol):
    """The exchange's own time: for prices, trades and all that is journaled. Sessions and links go by `WallClock`."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC. Never goes back while the process lives."""
        ...


class Ids(Protocol):
    """Ids nobody can guess."""

    def new(self) -> str: ...


# --- journal and tables -------------------------------------------------------------------------------------------


class StorageError(Exception):
    """Storage can't be opened, read or written. The message is one sentence for the operator."""


class JournalDamaged(StorageError):
    """A record does not match its checksum, or the row of `seq` has a hole. `seq` names the first such record."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"journal record {seq} is damaged: {why}")
        self.seq = seq


class Journal(Protocol):
    """The events, in order. Everything else is made from them."""

    async def append(self, records: Sequence[Record]) -> None:
        """Write records in one transaction, and nothing else.

        Durable when it returns. Raises StorageError when that is not certain: the process must stop then.
        """
        ...

    def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        """The records with `seq > after`, in order, in chunks. Raises JournalDamaged at the first that is not whole."""
        ...

    async def last_seq(self) -> int:
        """`seq` of the newest record, 0 when there is none."""
        ...

    async def check(self, up_to: int) -> None:
        """Hold the records up to `up_to` against their checksums and their places. Raises JournalDamaged."""
        ...

    async def fingerprint(self, seq: int) -> int:
        """One number over the checksums of the records up to `seq`, of the newest 1,000 of them: journals that differ
        there differ in it. The records must be there, and whole."""
        ...

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        """The records of these numbers. Raises JournalDamaged for one that is not there, or not whole."""
        ...


# --- tables -------------------------------------------------------------------------------------------------------


class Watermark(msgspec.Struct, frozen=True):
    """How far the tables have come: every record up to `seq` is in them and none after it. `checksum` is that record's,
    `reset` the last one that forgot all before it."""

    seq: int
    checksum: int
    reset: int


class Tables(Protocol):
    """What the records add up to, made from them after they are on disk. It can be made anew at any time."""

    async def write(self, records: Sequence[Record]) -> None:
        """Take the records that follow on the watermark, and move it, in one transaction. Raises StorageError."""
        ...

    async def watermark(self) -> Watermark: ...

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        """The seqs of an account's records after a seq, in order, at most `limit`, as far as the tables have come.
        Raises StorageError when what was after it has been forgotten."""
        ...


# --- history ------------------------------------------------------------------------------------------------------


class SortBy(StrEnum):
    CREATED_AT = "createdAt"
    CLOSED_AT = "closedAt"
    PNL = "pnl"
    MARGIN = "margin"
    LEVERAGE = "leverage"


class TradeQuery(msgspec.Struct, frozen=True):
    """Which of an account's trades. None means any. Times are microseconds and mean when the trade was opened, both
    ends included. `profitable` is `pnl > 0`; it and `liquidated` leave open trades out."""

    account: AccountId
    is_open: bool | None = None
    asset: Asset | None = None
    side: Side | None = None
    profitable: bool | None = None
    liquidated: bool | None = None
    opened_from: int | None = None
    opened_to: int | None = None
    limit: int = 50
    offset: int = 0
    sort_by: SortBy = SortBy.CREATED_AT
    descending: bool = True


class TradeRow(msgspec.Struct, frozen=True):
    """A trade as the tables hold it. What only a closed trade has is None while it is open; `shortfall` is then 0.
    `decimals` are its asset's, which need not be configured any more."""

    id: TradeId
    account: AccountId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    entry: int
    liquidation: int
    opened_at: int
    client_order: str | None
    liquidated: bool
    close_price: int | None
    pnl: int | None
    returned: int | None
    shortfall: int
    closed_at: int | None
    decimals: int


class Analytics(msgspec.Struct, frozen=True):
    """Sums over everything a TradeQuery matches, not only its page. `total_pnl` is micro-USDC over closed trades;
    `unprofitable` are the closed trades with `pnl <= 0`."""

    total: int = 0
    open: int = 0
    closed: int = 0
    profitable: int = 0
    unprofitable: int = 0
    liquidated: int = 0
    total_pnl: int = 0


class History(Protocol):
    """Trades of all times, open and closed, as far as the tables have come."""

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        """One page and the sums over all matches. Ties in the order are broken by when the trade was opened.

        Raises HistoryTooLong when more than a bounded number of trades would have to be looked at."""
        ...

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        """One trade of this account. Somebody else's is None, like one that does not exist."""
        ...


class HistoryTooLong(Exception):
    """More than `most` trades would have to be looked at for an answer."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} trades would have to be looked at")
        self.most = most


# --- candles ------------------------------------------------------------------------------------------------------


class CandleStore(Protocol):
    """Candles, which no journal holds."""

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        """Put candles in the place of their earlier states, in one transaction; with `forget` all that are there go
        first. `seq`: every record up to it has been heard. Raises StorageError."""
        ...

    async def candles(self, query: CandleQuery) -> list[Candle]:
        """See CandleQuery. An asset that is not known has none."""
        ...

    async def newest_candles(self) -> CandleBatch:
        """The newest candle of our own of each asset and interval, and how far each asset is counted."""
        ...

    async def heard(self) -> int:
        """The `seq` that was written last, 0 at first."""
        ...


# --- snapshots ----------------------------------------------------------------------------------------------------


class SnapshotDamaged(StorageError):
    """A snapshot's bytes do not match their checksums."""


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A stored snapshot. `stored_bytes` is its size as stored."""

    seq: int
    at: int
    digest: str
    stored_bytes: int


class SnapshotDraft(Protocol):
    """A snapshot being written. Nothing of it is seen before `commit`."""

    async def add(self, accounts: Sequence[bytes]) -> None: ...

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        """Make it durable and drop the oldest beyond the configured number. `journal` goes into its header."""
        ...


class Snapshots(Protocol):
    def draft(self, header: Header) -> AbstractAsyncContextManager[SnapshotDraft]:
        """Begin a snapshot; leaving the context without `commit` forgets it."""
        ...

    async def infos(self) -> list[SnapshotInfo]:
        """Stored snapshots, newest first."""
        ...

    async def header(self, seq: int) -> Header:
        """Raises SnapshotDamaged."""
        ...

    def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        """The encoded accounts, in order, in chunks. Raises SnapshotDamaged when checksums or digest do not match, at
        the latest at the end: use nothing of it before."""
        ...


# --- prices -------------------------------------------------------------------------------------------------------


class PriceSource(Protocol):
    """Where prices come from, as it is told of."""

    simulated: bool
    """True when the prices are not a real market's of now."""

    connected: bool
    """False while there is no way to the source. Says nothing of prices: those grow stale by themselves."""

    counters: Counter[str]
    """Messages by what became of them: `ticks`, and the reason of everything ignored."""

    def describe(self) -> str:
        """One line for the banner."""
        ...


class PriceFeed(PriceSource, Protocol):
    """A source of ticks, on the wall's time."""

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Emit ticks until cancelled, or until a recording ends. Does not raise for what the venue does."""
        ...


class Backpressure(Protocol):
    """Whoever is told of ticks, and can have too many of them."""

    @property
    def is_full(self) -> bool: ...

    async def room(self) -> None:
        """Return when that may have changed."""
        ...


class EngineDriver(Protocol):
    """The engine, for a source that owns the time."""

    def look(self, question: Question[V]) -> V:
        """A view of this moment, whether or not it is durable."""
        ...

    def passed_over(self, tick: PriceTick, at: int) -> None:
        """Tell of a tick that an earlier run has executed and that is not executed now. Never waits."""
        ...

    async def perform(self, command: Command, at: int, cause: str = "", *, again: bool = False) -> Outcome:
        """Have a command executed at `at` (microseconds), before whatever waits. Returns once it is decided, which can
        be before it is durable. `again` marks a tick that an earlier run has executed. Raises Halted when the exchange
        has stopped."""
        ...


class LastRecord(msgspec.Struct, frozen=True):
    """The journal's last record: its time and its cause. 0 and "": there is none. `counted`: of marks before
    that time (microseconds, too) no candle needs to hear again."""

    at: int = 0
    cause: str = ""
    counted: int = 0


class Conductor(PriceSource, Protocol):
    """A source of prices that owns the time as well: a recording on its own clock, or a hand that sets both."""

    @property
    def clock(self) -> Clock:
        """The exchange goes by it."""
        ...

    def hold(self, driver: EngineDriver) -> None:
        """The engine whose prices and time these are. Comes once, before everything else."""
        ...

    async def conduct(self, last: LastRecord) -> None:
        """Bring ticks and commands, each at its time, from where an earlier run has ended; until cancelled, or until a
        recording ends. Raises Halted when the exchange has stopped."""
        ...


class PriceMoved(msgspec.Struct, frozen=True):
    """What setting prices or stepping the clock did. `at` is the engine's time then (microseconds), `seq` the last
    record there is then, `liquidated` and `scripted` how many trades and scripted prices it set off."""

    at: int
    seq: int
    liquidated: int
    scripted: int


class ScriptedPrice(msgspec.Struct, frozen=True, gc=False):
    """A price to come: `offset` is microseconds of engine time after the script was given, `mid` is scaled."""

    offset: int
    asset: Asset
    mid: int


class ManualControl(Protocol):
    """Whoever holds price and clock by hand. What is asked is done one after the other.

    Every change is decided when its call returns, which can be before it is durable. They raise Halted.
    """

    def now_us(self) -> int: ...

    @property
    def paused(self) -> bool: ...

    @property
    def speed(self) -> int:
        """Thousandths of real time."""
        ...

    @property
    def script_left(self) -> int:
        """Scripted prices that are still to come."""
        ...

    async def set_price(self, asset: Asset, bid: int, ask: int) -> PriceMoved:
        """A price of now."""
        ...

    async def run_script(self, prices: Sequence[ScriptedPrice]) -> PriceMoved:
        """Set prices as the clock comes to them, in place of an earlier script; those of now at once."""
        ...

    async def set_clock(self, paused: bool | None, speed: int | None, step_us: int) -> PriceMoved:
        """Pause or resume, then another speed, then a step ahead on whose way every scripted price comes at its time.
        Raises OutOfTime when it would lead too far."""
        ...

    async def reset(self) -> None:
        """Forget the script, and let the clock run at real speed."""
        ...


class OutOfTime(ValueError):
    """A step or a script would lead beyond the last time that can be shown."""


# --- mail ---------------------------------------------------------------------------------------------------------


class MailError(Exception):
    """A mail was not sent. The message is for the log: it names no address, link or password.

    `transient` says whether the same mail may get through later, `retry_after_s` when the provider wants it again.
    """

    def __init__(self, why: str, *, transient: bool, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.transient = transient
        self.retry_after_s = retry_after_s


class Mail(msgspec.Struct, frozen=True):
    """One mail to one address, with the same content twice: as text and as HTML. `link` is the one it carries."""

    to: str
    subject: str
    text: str
    html: str
    link: str = ""

    def __repr__(self) -> str:
        """Without address and content: who has the link can sign in, and what has a repr ends up in a log."""
        return f"Mail(subject={self.subject!r}, <hidden>)"


class Mailer(Protocol):
    """A way for mails to leave the house."""

    def describe(self) -> str:
        """One line for the banner, without a secret."""
        ...

    async def send(self, mail: Mail) -> None:
        """Hand the mail over, once. Raises MailError."""
        ...


# --- who may come in ----------------------------------------------------------------------------------------------


class Link(msgspec.Struct, frozen=True):
    """A link that was mailed: the SHA-256 of its token, never the token. Times are microseconds."""

    token_hash: bytes
    email: str
    purpose: str
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Without the address: what has a repr ends up in a log."""
        return f"Link(purpose={self.purpose!r}, <hidden>)"


class Revocations(msgspec.Struct, frozen=True):
    """Which sessions have ended before their time, ordered by the store's own counting and by no clock.

    Each time sessions are ended begins another `generation`; a session carries the one it was issued in, and `issuer`,
    the id of its store. `sessions` (by id) and `addresses` (by mail address) were ended with the generation they name:
    of an address, what was issued in an earlier one. Of a generation below `oldest` all are ended.
    """

    issuer: str = ""
    generation: int = 0
    oldest: int = 0
    sessions: dict[str, int] = {}
    addresses: dict[str, int] = {}


class AuthStore(Protocol):
    """Mailed links and ended sessions, on disk. Other processes (the command line) write to it too.

    Times are microseconds of the wall clock. However wrong it is, no session that was ended is good again: a row that
    makes room takes every session of its time with it.
    """

    async def put_link(self, link: Link) -> None:
        """Keep a link. It voids every older one of its address, and the oldest of all when there are too many."""
        ...

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        """The link of a token, when it was made for one of these purposes and still works. Uses nothing up.

        One from the future, made before the clock was set back, works while it is ahead by no more than its life.
        """
        ...

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        """Like `find_link`, and the link is used up: of several callers at once, one gets it."""
        ...

    async def end_session(self, session_id: str, now: int, until: int) -> None:
        """End a session. Durable when it returns. By `until` all that were issued up to now will have expired."""
        ...

    async def end_sessions_of(self, email: str, now: int, until: int) -> None:
        """End every session that was issued for an address so far. Durable when it returns, and every process that has
        the store open is told."""
        ...

    async def revocations(self, after: int) -> Revocations:
        """What was ended after generation `after`."""
        ...

    def changed(self) -> bool:
        """Whether another process ended sessions since `revocations` was asked last. Cheap: asked once per request."""
        ...


class LinkMails(Protocol):
    """Mails with a sign-in link."""

    def write(self, purpose: str, email: str, token: str) -> Mail: ...

    def post(self, mail: Mail) -> bool:
        """Send it off the request. False when there is no room for it."""
        ...

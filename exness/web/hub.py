"""Who listens to what on /stream, and how a price or an event reaches all of them.

Market: the sequencer tells of every tick, one task makes a frame for each channel with a listener and hands the same
bytes to all, some readers a turn. Ticks that come meanwhile are told by their newest.

Accounts: one subscriber of the bus routes every durable record to the readers of its account; a record of an account
that nobody listens to costs one look-up. A new reader is counted in, and the state it is shown is taken, in one step
without an await; the snapshot goes out once the disk holds all it shows, and until then the events after it are held.
So nothing is missing between the two, nothing comes twice, and nothing is told that a crash could take back.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import cast

import msgspec
import structlog
from aiohttp import web
from msgspec import UNSET, UnsetType

from exness.core.commands import PriceTick
from exness.core.events import AccountOpened, Event, Record, StartedAfresh, TradeClosed, TradeLiquidated, TradeOpened
from exness.core.instruments import AccountId, Asset
from exness.core.money import format_usdc
from exness.core.state import Account
from exness.runtime.bus import FellBehind
from exness.runtime.candles import Interval
from exness.runtime.exchange import Exchange
from exness.runtime.ports import AuthStore, StorageError
from exness.runtime.writer import Halted
from exness.web.auth import Sessions
from exness.web.board import price_of
from exness.web.errors import ApiError
from exness.web.frames import (
    ACCOUNT,
    CONTROL,
    PRICES,
    PRIVATE,
    STREAM_ERRORS,
    TRADES,
    BalanceData,
    CloseCode,
    ErrorData,
    Frame,
    MessageId,
    StreamBounds,
    StreamError,
    SubscribedData,
    candles_of,
    closed_data,
    encoded,
    liquidated_data,
    market_channels,
    opened_data,
    prices_of,
)
from exness.web.readers import Line, Reader, Slot, private_channels
from exness.web.trade import open_row
from exness.web.wire import KlineRow, PriceAnswer, iso, kline_row

READERS_PER_TURN = 200
"""Readers that one broadcast serves before the loop gets a turn."""
RECORDS_PER_TURN = 200
SWEEP_S = 1.0
"""How often sessions, silent readers and prices that only aged are looked at."""
DRAIN_S = 1.0
"""How long each step of the end may take: the last events, and the readers that are behind."""
RETRY_S = 1.0
RESUMES_AT_ONCE = 4
"""Resumes that read the journal at the same time; others wait."""

_log = structlog.get_logger()


class Ledger(msgspec.Struct):
    """What an account has locked after the record `seq`, in micro-USDC. The event tells the free balance."""

    seq: int
    locked: int
    open_trades: int

    def take(self, record: Record, sign: int = 1) -> None:
        """Count a record in, or (`sign` -1) out again."""
        locked, trades = _locks(record.event)
        self.locked += sign * locked
        self.open_trades += sign * trades
        self.seq = record.seq


def _locks(event: Event) -> tuple[int, int]:
    """What an event adds to the locked margin and to the number of open trades."""
    match event:
        case TradeOpened(trade):
            return trade.margin, 1
        case TradeClosed() | TradeLiquidated():
            return -event.margin, -1
        case _:
            return 0, 0


class _Listened(msgspec.Struct):
    """An account that somebody listens to."""

    ledger: Ledger
    readers: dict[Reader, None]


class Capture(msgspec.Struct, frozen=True):
    """The moment at which a reader was counted in for an account's channels: what it shows is all up to `seq`."""

    account: AccountId
    channels: list[str]
    seq: int
    changed_at: int
    """The seq of the account's last record."""
    ledger: Ledger
    snapshots: list[bytes]


class Hub:
    """All readers of one exchange."""

    def __init__(self, exchange: Exchange, sessions: Sessions, store: AuthStore, bounds: StreamBounds) -> None:
        self.bounds = bounds
        self.stopping = False
        self.routed = exchange.writer.durable_seq
        """Every durable record up to this one has gone to its readers."""
        self.frames_made = 0
        self.closed: Counter[str] = Counter()
        """Connections that we ended, by close code."""
        self.readers: set[Reader] = set()
        self._exchange = exchange
        self._rules = exchange.rules
        self._sessions = sessions
        self._store = store
        self._channels = market_channels(exchange.rules)
        self._listeners: dict[str, dict[Reader, None]] = {}
        self._accounts: dict[AccountId, _Listened] = {}
        self._market_seq = 0
        self._moved: dict[Asset, int] = {}
        self._grown: set[Asset] = set()
        self._told: dict[Asset, str] = {}
        self._ticked = asyncio.Event()
        self._look = asyncio.Event()
        self._routed_on = asyncio.Event()
        self._resumes = asyncio.Semaphore(RESUMES_AT_ONCE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve readers as long as the context is open."""
        self._exchange.sequencer.watchers.append(self.watch)
        self._sessions.watchers.append(self._look.set)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "stream market": self._publish,
            "stream accounts": self._follow,
            "stream sweep": self._sweep,
        }
        tasks = [asyncio.create_task(self._kept_up(job), name=name) for name, job in jobs.items()]
        try:
            yield
        finally:
            self._exchange.sequencer.watchers.remove(self.watch)
            self._sessions.watchers.remove(self._look.set)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Tell what is durable, then goodbye. Takes at most two times DRAIN_S, however slow a reader is."""
        self.stopping = True
        exchange = self._exchange
        with contextlib.suppress(Halted, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await exchange.writer.on_disk(exchange.state.seq)
                while self.routed < exchange.writer.durable_seq:
                    self._routed_on.clear()
                    await self._routed_on.wait()
        readers = list(self.readers)
        for reader in readers:
            reader.end_when_sent(CloseCode.GOING_AWAY)
        if readers:
            await asyncio.wait([reader.over for reader in readers], timeout=DRAIN_S)
        self._end_all(CloseCode.GOING_AWAY)

    # --- readers --------------------------------------------------------------------------------------------------

    def join(self, line: Line) -> Reader:
        """A new reader of nothing yet. Raises ApiError(overloaded, shutting_down)."""
        if self.stopping:
            raise ApiError("shutting_down")
        if len(self.readers) >= self.bounds.readers:
            raise ApiError("overloaded", "The stream has as many readers as it can serve; try again later")
        reader = Reader(line, self.bounds.queue, asyncio.get_running_loop().time())
        self.readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """It is gone."""
        reader.end(CloseCode.NORMAL)
        self.closed[str(int(reader.close_code or CloseCode.NORMAL))] += 1
        self.readers.discard(reader)
        self.unsubscribe(reader, [*reader.market, *reader.private])

    def is_channel(self, name: str) -> bool:
        return name in self._channels or name == PRICES or name in PRIVATE

    def position(self, reader: Reader) -> int:
        """The journal's seq up to which this reader has been told everything it listens to, once a resume is done."""
        return max(self.routed, min(reader.private.values(), default=0))

    def control(self, reader: Reader, kind: str, data: object, seq: int = 0) -> None:
        """Answer a reader's message, in its turn."""
        reader.put(self._encoded(Frame(CONTROL, seq, iso(self._exchange.clock.now_us()), kind, data)))

    def refuse(self, reader: Reader, code: str, message: str, message_id: MessageId | UnsetType = UNSET) -> None:
        self.control(reader, "error", ErrorData(code, message, message_id))

    async def subscribe(
        self,
        reader: Reader,
        channels: Sequence[str],
        account: Account | None,
        resume: int | None = None,
        message_id: MessageId | UnsetType = UNSET,
    ) -> None:
        """Count a reader in for channels (each once, all known) and send it what it needs to begin with.

        `account` is whose `trades` and `account` it gets; needed for these. Raises Halted.
        """
        private = [channel for channel in channels if channel in PRIVATE]
        capture = None
        can_resume = False
        if private:
            assert account is not None, "private channels need an account"
            can_resume = resume is not None and self._can_resume(account, resume)
            capture = self._capture(reader, account, private, with_snapshots=not can_resume)
        self.control(reader, "subscribed", SubscribedData(list(channels), can_resume, message_id))
        for channel in channels:
            if channel not in PRIVATE:
                self._listen(reader, channel)
        if capture is None or account is None:
            return
        if can_resume and resume is not None:
            await self._resumed(reader, account, capture, resume, message_id)
            return
        if resume is not None:
            self._say_no_resume(reader, message_id)
        await self._show(reader, capture)

    def unsubscribe(self, reader: Reader, channels: Sequence[str]) -> None:
        """Count a reader out. Channels it does not listen to are passed over."""
        for channel in channels:
            listeners = self._listeners.get(channel, {})
            listeners.pop(reader, None)
            if not listeners:
                self._listeners.pop(channel, None)
            reader.forget(channel)
        if not reader.private and reader.account is not None:
            listened = self._accounts.get(reader.account)
            if listened is not None:
                listened.readers.pop(reader, None)
                if not listened.readers:
                    del self._accounts[reader.account]
            reader.account = None

    def _end_all(self, code: CloseCode) -> None:
        self._accounts.clear()  # what was kept of them may be what went wrong
        for reader in list(self.readers):
            reader.end(code)

    async def _kept_up(self, job: Callable[[], Awaitable[None]]) -> None:
        """Run a job for ever. A bug in it costs the readers their connection, and the exchange nothing."""
        while True:
            try:
                await job()
            except Exception:  # noqa: BLE001 - see above
                _log.exception("the stream failed; its readers must connect again")
                self._end_all(CloseCode.INTERNAL_ERROR)
            await asyncio.sleep(RETRY_S)

    def _encoded(self, frame: Frame) -> bytes:
        self.frames_made += 1
        return encoded(frame)

    # --- market ---------------------------------------------------------------------------------------------------

    def watch(self, tick: PriceTick, at: int) -> None:
        """A tick was checked (a `Sequencer` watcher). A suspect one changes a price's state, and no candle."""
        if not self._listeners:
            return
        self._moved[tick.asset] = at
        if not tick.suspect:
            self._grown.add(tick.asset)
        self._ticked.set()

    def _listen(self, reader: Reader, channel: str) -> None:
        reader.market[channel] = self._market_seq
        self._listeners.setdefault(channel, {})[reader] = None
        at = iso(self._exchange.clock.now_us())
        reader.put(self._encoded(Frame(channel, self._market_seq, at, "snapshot", self._market_data(channel))))

    def _market_data(self, channel: str) -> PriceAnswer | KlineRow | dict[str, PriceAnswer] | None:
        """What a market channel shows now."""
        if channel == PRICES:
            return {asset: self._price(asset) for asset in self._rules.instruments}
        asset, interval = self._channels[channel]
        return self._price(asset) if interval is None else self._candle(asset, interval)

    def _price(self, asset: Asset) -> PriceAnswer:
        answer = price_of(self._exchange, asset, self._exchange.clock.now_us())
        self._told[asset] = answer.state
        return answer

    def _candle(self, asset: Asset, interval: Interval) -> KlineRow | None:
        candle = self._exchange.candles.current(asset, interval)
        return None if candle is None else kline_row(candle, self._rules.instruments[asset].decimals)

    async def _publish(self) -> None:
        """Tell what has moved, as long as something moves. As long as that took, everything else goes first then: with
        very many readers and ticks, prices are told less often, and trading does not wait."""
        loop = asyncio.get_running_loop()
        while True:
            await self._ticked.wait()
            self._ticked.clear()
            began_s = loop.time()
            for channel, frames in self._market_frames().items():
                await self._broadcast(channel, frames)
            await asyncio.sleep(loop.time() - began_s)

    def _market_frames(self) -> dict[str, list[tuple[Slot, bytes]]]:
        """A frame for every channel that has a listener and news, all of them from one moment."""
        moved, grown = self._moved, self._grown
        self._moved, self._grown = {}, set()
        news: dict[str, list[tuple[Slot, bytes]]] = {}
        for asset, at_us in moved.items():
            if asset not in self._rules.instruments:
                continue
            self._market_seq += 1
            at, price = iso(at_us), self._price(asset)
            for channel in (PRICES, prices_of(asset)):
                if channel in self._listeners:
                    frame = self._encoded(Frame(channel, self._market_seq, at, "price", price))
                    news.setdefault(channel, []).append(((channel, asset), frame))
            for interval in Interval if asset in grown else ():
                channel = candles_of(asset, interval)
                if channel in self._listeners:
                    frame = self._encoded(Frame(channel, self._market_seq, at, "candle", self._candle(asset, interval)))
                    news[channel] = [((channel, asset), frame)]
        return news

    async def _broadcast(self, channel: str, frames: list[tuple[Slot, bytes]]) -> None:
        """Hand frames to every listener whose snapshot was before them."""
        seq = self._market_seq
        whole = b"".join(frame for _, frame in frames)
        listeners = tuple(self._listeners.get(channel, ()))
        for number, reader in enumerate(listeners, 1):
            if reader.market.get(channel, seq) < seq:
                reader.offer(frames, whole)
            if number % READERS_PER_TURN == 0:
                await asyncio.sleep(0)

    # --- accounts -------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Route every durable record, in order. What the bus could not keep for us is read from the journal."""
        while True:
            with self._exchange.bus.subscribe() as records:
                await self._catch_up(self._exchange.writer.durable_seq)
                try:
                    async for record in records:
                        if record.seq > self.routed:
                            await self._route(record)
                            self._routed_on.set()
                        if record.seq % RECORDS_PER_TURN == 0:
                            await asyncio.sleep(0)
                except FellBehind:
                    continue
            await asyncio.Event().wait()  # the bus is closed: nothing more will come

    async def _catch_up(self, up_to: int) -> None:
        if self.routed >= up_to or not self._accounts:
            self.routed = max(self.routed, up_to)
            return
        try:
            async for records in self._journal(self.routed, up_to):
                for record in records:
                    await self._route(record)
                await asyncio.sleep(0)
        except StorageError:
            _log.exception("the journal can't be read for the stream's readers; they must connect again")
            self._end_all(CloseCode.FELL_BEHIND)
        self.routed = up_to
        self._routed_on.set()

    async def _route(self, record: Record) -> None:
        """Hand a record to the readers of its account whose snapshot was before it."""
        if isinstance(record.event, StartedAfresh):
            self._forget_accounts(record.seq)
            self.routed = record.seq
            return
        listened = self._accounts.get(record.event.account)
        if listened is not None and record.seq > listened.ledger.seq:
            listened.ledger.take(record)
            ledger = msgspec.structs.replace(listened.ledger)
            frames: dict[str, bytes | None] = {}
            for number, reader in enumerate(tuple(listened.readers), 1):
                self._hand(reader, record, ledger, frames)
                if number % READERS_PER_TURN == 0:
                    await asyncio.sleep(0)
        self.routed = record.seq

    def _forget_accounts(self, seq: int) -> None:
        """A reset: whoever was shown an account before it is told goodbye."""
        for reader in list(self.readers):
            if any(after < seq for after in reader.private.values()):
                reader.end(CloseCode.STARTED_AFRESH)

    def _hand(self, reader: Reader, record: Record, ledger: Ledger, frames: dict[str, bytes | None]) -> None:
        """Send one reader its part of a record. `frames` has those that were made for readers before it."""
        if reader.session is None or not self._sessions.holds(reader.session):
            reader.end(CloseCode.SESSION_ENDED)
            return
        for channel, after in private_channels(reader):
            if record.seq > after:
                if channel not in frames:
                    frames[channel] = self._event_frame(channel, record, ledger)
                frame = frames[channel]
                if frame is not None:
                    reader.send(channel, record.seq, frame)

    def _event_frame(self, channel: str, record: Record, ledger: Ledger) -> bytes | None:
        """What a channel tells of a record: nothing, or one frame. `ledger` is the account after it."""
        told = self._trade_news(record) if channel == TRADES else ("balance", _balance_after(record.event, ledger))
        if told is None:
            return None
        kind, data = told
        return self._encoded(Frame(channel, record.seq, iso(record.at), kind, data))

    def _trade_news(self, record: Record) -> tuple[str, object] | None:
        match record.event:
            case TradeOpened() as event:
                return "opened", opened_data(event, self._rules)
            case TradeClosed() as event:
                return "closed", closed_data(event, record.at, self._rules)
            case TradeLiquidated() as event:
                return "liquidated", liquidated_data(event, record.at, self._rules)
            case _:
                return None

    # --- beginning to listen to an account ------------------------------------------------------------------------

    def _capture(self, reader: Reader, account: Account, channels: list[str], *, with_snapshots: bool) -> Capture:
        """Count a reader in and take what it is shown, in one step. From here on its events are held."""
        seq = self._exchange.state.seq
        ledger = Ledger(seq, account.locked, len(account.trades))
        listened = self._accounts.setdefault(account.id, _Listened(msgspec.structs.replace(ledger), {}))
        listened.readers[reader] = None
        reader.account = account.id
        reader.hold()
        for channel in channels:
            reader.private[channel] = seq
        snapshots = [self._snapshot(channel, account, seq) for channel in channels] if with_snapshots else []
        return Capture(account.id, channels, seq, account.seq, ledger, snapshots)

    def _snapshot(self, channel: str, account: Account, seq: int) -> bytes:
        exchange, now = self._exchange, self._exchange.clock.now_us()
        data: object
        if channel == TRADES:
            trades = account.trades.values()
            data = [open_row(trade, exchange.state.price(trade.asset), self._rules, now) for trade in trades]
        else:
            data = _balance(account.free, account.locked, len(account.trades))
        return self._encoded(Frame(channel, seq, iso(now), "snapshot", data))

    async def _show(self, reader: Reader, capture: Capture) -> None:
        """Send a snapshot once it is durable, and then what was held."""
        await self._exchange.writer.on_disk(capture.seq)
        for frame in capture.snapshots:
            reader.put(frame)
        reader.release()

    def _can_resume(self, account: Account, after: int) -> bool:
        """Whether everything of this account after a seq can still be told."""
        seq = self._exchange.state.seq
        if after > seq:
            return False  # of another exchange, or of one that was restored from a backup
        if account.seq <= after:
            return True  # nothing has happened since
        return self._exchange.journal is not None and seq - after <= self.bounds.resume_records

    async def _resumed(
        self, reader: Reader, account: Account, capture: Capture, after: int, message_id: MessageId | UnsetType
    ) -> None:
        """Send everything after `after` from the journal, and then what was held. A snapshot if that fails."""
        await self._exchange.writer.on_disk(capture.seq)
        try:
            if capture.changed_at > after:
                await self._replay(reader, capture, after)
        except (StorageError, KeyError) as error:  # KeyError: a trade of an asset that is not configured any more
            _log.warning("a stream could not be resumed", after=after, why=repr(error))
            self._say_no_resume(reader, message_id)
            await self._show(reader, self._capture(reader, account, capture.channels, with_snapshots=True))
            return
        reader.release()

    async def _replay(self, reader: Reader, capture: Capture, after: int) -> None:
        """Send an account's records from the journal, in order, at the reader's own pace."""
        ledger = msgspec.structs.replace(capture.ledger)
        if ACCOUNT in capture.channels:  # what was locked back then: what is now, less what was added since
            async for record in self._own(capture.account, after, capture.seq):
                ledger.take(record, -1)
        sent = 0
        async for record in self._own(capture.account, after, capture.seq):
            ledger.take(record)
            for channel in PRIVATE:
                frame = self._event_frame(channel, record, ledger) if channel in capture.channels else None
                if frame is not None:
                    reader.put(frame)
            await reader.drained()
            if reader.close_code is not None:
                return
            sent += 1
            if sent % RECORDS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _own(self, account: AccountId, after: int, up_to: int) -> AsyncIterator[Record]:
        """An account's records in the journal."""
        async for records in self._journal(after, up_to):
            for record in records:
                if isinstance(record.event, StartedAfresh):
                    raise StorageError("the exchange was reset since")
                if record.event.account == account:
                    yield record

    async def _journal(self, after: int, up_to: int) -> AsyncIterator[list[Record]]:
        """The journal's records with `after < seq <= up_to`, in chunks. Raises StorageError."""
        if self._exchange.journal is None:
            raise StorageError("there is no journal to read")
        async with aclosing(cast(AsyncGenerator[list[Record], None], self._exchange.journal.read(after))) as chunks:
            while True:
                async with self._resumes:
                    records = await anext(chunks, None)
                if not records:
                    return
                yield [record for record in records if record.seq <= up_to]
                if records[-1].seq >= up_to:
                    return

    def _say_no_resume(self, reader: Reader, message_id: MessageId | UnsetType) -> None:
        code = StreamError.RESUME_IMPOSSIBLE
        self.refuse(reader, code, STREAM_ERRORS[code], message_id)

    # --- once a second --------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """End what has ended elsewhere, ping who is silent, tell of prices that only aged."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_S):
                    await self._look.wait()
            self._look.clear()
            now_s = asyncio.get_running_loop().time()
            for number, reader in enumerate(list(self.readers), 1):
                self._check(reader, now_s)
                if number % READERS_PER_TURN == 0:
                    await asyncio.sleep(0)
            self._tell_aged_prices()
            await self._learn_revocations()

    async def _learn_revocations(self) -> None:
        """What another process ended. It makes the sweep go round again, by `Sessions.watchers`."""
        if self.readers and self._store.changed():
            self._sessions.end_all(await self._store.revocations(self._sessions.now_us()))

    def _tell_aged_prices(self) -> None:
        now = self._exchange.clock.now_us()
        for asset, told in self._told.items():
            if self._listeners and self._exchange.state.price_state(asset, now).value != told:
                self._moved.setdefault(asset, now)
                self._ticked.set()

    def _check(self, reader: Reader, now_s: float) -> None:
        if reader.session is not None and not self._sessions.holds(reader.session):
            reader.end(CloseCode.SESSION_ENDED)
        if reader.pinged_s is not None:
            if now_s - reader.pinged_s >= self.bounds.ping_timeout_s:
                reader.end(CloseCode.NO_PONG)
        elif now_s - reader.heard_s >= self.bounds.ping_interval_s:
            reader.ping(now_s)


HUB = web.AppKey("hub", Hub)


def _balance(free: int, locked: int, open_trades: int) -> BalanceData:
    return BalanceData(format_usdc(free), format_usdc(locked), open_trades)


def _balance_after(event: Event, ledger: Ledger) -> BalanceData:
    assert not isinstance(event, StartedAfresh), "no account is left to tell of"
    free = event.deposit if isinstance(event, AccountOpened) else event.balance
    return _balance(free, ledger.locked, ledger.open_trades)

"""Who listens to what happens to an account, by its listen key, and how each record reaches them.

One follower of the exchange hands every durable record to the mirror of its account, if somebody listens to that; what
nobody listens to costs one look-up. Records of one command come together, as what Binance tells of the first may need
the second.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import msgspec
import structlog
from aiohttp import web

from exness.access.revocations import RevocationWatch
from exness.core.events import AccountEvent, ExchangeReset, Record
from exness.core.instruments import AccountId, Asset
from exness.core.line import gain, initial_margin, requirement
from exness.core.views import NetHoldingsOf, PriceOf
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import NotTaken
from exness.runtime.ports.journal import StorageError
from exness.web.fapi.streams.messages import wrapped
from exness.web.fapi.users import messages
from exness.web.fapi.users.listen_keys import ListenKeys
from exness.web.fapi.users.messages import Payload
from exness.web.fapi.users.mirror import Mirror, Told
from exness.web.services import Fapi
from exness.web.stream.protocol import CloseCode, text_frame
from exness.web.stream.subscriber import Subscriber

RECORDS_PER_TURN = 200
MOST_LATE = 10_000
"""Events that may wait for their time; what comes then goes out at once."""
SWEEP_S = 1.0
CALLED_AT = 5
"""A margin call comes when no more than a fifth of the initial margin is left above what must be held."""
_log = structlog.get_logger("exness.web.fapi.users")


class _Listened(msgspec.Struct):
    """An account that somebody listens to: those subscribers, each by the listen key that it came with."""

    mirror: Mirror
    subscribers: dict[tuple[Subscriber, str], bool]
    """Whether events name their stream."""
    pending: list[Record]
    called: set[Asset]
    """Positions in which a margin call is out."""


class UserStreams:
    """All user data streams of one server."""

    def __init__(self, exchange: Exchange, fapi: Fapi, listen_keys: ListenKeys, revocations: RevocationWatch) -> None:
        self.listen_keys = listen_keys
        self._exchange = exchange
        self._fapi = fapi
        self._revocations = revocations
        self._accounts: dict[AccountId, _Listened] = {}
        self._listened_to = asyncio.Event()
        self._routed = 0
        self._late: dict[asyncio.TimerHandle, None] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell and end for as long as the context is open."""
        jobs = {"face users": self.follow, "face listen keys": self._sweep}
        tasks = [asyncio.create_task(self._kept_up(job), name=name) for name, job in jobs.items()]
        try:
            yield
        finally:
            for timer in self._late:
                timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _kept_up(self, job: Callable[[], Awaitable[None]]) -> None:
        """A bug in it costs those who listen their connection, and the exchange nothing."""
        while True:
            try:
                await job()
            except Exception:  # noqa: BLE001 - see above
                _log.exception("user streams failed; their readers must connect again")
                self._end_all(CloseCode.INTERNAL_ERROR)
            await asyncio.sleep(SWEEP_S)

    # --- who listens ------------------------------------------------------------------------------------------------

    async def listen(self, subscriber: Subscriber, name: str, *, is_wrapped: bool) -> None:
        """Count a subscriber in, if it is the name of a stream that is open. Raises NotTaken, Halted."""
        await self._revocations.refresh()
        key = self.listen_keys.owner(name)
        if key is None or not self.listen_keys.is_good(name):
            return
        account = await self._exchange.account_of(key.email)
        await self._exchange.current()
        listened = self._accounts.get(account)
        if listened is None:
            holdings = self._exchange.look(NetHoldingsOf(account))
            mirror = Mirror(holdings, self._fapi, self._exchange.rules)
            listened = self._accounts[account] = _Listened(mirror, {}, [], set())
            if not self._listened_to.is_set():
                self._routed = self._exchange.durable_seq
                self._listened_to.set()
        if subscriber.close_code is None:
            listened.subscribers[subscriber, name] = is_wrapped
        self._let_go(account)

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """Count it out. A name that it does not listen to is passed over."""
        for account, listened in list(self._accounts.items()):
            if listened.subscribers.pop((subscriber, name), None) is not None:
                self._let_go(account)
                return

    def end(self, listen_key: str) -> None:
        """Tell everybody who listens by this listen key that it has ended, and nothing more."""
        now = self._exchange.clock.now_us()
        for account, listened in list(self._accounts.items()):
            gone = [each for each in listened.subscribers if each[1] == listen_key]
            for subscriber, name in gone:
                is_wrapped = listened.subscribers.pop((subscriber, name))
                self._send(subscriber, name, messages.key_expired(name, now), is_wrapped=is_wrapped)
            self._let_go(account)

    def _let_go(self, account: AccountId) -> None:
        """Keep nothing of an account that nobody listens to."""
        listened = self._accounts.get(account)
        if listened is not None and not listened.subscribers:
            del self._accounts[account]
        if not self._accounts:
            self._listened_to.clear()

    async def _sweep(self) -> None:
        """End what has ended by time, or with its API key."""
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._accounts:
                await self._revocations.refresh()
                self._end_expired()
                for listened in self._accounts.values():
                    self._call_for_margin(listened)

    def _call_for_margin(self, listened: _Listened) -> None:
        """A position that has little left until it is liquidated is told of once, until it has more again."""
        mirror, now = listened.mirror, self._exchange.clock.now_us()
        listened.called &= mirror.trades.keys()
        for asset, trade in mirror.trades.items():
            price = self._exchange.look(PriceOf(asset)).quote.price
            if price is None:
                continue
            rates = self._exchange.rules.rates_of(asset)
            left = trade.margin + gain(trade.line, price.mark) - requirement(trade.line, rates, price.mark)
            if left * CALLED_AT > initial_margin(trade.line, trade.leverage):
                listened.called.discard(asset)
            elif asset not in listened.called:
                listened.called.add(asset)
                market = self._fapi.markets[self._fapi.symbol(asset)]
                self._hand_now(listened, messages.margin_call(market, trade, price.mark, rates, mirror.cross, now))

    def _end_expired(self) -> None:
        names = {name for listened in self._accounts.values() for _, name in listened.subscribers}
        for name in names:
            if not self.listen_keys.is_good(name):
                self.end(name)

    # --- what they are told -----------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Tell every durable record, in order."""
        while True:
            await self._listened_to.wait()
            try:
                if await self._follow(self._routed):
                    await asyncio.Event().wait()  # the exchange has stopped: nothing more will come
            except FellBehind:
                continue
            except (StorageError, NotTaken):
                _log.exception("the journal can't be read for user streams; their readers must connect again")
                self._end_all(CloseCode.FELL_BEHIND)

    async def _follow(self, after: int) -> bool:
        """False once nobody listens any more. Raises FellBehind, StorageError."""
        async with aclosing(self._exchange.follow(after)) as records:
            async for record in records:
                await self._take(record)
                if not self._accounts:
                    return False
                if record.seq % RECORDS_PER_TURN == 0:
                    await asyncio.sleep(0)
        return True

    async def _take(self, record: Record) -> None:
        event = record.event
        if isinstance(event, ExchangeReset):
            self._end_all(CloseCode.STARTED_AFRESH)
        listened = self._accounts.get(event.account) if isinstance(event, AccountEvent) else None
        if listened is not None:
            if listened.pending and listened.pending[-1].cause != record.cause:
                await self._tell(listened)
            listened.pending.append(record)
        if record.seq >= self._exchange.durable_seq:  # a command is on disk whole: nothing of it is to come
            for each in [each for each in self._accounts.values() if each.pending]:
                await self._tell(each)
        self._routed = record.seq

    async def _tell(self, listened: _Listened) -> None:
        records, listened.pending = listened.pending, []
        told = listened.mirror.tell(records)
        if not told:
            return
        await self._revocations.refresh()  # who was revoked a moment ago is told no more
        for name in {name for _, name in listened.subscribers}:
            if not self.listen_keys.is_good(name):
                self.end(name)
        for each in told:
            self._hand(listened, each)

    def _hand(self, listened: _Listened, told: Told) -> None:
        if not told.after_s or len(self._late) >= MOST_LATE:
            self._hand_now(listened, told.payload)
            return

        def late() -> None:
            del self._late[timer]
            self._hand_now(listened, told.payload)

        timer = asyncio.get_running_loop().call_later(told.after_s, late)
        self._late[timer] = None

    def _hand_now(self, listened: _Listened, payload: Payload) -> None:
        for (subscriber, name), is_wrapped in listened.subscribers.items():
            self._send(subscriber, name, payload, is_wrapped=is_wrapped)

    def _send(self, subscriber: Subscriber, name: str, payload: Payload, *, is_wrapped: bool) -> None:
        body = msgspec.json.encode({"e": payload["e"], "E": self._exchange.clock.now_us() // 1000} | payload)
        subscriber.put(wrapped(name, body) if is_wrapped else text_frame(body))

    def _end_all(self, code: CloseCode) -> None:
        for listened in self._accounts.values():
            for subscriber, _ in listened.subscribers:
                subscriber.end(code)
        self._accounts.clear()
        self._listened_to.clear()


USER_STREAMS = web.AppKey("user streams", UserStreams)


async def running(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`."""
    async with app[USER_STREAMS].running():
        yield

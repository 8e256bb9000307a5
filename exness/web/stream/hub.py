"""The subscribers of /stream: who comes and goes, what they ask for, and when they are told goodbye.

What is told is the business of two others: prices and candles of MarketStream, `trades` and `account` of AccountStream.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec import UNSET, UnsetType

from exness.access.revocations import RevocationWatch
from exness.access.sessions import Session, Sessions
from exness.core.instruments import AccountId
from exness.core.views import BalanceOf, NoSuchAccount
from exness.runtime.exchange import Exchange
from exness.runtime.ports.prices import ManualControl
from exness.runtime.writer import Halted
from exness.web.http.connection_limits import Places
from exness.web.http.errors import ApiError
from exness.web.http.faults import Faults
from exness.web.services import StreamBounds
from exness.web.stream.accounts import AccountStream, Capture
from exness.web.stream.encoding import StreamEncoder
from exness.web.stream.market import MarketStream
from exness.web.stream.pool import DRAIN_S, SWEEP_S, SubscriberPool
from exness.web.stream.protocol import (
    CONTROL,
    PRIVATE,
    STREAM_ERRORS,
    TRADES,
    CloseCode,
    ErrorData,
    MessageId,
    StreamError,
    SubscribedData,
)
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Subscriber, Wire
from exness.web.stream.weights import RESUME, SNAPSHOT


class Hub(SubscriberPool):
    """All subscribers of one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        sessions: Sessions,
        revocations: RevocationWatch,
        bounds: StreamBounds,
        encoder: StreamEncoder,
        places: Places | None = None,
        *,
        faults: Faults | None = None,
        control: ManualControl | None = None,
    ) -> None:
        """`places` are shared with other streams of the server; `faults`: what goes wrong on request; `control`: who
        holds the clock, if anybody does."""
        super().__init__(bounds, places or Places(bounds.subscribers), faults=faults)
        self._by_account = Places(bounds.subscribers)
        self._exchange = exchange
        self._sessions = sessions
        self._revocations = revocations
        self.encoder = encoder
        self.market = MarketStream(exchange, self.encoder, control)
        self.accounts = AccountStream(
            exchange, sessions, revocations, self.encoder, bounds.resume_records, self.end_all
        )
        self._look = asyncio.Event()

    @property
    def frames_made(self) -> int:
        return self.encoder.made

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve subscribers as long as the context is open."""
        self._sessions.watchers.append(self._look.set)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "stream market": self.market.publish,
            "stream accounts": self.accounts.follow,
            "stream sweep": self._sweep,
        }
        tasks = [asyncio.create_task(self.kept_up(job), name=name) for name, job in jobs.items()]
        try:
            with self._exchange.watching(self.market.watch):
                yield
        finally:
            self._sessions.watchers.remove(self._look.set)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Tell what is durable, then goodbye. Takes at most two times DRAIN_S, however slow a subscriber is."""
        self.stopping = True
        with contextlib.suppress(Halted, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._exchange.all_on_disk()
                await self.accounts.all_routed()
        await self.say_goodbye()

    # --- subscribers --------------------------------------------------------------------------------------------------

    def join(self, wire: Wire, client: str, session: Session | None = None) -> Subscriber:
        """A new subscriber of nothing yet, of a client IP and perhaps of a session.

        Raises ApiError(overloaded, rate_limited, shutting_down).
        """
        subscriber = self.admit(wire, client)
        if session is not None:
            self.sign_in(subscriber, session)
        self.count_in(subscriber)
        return subscriber

    def sign_in(self, subscriber: Subscriber, session: Session) -> None:
        """From now on it is this session's. Raises ApiError(rate_limited) when its account has too many streams."""
        if subscriber.email != session.email:
            if not self._by_account.allows(session.email):
                raise ApiError("rate_limited", "Too many streams of this account; close some and try again")
            self._sign_out(subscriber)
            self._by_account.take(session.email)
            subscriber.email = session.email
        subscriber.session = session

    def _sign_out(self, subscriber: Subscriber) -> None:
        if subscriber.email:
            self._by_account.give_back(subscriber.email)
            subscriber.email = ""

    def leave(self, subscriber: Subscriber) -> None:
        super().leave(subscriber)
        self._sign_out(subscriber)
        self.unsubscribe(subscriber, [*subscriber.market, *subscriber.private])

    def is_channel(self, name: str) -> bool:
        return self.market.is_channel(name) or name in PRIVATE

    def position(self, subscriber: Subscriber) -> int:
        """The journal's seq that this subscriber may resume after."""
        return self.accounts.position(subscriber)

    def control(self, subscriber: Subscriber, kind: str, data: object, seq: int = 0) -> None:
        """Answer a subscriber's message, in its turn."""
        subscriber.put(self.encoder.frame(CONTROL, seq, self._exchange.clock.now_us(), kind, data))

    def refuse(
        self, subscriber: Subscriber, code: str, message: str, message_id: MessageId | UnsetType = UNSET
    ) -> None:
        self.control(subscriber, "error", ErrorData(code, message, message_id))

    async def subscribe(
        self,
        subscriber: Subscriber,
        channels: Sequence[str],
        account: AccountId | None,
        resume: int | None = None,
        message_id: MessageId | UnsetType = UNSET,
        charge: Callable[[int], None] = lambda weight: None,
    ) -> None:
        """Count a subscriber in for channels (each once, all known) and send it what it needs to begin with.

        `account` is whose `trades` and `account` it gets; needed for these. `charge` is told what this weighs before
        anything is done, and may raise. Raises Halted.
        """
        private = [channel for channel in channels if channel in PRIVATE]
        capture = None
        if private:
            assert account is not None, "private channels need an account"
            try:
                capture = await self._begin(subscriber, account, private, resume, charge)
            except NoSuchAccount:
                subscriber.end(CloseCode.STARTED_AFRESH)
                return
        else:
            charge(0)
        resume_after = None if capture is None else capture.resume_after
        self.control(subscriber, "subscribed", SubscribedData(list(channels), resume_after is not None, message_id))
        for channel in channels:
            if channel not in PRIVATE:
                self.market.listen(subscriber, channel)
        if capture is None or account is None:
            return
        if resume_after is not None:
            if await self.accounts.resume(subscriber, capture, resume_after):
                return
            self._refuse_resume(subscriber, message_id)
            try:
                capture = self.accounts.capture(subscriber, account, private)
            except NoSuchAccount:
                subscriber.end(CloseCode.STARTED_AFRESH)
                return
        elif resume is not None:
            self._refuse_resume(subscriber, message_id)
        await self.accounts.show(subscriber, capture)

    async def _begin(
        self,
        subscriber: Subscriber,
        account: AccountId,
        private: list[str],
        resume: int | None,
        charge: Callable[[int], None],
    ) -> Capture:
        """Charge what it weighs to show an account's channels, a snapshot's trades or the records that a resume reads,
        and count the subscriber in. Raises NoSuchAccount, NotTaken, Halted, and whatever `charge` does."""
        await self._exchange.current()
        records = None if resume is None else await self.accounts.records_to_resume(account, private, resume)
        if records is not None:
            charge(RESUME.of_rows(records))
            return self.accounts.capture(subscriber, account, private, resume)
        shown = self._exchange.look(BalanceOf(account)).open_trades if TRADES in private else 0
        charge(SNAPSHOT.of_rows(shown))
        return self.accounts.capture(subscriber, account, private)

    def unsubscribe(self, subscriber: Subscriber, channels: Sequence[str]) -> None:
        """Count a subscriber out. Channels it does not listen to are passed over."""
        for channel in channels:
            self.market.leave(subscriber, channel)
            subscriber.forget(channel)
        if not subscriber.private:
            self.accounts.leave(subscriber)

    def _refuse_resume(self, subscriber: Subscriber, message_id: MessageId | UnsetType) -> None:
        code = StreamError.RESUME_IMPOSSIBLE
        self.refuse(subscriber, code, STREAM_ERRORS[code], message_id)

    def end_all(self, code: CloseCode) -> None:
        self.accounts.forget()
        super().end_all(code)

    # --- once a second --------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """End what has ended elsewhere, ping who is silent, tell of prices that only aged."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_S):
                    await self._look.wait()
            self._look.clear()
            now_s = asyncio.get_running_loop().time()
            for number, subscriber in enumerate(list(self.subscribers), 1):
                self.check(subscriber, now_s)
                if number % SUBSCRIBERS_PER_TURN == 0:
                    await asyncio.sleep(0)
            self.market.tell_aged_prices()
            if self.subscribers:  # what another process ended makes the sweep go round again, by `Sessions.watchers`
                await self._revocations.refresh()

    def check(self, subscriber: Subscriber, now_s: float) -> None:
        if subscriber.session is not None and not self._sessions.holds(subscriber.session):
            subscriber.end(CloseCode.SESSION_ENDED)
        super().check(subscriber, now_s)


HUB = web.AppKey("hub", Hub)

"""Who listens to an account on /stream, and how its events reach all of them.

One follower of the exchange routes every durable record to the subscribers of its account; a record of an account that
nobody listens to costs one look-up. A new subscriber is counted in, and the state it is shown is taken, in one step
without an await; the snapshot goes out once the disk holds all it shows, and until then the events after it are held.
So nothing is missing between the two, nothing comes twice, and nothing is told that a crash could take back.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

import msgspec
import structlog

from exness.access.revocations import RevocationWatch
from exness.access.sessions import Sessions
from exness.core.events import AccountEvent, ExchangeReset, Record
from exness.core.instruments import AccountId
from exness.core.views import BalanceOf, Holdings, HoldingsOf
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.journal import StorageError, StorageUnreachable
from exness.web.stream.encoding import Ledger, StreamEncoder
from exness.web.stream.protocol import ACCOUNT, PRIVATE, CloseCode
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Subscriber, private_channels

RECORDS_PER_TURN = 200

_log = structlog.get_logger("exness.web.stream.accounts")


class _Listened(msgspec.Struct):
    """An account that somebody listens to."""

    ledger: Ledger
    subscribers: dict[Subscriber, None]


class Capture(msgspec.Struct, frozen=True):
    """The moment at which a subscriber was counted in for an account's channels: `holdings` are of that moment."""

    account: AccountId
    channels: list[str]
    holdings: Holdings
    resume_after: int | None
    """The seq after which the account's records are told again. None: snapshots of `holdings` are shown instead."""

    @property
    def seq(self) -> int:
        """What is shown is all up to it."""
        return self.holdings.newest

    def ledger(self) -> Ledger:
        owner = self.holdings.owner
        return Ledger(self.seq, owner.locked, owner.reserved, len(self.holdings.trades))


class AccountStream:
    """The channels `trades`, `orders` and `account` of every account.

    `end_all` lets every subscriber of the stream go; it is called when what they have missed can't be read.
    """

    def __init__(
        self,
        exchange: Exchange,
        sessions: Sessions,
        revocations: RevocationWatch,
        encoder: StreamEncoder,
        resume_records: int,
        end_all: Callable[[CloseCode], None],
    ) -> None:
        self._routed = 0
        self._exchange = exchange
        self._sessions = sessions
        self._revocations = revocations
        self._frames = encoder.accounts(exchange.rules)
        self._resume_records = resume_records
        self._end_all = end_all
        self._accounts: dict[AccountId, _Listened] = {}
        self._routed_on = asyncio.Event()
        self._listened_to = asyncio.Event()
        """Set when the first one begins to listen."""

    @property
    def routed(self) -> int:
        """Every durable record up to this one has gone to its subscribers."""
        return self._routed if self._accounts else self._exchange.durable_seq

    async def all_routed(self) -> None:
        """Return once every durable record has gone to its subscribers."""
        while self.routed < self._exchange.durable_seq:
            self._routed_on.clear()
            await self._routed_on.wait()

    def position(self, subscriber: Subscriber) -> int:
        """The journal's seq up to which it has been told everything that it listens to, once a resume is done."""
        return max(self.routed, min(subscriber.private.values(), default=0))

    def leave(self, subscriber: Subscriber) -> None:
        """Count a subscriber out that listens to none of its account's channels any more."""
        if subscriber.account is None:
            return
        listened = self._accounts.get(subscriber.account)
        if listened is not None:
            listened.subscribers.pop(subscriber, None)
            if not listened.subscribers:
                del self._accounts[subscriber.account]
                self._routed_on.set()
        subscriber.account = None

    def forget(self) -> None:
        """Keep nothing of any account: what was kept may be what went wrong."""
        self._accounts.clear()
        self._routed_on.set()

    # --- following the exchange -----------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Route every durable record, in order."""
        while True:
            while not self._accounts:  # nobody listens: nothing is read, and an order pays nothing for the stream
                self._listened_to.clear()
                await self._listened_to.wait()
            try:
                if await self._follow(self._routed):
                    await asyncio.Event().wait()  # the exchange has stopped: nothing more will come
            except FellBehind:
                continue
            except StorageError:
                _log.exception("the journal can't be read for the stream's readers; they must connect again")
                self._end_all(CloseCode.FELL_BEHIND)

    async def _follow(self, after: int) -> bool:
        """False once nobody listens any more. Raises FellBehind, StorageError."""
        async with aclosing(self._exchange.follow(after)) as records:
            async for record in records:
                await self._route(record)
                self._routed_on.set()
                if not self._accounts:
                    return False
                if record.seq % RECORDS_PER_TURN == 0:
                    await asyncio.sleep(0)
        return True

    async def _route(self, record: Record) -> None:
        """Hand a record to the subscribers of its account whose snapshot was before it."""
        event = record.event
        if isinstance(event, ExchangeReset):
            self._end_who_was_shown(record.seq)
        elif isinstance(event, AccountEvent):
            await self._route_to(event.account, record)
        self._routed = record.seq

    async def _route_to(self, account: AccountId, record: Record) -> None:
        if account in self._accounts:
            await self._revocations.refresh()  # who was revoked a moment ago is told no more
        listened = self._accounts.get(account)
        if listened is not None and record.seq > listened.ledger.seq:
            listened.ledger.take(record)
            ledger = msgspec.structs.replace(listened.ledger)
            frames: dict[str, bytes | None] = {}
            for number, subscriber in enumerate(tuple(listened.subscribers), 1):
                self._hand(subscriber, record, ledger, frames)
                if number % SUBSCRIBERS_PER_TURN == 0:
                    await asyncio.sleep(0)

    def _end_who_was_shown(self, seq: int) -> None:
        """A reset: whoever was shown an account before it is told goodbye."""
        for listened in self._accounts.values():
            for subscriber in listened.subscribers:
                if any(after < seq for after in subscriber.private.values()):
                    subscriber.end(CloseCode.STARTED_AFRESH)

    def _hand(self, subscriber: Subscriber, record: Record, ledger: Ledger, frames: dict[str, bytes | None]) -> None:
        """Send one subscriber its part of a record. `frames` has those that were made for subscribers before it."""
        if subscriber.session is None or not self._sessions.holds(subscriber.session):
            subscriber.end(CloseCode.SESSION_ENDED)
            return
        for channel, after in private_channels(subscriber):
            if record.seq > after:
                if channel not in frames:
                    frames[channel] = self._frames.event(channel, record, ledger)
                frame = frames[channel]
                if frame is not None:
                    subscriber.send(channel, record.seq, frame)

    # --- beginning to listen --------------------------------------------------------------------------------------

    def capture(
        self, subscriber: Subscriber, account: AccountId, channels: list[str], resume: int | None = None
    ) -> Capture:
        """Count a subscriber in and take what it is shown, in one step. From here on its events are held.

        With `resume`, after which `records_to_resume` has found that all can be told, no snapshots are shown: `resume`
        must come next, and `show` otherwise. Raises NoSuchAccount.
        """
        capture = Capture(account, channels, self._exchange.look(HoldingsOf(account)), resume)
        if not self._accounts:
            self._routed = self._exchange.durable_seq
            self._listened_to.set()
        listened = self._accounts.setdefault(account, _Listened(capture.ledger(), {}))
        listened.subscribers[subscriber] = None
        subscriber.account = account
        subscriber.hold()
        for channel in channels:
            subscriber.private[channel] = capture.seq
        return capture

    async def records_to_resume(self, account: AccountId, channels: Sequence[str], after: int) -> int | None:
        """How many records a resume would read, of this account alone: what others did costs nothing. None: it is
        impossible, and a snapshot is shown. Raises NoSuchAccount, NotTaken, Halted."""
        now = self._exchange.look(BalanceOf(account))
        if after > now.newest:
            return None  # of another exchange, or of one that was restored from a backup
        if now.seq <= after:
            return 0
        try:
            records = await self._exchange.records_since(account, after, self._resume_records + 1)
        except StorageUnreachable as error:
            raise NotTaken(Busy.OVERLOADED) from error  # whoever asks again may be luckier
        except StorageError as error:
            _not_resumed(after, error)
            return None
        passes = 2 if ACCOUNT in channels else 1
        return passes * records if records <= self._resume_records else None

    async def show(self, subscriber: Subscriber, capture: Capture) -> None:
        """Send snapshots once they are durable, and then what was held. They are written down while the loop turns: all
        that happens meanwhile is held, and what they show was taken with the capture. Raises Halted."""
        await self._exchange.on_disk(capture.seq)
        for channel in capture.channels:
            subscriber.put(await self._frames.snapshot(channel, capture.holdings))
        subscriber.release()

    async def resume(self, subscriber: Subscriber, capture: Capture, after: int) -> bool:
        """Send everything after `after` from the journal, and then what was held. Raises Halted.

        False if that failed: the events are still held, and a new capture must follow.
        """
        await self._exchange.on_disk(capture.seq)
        try:
            if capture.holdings.seq > after:
                await self._replay(subscriber, capture, after)
        except (StorageUnreachable, NotTaken) as error:
            _log.warning("a resume was cut short: its reader must connect again", after=after, why=repr(error))
            subscriber.end(CloseCode.FELL_BEHIND)
            return True
        except (StorageError, KeyError) as error:  # KeyError: of an asset that is not configured any more
            _not_resumed(after, error)
            return False
        subscriber.release()
        return True

    async def _replay(self, subscriber: Subscriber, capture: Capture, after: int) -> None:
        """Send an account's records from the journal, in order, at the subscriber's own pace."""
        ledger = capture.ledger()
        if ACCOUNT in capture.channels:  # what was locked back then: what is now, less what was added since
            async with aclosing(self._exchange.records_of(capture.account, after, capture.holdings.seq)) as records:
                async for record in records:
                    ledger.take(record, -1)
        sent = 0
        async with aclosing(self._exchange.records_of(capture.account, after, capture.holdings.seq)) as records:
            async for record in records:
                ledger.take(record)
                for channel in PRIVATE:
                    frame = self._frames.event(channel, record, ledger) if channel in capture.channels else None
                    if frame is not None:
                        subscriber.put(frame)
                await subscriber.drained()
                if subscriber.close_code is not None:
                    return
                sent += 1
                if sent % RECORDS_PER_TURN == 0:
                    await asyncio.sleep(0)


def _not_resumed(after: int, error: Exception) -> None:
    _log.warning("a stream could not be resumed", after=after, why=repr(error))

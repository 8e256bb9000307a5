"""Who listens to an account on /stream, and how its events reach all of them.

One subscriber of the bus routes every durable record to the subscribers of its account; a record of an account that
nobody listens to costs one look-up. A new subscriber is counted in, and the state it is shown is taken, in one step
without an await; the snapshot goes out once the disk holds all it shows, and until then the events after it are held.
So nothing is missing between the two, nothing comes twice, and nothing is told that a crash could take back.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import msgspec
import structlog

from exness.access.revocations import RevocationWatch
from exness.access.sessions import Sessions
from exness.core.events import Record, StartedAfresh
from exness.core.instruments import AccountId
from exness.core.state import Account
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.ports import StorageError
from exness.runtime.sequencer import NotTaken
from exness.web.stream.encoding import Ledger, StreamEncoder
from exness.web.stream.protocol import ACCOUNT, PRIVATE, CloseCode
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Subscriber, private_channels

RECORDS_PER_TURN = 200
RESUMES_AT_ONCE = 4
"""Resumes that read from disk at the same time; others wait."""

_log = structlog.get_logger("exness.web.stream.accounts")


class _Listened(msgspec.Struct):
    """An account that somebody listens to."""

    ledger: Ledger
    subscribers: dict[Subscriber, None]


class Capture(msgspec.Struct, frozen=True):
    """The moment at which a subscriber was counted in for an account's channels: what it shows is all up to `seq`."""

    account: AccountId
    channels: list[str]
    seq: int
    changed_at: int
    """The seq of the account's last record."""
    ledger: Ledger
    resume_after: int | None
    """The seq after which the account's records are told again. None: snapshots of `holdings` are shown instead."""
    holdings: Any
    """As the encoder took them."""


class AccountStream:
    """The channels `trades` and `account` of every account.

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
        self.routed = exchange.writer.durable_seq
        """Every durable record up to this one has gone to its subscribers."""
        self._exchange = exchange
        self._sessions = sessions
        self._revocations = revocations
        self._frames = encoder.accounts(exchange)
        self._resume_records = resume_records
        self._end_all = end_all
        self._accounts: dict[AccountId, _Listened] = {}
        self._routed_on = asyncio.Event()
        self._resumes = asyncio.Semaphore(RESUMES_AT_ONCE)

    async def all_routed(self) -> None:
        """Return once every durable record has gone to its subscribers."""
        while self.routed < self._exchange.writer.durable_seq:
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
        subscriber.account = None

    def forget(self) -> None:
        """Keep nothing of any account: what was kept may be what went wrong."""
        self._accounts.clear()

    # --- following the bus ----------------------------------------------------------------------------------------

    async def follow(self) -> None:
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
            self._routed_on.set()
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
        """Hand a record to the subscribers of its account whose snapshot was before it."""
        if isinstance(record.event, StartedAfresh):
            self._end_who_was_shown(record.seq)
            self.routed = record.seq
            return
        if record.event.account in self._accounts:
            await self._revocations.refresh()  # who was revoked a moment ago is told no more
        listened = self._accounts.get(record.event.account)
        if listened is not None and record.seq > listened.ledger.seq:
            listened.ledger.take(record)
            ledger = msgspec.structs.replace(listened.ledger)
            frames: dict[str, bytes | None] = {}
            for number, subscriber in enumerate(tuple(listened.subscribers), 1):
                self._hand(subscriber, record, ledger, frames)
                if number % SUBSCRIBERS_PER_TURN == 0:
                    await asyncio.sleep(0)
        self.routed = record.seq

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
        self, subscriber: Subscriber, account: Account, channels: list[str], resume: int | None = None
    ) -> Capture:
        """Count a subscriber in and take what it is shown, in one step. From here on its events are held.

        With `resume` no snapshots are shown if the records after that seq can still be told instead; then `resume`
        must come next, and `show` otherwise.
        """
        resume_after = resume if resume is not None and self._can_resume(account, resume) else None
        seq = self._exchange.state.seq
        ledger = Ledger(seq, account.locked, len(account.trades))
        listened = self._accounts.setdefault(account.id, _Listened(msgspec.structs.replace(ledger), {}))
        listened.subscribers[subscriber] = None
        subscriber.account = account.id
        subscriber.hold()
        for channel in channels:
            subscriber.private[channel] = seq
        return Capture(account.id, channels, seq, account.seq, ledger, resume_after, self._frames.taken(account))

    def _can_resume(self, account: Account, after: int) -> bool:
        """Whether everything of this account after a seq can still be told."""
        seq = self._exchange.state.seq
        if after > seq:
            return False  # of another exchange, or of one that was restored from a backup
        if account.seq <= after:
            return True  # nothing has happened since
        return seq - after <= self._resume_records

    def records_to_resume(self, account: Account, channels: Sequence[str], after: int) -> int | None:
        """How many records of the journal a resume would read. None: it is impossible, and a snapshot is shown."""
        if not self._can_resume(account, after):
            return None
        if account.seq <= after:
            return 0
        passes = 2 if ACCOUNT in channels else 1
        return passes * (self._exchange.state.seq - after)

    async def show(self, subscriber: Subscriber, capture: Capture) -> None:
        """Send snapshots once they are durable, and then what was held. They are written down while the loop turns: all
        that happens meanwhile is held, and what they show was taken with the capture. Raises Halted."""
        await self._exchange.writer.on_disk(capture.seq)
        for channel in capture.channels:
            subscriber.put(await self._frames.snapshot(channel, capture.holdings, capture.seq))
        subscriber.release()

    async def resume(self, subscriber: Subscriber, capture: Capture, after: int) -> bool:
        """Send everything after `after` from the journal, and then what was held. Raises Halted.

        False if that failed: the events are still held, and a new capture must follow.
        """
        await self._exchange.writer.on_disk(capture.seq)
        try:
            if capture.changed_at > after:
                await self._exchange.in_tables(capture.changed_at)
                await self._replay(subscriber, capture, after)
        except (StorageError, NotTaken, KeyError) as error:  # KeyError: of an asset that is not configured any more
            _log.warning("a stream could not be resumed", after=after, why=repr(error))
            return False
        subscriber.release()
        return True

    async def _replay(self, subscriber: Subscriber, capture: Capture, after: int) -> None:
        """Send an account's records from the journal, in order, at the subscriber's own pace."""
        ledger = msgspec.structs.replace(capture.ledger)
        if ACCOUNT in capture.channels:  # what was locked back then: what is now, less what was added since
            async for record in self._own(capture.account, after, capture.seq):
                ledger.take(record, -1)
        sent = 0
        async for record in self._own(capture.account, after, capture.seq):
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

    async def _own(self, account: AccountId, after: int, up_to: int) -> AsyncIterator[Record]:
        """An account's records in the journal, found by the table of them. Raises StorageError."""
        while True:
            async with self._resumes:
                seqs = await self._exchange.tables.records_of(account, after, RECORDS_PER_TURN)
                records = await self._exchange.journal.pick([seq for seq in seqs if seq <= up_to])
            for record in records:
                yield record
            if len(records) < RECORDS_PER_TURN:
                return
            after = records[-1].seq

    async def _journal(self, after: int, up_to: int) -> AsyncIterator[list[Record]]:
        """The journal's records with `after < seq <= up_to`, in chunks. Raises StorageError."""
        async with aclosing(cast(AsyncGenerator[list[Record], None], self._exchange.journal.read(after))) as chunks:
            while True:
                async with self._resumes:
                    records = await anext(chunks, None)
                if not records:
                    return
                yield [record for record in records if record.seq <= up_to]
                if records[-1].seq >= up_to:
                    return

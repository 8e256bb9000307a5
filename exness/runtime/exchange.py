"""The exchange as everything outside of core and runtime has it: `do` a command, `see` a view, `follow` what happens.

Nobody outside touches the state. In one process the port stands on the sequencer, the state and the journal; spread out
it would be a client of the same. Its parts (`assembly`) are for whoever starts and stops them.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TypeVar, cast

from exness.core.commands import Command, OpenAccount, PayInsurance, Reset
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, OrderId, TradeId
from exness.core.outcomes import Outcome
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.views import Question, last_record_of
from exness.runtime.bus import Bus
from exness.runtime.candles import Candle, CandleBook, CandleQuery, Interval
from exness.runtime.equity import Closes, Course, Curve, EquityRow, StatementRow, moments, statement_rows
from exness.runtime.flush import CandleFlush
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.clock import Clock, Ids
from exness.runtime.ports.engine import Desk, Durable, InTables, Watcher
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.prices import PriceSource, V
from exness.runtime.ports.tables import (
    Analytics,
    ClosedTrade,
    History,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    Place,
    RecordQuery,
    StatementQuery,
    Tables,
    TradeQuery,
    TradeRow,
)
from exness.runtime.projector import TablesBehind
from exness.runtime.reads import Reads
from exness.runtime.vitals import Vitals

T = TypeVar("T")

READS_AT_ONCE = 4
"""Followers that read from disk at the same time; others wait."""
COUNTED_AT_ONCE = 10_000
RECORDS_AT_ONCE = 200


class Exchange:
    """One running exchange. `initial_balance` of an account and `insurance` of the house are micro-USDC."""

    def __init__(
        self,
        *,
        state: State,
        sequencer: Desk,
        writer: Durable,
        bus: Bus,
        journal: Journal,
        history: History,
        reads: Reads,
        candle_reads: Reads,
        candles: CandleBook,
        flush: CandleFlush,
        tables: Tables,
        projector: InTables,
        vitals: Callable[[], Vitals],
        feed: PriceSource,
        clock: Clock,
        ids: Ids,
        initial_balance: int,
        insurance: int,
    ) -> None:
        self.feed = feed
        self.clock = clock
        self.ids = ids
        self._state = state
        self._sequencer = sequencer
        self._writer = writer
        self._bus = bus
        self._journal = journal
        self._history = history
        self._reads = reads
        self._candle_reads = candle_reads
        self._candles = candles
        self._flush = flush
        self._tables = tables
        self._projector = projector
        self._vitals = vitals
        self._initial_balance = initial_balance
        self._insurance = insurance
        self._journal_reads = asyncio.Semaphore(READS_AT_ONCE)

    @property
    def rules(self) -> Rules:
        """What is configured, and over it what was set by hand."""
        return self._sequencer.rules

    # --- do -------------------------------------------------------------------------------------------------------

    async def do(self, command: Command, request: str = "") -> Outcome:
        """Have a command executed; returns when what follows from it may be told. `request` is the
        X-Request-ID of whoever asked, for the record.

        Raises NotTaken when it did not reach the engine, Halted when the process stopped before it was durable.
        """
        return await self._sequencer.submit(command, request)

    async def reset(self, request: str = "") -> Outcome:
        """Forget everything, and pay what the house puts into its insurance in again. Raises like `do`."""
        return await self.do(Reset(self._insurance), request)

    async def pay_insurance(self) -> None:
        """What the house puts into its insurance at the very first start. Raises NotTaken, Halted."""
        if self._insurance:
            await self.do(PayInsurance(self._insurance))

    async def account_of(self, email: str) -> AccountId:
        """The account of a signed-in user, opened with its first deposit when this is the first time.

        Raises NotTaken or Halted like `do`.
        """
        while (known := self.known_account(email)) is None:  # again, if all was forgotten before we are told
            account = AccountId(self.ids.new())
            outcome = await self.do(OpenAccount(account, email, self._initial_balance))
            if isinstance(outcome, Refusal) and outcome.reject is not Reject.ACCOUNT_EXISTS:
                raise AssertionError(f"no account can be opened: {outcome}")  # to ask again would never end
        return known  # ours, or that of a request that came at the same time

    # --- see ------------------------------------------------------------------------------------------------------

    async def see(self, question: Question[V]) -> V:
        """A view of this moment, once it may be told: a reader never sees what a crash could take back.

        It waits once, for what was taken before. Who looked again after the wait would see what is newer still, and who
        waited for that would never end while an account trades without a pause. Raises Halted.
        """
        view = question.answer(self._state, self.rules, self.clock.now_us())
        if view.seq > self._writer.durable_seq:
            await self._writer.durable(view.seq)
        return view

    async def current(self) -> None:
        """Return once `look` shows all that was acknowledged before this was called: at once, in the engine's own
        process. Raises NotTaken, Halted."""

    def look(self, question: Question[V]) -> V:
        """A view of this moment, which a crash could still take back: for operators' figures, and for whoever lets
        nobody see it before `on_disk(view.seq)`."""
        return question.answer(self._state, self.rules, self.clock.now_us())

    def known_account(self, email: str) -> AccountId | None:
        """`AccountOf`, for every request: without a view, in a tenth of its time."""
        return self._state.by_email.get(email)

    async def told(self, seq: int) -> None:
        """Return when everything up to `seq` may be told. Raises Halted."""
        await self._writer.durable(seq)

    async def on_disk(self, seq: int) -> None:
        """Return when everything up to `seq` is on disk, however the exchange acknowledges. Raises Halted."""
        await self._writer.on_disk(seq)

    async def all_on_disk(self) -> None:
        """Return when all that is decided by now is on disk. Raises Halted."""
        await self._writer.on_disk(self._state.seq)

    def vitals(self) -> Vitals:
        """How the exchange itself does, for operators."""
        return self._vitals()

    def troubles(self) -> list[str]:
        """What keeps it from trading beside what the vitals tell, one phrase each."""
        return []

    # --- see what is stored ---------------------------------------------------------------------------------------

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        """See `History.trades`: all that the account has done until now is in it. Raises HistoryTooLong, Halted, and
        NotTaken when too many reads wait or the tables are too far behind."""
        return await self._read(query.account, lambda: self._history.trades(query))

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        """See `History.walk`, and `trades`."""
        return await self._read(query.account, lambda: self._history.walk(query))

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        """See `History.trade`, and `trades`."""
        return await self._read(account, lambda: self._history.trade(account, trade_id))

    async def records(self, first: int, last: int) -> list[Record]:
        """Records that have been made, once they are on disk. Raises Halted, JournalDamaged."""
        await self._writer.on_disk(last)
        return await self._journal.pick(range(first, last + 1))

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        """See `History.orders`, and `trades`."""
        return await self._read(query.account, lambda: self._history.orders(query))

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        """See `History.order`, and `trades`."""
        return await self._read(account, lambda: self._history.order(account, order_id))

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        """See `History.net_orders`, and `trades`."""
        return await self._read(query.account, lambda: self._history.net_orders(query))

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        """See `History.orders_named`, and `trades`."""
        return await self._read(account, lambda: self._history.orders_named(account, ids))

    async def told_of(self, query: RecordQuery) -> list[Record]:
        """Records of an account, oldest first: see `History.picked`, and `trades`."""
        found: list[Record] = []
        seqs = await self._read(query.account, lambda: self._history.picked(query))
        async for records in self._picked(seqs):
            found += records
        return found

    async def statement(self, query: StatementQuery) -> list[StatementRow]:
        """An account's statement, newest record first: at least `limit` rows if there are so many, as a page never ends
        within a record. Raises like `trades`, and StorageError."""
        rows: list[StatementRow] = []
        seqs = await self._read(query.account, lambda: self._history.moves(query))
        async for records in self._picked(seqs):
            for record in records:
                rows += statement_rows(record, query)
        return rows

    async def equity(
        self, account: AccountId, start: int | None, end: int | None, interval: Interval, limit: int
    ) -> list[EquityRow]:
        """An account's equity at the ends of candles from `start` to `end` (microseconds, now if None), since it was
        opened: the `limit` oldest of them, without a `start` the `limit` newest. Raises like `trades`, and
        StorageError, also when a reset has forgotten the account on the way."""
        known = self._state.accounts.get(account)
        now = self.clock.now_us()
        ends = [
            at
            for at in moments(interval, start, now if end is None else min(end, now), limit)
            if known is not None and at >= known.opened_at
        ]
        if not ends:
            return []
        span = await self._read(account, lambda: self._history.span(account, ends[0], ends[-1]))
        course = Course()
        async for records in self._picked([*span.held, span.first]):
            for record in records:
                course.take(record)
        curve = Curve(course, ends)
        async for record in self.records_of(account, span.first, span.last):
            await self._draw(curve, interval, record.at)
            course.take(record)
        await self._draw(curve, interval, ends[-1] + 1)
        return curve.rows

    async def _draw(self, curve: Curve, interval: Interval, until: int) -> None:
        """Up to a time, with candles as they are needed."""
        while curve.is_before(until):
            for asset in curve.unpriced():
                candles = await self.klines(curve.candles(asset, interval))
                curve.closes[asset] = Closes(candles)
            curve.draw()
            await asyncio.sleep(0)  # many trades may be open

    async def _picked(self, seqs: Sequence[int]) -> AsyncGenerator[list[Record], None]:
        """Records of the journal, some at a time."""
        for first in range(0, len(seqs), RECORDS_AT_ONCE):
            async with self._journal_reads:
                records = await self._journal.pick(seqs[first : first + RECORDS_AT_ONCE])
            yield records

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        """See `History.closed_trades`, as far as the tables have come: see `in_tables`. Raises NotTaken when too many
        reads wait, StorageError."""
        with self._reads:
            return await self._history.closed_trades(after, limit)

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        """See `History.deposited`: all that has happened until now is in it. Raises like `trades`, but for
        HistoryTooLong."""
        await self.in_tables(self.durable_seq)
        with self._reads:
            return await self._history.deposited(accounts)

    async def _read(self, account: AccountId, read: Callable[[], Awaitable[T]]) -> T:
        """What is read of the tables once all that the account has done until now is in them."""
        await self._in_tables(account)
        with self._reads:
            return await read()

    async def _in_tables(self, account: AccountId) -> None:
        await self.in_tables(last_record_of(self._state, account))

    async def in_tables(self, seq: int) -> None:
        """Return when the tables hold everything up to `seq`: it is on disk then, too. Raises Halted, and NotTaken when
        they are too far behind."""
        await self._writer.on_disk(seq)
        try:
            await self._projector.reached(seq)
        except TablesBehind:
            raise NotTaken(Busy.OVERLOADED) from None

    async def klines(self, query: CandleQuery) -> list[Candle]:
        """Candles as they are now, the running one too. Raises NotTaken when too many reads wait."""
        with self._candle_reads:
            return await self._flush.candles(query)

    def candle(self, asset: Asset, interval: Interval) -> Candle | None:
        """The newest candle, which grows with the next mark. To read."""
        return self._candles.current(asset, interval)

    # --- follow ---------------------------------------------------------------------------------------------------

    @property
    def durable_seq(self) -> int:
        """Everything up to it is on disk. It only rises."""
        return self._writer.durable_seq

    async def follow(self, after: int) -> AsyncGenerator[Record, None]:
        """Every record after `after`, in order, once it is on disk, until the exchange has stopped.

        Raises FellBehind when more records wait than a follower may have: go on after the last one that was taken.
        Raises StorageError when the journal can't be read.
        """
        with self._bus.subscribe() as records:  # first: none can fall between what is stored and what comes
            async with aclosing(self._stored(after, self.durable_seq)) as stored:
                async for chunk in stored:
                    for record in chunk:
                        after = record.seq
                        yield record
            async for record in records:
                if record.seq > after:
                    yield record

    async def records_of(self, account: AccountId, after: int, up_to: int) -> AsyncGenerator[Record, None]:
        """An account's records with `after < seq <= up_to`, found by the table of them. Raises StorageError, also when
        a reset has forgotten them, and like `in_tables`."""
        await self.in_tables(up_to)
        while True:
            async with self._journal_reads:
                seqs = await self._tables.records_of(account, after, RECORDS_AT_ONCE)
                records = await self._journal.pick([seq for seq in seqs if seq <= up_to])
            for record in records:
                yield record
            if len(records) < RECORDS_AT_ONCE:
                return
            after = records[-1].seq

    async def records_since(self, account: AccountId, after: int, most: int) -> int:
        """How many records of an account come after a seq; once they are `most` or more, none is counted any more.
        Raises like `records_of`."""
        await self._in_tables(account)
        found = 0
        while found < most:
            async with self._journal_reads:
                seqs = await self._tables.records_of(account, after, COUNTED_AT_ONCE)
            found += len(seqs)
            if len(seqs) < COUNTED_AT_ONCE:
                break
            after = seqs[-1]
        return found

    async def _stored(self, after: int, up_to: int) -> AsyncGenerator[list[Record], None]:
        """The journal's records with `after < seq <= up_to`, in chunks. Raises StorageError."""
        if after >= up_to:
            return
        async with aclosing(cast(AsyncGenerator[list[Record], None], self._journal.read(after))) as chunks:
            while True:
                async with self._journal_reads:
                    records = await anext(chunks, None)
                if not records:
                    return
                yield [record for record in records if record.seq <= up_to]
                if records[-1].seq >= up_to:
                    return

    @contextmanager
    def watching(self, watcher: Watcher) -> Iterator[None]:
        """Have every tick told to `watcher` once all that it set off is decided, as long as the context is open."""
        self._sequencer.watchers.append(watcher)
        try:
            yield
        finally:
            self._sequencer.watchers.remove(watcher)

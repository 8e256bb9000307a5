"""A copy of an engine's state in another process: it takes the records that the engine has on disk and the ticks that
it gets, and decides nothing. So what it shows can't be taken back; it can be late.

`RemoteExchange` is the exchange on it: what is asked goes by `do` to the engine, what is seen is seen here, once the
copy has come to where the engine was when it was asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from exness.core.commands import PriceTick
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.core.rules import Rules
from exness.core.views import Question
from exness.process.errors import OperatorError
from exness.runtime.bus import Bus
from exness.runtime.candles import Candle, CandleBatch, CandleQuery
from exness.runtime.exchange import Exchange
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.journal import Journal, JournalDamaged, StorageError
from exness.runtime.ports.prices import V
from exness.runtime.ports.tables import Tables
from exness.runtime.projector import WAIT_S, TablesBehind
from exness.runtime.watchers import Watchers
from exness.runtime.watermark import Watermark
from exness.runtime.writer import Halted

RECORDS_PER_TURN = 300
"""Taken before the loop gets a turn: about two milliseconds."""
LOOK_EVERY_S = 0.02
"""At how far the tables have come, while somebody waits for them."""
CANDLES_HELD_S = 3.0
"""How long a candle that another process writes is shown from memory: by then it is written."""


class HistoryLost(OperatorError):
    """What this process has shown is not in the journal any more."""


class Replica:
    """`engine` stands where a recovery has left it. Nobody else has it."""

    def __init__(self, engine: Engine, bus: Bus, journal: Journal) -> None:
        self._engine = engine
        self._bus = bus
        self._journal = journal
        self._mark = Watermark(engine.state.seq)
        self.watchers = Watchers()
        self.ticks = 0
        self._last: tuple[int, str] | None = None
        """Time and cause of the last record, once they are known."""
        self.followers: list[Callable[[Sequence[Record]], None]] = []
        """Told of records once they are in the state. Must be quick, and must not raise."""

    @property
    def rules(self) -> Rules:
        return self._engine.rules

    @property
    def durable_seq(self) -> int:
        """The last record that is taken: it is on disk, as all are that come here."""
        return self._mark.seq

    async def durable(self, seq: int) -> None:
        """Return when everything up to `seq` is taken. Raises Halted when it will not be."""
        future = self._mark.when(seq)
        if future is not None:
            await future

    on_disk = durable

    async def take(self, records: Sequence[Record]) -> None:
        """Take records that follow on the last one, those before passed over. What is missing between is read from the
        journal. Raises StorageError."""
        if records and records[0].seq > self.durable_seq + 1:
            await self.catch_up(records[0].seq - 1)
        fresh = [record for record in records if record.seq > self.durable_seq]
        for place in range(0, len(fresh), RECORDS_PER_TURN):
            self._apply(fresh[place : place + RECORDS_PER_TURN])
            if place + RECORDS_PER_TURN < len(fresh):
                await asyncio.sleep(0)

    async def catch_up(self, seq: int) -> None:
        """Come to `seq`, which is on disk, by reading the journal. Raises StorageError."""
        if seq <= self.durable_seq:
            return
        async for records in self._journal.read(self.durable_seq):
            for place in range(0, len(records), RECORDS_PER_TURN):
                self._apply(records[place : place + RECORDS_PER_TURN])
                await asyncio.sleep(0)
        if self.durable_seq < seq:
            raise StorageError(f"the journal ends at record {self.durable_seq}, and {seq} was announced")

    async def refuse_lost(self) -> None:
        """For when another engine begins to tell. Raises HistoryLost when the journal does not hold what was taken
        here, as after the promotion of a standby that had not got it; StorageError when that can't be asked."""
        seq = self.durable_seq
        if seq == 0:
            return
        try:
            (record,) = await self._journal.pick([seq])
            there = record.at, record.cause
        except JournalDamaged:
            there = None
        if there is None or self._last not in (None, there):
            raise HistoryLost(
                f"record {seq}, which this process has taken, is not in the journal any more: the database has lost "
                "acknowledged trades; start again"
            )
        self._last = there

    def _apply(self, records: Sequence[Record]) -> None:
        self._engine.follow(records)
        self._last = records[-1].at, records[-1].cause
        for follower in self.followers:
            follower(records)
        self._mark.move(records[-1].seq)
        self._bus.publish(records)

    def tick(self, tick: PriceTick, at: int) -> None:
        """Take a price. What it sets off comes as records."""
        for _ in self._engine.recall(tick, at):
            pass
        self.ticks += 1
        self.watchers.tell(tick, at)

    def end(self) -> None:
        """Nothing more comes: whoever waits hears Halted."""
        self._mark.end(Halted)


class RemoteExchange(Exchange):
    """An exchange whose engine is another process. `latest` asks it how far its journal is, and waits until the copy
    here is as far: what was acknowledged anywhere before is in that; it raises NotTaken when that takes too long.
    `troubles` says what keeps it from trading."""

    def __init__(
        self, *, latest: Callable[[], Awaitable[int]], troubles: Callable[[], list[str]], **parts: Any
    ) -> None:
        super().__init__(**parts)
        self._latest = latest
        self._say_troubles = troubles

    async def see(self, question: Question[V]) -> V:
        """See `Exchange.see`. Never older than what any server has acknowledged before. Raises NotTaken as well."""
        await self.current()
        return self.look(question)

    async def current(self) -> None:
        await self._latest()

    async def _in_tables(self, account: AccountId) -> None:
        await self.current()
        await super()._in_tables(account)

    def troubles(self) -> list[str]:
        return self._say_troubles()


class StoredMark:
    """How far the tables have come that another process keeps: it is looked at while somebody waits."""

    def __init__(self, tables: Tables, seq: int) -> None:
        self._tables = tables
        self._one_at_a_time = asyncio.Lock()
        self.seq = seq

    async def reached(self, seq: int) -> None:
        """Raises TablesBehind after WAIT_S."""
        try:
            async with asyncio.timeout(WAIT_S):
                while self.seq < seq:
                    async with self._one_at_a_time:
                        if self.seq < seq:
                            await self._look()
        except (TimeoutError, StorageError):
            raise TablesBehind from None

    async def _look(self) -> None:
        self.seq = max(self.seq, (await asyncio.shield(self._tables.watermark())).seq)
        await asyncio.sleep(LOOK_EVERY_S)


class FollowedCandles:
    """A CandleStore that another process writes. What is to be written is held for as long as that takes, so that it is
    shown from memory until it is there."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store
        self._closed = asyncio.Event()

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        """Nothing is written."""
        try:
            async with asyncio.timeout(CANDLES_HELD_S):
                await self._closed.wait()
        except TimeoutError:
            pass

    async def candles(self, query: CandleQuery) -> list[Candle]:
        return await self._store.candles(query)

    async def newest_candles(self) -> CandleBatch:
        return await self._store.newest_candles()

    async def heard(self) -> int:
        return await self._store.heard()

    def close(self) -> None:
        """Hold nothing any more."""
        self._closed.set()

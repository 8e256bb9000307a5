"""Engine, writer and sequencer at work on the storage in memory, for tests of the runtime."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from exness.core.commands import Command
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import Record
from exness.core.state import Rules, State
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBatch
from exness.runtime.ports import Clock
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Writer
from exness.storage.memory import MemoryJournal
from tests.support.app import SetClock, until
from tests.support.books import BTC, ETH, SOL, assert_books_balance, make_engine, open_account, tick


class NotingJournal(MemoryJournal):
    """The journal in memory; it notes which records came in which append."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[int]] = []

    async def append(self, records: Sequence[Record], candles: CandleBatch | None = None) -> None:
        await super().append(records, candles)
        self.batches.append([record.seq for record in records])


class Running:
    """An exchange without its web. Nothing runs before `start`."""

    def __init__(
        self,
        *,
        rules: Rules | None = None,
        clock: Clock | None = None,
        inbox_size: int = 1000,
        inbox_wait_s: float = 60.0,
        slice_commands: int = 200,
        tick_queue: int = 1000,
        liquidations_per_step: int = 500,
        bound: int = 20_000,
        batch: int = 2000,
        wait_for_disk: bool = True,
    ) -> None:
        self.clock = clock or SetClock()
        self.engine: Engine = make_engine(rules, liquidations_per_step=liquidations_per_step)
        self.journal = NotingJournal()
        self.bus = Bus(100_000)
        self.writer = Writer(
            self.journal, self.bus, durable_seq=0, bound=bound, batch=batch, wait_for_disk=wait_for_disk
        )
        self.sequencer = Sequencer(
            self.engine,
            self.writer,
            self.clock,
            inbox_size=inbox_size,
            inbox_wait_s=inbox_wait_s,
            slice_commands=slice_commands,
            tick_queue=tick_queue,
        )
        self.writing: asyncio.Task[None] | None = None
        self.sequencing: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self.engine.state

    def start(self) -> Self:
        self.writing = asyncio.create_task(self.writer.run())
        self.sequencing = asyncio.create_task(self.sequencer.run())
        return self

    async def stop(self) -> None:
        """Drain like the application does. Raises what writer or sequencer failed with."""
        assert self.writing is not None
        assert self.sequencing is not None
        self.sequencer.close()
        await self.sequencing
        self.writer.close()
        await self.writing

    def ask(self, command: Command) -> "asyncio.Task[Outcome]":
        """Submit a command; the task ends with its outcome."""
        return asyncio.create_task(self.sequencer.submit(command))

    async def do(self, command: Command) -> list[Record]:
        """Submit a command that must be done."""
        outcome = await self.sequencer.submit(command)
        assert isinstance(outcome, Done), outcome
        return outcome.records

    async def waiting(self, requests: int) -> None:
        await until(lambda: self.sequencer.waiting == requests, f"for {requests} waiting requests")

    async def quote(self, asset: str, price: str) -> None:
        """A tick, checked when this returns."""
        checked = self.sequencer.ticks_checked
        self.sequencer.tick(tick(asset, price))  # type: ignore[arg-type]
        await until(lambda: self.sequencer.ticks_checked > checked)

    def hold_disk(self) -> None:
        self.journal.disk.clear()

    def release_disk(self) -> None:
        self.journal.disk.set()


@asynccontextmanager
async def running(**options: object) -> AsyncIterator[Running]:
    """Started, with ann's account, SOL at 200, ETH at 3000, BTC at 100000. Drained and audited at the end."""
    exchange = Running(**options).start()  # type: ignore[arg-type]
    try:
        await exchange.do(open_account())
        for asset, price in ((SOL, "200"), (ETH, "3000"), (BTC, "100000")):
            await exchange.quote(asset, price)
        yield exchange
        exchange.release_disk()
        await exchange.stop()
    finally:
        for task in (exchange.writing, exchange.sequencing):
            assert task is not None
            task.cancel()
        await asyncio.gather(exchange.writing, exchange.sequencing, return_exceptions=True)  # type: ignore[arg-type]
    assert_books_balance(exchange.state)
    assert exchange.writer.durable_seq == exchange.state.seq == len(exchange.journal.rows)

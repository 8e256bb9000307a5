"""Engine, writer and sequencer at work on the storage in memory, for tests of the runtime."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from exness.core.commands import Command
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import Record
from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.core.state import State
from exness.runtime.ports.clock import Clock
from tests.support.books import BTC, ETH, SOL, assert_books_balance, make_engine, open_account, tick
from tests.support.exchange import SetClock, make_parts
from tests.support.memory_storage import MemoryJournal
from tests.support.waiting import until


class NotingJournal(MemoryJournal):
    """The journal in memory; it notes which records came in which append."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[int]] = []

    async def append(self, records: Sequence[Record]) -> None:
        await super().append(records)
        self.batches.append([record.seq for record in records])


class Running:
    """An exchange without its web. Nothing runs before `start`."""

    def __init__(
        self,
        *,
        rules: Rules | None = None,
        clock: Clock | None = None,
        liquidations_per_step: int = 500,
        **sizes: Any,
    ) -> None:
        """`sizes` are those of `make_parts`."""
        self.clock = clock or SetClock()
        self.engine: Engine = make_engine(rules, liquidations_per_step=liquidations_per_step)
        self.journal = NotingJournal()
        parts = make_parts(self.engine, self.journal, self.clock, subscriber_queue=100_000, **sizes)
        self.bus, self.writer, self.sequencer = parts.bus, parts.writer, parts.sequencer
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

    async def quote(self, asset: Asset, price: str) -> None:
        """A tick, checked when this returns."""
        checked = self.sequencer.ticks_checked
        self.sequencer.tick(tick(asset, price))
        await until(lambda: self.sequencer.ticks_checked > checked)

    def hold_disk(self) -> None:
        self.journal.disk.clear()

    def release_disk(self) -> None:
        self.journal.disk.set()


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Running]:
    """Started, with ann's account, SOL at 200, ETH at 3000, BTC at 100000. Drained and audited at the end."""
    exchange = Running(**options).start()
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

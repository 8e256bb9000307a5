"""An exchange on an engine and a journal, put together from the shipped parts, as all tests that need one have it."""

from collections import Counter
from collections.abc import Callable

from exness.core.commands import PriceTick
from exness.core.engine import Engine
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBook
from exness.runtime.clock import RandomIds
from exness.runtime.exchange import Exchange
from exness.runtime.flush import CandleFlush
from exness.runtime.ports import CandleStore, Clock, History, Ids, Journal, Tables
from exness.runtime.projector import Projector
from exness.runtime.reads import BoundedCandles, BoundedHistory
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Writer
from exness.storage.memory import MemoryCandles, MemoryTables
from tests.support.books import LISTINGS, SECOND, START, usdc


class SetClock:
    """A Clock of an exchange that stands still until the test moves it."""

    def __init__(self, start_us: int = START) -> None:
        self.now = start_us

    def now_us(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class SilentFeed:
    """A PriceFeed that emits nothing: the test does."""

    simulated = True
    connected = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def describe(self) -> str:
        return "prices set by a test"

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Nothing comes."""


def make_exchange(
    engine: Engine,
    journal: Journal,
    clock: Clock,
    *,
    ids: Ids | None = None,
    tables: Tables | None = None,
    tables_seq: int = 0,
    history: History | None = None,
    candles: CandleBook | None = None,
    candle_store: CandleStore | None = None,
    initial_balance: str = "5000",
    subscriber_queue: int = 1000,
    inbox_size: int = 10_000,
    inbox_wait_s: float = 60.0,
    slice_commands: int = 200,
    tick_queue: int = 1000,
    writer_queue: int = 20_000,
    writer_batch: int = 2000,
    wait_for_disk: bool = True,
    read_queue: int = 1000,
) -> Exchange:
    """Nothing runs yet. `tables_seq` is where the tables have come to."""
    candles, seq = candles or CandleBook(), engine.state.seq
    bus, in_memory = Bus(subscriber_queue), MemoryTables(LISTINGS)
    tables = tables or in_memory
    projector = Projector(tables, journal, seq=tables_seq, durable_seq=seq)
    flush = CandleFlush(candles, BoundedCandles(candle_store or MemoryCandles(), read_queue), seq=seq)
    writer = Writer(
        journal,
        (bus.publish, projector.take, flush.take),
        durable_seq=seq,
        bound=writer_queue,
        batch=writer_batch,
        wait_for_disk=wait_for_disk,
    )
    sequencer = Sequencer(
        engine,
        writer,
        clock,
        inbox_size=inbox_size,
        inbox_wait_s=inbox_wait_s,
        slice_commands=slice_commands,
        tick_queue=tick_queue,
    )
    sequencer.watchers.append(candles.watch)
    return Exchange(
        rules=engine.rules,
        state=engine.state,
        sequencer=sequencer,
        writer=writer,
        bus=bus,
        history=BoundedHistory(history or in_memory, read_queue),
        feed=SilentFeed(),
        clock=clock,
        ids=ids or RandomIds(),
        initial_balance=usdc(initial_balance),
        candles=candles,
        flush=flush,
        journal=journal,
        tables=tables,
        projector=projector,
    )

"""An exchange on an engine and a journal, put together as the server does it, as all tests that need one have it."""

from collections import Counter

from exness.core.engine import Engine
from exness.runtime.assembly import Bounds, Parts, assemble
from exness.runtime.candles import CandleBook
from exness.runtime.clock import RandomIds
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.clock import Clock, Ids
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.tables import History, Tables
from tests.support.books import LISTINGS, SECOND, START, usdc
from tests.support.memory_storage import MemoryCandles, MemoryTables


class SetClock:
    """A Clock of an exchange that stands still until the test moves it."""

    def __init__(self, start_us: int = START) -> None:
        self.now = start_us

    def now_us(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class SilentFeed:
    """A PriceSource that brings nothing: the test does."""

    simulated = True
    connected = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def describe(self) -> str:
        return "prices set by a test"


def make_parts(
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
) -> Parts:
    """Nothing runs yet. `tables_seq` is where the tables have come to."""
    in_memory = MemoryTables(LISTINGS)
    return assemble(
        engine,
        Bounds(
            inbox_size=inbox_size,
            inbox_wait_s=inbox_wait_s,
            slice_commands=slice_commands,
            tick_queue=tick_queue,
            subscriber_queue=subscriber_queue,
            writer_queue=writer_queue,
            writer_batch=writer_batch,
            read_queue=read_queue,
        ),
        journal=journal,
        tables=tables or in_memory,
        tables_seq=tables_seq,
        history=history or in_memory,
        candles=candles or CandleBook(),
        candle_store=candle_store or MemoryCandles(),
        feed=SilentFeed(),
        clock=clock,
        ids=ids or RandomIds(),
        initial_balance=usdc(initial_balance),
        wait_for_disk=wait_for_disk,
    )

"""One exchange in this process: its parts, put together behind the port. Nothing runs yet."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from exness.core.engine import Engine
from exness.core.state import State
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBook
from exness.runtime.exchange import Exchange
from exness.runtime.flush import CandleFlush
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.clock import Clock, Ids
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.prices import Backpressure, PriceSource
from exness.runtime.ports.snapshots import Snapshots
from exness.runtime.ports.tables import History, Tables
from exness.runtime.projector import Projector
from exness.runtime.reads import Reads
from exness.runtime.sequencer import Sequencer
from exness.runtime.snapshots import Snapshotter
from exness.runtime.vitals import vitals_of
from exness.runtime.writer import Follower, Writer


class Bounds(msgspec.Struct, frozen=True):
    """Of the queues and steps; config.toml explains them. `read_queue` counts reads, those of candles apart."""

    inbox_size: int
    inbox_wait_s: float
    slice_commands: int
    tick_queue: int
    subscriber_queue: int
    writer_queue: int
    writer_batch: int
    read_queue: int


@dataclass(frozen=True)
class Parts:
    """An exchange, and what whoever runs it starts and stops by `run` and `close`: the sequencer is stopped first, then
    the writer, and those that follow it last. Everybody else gets `exchange` alone."""

    exchange: Exchange
    sequencer: Sequencer
    writer: Writer
    projector: Projector
    flush: CandleFlush
    bus: Bus
    candles: CandleBook
    _state: State

    def snapshotter(self, snapshots: Snapshots, interval_s: float, last_seq: int) -> Snapshotter:
        return Snapshotter(self._state, self.writer, snapshots, interval_s, last_seq)


def decider(
    engine: Engine,
    bounds: Bounds,
    journal: Journal,
    clock: Clock,
    followers: Sequence[Follower],
    *,
    wait_for_disk: bool = True,
    slow_watcher: Backpressure | None = None,
) -> tuple[Writer, Sequencer]:
    """What decides, and what writes it. `followers` are told of what is on disk."""
    writer = Writer(
        journal,
        followers,
        durable_seq=engine.state.seq,
        bound=bounds.writer_queue,
        batch=bounds.writer_batch,
        wait_for_disk=wait_for_disk,
    )
    sequencer = Sequencer(
        engine,
        writer,
        clock,
        inbox_size=bounds.inbox_size,
        inbox_wait_s=bounds.inbox_wait_s,
        slice_commands=bounds.slice_commands,
        tick_queue=bounds.tick_queue,
        slow_watcher=slow_watcher,
    )
    return writer, sequencer


def assemble(
    engine: Engine,
    bounds: Bounds,
    *,
    journal: Journal,
    tables: Tables,
    tables_seq: int,
    history: History,
    candles: CandleBook,
    candle_store: CandleStore,
    feed: PriceSource,
    clock: Clock,
    ids: Ids,
    initial_balance: int,
    insurance: int = 0,
    wait_for_disk: bool = True,
) -> Parts:
    """`tables_seq`: the tables have come that far. `wait_for_disk` False: no answer waits for the disk."""
    state, bus = engine.state, Bus(bounds.subscriber_queue)
    flush = CandleFlush(candles, candle_store, seq=state.seq)
    projector = Projector(tables, journal, seq=tables_seq, durable_seq=state.seq)
    followers = bus.publish, projector.take, flush.take
    writer, sequencer = decider(
        engine, bounds, journal, clock, followers, wait_for_disk=wait_for_disk, slow_watcher=flush
    )
    sequencer.watchers.append(candles.watch)
    sequencer.recounters.append(candles.watch)
    reads = Reads(bounds.read_queue)
    exchange = Exchange(
        state=state,
        sequencer=sequencer,
        writer=writer,
        bus=bus,
        journal=journal,
        history=history,
        reads=reads,
        candle_reads=Reads(bounds.read_queue),
        candles=candles,
        flush=flush,
        tables=tables,
        projector=projector,
        vitals=lambda: vitals_of(sequencer, writer, projector, bus, reads),
        feed=feed,
        clock=clock,
        ids=ids,
        initial_balance=initial_balance,
        insurance=insurance,
    )
    return Parts(exchange, sequencer, writer, projector, flush, bus, candles, state)

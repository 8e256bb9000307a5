"""The parts of an exchange that is spread over several processes, put together: an engine that only decides, and a
server that only shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from exness.core.engine import Engine
from exness.core.state import State
from exness.runtime.assembly import Bounds, decider
from exness.runtime.bus import Bus
from exness.runtime.candles import CandleBook
from exness.runtime.flush import CandleFlush
from exness.runtime.meters import Histogram
from exness.runtime.ports.clock import Clock, Ids
from exness.runtime.ports.engine import Desk
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.prices import PriceSource
from exness.runtime.ports.snapshots import Snapshots
from exness.runtime.ports.tables import History, Tables
from exness.runtime.reads import Reads
from exness.runtime.replica import FollowedCandles, RemoteExchange, Replica, StoredMark
from exness.runtime.sequencer import Sequencer
from exness.runtime.snapshots import Snapshotter
from exness.runtime.vitals import Vitals
from exness.runtime.writer import Follower, Writer


@dataclass(frozen=True)
class EngineParts:
    """What decides and writes. Whoever runs it stops the sequencer first, then the writer."""

    sequencer: Sequencer
    writer: Writer
    _state: State

    @property
    def seq(self) -> int:
        """The last record that is decided."""
        return self._state.seq

    def snapshotter(self, snapshots: Snapshots, interval_s: float, last_seq: int) -> Snapshotter:
        return Snapshotter(self._state, self.writer, snapshots, interval_s, last_seq)


def assemble_engine(
    engine: Engine, bounds: Bounds, *, journal: Journal, clock: Clock, followers: Sequence[Follower]
) -> EngineParts:
    writer, sequencer = decider(engine, bounds, journal, clock, followers)
    return EngineParts(sequencer, writer, engine.state)


@dataclass(frozen=True)
class ServerParts:
    """What shows. `flush` is to be run and closed, after `held`, which it waits for."""

    exchange: RemoteExchange
    flush: CandleFlush
    held: FollowedCandles


class RemoteDesk(Desk, Protocol):
    """What a server has instead of a sequencer."""

    ack_s: Histogram
    """From a command until its answer."""
    overloads: int

    @property
    def waiting(self) -> int:
        """Commands on their way."""
        ...

    @property
    def bound(self) -> int: ...

    async def latest(self) -> int:
        """How far the engine's journal is, asked after this was called, once the copy here is as far. Raises NotTaken,
        Halted."""
        ...

    def troubles(self) -> list[str]:
        """What keeps it from trading, one phrase each."""
        ...


def assemble_server(
    engine: Engine,
    replica: Replica,
    bus: Bus,
    desk: RemoteDesk,
    bounds: Bounds,
    *,
    journal: Journal,
    tables: Tables,
    tables_seq: int,
    history: History,
    candles: CandleBook,
    candle_store: FollowedCandles,
    feed: PriceSource,
    clock: Clock,
    ids: Ids,
    initial_balance: int,
) -> ServerParts:
    """`tables_seq`: the tables have come that far."""
    state = engine.state
    mark, reads = StoredMark(tables, tables_seq), Reads(bounds.read_queue)
    flush = CandleFlush(candles, candle_store, seq=state.seq)
    replica.watchers.append(candles.watch)

    exchange = RemoteExchange(
        latest=desk.latest,
        troubles=desk.troubles,
        state=state,
        sequencer=desk,
        writer=replica,
        bus=bus,
        journal=journal,
        history=history,
        reads=reads,
        candle_reads=Reads(bounds.read_queue),
        candles=candles,
        flush=flush,
        tables=tables,
        projector=mark,
        vitals=lambda: _vitals_of(desk, replica, bus, reads, mark),
        feed=feed,
        clock=clock,
        ids=ids,
        initial_balance=initial_balance,
        insurance=0,
    )
    return ServerParts(exchange, flush, candle_store)


def _vitals_of(desk: RemoteDesk, replica: Replica, bus: Bus, reads: Reads, mark: StoredMark) -> Vitals:
    return Vitals(
        queues={
            "commands": (desk.waiting, desk.bound),
            "subscriber": (bus.furthest_behind, bus.bound),
            "history": (reads.waiting, reads.bound),
        },
        ticks_waiting=0,
        shed={"commands": desk.overloads, "subscriber": bus.cut_off},
        halted=False,
        has_room=True,
        stuck_s=0.0,
        durable_seq=replica.durable_seq,
        ticks_checked=replica.ticks,
        watchers_failed=replica.watchers.failed,
        decide_s=Histogram(),
        ack_s=desk.ack_s,
        commit_s=Histogram(),
        commit_records=Histogram(),
        events={},
        tables_behind_s=Histogram(),
        tables_seq=mark.seq,
        tables_failed=0,
    )

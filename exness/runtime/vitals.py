"""How an exchange does, in plain figures: for /readyz and /metrics. Nothing of any account is in them."""

from collections.abc import Mapping

import msgspec

from exness.runtime.bus import Bus
from exness.runtime.meters import Histogram
from exness.runtime.projector import Projector
from exness.runtime.reads import Reads
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Kind, Writer


class Vitals(msgspec.Struct, frozen=True):
    """`queues` are (waiting, bound) by name, `shed` what was refused or dropped because one was full. `halted`: nothing
    is written any more. `stuck_s`: how long the commit under way has taken. The counters go on counting."""

    queues: dict[str, tuple[int, int]]
    ticks_waiting: int
    shed: dict[str, int]
    halted: bool
    has_room: bool
    stuck_s: float
    durable_seq: int
    ticks_checked: int
    watchers_failed: int
    decide_s: Histogram
    ack_s: Histogram
    commit_s: Histogram
    commit_records: Histogram
    events: Mapping[Kind, int]
    tables_behind_s: Histogram
    tables_seq: int
    tables_failed: int


def vitals_of(sequencer: Sequencer, writer: Writer, projector: Projector, bus: Bus, reads: Reads) -> Vitals:
    return Vitals(
        queues={
            "inbox": (len(sequencer.inbox), sequencer.inbox.size),
            "writer": (writer.queued, writer.bound),
            "subscriber": (bus.furthest_behind, bus.bound),
            "history": (reads.waiting, reads.bound),
        },
        ticks_waiting=len(sequencer.ticks),
        shed={"inbox": sequencer.inbox.overloads, "ticks": sequencer.ticks.shed, "subscriber": bus.cut_off},
        halted=writer.halted,
        has_room=writer.has_room,
        stuck_s=writer.stuck_s,
        durable_seq=writer.durable_seq,
        ticks_checked=sequencer.ticks_checked,
        watchers_failed=sequencer.watchers.failed,
        decide_s=sequencer.decide_s,
        ack_s=sequencer.ack_s,
        commit_s=writer.commit_s,
        commit_records=writer.batches,
        events=writer.events,
        tables_behind_s=projector.behind_s,
        tables_seq=projector.seq,
        tables_failed=projector.failures,
    )

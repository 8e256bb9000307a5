"""The simulator finds what it is there for: each defect here is planted into the running exchange, and some seed out of
the first MOST must break a promise. Without a defect the same seeds hold all of them (see test_simulation)."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from msgspec.structs import replace

from exness.core import client_orders, decide, engine, evolve, line
from exness.core.capture import Restorer
from exness.core.commands import Command, OpenTrade
from exness.core.decide import opening
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.instruments import Asset, Side
from exness.core.line import Line
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.price_index import _NUMBER_BITS, PriceIndex
from exness.core.rates import Rates
from exness.core.state import State
from exness.core.views import Question
from exness.runtime import recovery
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import Busy, Inbox, NotTaken, Waiting
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.prices import V
from exness.runtime.projector import Projector
from exness.runtime.sequencer import Sequencer
from exness.runtime.ticks import TickQueue, _mark
from exness.runtime.writer import Writer
from exness.storage import codec
from exness.storage.changes import PAID, apply
from exness.storage.fold import gather
from exness.storage.rows import BALANCES
from tests.simulation.actions import make_history
from tests.simulation.disk import SimTables
from tests.simulation.shrink import broken_by, shrink
from tests.simulation.watch import Broken
from tests.simulation.world import LENGTH, simulate_seed

MOST = 60
Patch = pytest.MonkeyPatch
DEFECTS: dict[str, Callable[[Patch], None]] = {}


def defect(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    DEFECTS[plant.__name__] = plant
    return plant


@defect
def an_answer_before_the_commit(patch: Patch) -> None:
    async def at_once(self: Writer, seq: int) -> None:
        await asyncio.sleep(0)

    patch.setattr(Writer, "durable", at_once)


@defect
def a_dropped_event(patch: Patch) -> None:
    """Of a tick that liquidates several trades, the last record does not get into the journal."""
    put = Writer.put
    patch.setattr(Writer, "put", lambda self, records: put(self, records[:-1] if len(records) > 2 else records))


@defect
def pnl_rounded_up(patch: Patch) -> None:
    def gain(it: Line, price: int) -> int:
        move = it.size * price - it.cost
        return -(-(move if it.side is Side.LONG else -move) // it.unit)

    patch.setattr(line, "gain", gain)


@defect
def a_liquidation_price_rounded_the_other_way(patch: Patch) -> None:
    def price(it: Line, rates: Rates) -> int:
        if it.side is Side.LONG:
            return -(-(it.cost - it.unit * it.margin) // it.size)
        return (it.cost + it.unit * it.margin) // it.size

    patch.setattr(opening, "liquidation_price", price)


@defect
def a_missed_wick(patch: Patch) -> None:
    """A full tick queue keeps the last tick only."""

    def thin(self: TickQueue, asset: Asset) -> None:
        own = [tick for tick in self._ticks if tick.asset == asset]
        self._ticks = deque(tick for tick in self._ticks if tick.asset != asset or tick is own[-1])
        self._waiting[asset] = 1
        self.shed += len(own) - 1

    patch.setattr(TickQueue, "_thin", thin)


@defect
def the_last_accepted_price_shed(patch: Patch) -> None:
    """A full tick queue keeps low, high and last, and the last is suspect: found by the simulator, seed 7."""

    def thin(self: TickQueue, asset: Asset) -> None:
        own = [tick for tick in self._ticks if tick.asset == asset]
        kept = min(own, key=_mark), max(own, key=_mark), own[-1]
        self._ticks = deque(tick for tick in self._ticks if tick.asset != asset or any(tick is each for each in kept))
        self._waiting[asset] = sum(tick.asset == asset for tick in self._ticks)
        self.shed += len(own) - self._waiting[asset]

    patch.setattr(TickQueue, "_thin", thin)


@defect
def liquidation_only_through_the_price(patch: Patch) -> None:
    def first_due(self: PriceIndex[object], mark: int) -> object:
        first = self._chunks[0][0] if self._chunks else None
        if first is None or first >> _NUMBER_BITS >= self._direction * mark:
            return None
        return self._things[0][0]

    patch.setattr(PriceIndex, "first_due", first_due)


@defect
def the_farthest_liquidated_first(patch: Patch) -> None:
    def first_due(self: PriceIndex[object], mark: int) -> object:
        due = [thing for price, _, thing in self if self._direction * price <= self._direction * mark]
        return due[-1] if due else None

    patch.setattr(PriceIndex, "first_due", first_due)


@defect
def recovery_leaves_out_the_last_record(patch: Patch) -> None:
    async def replay(journal: object, state: State) -> None:
        tail = [record async for records in journal.read(after=state.seq) for record in records]  # type: ignore[attr-defined]
        for record in tail[:-1]:
            evolve.evolve(state, record)

    patch.setattr(recovery, "_replay", replay)


@defect
def client_order_ids_forgotten_on_restart(patch: Patch) -> None:
    finish = Restorer.finish

    def forgetful(self: Restorer) -> State:
        state = finish(self)
        for account in state.account_list:
            if account.extras is not None:
                account.extras.seen = {}
        return state

    patch.setattr(Restorer, "finish", forgetful)


@defect
def a_snapshot_ahead_of_the_journal(patch: Patch) -> None:
    async def at_once(self: Writer, seq: int) -> None:
        await asyncio.sleep(0)

    async def durable(self: Writer, seq: int) -> None:
        if (future := self.when_on_disk(seq)) is not None:
            await future

    patch.setattr(Writer, "on_disk", at_once)
    patch.setattr(Writer, "durable", durable)


@defect
def a_snapshot_of_two_moments(patch: Patch) -> None:
    """Accounts that change while the picture is taken are not shown to it before."""
    touch = evolve._touch

    def unseen(state: State, account: str, seq: int) -> object:
        observer, state.observer = state.observer, None
        try:
            return touch(state, account, seq)  # type: ignore[arg-type]
        finally:
            state.observer = observer

    patch.setattr(evolve, "_touch", unseen)


@defect
def a_closed_trade_stays_in_the_index(patch: Patch) -> None:
    patch.setattr(PriceIndex, "remove", lambda self, price, number: None)


@defect
def a_repeat_that_is_a_second_trade(patch: Patch) -> None:
    real = decide.DECIDE[OpenTrade]

    def twice(state: State, rules: object, command: object, at: int) -> object:
        outcome = real(state, rules, command, at)  # type: ignore[arg-type]
        if isinstance(outcome, Repeated):
            command = msgspec.structs.replace(command, client_order=None)  # type: ignore[type-var]
            return real(state, rules, command, at)  # type: ignore[arg-type]
        return outcome

    patch.setitem(decide.DECIDE, OpenTrade, twice)


@defect
def a_conflict_taken_for_a_repeat(patch: Patch) -> None:
    patch.setattr(client_orders, "is_repeat", lambda seen, command, instrument: True)


@defect
def a_price_that_never_gets_old(patch: Patch) -> None:
    patch.setattr(State, "fresh_price", lambda self, asset, at: self.price(asset))


@defect
def who_has_gone_is_served(patch: Patch) -> None:
    handle = Sequencer._handle

    async def serve(self: Sequencer, waiting: Waiting) -> None:
        if waiting.reply.done():
            waiting.reply = asyncio.get_running_loop().create_future()
        await handle(self, waiting)

    patch.setattr(Sequencer, "_handle", serve)


@defect
def overloaded_and_executed_all_the_same(patch: Patch) -> None:
    def refuse_overdue(self: Inbox) -> None:
        oldest_allowed = asyncio.get_running_loop().time() - self.wait_s
        for waiting in [each for each in self._waiting if each.since < oldest_allowed]:
            waiting.answer(NotTaken(Busy.OVERLOADED))
            waiting.reply = asyncio.get_running_loop().create_future()

    patch.setattr(Inbox, "refuse_overdue", refuse_overdue)


@defect
def a_request_between_two_ticks_that_have_come(patch: Patch) -> None:
    """Only the first of the waiting ticks is checked before the requests."""

    async def check_one(self: Sequencer) -> None:
        if self.ticks:
            await self._execute(self.ticks.pop())

    patch.setattr(Sequencer, "_check_ticks", check_one)


@defect
def broadcast_before_the_commit(patch: Patch) -> None:
    commit = Writer._commit

    async def early(self: Writer, records: list[Record]) -> None:
        publish, *others = followers = self._followers
        publish(records)
        await asyncio.sleep(0)
        self._followers = tuple(others)
        try:
            await commit(self, records)
        finally:
            self._followers = followers

    patch.setattr(Writer, "_commit", early)


@defect
def a_reader_sees_what_is_not_durable(patch: Patch) -> None:
    async def at_once(self: Exchange, question: Question[V]) -> V:
        view = self.look(question)
        await asyncio.sleep(0)
        return view

    patch.setattr(Exchange, "see", at_once)


@defect
def a_failed_commit_and_on_it_goes(patch: Patch) -> None:
    commit = Writer._commit

    async def shrug(self: Writer, records: list[Record]) -> None:
        try:
            await commit(self, records)
        except StorageError:
            self._queued -= len(records)
            self._mark.move(records[-1].seq)

    patch.setattr(Writer, "_commit", shrug)


@defect
def a_checksum_that_nobody_looks_at(patch: Patch) -> None:
    real = codec.checksum
    patch.setattr(codec, "checksum", lambda *fields: real(0, 0, b"", b"", b"", 1, b""))


@defect
def proof_of_loss_is_thrown_away(patch: Patch) -> None:
    async def go_on(journal: object, snapshots: object) -> None:
        await asyncio.sleep(0)

    patch.setattr(recovery, "_refuse_lost_records", go_on)


@defect
def a_snapshot_of_another_journal_is_loaded(patch: Patch) -> None:
    async def never_mind(journal: object, header: object) -> None:
        await asyncio.sleep(0)

    patch.setattr(recovery, "_refuse_other_journal", never_mind)


@defect
def a_tick_without_its_second_step(patch: Patch) -> None:
    steps = engine.Engine.steps

    def first(self: Engine, command: Command, at: int, request: str = "") -> Iterator[list[Record] | Outcome]:
        step = next(steps(self, command, at, request))
        yield Done(list(step)) if isinstance(step, list) else step

    patch.setattr(engine.Engine, "steps", first)


@defect
def tables_that_follow_before_the_commit(patch: Patch) -> None:
    commit = Writer._commit

    async def early(self: Writer, records: list[Record]) -> None:
        bus, project = followers = self._followers
        project(records)
        await asyncio.sleep(0)
        self._followers = (bus,)
        try:
            await commit(self, records)
        finally:
            self._followers = followers

    patch.setattr(Writer, "_commit", early)


@defect
def tables_that_count_a_batch_twice_after_a_failure(patch: Patch) -> None:
    write = SimTables.write

    async def again(self: SimTables, records: Sequence[Record]) -> None:
        try:
            await write(self, records)
        except StorageError:
            for account, values in gather(records).changes[PAID].items():
                apply(self._disk.tables.rows[BALANCES][account], PAID, values)
            raise

    patch.setattr(SimTables, "write", again)


@defect
def a_reader_of_the_tables_that_does_not_wait(patch: Patch) -> None:
    async def at_once(self: Projector, seq: int) -> None:
        await asyncio.sleep(0)

    patch.setattr(Projector, "reached", at_once)


@defect
def a_projector_that_skips_what_it_had_no_room_for(patch: Patch) -> None:
    """It takes what memory holds for what comes next."""

    def from_memory(self: Projector, most: int) -> list[Record]:
        return [self._records.popleft() for _ in range(min(most, len(self._records)))]

    async def write(self: SimTables, records: Sequence[Record]) -> None:
        self._disk.tables.mark = replace(self._disk.tables.mark, seq=records[0].seq - 1)
        await honest(self, records)

    honest = SimTables.write
    patch.setattr(Projector, "_from_memory", from_memory)
    patch.setattr(SimTables, "write", write)


def first_broken(most: int = MOST) -> tuple[int, Broken] | None:
    for seed in range(most):
        try:
            simulate_seed(seed)
        except Broken as broken:
            return seed, broken
    return None


@pytest.mark.parametrize("name", DEFECTS)
def test_the_simulator_finds(name: str, monkeypatch: Patch) -> None:
    DEFECTS[name](monkeypatch)
    found = first_broken()
    assert found is not None, f"{MOST} seeds have not found it"
    print(f"found by seed {found[0]}: {str(found[1])[:200]}")


def test_a_failure_shrinks_to_a_few_actions(monkeypatch: Patch) -> None:
    pnl_rounded_up(monkeypatch)
    found = first_broken()
    assert found is not None
    seed, broken = found
    shortest = shrink(make_history(seed, LENGTH), broken.what)
    assert broken_by(shortest) == broken.what
    # An account, a price, an open, another price and a close, with a turn of the loop here and there.
    assert len(shortest.actions) <= 12

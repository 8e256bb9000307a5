"""Stories of the whole rule book, told to the exchange as it runs: sequencer, writer, snapshotter, tables and recovery
on a disk whose power is cut at any moment, with waiting orders, trailing stops and settlements under way, and
followers that lag, go away and come back.

The reckoning of the rule book says what must come of each command (`tests.reference.lockstep`). What a crash takes back
is told again, as a client or a recording would, and must come to the same once more.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import structlog
from msgspec.structs import replace

from exness.core.audit import audit
from exness.core.commands import Command, PassTime, PriceTick
from exness.core.engine import TIME, Engine
from exness.core.events import Record, TradeChanged, Why
from exness.core.instruments import Asset
from exness.core.outcomes import Done, Outcome
from exness.core.prices import Price
from exness.core.rejects import Refusal
from exness.runtime import projector, snapshots
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.recovery import Recovered, recover
from exness.runtime.sequencer import Sequencer
from exness.storage.codec import encode
from tests.reference import lockstep
from tests.reference.engine_peer import EnginePeer, Told, answered
from tests.reference.rulebook import commands as r
from tests.reference.rulebook import rules as rulebook
from tests.reference.stories import START, Writer
from tests.simulation.disk import Decay, Disk, Outage, SimJournal, SimSnapshots, SimTables, decode_row
from tests.simulation.loop import PowerCut, SimLoop, run_alone
from tests.simulation.watch import Broken
from tests.support.exchange import SetClock, make_parts

LENGTH = 60
OF_A_STORY = "a story comes to what the rule book says"
PATIENCE_S = 100.0
TROUBLE = (0.0, 0.02, 0.1, 0.3)
"""How often the power is cut, by the story."""


Seen = dict[Asset, tuple[Price, int]]
"""What a feed has brought: the price, and the venue's rate of funding."""


class _Step(NamedTuple):
    """A command that was executed: the last record before it and after it, and the prices after it. `changes` are those
    of rates that were asked for last."""

    command: Command
    at: int
    before: int
    after: int
    prices: Seen
    changes: dict[str, Any]


class _Follower:
    """Takes every record there is, in order, over all lives. It lags, is cut off, and goes away and comes back now and
    then, to where it was or to an earlier record."""

    def __init__(self, told: "ToldToTheExchange", pauses_s: tuple[float, ...]) -> None:
        self._told = told
        self._pauses_s = pauses_s
        self._random = Random(f"follower of {told.seed}, {pauses_s}")
        self.after = 0

    async def run(self, exchange: Exchange) -> None:
        while True:
            try:
                await self._follow(exchange)
            except FellBehind:
                self._told.reached("followers of stories cut off")

    async def _follow(self, exchange: Exchange) -> None:
        records = exchange.follow(self.after)
        async for record in records:
            assert record.seq == self.after + 1, f"after {self.after} a follower was told {record.seq}"
            assert encode(record) == self._told.disk.rows[record.seq - 1], "only what is durable is told"
            self.after = record.seq
            self._told.reached("records followed")
            if self._random.random() < 0.02:
                await records.aclose()
                self.after = self._random.randint(self.after * 3 // 4, self.after)
                self._told.reached("followers of stories gone and come back")
                return
            await asyncio.sleep(self._random.choice(self._pauses_s))


class _Life:
    """One process, from its recovery on."""

    def __init__(self, told: "ToldToTheExchange", engine: Engine, recovered: Recovered) -> None:
        self.loop, self.engine, self.clock = (
            told.loop,
            engine,
            SetClock(0),
        )  # it does not run by itself, as that of a recording
        parts = make_parts(
            engine,
            SimJournal(told.disk),
            self.clock,
            tables=SimTables(told.disk),
            tables_seq=told.disk.tables.mark.seq,
            writer_queue=told.random.choice((1, 3, 100)),
            writer_batch=told.random.choice((1, 2, 50)),
            subscriber_queue=told.random.choice((1, 3, 1000)),
        )
        self.sequencer: Sequencer = parts.sequencer
        put = parts.writer.put

        def noted(records: list[Record]) -> None:
            for record in records:
                told.hear(record)
            put(records)

        parts.writer.put = noted  # type: ignore[method-assign]
        keeper = parts.snapshotter(SimSnapshots(told.disk), told.random.choice((0.001, 0.05)), recovered.snapshot_seq)
        self.tasks = [told.loop.spawn(each.run()) for each in (parts.writer, parts.sequencer, parts.projector, keeper)]
        self.following = [told.loop.spawn(each.run(parts.exchange)) for each in told.followers]
        self.tasks += self.following

    def end(self) -> None:
        """Nothing of it goes on. A follower stands in a generator, which can't be closed while it waits (CPython 3.11
        takes it for running still): it is cancelled."""
        for task in self.following:
            with suppress(asyncio.CancelledError, StopIteration):
                task.get_coro().throw(asyncio.CancelledError())
        self.following.clear()
        self.loop.drop()


class ToldToTheExchange(EnginePeer):
    """The running exchange, as a peer of the reckoning."""

    def __init__(self, rules: rulebook.Rules, start: int, seed: int) -> None:
        super().__init__(rules, start)
        self.seed = seed
        self.random = Random(f"story {seed}")
        self.trouble = self.random.choice(TROUBLE)
        self.counters: Counter[str] = Counter()
        self.disk = Disk(Random(f"disk of story {seed}"), 3)
        self.disk.reached = self.reached
        self.loop = SimLoop()
        self.heard: dict[int, Told] = {}
        """What every record told, as it was decided last."""
        self.again: dict[int, Told] = {}
        """What records told that a crash has taken back."""
        self.steps: list[_Step] = []
        self.configured = self.engine._configured
        self.followers = [_Follower(self, (0.0,)), _Follower(self, (0.0, 0.003, 0.1))]
        self.life = self._start()

    def reached(self, what: str) -> None:
        self.counters[what] += 1

    def hear(self, record: Record) -> None:
        told = self.heard[record.seq] = self.told(record)
        before = self.again.pop(record.seq, told)
        assert told == before, f"record {record.seq} told {before} before a crash, and now {told}"
        self.counters["events"] += 1
        if isinstance(record.event, TradeChanged) and record.event.why is Why.FUNDING:
            self.counters["funding paid"] += 1

    # --- commands -------------------------------------------------------------------------------------------------

    def execute(self, command: r.Command, at: int) -> r.Outcome:
        self.at = max(at, self.at)
        before, number = self.state.seq, len(self.steps)
        translated = self.translated(command)
        idles = self.random.random() < 0.3
        is_due = self.trouble > 0 and self.engine.is_due(self.at)
        if self.random.random() < (0.5 if is_due else self.trouble):
            self.loop.fuse = int(2 ** self.random.uniform(0, 6))
        outcome: Outcome = Done([])
        while len(self.steps) == number:
            try:
                if idles and self._idle() and self.trouble and self.random.random() < 0.5:
                    self.loop.advance(0.1)
                    raise PowerCut
                outcome = self._perform(translated, self.at)
                self.steps.append(_Step(translated, self.at, before, self.state.seq, self._prices(), self.changes))
                self._turn()
            except PowerCut:
                prices = self._prices()
                self._after_power_cut()
                if len(self.steps) == number and self._is_kept(before, self.state.seq):
                    self.steps.append(_Step(translated, self.at, before, self.state.seq, prices, self.changes))
                self._go_on()
        audit(self.state)
        self.counters["stories' commands"] += 1
        if isinstance(command, r.SetProfile):
            self.reached(f"a profile was set: {command.profile}")
        if isinstance(outcome, Refusal):
            self.reached(f"refused: {outcome.reject}")
        events = [self.heard[seq] for seq in range(before + 1, self.state.seq + 1)]
        return self.answer(command, events, *answered(outcome))

    def _is_kept(self, before: int, kept: int) -> bool:
        """Whether the journal has what the command that came after this record has brought about: what time brought
        before it may be there alone."""
        return any(decode_row(row).cause != TIME for row in self.disk.rows[before:kept])

    def _perform(self, command: Command, at: int) -> Outcome:
        sequencer, outcome = self.life.sequencer, Done([])
        self.life.clock.now = max(at, self.life.clock.now)
        if isinstance(command, PassTime):
            while self.engine.is_due(at):
                self._run(sequencer.perform(command, at))
            return outcome
        by_request = not isinstance(command, PriceTick) and self.random.random() < 0.3
        return self._run(sequencer.submit(command) if by_request else sequencer.perform(command, at))

    def _run(self, work) -> Outcome:  # type: ignore[no-untyped-def]
        task = self.loop.spawn(work)
        self.loop.run_until(task.done, PATIENCE_S)
        outcome: Outcome = task.result()
        return outcome

    def _idle(self) -> bool:
        """Nothing comes, and the clock goes on: what is due by now is done by the timer. Whether anything was."""
        self.life.clock.now = max(self.at, self.life.clock.now)
        with self.loop._running():
            self.life.sequencer.clock_changed()
        is_due = self.engine.is_due(self.at)
        if is_due:
            whole = self.life.sequencer._whole
            self.loop.run_until(lambda: not self.engine.is_due(self.at) and whole.is_set(), PATIENCE_S)
            self.reached("done by the timer")
        return is_due

    def _turn(self) -> None:
        if self.random.random() < 0.5:
            self.loop.turn(self.random.choice((1, 5, 40)))
        elif self.random.random() < 0.2:
            self.loop.advance(0.1)
        for task in self.life.tasks:
            if task.done():
                task.result()
                raise AssertionError("nothing of the exchange ends by itself")
        assert not self.loop.accidents, self.loop.accidents

    def finish(self) -> None:
        """Everybody who follows comes to the last record."""
        self.loop.fuse = None
        limit_s = PATIENCE_S + self.state.seq
        self.loop.run_until(lambda: all(each.after == self.state.seq for each in self.followers), limit_s)

    # --- lives ----------------------------------------------------------------------------------------------------

    def _start(self) -> _Life:
        self.disk.boot()
        recovered = self._recover(self.disk)
        state = recovered.state
        if state.seq == 0:
            state.at = START
        without = self.disk.copy()
        without.snapshots.clear()
        again = run_alone(recover(SimJournal(without), SimSnapshots(without)))
        assert again.digest == recovered.digest, "a full replay gives the same state"
        self.reached("recovered from a snapshot" if recovered.snapshot_seq else "recovered without a snapshot")
        self.engine = Engine(self.configured, state, self.random.choice((1, 3, 50)))
        return _Life(self, self.engine, recovered)

    def _recover(self, disk: Disk) -> Recovered:
        recovery = self.loop.spawn(recover(SimJournal(disk), SimSnapshots(disk)))
        self.loop.run_until(recovery.done, PATIENCE_S)
        return recovery.result()

    def _after_power_cut(self) -> None:
        self.reached("crashes")
        state = self.state
        self.counters["crashes with orders waiting"] += any(each.orders for each in state.account_list)
        trades = [trade for each in state.account_list for trade in each.trades.values()]
        self.counters["crashes with trailing stops"] += any(trade.trailing_stop is not None for trade in trades)
        now, random = self.loop.time(), self.random
        self.disk.cut_power(random.choice(tuple(Outage)), random.choice((Decay.NONE, Decay.NONE, *Decay)))
        self.life.end()
        told = max(each.after for each in self.followers)
        assert told <= len(self.disk.rows), f"a follower was told {told}, which is lost"
        self.loop = SimLoop(now)
        self.life = self._start()

    def _go_on(self) -> None:
        """Tell again what the crash has taken back, from after the last record that is there, at the prices of then."""
        kept = self.state.seq
        self.again = {seq: told for seq, told in self.heard.items() if seq > kept}
        self.counters["records lost"] += len(self.again)
        done = self._first_lost(kept)
        for asset, (price, funding) in (self.steps[done - 1].prices if done else {}).items():
            self._recall(asset, price)
            self.state.market(asset).funding = funding
        asked = self.changes
        for step in self.steps[done:]:
            self.changes = step.changes
            self._perform(step.command, step.at)
            assert self.state.seq == step.after, f"{step.command} came to {step.after}, and now to {self.state.seq}"
        self.changes = asked

    def _first_lost(self, kept: int) -> int:
        """The step to go on with: after the one that made the last record there is, or that one itself if only what
        time brought before it is there."""
        for number, step in enumerate(self.steps):
            if step.before < kept < step.after:
                self.reached("crashes between a settlement and what came after it")
                return number
        if self.steps and self.steps[-1].after < kept:
            return len(self.steps)
        return max((n for n, step in enumerate(self.steps, 1) if step.before < step.after <= kept), default=0)

    def _recall(self, asset: Asset, price: Price) -> None:
        at, state = self.state.at, self.state
        tick = PriceTick(asset, price.bid, price.ask, price.fresh_until - at)
        before = state.seq
        self._run(self.life.sequencer.perform(tick, at, again=True))
        if price.suspect:
            self._run(self.life.sequencer.perform(replace(tick, suspect=True), at, again=True))
        assert state.seq == before, "a price that was seen sets nothing off"
        recalled = state.price(asset)
        assert recalled is not None
        assert replace(recalled, at=price.at) == price
        state.market(asset).price = price

    def _prices(self) -> Seen:
        markets = self.state.markets.items()
        return {asset: (market.price, market.funding) for asset, market in markets if market.price is not None}


def tell_seed(seed: int, length: int = LENGTH) -> Counter[str]:
    """One story; what was reached in it. Raises Broken."""
    writer = Writer(Random(seed))
    step = mock.patch.object(snapshots, "STEP", 1 + seed % 3)
    behind = mock.patch.multiple(projector, MOST_IN_MEMORY=20, BATCH=7, GATHER_S=0.0)
    with step, behind, structlog.testing.capture_logs():
        exchange = ToldToTheExchange(writer.story.rules, START, seed)
        try:
            lockstep.tell(exchange, writer.write(length), writer.exchange)
            exchange.finish()
        except Exception as error:
            raise Broken(OF_A_STORY, f"{error!r}") from error
        finally:
            exchange.life.end()
            exchange.loop.drop()
    return exchange.counters

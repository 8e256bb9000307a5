"""A simulated world: processes that live one after the other on one disk, and the people who use them.

`simulate` plays a history to its end and reports, or raises Broken. The process is put together as in `app`, from the
shipped engine, sequencer, writer, snapshotter, bus and recovery.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import assert_never
from unittest import mock

import msgspec
import structlog

from exness.core.capture import digest_of
from exness.core.commands import Command, PriceTick
from exness.core.instruments import AccountId, Asset
from exness.core.views import BalanceOf
from exness.runtime import clock, projector, snapshots
from exness.runtime.bus import FellBehind
from exness.runtime.ports.journal import StorageError
from exness.runtime.recovery import Recovered, recover
from exness.runtime.sequencer import NotTaken
from exness.runtime.writer import Halted
from tests.reference.twin import PRICE_LIFE_US
from tests.simulation.actions import (
    Action,
    Ask,
    Crash,
    Doubt,
    FailCommit,
    FailSnapshot,
    History,
    Look,
    SignIn,
    SlowDisk,
    StepClock,
    Stop,
    Ticks,
    Turn,
    Wait,
    make_history,
)
from tests.simulation.disk import Decay, Disk, Outage, SimJournal, SimSnapshots, SimTables
from tests.simulation.loop import PowerCut, SimLoop, Stuck
from tests.simulation.watch import Broken, Watch, WatchedEngine
from tests.support.exchange import make_parts

LENGTH = 250
"""Actions in a history."""
START_US = 1_769_850_902_123_456
PATIENCE_S = 120.0
"""Virtual time after which what should have ended counts as stuck."""


class Report(msgspec.Struct):
    """What a world came to. `fingerprint` is the hash of everything that happened in it."""

    seed: int
    fingerprint: str
    counters: Counter[str]
    virtual_s: float


def simulate(history: History, trace: Callable[[str], None] = lambda line: None) -> Report:
    """Play a history. Raises Broken."""
    world = _World(history, trace)
    step = mock.patch.object(snapshots, "STEP", history.bounds.snapshot_step)
    behind = mock.patch.multiple(projector, MOST_IN_MEMORY=20, BATCH=7, GATHER_S=0.0)
    with _machine_time(world), step, behind, structlog.testing.capture_logs():
        return world.play()


def simulate_seed(seed: int, length: int = LENGTH, trace: Callable[[str], None] = lambda line: None) -> Report:
    return simulate(make_history(seed, length), trace)


class _Ids:
    def __init__(self) -> None:
        self._made = 0

    def new(self) -> str:
        self._made += 1
        return f"id{self._made}"


class _World:
    def __init__(self, history: History, trace: Callable[[str], None]) -> None:
        self.history = history
        self.bounds = history.bounds
        self.disk = Disk(Random(f"disk {history.seed}"), history.bounds.snapshots_kept)
        self.watch = Watch(history.bounds, self.disk, trace)
        self.wall_us = START_US
        self.ids = _Ids()
        self.requests = 0
        self.crash: Crash | None = None
        self.loop = SimLoop()
        self.life: _Life | None = None

    def play(self) -> Report:
        watch = self.watch
        watch.now = lambda: self.loop.time()
        try:
            self._start()
            for action in self.history.actions:
                watch.note(f"-- {action}")
                self._guarded(partial(self._act, action))
            self.loop.fuse = None
            self._guarded(partial(self._stop, 0))
        finally:
            self.loop.drop()
        watch.counters["histories"] += 1
        return Report(self.history.seed, watch.fingerprint, watch.counters, self.loop.time())

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do something, and see to it that the world is as it should be afterwards."""
        try:
            act()
            if self.life is not None and self.life.main.done():
                self._mourn(self.life)
        except PowerCut:
            self._after_power_cut()
        except Stuck as stuck:
            raise Broken("nobody waits for ever") from stuck
        self._raise_broken()

    def _raise_broken(self) -> None:
        if self.watch.broken is not None:
            raise self.watch.broken
        if self.loop.accidents:
            raise Broken("no callback fails", self.loop.accidents[0])

    # --- lives ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """A new process. Recovery itself may lose its power."""
        self.disk.boot()
        recovery = self.loop.spawn(recover(SimJournal(self.disk), SimSnapshots(self.disk)))
        self.loop.run_until(recovery.done, PATIENCE_S)
        try:
            recovered = recovery.result()
        except Exception as error:
            raise Broken("a crash can be recovered from", error) from error
        self.watch.recovered(recovered)
        self.life = _Life(self, recovered)

    def _after_power_cut(self) -> None:
        """Whatever was in memory is gone. Power comes back, and may go again."""
        crash = self.crash
        assert crash is not None
        again = crash.again
        while True:
            self.watch.reached("crashes" if self.life is not None else "crashes in recovery")
            self._power_off(crash.outage, crash.decay)
            self._pass_time(crash.down_us)
            self.loop.fuse = again
            again = None
            try:
                self._start()
            except PowerCut:
                continue
            self.loop.fuse = None
            return

    def _power_off(self, outage: Outage, decay: Decay) -> None:
        now = self.loop.time()
        self.disk.cut_power(outage, decay)
        self.life = self.crash = None
        self.loop.drop()
        self.loop = SimLoop(now)

    def _pass_time(self, us: int) -> None:
        self.loop.advance(us / 1e6)

    def _mourn(self, life: "_Life") -> None:
        """The process has stopped by itself: only a failed commit is a reason."""
        error = life.main.exception()
        self._raise_broken()
        anything_else = error.split(StorageError)[1] if isinstance(error, ExceptionGroup) else error
        if anything_else is not None or not self.disk.failed:
            raise Broken("the process goes on", repr(error)) from error
        self.watch.reached("process halted")
        self.loop.run_until(life.all_answered, PATIENCE_S)
        self._raise_broken()
        self._power_off(Outage.LOST, Decay.NONE)
        self._start()

    def _stop(self, down_us: int) -> None:
        """A graceful stop: everyone is answered, and everything is on the disk."""
        life = self.life
        assert life is not None
        life.stop.set()
        self.loop.run_until(life.main.done, PATIENCE_S)
        error = life.main.exception()
        if error is not None and self.disk.failed:
            self._mourn(life)
            return
        self._raise_broken()
        if error is not None:
            raise Broken("a stop is graceful", repr(error)) from error
        self.loop.run_until(life.all_answered, PATIENCE_S)
        self._raise_broken()
        self.watch.reached("graceful stops")
        digest = digest_of(life.state)
        self.watch.check(life.state.seq == len(self.disk.rows), "a stop leaves nothing behind")
        self.watch.check(life.halted == 0, "a stop answers everyone", life.halted)
        self._power_off(Outage.LOST, Decay.NONE)
        self._pass_time(down_us)
        self._start()
        self.watch.check(digest == digest_of(self._living().state), "a restart changes nothing")

    def _living(self) -> "_Life":
        assert self.life is not None
        return self.life

    # --- actions --------------------------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        life, disk = self._living(), self.disk
        match action:
            case Wait(us):
                self._pass_time(us)
            case Turn(steps):
                self.loop.turn(steps)
            case Ask():
                life.ask(action, self._request())
            case SignIn(email, times):
                for _ in range(times):
                    life.go(life.sign_in(email, self._request()))
            case Look(account):
                life.go(life.look(account))
            case Ticks(ticks):
                for asset, bid, ask in ticks:
                    life.tick(PriceTick(asset, bid, ask, PRICE_LIFE_US))
            case Doubt(asset):
                life.doubt(asset)
            case FailCommit(fault):
                disk.commit_fault = fault
            case SlowDisk(us):
                disk.slow_s = us / 1e6
                self.watch.reached("slow disk")
            case FailSnapshot():
                disk.snapshot_fails = disk.tables_fail = True
            case Crash(steps):
                if self.crash is None:
                    self.crash, self.loop.fuse = action, steps
            case Stop(down_us):
                self._stop(down_us)
            case StepClock(us):
                self.wall_us += us
                self.watch.reached("clock stepped " + ("forward" if us > 0 else "back"))
            case _:
                assert_never(action)

    def _request(self) -> str:
        self.requests += 1
        return f"r{self.requests}"


class _Life:
    """One process, from its recovery to its end."""

    def __init__(self, world: _World, recovered: Recovered) -> None:
        bounds, disk = world.bounds, world.disk
        self.watch = world.watch
        self.loop = world.loop
        self.state = recovered.state
        self.halted = 0
        self._waiting = 0
        self._accepted: dict[Asset, PriceTick] = {}
        self._inbox_size = bounds.inbox_size
        parts = make_parts(
            WatchedEngine(bounds.rules, self.state, bounds.liquidations_per_step, self.watch),
            SimJournal(disk),
            clock.SystemClock(not_before_us=self.state.at),
            ids=world.ids,
            tables=SimTables(disk),
            tables_seq=disk.tables.mark.seq,
            subscriber_queue=bounds.subscriber_bound,
            inbox_size=bounds.inbox_size,
            inbox_wait_s=bounds.inbox_wait_s,
            slice_commands=bounds.slice_commands,
            tick_queue=bounds.tick_queue,
            writer_queue=bounds.writer_bound,
            writer_batch=bounds.writer_batch,
        )
        self._exchange = parts.exchange
        self.sequencer, self._bus, self._writer = parts.sequencer, parts.bus, parts.writer
        self._projector = parts.projector
        self._snapshotter = parts.snapshotter(SimSnapshots(disk), bounds.snapshot_interval_s, recovered.snapshot_seq)
        self.watch.ticks_waiting = lambda: list(self.sequencer._ticks._ticks)
        self.stop = asyncio.Event()
        self.main = self.loop.spawn(self._main())
        for pause_s in (0.0, 0.02):
            self.loop.spawn(self._listen(pause_s))

    async def _main(self) -> None:
        """As `app._run` does it."""
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._writer.run())
            sequencing = tasks.create_task(self.sequencer.run())
            projecting = tasks.create_task(self._projector.run())
            snapshotting = tasks.create_task(self._snapshotter.run())
            await self.stop.wait()
            snapshotting.cancel()
            self.sequencer.close()
            await sequencing
            self._writer.close()
            await writing
            self._projector.close()
            await projecting
        self._bus.close()
        failed_before = self._snapshotter.stats.failed
        await self._snapshotter.try_take()
        if self._snapshotter.stats.failed > failed_before:
            self.watch.reached("final snapshot failed")

    # --- people ---------------------------------------------------------------------------------------------------

    def go(self, coroutine) -> asyncio.Task[None]:  # type: ignore[no-untyped-def]
        task = self.loop.spawn(coroutine)
        self._waiting += 1
        task.add_done_callback(self._one_less)
        return task

    def _one_less(self, task: asyncio.Task[None]) -> None:
        self._waiting -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def all_answered(self) -> bool:
        return self._waiting == 0

    def tick(self, tick: PriceTick) -> None:
        if not tick.suspect:
            self._accepted[tick.asset] = tick
        before = self.sequencer.ticks_shed
        self.watch.offered(tick)
        with self.loop._running():
            self.sequencer.tick(tick)
        self.watch.counters["ticks shed"] += self.sequencer.ticks_shed - before

    def doubt(self, asset: Asset) -> None:
        """As a feed does it: what was accepted last comes again."""
        last = self._accepted.get(asset)
        if last is not None:
            self.watch.reached("suspect ticks")
            self.tick(msgspec.structs.replace(last, suspect=True))

    def ask(self, ask: Ask, request: str) -> None:
        task = self.go(self._ask(ask.command, request))
        if ask.patience_us is not None:
            self.loop.call_later(ask.patience_us / 1e6, self._leave, task, request)

    def _leave(self, task: asyncio.Task[None], request: str) -> None:
        if not task.done():
            self.watch.left(request)
            task.cancel()

    async def _ask(self, command: Command, request: str) -> None:
        since, full = self.loop.time(), self.sequencer.waiting >= self._inbox_size
        steps = self.loop.steps
        self.watch.asked(request)
        try:
            outcome = await self.sequencer.submit(command, request)
        except NotTaken as busy:
            waited_s = self.loop.time() - since if self.loop.steps != steps else 0.0
            self.watch.not_taken(request, busy.why, waited_s, full)
        except Halted:
            self.halted += 1
            self.watch.reached("told that it is not known")
        else:
            self.watch.answered(request, command, outcome)

    async def sign_in(self, email: str, request: str) -> None:
        try:
            account = await self._exchange.account_of(email)
            owner = self.state.accounts[account].email
            self.watch.check(owner == email, "everyone gets their own account", owner)
            await self._show(account)
        except (NotTaken, Halted):
            return
        self.watch.reached("signed in")

    async def look(self, account: AccountId) -> None:
        if account not in self.state.accounts:
            return
        try:
            await self._show(account)
            seq = self.state.accounts[account].seq if account in self.state.accounts else self.state.seq
            await self._exchange.in_tables(seq)
            self.watch.in_tables(account, seq)
        except (NotTaken, Halted):
            return
        self.watch.reached("looked at an account")

    async def _show(self, account: AccountId) -> None:
        """As the routes do it."""
        balance = await self._exchange.see(BalanceOf(account))
        self.watch.shown(account, balance.seq, balance.free)

    async def _listen(self, pause_s: float) -> None:
        """A subscriber; a slow one takes a pause after each record."""
        while not self._writer.halted:
            with self._bus.subscribe() as records:
                expected_seq = self._writer.durable_seq
                with contextlib.suppress(FellBehind):
                    async for record in records:
                        expected_seq += 1
                        self.watch.broadcast(record, expected_seq)
                        if pause_s:
                            await asyncio.sleep(pause_s)
                    return
                self.watch.reached("subscriber cut off")


@contextlib.contextmanager
def _machine_time(world: _World) -> Iterator[None]:
    """`SystemClock` reads the world's clocks: one that people set, one that only goes on."""

    def monotonic_ns() -> int:
        return round(world.loop.time() * 1e6) * 1000

    machine = SimpleNamespace(time_ns=lambda: world.wall_us * 1000 + monotonic_ns(), monotonic_ns=monotonic_ns)
    with mock.patch.object(clock, "time", machine):
        yield

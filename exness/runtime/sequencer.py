"""The one way into the engine: ticks and requests in, in a total order, each stamped with its time.

A request is executed where it stands when nothing is before it. Else it waits in a bounded inbox; one that finds it
full, or waits too long in it, is refused untouched, so "overloaded" always means that nothing happened. Ticks have a
queue of their own and go first: between any two slices of requests, every tick that has come is checked. Whoever asked
is answered once the events are durable; who is refused, once all is durable that the refusal shows.

Time is passed before whatever comes at or after the next thing that is due, each due time with records and a
transaction of its own, and when nothing comes, by a timer on the exchange's clock.

There is one way into the engine, `_execute`, for requests, ticks and the commands of a source that owns the time. What
is done in steps lets the loop turn between them, and is done to its end whoever goes meanwhile. A bug that is met there
stops the exchange: the state may be half changed, so nothing more is decided on it, nothing more is written and nobody
hears of anything more. Whoever waits is told that it is not known, and `run` raises the bug. A watcher is told of what
is decided already: a bug in it is logged and counted, and stops nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from exness.core.commands import Command, PassTime, PriceTick
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.outcomes import Decision, Done, Outcome, decision_of
from exness.core.rules import Rules
from exness.core.views import Question
from exness.runtime.clock import CommandIds
from exness.runtime.inbox import Busy, Inbox, NotTaken, Waiting
from exness.runtime.meters import Histogram
from exness.runtime.ports.clock import Clock
from exness.runtime.ports.engine import Watcher
from exness.runtime.ports.prices import Backpressure, V
from exness.runtime.ticks import TickQueue
from exness.runtime.watchers import Watchers
from exness.runtime.writer import Halted, Writer

Steps = Iterator[list[Record] | Outcome]
"""See `Engine.steps`."""

_BETWEEN: list[Record] = []
"""The step between two due times."""
_SHORTEST_SLEEP_S = 0.001


class Sequencer:
    """Feeds one engine. `slice_commands` is how many requests are handled before the loop gets a turn."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        clock: Clock,
        *,
        inbox_size: int,
        inbox_wait_s: float,
        slice_commands: int,
        tick_queue: int,
        slow_watcher: Backpressure | None = None,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._command_ids = CommandIds("http")
        self.inbox = Inbox(inbox_size, inbox_wait_s)
        self.ticks = TickQueue(tick_queue)
        self._slice = slice_commands
        self._wake = asyncio.Event()
        self._running = False
        self._whole = asyncio.Event()
        """Set while no command is half done."""
        self._whole.set()
        self._finishing: asyncio.Task[Outcome] | None = None
        self._broken: BaseException | None = None
        self._closing = False
        self._slow_watcher = slow_watcher
        self._timed: int | None = None
        """The due time that the loop sleeps towards."""
        writer.call_on_progress(self._wake.set)
        self.watchers = Watchers()
        self.recounters: list[Watcher] = []
        """Called with every tick that an earlier run has checked and that is passed over now."""
        self.ticks_checked = 0
        self.decide_s = Histogram()
        """What a request's decision took."""
        self.ack_s = Histogram()
        """From a decision until it was durable."""

    async def submit(self, command: Command, request: str = "") -> Outcome:
        """Have a command executed; returns when what follows from it is durable.

        Raises NotTaken when it did not reach the engine, Halted when the process stopped before it was durable.
        """
        if self._closing or self._writer.halted:
            raise NotTaken(Busy.SHUTTING_DOWN)
        if self._nothing_waits:
            decision = await self._serve(command, request)
        else:
            reply = self.inbox.put(self._engine.seen(command), request)
            self._wake.set()
            decision = await reply
        durable = self._writer.when_durable(decision.shows)
        if durable is not None:
            decided = time.perf_counter()
            await durable
            self.ack_s.note(time.perf_counter() - decided)
        return decision.outcome

    def offer(self, command: Command, request: str, cause: str) -> asyncio.Future[Decision]:
        """Have a command decided under a cause that its source has made, after whatever waits. The future has the
        decision, which can be before it is durable; it raises NotTaken, Halted. So does this."""
        if self._closing or self._writer.halted:
            raise NotTaken(Busy.SHUTTING_DOWN)
        self._wake.set()
        return self.inbox.put(self._engine.seen(command), request, cause)

    @property
    def rules(self) -> Rules:
        """What is configured, and over it what was set by hand."""
        return self._engine.rules

    @property
    def next_due(self) -> int | None:
        """When time brings something next (microseconds)."""
        return self._engine.state.due.next_due

    def clock_changed(self) -> None:
        """The clock was moved, or runs at another rate: what sleeps by it looks anew."""
        self._wake.set()

    @property
    def _nothing_waits(self) -> bool:
        """Whether a request may be executed where it stands: no tick and no request is before it or half done."""
        return not (self.inbox or self.ticks) and self._whole.is_set() and self._running and self._writer.has_room

    def tick(self, tick: PriceTick) -> None:
        """Take a tick. Never waits, never refuses."""
        self.ticks.put(tick)
        self._wake.set()

    def look(self, question: Question[V]) -> V:
        """A view of this moment, whether or not it is durable."""
        return question.answer(self._engine.state, self._engine.rules, self._clock.now_us())

    async def perform(self, command: Command, at: int, cause: str = "", *, again: bool = False) -> Outcome:
        """Execute a command at `at` (microseconds), before whatever waits: for a source that owns the time, which then
        brings its ticks this way only. `again`: an earlier run has checked this tick, so it sets nothing off and no
        watcher is told of it.

        Returns once it is decided, which can be before it is durable; waits only while the writer or a slow watcher
        has no room, or a tick is half done. Once it has begun it is done to its end, also when the caller is cancelled.
        Raises Halted when the process has stopped, or stops because of a bug in the engine.
        """
        while not self._writer.halted:
            if not self._writer.has_room:
                await self._writer.progress()
            elif self._slow_watcher is not None and self._slow_watcher.is_full:
                await self._slow_watcher.room()
            else:
                break
        return await self._execute(command, "", cause, at, again=again)

    def passed_over(self, tick: PriceTick, at: int) -> None:
        """Tell who still counts it of a tick that an earlier run has checked. Nothing is decided."""
        for recount in self.recounters:
            recount(tick, at)

    async def run(self) -> None:
        """Execute what comes until `close`, and then what has come before it. Raises what the engine raised."""
        self._running = True
        try:
            with contextlib.suppress(Halted):  # for the reason that is raised below, or that the writer has said
                while await self._something_to_do():
                    if self._time_has_come:
                        await self._execute(PassTime())
                    await self._check_ticks()
                    self.inbox.refuse_overdue()
                    await self._handle_slice()
                    await asyncio.sleep(0)
                await self._whole.wait()
            if self._broken is not None:
                raise self._broken
        finally:
            self._running = False
            self._closing = True
            self.inbox.refuse_all(Busy.SHUTTING_DOWN)
            if self._finishing is not None:
                self._finishing.cancel()

    def close(self) -> None:
        """Take nothing more; `run` returns once everything taken is executed."""
        self._closing = True
        self._wake.set()

    async def _something_to_do(self) -> bool:
        """Wait for a tick, for what is due, or for a request that the writer has room for. False when there will be
        none."""
        while self._broken is None and not (self._whole.is_set() and self._something_waits):
            if self._writer.halted or (self._closing and not self.inbox and not self.ticks):
                return False
            self._wake.clear()
            await self._pause()
        return self._broken is None

    @property
    def _something_waits(self) -> bool:
        return bool(self.ticks) or (bool(self.inbox) and self._writer.has_room) or self._time_has_come

    @property
    def _time_has_come(self) -> bool:
        """Whether something is due by a clock that runs by itself, and may be done."""
        return self._until_due == 0 and not self._closing

    @property
    def _until_due(self) -> float | None:
        """Seconds until something is due, if it is to be done then whatever else comes or not. None: never."""
        due = self.next_due
        if due is None or not self._writer.has_room or not self._whole.is_set():
            return None
        return self._clock.seconds_until(due)

    async def _pause(self) -> None:
        """Sleep until something comes or is due. Requests that wait for a slow disk are refused when their time is
        over."""
        self._timed, until_due = self.next_due, self._until_due
        waits = [max(until_due, _SHORTEST_SLEEP_S)] if until_due is not None else []
        waits += [self.inbox.wait_s / 4] if self.inbox else []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(waits, default=None)):
                await self._wake.wait()
        self.inbox.refuse_overdue()

    async def _check_ticks(self) -> None:
        """Every tick that has come, each with all that it sets off, before anything else.

        Those that come meanwhile wait for the next turn, after a slice of requests: a flood of ticks starves nobody.
        """
        for checked in range(1, len(self.ticks) + 1):
            if not self.ticks:  # a full queue was thinned out while the loop turned
                return
            await self._execute(self.ticks.pop())
            if checked % self._slice == 0:
                await asyncio.sleep(0)

    async def _handle_slice(self) -> None:
        for _ in range(min(self._slice, len(self.inbox))):
            if not self._writer.has_room:
                return
            await self._handle(self.inbox.pop())

    async def _handle(self, waiting: Waiting) -> None:
        if waiting.reply.done():  # whoever asked has gone: nothing happens
            return
        try:
            decision = await self._serve(waiting.command, waiting.request, waiting.cause)
        except Halted as halted:
            waiting.answer(halted)
        else:
            waiting.answer(decision)

    async def _serve(self, command: Command, request: str, cause: str = "") -> Decision:
        """Raises Halted for a bug in the engine."""
        started = time.perf_counter()
        outcome = await self._execute(command, request, cause or self._command_ids.new())
        self.decide_s.note(time.perf_counter() - started)
        return decision_of(outcome, command, self._engine.state)

    # --- the one way into the engine ----------------------------------------------------------------------------------

    async def _execute(
        self, command: Command, request: str = "", cause: str = "", at: int | None = None, *, again: bool = False
    ) -> Outcome:
        """Execute a command, as of now or `at`, once no other is half done. It is decided when this returns; that is at
        once, without a turn of the loop, unless there is more to do than one step. Raises Halted for a bug in it."""
        while not self._whole.is_set():
            await self._whole.wait()
        if self._writer.halted:
            raise Halted
        at = self._clock.now_us() if at is None else at
        if again and isinstance(command, PriceTick):
            steps = self._engine.recall(command, at)
        elif self._engine.is_due(at) and not isinstance(command, PassTime):
            steps = self._after_time(command, at, request, cause)
        else:
            steps = self._engine.steps(command, at, request, cause)
        outcome = self._step(steps)
        if not isinstance(outcome, list):
            self._decided(command, at, outcome, again=again)
            return outcome
        self._whole.clear()
        rest = self._finish(command, at, steps, again=again)
        self._finishing = asyncio.create_task(rest, name="rest of a command")
        return await asyncio.shield(self._finishing)

    def _after_time(self, command: Command, at: int, request: str, cause: str) -> Steps:
        """What time has brought by then, and after it the command."""
        while self._engine.is_due(at):
            for step in self._engine.steps(PassTime(), at):
                if isinstance(step, list):
                    yield step
                else:
                    self._decided(PassTime(), at, step, again=False)
            yield _BETWEEN if self._engine.is_due(at) else []
        yield from self._engine.steps(command, at, request, cause)

    async def _finish(self, command: Command, at: int, steps: Steps, *, again: bool) -> Outcome:
        """Do the steps that are left, while the loop turns between them."""
        try:
            while True:
                outcome = self._step(steps)
                if not isinstance(outcome, list):
                    self._decided(command, at, outcome, again=again)
                    return outcome
                await asyncio.sleep(0)
                if outcome is _BETWEEN and not self._writer.has_room:  # years may pass at once
                    await self._writer.progress()
        finally:
            self._finishing = None  # what it comes to is not kept
            self._whole.set()
            self._wake.set()

    def _step(self, steps: Steps) -> list[Record] | Outcome:
        """The next step. After a bug in it `run` raises what it was."""
        try:
            return next(steps)
        except BaseException as bug:
            self._broken, self._closing = bug, True
            self._writer.halt()
            self._wake.set()
            raise Halted from bug

    def _decided(self, command: Command, at: int, outcome: Outcome, *, again: bool) -> None:
        if isinstance(command, PriceTick) and not again:
            self.ticks_checked += 1
            self.watchers.tell(command, at)
        if isinstance(outcome, Done) and outcome.records:
            self._writer.put(outcome.records)
        if self._timed != self._engine.state.due.next_due:
            self._wake.set()

"""The one way into the engine: ticks and requests in, in a total order, each stamped with its time.

A request is executed where it stands when nothing is before it. Else it waits in a bounded inbox; one that finds it
full, or waits too long in it, is refused untouched, so "overloaded" always means that nothing happened. Ticks have a
queue of their own and go first: between any two slices of requests, every tick that has come is checked. Whoever asked
is answered once the events are durable.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

import msgspec

from exness.core.commands import Command, PriceTick
from exness.core.decide import Repeated
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import Record
from exness.core.rejects import Refusal
from exness.core.state import State
from exness.runtime.meters import Spread
from exness.runtime.ports import Clock
from exness.runtime.ticks import TickQueue
from exness.runtime.writer import Halted, Writer


class Busy(StrEnum):
    """Why a request was not even looked at. Nothing happened."""

    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting_down"


class NotTaken(Exception):
    """The request did not reach the engine."""

    def __init__(self, why: Busy) -> None:
        super().__init__(why)
        self.why = why


Watcher = Callable[[PriceTick, int], None]
"""Told of a tick and when the engine took it (microseconds). Must be quick, and must not raise."""


class Waiting(msgspec.Struct, gc=False):
    """A request in the inbox. `since` is loop time."""

    command: Command
    request: str
    since: float
    reply: asyncio.Future[Outcome]


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
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._inbox: deque[Waiting] = deque()
        self._inbox_size = inbox_size
        self._inbox_wait_s = inbox_wait_s
        self._slice = slice_commands
        self._ticks = TickQueue(tick_queue)
        self._wake = asyncio.Event()
        self._running = False
        self._checking = False
        self._broken: BaseException | None = None
        self._closing = False
        writer.on_progress = self._wake.set
        self.watchers: list[Watcher] = []
        """Called with every tick that was checked, once all that it set off is decided."""
        self.ticks_checked = 0
        self.overloads = 0
        self.decide_s = Spread()
        """What a request's decision took."""
        self.ack_s = Spread()
        """From a decision until it was durable."""

    @property
    def waiting(self) -> int:
        """Requests in the inbox."""
        return len(self._inbox)

    @property
    def inbox_size(self) -> int:
        return self._inbox_size

    @property
    def ticks_waiting(self) -> int:
        return len(self._ticks)

    @property
    def ticks_shed(self) -> int:
        return self._ticks.shed

    async def submit(self, command: Command, request: str = "") -> Outcome:
        """Have a command executed; returns when what follows from it is durable.

        Raises NotTaken when it did not reach the engine, Halted when the process stopped before it was durable.
        """
        if self._closing or self._writer.halted:
            raise NotTaken(Busy.SHUTTING_DOWN)
        if self._nothing_waits:
            outcome = self._execute(command, request)
        else:
            outcome = await self._queued(command, request)
        durable = self._writer.when_durable(_last_seq(outcome))
        if durable is not None:
            decided = time.perf_counter()
            await durable
            self.ack_s.note(time.perf_counter() - decided)
        return outcome

    @property
    def _nothing_waits(self) -> bool:
        """Whether a request may be executed where it stands: no tick and no request is before it, and none is half
        done (a tick that sets very much off lets the loop turn between its steps)."""
        return not (self._inbox or self._ticks or self._checking) and self._running and self._writer.has_room

    async def _queued(self, command: Command, request: str) -> Outcome:
        if len(self._inbox) >= self._inbox_size:
            self.overloads += 1
            raise NotTaken(Busy.OVERLOADED)
        loop = asyncio.get_running_loop()
        waiting = Waiting(command, request, loop.time(), loop.create_future())
        self._inbox.append(waiting)
        self._wake.set()
        return await waiting.reply

    def tick(self, tick: PriceTick) -> None:
        """Take a tick. Never waits, never refuses."""
        self._ticks.put(tick)
        self._wake.set()

    @property
    def state(self) -> State:
        """What the engine knows. To read."""
        return self._engine.state

    async def perform(self, command: Command, at: int, request: str = "") -> Outcome:
        """Execute a command at `at` (microseconds), before whatever waits: for a source that owns the time, which then
        brings its ticks this way only.

        Returns once it is decided, which can be before it is durable; waits only while the writer has no room.
        Raises Halted when the process has stopped.
        """
        while not self._writer.has_room and not self._writer.halted:
            await self._writer.on_disk(self._writer.durable_seq + 1)
        if self._writer.halted:
            raise Halted
        outcome = self._engine.execute(command, at, request)
        if not isinstance(outcome, Done):
            return outcome
        records = outcome.records
        while outcome.more:  # without an await: nothing comes between the steps of one tick
            step = self._engine.execute(command, at, request)
            assert isinstance(step, Done), "a tick is never refused"
            records, outcome = records + step.records, step
        if isinstance(command, PriceTick):
            self._checked(command, at)
        if records:
            self._writer.put(records)
        return Done(records)

    async def run(self) -> None:
        """Execute what comes until `close`, and then what has come before it. Raises what the engine raised."""
        self._running = True
        try:
            while await self._something_to_do():
                await self._check_ticks()
                self._refuse_overdue()
                self._handle_slice()
                await asyncio.sleep(0)
            if self._broken is not None:
                raise self._broken
        finally:
            self._running = False
            self._closing = True
            self._refuse_all(Busy.SHUTTING_DOWN)

    def close(self) -> None:
        """Take nothing more; `run` returns once everything taken is executed."""
        self._closing = True
        self._wake.set()

    async def _something_to_do(self) -> bool:
        """Wait for a tick, or for a request that the writer has room for. False when there will be none."""
        while self._broken is None and not self._ticks and not (self._inbox and self._writer.has_room):
            if self._writer.halted or (self._closing and not self._inbox):
                return False
            self._wake.clear()
            await self._pause()
        return self._broken is None

    async def _pause(self) -> None:
        """Sleep until something comes. Requests that wait for a slow disk are refused when their time is over."""
        if not self._inbox:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._inbox_wait_s / 4):
                await self._wake.wait()
        self._refuse_overdue()

    async def _check_ticks(self) -> None:
        """Every tick that has come, each with all that it sets off, before anything else.

        Those that come meanwhile wait for the next turn, after a slice of requests: a flood of ticks starves nobody.
        """
        for checked in range(1, len(self._ticks) + 1):
            if not self._ticks:  # a full queue was thinned out while the loop turned
                return
            await self._check(self._ticks.pop())
            if checked % self._slice == 0:
                await asyncio.sleep(0)

    async def _check(self, tick: PriceTick) -> None:
        at = self._clock.now_us()
        records: list[Record] = []
        self._checking = True
        while True:
            outcome = self._engine.execute(tick, at)
            assert isinstance(outcome, Done), "a tick is never refused"
            records += outcome.records
            if not outcome.more:
                break
            await asyncio.sleep(0)
        self._checking = False
        self._checked(tick, at)
        if records:
            self._writer.put(records)

    def _checked(self, tick: PriceTick, at: int) -> None:
        self.ticks_checked += 1
        for watcher in self.watchers:
            watcher(tick, at)

    def _handle_slice(self) -> None:
        for _ in range(min(self._slice, len(self._inbox))):
            if not self._writer.has_room:
                return
            self._handle(self._inbox.popleft())

    def _handle(self, waiting: Waiting) -> None:
        if waiting.reply.done():  # whoever asked has gone: nothing happens
            return
        try:
            waiting.reply.set_result(self._execute(waiting.command, waiting.request))
        except Halted as halted:
            waiting.reply.set_exception(halted)

    def _execute(self, command: Command, request: str) -> Outcome:
        """Raises Halted for a bug in the engine, which `run` then raises: the process stops."""
        started = time.perf_counter()
        try:
            outcome = self._engine.execute(command, self._clock.now_us(), request)
        except BaseException as error:
            self._broken, self._closing = error, True
            self._wake.set()
            raise Halted from error
        self.decide_s.note(time.perf_counter() - started)
        if isinstance(outcome, Done) and outcome.records:
            self._writer.put(outcome.records)
        return outcome

    def _refuse_overdue(self) -> None:
        oldest_allowed = asyncio.get_running_loop().time() - self._inbox_wait_s
        while self._inbox and self._inbox[0].since < oldest_allowed:
            self.overloads += 1
            _refuse(self._inbox.popleft(), Busy.OVERLOADED)

    def _refuse_all(self, why: Busy) -> None:
        while self._inbox:
            _refuse(self._inbox.popleft(), why)


def _refuse(waiting: Waiting, why: Busy) -> None:
    if not waiting.reply.done():
        waiting.reply.set_exception(NotTaken(why))


def _last_seq(outcome: Outcome) -> int:
    """What must be durable before this outcome may be told."""
    match outcome:
        case Done(records):
            return records[-1].seq if records else 0
        case Repeated(seen):
            return seen.trade.seq
        case Refusal():
            return 0

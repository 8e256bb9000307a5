"""The one way into the engine: ticks and requests in, in a total order, each stamped with its time.

A request is executed where it stands when nothing is before it. Else it waits in a bounded inbox; one that finds it
full, or waits too long in it, is refused untouched, so "overloaded" always means that nothing happened. Ticks have a
queue of their own and go first: between any two slices of requests, every tick that has come is checked. Whoever asked
is answered once the events are durable; who is refused, once all is durable that the refusal shows.

There is one way into the engine, and a bug that is met there stops the exchange wherever it is met: the state may be
half changed, so nothing more is decided on it, nothing more is written and nobody hears of anything more. Whoever waits
is told that it is not known, and `run` raises the bug. A watcher is told of what is decided already: a bug in it is
logged and counted, and stops nothing.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec
import structlog

from exness.core.commands import Command, OpenTrade, PriceTick
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import Record
from exness.core.outcomes import Repeated
from exness.core.rejects import Refusal, Reject
from exness.core.state import State
from exness.core.views import Question
from exness.runtime.meters import Histogram
from exness.runtime.ports.clock import Clock
from exness.runtime.ports.prices import Backpressure, V
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


_log = structlog.get_logger()

Watcher = Callable[[PriceTick, int], None]
"""Told of a tick and when the engine took it (microseconds). Must be quick."""

_SHOW_NO_RECORD = frozenset({Reject.PRICE_UNAVAILABLE, Reject.SLIPPAGE_EXCEEDED, Reject.TRADE_NOT_FOUND})
"""Refusals that follow from prices alone, and the one that is not told before the tables were asked for the trade."""
_SHOW_THE_ACCOUNT = frozenset({Reject.CLIENT_ORDER_ID_CONFLICT, Reject.INSUFFICIENT_MARGIN})
"""Refusals that follow from the account alone; all others may follow from any record."""


class Decision(NamedTuple):
    """An outcome, and the record up to which everything must be durable before it may be told."""

    outcome: Outcome
    shows: int


class Waiting(msgspec.Struct, gc=False):
    """A request in the inbox. `since` is loop time."""

    command: Command
    request: str
    since: float
    reply: asyncio.Future[Decision]


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
        self._inbox: deque[Waiting] = deque()
        self._inbox_size = inbox_size
        self._inbox_wait_s = inbox_wait_s
        self._slice = slice_commands
        self._ticks = TickQueue(tick_queue)
        self._wake = asyncio.Event()
        self._running = False
        self._whole = asyncio.Event()
        """Set while nothing is half done: a tick that sets very much off lets the loop turn between its steps."""
        self._whole.set()
        self._finishing: asyncio.Task[Done] | None = None
        self._broken: BaseException | None = None
        self._closing = False
        self._slow_watcher = slow_watcher
        writer.call_on_progress(self._wake.set)
        self.watchers: list[Watcher] = []
        """Called with every tick that was checked, once all that it set off is decided."""
        self.recounters: list[Watcher] = []
        """Called with every tick that an earlier run has checked and that is passed over now."""
        self.watchers_failed = 0
        self.ticks_checked = 0
        self.overloads = 0
        self.decide_s = Histogram()
        """What a request's decision took."""
        self.ack_s = Histogram()
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
            decision = self._execute(command, request)
        else:
            decision = await self._queued(command, request)
        durable = self._writer.when_durable(decision.shows)
        if durable is not None:
            decided = time.perf_counter()
            await durable
            self.ack_s.note(time.perf_counter() - decided)
        return decision.outcome

    @property
    def _nothing_waits(self) -> bool:
        """Whether a request may be executed where it stands: no tick and no request is before it or half done."""
        return not (self._inbox or self._ticks) and self._whole.is_set() and self._running and self._writer.has_room

    async def _queued(self, command: Command, request: str) -> Decision:
        if len(self._inbox) >= self._inbox_size:
            self.overloads += 1
            raise NotTaken(Busy.OVERLOADED)
        loop = asyncio.get_running_loop()
        waiting = Waiting(self._engine.seen(command), request, loop.time(), loop.create_future())
        self._inbox.append(waiting)
        self._wake.set()
        return await waiting.reply

    def tick(self, tick: PriceTick) -> None:
        """Take a tick. Never waits, never refuses."""
        self._ticks.put(tick)
        self._wake.set()

    def look(self, question: Question[V]) -> V:
        """A view of this moment, whether or not it is durable."""
        return question.answer(self._engine.state, self._engine.rules, self._clock.now_us())

    async def perform(self, command: Command, at: int, request: str = "", *, again: bool = False) -> Outcome:
        """Execute a command at `at` (microseconds), before whatever waits: for a source that owns the time, which then
        brings its ticks this way only. `again`: an earlier run has checked this tick, so no watcher is told of it.

        Returns once it is decided, which can be before it is durable; waits only while the writer or a slow watcher
        has no room, or a tick is half done. Once it has begun it is done to its end, also when the caller is cancelled.
        Raises Halted when the process has stopped, or stops because of a bug in the engine.
        """
        while not self._writer.halted and (room := self._no_room()) is not None:
            await room()
        if self._writer.halted:
            raise Halted
        outcome = self._decide(command, at, request)
        if not isinstance(outcome, Done):
            return outcome
        if not outcome.more:
            self._done(command, at, outcome.records, again=again)
            return outcome
        self._whole.clear()
        rest = self._finish(command, at, outcome, request, again=again)
        self._finishing = asyncio.create_task(rest, name="rest of a tick")
        return await asyncio.shield(self._finishing)

    def passed_over(self, tick: PriceTick, at: int) -> None:
        """Tell who still counts it of a tick that an earlier run has checked. Nothing is decided."""
        for recount in self.recounters:
            recount(tick, at)

    def _no_room(self) -> Callable[[], Awaitable[object]] | None:
        """What a source that owns the time waits for before its next command; None when there is nothing."""
        if not self._writer.has_room:
            return self._writer.progress
        if self._slow_watcher is not None and self._slow_watcher.is_full:
            return self._slow_watcher.room
        return None if self._whole.is_set() else self._whole.wait

    async def _finish(
        self, command: Command, at: int, outcome: Done, request: str = "", *, again: bool = False
    ) -> Done:
        """Do the steps that are left of a command, all of whose records become durable at once. The loop turns between
        them, and nothing else is executed meanwhile: `_whole` must not be set. Raises Halted for a bug in the engine.
        """
        records = list(outcome.records)
        try:
            while outcome.more:
                await asyncio.sleep(0)
                step = self._decide(command, at, request)
                assert isinstance(step, Done), "a tick is never refused"
                records += step.records
                outcome = step
            self._done(command, at, records, again=again)
            return Done(records)
        finally:
            self._whole.set()
            self._wake.set()

    async def run(self) -> None:
        """Execute what comes until `close`, and then what has come before it. Raises what the engine raised."""
        self._running = True
        try:
            with contextlib.suppress(Halted):  # for the reason that is raised below, or that the writer has said
                while await self._something_to_do():
                    await self._check_ticks()
                    self._refuse_overdue()
                    self._handle_slice()
                    await asyncio.sleep(0)
                await self._whole.wait()
            if self._broken is not None:
                raise self._broken
        finally:
            self._running = False
            self._closing = True
            self._refuse_all(Busy.SHUTTING_DOWN)
            if self._finishing is not None:
                self._finishing.cancel()

    def close(self) -> None:
        """Take nothing more; `run` returns once everything taken is executed."""
        self._closing = True
        self._wake.set()

    async def _something_to_do(self) -> bool:
        """Wait for a tick, or for a request that the writer has room for. False when there will be none."""
        while self._broken is None and not (self._whole.is_set() and self._something_waits):
            if self._writer.halted or (self._closing and not self._inbox and not self._ticks):
                return False
            self._wake.clear()
            await self._pause()
        return self._broken is None

    @property
    def _something_waits(self) -> bool:
        return bool(self._ticks) or (bool(self._inbox) and self._writer.has_room)

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
        outcome = self._decide(tick, at)
        assert isinstance(outcome, Done), "a tick is never refused"
        if outcome.more:
            self._whole.clear()
            await self._finish(tick, at, outcome)
        else:
            self._done(tick, at, outcome.records)

    def _done(self, command: Command, at: int, records: list[Record], *, again: bool = False) -> None:
        """All of a command is decided."""
        if isinstance(command, PriceTick) and not again:
            self._checked(command, at)
        if records:
            self._writer.put(records)

    def _checked(self, tick: PriceTick, at: int) -> None:
        self.ticks_checked += 1
        for watcher in self.watchers:
            try:
                watcher(tick, at)
            except Exception:  # noqa: BLE001 - who watches must not stop who trades
                self.watchers_failed += 1
                if self.watchers_failed == 1:
                    _log.exception("a watcher of ticks failed; from now on such failures are only counted")

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

    def _execute(self, command: Command, request: str) -> Decision:
        """Raises Halted for a bug in the engine."""
        started = time.perf_counter()
        outcome = self._decide(command, self._clock.now_us(), request)
        self.decide_s.note(time.perf_counter() - started)
        if isinstance(outcome, Done) and outcome.records:
            self._writer.put(outcome.records)
        return Decision(outcome, _shows(outcome, command, self._engine.state))

    def _decide(self, command: Command, at: int, request: str = "") -> Outcome:
        """The one way into the engine. Raises Halted for a bug in it: the exchange stops, as its state may be half
        changed, and `run` raises what it was."""
        try:
            return self._engine.execute(command, at, request)
        except BaseException as bug:
            self._broken, self._closing = bug, True
            self._writer.halt()
            self._wake.set()
            raise Halted from bug

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


def _shows(outcome: Outcome, command: Command, state: State) -> int:
    """The newest record that telling this outcome tells of, when it has just been decided."""
    match outcome:
        case Done(records):
            return records[-1].seq if records else 0
        case Repeated(seen):
            return seen.seq
        case Refusal(reject) if reject in _SHOW_NO_RECORD:
            return 0
        case Refusal(reject) if reject in _SHOW_THE_ACCOUNT and isinstance(command, OpenTrade):
            return state.accounts[command.account].seq
        case Refusal():
            return state.seq

"""An asyncio event loop whose time is virtual and whose order is fixed.

Callbacks run one at a time, first come first served; when none is ready, time jumps to the next timer. Every callback
takes a little virtual time, so that a busy loop ages too. The world can be stopped between any two callbacks: whatever
waits at an `await` then waits forever, as in a process that lost its power.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

STEP_S = 2e-6
"""Virtual time that one callback takes."""


class PowerCut(BaseException):
    """The fuse has burnt down: the world stops here. No task may catch it, and it is raised outside of all of them."""


class Stuck(Exception):
    """What was waited for did not come in its time."""


class SimLoop(asyncio.BaseEventLoop):
    """`fuse` counts the callbacks until the power is cut; None while nothing is to happen."""

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__()
        self._now = start_s
        self.steps = 0
        self.fuse: int | None = None
        self.accidents: list[dict[str, Any]] = []
        """What asyncio would have logged: exceptions in callbacks."""
        self._tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self._now

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **options)
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.accidents.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # swept when its time comes

    def turn(self, steps: int) -> None:
        """Run at most so many callbacks that are ready, without waiting for a timer."""
        with self._running():
            for _ in range(steps):
                if not self._step(self._now):
                    return

    def advance(self, seconds: float) -> None:
        """Run everything due in the next `seconds`."""
        until = self._now + seconds
        with self._running():
            while self._step(until):
                pass
        self._now = max(self._now, until)

    def run_until(self, done: Callable[[], bool], limit_s: float) -> None:
        """Run until `done`. Raises Stuck when it is not done in `limit_s` of virtual time, or never will be."""
        until = self._now + limit_s
        with self._running():
            while not done():
                if not self._step(until):
                    raise Stuck

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A new task, from outside of the loop."""
        with self._running():
            return self.create_task(coroutine)

    def drop(self) -> None:
        """Forget every task where it stands. Nothing of what their cleanup does reaches the world."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(Exception, BaseExceptionGroup):  # cleanup that wants to wait can't
                    task.get_coro().close()
        self._tasks.clear()
        self.close()

    @contextmanager
    def _running(self) -> Iterator[None]:
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def _step(self, until: float) -> bool:
        """Run the next callback; False when there is none up to `until`."""
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]
        while True:
            while timers and (timers[0]._when <= self._now or timers[0]._cancelled):
                handle = heapq.heappop(timers)
                handle._scheduled = False
                if not handle._cancelled:
                    ready.append(handle)
            while ready:
                handle = ready.popleft()
                if not handle._cancelled:
                    self._run(handle)
                    return True
            if not timers or timers[0]._when > until:
                return False
            self._now = timers[0]._when

    def _run(self, handle: asyncio.Handle) -> None:
        if self.fuse is not None:
            if self.fuse <= 0:
                raise PowerCut
            self.fuse -= 1
        self.steps += 1
        self._now += STEP_S
        handle._run()


def run_alone(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine on a loop of its own, with virtual time."""
    loop = SimLoop()
    try:
        task = loop.spawn(coroutine)
        loop.run_until(task.done, limit_s=1e6)
        result: T = task.result()
        return result
    finally:
        loop.drop()

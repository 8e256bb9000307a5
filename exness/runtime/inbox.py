"""Requests that wait for the engine. One that finds no place, or waits too long, is refused untouched: "overloaded"
always means that nothing happened."""

import asyncio
from collections import deque
from enum import StrEnum

import msgspec

from exness.core.commands import Command
from exness.core.outcomes import Decision


class Busy(StrEnum):
    """Why a request was not even looked at. Nothing happened."""

    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting_down"


class NotTaken(Exception):
    """The request did not reach the engine."""

    def __init__(self, why: Busy) -> None:
        super().__init__(why)
        self.why = why


class Waiting(msgspec.Struct, gc=False):
    """A request. `since` is loop time."""

    command: Command
    request: str
    since: float
    reply: asyncio.Future[Decision]
    cause: str = ""
    """"": the engine's side names it."""

    def answer(self, answer: Decision | Exception) -> None:
        """Unless whoever asked has gone."""
        if self.reply.done():
            return
        if isinstance(answer, Exception):
            self.reply.set_exception(answer)
        else:
            self.reply.set_result(answer)


class Inbox:
    """First in, first out; at most `size` wait, none much longer than `wait_s` (if `refuse_overdue` is called)."""

    def __init__(self, size: int, wait_s: float) -> None:
        self.size = size
        self.wait_s = wait_s
        self.overloads = 0
        """Requests refused so far, as there was no place or they waited too long."""
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, command: Command, request: str, cause: str = "") -> asyncio.Future[Decision]:
        """Raises NotTaken when it is full; so does the future when it waits too long."""
        if len(self._waiting) >= self.size:
            self.overloads += 1
            raise NotTaken(Busy.OVERLOADED)
        loop = asyncio.get_running_loop()
        self._waiting.append(Waiting(command, request, loop.time(), loop.create_future(), cause))
        return self._waiting[-1].reply

    def pop(self) -> Waiting:
        """The one that came first. Raises IndexError when there is none."""
        return self._waiting.popleft()

    def refuse_overdue(self) -> None:
        oldest_allowed = asyncio.get_running_loop().time() - self.wait_s
        while self._waiting and self._waiting[0].since < oldest_allowed:
            self.overloads += 1
            self.pop().answer(NotTaken(Busy.OVERLOADED))

    def refuse_all(self, why: Busy) -> None:
        while self._waiting:
            self.pop().answer(NotTaken(why))

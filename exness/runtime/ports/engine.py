"""What an exchange stands on: in one process the sequencer, the writer and the projector; spread out, what speaks for
those of other processes."""

from collections.abc import Callable
from typing import Protocol

from exness.core.commands import Command, PriceTick
from exness.core.outcomes import Outcome
from exness.core.rules import Rules

Watcher = Callable[[PriceTick, int], None]
"""Told of a tick and when the engine took it (microseconds). Must be quick."""


class Desk(Protocol):
    """The way into the engine."""

    @property
    def watchers(self) -> list[Watcher]:
        """Called with every tick that was checked, once all that it set off is decided."""
        ...

    @property
    def rules(self) -> Rules:
        """What is configured, and over it what was set by hand."""
        ...

    async def submit(self, command: Command, request: str = "") -> Outcome:
        """Have a command executed; returns when what follows from it may be told. Raises NotTaken when it did not reach
        the engine, Halted when it is not known whether it did."""
        ...


class Durable(Protocol):
    """How far the journal is on disk."""

    @property
    def durable_seq(self) -> int:
        """Everything up to it is on disk. It only rises."""
        ...

    async def durable(self, seq: int) -> None:
        """Return when everything up to `seq` may be told. Raises Halted."""
        ...

    async def on_disk(self, seq: int) -> None:
        """Return when everything up to `seq` is on disk, however the exchange acknowledges. Raises Halted."""
        ...


class InTables(Protocol):
    """How far the tables have come."""

    async def reached(self, seq: int) -> None:
        """Return once the tables hold everything up to `seq`. Raises TablesBehind when that takes too long."""
        ...

"""Time and ids."""

from typing import Protocol


class Clock(Protocol):
    """The exchange's own time: for prices, trades and all that is journaled. Sessions and links go by `WallClock`."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC. Never goes back while the process lives."""
        ...


class Ids(Protocol):
    """Ids nobody can guess."""

    def new(self) -> str: ...

"""Time and ids."""

from typing import Protocol


class Clock(Protocol):
    """The exchange's own time: for prices, trades and all that is journaled. Sessions and links go by `WallClock`."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC. Never goes back while the process lives."""
        ...

    def seconds_until(self, at_us: int) -> float | None:
        """How long it takes, in real seconds, until it shows this time by itself; 0 once it does. None: it won't, or
        whoever moves it brings what is due then."""
        ...


class Ids(Protocol):
    """Ids nobody can guess."""

    def new(self) -> str: ...

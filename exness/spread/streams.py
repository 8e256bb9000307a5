"""What the parts here need of a wire: streams of entries, and keys that end by themselves. Redis has them, and so has
the simulated wire of the tests."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

START = "0-0"
"""Before the first entry of any stream."""


class WireLost(Exception):
    """The wire does not answer. What was being sent may have arrived or not."""


class Entry(NamedTuple):
    """For the end of a stream, of which about `keep` entries stay; 0: all. `only_existing`: nothing happens where there
    is no such stream."""

    stream: str
    payload: bytes
    keep: int = 0
    only_existing: bool = False


Entries = Sequence[tuple[str, bytes]]
"""Ids and payloads, oldest first."""


class Streams(Protocol):
    """One connection. Every method raises WireLost; it is to be closed then, and another one opened."""

    async def send(self, entries: Sequence[Entry]) -> list[bool]:
        """Append entries, in this order. False for one whose stream was not there."""
        ...

    async def read(self, after: Mapping[str, str], wait_s: float, most: int) -> dict[str, Entries]:
        """Entries after these ids, at most so many a stream; when there are none, what comes first within `wait_s`."""
        ...

    async def newest(self, stream: str, most: int, up_to: str = "+") -> Entries:
        """The newest entries, oldest first, none of them after `up_to`."""
        ...

    async def drop_before(self, stream: str, entry: str) -> None:
        """Let go of about what comes before an entry."""
        ...

    async def put(self, key: str, value: bytes, life_s: float) -> None: ...

    async def get(self, key: str) -> bytes | None: ...

    async def expire(self, stream: str, life_s: float) -> bool:
        """Let a stream end by itself, if nobody says so again. False: there is none."""
        ...

    async def delete(self, pattern: str, is_over: Callable[[str], bool]) -> None:
        """Delete what is called like the pattern, and is over by its name."""
        ...

    async def close(self) -> None: ...


class Wire(Protocol):
    """Where connections come from."""

    async def connect(self) -> Streams:
        """Raises WireLost."""
        ...

    def describe(self) -> str:
        """Without secrets."""
        ...


def is_before(one: str, other: str) -> bool:
    """Whether an id of a stream comes before another."""
    return place_of(one) < place_of(other)


def place_of(entry: str) -> tuple[int, int]:
    first, _, second = entry.partition("-")
    return int(first), int(second or 0)


def going_on(after: str, newest: Entries) -> str:
    """Where to go on reading on a new connection, after the entry that was read last; `newest` is the newest one there.

    When that does not come after it, the stream is gone, or was set back to what it once was, by a failover or a
    restart from an old file: what it holds was read before, and only what comes from now on is new."""
    if not newest:
        return START
    return after if is_before(after, newest[-1][0]) else newest[-1][0]

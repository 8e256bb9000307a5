"""A wire and a database on virtual time, with all that can happen to real ones: delays, calls that fail before or
after they had their effect, connections that break, a wire that forgets everything; commits that take long, or
succeed unseen, or are refused because another engine has the shard. Each process reaches them through a gate of
its own, which can be shut: that process is paused, and does not know it."""

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from exness.core.events import Record
from exness.runtime.ports.journal import Fenced, StorageError, StorageUnreachable
from exness.spread.keys import OF_SERVERS, epoch_name
from exness.spread.streams import Entries, Entry, WireLost, place_of
from tests.support.books import START

READ = 50


class Gate:
    """A process's way to everything outside of it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.dead = False

    def pause(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def through(self) -> None:
        await self._open.wait()
        if self.dead:
            await asyncio.Event().wait()


class SimWire:
    """What a Redis holds, for all processes. `trouble` is how likely a call fails."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.trouble = 0.0
        self.streams: dict[str, list[tuple[str, bytes]]] = {}
        self.keys: dict[str, tuple[bytes, float]] = {}
        self.generation = 0
        self._last = (0, 0)
        self._changed = asyncio.Event()
        self.forgotten = 0

    def forget(self) -> None:
        """FLUSHALL."""
        self.streams.clear()
        self.keys.clear()
        self.forgotten += 1

    def crash(self) -> None:
        """It comes back at once, empty."""
        self.forget()
        self.generation += 1
        self.changed()

    def changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def append(self, entry: Entry) -> bool:
        if entry.only_existing and entry.stream not in self.streams:
            return False
        now = round(asyncio.get_running_loop().time() * 1000)
        self._last = (now, 0) if now > self._last[0] else (self._last[0], self._last[1] + 1)
        stream = self.streams.setdefault(entry.stream, [])
        stream.append((f"{self._last[0]}-{self._last[1]}", entry.payload))
        if entry.keep and len(stream) > 2 * entry.keep:
            del stream[: -entry.keep]
        return True


class ProcessWire:
    """Implements `Wire` for one process."""

    def __init__(self, wire: SimWire, gate: Gate) -> None:
        self._wire = wire
        self._gate = gate

    async def connect(self) -> "SimStreams":
        await self._gate.through()
        await asyncio.sleep(0.001)
        return SimStreams(self._wire, self._gate)

    def describe(self) -> str:
        return "a simulated wire"


class SimStreams:
    """Implements `Streams`."""

    def __init__(self, wire: SimWire, gate: Gate) -> None:
        self._wire = wire
        self._gate = gate
        self._generation = wire.generation
        self._mean_s = wire.chance.choice((0.0005, 0.002, 0.02))

    async def send(self, entries: Sequence[Entry]) -> list[bool]:
        await self._begin()
        added = [self._wire.append(entry) for entry in entries]
        self._wire.changed()
        await self._end()
        return added

    async def read(self, after: Mapping[str, str], wait_s: float, most: int) -> dict[str, Entries]:
        await self._begin()
        until = asyncio.get_running_loop().time() + wait_s
        while True:
            found: dict[str, Entries] = {}
            for stream, entry in after.items():
                entries = self._wire.streams.get(stream, [])
                if entries and place_of(entries[-1][0]) > place_of(entry):
                    first = bisect_right(entries, place_of(entry), key=lambda each: place_of(each[0]))
                    found[stream] = entries[first : first + most]
            left = until - asyncio.get_running_loop().time()
            if found or left <= 0:
                await self._end()
                return found
            await self._wire.change(left)
            await self._connected()

    async def newest(self, stream: str, most: int, up_to: str = "+") -> Entries:
        await self._begin()
        entries = self._wire.streams.get(stream, [])
        if up_to != "+":
            entries = entries[: bisect_right(entries, place_of(up_to), key=lambda each: place_of(each[0]))]
        return entries[-most:]

    async def drop_before(self, stream: str, entry: str) -> None:
        await self._begin()
        entries = self._wire.streams.get(stream)
        if entries is not None:
            self._wire.streams[stream] = [each for each in entries if place_of(each[0]) >= place_of(entry)]

    async def put(self, key: str, value: bytes, life_s: float) -> None:
        await self._begin()
        self._wire.keys[key] = (value, asyncio.get_running_loop().time() + life_s)

    async def get(self, key: str) -> bytes | None:
        await self._begin()
        value, end = self._wire.keys.get(key, (None, 0.0))
        return value if end > asyncio.get_running_loop().time() else None

    async def expire(self, stream: str, life_s: float) -> bool:
        await self._begin()
        return stream in self._wire.streams

    async def delete(self, pattern: str, is_over: Callable[[str], bool]) -> None:
        await self._begin()
        for stream in list(self._wire.streams):
            if fnmatchcase(stream, pattern) and is_over(stream):
                del self._wire.streams[stream]

    async def close(self) -> None:
        self._generation = -1

    async def _begin(self) -> None:
        await self._gate.through()
        await asyncio.sleep(self._wire.chance.expovariate(1 / self._mean_s))
        await self._connected()
        if self._wire.chance.random() < self._wire.trouble:
            raise WireLost("it never arrived")

    async def _end(self) -> None:
        await asyncio.sleep(self._wire.chance.expovariate(1 / self._mean_s))
        await self._connected()
        if self._wire.chance.random() < self._wire.trouble:
            raise WireLost("the answer never arrived")

    async def _connected(self) -> None:
        await self._gate.through()
        if self._generation != self._wire.generation:
            raise WireLost("the connection broke")


class SimDatabase:
    """The one truth: records, who may write, and where the prices were with each append. `unseen` is how likely a
    commit succeeds and says otherwise, `slow_s` the mean time of one."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.records: list[Record] = []
        self.epoch = 0
        self.holder = ""
        self.position = ""
        self.positions: list[tuple[int, str]] = []
        """The last record of each append, and the position with it."""
        self.commands: set[str] = set()
        self.unseen = 0.0
        self.slow_s = 0.002
        self.caught = 0
        """Commands that the last net has caught being taken twice."""
        self.away = False

    def take(self) -> str:
        """A new epoch: its name."""
        self.epoch += 1
        self.holder = f"{self.chance.getrandbits(32):08x}"
        return epoch_name(self.epoch, self.holder)

    def append(self, epoch: int, records: Sequence[Record], position: str) -> None:
        if epoch != self.epoch or records[0].seq != len(self.records) + 1:
            raise Fenced("another process is the engine now")
        commands = {record.cause for record in records if record.cause.startswith(OF_SERVERS)}
        if commands & self.commands:
            self.caught += 1
            raise StorageError("a command is taken twice")
        self.commands |= commands
        self.records.extend(records)
        self.position = position
        self.positions.append((records[-1].seq, position))


class SimJournal:
    """Implements `ports.Journal` for one process."""

    def __init__(self, database: SimDatabase, gate: Gate, position: object = None) -> None:
        self._database = database
        self._gate = gate
        self._position = position
        self._epoch = database.epoch
        self._failed = False

    async def append(self, records: Sequence[Record]) -> None:
        if self._failed:
            raise StorageError("it takes no more since a write failed")
        position = self._position(records[-1].seq) if callable(self._position) else ""
        try:
            await asyncio.shield(asyncio.ensure_future(self._commit(list(records), position)))
        except BaseException:
            self._failed = True
            raise
        await self._gate.through()

    async def _commit(self, records: list[Record], position: str) -> None:
        """Once it is on its way it happens, whoever dies meanwhile."""
        database = self._database
        await self._gate.through()
        await asyncio.sleep(database.chance.expovariate(1 / database.slow_s))
        if database.away:
            raise StorageUnreachable("it is away")
        database.append(self._epoch, records, position)
        if database.chance.random() < database.unseen:
            raise StorageUnreachable("the answer was lost")
        await asyncio.sleep(database.chance.expovariate(1 / database.slow_s))

    async def is_ours(self) -> bool:
        await self._asked()
        return self._epoch == self._database.epoch

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        while True:
            await self._asked()
            chunk = self._database.records[after : after + READ]
            if chunk:
                yield chunk
            if len(chunk) < READ:
                return
            after += READ

    async def last_seq(self) -> int:
        await self._asked()
        return len(self._database.records)

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        await self._asked()
        return [self._database.records[seq - 1] for seq in seqs]

    async def check(self, up_to: int) -> None: ...

    async def fingerprint(self, seq: int) -> int:
        return seq

    async def _asked(self) -> None:
        await self._gate.through()
        await asyncio.sleep(0.001)
        if self._database.away:
            raise StorageUnreachable("it is away")


class LoopClock:
    """Implements `ports.Clock` on the loop's own time; each process's may be a little off."""

    def __init__(self, off_us: int = 0) -> None:
        self._off_us = off_us

    def now_us(self) -> int:
        return START + self._off_us + round(asyncio.get_running_loop().time() * 1_000_000)

    def seconds_until(self, at_us: int) -> float | None:
        return max(0, at_us - self.now_us()) / 1_000_000

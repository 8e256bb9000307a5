"""Row of the feed: ticks from the socket to checked, against the same frames received and decoded.

Ours is what `serve` runs: BackpackFeed, guard, tick queue, sequencer with its watchers, engine with open trades; only
the journal is in memory, and nothing is liquidated. The baseline is a bare `websockets` client that hands every frame
to our decoder and drops the quote.
"""

import asyncio
import time
from typing import Any

import uvloop
from websockets.asyncio.client import connect

from exness.app import build as assembly
from exness.config import load
from exness.core.commands import PriceTick
from exness.core.state import State
from exness.feeds.decode import Ignored, decode_frame
from exness.runtime.recovery import Recovered
from exness.storage.opened import Storage
from tests.bench.books import engine_with
from tests.bench.figures import Figure, Round, figure
from tests.bench.flood import frames as encoded
from tests.bench.running import Progress, Settings, in_child, line_of, load_cores, python, started_on
from tests.support.memory_storage import MemoryCandles, MemoryJournal, MemorySnapshots, MemoryTables

OPEN_TRADES = 1_000
TIMEOUT_S = 60.0


async def measure_feed(settings: Settings, progress: Progress) -> list[Figure]:
    """The sender is on the cores of the load, both receivers are on those of the server."""
    with started_on(load_cores(settings)):
        running = python("tests.bench.flood", str(settings.frames))
        flood = await running.__aenter__()
    try:
        port = int(await line_of(flood))
        progress.say(f"feed: {settings.rounds} rounds of {settings.frames:,} frames")
        arguments = {"port": port, "frames": settings.frames, "rounds": settings.rounds}
        done = await in_child(settings, __name__, "feed", **arguments)
    finally:
        await running.__aexit__(None, None, None)
    rounds = [Round(ours, theirs) for ours, theirs in done.pop("rounds")]
    return [figure("feed", "ticks/s", rounds, **done)]


# --- in a process of their own --------------------------------------------------------------------------------------


def feed(port: int, frames: int, rounds: int) -> dict[str, Any]:
    """Ticks a second of each round, ours and the baseline's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_feed(f"ws://127.0.0.1:{port}", port, frames, rounds))


async def _feed(url: str, port: int, frames: int, rounds: int) -> dict[str, Any]:
    state = engine_with(OPEN_TRADES).state
    done, shed = [], 0
    for number in range(rounds):
        async with asyncio.timeout(TIMEOUT_S):
            if number % 2:
                theirs = await decoded_only(url, frames)
                ours, lost = await checked(url, frames, state)
            else:
                ours, lost = await checked(url, frames, state)
                theirs = await decoded_only(url, frames)
        shed += lost
        done.append((ours, theirs))
    return {"rounds": done, "shed": shed, "sender_alone": await received_only(port, frames)}


async def checked(url: str, frames: int, state: State) -> tuple[float, int]:
    """Ticks checked a second, and how many were thinned out of the queue, which no one counts as checked."""
    config = load(None, {}, {"feed.source": "backpack", "feed.url": url})
    journal, tables = MemoryJournal(), MemoryTables(config.instruments())
    storage = Storage(journal, tables, tables, MemoryCandles(), MemorySnapshots())
    source = assembly.make_source(config)
    parts = assembly.make_parts(config, storage, Recovered(state, 0, 0, 0.0, "", []), source)
    sequencer, feed, began, finished = parts.sequencer, source.feed, [0.0], asyncio.Event()
    assert feed is not None

    def watch(_tick: PriceTick, _at: int) -> None:
        if not began[0]:
            began[0] = time.perf_counter()
        if sequencer.ticks_checked + sequencer.ticks.shed >= frames:
            finished.set()

    sequencer.watchers.append(watch)
    async with asyncio.TaskGroup() as tasks:
        sequencing = tasks.create_task(sequencer.run())
        feeding = tasks.create_task(feed.run(sequencer.tick))
        try:
            await finished.wait()
        except asyncio.CancelledError as late:
            raise RuntimeError(f"not all frames became ticks: {dict(feed.counters)}") from late
        seconds = time.perf_counter() - began[0]
        feeding.cancel()
        sequencer.close()
        await sequencing
    return sequencer.ticks_checked / seconds, sequencer.ticks.shed


async def decoded_only(url: str, frames: int) -> float:
    """Frames decoded a second."""
    decimals = {each.symbol: each.decimals for each in load(None, {}, {}).instruments().values()}
    async with connect(url, proxy=None, max_size=1 << 18, close_timeout=1.0) as socket:
        await socket.send("all of it")
        frame = await socket.recv(decode=False)
        began = time.perf_counter()
        for _ in range(frames - 1):
            if isinstance(decode_frame(frame, decimals), Ignored):
                raise AssertionError(frame)
            frame = await socket.recv(decode=False)
        return frames / (time.perf_counter() - began)


async def received_only(port: int, frames: int) -> float:
    """Frames a second that the sender gives a client which does not even look: what the sender can do."""
    expected = len(encoded(frames))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: abc\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x81\x80abcd")
    received = len(await reader.read(1 << 20))
    began = time.perf_counter()
    while received < expected:
        received += len(await reader.read(1 << 22))
    seconds = time.perf_counter() - began
    writer.close()
    return frames / seconds

"""The row of the Binance face's prices: from the tick in the engine to `!bookTicker` at 500 sockets.

The readers are in a process of their own, as light as they can be. Each event says in whole milliseconds when the
engine took its tick, on the machine's clock, which the readers ask when it comes: what is measured is up to one
millisecond too much. All readers and all events count.
"""

import asyncio
import re
import sys
import tempfile
import time
from array import array
from pathlib import Path

import msgspec
import uvloop

from tests.bench.figures import Figure, Round, figure, percentile, timed
from tests.bench.http import first_prices
from tests.bench.running import Progress, Settings, exness, line_of, load_cores, python, quoting, started_on
from tests.support.venue import Venue

TICKS_PER_S = 10.0
SETTLE_S = 1.5
_AT = re.compile(rb'"e":"bookTicker".{1,80}?"T":(\d+)')
_UPGRADE = (
    b"GET /ws/!bookTicker HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Seen(msgspec.Struct):
    """What the readers of one round saw. Latencies are in microseconds."""

    frames: int
    latencies: list[int]


async def measure_tickers(settings: Settings, progress: Progress) -> list[Figure]:
    """Rounds of so many sockets at the venue's ten ticks a second and symbol."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        env = {"EXNESS_LIMITS_CONNECTIONS_PER_IP": "9999"}
        async with Venue() as venue, exness(settings, Path(folder) / "data", venue, env) as server:
            await first_prices(venue, server)
            port = server.url.rpartition(":")[2]
            async with quoting(venue, TICKS_PER_S):
                for number in range(settings.rounds):
                    seen = await _seen(settings, port)
                    rounds.append(_spread(seen))
                    progress.say(
                        f"tickers: round {number + 1}/{settings.rounds}: p99 {rounds[-1]['p99'] / 1000:.1f} ms, "
                        f"{seen.frames / settings.stream_seconds:,.0f} frames/s to {settings.clients} sockets"
                    )
    made = figure(
        "tickers.p99_ms", "ms", [Round(each["p99"] / 1000) for each in rounds], spreads=rounds, sockets=settings.clients
    )
    made.latencies_ms = timed(made, rounds, rounds).latencies_ms
    made.baseline_latencies_ms = {}
    return [made]


def _spread(seen: Seen) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {"n": len(seen.latencies)} | {name: percentile(seen.latencies, share) for name, share in shares.items()}


async def _seen(settings: Settings, port: str) -> Seen:
    with started_on(load_cores(settings)):
        running = python("tests.bench.tickers", port, str(settings.stream_seconds), str(settings.clients))
        process = await running.__aenter__()
    try:
        return msgspec.json.decode(await line_of(process), type=Seen)
    finally:
        await running.__aexit__(None, None, None)


class Reader(asyncio.Protocol):
    """Takes the time of every event that comes whole; one that is cut in two is left out."""

    def __init__(self, latencies: "array[int]") -> None:
        self._latencies = latencies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(_UPGRADE)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now_us = time.time_ns() // 1000
        for match in _AT.finditer(data):
            self._latencies.append(now_us - int(match[1]) * 1000)


async def _read(port: int, seconds: float, sockets: int) -> None:
    """Connect, settle, measure; prints a `Seen`."""
    latencies = array("q")
    loop = asyncio.get_running_loop()
    lines = [await loop.create_connection(lambda: Reader(latencies), "127.0.0.1", port) for _ in range(sockets)]
    await asyncio.sleep(SETTLE_S)
    del latencies[:]
    await asyncio.sleep(seconds)
    found = latencies.tolist()
    print(msgspec.json.encode(Seen(len(found), found)).decode(), flush=True)
    for transport, _ in lines:
        transport.abort()


if __name__ == "__main__":
    uvloop.run(_read(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))

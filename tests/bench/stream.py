"""Rows of a liquidation's way: from the tick at the socket to the event broadcast on `GET /stream`.

With HTTP idle and saturated. Measured from outside, in one process with one clock: it is the venue that sends the tick,
and the client that reads the stream. So the way through two sockets, the feed, the engine, the durable commit and the
broadcast are all in it.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.figures import Figure, Round, figure, latencies_us, timed, unavailable
from tests.bench.http import first_prices, trade_plan
from tests.bench.load import Run
from tests.bench.running import QUOTES, Load, Progress, Settings, exness, load_generator, quote, quoting, tokens
from tests.support.process import Server
from tests.support.venue import Venue

CONNECTIONS = 64
SYMBOL, ASSET = "ETH_USDC", "ETH"
CRASH = 0.985
"""At 100x a long is liquidated a hundredth below where it opened; what saturates HTTP trades another asset."""
WARM_S = 0.6
EVENT_TIMEOUT_S = 10.0


async def measure_stream(settings: Settings, progress: Progress) -> list[Figure]:
    """Idle and saturated in turn."""
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        data_dir = Path(folder) / "data"
        async with (
            Venue() as venue,
            exness(settings, data_dir, venue) as server,
            load_generator(settings, Path(folder)) as load,
        ):
            if (await server.get("/stream")).status == 404:
                why = "not available: this exness has no GET /api/v1/stream"
                return [unavailable("stream.p99", "ms", why), unavailable("stream.p99_ms", "ms", why)]
            await first_prices(venue, server)
            traders, (victim,) = await tokens(data_dir, CONNECTIONS), await tokens(data_dir, 1, "victim")
            async with quoting(venue, settings.quotes_per_s), listening(server, victim) as stream:
                desk = Desk(server, venue, stream, victim)
                return await _rounds(settings, progress, desk, load, traders)


async def _rounds(settings: Settings, progress: Progress, desk: "Desk", load: Load, traders: list[str]) -> list[Figure]:
    rounds, idle_ns, busy_ns, rates = [], [], [], []
    await desk.liquidations(3)
    for number in range(settings.rounds):
        idle = await desk.liquidations(settings.cascades)
        busy, done = await under_load(settings, desk, load, traders)
        rounds.append(Round(latencies_us(busy)["p99"] / 1000, latencies_us(idle)["p99"] / 1000))
        idle_ns += idle
        busy_ns += busy
        rates.append(done.requests / done.seconds)
        progress.say(
            f"stream: round {number + 1}/{settings.rounds}: p99 {rounds[-1].baseline:.1f} ms idle, "
            f"{rounds[-1].measured:.1f} ms at {rates[-1]:,.0f} requests/s"
        )
    # The percentiles of all rounds together: one round has too few liquidations for its own to say much.
    whole = Round(latencies_us(busy_ns)["p99"] / 1000, latencies_us(idle_ns)["p99"] / 1000)
    at_rest, saturated = latencies_us(idle_ns), latencies_us(busy_ns)
    details = {
        "idle": at_rest,
        "saturated": saturated,
        "requests_per_s": rates,
        "each_round": [msgspec.to_builtins(each) for each in rounds],
    }
    return [
        timed(figure("stream.p99", "ms", [whole], **details), [saturated], [at_rest]),
        figure("stream.p99_ms", "ms", [Round(whole.measured)]),
    ]


async def under_load(settings: Settings, desk: "Desk", load: Load, traders: list[str]) -> tuple[list[int], Run]:
    """Liquidations for as long as a round of the load takes, at most so many."""
    plan = trade_plan(settings, traders, CONNECTIONS)
    plan.port, plan.seconds = desk.port, settings.stream_seconds
    loading = asyncio.create_task(load.run(plan))
    await asyncio.sleep(WARM_S)
    busy: list[int] = []
    ends = time.monotonic() + plan.seconds - WARM_S
    while not busy or (time.monotonic() < ends and len(busy) < settings.cascades):
        busy += await desk.liquidations(1)
    done, _ = await loading
    return busy, done


class Desk:
    """Has a trade liquidated and looks at the clock."""

    def __init__(self, server: Server, venue: Venue, stream: ClientConnection, token: str) -> None:
        self._server = server
        self.port = int(server.url.rpartition(":")[2])
        self._venue = venue
        self._stream = stream
        self._token = token
        self._chance = random.Random(7)

    async def liquidations(self, count: int) -> list[int]:
        """Nanoseconds from the tick to the event, of each."""
        return [await self._one() for _ in range(count)]

    async def _one(self) -> int:
        order = {"asset": ASSET, "type": "long", "margin": "1", "leverage": 100}
        opened = await self._server.post("/trade/create", self._token, order)
        if opened.status != 200:
            raise RuntimeError(f"the trade to liquidate was answered {opened.status}: {opened.body}")
        await asyncio.sleep(self._chance.uniform(0.001, 0.02))  # not in step with anything
        began = time.perf_counter_ns()
        await quote(self._venue, SYMBOL, CRASH)
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            await _frame_with(self._stream, "liquidated", opened.body["orderId"])
        took = time.perf_counter_ns() - began
        await quote(self._venue, SYMBOL)
        await self._recovered()
        return took

    async def _recovered(self) -> None:
        """Until the price is back, so that the next trade opens where this one did."""
        while True:
            mark = float((await self._server.get(f"/prices/{ASSET}")).body["mark"])
            if mark > 0.99 * QUOTES[SYMBOL]:
                return
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def listening(server: Server, token: str) -> Any:
    """A client that is told of its trades."""
    url = server.url.replace("http://", "ws://") + "/api/v1/stream"
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, proxy=None, additional_headers=headers, close_timeout=1.0) as stream:
        await stream.send('{"op": "subscribe", "channels": ["trades"]}')
        await stream.send('{"op": "ping"}')
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            await _frame_with(stream, "pong")
        yield stream


async def _frame_with(stream: ClientConnection, kind: str, text: str = "") -> None:
    """Read frames until one is of this type and has this text in it. Raises RuntimeError for an error frame."""
    while True:
        frame = await stream.recv(decode=True)
        found = msgspec.json.decode(frame).get("type")
        if found == "error":
            raise RuntimeError(f"the stream answered {frame!r}")
        if found == kind and text in frame:
            return

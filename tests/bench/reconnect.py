"""Rows of a restart that everybody comes back from at once.

So many clients listen to their trades, are cut off by a restart of the server, and come back in one moment, each to be
told what it has missed. Measured from outside: until the last of them has been told, and what an order of somebody else
takes meanwhile.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect

from tests.bench.figures import Figure, Round, figure, latencies_us
from tests.bench.http import first_prices, trade_plan
from tests.bench.load import Plan
from tests.bench.running import Load, Progress, Settings, exness, load_generator, quoting, tokens
from tests.support.process import Server
from tests.support.venue import Venue

TRADING_S = 1.0
"""How long the clients trade before the restart: that is what they miss."""
ORDERS_S = 4.0
"""How long the other one's orders are timed, the return of the clients in it."""
SERVED_WITHIN_S = 60.0


async def measure_reconnect(settings: Settings, progress: Progress) -> list[Figure]:
    """One restart a round."""
    served: list[Round] = []
    orders: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        data_dir = Path(folder) / "data"
        async with (
            Venue() as venue,
            exness(settings, data_dir, venue) as server,
            load_generator(settings, Path(folder)) as load,
            quoting(venue, settings.quotes_per_s),
        ):
            clients, (other,) = await tokens(data_dir, settings.clients, "client"), await tokens(data_dir, 1, "other")
            for number in range(settings.reconnect_rounds):
                await first_prices(venue, server)
                seqs = await asyncio.gather(*(_listen(server, token) for token in clients))
                await load.run(_plan(settings, server, clients, TRADING_S))
                await server.stop()
                await server.restart()
                await first_prices(venue, server)
                took_s, slow_ms = await _return(settings, server, load, dict(zip(clients, seqs, strict=True)), other)
                served.append(Round(took_s))
                orders.append(Round(slow_ms))
                progress.say(
                    f"reconnect: round {number + 1}/{settings.reconnect_rounds}: {len(clients)} clients in "
                    f"{took_s:.2f} s, another one's orders p99 {slow_ms:.1f} ms"
                )
    return [
        figure("reconnect.served", "s", served, clients=settings.clients),
        figure("reconnect.orders", "ms", orders),
    ]


async def _return(
    settings: Settings, server: Server, load: Load, seqs: dict[str, int], other: str
) -> tuple[float, float]:
    """Seconds until all are served, and the p99 of another one's orders in ms."""
    ordering = asyncio.create_task(load.run(_plan(settings, server, [other], ORDERS_S)))
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    async with asyncio.timeout(SERVED_WITHIN_S):
        await asyncio.gather(*(_listen(server, token, seq) for token, seq in seqs.items()))
    took_s = time.perf_counter() - began
    _, latencies_ns = await ordering
    return took_s, latencies_us(latencies_ns)["p99"] / 1000


def _plan(settings: Settings, server: Server, traders: list[str], seconds: float) -> Plan:
    plan = trade_plan(settings, traders, len(traders))
    plan.port, plan.seconds = int(server.url.rpartition(":")[2]), seconds
    return plan


async def _listen(server: Server, token: str, resume: int | None = None) -> int:
    """Listen to one's trades until all that there is to tell was told; the seq to go on from."""
    url = server.url.replace("http://", "ws://") + "/api/v1/stream"
    asked = {"op": "subscribe", "channels": ["trades"]} | ({} if resume is None else {"resume": resume})
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, proxy=None, additional_headers=headers, close_timeout=0.1) as stream:
        await stream.send(msgspec.json.encode(asked).decode())
        await stream.send('{"op": "ping"}')
        while True:
            frame = msgspec.json.decode(await stream.recv(decode=True))
            if frame["type"] == "error":
                raise RuntimeError(f"the stream answered {frame!r}")
            if frame["type"] == "pong":
                return int(frame["seq"])

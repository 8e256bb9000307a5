"""The row of the Binance face's orders: the same market order, there signed with a key's secret, and through v1.

Both are asked of one process, in turn. Each connection is an account of its own, in which it buys and then sells what
it has bought, so that no round leaves a position behind.
"""

import asyncio
import hmac
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.figures import Figure, Round, figure
from tests.bench.http import API, Side, first_prices, one
from tests.bench.load import Plan, post
from tests.bench.running import Progress, Settings, exness, load_generator, quoting, tokens
from tests.support.process import Server
from tests.support.venue import Venue

QUANTITY = "0.1"
RECEIVED_WITHIN_MS = 60_000
"""The longest `recvWindow`: a round's requests are signed before it."""


async def measure_fapi(settings: Settings, progress: Progress) -> list[Figure]:
    """Requests a second of both, at the most connections that are measured."""
    rounds, details = [], []
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        async with Venue() as venue, exness(settings, Path(folder) / "data", venue) as server:
            await first_prices(venue, server)
            traders = await tokens(server.data_dir, max(settings.connections))
            keys = await asyncio.gather(*(_key(server, token) for token in traders))
            side = Side("exness", int(server.url.rpartition(":")[2]), server.pid)
            async with load_generator(settings, Path(folder)) as load, quoting(venue, settings.quotes_per_s):
                for number in range(settings.rounds):
                    theirs = await one(load, side, v1_plan(settings, traders))
                    ours = await one(load, side, fapi_plan(settings, keys))
                    rounds.append(Round(ours["rate"], theirs["rate"]))
                    details.append({"fapi": ours, "v1": theirs})
                    progress.say(
                        f"fapi: round {number + 1}/{settings.rounds}: {ours['rate']:,.0f} orders/s, "
                        f"v1 {theirs['rate']:,.0f}/s"
                    )
    return [figure("fapi.rate", "req/s", rounds, each=details)]


async def _key(server: Server, token: str) -> tuple[str, bytes]:
    made = await server.post("/keys", token, {"name": "bench", "scopes": ["read", "trade"]})
    assert made.status == 200, made.body
    return made.body["key"], made.body["secret"].encode()


def v1_plan(settings: Settings, traders: list[str]) -> Plan:
    def order(token: str, side: str) -> str:
        return post(f"{API}/net/order", token, f'{{"asset":"SOL","side":"{side}","quantity":"{QUANTITY}"}}')

    return _plan(settings, [(order(token, "buy"), order(token, "sell")) for token in traders])


def fapi_plan(settings: Settings, keys: list[tuple[str, bytes]]) -> Plan:
    at_ms = time.time_ns() // 1_000_000

    def order(key: str, secret: bytes, side: str) -> str:
        wanted = {"symbol": "SOLUSDC", "side": side, "type": "MARKET", "quantity": QUANTITY}
        text = urlencode(wanted | {"timestamp": at_ms, "recvWindow": RECEIVED_WITHIN_MS})
        body = f"{text}&signature={hmac.new(secret, text.encode(), sha256).hexdigest()}"
        return (
            f"POST /fapi/v1/order HTTP/1.1\r\nHost: exness\r\nX-MBX-APIKEY: {key}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )

    return _plan(settings, [(order(*key, "BUY"), order(*key, "SELL")) for key in keys])


def _plan(settings: Settings, orders: list[tuple[str, str]]) -> Plan:
    return Plan(
        port=0,
        connections=len(orders),
        seconds=settings.seconds,
        latencies="",
        requests=[buys for buys, _ in orders],
        closes=[sells for _, sells in orders],
    )

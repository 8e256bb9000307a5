"""The stream of the real process: over a kill -9, and at its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.process import ROOT, Server
from tests.web.streams import Client

HERE = {"PYTHONPATH": str(ROOT)}
"""The code beside these tests, whatever is installed."""
ORDER = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}


@asynccontextmanager
async def listening(server: Server, token: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{server.url}/api/v1/stream") as socket,
    ):
        yield Client(socket)


async def create(server: Server, token: str) -> str | None:
    try:
        answer = await server.post("/trade/create", token, ORDER)
    except aiohttp.ClientError:
        return None
    assert answer.status == 200, answer.body
    order: str = answer.body["orderId"]
    return order


async def test_a_reader_goes_on_after_a_kill_without_a_gap(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env=HERE) as server:
        token = await server.token("ann@example.com")
        async with listening(server, token) as client:
            begin = (await client.snapshot("trades"))["seq"]
            asked = [asyncio.create_task(create(server, token)) for _ in range(200)]
            while len(client.told("trades")) < 20:
                await client.frame()
            server.kill()
            acknowledged = {order for order in await asyncio.gather(*asked) if order is not None}
            assert await client.closed() == 1006
            before = client.told("trades")
        await server.restart()
        async with listening(server, token) as client:
            assert (await client.subscribed("trades", resume=before[-1]["seq"]))["data"]["resumed"] is True
            await client.pong()
            after = client.told("trades")
            rows = (await server.get("/trade/open", token)).body["data"]
        told = [frame["data"]["orderId"] for frame in before + after]
        assert sorted(told) == sorted(row["orderId"] for row in rows), "each trade once"
        assert acknowledged <= set(told)
        seqs = [frame["seq"] for frame in before + after]
        assert seqs == sorted(set(seqs))
        assert seqs[0] > begin


async def test_sigterm_closes_streams_with_their_code_and_does_not_wait_for_them(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env=HERE) as server:
        token = await server.token("ann@example.com")
        async with listening(server, token) as client:
            await client.subscribed("prices", "trades")
            created = await create(server, token)
            stopping = asyncio.create_task(server.stop())
            assert await client.closed() == 1001
            assert [frame["data"]["orderId"] for frame in client.told("trades")] == [created]
            assert await stopping == 0

"""Hold the price and the clock: a test of a client, on an exchange of its own. Needs pytest, aiohttp and exness."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import aiohttp
import pytest

EXNESS = [sys.executable, "-m", "exness"]


@pytest.fixture
def exchange(tmp_path):
    """A fresh exchange with a manual feed on a free port: its address and a session."""
    data = ["--data-dir", str(tmp_path / "data")]
    token = subprocess.check_output([*EXNESS, "token", "you@example.com", *data], text=True).strip()
    command = [*EXNESS, "serve", "--feed", "manual", "--dev-control", "--port", "0", *data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stdout.readline, "")
            yield next(line.split()[-1] for line in lines if line.startswith("listening on")), token
        finally:
            server.terminate()


class Client:
    """The few calls that this test needs. Put your own client here."""

    def __init__(self, http, token):
        self.http, self.token = http, token

    async def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, f"/api/v1{path}", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def set_price(self, asset, mid):
        """Answered when everything that the price set off is on disk."""
        return await self.call("PUT", f"/dev/prices/{asset}", {"mid": str(mid)})

    async def next_event(self, stream, kind):
        async with asyncio.timeout(10):
            while True:
                event = await stream.receive_json()
                if event.get("channel") == "trades" and event["type"] == kind:
                    return event


def test_a_long_is_liquidated_at_its_liquidation_price_and_not_one_unit_above(exchange):
    asyncio.run(open_hold_and_lose(*exchange))


async def open_hold_and_lose(url, token):
    async with aiohttp.ClientSession(url) as http, http.ws_connect("/api/v1/stream") as stream:
        you = Client(http, token)
        await stream.send_json({"op": "auth", "token": token})
        await stream.send_json({"op": "subscribe", "channels": ["trades"]})
        await you.next_event(stream, "snapshot")

        # Open at a price of ours, at a time that stands still.
        await you.call("POST", "/dev/clock", {"paused": True})
        await you.set_price("SOL", "200")
        order = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
        trade = await you.call("POST", "/trade/create", order)
        assert trade["entryPrice"] == "200.000000"
        assert trade["liquidationPrice"] == "180.000000"

        # A minute passes at once. No price lives that long: nothing moves before there is a new one.
        await you.call("POST", "/dev/clock", {"step": 60})
        assert (await you.call("GET", "/prices/SOL"))["state"] == "stale"

        # One unit above the liquidation price the trade is open and has lost all but the last of its margin.
        one_above = Decimal(trade["liquidationPrice"]) + Decimal("0.000001")
        assert (await you.set_price("SOL", one_above))["liquidated"] == 0
        (row,) = (await you.call("GET", "/trade/open"))["data"]
        assert row["unrealizedPnl"] == "-99.999995"

        # At it the trade is gone, sixty seconds old to the microsecond.
        assert (await you.set_price("SOL", trade["liquidationPrice"]))["liquidated"] == 1
        (row,) = (await you.call("GET", "/trade/history"))["data"]
        assert (row["liquidated"], row["pnl"], row["durationSeconds"]) == (True, "-100.000000", 60.0)

        # And the stream has said so.
        event = await you.next_event(stream, "liquidated")
        assert event["data"]["orderId"] == trade["orderId"]

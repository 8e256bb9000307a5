"""Clients in environments of their own (.ci/bots.sh): their processes, and an exchange for them.

What a client prints last is what it found, as one line of JSON: clients run under their own warnings, ours are errors.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.process import ROOT, UNLIMITED, Server, free_port

MANUAL = ("--feed", "manual", "--dev-control")
HERE = Path(__file__).parent
PRICES = {"SOL": "200", "ETH": "3000", "BTC": "100000"}
FRESH_S = 5
"""So often a price is told again: it is good for 30 s."""


class Key(NamedTuple):
    key: str
    secret: str


def python_of(name: str) -> Path:
    """The interpreter of the client's environment; skips the test where there is none."""
    python = ROOT / f".venv-bots-{name}" / "bin" / "python"
    if not (python.parents[1] / "installed").exists():
        pytest.skip(f"{name} is not installed here: .ci/bots.sh {name}")
    return python


async def key_of(server: Server, email: str) -> Key:
    created = await server.post("/keys", await server.token(email), {"name": "bot"})
    assert created.status == 200, created.body
    return Key(created.body["key"], created.body["secret"])


class Desk:
    """An exchange on a port that stays, with prices in the test's hand that never grow old."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.prices: dict[str, str] = {}

    async def price(self, asset: str, mid: str) -> None:
        self.prices[asset] = mid
        answer = await self.server.request("PUT", f"/dev/prices/{asset}", body={"mid": mid})
        assert answer.status == 200, answer.body

    async def step_on(self) -> None:
        """20 seconds pass at once: candles get whole."""
        assert (await self.server.post("/dev/clock", body={"step": 20})).status == 200
        await self.again()

    async def again(self) -> None:
        for asset, mid in tuple(self.prices.items()):
            await self.price(asset, mid)

    async def keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(FRESH_S)
            if self.server.running and self.server.output:
                await self.again()

    async def crash(self) -> None:
        """kill -9, and start again."""
        self.server.kill()
        await self.server.restart()
        await self.again()

    async def books(self) -> Any:
        return (await self.server.get("/dev/books")).body


@asynccontextmanager
async def desk(folder: Path, **prices: str) -> AsyncIterator[Desk]:
    """Ends with books that balance."""
    async with Server(folder / "data", *MANUAL, "--port", str(free_port()), env=UNLIMITED) as server:
        it = Desk(server)
        for asset, mid in (PRICES | prices).items():
            await it.price(asset, mid)
        keeper = asyncio.create_task(it.keep_fresh())
        try:
            yield it
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        assert (await it.books())["balanced"]


async def found_by(name: str, script: str, url: str, key: Key, within_s: float = 60) -> Any:
    """Run scripts/NAME in the client's environment to its end: what it found."""
    process = await asyncio.create_subprocess_exec(
        str(python_of(name)),
        str(HERE / "scripts" / script),
        url,
        env={"PATH": os.environ["PATH"], "KEY": key.key, "SECRET": key.secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{output.decode()}\n{errors.decode()}"
    return json.loads(output.decode().splitlines()[-1])

"""An exchange in this process, and clients of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from exness import __version__
from exness.web.services import Dev
from tests.client.wire import CheckedClient
from tests.support.app import App, Trader, running_app


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """SOL at 200, ETH at 3000, BTC at 100000; dev control is on."""
    async with running_app(dev=Dev(), version=__version__, revocations_look_s=0.0) as app:
        await app.quote_all()
        yield app


@pytest.fixture
async def trader(app: App) -> Trader:
    """Ann, for a look at what the exchange has of her."""
    (ann,) = await app.known("ann")
    return ann


@pytest.fixture
async def ann(app: App, trader: Trader) -> AsyncIterator[CheckedClient]:
    """Her client, which does not wait long."""
    async with CheckedClient(app.url, token=trader.token, longest_wait_s=0.01) as client:
        yield client


async def strike(app: App, on: str, do: str, **rule: Any) -> None:
    """Something goes wrong from now on."""
    answer = await app.request("PUT", "/dev/faults", body={"rules": [{"on": on, "do": do, **rule}]})
    assert answer.status == 200, answer

"""One running app a test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.app import App, Trader, running_app
from tests.web.dev_control import manual_app


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """SOL at 200, ETH at 3000, BTC at 100000."""
    async with running_app() as app:
        await app.quote_all()
        yield app


@pytest.fixture
async def ann(app: App) -> Trader:
    """Signed in, with 5000 USDC."""
    (trader,) = await app.known("ann")
    return trader


@pytest.fixture
async def dev() -> AsyncIterator[App]:
    """Under dev control, with a manual feed."""
    async with manual_app() as (app, _):
        yield app

"""One running app with its Binance face a test."""

from collections.abc import AsyncIterator

import pytest

from tests.binance.face import Bot, TestKey, face
from tests.support.app import App


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with face() as app:
        yield app


@pytest.fixture
def ann(app: App) -> Bot:
    """With 5000 USDC, once she asks."""
    return Bot(app, TestKey("ann"))


@pytest.fixture
def bob(app: App) -> Bot:
    return Bot(app, TestKey("bob"))

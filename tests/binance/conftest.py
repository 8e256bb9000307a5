"""One running app with its Binance face a test."""

from collections.abc import AsyncIterator

import pytest

from tests.binance.face import Bot, bot, face
from tests.support.app import App


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with face() as app:
        yield app


@pytest.fixture
async def ann(app: App) -> Bot:
    """With 5000 USDC, once she asks."""
    return await bot(app, "ann")


@pytest.fixture
async def bob(app: App) -> Bot:
    return await bot(app, "bob")

"""Every storage, under one name: a test that takes `stored` runs against each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.backends import Stored, memory_backend, sqlite_backend

BACKENDS = {"memory": memory_backend, "sqlite": sqlite_backend}


@pytest.fixture(params=BACKENDS)
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stored]:
    async with BACKENDS[request.param](tmp_path) as stored:
        yield stored

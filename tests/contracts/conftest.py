"""Every storage, under one name: a test that takes `stored` runs against each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.backends import Stored, memory_backend, postgres_backend, sqlite_backend
from tests.support.postgres import postgres, schema

__all__ = ["postgres", "schema"]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stored]:
    match request.param:
        case "memory":
            backend = memory_backend(tmp_path)
        case "sqlite":
            backend = sqlite_backend(tmp_path)
        case _:
            backend = postgres_backend(request.getfixturevalue("postgres"), request.getfixturevalue("schema"))
    async with backend as stored:
        yield stored

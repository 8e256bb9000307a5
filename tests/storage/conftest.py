"""The fixtures of verify's tests."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.storage.agreeing import DESK, SNAPSHOTS_AT
from tests.storage.damage import make_directory


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that nobody changes."""
    data_dir = tmp_path_factory.mktemp("original") / "data"
    asyncio.run(make_directory(data_dir, DESK.records, SNAPSHOTS_AT))
    return data_dir


@pytest.fixture
def data_dir(original: Path, tmp_path: Path) -> Path:
    """A directory of its own for each test, in which everything agrees."""
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"

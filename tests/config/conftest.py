"""What every test of settings stands on."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths stand in the messages, and no config.toml is around unless a test writes one."""
    monkeypatch.chdir(tmp_path)

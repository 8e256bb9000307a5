"""storage/database.py: an SQLite that is too old is refused with a sentence, before anything is made or changed."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from exness.runtime.ports.journal import StorageError
from exness.storage.backup import backup, restore
from exness.storage.database import OLDEST_SQLITE, require_sqlite
from exness.storage.datadir import prepare
from exness.storage.verify import verify
from tests.storage.damage import make_directory
from tests.support.books import known_history


def too_old(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))


@pytest.mark.parametrize("version", [(3, 7, 17), (3, 34, 1), (3, 37, 2), (OLDEST_SQLITE[0], OLDEST_SQLITE[1] - 1, 99)])
def test_the_sentence_names_both_versions(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    too_old(monkeypatch, version)
    with pytest.raises(
        StorageError, match=rf"SQLite {version[0]}\.{version[1]}\.{version[2]}, and exness needs 3.38.0"
    ):
        require_sqlite()


@pytest.mark.parametrize("version", [OLDEST_SQLITE, (3, 40, 1), (4, 0, 0)])
def test_one_that_is_new_enough_is_taken(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    too_old(monkeypatch, version)
    require_sqlite()


COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "serve or token": lambda data_dir, other: prepare(other),
    "verify": lambda data_dir, other: verify(data_dir / "journal.db", None, lambda done, total: None),
    "backup": lambda data_dir, other: backup(data_dir, other, lambda done, total: None),
    "restore": lambda data_dir, other: restore(data_dir / "journal.db", other),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_refuses_it_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    data_dir, other = tmp_path / "data", tmp_path / "other"
    data_dir.mkdir()
    await make_directory(data_dir, known_history().records)
    before = {path.name: path.read_bytes() for path in data_dir.iterdir()}
    too_old(monkeypatch, (3, 34, 1))
    with pytest.raises(StorageError, match=r"comes with SQLite 3\.34\.1"):
        COMMANDS[command](data_dir, other)
    assert not other.exists()
    assert {path.name: path.read_bytes() for path in data_dir.iterdir()} == before

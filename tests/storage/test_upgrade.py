"""A directory says which release wrote it; what an upgrade would do is told beforehand, and a copy of it is kept."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exness import __version__
from exness.runtime.ports.journal import StorageError
from exness.storage import upgrade
from exness.storage.archiving import archive, restore_archives
from exness.storage.database import DatabaseRefused, migrations
from exness.storage.files import JOURNAL_DB, MAIN_DB
from exness.storage.journal import JOURNAL
from exness.storage.rebuild import rebuild
from exness.storage.repair import find_damage
from exness.storage.sqlite import open_storage
from exness.storage.upgrade import keep_copies, plan
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import random_trading
from tests.storage.damage import checked, contents, make_directory
from tests.support.process import Server, finished

FIXTURES = Path(__file__).parents[1] / "fixtures"
NEWEST = len(migrations(JOURNAL))


def quietly(done: int, total: int) -> None:
    """Nobody watches the progress."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Of a release with a journal.db of schema 1."""
    folder = tmp_path / "data"
    folder.mkdir()
    for file in (FIXTURES / "release-0.1.0-journal-db").glob("*.db"):
        shutil.copy(file, folder / file.name)
    return folder


async def test_a_directory_says_which_releases_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_directory(tmp_path, random_trading(1, 20).records)
    for release in (__version__, "1.0.0", "1.0.0"):
        monkeypatch.setattr(upgrade, "__version__", release)
        async with open_storage(tmp_path, INSTRUMENTS):
            pass
    rows = with_own_connection(tmp_path / JOURNAL_DB, "SELECT version, seq > 0 FROM releases ORDER BY number")
    assert rows == [(__version__, 0), ("1.0.0", 1)]
    assert plan(tmp_path) == upgrade.Upgrade("1.0.0", [])


async def test_a_directory_of_a_newer_release_is_refused_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_directory(tmp_path, random_trading(1, 20).records)
    monkeypatch.setattr(upgrade, "__version__", "99.0.1")
    async with open_storage(tmp_path, INSTRUMENTS):
        pass
    monkeypatch.undo()
    before = with_own_connection(tmp_path / JOURNAL_DB, "SELECT * FROM releases")
    said = rf"was written by exness 99\.0\.1, and this is {__version__}, an older one: use 99\.0\.1 or newer"
    with pytest.raises(DatabaseRefused, match=said):
        async with open_storage(tmp_path, INSTRUMENTS):
            pass
    with pytest.raises(DatabaseRefused, match=said):
        plan(tmp_path)
    for change in (rebuild, archive, restore_archives, find_damage):
        with pytest.raises(DatabaseRefused, match=said):
            change(tmp_path, quietly)
    assert with_own_connection(tmp_path / JOURNAL_DB, "SELECT * FROM releases") == before


def test_what_would_happen_is_told_and_nothing_changed(older: Path) -> None:
    before = contents(older)
    release, steps = plan(older)
    assert release == ""
    what = {step.file: step.what for step in steps}
    assert f"schema 1 becomes {NEWEST}" in what[JOURNAL_DB]
    assert "is kept as journal.db.schema-1" in what[JOURNAL_DB]
    assert "its tables are made anew from" in what[MAIN_DB]
    assert all(step.seconds < 1 for step in steps)
    assert contents(older) == before


@pytest.mark.parametrize("release", ["release-0.1.0", "release-0.1.0-schema-5"])
def test_a_journal_in_main_db_is_said_to_be_taken_over(release: str, tmp_path: Path) -> None:
    for file in (FIXTURES / release).glob("*.db"):
        shutil.copy(file, tmp_path / file.name)
    before = contents(tmp_path)
    said = " ".join(step.what for step in plan(tmp_path).steps)
    assert "it holds an older version's journal, which is copied to journal.db and compared" in said
    assert contents(tmp_path) == before


def test_a_copy_is_what_was_and_is_made_once(older: Path) -> None:
    with closing(sqlite3.connect(older / JOURNAL_DB)) as journal:
        before = list(journal.iterdump())
    made = keep_copies(older, quietly)
    assert older / "journal.db.schema-1" in made
    with closing(sqlite3.connect(older / "journal.db.schema-1")) as copy:
        assert list(copy.iterdump()) == before
    assert keep_copies(older, quietly) == []
    assert not list(older.glob("*.part"))


def test_of_a_large_database_no_copy_is_kept_and_that_is_said(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "LARGEST_COPY", 100)
    assert "it is too large for a copy to be kept" in plan(older).steps[0].what
    assert keep_copies(older, quietly) == []


def test_there_is_nothing_to_upgrade_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no exchange: nothing to upgrade"):
        plan(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
async def test_the_command_checks_and_upgrades_and_a_start_keeps_the_copy_too(older: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    shutil.copytree(older, started)
    before = contents(older)
    check = await finished("upgrade", "--check", "--data-dir", str(older), cwd=tmp_path)
    assert (check.code, check.errors) == (0, "")
    assert "nothing was changed" in check.output
    assert contents(older) == before
    done = await finished("upgrade", "--data-dir", str(older), cwd=tmp_path)
    assert done.code == 0, done.errors
    assert "is upgraded; journal.db.schema-1 is what was" in done.output
    again = await finished("upgrade", "--check", "--data-dir", str(older), cwd=tmp_path)
    assert f"was last written by exness {__version__}: there is nothing to upgrade" in again.output
    report = checked(older)
    assert report.tables == report.records
    async with Server(started) as server:
        assert server.banner("state") == report.digest
    assert (started / "journal.db.schema-1").exists()

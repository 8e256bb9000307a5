"""`exness archive`: the beginning of the journal moves into files beside it, and nothing of it is lost or changed."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from exness.core.capture import digest_of
from exness.runtime.ports.journal import StorageError
from exness.runtime.recovery import recover
from exness.storage import archiving
from exness.storage.archive import ArchiveMissing, Archives, rows_after
from exness.storage.archiving import ARCHIVE_LOCK, DRAFT, archive, restore_archives
from exness.storage.backup import backup, restore
from exness.storage.codec import FINGERPRINTED, RawRow
from exness.storage.database import transaction
from exness.storage.datadir import locked, locked_for
from exness.storage.files import JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB
from exness.storage.rebuild import rebuild
from exness.storage.repair import find_damage
from exness.storage.sqlite import open_storage
from exness.storage.verify_tables import Difference
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import random_trading
from tests.storage.damage import checked, contents, make_directory, tamper

DESK = random_trading(31, 2_600)
LAST = DESK.state.seq
SNAPSHOT = LAST - 100
"""The oldest that is kept."""
GOES = SNAPSHOT - FINGERPRINTED


def quietly(done: int, total: int) -> None:
    """Nobody watches the progress."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "data"
    asyncio.run(make_directory(folder, DESK.records, [SNAPSHOT, LAST]))
    return folder


@pytest.fixture
def data_dir(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stopped exchange's. Archives are small, so that there are many of everything."""
    monkeypatch.setattr(archiving, "FEWEST", 10)
    monkeypatch.setattr(archiving, "RECORDS_PER_BLOCK", 50)
    monkeypatch.setattr(archiving, "RECORDS_PER_PIECE", 400)
    monkeypatch.setattr(archiving, "ROWS_AT_ONCE", 70)
    monkeypatch.setattr(archiving, "PAUSE_S", 0)
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def archived(data_dir: Path) -> Path:
    """The same, archived."""
    assert archive(data_dir, quietly).pieces
    return data_dir


def rows_of(data_dir: Path) -> list[RawRow]:
    """All records, from wherever they lie."""
    with closing(sqlite3.connect(data_dir / JOURNAL_DB)) as journal, closing(Archives(data_dir)) as archives:
        return list(rows_after(journal, archives, 0))


def left_in(data_dir: Path) -> tuple[int, int]:
    """The first and the last record in journal.db."""
    ((first, last),) = with_own_connection(data_dir / JOURNAL_DB, "SELECT min(seq), max(seq) FROM journal")
    assert isinstance(first, int)
    assert isinstance(last, int)
    return first, last


def files_of(data_dir: Path) -> list[str]:
    return sorted(path.name for path in data_dir.glob("*.archive*"))


def test_what_lies_behind_every_snapshot_moves_and_verify_reads_both(data_dir: Path) -> None:
    before, rows = checked(data_dir), rows_of(data_dir)
    done = archive(data_dir, quietly)
    assert (done.snapshot, left_in(data_dir)) == (SNAPSHOT, (GOES + 1, LAST))
    assert [(piece.first, piece.last) for _, piece, _ in done.pieces] == [
        (first, min(first + 399, GOES)) for first in range(1, GOES + 1, 400)
    ]
    assert files_of(data_dir) == [path.name for path, _, _ in done.pieces]
    assert done.after < done.before, "the file gives its room back"
    assert sum(size for _, _, size in done.pieces) < done.before / 2, "what is archived is compressed"
    after = checked(data_dir)
    assert (after.digest, after.records, after.archived) == (before.digest, LAST, GOES)
    assert (after.tables, after.snapshots) == (LAST, 2)
    assert rows_of(data_dir) == rows
    assert not archive(data_dir, quietly).pieces, "there is nothing more to archive"


def test_a_restore_gives_the_journal_as_it_was_before(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / JOURNAL_DB)) as journal:
        before = list(journal.iterdump())
    archive(data_dir, quietly)
    assert restore_archives(data_dir, quietly) == GOES
    with closing(sqlite3.connect(data_dir / JOURNAL_DB)) as journal:
        assert list(journal.iterdump()) == before
    assert files_of(data_dir) == []
    assert checked(data_dir).archived == 0
    assert restore_archives(data_dir, quietly) == 0


async def test_a_start_needs_no_archive_and_old_records_are_read_from_it(archived: Path, tmp_path: Path) -> None:
    async with open_storage(archived, INSTRUMENTS) as storage:
        assert [record async for chunk in storage.journal.read() for record in chunk] == DESK.records
        assert await storage.journal.pick([1, GOES, GOES + 1]) == [DESK.records[seq - 1] for seq in (1, GOES, GOES + 1)]
    away = tmp_path / "away"
    away.mkdir()
    for name in files_of(archived):
        (archived / name).rename(away / name)
    async with open_storage(archived, INSTRUMENTS) as storage:
        recovered = await recover(storage.journal, storage.snapshots)
        assert (recovered.digest, recovered.notes) == (digest_of(DESK.state), [])
        await storage.journal.check(LAST)
        with pytest.raises(ArchiveMissing, match=r"records 1 to 400 of the journal are archived, and .* is not there"):
            await storage.journal.pick([1])


async def test_the_oldest_snapshot_does_when_the_newer_ones_are_damaged(archived: Path) -> None:
    tamper(archived / SNAPSHOTS_DB, "UPDATE chunks SET checksum = checksum + 1 WHERE seq = ?", LAST)
    for name in files_of(archived):
        (archived / name).unlink()
    async with open_storage(archived, INSTRUMENTS) as storage:
        recovered = await recover(storage.journal, storage.snapshots)
    assert (recovered.digest, recovered.replayed) == (digest_of(DESK.state), LAST - SNAPSHOT)


def test_tables_are_made_anew_from_both(archived: Path) -> None:
    assert rebuild(archived, quietly) == LAST
    assert checked(archived).tables == LAST
    assert find_damage(archived, quietly) is None


def test_a_backup_has_what_is_archived(archived: Path, tmp_path: Path) -> None:
    backup(archived, tmp_path / "copy.db", quietly)
    restore(tmp_path / "copy.db", tmp_path / "restored")
    assert left_in(tmp_path / "restored") == (1, LAST)
    assert checked(tmp_path / "restored").digest == digest_of(DESK.state)
    with pytest.raises(StorageError, match=f"no backup but a journal of which records up to {GOES} are archived"):
        restore(archived / JOURNAL_DB, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def remove(path: Path) -> None:
    path.unlink()


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_a_byte(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        ((records,),) = connection.execute("SELECT records FROM blocks ORDER BY last DESC LIMIT 1").fetchall()
        changed = bytes([records[0], records[1], records[2] ^ 1]) + records[3:]
        connection.execute("UPDATE blocks SET records = ? WHERE last = (SELECT max(last) FROM blocks)", (changed,))


def put_another_in_its_place(path: Path) -> None:
    shutil.copy(sorted(path.parent.glob("*.archive"))[-1], path)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (remove, "is not there: put it back"),
        (cut_in_half, "is damaged"),
        (empty, "is damaged"),
        (change_a_byte, "its checksum is not the one that the journal keeps"),
        (put_another_in_its_place, "its checksum is not the one that the journal keeps"),
    ],
)
def test_an_archive_that_is_not_as_it_was_is_told_by_name_and_nothing_changes(
    archived: Path, tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    path = archived / files_of(archived)[0]
    harm(path)
    before = contents(archived)
    doings: list[Callable[[], object]] = [
        lambda: checked(archived),
        lambda: backup(archived, tmp_path / "copy.db", quietly),
        lambda: restore_archives(archived, quietly),
    ]
    for do in doings:
        with pytest.raises(StorageError) as refusal:
            do()
        assert path.name in str(refusal.value)
        assert why in str(refusal.value)
    assert not (tmp_path / "copy.db").exists()
    after = contents(archived)
    assert {name: after[name][0] for name in before} == {name: before[name][0] for name in before}


async def test_tables_are_not_given_up_while_an_archive_is_missing_or_empty(archived: Path) -> None:
    first = archived / files_of(archived)[0]
    first.unlink()
    tamper(archived / MAIN_DB, "UPDATE watermark SET checksum = checksum + 1")
    with pytest.raises(StorageError, match=r"made anew from all records, as they are of another journal.*put it back"):
        async with open_storage(archived, INSTRUMENTS):
            pass
    assert (archived / MAIN_DB).exists()
    with pytest.raises(StorageError, match="the tables are made of all records: records 1 to 400"):
        rebuild(archived, quietly)
    assert (archived / MAIN_DB).exists()
    first.touch()
    with pytest.raises(StorageError, match=r"are made of all records: the archive .*\(it is empty\)"):
        rebuild(archived, quietly)
    assert (archived / MAIN_DB).exists()


def test_nothing_is_archived_that_no_whole_snapshot_confirms(data_dir: Path) -> None:
    tamper(data_dir / SNAPSHOTS_DB, "UPDATE chunks SET checksum = checksum + 1")
    with pytest.raises(StorageError, match=r"no snapshot in .* is whole: nothing was archived"):
        archive(data_dir, quietly)
    (data_dir / SNAPSHOTS_DB).unlink()
    with pytest.raises(StorageError, match="only what lies behind a snapshot can be archived"):
        archive(data_dir, quietly)
    assert (left_in(data_dir), files_of(data_dir)) == ((1, LAST), [])


def test_a_damaged_record_is_not_archived(data_dir: Path) -> None:
    tamper(data_dir / JOURNAL_DB, "UPDATE journal SET payload = payload || ' ' WHERE seq = 700")
    with pytest.raises(StorageError, match="journal record 700 is damaged"):
        archive(data_dir, quietly)
    with pytest.raises(Difference):
        checked(data_dir)
    assert (left_in(data_dir), files_of(data_dir)) == ((1, LAST), [])


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("lives", [1, 2, 3, 5, 8, 13, 21, 34])
def test_killed_between_any_two_steps_the_next_run_goes_on(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, lives: int
) -> None:
    rows, digest = rows_of(data_dir), checked(data_dir).digest
    real, left = transaction, [lives]

    def counted(connection: sqlite3.Connection) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return real(connection)

    for do in (archive, restore_archives):
        kills = 0
        while True:
            left[0] = lives
            monkeypatch.setattr(archiving, "transaction", counted)
            try:
                do(data_dir, quietly)
                break
            except Killed:
                kills += 1
            finally:
                monkeypatch.setattr(archiving, "transaction", real)
            assert rows_of(data_dir) == rows
            assert kills < 100, "each run goes further"
        report = checked(data_dir)
        assert (report.digest, report.archived) == (digest, GOES if do is archive else 0)
        assert rows_of(data_dir) == rows
    assert files_of(data_dir) == []


def test_what_a_killed_run_left_half_written_or_unknown_is_replaced(data_dir: Path) -> None:
    (data_dir / DRAFT).write_bytes(b"half an archive")
    unknown = data_dir / f"journal-{1:012d}-{77:012d}.archive"
    unknown.write_bytes(b"the journal does not know it")
    archive(data_dir, quietly)
    assert not (data_dir / DRAFT).exists()
    assert not unknown.exists()
    assert checked(data_dir).archived == GOES


def test_an_archive_that_a_killed_restore_has_emptied_goes_with_the_next_one(data_dir: Path) -> None:
    archive(data_dir, quietly)
    kept = {path: path.read_bytes() for path in data_dir.glob("*.archive")}
    assert kept
    restore_archives(data_dir, quietly)
    for path, content in kept.items():  # killed before they were removed
        path.write_bytes(content)
    assert restore_archives(data_dir, quietly) == 0
    assert list(data_dir.glob("*.archive")) == []


def test_one_archives_at_a_time_and_a_restore_needs_the_server_stopped(archived: Path) -> None:
    with locked_for(archived, ARCHIVE_LOCK, "archive"), pytest.raises(StorageError, match="another exness archive"):
        archive(archived, quietly)
    with locked(archived), pytest.raises(StorageError, match="in use by another exness server"):
        restore_archives(archived, quietly)


def test_a_directory_without_a_journal_is_named(tmp_path: Path) -> None:
    for do in (archive, restore_archives):
        with pytest.raises(StorageError, match=r"journal\.db is not there: nothing to"):
            do(tmp_path, quietly)
    assert list(tmp_path.iterdir()) == []

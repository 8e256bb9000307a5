"""backup and restore: one consistent file from a server that runs, and back; nothing is overwritten, nothing half."""

import asyncio
import os
import re
import resource
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exness.access.api_keys import ApiKey, ApiKeys, Sealer
from exness.core.capture import digest_of
from exness.runtime.clock import WallClock
from exness.runtime.ports.journal import StorageError
from exness.storage import backup as backups
from exness.storage.auth import AUTH_DB, open_auth
from exness.storage.backup import RestoredKeys, backup, restore
from exness.storage.datadir import locked
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from exness.storage.verify import verify
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import random_trading
from tests.storage.damage import checked, contents, make_directory, tamper
from tests.support.process import Server, finished
from tests.support.waiting import until

DESK = random_trading(31)
ORDER = {"asset": "SOL", "type": "long", "margin": "1.25", "leverage": 2}
BEFORE, DURING = 60, 40
"""Trades acknowledged before the backup begins, and at least while it is made."""


def quietly(done: int, total: int) -> None:
    """Nobody watches the progress."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    asyncio.run(make_directory(tmp_path / "data", DESK.records, [DESK.state.seq]))
    return tmp_path / "data"


@pytest.fixture
def copy(data_dir: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    backup(data_dir, tmp_path / "copy.db", quietly)
    return tmp_path / "copy.db"


# --- from a server that runs ----------------------------------------------------------------------------------------


async def trade_on(server: Server, token: str, acknowledged: list[dict[str, Any]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        answer = await server.post("/trade/create", token, ORDER)
        assert answer.status == 200, answer.body
        acknowledged.append(answer.body)
        closed = await server.post("/trade/close", token, {"orderId": answer.body["orderId"]})
        assert closed.status == 200, closed.body


async def count(acknowledged: list[dict[str, Any]], wanted: int) -> None:
    await until(lambda: len(acknowledged) >= wanted, within_s=60)


@pytest.mark.slow
async def test_a_backup_under_load_holds_everything_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    data_dir, file, restored = tmp_path / "data", tmp_path / "copy.db", tmp_path / "restored"
    acknowledged: list[dict[str, Any]] = []
    stop = asyncio.Event()
    async with Server(data_dir) as server:
        tokens = [await server.token(f"user{number}@example.com") for number in range(3)]
        async with asyncio.TaskGroup() as load:
            for token in tokens * 3:
                load.create_task(trade_on(server, token, acknowledged, stop))
            await count(acknowledged, BEFORE)
            before = list(acknowledged)
            done = await finished("backup", str(file), "--data-dir", str(data_dir), cwd=tmp_path)
            assert (done.code, done.errors) == (0, "")
            assert done.output == f"backed up {data_dir} to {file}, {file.stat().st_size:,} bytes\n"
            await count(acknowledged, len(before) + DURING)  # the server was not in the way, nor it in the server's
            stop.set()
        assert await server.stop() == 0

    checked = await finished("verify", str(file), "--data-dir", str(data_dir), cwd=tmp_path)
    assert (checked.code, checked.errors) == (0, "")
    done = await finished("restore", str(file), "--data-dir", str(restored), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    checked = await finished("verify", "--data-dir", str(restored), cwd=tmp_path)
    assert (checked.code, checked.errors) == (0, "")

    async with Server(restored) as server:
        assert server.banner("state") in checked.output
        rows: dict[str, dict[str, Any]] = {}
        tokens = [await server.token(f"user{number}@example.com") for number in range(3)]
        for token in tokens:
            listed = await server.get("/trade/history?limit=500", token)
            assert listed.body["pagination"]["hasMore"] is False
            rows |= {row["orderId"]: row for row in listed.body["data"]}
        for created in before:
            assert rows[created["orderId"]]["entryPrice"] == created["entryPrice"]
            assert rows[created["orderId"]]["createdAt"] == created["createdAt"]
        assert (await server.post("/trade/create", tokens[0], ORDER)).status == 200


def test_it_is_the_moment_at_which_it_began_however_much_is_written_meanwhile(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every step of the copy there is another commit; the copy neither shows one nor begins again."""
    monkeypatch.setattr(backups, "PAGES_PER_STEP", 3)
    steps: list[tuple[int, int]] = []
    with closing(sqlite3.connect(data_dir / JOURNAL_DB, isolation_level=None)) as server:
        server.execute("PRAGMA journal_mode = WAL").fetchone()
        server.execute("CREATE TABLE load (step INTEGER)")

        def write(done: int, total: int) -> None:
            steps.append((done, total))
            server.execute("INSERT INTO load VALUES (?)", (len(steps),))

        backup(data_dir, tmp_path / "copy.db", write)
    assert len(steps) > 5
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    assert with_own_connection(tmp_path / "copy.db", "SELECT count(*) FROM load") == [(0,)]
    assert verify(tmp_path / "copy.db", None, quietly).digest == digest_of(DESK.state)


def test_a_backup_is_one_file_for_its_owner_only(copy: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]
    assert copy.stat().st_mode & 0o077 == 0
    assert with_own_connection(copy, "PRAGMA journal_mode") == [("delete",)]
    assert with_own_connection(copy, "PRAGMA integrity_check") == [("ok",)]


async def test_a_backup_of_a_stopped_exchange_leaves_it_as_it_was(data_dir: Path, copy: Path) -> None:
    assert checked(data_dir).digest == digest_of(DESK.state)
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        assert await storage.journal.last_seq() == DESK.state.seq


def test_a_long_one_shows_its_progress(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "PAGES_PER_STEP", 5)
    seen: list[tuple[int, int]] = []
    backup(data_dir, tmp_path / "copy.db", lambda done, total: seen.append((done, total)))
    pages = with_own_connection(tmp_path / "copy.db", "PRAGMA page_count")[0][0]
    assert len(seen) > 2
    assert isinstance(pages, int)
    copied = pages - 2  # the candles come after it
    assert seen[-1] == (copied, copied)
    assert {total for _, total in seen} == {copied}


# --- what a backup refuses ------------------------------------------------------------------------------------------


def refused(data_dir: Path, file: Path) -> str:
    before = contents(file.parent) if file.parent.is_dir() else {}
    with pytest.raises(StorageError) as refusal:
        backup(data_dir, file, quietly)
    assert "\n" not in str(refusal.value)
    after = contents(file.parent) if file.parent.is_dir() else {}
    # A database in WAL mode gets an index when it is opened; nothing else may be there that was not there before.
    assert {name for name in after if not name.endswith(("-shm", "-wal"))} == set(before)
    return str(refusal.value)


def test_an_existing_file_is_never_overwritten(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("precious")
    assert "is there already: name a new file" in refused(data_dir, file)
    assert file.read_text() == "precious"


def test_a_file_that_appears_while_the_backup_is_made_is_not_overwritten(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"

    def appear(done: int, total: int) -> None:
        file.write_text("precious")

    with pytest.raises(StorageError, match="is there already: name a new file"):
        backup(data_dir, file, appear)
    assert file.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]


def test_a_place_that_can_not_be_written_is_named(data_dir: Path, tmp_path: Path) -> None:
    sentence = refused(data_dir, tmp_path / "no such directory" / "copy.db")
    assert "no such directory/copy.db can't be written: No such file or directory" in sentence
    (tmp_path / "file").write_text("")
    assert "file/copy.db can't be written: Not a directory" in refused(data_dir, tmp_path / "file" / "copy.db")


def test_a_missing_data_directory_is_named(tmp_path: Path) -> None:
    assert "journal.db is not there: nothing to back up" in refused(tmp_path / "nowhere", tmp_path / "copy.db")
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_exchange_is_not_backed_up(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / JOURNAL_DB).write_bytes(b"this is no database" * 1000)
    assert "journal.db is damaged or no SQLite database" in refused(tmp_path / "data", tmp_path / "copy.db")
    (tmp_path / "data" / JOURNAL_DB).unlink()
    with_own_connection(tmp_path / "data" / JOURNAL_DB, "CREATE TABLE theirs (a)")
    assert "belongs to another application" in refused(tmp_path / "data", tmp_path / "copy.db")
    (tmp_path / "data" / JOURNAL_DB).write_bytes(b"")
    assert "journal.db is empty: nothing to back up" in refused(tmp_path / "data", tmp_path / "copy.db")


@pytest.mark.slow
async def test_a_full_disk_leaves_no_part_of_a_backup(data_dir: Path, tmp_path: Path) -> None:
    """The limit is the operating system's: no file of that process may grow beyond it."""
    limit = (data_dir / JOURNAL_DB).stat().st_size // 2
    target = tmp_path / "elsewhere"
    target.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exness", "backup", str(target / "copy.db"), "--data-dir", str(data_dir)),
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert f"the backup {target / 'copy.db'} can't be made" in errors.decode()
    assert len(errors.decode().splitlines()) == 1
    assert os.listdir(target) == []  # noqa: PTH208


# --- restore --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_restored_directory_has_the_state_and_serves(copy: Path, tmp_path: Path) -> None:
    restore(copy, tmp_path / "new" / "data")
    assert verify(tmp_path / "new" / "data" / JOURNAL_DB, None, quietly).digest == digest_of(DESK.state)
    assert (tmp_path / "new" / "data" / JOURNAL_DB).stat().st_mode & 0o077 == 0
    async with Server(tmp_path / "new" / "data") as server:
        assert server.banner("state") == digest_of(DESK.state)
        assert server.recovered.snapshot == 0
        assert await server.stop() == 0


async def test_a_journal_that_was_copied_with_its_log_is_restored_with_it(tmp_path: Path) -> None:
    """Somebody copied the files of a directory instead of using `backup`: the newest records are in the log."""
    async with open_storage(tmp_path / "data", INSTRUMENTS) as storage:
        await storage.journal.append(DESK.records)
        for name in (JOURNAL_DB, f"{JOURNAL_DB}-wal"):
            shutil.copy(tmp_path / "data" / name, tmp_path / name)
    restore(tmp_path / JOURNAL_DB, tmp_path / "restored")
    assert verify(tmp_path / "restored" / JOURNAL_DB, None, quietly).records == DESK.state.seq


@pytest.mark.slow
@pytest.mark.parametrize(
    ("secret", "auth"),
    [("kept", "none"), ("kept", "older"), ("in the environment", "newest"), ("in the environment", "none")],
)
async def test_a_restore_ends_every_session_and_link_from_before_it(tmp_path: Path, secret: str, auth: str) -> None:
    """Whatever else somebody brings to the new directory: the secret, and an auth.db from before or after the ends."""
    env = {"EXNESS_AUTH_SECRET": "s" * 40} if secret == "in the environment" else {}
    data_dir, restored = tmp_path / "data", tmp_path / "restored"
    restored.mkdir()
    async with Server(data_dir, env=env) as server:
        live, logged_out = await server.token("ann@example.com"), await server.token("ann@example.com")
        revoked = await server.token("bob@example.com")
        for token in (live, logged_out, revoked):
            assert (await server.get("/balance", token)).status == 200
        assert (await server.post("/signin", body={"email": "ann@example.com"})).status == 200
        link = await mailed_link(data_dir)
        if auth == "older":
            copy_auth(data_dir, restored)
        assert (await server.post("/logout", logged_out)).status == 200
        done = await finished("token", "--revoke", "bob@example.com", "--data-dir", str(data_dir), cwd=tmp_path)
        assert done.code == 0
        done = await finished("backup", str(tmp_path / "copy.db"), "--data-dir", str(data_dir), cwd=tmp_path)
        assert done.code == 0
        if auth == "newest":
            copy_auth(data_dir, restored)
    if secret == "kept":
        shutil.copy(data_dir / "secret", restored / "secret")

    done = await finished("restore", str(tmp_path / "copy.db"), "--data-dir", str(restored), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert done.output.splitlines()[1:] == [
        "sessions and sign-in links from before the restore are ended: everyone signs in again"
    ]
    async with Server(restored, env=env) as server:
        for _ in range(2):
            for token in (live, logged_out, revoked):
                assert (await server.get("/balance", token)).status == 401
            assert (await server.get(f"/signin/post?token={link}")).status == 401
            again = [await server.token(f"{name}@example.com") for name in ("ann", "bob")]
            assert [(await server.get("/balance", token)).status for token in again] == [200, 200]
            server.kill()
            await server.restart()


async def mailed_link(data_dir: Path) -> str:
    """The token of the one link that was mailed."""
    outbox = data_dir / "outbox"
    await until(lambda: list(outbox.glob("*.eml")), "for a mail", pause_s=0.02)
    (mail,) = outbox.glob("*.eml")
    match = re.search(r"token=([A-Za-z0-9_-]{43})", mail.read_text())
    assert match is not None
    return match.group(1)


def copy_auth(data_dir: Path, target: Path) -> None:
    """As somebody does who copies the files of a running exchange, the log with them."""
    for file in data_dir.glob("auth.*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, target / file.name)


async def test_an_auth_db_that_can_not_be_used_refuses_the_restore(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / AUTH_DB).write_text("no database" * 1000)
    assert "auth.db is damaged or no SQLite database" in restore_refused(copy, tmp_path / "used")


@pytest.mark.slow
@pytest.mark.parametrize("release", sorted((Path(__file__).parents[1] / "fixtures").glob("release-*")), ids=str)
async def test_a_backup_of_an_earlier_release_is_restored_and_served(release: Path, tmp_path: Path) -> None:
    """Their backup is one file, of the name that what it holds had then."""
    restore(next(file for name in (JOURNAL_DB, MAIN_DB) if (file := release / name).exists()), tmp_path / "data")
    async with Server(tmp_path / "data") as server:
        token = await server.token("ann@example.com")
        assert (await server.get("/balance", token)).status == 200
        assert await server.stop() == 0


def restore_refused(file: Path, data_dir: Path) -> str:
    before = contents(data_dir) if data_dir.exists() else None
    with pytest.raises(StorageError) as refusal:
        restore(file, data_dir)
    after = contents(data_dir) if data_dir.exists() else None
    if before is not None and after is not None:
        after.pop("lock", None)
        before.pop("lock", None)
    assert after == before, "a refused restore changed something"
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_directory_in_use_is_refused(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    with locked(tmp_path / "used"):
        assert "is in use by another exness server" in restore_refused(copy, tmp_path / "used")


@pytest.mark.slow
async def test_the_directory_of_a_running_server_is_refused(copy: Path, tmp_path: Path) -> None:
    async with Server(tmp_path / "running") as server:
        done = await finished("restore", str(copy), "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert (done.code, done.output) == (1, "")
        assert f"is in use by another exness server (process {server.pid})" in done.errors
        assert await server.stop() == 0


@pytest.mark.parametrize(
    "name",
    [JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB, f"{JOURNAL_DB}-wal", f"{SNAPSHOTS_DB}-wal", f"{JOURNAL_DB}-journal"],
)
def test_a_directory_that_holds_an_exchange_or_its_log_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    """A log that was left behind is one too: SQLite would play it into the restored database."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / name).write_bytes(b"precious")
    assert f"holds an exchange already ({name}): restore into an empty directory" in restore_refused(
        copy, tmp_path / "used"
    )


def test_a_directory_that_holds_a_secret_only_takes_a_restore(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "secret").write_text("s" * 64)
    restore(copy, tmp_path / "used")
    assert (tmp_path / "used" / "secret").read_text() == "s" * 64


def test_a_damaged_or_foreign_file_is_refused(copy: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "restored"
    assert "nowhere.db is not there" in restore_refused(tmp_path / "nowhere.db", data_dir)
    (tmp_path / "empty.db").write_bytes(b"")
    assert "empty.db is empty" in restore_refused(tmp_path / "empty.db", data_dir)
    (tmp_path / "text.db").write_text("no database" * 1000)
    assert "text.db is damaged or no SQLite database" in restore_refused(tmp_path / "text.db", data_dir)
    with_own_connection(tmp_path / "theirs.db", "CREATE TABLE theirs (a)")
    assert "belongs to another application" in restore_refused(tmp_path / "theirs.db", data_dir)
    shutil.copy(copy, tmp_path / "newer.db")
    tamper(tmp_path / "newer.db", "PRAGMA user_version = 99")
    assert "written by a newer version" in restore_refused(tmp_path / "newer.db", data_dir)
    truncated = copy.read_bytes()[: copy.stat().st_size // 2]
    (tmp_path / "truncated.db").write_bytes(truncated)
    assert "truncated.db is damaged" in restore_refused(tmp_path / "truncated.db", data_dir)
    whole = bytearray(copy.read_bytes())
    whole[36:40] = (5).to_bytes(4)  # the header counts free pages that are none: only SQLite's own check sees that
    (tmp_path / "inconsistent.db").write_bytes(whole)
    assert "inconsistent.db is damaged (" in restore_refused(tmp_path / "inconsistent.db", data_dir)
    assert not data_dir.exists()


def test_a_restore_that_finds_no_room_leaves_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exness.storage.takeover.flush", no_room)
    (tmp_path / "restored").mkdir()
    assert "can't be restored" in restore_refused(copy, tmp_path / "restored")


# --- API keys -------------------------------------------------------------------------------------------------------

AUTH_SECRET, OTHER_SECRET = (
    b"the secret of the old directory, long enough",
    b"the secret of some other directory, as long",
)
ANN = "ann@example.com"


async def key_made(data_dir: Path, secret: bytes = AUTH_SECRET) -> ApiKey:
    async with open_auth(data_dir) as store:
        return await ApiKeys(store, WallClock(), Sealer([secret])).create(ANN, "bot")


async def keys_there(data_dir: Path, secret: bytes = AUTH_SECRET) -> list[ApiKey]:
    async with open_auth(data_dir) as store:
        keys = ApiKeys(store, WallClock(), Sealer([secret]))
        await keys.load()
        return keys.of(ANN)


async def test_keys_of_a_backup_are_kept_with_the_same_secret_and_lost_with_another(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await make_directory(data_dir, DESK.records, [])
    key, foreign = await key_made(data_dir), await key_made(data_dir, OTHER_SECRET)
    backup(data_dir, tmp_path / "copy.db", quietly)
    for secret in (key.secret, bytes.fromhex(key.secret.decode())):
        assert secret not in (tmp_path / "copy.db").read_bytes()
    assert verify(tmp_path / "copy.db", None, quietly).digest == digest_of(DESK.state)

    assert restore(tmp_path / "copy.db", tmp_path / "same", [AUTH_SECRET]) == RestoredKeys(kept=1, lost=1)
    assert await keys_there(tmp_path / "same") == [key]
    assert await keys_there(tmp_path / "same", OTHER_SECRET) == []
    assert restore(tmp_path / "copy.db", tmp_path / "rotated", [b"new" * 20, AUTH_SECRET]) == RestoredKeys(1, 1)
    assert await keys_there(tmp_path / "rotated") == [key]
    assert restore(tmp_path / "copy.db", tmp_path / "other", [OTHER_SECRET]) == RestoredKeys(1, 1)
    assert await keys_there(tmp_path / "other", OTHER_SECRET) == [foreign]
    assert restore(tmp_path / "copy.db", tmp_path / "none") == RestoredKeys(0, 2)
    assert not (tmp_path / "none" / AUTH_DB).exists()


async def test_the_keys_of_an_auth_db_that_lies_there_make_room_for_those_of_the_backup(
    data_dir: Path, tmp_path: Path
) -> None:
    key = await key_made(data_dir)
    backup(data_dir, tmp_path / "copy.db", quietly)
    (tmp_path / "new").mkdir()
    await key_made(tmp_path / "new")
    assert restore(tmp_path / "copy.db", tmp_path / "new", [AUTH_SECRET]) == RestoredKeys(1, 0)
    assert await keys_there(tmp_path / "new") == [key]


async def test_a_backup_is_made_without_an_auth_db_or_with_one_from_before_there_were_keys(
    data_dir: Path, copy: Path, tmp_path: Path
) -> None:
    assert restore(copy, tmp_path / "one", [AUTH_SECRET]) == RestoredKeys(0, 0)
    await key_made(data_dir)
    with_own_connection(data_dir / AUTH_DB, "DROP TABLE api_keys")
    backup(data_dir, tmp_path / "older.db", quietly)
    assert restore(tmp_path / "older.db", tmp_path / "two", [AUTH_SECRET]) == RestoredKeys(0, 0)

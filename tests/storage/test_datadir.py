"""The data directory: one server at a time, a secret that is made once, and sentences for what is not possible."""

import asyncio
import errno
import fcntl
import os
import signal
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exness.process.locks import sync
from exness.runtime.ports.journal import StorageError
from exness.storage.datadir import held, locked, prepare, read_previous_secret, read_secret


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "data")
    assert mode(tmp_path / "a" / "data") == 0o700
    prepare(tmp_path / "a" / "data")


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"the data directory .*/file/data can't be made: Not a directory"):
        prepare(tmp_path / "file" / "data")
    with pytest.raises(StorageError, match=r"the data directory .*/file can't be made: File exists"):
        prepare(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_directory_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="can't be written: change its owner or name another one"):
            prepare(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_directory_is_held_by_one_and_free_again_after_it(tmp_path: Path) -> None:
    with locked(tmp_path):
        for lock in (locked, held):
            with pytest.raises(StorageError) as refusal, lock(tmp_path):
                pass
            assert f"is in use by another exness server (process {os.getpid()})" in str(refusal.value)
            assert "stop that one or name another directory with --data-dir" in str(refusal.value)
    with locked(tmp_path):
        pass


def test_many_may_read_at_once_and_none_may_write_then(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4711\n")
    with held(tmp_path), held(tmp_path), pytest.raises(StorageError, match="process 4711"), locked(tmp_path):
        pass
    assert (tmp_path / "lock").read_text() == "4711\n"


def test_reading_makes_no_lock(tmp_path: Path) -> None:
    with held(tmp_path):
        assert list(tmp_path.iterdir()) == []


async def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The lock is the operating system's: no file has to be removed by hand."""
    script = (
        "import sys, time; from pathlib import Path; from exness.storage.datadir import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match=f"process {process.pid}"), locked(tmp_path):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    secret = read_secret(tmp_path)
    assert len(secret) >= 32
    assert mode(tmp_path / "secret") == 0o600
    assert read_secret(tmp_path) == secret
    assert os.listdir(tmp_path) == ["secret"]  # noqa: PTH208 - no draft of it stays


def test_two_that_make_the_secret_at_once_end_up_with_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: read_secret(tmp_path), range(64)))
    assert len(secrets) == 1


@pytest.mark.parametrize("content", [b"", b"short", b" " * 64])
def test_a_secret_too_short_to_be_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(StorageError, match="too short to be one: remove it, and everyone signs in again"):
        read_secret(tmp_path)
    assert (tmp_path / "secret").read_bytes() == content


def test_a_secret_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(StorageError, match=r"the secret .*/secret can't be read or made: Is a directory"):
        read_secret(tmp_path)


def test_the_secret_before_is_read_if_there_is_one(tmp_path: Path) -> None:
    assert read_previous_secret(tmp_path) is None
    (tmp_path / "secret.previous").write_bytes(b"x" * 40 + b"\n")
    assert read_previous_secret(tmp_path) == b"x" * 40
    (tmp_path / "secret.previous").write_bytes(b"short")
    with pytest.raises(StorageError, match="too short"):
        read_previous_secret(tmp_path)


@pytest.mark.parametrize("knows", [True, False])
def test_a_sync_reaches_the_drive_itself_where_fsync_stops_at_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    """macOS has a request of its own for that; a file system that refuses it gets the usual one."""
    asked: list[object] = []

    def request(handle: int, what: int) -> int:
        asked.append(what)
        if not knows:
            raise OSError(errno.ENOTSUP, "Operation not supported")
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", request)
    monkeypatch.setattr(os, "fsync", lambda handle: asked.append("fsync"))
    handle = os.open(tmp_path, os.O_RDONLY)
    sync(handle)
    os.close(handle)
    assert asked == ([51] if knows else [51, "fsync"])

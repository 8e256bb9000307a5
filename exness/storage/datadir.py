"""The data directory: made, locked by one server at a time, and home of the secret."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exness.process.locks import OPEN, sync, take_lock
from exness.runtime.ports.journal import StorageError
from exness.storage.database import require_sqlite

SECRET_FILE = "secret"  # the name of a file  # nosec B105
PREVIOUS_SECRET_FILE = "secret.previous"  # the name of a file  # nosec B105
LOCK_FILE = "lock"
_SECRET_BYTES = 48


def prepare(data_dir: Path) -> None:
    """Make the directory. Raises StorageError when it can't be made or written, or nothing could be stored in it."""
    require_sqlite()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(f"the data directory {data_dir} can't be made: {error.strerror}") from error
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise StorageError(f"the data directory {data_dir} can't be written: change its owner or name another one")


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the directory for this process. Raises StorageError when another one does, and says which.

    The lock is the operating system's: however a process ends, its lock ends with it.
    """
    with locked_for(data_dir, LOCK_FILE, "server"):
        yield


@contextmanager
def locked_for(data_dir: Path, file: str, what: str) -> Iterator[None]:
    """The same with a lock file of its own, for one process at a time that does `what`."""
    try:
        handle = os.open(data_dir / file, os.O_RDWR | os.O_CREAT | OPEN, 0o600)
    except OSError as error:
        raise StorageError(f"the data directory {data_dir} can't be written: {error.strerror}") from error
    try:
        _lock(handle, data_dir, shared=False, what=what)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Keep servers out of the directory while it is read, without writing to it. Raises StorageError when one is in."""
    try:
        handle = os.open(data_dir / LOCK_FILE, os.O_RDONLY | OPEN)
    except FileNotFoundError:  # no server was ever here
        yield
        return
    except OSError as error:
        raise StorageError(f"the data directory {data_dir} can't be read: {error.strerror}") from error
    try:
        _lock(handle, data_dir, shared=True)
        yield
    finally:
        os.close(handle)


def note_address(data_dir: Path, url: str) -> None:
    """Tell who looks at the directory where its server is. For the one that holds it."""
    with (data_dir / LOCK_FILE).open("a", encoding="ascii") as file:
        file.write(f"{url}\n")


def address_noted(data_dir: Path) -> str | None:
    """Where the server that holds the directory is; None when none does, or it does not listen yet."""
    try:
        with held(data_dir):
            return None
    except StorageError:
        lines = (data_dir / LOCK_FILE).read_text(encoding="ascii", errors="replace").splitlines()
        return lines[1] if len(lines) > 1 else None


def _lock(handle: int, data_dir: Path, *, shared: bool, what: str = "server") -> None:
    if not take_lock(handle, shared=shared):
        os.lseek(handle, 0, os.SEEK_SET)
        holder = os.read(handle, 64).decode("ascii", "replace").partition("\n")[0] or "unknown"
        raise StorageError(
            f"the data directory {data_dir} is in use by another exness {what} (process {holder}): "
            f"stop that one or name another directory with --data-dir"
        )


def has_secret(data_dir: Path) -> bool:
    """Whether its secret was made already."""
    return (data_dir / SECRET_FILE).exists()


def read_secret(data_dir: Path) -> bytes:
    """The secret that signs tokens, made at first use and readable by its owner only.

    Two processes that make it at the same time end up with the same one. Raises StorageError.
    """
    path = data_dir / SECRET_FILE
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise StorageError(f"the secret {path} can't be read or made: {error.strerror}") from error
    return _checked(path, secret)


def read_previous_secret(data_dir: Path) -> bytes | None:
    """The secret before that, whose tokens stay good; None when there is none. Raises StorageError."""
    path = data_dir / PREVIOUS_SECRET_FILE
    try:
        return _checked(path, path.read_bytes().strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"the previous secret {path} can't be read: {error.strerror}") from error


def _checked(path: Path, secret: bytes) -> bytes:
    if len(secret) < 32:
        raise StorageError(f"the secret {path} is too short to be one: remove it, and everyone signs in again")
    return secret


def _make_secret(path: Path) -> None:
    """Written whole under another name, then linked: nobody ever reads half a secret or replaces one."""
    draft = path.with_name(f"{SECRET_FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o600)
    try:
        os.write(handle, secrets.token_urlsafe(_SECRET_BYTES).encode())
        sync(handle)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        os.close(handle)
        draft.unlink()

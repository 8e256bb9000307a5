"""A PostgreSQL of the tests' own: Debian's binaries, a cluster in a folder of its own, a free port, gone at the end.

PostgreSQL refuses to run as root: then it runs as the user that Debian makes for it, or as nobody.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.needed import need

STARTS_S = 30.0
LEFT_S = 3_600
REQUIRED = "POSTGRES_REQUIRED"
"""Set by .ci/spread.sh where it has installed PostgreSQL: what would be skipped is then a failure."""


@cache
def binaries() -> Path | None:
    """Where `initdb` and `postgres` are: the newest release that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def why_missing() -> str | None:
    """Why there can be no PostgreSQL here, as a reason to skip."""
    if find_spec("asyncpg") is None:
        return "asyncpg is not installed (pip install 'exness[spread]')"
    if binaries() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    return None


def skip_or_fail() -> None:
    need(why_missing(), REQUIRED)


def _user() -> str | None:
    """Who runs it; None: whoever runs the tests."""
    if os.getuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


class Postgres:
    """A server that listens on 127.0.0.1 alone. Its superuser is `tester`, without a password."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://tester:quite-secret@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        where = [
            "-D",
            str(self.folder / "data"),
            "-U",
            "tester",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        self.run("initdb", *where)

    def start(self, **settings: str) -> None:
        """Settings go over those of the cluster."""
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options |= {"shared_buffers": "16MB", "max_connections": "60", "max_wal_size": "256MB"} | settings
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(_binary("postgres")), "-D", str(self.folder / "data"), *words],
                stdout=log,
                stderr=log,
                user=_user(),
                cwd=self.folder,
                preexec_fn=end_with_parent,
            )
        deadline = time.monotonic() + STARTS_S
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """By default at once, as a crash would; its children end with it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._process.wait(STARTS_S)
            self._process = None

    def allow(self, network: str) -> None:
        """Let everybody in from there."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")
        self.sql("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Have a standby take writes."""
        self.run("pg_ctl", "promote", "-w", "-D", str(self.folder / "data"))

    def sql(self, statement: str) -> str:
        """What `psql` prints for it."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url).strip()

    @contextmanager
    def session(self) -> Iterator[Callable[[str], None]]:
        """Of somebody else, for statements that stay; it ends, and what it has begun is undone."""
        words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url]
        with subprocess.Popen(
            [str(_binary("psql")), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=_user(),
            cwd=self.folder,
        ) as psql:
            assert psql.stdin is not None
            assert psql.stdout is not None
            into, out = psql.stdin, psql.stdout

            def run(statement: str) -> None:
                into.write(f"{statement}\n\\echo done\n")
                into.flush()
                assert out.readline() == "done\n"

            yield run
            into.close()

    def cut_sessions(self) -> None:
        """End every session of exness, as an administrator would."""
        self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'exness%'")

    def _answers(self) -> bool:
        ready = subprocess.run(
            [str(_binary("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False, timeout=STARTS_S
        )
        return ready.returncode == 0

    def run(self, name: str, *words: str) -> str:
        """What a program of PostgreSQL prints; it must succeed."""
        done = subprocess.run(
            [str(_binary(name)), *words],
            check=False,
            capture_output=True,
            text=True,
            user=_user(),
            cwd=self.folder,
            timeout=STARTS_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def a_standby(primary: Postgres) -> Iterator[Postgres]:
    """A copy of a running cluster that follows it, until it is promoted."""
    with _a_folder(on_disk=False) as folder:
        standby = Postgres(folder, free_port())
        where = f"host=127.0.0.1 port={primary.port} user=tester application_name=standby"
        standby.run("pg_basebackup", "-D", str(folder / "data"), "-d", where, "-R", "-X", "stream", "--no-sync")
        try:
            standby.start()
            yield standby
        finally:
            standby.stop()


def end_with_parent() -> None:
    """In the child: it gets SIGQUIT when the tests are killed (Linux only: PR_SET_PDEATHSIG)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


@contextmanager
def _a_folder(*, on_disk: bool) -> Iterator[Path]:
    """For whoever runs the server, and gone at the end."""
    place = Path(tempfile.gettempdir()) if on_disk else _roomiest() or Path(tempfile.gettempdir())
    for left in place.glob("exness-pg-*"):  # by tests that were killed
        with suppress(OSError):  # another process removes its own meanwhile
            if time.time() - left.stat().st_mtime > LEFT_S and not (left / "data" / "postmaster.pid").exists():
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="exness-pg-", dir=place))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _binary(name: str) -> Path:
    found = binaries()
    assert found is not None
    return found / name


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _roomiest() -> Path | None:
    """In memory if there is room: a sync costs nothing there, and takes no disk from other tests."""
    memory = Path("/dev/shm")
    with suppress(OSError):
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3:
            return memory
    return None


@contextmanager
def a_cluster(*, on_disk: bool = False, **settings: str) -> Iterator[Postgres]:
    """One that runs, and is gone at the end."""
    with _a_folder(on_disk=on_disk) as folder:
        postgres = Postgres(folder, free_port())
        try:
            postgres.make()
            postgres.start(**settings)
            yield postgres
        finally:
            postgres.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One for all tests of the process. Who stops it starts it again."""
    skip_or_fail()
    with a_cluster() as cluster:
        yield cluster


_numbers = iter(range(1, 10**9))


@pytest.fixture
def schema(postgres: Postgres) -> Iterator[str]:
    """A name for an exchange of the test's own."""
    name = f"test_{next(_numbers)}"
    yield name
    postgres.sql(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')

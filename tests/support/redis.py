"""A Redis of the tests' own: Debian's binary, a folder of its own, a free port, nothing kept on disk, gone at the
end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.needed import need
from tests.support.postgres import end_with_parent, free_port

STARTS_S = 30.0
REQUIRED = "REDIS_REQUIRED"
"""Set by .ci/spread.sh where it has installed Redis: what would be skipped is then a failure."""
PASSWORD = "quite-secret-too"


def binary() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def why_missing() -> str | None:
    """Why there can be no Redis here, as a reason to skip."""
    if find_spec("redis") is None:
        return "redis is not installed (pip install 'exness[spread]')"
    if binary() is None:
        return "Redis is not installed (apt-get install redis-server)"
    return None


def skip_or_fail() -> None:
    need(why_missing(), REQUIRED)


class RedisServer:
    """Listens on 127.0.0.1 alone, and wants a password."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        found = binary()
        assert found is not None
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [found, *words, "--requirepass", PASSWORD, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        deadline = time.monotonic() + STARTS_S
        while self.command("PING") != "+PONG":
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        """Everything in it is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(STARTS_S)
            self._process = None

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *words: str) -> str:
        """The first line of its answer, "" when nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
                lines = connection.makefile("rwb")
                answer = ""
                for each in (("AUTH", PASSWORD), words):
                    lines.write(b"*%d\r\n" % len(each))
                    for word in each:
                        lines.write(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
                    lines.flush()
                    answer = lines.readline().decode().strip()
                if answer.startswith("$") and answer != "$-1":
                    return lines.readline().decode().strip()
                return answer
        except OSError:
            return ""


@contextmanager
def a_redis() -> Iterator[RedisServer]:
    """One that runs, and is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="exness-redis-"))
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One for all tests of the process. Who kills it starts it again."""
    skip_or_fail()
    with a_redis() as server:
        yield server

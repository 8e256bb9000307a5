"""The process of an exchange under test: its folder, its start, its end, and what it says meanwhile.

Nothing of it is left behind: the process and its folder end with whoever started them, also when that one is killed.
"""

import os
import shutil
import subprocess  # nosec B404 - its own python is all that it runs
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import gettempdir, mkdtemp
from typing import IO

import msgspec

import exness
from exness.testing import guard

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
HEARD_WITHIN_S = 0.5
LISTENING = "listening on "
LINES_KEPT = 500
IN_MEMORY = Path("/dev/shm")  # nosec B108 - a folder of its own is made in it
ROOM_IN_MEMORY = 512 * 1024 * 1024
RESTARTS = 20
"""How often the port is tried after a crash: whoever has taken it meanwhile may give it back."""


class DidNotStart(Exception):
    """The exchange has ended before it listened. The message has what it said."""


class Request(msgspec.Struct, frozen=True):
    """A line of the access log."""

    timestamp: str
    method: str
    path: str
    status: int
    ms: float

    def __str__(self) -> str:
        return f"{self.timestamp[11:23]}  {self.status}  {self.method} {self.path}  {self.ms:.1f} ms"


class _Line(msgspec.Struct, frozen=True):
    event: str


class Server:
    """One process after the other, on the same folder and port."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings
        self.url = ""
        self.requests: deque[Request] = deque(maxlen=LINES_KEPT)
        """The newest that it has answered."""
        self.log: deque[str] = deque(maxlen=LINES_KEPT)
        """Of everything else that it has logged the newest lines."""
        self._folder: Path | None = None
        self._guard: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it on what is in the folder, and wait until it listens. Raises DidNotStart."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="exness-", dir=_fast_folder()))
            self._guard = subprocess.Popen(  # nosec B603
                [sys.executable, "-S", "-E", guard.__file__, str(self._folder)],
                stdin=subprocess.PIPE,
                start_new_session=True,  # an interrupt from the keyboard is not for it
                text=True,
            )
        self.kill()
        for number in range(RESTARTS):
            try:
                self._start(self._folder)
                return
            except DidNotStart:
                if not self.url or number == RESTARTS - 1:
                    raise

    def _start(self, folder: Path) -> None:
        said: SimpleQueue[str | None] = SimpleQueue()
        port = self.url.rpartition(":")[2] or "0"
        self._process = process = subprocess.Popen(  # nosec B603
            _command(folder, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(self._settings),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self._tell_guard(process.pid)
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=_read, args=(process.stdout, said.put), daemon=True),
            threading.Thread(target=_read, args=(process.stderr, self._note), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.url = self._listening(process, said).removeprefix(LISTENING).strip()

    def _listening(self, process: "subprocess.Popen[str]", said: "SimpleQueue[str | None]") -> str:
        """The line that says where. Raises DidNotStart."""
        try:
            while line := said.get(timeout=START_TIMEOUT_S):
                if line.startswith(LISTENING):
                    return line
        except Empty:
            self.kill()
            raise DidNotStart(f"the exchange does not listen after {START_TIMEOUT_S} s") from None
        process.wait(END_TIMEOUT_S)
        self.kill()
        raise DidNotStart(f"the exchange has ended with code {process.returncode}: " + "\n".join(self.log))

    def heard_of(self, path: str, ask: Callable[[], object]) -> None:
        """Ask for a path, and wait, bounded, until the log tells of that: then it has told of what was before."""
        before = self._told_of(path)
        ask()
        ends_s = time.monotonic() + HEARD_WITHIN_S
        while self._told_of(path) == before and time.monotonic() < ends_s:
            time.sleep(0.001)

    def _told_of(self, path: str) -> int:
        return sum(each.path == path for each in tuple(self.requests))

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to do anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_TIMEOUT_S)
            for reader in self._readers:
                reader.join(END_TIMEOUT_S)
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            self._process = None
            self._tell_guard(0)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.kill()
        watching, self._guard, self._folder = self._guard, None, None
        if watching is not None and watching.stdin is not None:
            watching.stdin.close()
            watching.wait(END_TIMEOUT_S)
        self.url = ""

    def _tell_guard(self, process: int) -> None:
        assert self._guard is not None
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{process}\n")
        self._guard.stdin.flush()

    def _note(self, line: str | None) -> None:
        if line is None:
            return
        try:
            known = msgspec.json.decode(line, type=_Line)
            if known.event == "request":
                self.requests.append(msgspec.json.decode(line, type=Request))
                return
        except msgspec.DecodeError:
            pass
        self.log.append(line.rstrip())


def _read(pipe: IO[str], told: Callable[[str | None], object]) -> None:
    """Hand on every line, and None at the end."""
    for line in pipe:
        told(line)
    told(None)


def _command(folder: Path, port: str) -> Sequence[str]:
    what = ("serve", "--feed", "manual", "--dev-control", "--host", "127.0.0.1", "--port", port)
    return (sys.executable, "-m", "exness", *what, "--data-dir", str(folder / "data"))


def _environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Ours without any setting of another exchange, and with those of this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("EXNESS_")}
    env |= {"EXNESS_LOG_FORMAT": "json", "EXNESS_LOG_ACCESS": "true", "PYTHONUNBUFFERED": "1"}
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        env[f"EXNESS_{name.replace('.', '_').upper()}"] = text
    home = Path(exness.__file__).parents[1]
    if home.name not in ("site-packages", "dist-packages"):  # run from its sources, which are perhaps not installed
        env["PYTHONPATH"] = os.pathsep.join([str(home), *filter(None, [env.get("PYTHONPATH")])])
    return env


def _fast_folder() -> str:
    """In memory where there is room: a test is about crashes of the process, and no disk is as fast."""
    if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM_IN_MEMORY:
        return str(IN_MEMORY)
    return gettempdir()

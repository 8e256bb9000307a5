"""The real process: `python -m exness serve`, started, asked, killed.

    async with Server(data_dir) as server:      # waits for `listening on`
        await server.get("/readyz")
        server.kill()                           # SIGKILL; start() again recovers

The environment is empty but for PATH and what a test names, so no setting leaks in.
"""

import asyncio
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp

from exness.app.tokens import issue_tokens
from exness.config import load

START_TIMEOUT_S = 60
UNLIMITED = {"EXNESS_LIMITS_ENABLED": "false"}
"""For who asks as fast as it can. Every other process has the limits that users have."""
ROOT = Path(__file__).resolve().parents[2]


class DidNotStart(Exception):
    """The process ended before it listened: its exit code and what it said."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        super().__init__(f"exit code {code}\n{output}\n{errors}")
        self.code, self.output, self.errors = code, output, errors


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    output: str
    errors: str


class Recovered(NamedTuple):
    """The banner's line on what was recovered. `snapshot` is 0 when there was none."""

    snapshot: int
    replayed: int
    seq: int
    accounts: int
    open_trades: int
    seconds: float


_RECOVERED = re.compile(
    r"  recovered  (?:no snapshot|snapshot (\d+)) \+ (\d+) events = seq (\d+): (\d+) accounts, (\d+) open trades "
    r"in (\d+\.\d+) s"
)


def free_port() -> int:
    """A port that nobody has at the moment: a server that is to come back where it was needs one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Answer:
    """Status, headers and decoded body of one answer."""

    def __init__(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        self.status, self.headers, self.body = status, headers, body


class Server:
    """One exness process on a free port and its own data directory."""

    def __init__(
        self,
        data_dir: Path,
        *flags: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        module: str = "exness",
        open_files: int | None = None,
    ) -> None:
        """`module`: what runs `exness` when it is run, with something of it changed. `open_files`: how many files it
        may have open."""
        self.module = module
        self.data_dir = data_dir
        self.flags = flags
        self.env = {"PATH": os.environ["PATH"], **(env or {})}
        self.cwd = cwd or data_dir.parent
        self.open_files = open_files
        self.url = ""
        self.output: list[str] = []
        self.errors: list[str] = []
        self.process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Be ready to ask, before it is started."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver())
        )

    async def __aenter__(self) -> "Server":
        await self.open()
        try:
            await self.start()
        except BaseException:
            if self._session is not None:
                await self._session.close()
            if self.running:
                self.kill()
                await self.wait()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()
        if self.running:
            self.kill()
        await self.wait()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start it and wait until it listens. Raises DidNotStart."""
        self.output, self.errors = [], []
        self.process = await run_exness(
            *("serve", "--port", "0", "--data-dir", str(self.data_dir), *self.flags),
            env=self.env,
            cwd=self.cwd,
            module=self.module,
            open_files=self.open_files,
        )
        listening = asyncio.Event()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read(self.process.stdout, self.output, listening)),
            asyncio.create_task(self._read(self.process.stderr, self.errors, None)),
        ]
        waits = [asyncio.create_task(listening.wait()), asyncio.create_task(self.process.wait())]
        done, pending = await asyncio.wait(waits, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        if not listening.is_set():
            if not done:
                self.kill()
            code = await self.wait()
            raise DidNotStart(code, "\n".join(self.output), "\n".join(self.errors))

    def banner(self, label: str) -> str:
        """What the banner says on the one line with this label, such as `state`."""
        (line,) = [line for line in self.output if line.startswith(f"  {label} ")]
        return line.removeprefix(f"  {label} ").strip()

    @property
    def recovered(self) -> Recovered:
        """What this start recovered, as the banner says."""
        (match,) = [match for line in self.output if (match := _RECOVERED.fullmatch(line))]
        snapshot, *counts, seconds = match.groups()
        replayed, seq, accounts, open_trades = map(int, counts)
        return Recovered(int(snapshot or 0), replayed, seq, accounts, open_trades, float(seconds))

    async def _read(self, stream: asyncio.StreamReader, lines: list[str], listening: asyncio.Event | None) -> None:
        async for raw in stream:
            line = raw.decode().rstrip("\n")
            lines.append(line)
            if listening is not None and (match := re.fullmatch(r"listening on (http://\S+)", line)):
                self.url = match.group(1)
                listening.set()

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to do anything."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """The exit code, once it has ended and everything it said was read."""
        assert self.process is not None
        code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return await self.wait()

    async def restart(self) -> None:
        """Start again after it has ended."""
        await self.wait()
        await self.start()

    async def token(self, email: str) -> str:
        """What `exness token` prints: without the second of processor time that its process takes, where that needs
        nothing of its own, such as another clock."""
        if any(name != "PATH" and not name.startswith("EXNESS_") for name in self.env):
            done = await finished("token", email, "--data-dir", str(self.data_dir), env=self.env, cwd=self.cwd)
            assert done.code == 0, done.errors
            return done.output.strip()
        file = self.cwd / "config.toml"
        config = load(file if file.exists() else None, self.env, {"storage.data_dir": self.data_dir})
        (token,) = await asyncio.to_thread(issue_tokens, config, [email])
        return token

    async def request(
        self, method: str, path: str, token: str | None = None, body: Any = None, **options: Any
    ) -> Answer:
        """One request; paths that begin with / but not with a known root are under /api/v1."""
        assert self._session is not None
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = self.url + (path if path.startswith(("/healthz", "/readyz", "/metrics", "/api")) else "/api/v1" + path)
        if body is not None:
            options["json"] = body
        async with self._session.request(method, url, headers=headers, **options) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, response.headers, await response.json() if is_json else await response.text()
            )

    async def get(self, path: str, token: str | None = None, **options: Any) -> Answer:
        return await self.request("GET", path, token, **options)

    async def post(self, path: str, token: str | None = None, body: Any = None, **options: Any) -> Answer:
        return await self.request("POST", path, token, body, **options)


async def run_exness(
    *arguments: str, env: Mapping[str, str], cwd: Path, module: str = "exness", open_files: int | None = None
) -> asyncio.subprocess.Process:
    """Start `python -m exness ...` of the tree this file lies in, with its output in pipes."""

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env={**env, "PYTHONPATH": f"{env.get('PYTHONPATH', '')}{os.pathsep}{ROOT}".lstrip(os.pathsep)},
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
        preexec_fn=limit,
    )


async def finished(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path, within_s: float = START_TIMEOUT_S
) -> Finished:
    """Run `python -m exness ...` to its end. `env` beside PATH."""
    process = await run_exness(*arguments, env={"PATH": os.environ["PATH"], **(env or {})}, cwd=cwd)
    try:
        async with asyncio.timeout(within_s):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(await process.wait(), output.decode(), errors.decode())

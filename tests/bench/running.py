"""What the rows measure on: processes of their own, on cores of their own, and the settings of a run."""

import asyncio
import contextlib
import json
import os
import sys
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from exness.app.tokens import issue_tokens
from exness.config import load
from tests.bench.load import Plan, Run
from tests.support.process import ROOT, UNLIMITED, Server
from tests.support.venue import Venue

QUOTES = {"SOL_USDC": 200.0, "ETH_USDC": 3000.0, "BTC_USDC": 100_000.0}


class Settings(msgspec.Struct, frozen=True):
    """How much is measured. Sizes count open trades."""

    rounds: int = 5
    seconds: float = 3.0
    read_seconds: float = 2.0
    connections: tuple[int, ...] = (1, 16, 64, 256)
    quotes_per_s: float = 20.0
    """Of each of the three assets, while HTTP is measured."""
    pairs: int = 40_000
    sizes: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    ticks: int = 20_000
    liquidations: tuple[int, ...] = (1, 100, 10_000)
    frames: int = 60_000
    stream_seconds: float = 8.0
    cascades: int = 60
    clients: int = 500
    reconnect_rounds: int = 3
    cascade_trades: int = 200_000
    cascade_rounds: int = 3
    funded_trades: int = 100_000
    funding_rounds: int = 3
    cost_connections: int = 64
    spread_batches: int = 100
    snapshot_rounds: int = 3
    snapshot_trades: int = 100_000
    events: int = 1_000_000
    recovery_rounds: int = 3
    memory_rounds: int = 2
    memory_trades: int = 200_000
    memory_accounts: int = 200_000
    day_s: int = 86_400
    day_pairs: int = 86_400
    csv_trades: int = 1_000_000
    csv_rounds: int = 2
    fixture_tests: int = 500
    client_requests: int = 2_000
    pin: bool = True
    before: str = "cc1cbd0a4f9ef39ed875ae92a302f78465392987"
    """The commit that orders are held against: by default the last one before there were orders, exits and rates."""


QUICK = Settings(
    rounds=3,
    seconds=0.8,
    read_seconds=0.5,
    pairs=10_000,
    sizes=(1_000, 10_000, 100_000),
    ticks=5_000,
    liquidations=(1, 100, 2_000),
    frames=20_000,
    stream_seconds=2.5,
    cascades=15,
    clients=100,
    reconnect_rounds=2,
    cascade_trades=20_000,
    cascade_rounds=2,
    funded_trades=20_000,
    funding_rounds=2,
    spread_batches=20,
    snapshot_rounds=2,
    snapshot_trades=20_000,
    events=100_000,
    recovery_rounds=2,
    memory_trades=50_000,
    memory_accounts=50_000,
    day_pairs=8_640,
    csv_trades=50_000,
    csv_rounds=1,
    fixture_tests=100,
    client_requests=500,
)
"""For a look while working: the same rows, smaller and fewer."""


class Progress:
    """A bar over the groups and a line per step, on stderr."""

    def __init__(self, groups: int) -> None:
        self._started = time.monotonic()
        self._bar = tqdm(total=groups, unit=" groups", file=sys.stderr, mininterval=1, disable=None)

    def say(self, text: str) -> None:
        self._bar.write(f"[{time.monotonic() - self._started:5.0f} s] {text}", file=sys.stderr)

    def step(self) -> None:
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


# --- cores --------------------------------------------------------------------------------------------------------


def cores() -> tuple[set[int], set[int]]:
    """Those of the server and those of everything else. The same where there is but one, or the system can't pin."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    here = sorted(_ALL)
    return (set(here[: len(here) // 2]), set(here[len(here) // 2 :])) if len(here) > 1 else (set(here), set(here))


_ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@contextmanager
def started_on(wanted: set[int]) -> Iterator[None]:
    """What is started meanwhile stays on these cores, with every thread it will ever have."""
    if not wanted:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def keep_off_the_server(settings: Settings) -> None:
    """This process, which plays the venue and waits, stays on the cores of the load from now on."""
    if load_cores(settings):
        os.sched_setaffinity(0, load_cores(settings))


def server_cores(settings: Settings) -> set[int]:
    return cores()[0] if settings.pin else set()


def load_cores(settings: Settings) -> set[int]:
    return cores()[1] if settings.pin else set()


# --- processes ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def python(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m ...` with pipes to stdin and from stdout, ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> bytes:
    """Its next line. Raises RuntimeError when it has ended instead."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the bench ended early, with code {await process.wait()}; see stderr")
    return line


@asynccontextmanager
async def exness(
    settings: Settings, data_dir: Path, venue: Venue, env: Mapping[str, str] | None = None, code: Path = ROOT
) -> AsyncIterator[Server]:
    """The real process on the venue's prices, ready, on the cores of the server. `code`: the folder that `exness` is
    taken from."""
    variables = {**UNLIMITED, "EXNESS_TRADING_INITIAL_BALANCE": "1000000", **(env or {})}
    server = Server(data_dir, "--feed", "backpack", "--feed-url", venue.url, env=variables, cwd=code)
    with started_on(server_cores(settings)):
        await server.__aenter__()
    try:
        await venue.wait_for_subscription(*QUOTES)
        yield server
    finally:
        await server.__aexit__(None, None, None)


@asynccontextmanager
async def baseline(settings: Settings, kind: str, answers: Mapping[str, str]) -> AsyncIterator[tuple[int, int]]:
    """Port and process id of a baseline server, on the cores of the server."""
    with started_on(server_cores(settings)):
        running = python("tests.bench.baseline", kind, json.dumps(dict(answers)))
        process = await running.__aenter__()
    try:
        yield int(await line_of(process)), process.pid
    finally:
        await running.__aexit__(None, None, None)


class Load:
    """The load generator's process."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._file = folder / "latencies.bin"

    async def run(self, plan: Plan) -> tuple[Run, list[int]]:
        """One round and its latencies in nanoseconds. Raises RuntimeError for any answer that was not 200."""
        done, latencies = await self.try_run(plan)
        if done.errors or not latencies:
            raise RuntimeError(f"the load met errors: {done.errors}, {len(latencies)} good answers")
        return done, latencies

    async def try_run(self, plan: Plan) -> tuple[Run, list[int]]:
        """Like `run`, errors and all."""
        plan = msgspec.structs.replace(plan, latencies=str(self._file))
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(plan) + b"\n")
        done = msgspec.json.decode(await line_of(self._process), type=Run)
        latencies = array("q")
        latencies.frombytes(self._file.read_bytes())
        return done, latencies.tolist()


@asynccontextmanager
async def load_generator(settings: Settings, folder: Path) -> AsyncIterator[Load]:
    """On the cores of the load."""
    with started_on(load_cores(settings)):
        running = python("tests.bench.load")
        process = await running.__aenter__()
    try:
        yield Load(process, folder)
    finally:
        await running.__aexit__(None, None, None)


async def in_child(settings: Settings, module: str, function: str, **arguments: Any) -> Any:
    """What `function(**arguments)` of a module returns, called in a fresh process on the cores of the server."""
    with started_on(server_cores(settings)):
        running = python("tests.bench.child", module, function, json.dumps(arguments, default=str))
        process = await running.__aenter__()
    try:
        return msgspec.json.decode(await line_of(process))
    finally:
        await running.__aexit__(None, None, None)


# --- prices and users ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def quoting(venue: Venue, per_second: float) -> AsyncIterator[None]:
    """Quotes of every asset that waver by a hundredth of a percent, `per_second` of each."""
    task = asyncio.create_task(_quote(venue, per_second))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _quote(venue: Venue, per_second: float) -> None:
    number = 0
    while True:
        number += 1
        for symbol in QUOTES:
            await quote(venue, symbol, 1 + (number % 3 - 1) / 10_000)
        await asyncio.sleep(1 / per_second)


async def quote(venue: Venue, symbol: str, factor: float = 1.0) -> None:
    """One quote, at so much of its usual price."""
    price = QUOTES[symbol] * factor
    await venue.send_quote(symbol, bid=f"{price * 0.9999:.2f}", ask=f"{price * 1.0001:.2f}")


async def tokens(data_dir: Path, count: int, name: str = "trader", env: Mapping[str, str] | None = None) -> list[str]:
    """Session tokens of so many users of a running exchange, which has this environment; each account is made at its
    first request."""
    config = load(None, env or {}, {"storage.data_dir": data_dir})
    return await asyncio.to_thread(issue_tokens, config, [f"{name}-{number}@example.com" for number in range(count)])


def cpu_s(pid: int) -> float:
    """Seconds of processor a process has used, all threads; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def rss_bytes(pid: int | str = "self") -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

"""The real process on streams that are closed, full, gone, never read or in an encoding without our letters."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exness.app.tokens import issue_tokens
from exness.config import load
from exness.storage.backup import backup
from exness.storage.files import JOURNAL_DB
from exness.storage.verify import verify, verify_directory
from tests.acceptance import measure_logs
from tests.storage.damage import make_directory
from tests.support.process import ROOT, Server, finished
from tests.support.waiting import until

STOPS_WITHIN_S = 5.0
WAIT_S = 60.0
POLL_S = 0.1
"""/metrics weighs much, and the limits are on."""
ORDER = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}
STREAMS = (0, 1, 2)
SETTINGS = {
    "EXNESS_LIMITS_PROBE_PER_IP": "1000000/second",  # these tests ask for /metrics again and again
    "EXNESS_LOG_ACCESS": "true",
    "EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.05",
}


class Fault(NamedTuple):
    """What is wrong with one stream. `open` returns its descriptor for stream `fd`, None to close it; `reason` is what
    lines on standard error are dropped for, "" when none is, or "waiting" when they wait for ever."""

    open: Callable[[contextlib.ExitStack, int], int | None]
    reason: str
    encoding: str = "utf-8"


def full(stack: contextlib.ExitStack, fd: int) -> int:
    device = os.open("/dev/full", os.O_RDWR)
    stack.callback(os.close, device)
    return device


def never_read(stack: contextlib.ExitStack, fd: int) -> int:
    """A pipe with room for nothing more; as standard input, one on which nothing ever comes."""
    read, write = os.pipe()
    stack.callback(os.close, read)
    stack.callback(os.close, write)
    size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    if fd == 0:
        return read
    os.write(write, b"." * size)
    return write


def gone(stack: contextlib.ExitStack, fd: int) -> int:
    read, write = os.pipe()
    ours, theirs = (write, read) if fd == 0 else (read, write)
    os.close(ours)
    stack.callback(os.close, theirs)
    return theirs


def plain(stack: contextlib.ExitStack, fd: int) -> int:
    device = os.open(os.devnull, os.O_RDWR)
    stack.callback(os.close, device)
    return device


FAULTS = {
    "closed": Fault(lambda stack, fd: None, ""),
    "full": Fault(full, "disk_full"),
    "never read": Fault(never_read, "waiting"),
    "gone": Fault(gone, "no_reader"),
    "ascii": Fault(plain, "", "ascii:strict"),
    "cp1252": Fault(plain, "", "cp1252"),
}
CASES = [(fault, fd) for fault in FAULTS for fd in STREAMS if fault not in ("ascii", "cp1252") or fd == 1]


async def token_of(data_dir: Path) -> str:
    config = load(None, {}, {"storage.data_dir": data_dir})
    (token,) = await asyncio.to_thread(issue_tokens, config, ["ann@example.com"])
    return token


@pytest.mark.parametrize(("name", "fd"), CASES, ids=[f"{name}, stream {fd}" for name, fd in CASES])
async def test_no_stream_keeps_the_exchange_from_anything(tmp_path: Path, name: str, fd: int) -> None:
    """It starts, trades, takes snapshots, refuses with a line in the log, logs every request, and stops in order."""
    fault, data_dir = FAULTS[name], tmp_path / "Łódź"
    port, token = free_port(), await token_of(data_dir)
    with started(fault, fd, data_dir, port) as process:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            await until_served(process, session)
            session.headers["Authorization"] = f"Bearer {token}"
            before = (await figures(session))["exness_snapshots_total",]
            created = await ask(session, "POST", "/api/v1/trade/create", ORDER)
            assert created[0] == 200, created
            refused = await ask(session, "GET", "/api/v1/balance", token="no token")
            assert refused[0] == 401, refused

            async def snapshot_taken() -> bool:
                return (await figures(session))["exness_snapshots_total",] > before

            await until(snapshot_taken, within_s=WAIT_S, pause_s=POLL_S)
            closed = await ask(session, "POST", "/api/v1/trade/close", {"orderId": created[1]["orderId"]})
            assert closed[0] == 200, closed
            if fd == 2:
                await assert_counted(session, fault.reason)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait) == 0
        assert time.monotonic() - began < STOPS_WITHIN_S
    report = verify_directory(data_dir, lambda done, total: None)
    assert (report.trades_opened, report.trades_closed) == (1, 1)


async def assert_counted(session: aiohttp.ClientSession, reason: str) -> None:
    """What became of the log lines so far is in /metrics."""

    async def is_counted() -> bool:
        samples = await figures(session)
        if reason == "waiting":
            return samples["exness_queue_depth", "log"] > 0
        dropped = {key[1]: count for key, count in samples.items() if key[0] == "exness_log_lines_dropped_total"}
        assert set(dropped) == {"queue_full", "no_reader", "closed", "disk_full", "failed"}
        return dropped[reason] > 0 if reason else sum(dropped.values()) == 0

    await until(is_counted, within_s=WAIT_S, pause_s=POLL_S)


async def test_a_log_that_nobody_reads_refuses_nothing_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    """More lines than may wait. `measure_logs` does the same with as many requests as one likes."""
    requests = 9_000
    read, write = os.pipe()
    env = {**SETTINGS, "EXNESS_TRADING_MAX_OPEN_TRADES_PER_ACCOUNT": "1000000", "EXNESS_LIMITS_ENABLED": "false"}
    data_dir, port = tmp_path / "data", free_port()
    token = await token_of(data_dir)
    process = subprocess.Popen(  # noqa: ASYNC220
        command(data_dir, port), env=environment(env), stdout=subprocess.DEVNULL, stderr=write
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            await until_served(process, session)
            answered, _, _ = await measure_logs.load(f"http://127.0.0.1:{port}", token, requests)
            assert answered == {200: requests}
            samples = await figures(session)
        assert samples["exness_log_lines_dropped_total", "queue_full"] > 0
        assert samples["exness_queue_depth", "log"] <= samples["exness_queue_bound", "log"]
        assert samples["exness_snapshots_total",] >= 1
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert await asyncio.to_thread(process.wait) == 0
        assert time.monotonic() - began < STOPS_WITHIN_S
    finally:
        process.kill()
        process.wait()
        os.close(read)
        os.close(write)


async def test_what_it_says_in_an_encoding_without_our_letters_is_escaped(tmp_path: Path) -> None:
    async with Server(tmp_path / "Łódź", env={"PYTHONIOENCODING": "ascii"}) as server:
        assert server.banner("data") == str(tmp_path / "\\u0141\\xf3d\\u017a")
        assert server.output[-1] == f"listening on {server.url}"
        assert await server.stop() == 0


async def test_a_command_does_what_it_is_asked_for_whatever_its_encoding_lacks(tmp_path: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii:strict"}
    async with Server(tmp_path / "Łódź", env=env) as server:
        token = await server.token("łucja@example.com")
        assert (await server.get("/balance", token)).status == 200
        done = await finished(
            "token", "--revoke", "łucja@example.com", "--data-dir", str(server.data_dir), env=env, cwd=tmp_path
        )
        assert done == (0, "every session of \\u0142ucja@example.com is ended; it can sign in again\n", "")
        assert (await server.get("/balance", token)).status == 401
        copy = tmp_path / "kopia-ł.db"
        for arguments in (
            ["backup", str(copy), "--data-dir", str(server.data_dir)],
            ["verify", str(copy)],
            ["restore", str(copy), "--data-dir", str(tmp_path / "ł")],
        ):
            done = await finished(*arguments, env=env, cwd=tmp_path)
            assert (done.code, done.errors) == (0, ""), done
            assert "\\u0142" in done.output


DEEDS = {
    "token --revoke": (["token", "--revoke", "ann@example.com"], 0),
    "token": (["token", "ann@example.com"], 1),
    "version": (["version"], 1),
    "config": (["config"], 1),
    "verify": (["verify"], 0),
    "backup": (["backup", "copy.db"], 0),
    "restore": (["restore", "kept.db", "--data-dir", "other"], 0),
    "--help": (["--help"], 0),
    "wrong usage": (["serve", "--nonsense"], 2),
    "a refusal": (["verify", "nothing.db"], 1),
}


@pytest.mark.parametrize("stream", ["full", "gone", "closed"])
@pytest.mark.parametrize("name", DEEDS)
def test_a_command_that_nobody_hears_has_done_it_all_the_same(tmp_path: Path, name: str, stream: str) -> None:
    """Only what is asked for its output fails without it."""
    arguments, code = DEEDS[name]
    asyncio.run(make_directory(tmp_path / "data", [], []))
    backup(tmp_path / "data", tmp_path / "kept.db", lambda done, total: None)
    with contextlib.ExitStack() as stack:
        handle = FAULTS[stream].open(stack, 1)
        options: dict[str, Any] = {"stdout": handle, "stderr": handle}
        if handle is None:
            options = {"preexec_fn": lambda: os.closerange(0, 3)}
        done = subprocess.run(
            [sys.executable, "-m", "exness", *arguments], env=environment({}), cwd=tmp_path, timeout=WAIT_S, **options
        )
    if handle is None and name in ("token", "version", "config"):
        code = 0  # a closed stream is the null device, which takes everything
    assert done.returncode == code
    if name == "backup":
        assert verify(tmp_path / "copy.db", None, lambda done, total: None).records == 0
    if name == "restore":
        assert (tmp_path / "other" / JOURNAL_DB).exists()


def test_a_token_that_cannot_be_printed_is_told_of(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        done = subprocess.run(
            [sys.executable, "-m", "exness", "token", "ann@example.com"],
            env=environment({}),
            cwd=tmp_path,
            timeout=WAIT_S,
            stdout=full(stack, 1),
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert done.stderr == b"exness: standard output can't be written: no space left on device\n"


async def test_json_logs_of_a_process_are_json_to_the_last_line(tmp_path: Path) -> None:
    env = {"EXNESS_LOG_FORMAT": "json", "EXNESS_LOG_ACCESS": "true"}
    async with Server(tmp_path / "data", env=env) as server:
        hostile = "%1b%5b2J%7f%c2%9b31m"
        assert (await server.get(f"/{hostile}")).status == 404
        assert await server.stop() == 0
    lines = [json.loads(line) for line in server.errors]
    assert {line["logger"] for line in lines} >= {"exness.access", "exness.app.life"}
    (request,) = [line for line in lines if line["event"] == "request"]
    assert request["path"] == "/api/v1/\x1b[2J\x7f\x9b31m"
    assert all(line.isprintable() for line in server.errors)


async def test_the_console_shows_a_hostile_path_without_obeying_it(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env={"EXNESS_LOG_ACCESS": "true"}) as server:
        assert (await server.get("/%1b%5b2J%0aforged")).status == 404
        assert await server.stop() == 0
    (line,) = [line for line in server.errors if "request " in line]
    assert "path='/api/v1/\\x1b[2J\\nforged'" in line
    assert all(line.isprintable() for line in server.errors)


@pytest.mark.parametrize("files", [64, 256])
async def test_connections_beyond_the_limit_of_open_files_are_refused_in_words(tmp_path: Path, files: int) -> None:
    async with Server(tmp_path / "data", open_files=files) as server:
        (warning,) = [line for line in server.output if line.startswith("  warning ")]
        assert "limit of open files" in warning
        allowed = int(warning.split(" connections")[0].split()[-1])
        assert 1 <= allowed < files
        assert any("fewer connections" in line for line in server.errors)
        token = await server.token("ann@example.com")
        assert (await server.post("/trade/create", token, ORDER)).status == 200
        port = int(server.url.rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            first_bytes = []
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(files + 40)]
            for client in clients:
                client.settimeout(STOPS_WITHIN_S)
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                first_bytes.append((await asyncio.to_thread(client.recv, 12)).decode())
        assert set(first_bytes) == {"HTTP/1.1 200", "HTTP/1.1 429"}, "each is answered"
        # One client takes two thirds of the places at most.
        assert allowed * 2 // 3 - 3 <= first_bytes.count("HTTP/1.1 200") <= allowed
        assert await server.stop() == 0
    report = verify_directory(server.data_dir, lambda done, total: None)
    assert report.trades_opened == 1


# --- the process ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(fault: Fault, fd: int, data_dir: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`serve` with the fault on stream `fd`, and the null device for the others."""
    with contextlib.ExitStack() as stack:
        handle = fault.open(stack, fd)
        streams: dict[int, int | None] = dict.fromkeys(STREAMS, subprocess.DEVNULL)
        streams[fd] = handle
        process = subprocess.Popen(
            command(data_dir, port),
            env=environment({**SETTINGS, "PYTHONIOENCODING": fault.encoding}),
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            preexec_fn=(lambda: os.close(fd)) if handle is None else None,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def command(data_dir: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "exness", "serve", "--port", str(port), "--data-dir", str(data_dir)]


def environment(settings: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def until_served(process: "subprocess.Popen[bytes]", session: aiohttp.ClientSession) -> None:
    async def is_served() -> bool:
        assert process.poll() is None, f"it has ended with {process.returncode}"
        with contextlib.suppress(aiohttp.ClientError):
            return (await ask(session, "GET", "/healthz"))[0] == 200
        return False

    await until(is_served, within_s=WAIT_S, pause_s=POLL_S)


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with session.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def figures(session: aiohttp.ClientSession) -> dict[tuple[str, ...], float]:
    async with session.get("/metrics") as response:
        text = await response.text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

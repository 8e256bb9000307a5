"""How the process starts, stops, refuses to start twice, and fails."""

import asyncio
import contextlib
import json
import re
import resource
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.ledger import Ledger, assert_tables_agree
from tests.support.process import Answer, DidNotStart, Server, finished
from tests.support.waiting import until

STOPS_WITHIN_S = 5.0
"""The promise, for an exchange under load."""

WORKERS = 16
ORDER = {"asset": "SOL", "type": "long", "margin": "0.5", "leverage": 3}


class Load:
    """Traders who open and close as fast as they are answered, and keep account of every answer."""

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self.outcomes: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._server = server
        self._ledger = ledger
        self._stopped = False

    @contextlib.asynccontextmanager
    async def running(self, at_least: int) -> AsyncIterator["Load"]:
        """Enters once so many were answered; leaves once every worker has seen the server go."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(WORKERS):
                tasks.create_task(self._work(number))
            await until(lambda: self.outcomes.total() >= at_least)
            yield self

    async def _work(self, number: int) -> None:
        """Until the server is gone. Whatever it says meanwhile is whole: an answer, or nothing at all."""
        while not self._stopped:
            try:
                answer = await self._server.post("/trade/create", self._ledger.token, ORDER)
            except aiohttp.ClientPayloadError as broken:
                raise AssertionError(f"half an answer: {broken}") from broken
            except aiohttp.ClientConnectorError:
                self.outcomes["refused"] += 1
                return
            except aiohttp.ClientConnectionError as gone:
                self.outcomes[type(gone).__name__] += 1
                self._ledger.unanswered += 1
                continue
            self._count(answer.status, answer.body)
            if answer.status == 200:
                self._ledger.note(answer)
                if number % 4 == 0:
                    await self._close(answer.body["orderId"])

    async def _close(self, order: str) -> None:
        try:
            answer = await self._server.post("/trade/close", self._ledger.token, {"orderId": order})
        except aiohttp.ClientPayloadError as broken:
            raise AssertionError(f"half an answer: {broken}") from broken
        except aiohttp.ClientConnectionError as gone:
            self.outcomes[type(gone).__name__] += 1
            self._ledger.unanswered += 1
            return
        self._count(answer.status, answer.body)
        if answer.status == 200:
            self._ledger.note(answer)

    def _count(self, status: int, body: Any) -> None:
        self.outcomes["ok" if status == 200 else body["code"]] += 1
        if status == 500:
            self._ledger.unanswered += 1  # "it is not certain that this is on disk"


async def ledger_of(server: Server, email: str = "ann@example.com") -> Ledger:
    return Ledger(email, await server.token(email))


MANY = {"EXNESS_TRADING_MAX_OPEN_TRADES_PER_ACCOUNT": "1000000"}


async def test_it_says_where_it_listens_once_it_is_ready(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        assert server.output[-1] == f"listening on {server.url}"
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", server.url), "port 0 picks a free one"
        ready = await server.get("/readyz")
        assert (ready.status, ready.body["ready"], ready.body["reasons"]) == (200, True, [])
        assert (await server.get("/healthz")).status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_signal_under_load_ends_it_in_time_with_nothing_lost(tmp_path: Path, number: signal.Signals) -> None:
    server = Server(tmp_path / "data", env=MANY)
    async with server:
        ledger = await ledger_of(server)
        load = Load(server, ledger)
        async with load.running(at_least=300):
            started = time.monotonic()
            server.signal(number)
            code = await server.wait()
            took = time.monotonic() - started
        print(f"{number.name}: stopped in {took:.2f} s; {dict(load.outcomes)}")
        assert (code, took < STOPS_WITHIN_S) == (0, True), (took, server.errors)
        allowed = {"ok", "shutting_down", "refused", "ServerDisconnectedError", "ClientOSError"}
        assert set(load.outcomes) <= allowed
        assert_tables_agree(server)
        await server.start()
        assert server.recovered.snapshot == server.recovered.seq, "the last snapshot has everything"
        assert server.recovered.replayed == 0
        ledger.unanswered = 0  # whoever got no answer was not done: what was taken was answered
        await ledger.assert_kept(server)


async def test_half_a_request_delays_the_end_no_longer_than_it_may_and_is_not_done(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    async with server:
        ledger = await ledger_of(server)
        async with half_a_body(server, ledger.token) as (reader, _, _):
            started = time.monotonic()
            code = await server.stop()
            took = time.monotonic() - started
            assert await reader.read() == b"", "nothing at all rather than half an answer"
        print(f"stopped in {took:.2f} s with a client that sends half a body")
        assert (code, took < STOPS_WITHIN_S) == (0, True), (took, server.errors)
        await server.start()
        await ledger.assert_kept(server)


async def test_requests_in_flight_are_answered_before_it_ends(tmp_path: Path) -> None:
    """The disk is slow: another connection holds the database when the requests and then the signal come."""
    server = Server(tmp_path / "data")
    async with server, contextlib.AsyncExitStack() as stack:
        ledger = await ledger_of(server)
        ledger.note(await server.post("/trade/create", ledger.token, ORDER))
        with held(server.data_dir / "journal.db"):
            clients = [await stack.enter_async_context(half_a_body(server, ledger.token)) for _ in range(20)]
            for _, writer, rest in clients:
                writer.write(rest)
            for _ in range(2):  # what is answered now was read after all that was sent before it
                assert (await server.get("/healthz")).status == 200
            server.signal(signal.SIGTERM)
            await until_stopping(server)
            started = time.monotonic()
        for reader, _, _ in clients:
            ledger.note(await read_answer(reader))
        assert await server.wait() == 0
        assert time.monotonic() - started < STOPS_WITHIN_S
        await server.start()
        assert server.recovered.open_trades == 21
        await ledger.assert_kept(server)


async def test_nothing_new_is_accepted_while_it_stops(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    async with server:
        ledger = await ledger_of(server)
        async with half_a_body(server, ledger.token):
            server.signal(signal.SIGTERM)
            await until_stopping(server)
            await until(lambda: refuses(server), within_s=3, pause_s=0.005)
            assert server.running
        assert await server.wait() == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)],
    ids=["SIGTERM", "SIGINT", "SIGTERM then SIGINT"],
)
async def test_a_second_signal_stops_it_at_once(tmp_path: Path, first: signal.Signals, second: signal.Signals) -> None:
    server = Server(tmp_path / "data", env={"EXNESS_SERVER_SHUTDOWN_TIMEOUT_S": "60"})
    async with server:
        ledger = await ledger_of(server)
        ledger.note(await server.post("/trade/create", ledger.token, ORDER))
        async with half_a_body(server, ledger.token):
            server.signal(first)
            await until_stopping(server)
            started = time.monotonic()
            server.signal(second)
            code = await server.wait()
        took = time.monotonic() - started
        assert code == 1
        assert took < 2, "it would have waited a minute for the request in flight"
        assert server.errors[-1] == "stopped at once, without waiting for requests in flight"
        await server.start()
        await ledger.assert_kept(server)


async def test_a_second_server_on_one_directory_names_the_first_and_leaves_it_alone(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as first:
        ledger = await ledger_of(first)
        ledger.note(await first.post("/trade/create", ledger.token, ORDER))
        second = Server(tmp_path / "data")
        with pytest.raises(DidNotStart) as refusal:
            await second.start()
        assert refusal.value.code == 1
        assert refusal.value.output == ""
        (sentence,) = refusal.value.errors.splitlines()
        assert f"process {first.pid}" in sentence
        assert str(tmp_path / "data") in sentence
        ledger.note(await first.post("/trade/create", ledger.token, ORDER))
        await ledger.assert_kept(first)


async def test_the_lock_of_a_killed_server_is_no_hindrance(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    async with server:
        ledger = await ledger_of(server)
        ledger.note(await server.post("/trade/create", ledger.token, ORDER))
        killed = server.pid
        server.kill()
        await server.wait()
        assert (server.data_dir / "lock").read_text().splitlines()[0] == str(killed)
        await server.start()
        await ledger.assert_kept(server)


async def test_a_token_can_be_made_while_the_server_runs_and_before_it_ever_did(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    before = await server.token("ann@example.com")
    async with server:
        meanwhile = await server.token("ann@example.com")
        for token in (before, meanwhile):
            account = await server.get("/account", token)
            assert (account.status, account.body["email"]) == (200, "ann@example.com")


async def test_a_disk_that_takes_no_more_stops_it_with_a_reason_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    """A file that may not grow is what a broken disk looks like to SQLite: writes fail with an I/O error."""
    server = Server(tmp_path / "data", env=MANY)
    async with server:
        ledger = await ledger_of(server)
        load = Load(server, ledger)
        async with load.running(at_least=300):
            size = (server.data_dir / "journal.db-wal").stat().st_size
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, size))
            code = await server.wait()
        print(f"broken disk: {dict(load.outcomes)}; {server.errors[-1]}")
        assert_failed_with_a_reason(server, code, "journal.db can't be used")
        assert_tables_agree(server)
        await server.start()
        await ledger.assert_kept(server)
        ledger.note(await server.post("/trade/create", ledger.token, ORDER))


async def test_a_database_that_somebody_else_holds_stops_it_with_a_reason(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", env=MANY)
    async with server:
        ledger = await ledger_of(server)
        ledger.note(await server.post("/trade/create", ledger.token, ORDER))
        with held(server.data_dir / "journal.db"):
            answer = await server.post("/trade/create", ledger.token, ORDER)
            assert (answer.status, answer.body["code"]) == (500, "internal_error")
            assert "on disk" in answer.body["message"]
            code = await server.wait()
        assert_failed_with_a_reason(server, code, "another process holds it")
        await server.start()
        await ledger.assert_kept(server)
        assert len(ledger.created) == 1


async def test_a_start_that_fails_leaves_no_lock_behind(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        port = server.url.rpartition(":")[2]
        done = await finished("serve", "--port", port, "--data-dir", str(tmp_path / "other"), cwd=tmp_path)
        assert done.code == 1
    async with Server(tmp_path / "other") as server:
        assert server.recovered.seq == 0


def assert_failed_with_a_reason(server: Server, code: int, reason: str) -> None:
    """Exit code 1, the reason as the last sentence, and no trace of the inside."""
    assert code == 1
    assert not any("Traceback" in line for line in server.errors), server.errors
    assert server.errors[-1].startswith("exness: ")
    assert reason in server.errors[-1]


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Nobody else can write to it meanwhile."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One whole answer from a bare connection."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(status.split()[1]), headers, json.loads(body))


@contextlib.asynccontextmanager
async def half_a_body(
    server: Server, token: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]]:
    """A create of which only half has been sent when the server waits for the rest."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}'
    head = (
        f"POST /api/v1/trade/create HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"  # so the handler is at work
    writer.write(body[:20])
    try:
        yield reader, writer, body[20:]
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until_stopping(server: Server) -> None:
    await until(lambda: any("stopping" in line for line in server.errors))


async def refuses(server: Server) -> bool:
    host, _, port = server.url.removeprefix("http://").partition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return True
    writer.close()
    return False

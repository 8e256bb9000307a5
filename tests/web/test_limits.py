"""web/limits.py, web/callers.py, web/connections.py: how much one caller may ask, and who that is."""

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from exness.web.connections import Bounds, Connections
from exness.web.errors import ApiError
from exness.web.limits import Allowance, RateLimits
from tests.support.app import App, assert_error, rate_limits, running_app, until
from tests.support.memory import peak_memory


class Seconds:
    """A clock for the limits."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def limits(seconds: Seconds, **changed: Any) -> RateLimits:
    return rate_limits(now_s=seconds, **changed)


def refused(call: Any, *arguments: Any, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **options)
    assert caught.value.code == "rate_limited"
    return caught.value


# --- counting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_wall_clock_that_is_set_neither_prolongs_a_window_nor_ends_it(
    monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    step, real_s = [0], time.time
    monkeypatch.setattr(time, "time", lambda: real_s() + step[0])
    spec = importlib.util.find_spec(RateLimits.__module__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # anew: its defaults are what `time` holds now
    rates = {"trade_per_account": "1/day", "trade_per_ip": "1/day", "read_per_ip": "1/minute"}
    here = module.RateLimits(enabled=True, most=100, block_after=1, block_s=300, **rates)
    here.hit_address("1.2.3.4", reading=True)
    for _ in range(3):
        refused(here.hit_address, "1.2.3.4", reading=True)
    here.hit_address("4.3.2.1", reading=True)
    step[0] = step_s
    error = refused(here.hit_address, "1.2.3.4", reading=True)
    assert 290 <= int(error.headers["Retry-After"]) <= 301
    error = refused(here.hit_address, "4.3.2.1", reading=True)
    assert 50 <= int(error.headers["Retry-After"]) <= 61


def test_a_window_begins_with_its_first_request_and_then_starts_afresh() -> None:
    seconds = Seconds()
    here = limits(seconds, read="2/minute")
    assert here.hit_address("1.2.3.4", reading=True) == Allowance(2, 1, 61)
    seconds.now += 59
    assert here.hit_address("1.2.3.4", reading=True) == Allowance(2, 0, 2)
    error = refused(here.hit_address, "1.2.3.4", reading=True)
    assert error.headers["Retry-After"] == "2"
    seconds.now += 1
    assert here.hit_address("1.2.3.4", reading=True) == Allowance(2, 1, 61)


def test_of_several_rates_the_tightest_is_told_and_each_refuses() -> None:
    seconds = Seconds()
    here = limits(seconds, read="3/minute;4/hour")
    told = [here.hit_address("1.2.3.4", reading=True) for _ in range(3)]
    assert [(each.limit, each.remaining) for each in told if each] == [(3, 2), (3, 1), (3, 0)]
    seconds.now += 60
    assert here.hit_address("1.2.3.4", reading=True) == Allowance(4, 0, 3541)
    error = refused(here.hit_address, "1.2.3.4", reading=True)
    assert (error.headers["X-RateLimit-Limit"], error.headers["X-RateLimit-Remaining"]) == ("4", "0")


def test_fifty_thousand_addresses_take_no_more_memory_than_the_first_five_thousand() -> None:
    here = rate_limits(mail_per_ip="100/hour", mail_per_address="100/hour")

    def hit(addresses: range) -> None:
        for number in addresses:
            here.hit_address(f"1.2.{number}", reading=True)
            here.hit_mail(f"{number}@example.com", f"1.2.{number}")

    hit(range(5_000))
    with peak_memory() as peak:
        hit(range(5_000, 55_000))
    assert peak[0] < 1_000_000


def test_a_flood_of_addresses_does_not_free_who_was_blocked_or_has_had_its_mails() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/minute", block_after=1, mail_per_ip="1/hour", mail_per_address="1/hour")
    here.hit_mail("ann@example.com", "9.9.9.9")
    here.hit_address("6.6.6.6", reading=True)
    for _ in range(2):
        refused(here.hit_address, "6.6.6.6", reading=True)
    for number in range(5000):
        here.hit_address(f"1.2.{number}", reading=True)
    refused(here.hit_address, "6.6.6.6", reading=False)
    refused(here.hit_mail, "bob@example.com", "9.9.9.9")


def test_who_goes_on_after_being_refused_is_blocked_for_a_while_and_others_are_not() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/second", block_after=3, block_s=300)
    here.hit_address("6.6.6.6", reading=True)
    for _ in range(3):
        assert int(refused(here.hit_address, "6.6.6.6", reading=True).headers["Retry-After"]) <= 2
    refused(here.hit_address, "6.6.6.6", reading=True)
    seconds.now += 10
    error = refused(here.hit_address, "6.6.6.6", reading=False)
    assert (error.headers["Retry-After"], error.message) == ("291", "Too many requests after being refused; blocked")
    here.hit_address("7.7.7.7", reading=True)
    seconds.now += 291
    here.hit_address("6.6.6.6", reading=True)


def test_now_and_then_a_refusal_blocks_nobody() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/second", block_after=3)
    for _ in range(20):
        here.hit_address("6.6.6.6", reading=True)
        refused(here.hit_address, "6.6.6.6", reading=True)
        seconds.now += 30


async def test_answers_tell_what_is_left() -> None:
    async with running_app(limits=rate_limits(read="3/day", read_per_account="2/day")) as app:
        ann = app.trader("ann")
        got = [await ann.get("/balance"), await ann.get("/prices"), await ann.get("/balance")]
        left = [(each.headers["X-RateLimit-Limit"], each.headers["X-RateLimit-Remaining"]) for each in got]
        assert left == [("2", "1"), ("3", "1"), ("3", "0")] or left == [("2", "1"), ("3", "1"), ("2", "0")]
        assert 86_000 < int(got[0].headers["X-RateLimit-Reset"]) <= 86_401
        assert "X-RateLimit-Limit" not in (await app.get("/healthz")).headers
        refusal = await app.get("/prices")
        assert_error(refusal, 429, "rate_limited", retry=True)
        assert refusal.headers["X-RateLimit-Remaining"] == "0"


async def test_a_blocked_address_is_counted_and_gets_nothing() -> None:
    async with running_app(limits=rate_limits(read="1/day", block_after=1)) as app:
        codes = [(await app.get("/prices")).status for _ in range(5)]
        assert codes == [200, 429, 429, 429, 429]
        assert_error(await app.post("/signup", {"email": "a@example.com"}), 429, "rate_limited", retry=True)
        assert app.context.audit.counters["refused_rate_limited"] == 5


# --- connections --------------------------------------------------------------------------------------------------


def bounded(**bounds: Any) -> Connections:
    return Connections(Bounds(**bounds))


class Line:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, app: App) -> AsyncIterator["Line"]:
        line = cls(*await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2])))
        try:
            yield line
        finally:
            line.writer.close()
            with suppress(ConnectionError):
                await line.writer.wait_closed()

    async def says(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """All until the server closes."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


HEAD = b"POST /api/v1/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("bounds", [{"connections": 2}, {"connections_per_ip": 2}], ids=str)
async def test_one_connection_too_many_is_told_so_and_closed_and_room_comes_back(bounds: dict[str, int]) -> None:
    async with running_app(connections=bounded(**bounds)) as app:
        async with Line.to(app), Line.to(app):
            await until(lambda: len(app.context.connections) == 2)
            async with Line.to(app) as third:
                assert (await third.rest()).startswith(b"HTTP/1.1 429 ")
        await until(lambda: len(app.context.connections) == 0)
        assert (await app.get("/healthz")).status == 200


@pytest.mark.parametrize(
    "said", [b"", b"GET /heal", HEAD, HEAD + b"X-Slow: " + b"x" * 1000], ids=["nothing", "a line", "a head", "a header"]
)
async def test_who_does_not_finish_a_head_in_time_is_cut_off(said: bytes) -> None:
    async with running_app(connections=bounded(head_timeout_s=0.1)) as app, Line.to(app) as line:
        await line.says(said)
        assert await line.rest() == b""
        assert app.context.connections.audit.counters["refused_slow_head"] == 1


async def test_dripping_a_head_does_not_buy_time() -> None:
    async with running_app(connections=bounded(head_timeout_s=0.2)) as app, Line.to(app) as line:
        cut_off = asyncio.create_task(line.rest())
        for byte in b"GET /" + b"x" * 500:
            if cut_off.done():
                break
            try:
                await line.says(bytes([byte]))
            except ConnectionError:
                break
            await asyncio.sleep(0.01)
        assert await cut_off == b""


async def test_a_second_request_on_a_connection_has_its_own_time() -> None:
    async with running_app(connections=bounded(head_timeout_s=0.1, idle_timeout_s=30)) as app, Line.to(app) as line:
        await line.says(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await line.reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.3)  # idle is not slow
        await line.says(b"GET /heal")
        assert await line.rest() == b""


async def test_an_idle_connection_is_closed() -> None:
    async with running_app(connections=bounded(idle_timeout_s=0.1)) as app, Line.to(app) as line:
        await line.says(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await line.rest()).startswith(b"HTTP/1.1 200 ")
        assert app.context.connections.audit.counters["refused_slow_head"] == 0


async def test_a_body_that_does_not_come_in_time_is_a_request_timeout() -> None:
    async with running_app(body_timeout_s=0.1) as app, Line.to(app) as line:
        await line.says(HEAD + b'Content-Length: 100\r\n\r\n{"email"')
        answer = await line.reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in answer

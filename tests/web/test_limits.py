"""web/http/rate_limits.py and connection_limits.py: how much one client may ask, and how much room it may take."""

import asyncio
import copy
import importlib.util
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exness.web.http.access_log import AccessLog, Fields
from exness.web.http.connection_limits import Bounds, Connections
from exness.web.http.errors import ApiError
from exness.web.http.rate_limits import Allowance, RateLimits
from exness.web.http.weights import Budget
from tests.support.app import Answer, App, assert_error, rate_limits, running_app
from tests.support.memory import peak_memory
from tests.support.waiting import until


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
    rates = {
        "trade_per_account": "1/day",
        "trade_per_ip": "1/day",
        "read_per_ip": "1/minute",
        "read_per_account": "1/day",
    }
    rates |= {"probe_per_ip": "1/day", "mail_per_ip": "1/day", "mail_per_address": "1/day"}
    rates |= {"fapi_per_ip": "1/day", "fapi_orders_per_account": "1/day"}
    here = module.RateLimits(enabled=True, most=100, block_after=1, block_s=300, **rates)
    here.hit_address("1.2.3.4", Budget.READ, 1)
    for _ in range(3):
        refused(here.hit_address, "1.2.3.4", Budget.READ, 1)
    here.hit_address("4.3.2.1", Budget.READ, 1)
    step[0] = step_s
    error = refused(here.hit_address, "1.2.3.4", Budget.READ, 1)
    assert 290 <= error.retry_after_s <= 301
    error = refused(here.hit_address, "4.3.2.1", Budget.READ, 1)
    assert 50 <= error.retry_after_s <= 61


def test_a_window_begins_with_its_first_request_and_then_starts_afresh() -> None:
    seconds = Seconds()
    here = limits(seconds, read="2/minute")
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(2, 1, 61)
    seconds.now += 59
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(2, 0, 2)
    error = refused(here.hit_address, "1.2.3.4", Budget.READ, 1)
    assert error.retry_after_s == 2
    seconds.now += 1
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(2, 1, 61)


def test_of_several_rates_the_tightest_is_told_and_each_refuses() -> None:
    seconds = Seconds()
    here = limits(seconds, read="3/minute;4/hour")
    told = [here.hit_address("1.2.3.4", Budget.READ, 1) for _ in range(3)]
    assert [(each.limit, each.remaining) for each in told if each] == [(3, 2), (3, 1), (3, 0)]
    seconds.now += 60
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(4, 0, 3541)
    error = refused(here.hit_address, "1.2.3.4", Budget.READ, 1)
    assert (error.headers["X-RateLimit-Limit"], error.headers["X-RateLimit-Remaining"]) == ("4", "0")


def test_ten_thousand_addresses_take_no_more_memory_than_the_first_two_thousand() -> None:
    here = rate_limits(mail_per_ip="100/hour", mail_per_address="100/hour")

    def hit(addresses: range) -> None:
        for number in addresses:
            here.hit_address(f"1.2.{number}", Budget.READ, 1)
            here.hit_mail(f"{number}@example.com", f"1.2.{number}")

    hit(range(2_000))
    with peak_memory() as peak:
        hit(range(2_000, 12_000))
    assert peak[0] < 1_000_000
    assert len(here._counters) == len(here._tight) == 1000


def test_a_flood_of_addresses_does_not_free_who_was_blocked_or_has_had_its_mails() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/minute", block_after=1, mail_per_ip="1/hour", mail_per_address="1/hour")
    here.hit_mail("ann@example.com", "9.9.9.9")
    here.hit_address("6.6.6.6", Budget.READ, 1)
    for _ in range(2):
        refused(here.hit_address, "6.6.6.6", Budget.READ, 1)
    for number in range(5000):
        here.hit_address(f"1.2.{number}", Budget.READ, 1)
    refused(here.hit_address, "6.6.6.6", Budget.TRADE, 1)
    refused(here.hit_mail, "bob@example.com", "9.9.9.9")


def test_who_goes_on_after_being_refused_is_blocked_for_a_while_and_others_are_not() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/second", block_after=3, block_s=300)
    here.hit_address("6.6.6.6", Budget.READ, 1)
    for _ in range(3):
        assert refused(here.hit_address, "6.6.6.6", Budget.READ, 1).retry_after_s <= 2
    refused(here.hit_address, "6.6.6.6", Budget.READ, 1)
    seconds.now += 10
    error = refused(here.hit_address, "6.6.6.6", Budget.TRADE, 1)
    assert (error.retry_after_s, error.message) == (291, "Too many requests after being refused; blocked")
    here.hit_address("7.7.7.7", Budget.READ, 1)
    seconds.now += 291
    here.hit_address("6.6.6.6", Budget.READ, 1)


def test_now_and_then_a_refusal_blocks_nobody() -> None:
    seconds = Seconds()
    here = limits(seconds, read="1/second", block_after=3)
    for _ in range(20):
        here.hit_address("6.6.6.6", Budget.READ, 1)
        refused(here.hit_address, "6.6.6.6", Budget.READ, 1)
        seconds.now += 30


async def test_answers_tell_what_is_left() -> None:
    async with running_app(limits=rate_limits(read="3/day", read_per_account="2/day")) as app:
        ann = app.trader("ann")
        got = [await ann.get("/balance"), await ann.get("/prices"), await ann.get("/balance")]
        left = [(each.headers["X-RateLimit-Limit"], each.headers["X-RateLimit-Remaining"]) for each in got]
        assert left == [("2", "1"), ("3", "1"), ("3", "0")] or left == [("2", "1"), ("3", "1"), ("2", "0")]
        assert 86_000 < int(got[0].headers["X-RateLimit-Reset"]) <= 86_401
        assert (await app.get("/healthz")).headers["X-RateLimit-Limit"] == "1000000", "a probe counts apart"
        refusal = await app.get("/prices")
        assert_error(refusal, 429, "rate_limited", retry=True)
        assert refusal.headers["X-RateLimit-Remaining"] == "0"


async def test_a_blocked_address_is_counted_and_gets_nothing() -> None:
    async with running_app(limits=rate_limits(read="1/day", block_after=1)) as app:
        codes = [(await app.get("/prices")).status for _ in range(5)]
        assert codes == [200, 429, 429, 429, 429]
        assert_error(await app.post("/signup", {"email": "a@example.com"}), 429, "rate_limited", retry=True)
        assert app.services.security_log.counters["refused_rate_limited"] == 5


# --- weights in windows -------------------------------------------------------------------------------------------


class NaiveWindows:
    """The rule as API.md says it, from a list of all that was accepted."""

    def __init__(self, amount: int, seconds: int) -> None:
        self.amount, self.seconds = amount, seconds
        self.began, self.ends, self.accepted = 0.0, 0.0, [0]

    def takes(self, now: float, weight: int) -> bool:
        if now >= self.ends:
            self.began, self.accepted = now, []
            self.ends = now + self.seconds * max(1, -(-weight // self.amount))
        elif sum(self.accepted) + weight > self.amount:
            return False
        self.accepted.append(weight)
        return True

    @property
    def left(self) -> int:
        return max(0, self.amount - sum(self.accepted))


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(1, 90)),
        min_size=1,
        max_size=3,
        unique_by=lambda rate: rate[1],
    ),
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 30)), max_size=60),
)
@example([(10, 60)], [(0, 8), (1, 8), (1, 2), (1, 1), (60, 25), (61, 1), (59, 1), (1, 1)])
def test_the_weights_accepted_in_a_window_never_exceed_the_rate(
    rates: list[tuple[int, int]], requests: list[tuple[float, int]]
) -> None:
    """Nor, of a request that weighs more than a window, those of as many windows as it takes. What is told is left is
    left: that much is accepted, and no more."""
    seconds = Seconds()
    here = limits(seconds, read=";".join(f"{amount}/{length}second" for amount, length in rates))
    windows = [NaiveWindows(amount, length) for amount, length in rates]
    for pause, weight in requests:
        seconds.now += pause
        if all(copy.deepcopy(window).takes(seconds.now, weight) for window in windows):
            allowance = here.hit_address("1.2.3.4", Budget.READ, weight)
            for window in windows:
                window.takes(seconds.now, weight)
                windows_taken = round((window.ends - window.began) / window.seconds)
                assert sum(window.accepted) <= window.amount * windows_taken
            assert allowance is not None
            assert allowance.remaining == min(window.left for window in windows)
        else:
            error = refused(here.hit_address, "1.2.3.4", Budget.READ, weight)
            told = int(error.headers["X-RateLimit-Remaining"])
            assert any(window.left == told < weight for window in windows)


def test_a_request_that_weighs_more_than_a_window_takes_several_and_locks_nobody_out() -> None:
    seconds = Seconds()
    here = limits(seconds, read="10/second")
    assert here.hit_address("1.2.3.4", Budget.READ, 35) == Allowance(10, 0, 5)
    seconds.now += 3.9
    refused(here.hit_address, "1.2.3.4", Budget.READ, 1)
    seconds.now += 0.1
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(10, 9, 2)
    refused(here.hit_address, "1.2.3.4", Budget.READ, 35)
    assert here.hit_address("1.2.3.4", Budget.READ, 9) == Allowance(10, 0, 2), "a refusal costs nothing"


def test_what_one_rate_refuses_no_rate_is_charged_for() -> None:
    seconds = Seconds()
    here = limits(seconds, read="100/hour;10/second")
    here.hit_address("1.2.3.4", Budget.READ, 8)
    for _ in range(50):
        refused(here.hit_address, "1.2.3.4", Budget.READ, 8)
    seconds.now += 1
    assert here.hit_address("1.2.3.4", Budget.READ, 10) == Allowance(10, 0, 2)
    seconds.now += 1
    assert here.hit_address("1.2.3.4", Budget.READ, 1) == Allowance(10, 9, 2)
    assert {count for count, _ in here._counters.windows.values()} == {19, 1}


def test_no_rate_of_limits_is_left_out_by_mistake() -> None:
    given = dict.fromkeys(("trade_per_account", "trade_per_ip", "read_per_ip", "read_per_account"), "1/second")
    given |= dict.fromkeys(("probe_per_ip", "mail_per_ip", "mail_per_address"), "1/second")
    given |= dict.fromkeys(("fapi_per_ip", "fapi_orders_per_account"), "1/second")
    whole: dict[str, Any] = given | {"enabled": True, "block_after": 1, "block_s": 1.0, "most": 10}
    RateLimits(**whole)
    for name in whole:
        with pytest.raises(TypeError, match=name):
            RateLimits(**{other: value for other, value in whole.items() if other != name})


def test_a_caller_flood_does_not_grow_the_counters_beyond_their_bound() -> None:
    here = rate_limits()
    for number in range(3000):
        here.hit_address(f"10.0.{number // 256}.{number % 256}", Budget.READ, 1)
    assert len(here._counters) == 1000


# --- everything passes the limits ---------------------------------------------------------------------------------

OUTSIDE = ["/docs", "/openapi.json", "/asyncapi.json", "/nowhere", "/api/v1/nowhere", "/"]
PROBES = ["/healthz", "/readyz", "/metrics"]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_what_is_outside_the_api_is_limited_refused_to_who_is_blocked_and_has_its_client_in_the_log(
    path: str,
) -> None:
    made: list[Callable[[], Fields]] = []
    access = AccessLog(lambda logger, fields: made.append(fields))
    async with running_app(limits=rate_limits(read="2/day", block_after=1), access=access) as app:
        assert app.http is not None

        async def ask() -> Answer:
            assert app.http is not None
            async with app.http.get(app.url + path) as response:
                return Answer(response.status, response.headers, await response.read())

        first = await ask()
        assert first.status in (200, 404)
        assert first.headers["X-RateLimit-Limit"] == "2"
        for _ in range(3):  # refused, refused and blocked, blocked
            assert_error(await ask(), 429, "rate_limited", retry=True)
        assert app.services.security_log.counters["refused_rate_limited"] == 3
    lines = [fields() for fields in made]
    assert [(each["path"], each["client"]) for each in lines] == [(path, "127.0.0.1")] * 4


async def test_probes_are_answered_whatever_else_their_address_does() -> None:
    """Else an orchestrator would end a server that is well."""
    async with running_app(limits=rate_limits(read="1/day", trade_per_ip="1/day", block_after=1)) as app:
        for _ in range(3):
            await app.get("/prices")
        assert_error(
            await app.get("/prices"), 429, "rate_limited", "Too many requests after being refused; blocked", retry=True
        )
        assert [(await app.get(path)).status for path in PROBES] == [200, 503, 404]


async def test_probes_have_a_bound_too() -> None:
    async with running_app(limits=rate_limits(probe_per_ip="5/day", block_after=2)) as app:
        assert [(await app.get("/healthz")).status for _ in range(9)] == [200] * 5 + [429] * 4
        assert (await app.get("/prices")).status == 429, "who probes on is blocked like any other"


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
            await until(lambda: len(app.services.connections) == 2)
            async with Line.to(app) as third:
                assert (await third.rest()).startswith(b"HTTP/1.1 429 ")
        await until(lambda: len(app.services.connections) == 0)
        assert (await app.get("/healthz")).status == 200


@pytest.mark.parametrize(
    "said", [b"", b"GET /heal", HEAD, HEAD + b"X-Slow: " + b"x" * 1000], ids=["nothing", "a line", "a head", "a header"]
)
async def test_who_does_not_finish_a_head_in_time_is_cut_off(said: bytes) -> None:
    async with running_app(connections=bounded(head_timeout_s=0.1)) as app, Line.to(app) as line:
        await line.says(said)
        assert await line.rest() == b""
        assert app.services.connections.security_log.counters["refused_slow_head"] == 1


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
        assert app.services.connections.security_log.counters["refused_slow_head"] == 0


async def test_a_body_that_does_not_come_in_time_is_a_request_timeout() -> None:
    async with running_app(body_timeout_s=0.1) as app, Line.to(app) as line:
        await line.says(HEAD + b'Content-Length: 100\r\n\r\n{"email"')
        answer = await line.reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in answer

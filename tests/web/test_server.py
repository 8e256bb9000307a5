"""web/http/front.py: what every answer has, whatever was asked."""

import asyncio
import re
from collections.abc import Callable
from operator import attrgetter
from typing import NoReturn

import pytest
import structlog
from yarl import URL

from exness.core.instruments import AccountId, TradeId
from exness.runtime.ports.tables import Analytics, Place, TradeQuery, TradeRow
from exness.web.app import endpoints_of
from exness.web.v1 import PREFIX as API
from tests.support.app import JSON, Answer, App, Trader, assert_error, order, rate_limits, running_app, unchanged
from tests.support.history import UnaskedHistory
from tests.support.waiting import until

PLAIN_ID = re.compile(r"[0-9a-f]{16}")


async def test_every_answer_has_a_request_id_of_its_own(app: App, ann: Trader) -> None:
    answers = [
        await app.get("/prices"),
        await app.get("/prices/XRP"),
        await app.get("/nothing"),
        await app.post("/prices"),
        await app.get("/balance"),
        await app.get("/healthz"),
        await app.get("/readyz"),
        await ann.try_create(),
        await ann.try_create(margin=0),
        await ann.try_create(margin=99_999),
        await ann.request("HEAD", "/balance"),
    ]
    assert [answer.status for answer in answers] == [200, 404, 404, 405, 401, 200, 200, 200, 400, 422, 200]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert all(PLAIN_ID.fullmatch(request_id) for request_id in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("request_id", ["r-1", "A.b_c-9", "x" * 64])
async def test_a_plain_request_id_of_the_clients_is_given_back_and_journaled(
    app: App, ann: Trader, request_id: str
) -> None:
    headers = {"X-Request-ID": request_id}
    answer = await ann.post("/trade/create", order(), headers=headers)
    assert (answer.status, answer.headers["X-Request-ID"]) == (200, request_id)
    refused = await ann.post("/trade/create", order(margin=0), headers=headers)
    assert (refused.status, refused.headers["X-Request-ID"]) == (400, request_id)
    assert app.journal.rows[-1][4] == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "<script>", "ä", "a;b", 'a"b', "a/b"])
async def test_a_request_id_that_is_not_plain_is_replaced(app: App, request_id: str) -> None:
    answer = await app.get("/prices", headers={"X-Request-ID": request_id})
    assert PLAIN_ID.fullmatch(answer.headers["X-Request-ID"])


async def test_every_answer_is_json_in_utf_8(app: App, ann: Trader) -> None:
    for method, path in map(attrgetter("key"), endpoints_of(dev=False).rows):
        path = filled(path)
        answer = await ann.request(method, path, data=b"{}" if method == "POST" else None)
        assert answer.headers["Content-Type"] == JSON, path
        answer.raw.decode("utf-8")


@pytest.mark.parametrize("path", ["/nothing", "/trad", "/trade/create/", "/trade/open/7", "/", "/../etc/passwd"])
async def test_an_unknown_address_is_not_found(app: App, ann: Trader, path: str) -> None:
    assert_error(await ann.get(path), 404, "not_found")
    assert_error(await ann.post(path, order()), 404, "not_found")


async def test_an_unknown_address_outside_the_api_is_not_found(app: App) -> None:
    assert_error(await app.get("/nowhere/at/all"), 404, "not_found")


def filled(path: str) -> str:
    """A path with something for each of its parameters."""
    for parameter, value in {"{asset}": "SOL", "{file}": "page.js", "{release}": "0", "{id}": "1"}.items():
        path = path.replace(parameter, value)
    return path


MISSPELLINGS: dict[str, Callable[[str], str]] = {
    "a slash before it": lambda path: "/" + path,
    "a slash after it": lambda path: path + "/",
    "doubled slashes": lambda path: path.replace("/", "//"),
    "many slashes": lambda path: f"///{path}///",
    "without the prefix": lambda path: path.removeprefix(API),
    "with the prefix twice": lambda path: API + path,
    "without the prefix and a slash after it": lambda path: f"{path.removeprefix(API)}/",
}


@pytest.mark.parametrize("wrong", MISSPELLINGS)
async def test_an_address_that_is_nearly_right_is_refused_with_the_right_one(app: App, ann: Trader, wrong: str) -> None:
    for method, path in map(attrgetter("key"), endpoints_of(dev=False).rows):
        path = filled(path)
        asked = MISSPELLINGS[wrong](path)
        if asked == path or (path == "/" and "prefix" in wrong):
            continue
        assert app.http is not None
        with unchanged(app):
            async with app.http.request(method, f"{app.url}{asked}?a=b", data=b"{}") as response:
                refused = Answer(response.status, response.headers, await response.read())
        assert_error(refused, 404, "not_found", f"There is nothing at this address; did you mean {path}?")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1",
        "/api/v1/",
        "/api/v1//nothing/",
        "/api/v2/prices",
        "/api/v1/prices/SOL/SOL/",
        f"/api/v1/prices/{'x' * 100}/",
        "/api/v1/prices/%0d%0aX:%20y/",
        "/api/v1/prices/%E2%82%AC/",
        "/API/V1/PRICES",
        "/api/v1/dev/clock/",
    ],
)
async def test_an_address_that_means_none_of_ours_gets_no_hint(app: App, path: str) -> None:
    assert app.http is not None
    async with app.http.get(URL(f"{app.url}{path}", encoded=True)) as response:
        refused = Answer(response.status, response.headers, await response.read())
    assert_error(refused, 404, "not_found", "There is nothing at this address")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/trade/create", {"POST"}),
        ("PUT", "/trade/create", {"POST"}),
        ("DELETE", "/trade/close", {"POST"}),
        ("POST", "/trade/open", {"GET", "HEAD"}),
        ("POST", "/trade/history", {"GET", "HEAD"}),
        ("PATCH", "/balance", {"GET", "HEAD"}),
        ("POST", "/prices/SOL", {"GET", "HEAD"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_is_not_allowed_is_told_which_are(
    app: App, ann: Trader, method: str, path: str, allowed: set[str]
) -> None:
    with unchanged(app):
        refused = await ann.request(method, path)
    assert_error(refused, 405, "method_not_allowed")
    assert set(refused.headers["Allow"].replace(" ", "").split(",")) == allowed


async def test_head_tells_what_get_would_without_its_body(app: App, ann: Trader) -> None:
    got, head = await ann.get("/balance/usd"), await ann.request("HEAD", "/balance/usd")
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


class BrokenHistory(UnaskedHistory):
    """A History with a bug in it."""

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        self._fail()

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        self._fail()

    async def trade(self, account: AccountId, order: TradeId) -> TradeRow | None:
        self._fail()

    def _fail(self) -> NoReturn:
        raise RuntimeError("SELECT secret FROM vault at 0xdeadbeef")


async def test_a_bug_is_an_internal_error_with_nothing_of_the_inside() -> None:
    async with running_app(history=lambda _: BrokenHistory()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        with structlog.testing.capture_logs() as logs, unchanged(app):
            answers = [await ann.get("/trade/history"), await ann.try_close("unknown")]
        for answer in answers:
            assert_error(answer, 500, "internal_error", "Something went wrong on our side")
            for inside in (b"vault", b"RuntimeError", b"Traceback", b"dead", b".py", b"exness"):
                assert inside not in answer.raw
        assert [log["request_id"] for log in logs] == [answer.headers["X-Request-ID"] for answer in answers]
        assert {log["log_level"] for log in logs} == {"error"}
        await ann.create()  # and everything else goes on


async def test_reads_beyond_their_bound_are_refused_at_once() -> None:
    class SlowHistory(UnaskedHistory):
        def __init__(self) -> None:
            self.go_on = asyncio.Event()
            self.asked = 0

        async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
            self.asked += 1
            await self.go_on.wait()
            return [], Analytics()

        async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
            return [], None

        async def trade(self, account: AccountId, order: TradeId) -> TradeRow | None:
            return None

    slow = SlowHistory()
    async with running_app(history=lambda _: slow, read_queue=1) as app:
        (ann,) = await app.known("ann")
        first = asyncio.create_task(ann.get("/trade/history"))
        await until(lambda: slow.asked == 1)
        assert_error(await ann.get("/trade/history"), 503, "overloaded", retry=True)
        slow.go_on.set()
        assert (await first).status == 200
        assert (await ann.get("/trade/history")).status == 200


async def test_a_trade_whose_write_failed_is_not_acknowledged_and_nothing_later_is_taken() -> None:
    async with running_app(journal_fails="the disk is full") as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.hold_disk()
        creating = asyncio.create_task(ann.try_create())
        await until(lambda: app.writer.queued == 1)
        app.journal.failure = "the disk is full"
        app.release_disk()
        answer = await creating
        assert_error(answer, 500, "internal_error")
        assert "after the restart" in answer.message
        assert "disk is full" not in answer.message
        assert_error(await ann.try_create(), 503, "shutting_down", retry=True)
        assert len(app.journal.rows) == 1  # the account, and no trade


async def test_a_limited_caller_has_a_request_id_too() -> None:
    async with running_app(limits=rate_limits(read="1/day")) as app:
        assert (await app.get("/prices")).status == 200
        refused = await app.get("/prices", headers={"X-Request-ID": "mine"})
        assert (refused.status, refused.headers["X-Request-ID"]) == (429, "mine")

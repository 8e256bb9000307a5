"""web/http/faults.py, web/stream/faulty.py, web/dev/faults.py: what goes wrong on request, and what stays of it."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import aiohttp
import msgspec
import pytest

from exness.web.dev.faults import rules_of
from exness.web.http.endpoint import Auth
from exness.web.http.errors import InvalidRequest
from exness.web.http.faults import OF_STREAMS, Fault
from exness.web.services import Dev
from tests.support.app import API, ENDPOINTS, App, Trader, assert_error, order, running_app, unchanged
from tests.support.books import SOL
from tests.web.streams import listening

CREATE = f"POST {API}/trade/create"


@pytest.fixture(params=[False, True], ids=["fast", "plain aiohttp"])
async def app(request: pytest.FixtureRequest) -> AsyncIterator[App]:
    async with running_app(dev=Dev(), plain=request.param) as app:
        await app.quote_all()
        yield app


@pytest.fixture
async def ann(app: App) -> Trader:
    (trader,) = await app.known("ann")
    return trader


async def rules(app: App, *rules: dict[str, Any]) -> None:
    answer = await app.request("PUT", "/dev/faults", body={"rules": list(rules)})
    assert answer.status == 200, answer


async def counted(app: App) -> list[tuple[int, int]]:
    answer = await app.get("/dev/faults")
    return [(rule["seen"], rule["struck"]) for rule in answer.body["rules"]]


async def cut(asked: Any) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await asked


# --- requests -----------------------------------------------------------------------------------------------------


async def test_cut_after_takes_the_order_and_gives_no_answer_and_asking_again_gives_that_of_the_first(
    app: App, ann: Trader
) -> None:
    await rules(app, {"on": CREATE, "do": "cut_after", "nth": 1})
    await cut(ann.try_create(clientOrderId="mine"))
    (taken,) = await ann.open_trades()
    again = await ann.create(clientOrderId="mine")
    assert (again["orderId"], ann.free) == (taken["orderId"], "4900.000000")
    assert len(await ann.open_trades()) == 1
    assert await counted(app) == [(2, 1)]


async def test_cut_before_never_takes_the_order(app: App, ann: Trader) -> None:
    await rules(app, {"on": CREATE, "do": "cut_before", "nth": 1})
    with unchanged(app):
        await cut(ann.try_create())
    await ann.create()


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (500, "internal_error"), (503, "overloaded")])
async def test_a_status_is_answered_in_the_words_of_the_dialect_and_nothing_is_done(
    app: App, ann: Trader, status: int, code: str
) -> None:
    await rules(app, {"on": CREATE, "do": "status", "status": status, "every": 1, "times": 2})
    with unchanged(app):
        for _ in range(2):
            assert_error(await ann.try_create(), status, code, retry=status != 500)
    await ann.create()
    assert await counted(app) == [(3, 2)]


async def test_a_delayed_order_is_taken_later(app: App, ann: Trader) -> None:
    await rules(app, {"on": CREATE, "do": "delay", "nth": 1, "delay_s": 0.3})
    began_s = monotonic()
    asking = asyncio.create_task(ann.create())
    await asyncio.sleep(0.1)
    assert ann.free == "5000.000000"
    await asking
    assert monotonic() - began_s >= 0.3


async def test_a_slow_body_comes_whole_after_its_head(app: App, ann: Trader) -> None:
    await rules(app, {"on": f"GET {API}/balance/usd", "do": "slow_body", "nth": 1, "delay_s": 0.3})
    assert app.http is not None
    began_s = monotonic()
    headers = {"Authorization": f"Bearer {ann.token}"}
    async with app.http.get(f"{app.url}{API}/balance/usd", headers=headers) as response:
        head_s = monotonic() - began_s
        body = await response.json()
    assert head_s < 0.2 < 0.3 <= monotonic() - began_s
    assert body == {"balance": 5_000_000_000, "decimals": 6, "usd": "5000.000000"}
    plain = await ann.get("/balance/usd")
    assert (plain.body, set(plain.headers)) == (body, set(response.headers))


async def test_twice_hands_the_order_over_twice_and_answers_the_second(app: App, ann: Trader) -> None:
    await rules(
        app, {"on": CREATE, "do": "twice", "nth": 1}, {"on": f"POST {API}/trade/close", "do": "twice", "nth": 1}
    )
    second = await ann.create()
    trades = await ann.open_trades()
    assert len(trades) == 2
    assert second["orderId"] == trades[1]["orderId"]
    assert (await ann.try_close(second["orderId"])).code == "trade_already_closed"
    assert len(await ann.open_trades()) == 1
    assert ann.free == "4900.000000"


async def test_an_order_that_its_client_names_is_one_order_when_it_is_handed_over_twice(app: App, ann: Trader) -> None:
    await rules(app, {"on": CREATE, "do": "twice", "every": 1})
    await ann.create(clientOrderId="mine")
    assert len(await ann.open_trades()) == 1


async def test_of_a_share_the_same_seed_strikes_the_same_requests(app: App, ann: Trader) -> None:
    struck = []
    for _ in range(2):
        await rules(app, {"on": CREATE, "do": "status", "status": 503, "share": 0.3, "seed": 7})
        struck.append([(await ann.try_create(margin="1")).status for _ in range(40)])
    assert struck[0] == struck[1]
    assert 4 <= struck[0].count(503) <= 20


async def test_a_rule_of_one_account_spares_the_others_and_counts_nothing_of_them(app: App, ann: Trader) -> None:
    (bob,) = await app.known("bob")
    await rules(app, {"on": CREATE, "do": "status", "status": 500, "every": 1, "email": "Ann@Example.com"})
    assert (await ann.try_create()).status == 500
    await bob.create()
    assert_error(await app.post("/trade/create", order()), 401, "unauthorized")
    assert await counted(app) == [(1, 1)]


async def test_a_path_with_a_part_for_any_name_is_named_as_the_documents_do_or_as_it_is_asked_for(app: App) -> None:
    await rules(
        app,
        {"on": f"GET {API}/prices/SOL", "do": "status", "status": 503, "nth": 1},
        {"on": f"GET {API}/prices/{{asset}}", "do": "status", "status": 500, "nth": 2},
    )
    asked = [(await app.get(f"/prices/{asset}")).status for asset in ("ETH", "SOL", "SOL", "ETH")]
    assert asked == [200, 503, 500, 200]
    assert await counted(app) == [(2, 1), (3, 1)]


async def test_what_is_refused_before_its_handler_is_not_seen_by_a_rule(app: App, ann: Trader) -> None:
    await rules(app, {"on": CREATE, "do": "cut_before", "every": 1})
    headers = {"Origin": "https://elsewhere.example", "Cookie": f"authToken={ann.token}"}
    refused = await app.post("/trade/create", order(), headers=headers)
    assert_error(refused, 403, "forbidden_origin")
    assert await counted(app) == [(0, 0)]


async def test_new_rules_an_empty_list_and_a_reset_end_the_old_ones(app: App, ann: Trader) -> None:
    failing = {"on": CREATE, "do": "status", "status": 503, "every": 1}
    await rules(app, failing)
    await rules(app)
    await ann.create()
    await rules(app, failing)
    assert (await app.post("/dev/reset")).status == 200
    assert await counted(app) == []
    await app.quote(SOL, "200")
    await ann.create()


async def test_without_dev_control_there_is_nothing_that_could_strike() -> None:
    async with running_app() as app:
        assert_error(await app.get("/dev/faults"), 404, "not_found")
        assert type(app.hub._subscriber(None, 0, "")).__name__ == "Subscriber"  # type: ignore[arg-type]


# --- streams ------------------------------------------------------------------------------------------------------


async def told(app: App, ann: Trader, do: str, orders: int = 4) -> list[int]:
    """Which orders the stream tells of, by their number, when the second event goes wrong."""
    await rules(app, {"on": "stream", "do": do, "nth": 2})
    async with listening(app, ann) as client:
        await client.subscribed("trades")
        await client.next("trades", "snapshot")
        ids = [(await ann.create(margin="1"))["orderId"] for _ in range(orders)]
        await client.say("ping")
        await client.next("control", "pong")
        events = [frame["data"]["orderId"] for frame in client.frames if frame["type"] == "opened"]
    return [ids.index(each) for each in events]


@pytest.mark.parametrize(
    ("do", "expected"), [("gap", [0, 2, 3]), ("duplicate", [0, 1, 1, 2, 3]), ("reorder", [0, 2, 1, 3])]
)
async def test_an_event_is_left_out_or_repeated_or_comes_late(
    app: App, ann: Trader, do: str, expected: list[int]
) -> None:
    assert await told(app, ann, do) == expected
    assert await counted(app) == [(4, 1)]


async def test_a_cut_stream_ends_without_a_goodbye_and_resumes(app: App, ann: Trader) -> None:
    await rules(app, {"on": "stream", "do": "cut", "nth": 2})
    async with listening(app, ann) as client:
        await client.subscribed("trades")
        await client.next("trades", "snapshot")
        await ann.create()
        seq = (await client.next("trades", "opened"))["seq"]
        lost = await ann.create()
        message = await client.socket.receive()
        assert (message.type, client.socket.close_code) in (
            (aiohttp.WSMsgType.CLOSED, 1006),
            (aiohttp.WSMsgType.ERROR, 1006),
        ), message
    async with listening(app, ann) as client:
        assert (await client.subscribed("trades", resume=seq))["data"]["resumed"]
        assert (await client.next("trades"))["data"]["orderId"] == lost["orderId"]


async def test_a_stalled_stream_says_nothing_more_and_stays_open(app: App, ann: Trader) -> None:
    await rules(app, {"on": "stream", "do": "stall", "nth": 1, "email": ann.email})
    async with listening(app, ann) as client:
        await client.subscribed("trades")
        await client.next("trades", "snapshot")
        await ann.create()
        await client.say("ping")
        with pytest.raises(TimeoutError):
            await client.socket.receive(timeout=0.3)
        assert not client.socket.closed
        (subscriber,) = app.hub.subscribers
        subscriber._wire.abort()
    assert await counted(app) == [(1, 1)]


async def test_prices_are_events_too(app: App) -> None:
    await rules(app, {"on": "stream", "do": "duplicate", "nth": 2})
    async with listening(app) as client:
        await client.subscribed("prices.SOL")
        await client.next("prices.SOL", "snapshot")
        seen = []
        for price in ("201", "202", "203"):
            await app.quote(SOL, price)
            seen.append((await client.next("prices.SOL", "price"))["data"]["mark"][:3])
        assert seen == ["201", "202", "202"]


# --- bad rules ----------------------------------------------------------------------------------------------------

GOOD = {"on": CREATE, "do": "cut_after", "nth": 1}


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        (GOOD | {"do": "explode"}, "do", "Invalid enum value 'explode'"),
        (without("do"), "on", "A rule is an object with on and do: Object missing required field `do`"),
        (7, "on", "A rule is an object with on and do: Expected `object`, got `int`"),
        (GOOD | {"rate": 1}, "on", "A rule is an object with on and do: Object contains unknown field `rate`"),
        (GOOD | {"nth": 0}, "nth", "Expected `int` >= 1"),
        (GOOD | {"share": 1.5}, "share", "Expected `float` <= 1.0"),
        (GOOD | {"times": "2"}, "times", "Expected `int | null`, got `str`"),
        (
            GOOD | {"on": f"GET {API}/trade/create"},
            "on",
            "on must be stream, or the method and path of an endpoint that is not dev control's own",
        ),
        (
            GOOD | {"on": f"PUT {API}/dev/faults"},
            "on",
            "on must be stream, or the method and path of an endpoint that is not dev control's own",
        ),
        (GOOD | {"do": "gap"}, "do", f"on {CREATE} it can be delay, status, cut_before, cut_after, slow_body, twice"),
        (GOOD | {"on": "stream"}, "do", "on stream it can be cut, stall, gap, duplicate, reorder"),
        (
            GOOD | {"on": f"GET {API}/stream"},
            "do",
            f"on GET {API}/stream it can be delay, status, cut_before",
        ),
        (without("nth"), "nth", "give one of nth, every and share"),
        (GOOD | {"every": 2}, "nth", "give one of nth, every and share"),
        (GOOD | {"do": "delay"}, "delay_s", "delay, slow_body need delay_s, and nothing else has it"),
        (GOOD | {"delay_s": 1}, "delay_s", "delay, slow_body need delay_s, and nothing else has it"),
        (GOOD | {"do": "delay", "delay_s": 61}, "delay_s", "Expected `float` <= 60.0"),
        (GOOD | {"do": "status"}, "status", "status needs a status of 429, 500, 503, and nothing else has one"),
        (GOOD | {"do": "status", "status": 404}, "status", "Invalid enum value 404"),
        (GOOD | {"seed": 1}, "seed", "a seed is for share only"),
        (GOOD | {"email": "ann"}, "email", "email must be a mail address like you@example.com"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_its_field(rule: Any, field: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rules_of(msgspec.json.encode({"rules": [GOOD, rule]}), ENDPOINTS)
    assert [(each.field, each.message) for each in refused.value.errors] == [(f"rules[1].{field}", message)]


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"{}", "rules"), (b'{"rules": 1}', "rules"), (b"[", "body"), (b'{"rules": [], "rule": 1}', "rule")],
)
def test_a_body_that_has_no_rules_is_refused(body: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rules_of(body, ENDPOINTS)
    assert refused.value.errors[0].field == field


def test_more_rules_than_there_may_be_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        rules_of(msgspec.json.encode({"rules": [GOOD] * 101}), ENDPOINTS)
    assert [each.message for each in refused.value.errors] == ["rules can have at most 100 entries"]


async def test_a_refused_body_leaves_the_rules_that_are_at_work(app: App, ann: Trader) -> None:
    await rules(app, GOOD)
    refused = await app.request("PUT", "/dev/faults", body={"rules": [GOOD | {"nth": 0}]})
    assert_error(refused, 400, "invalid_request", details=refused.details)
    await cut(ann.try_create())


@pytest.mark.parametrize("row", [row for row in ENDPOINTS.rows if row.auth is not Auth.DEV], ids=lambda row: row.path)
def test_every_endpoint_but_those_of_dev_control_can_be_struck(row: Any) -> None:
    (rule,) = rules_of(
        msgspec.json.encode({"rules": [{"on": f"{row.method} {row.path}", "do": "cut_before", "every": 1}]}), ENDPOINTS
    )
    assert rule.do is Fault.CUT_BEFORE
    assert rule.do not in OF_STREAMS

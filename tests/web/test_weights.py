"""web/http/weights.py: every endpoint and message has a weight, the documents tell it, and it is what limits count."""

from pathlib import Path
from typing import Any

import pytest

from exness.app.build import make_limits
from exness.config import Config
from exness.runtime.candles import Candle, CandleQuery
from exness.web.docs.asyncapi import document as stream_document
from exness.web.docs.openapi import document
from exness.web.http.rate_limits import RateLimits
from exness.web.http.weights import BODY_BYTES, OTHER, Budget, Weight
from exness.web.services import Dev, StreamBounds
from exness.web.stream.protocol import Message
from exness.web.stream.weights import STREAM_WEIGHTS, message_weight
from tests.support.app import API, ENDPOINTS, Answer, assert_error, rate_limits, running_app
from tests.web.streams import hub_of, listening

WEIGHTS = ENDPOINTS.weights
NAMES = {Budget.TRADE: "trading", Budget.READ: "reading", Budget.PROBE: "probes"}
DAY = 1_000_000
"""Units of every rate in these tests: never used up."""
PLENTY: dict[str, Any] = {
    "read": f"{DAY}/day",
    "read_per_account": f"{DAY}/day",
    "trade_per_ip": f"{DAY}/day",
    "trade_per_account": f"{DAY}/day",
    "probe_per_ip": f"{DAY}/day",
}


# --- one table ----------------------------------------------------------------------------------------------------


def test_every_endpoint_weighs_something() -> None:
    assert all(weight.base >= 1 for weight in WEIGHTS.values())


def test_every_message_of_the_stream_has_a_weight_and_nothing_else_has() -> None:
    assert set(STREAM_WEIGHTS) == set(Message.__args__)
    assert all(weights[0].base >= 1 for weights in STREAM_WEIGHTS.values())


def test_the_table_of_the_contract_is_the_table_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "API.md").read_text()
    told = text.partition("| request | weight | counts as |\n|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    expected = [
        f"| {method} {path} | {weight} | {NAMES[weight.budget]} |" for (method, path), weight in WEIGHTS.items()
    ]
    expected.append(f"| anything else, and OPTIONS | {OTHER} | reading |")
    for message in STREAM_WEIGHTS:
        tag = message.__struct_config__.tag
        expected.append(f"| stream: {tag} | {message_weight(message)} | reading |")
    assert told == expected
    assert f"1 more for every {BODY_BYTES} bytes" in text


def test_the_documents_tell_every_weight() -> None:
    paths = document("1", ENDPOINTS)["paths"]
    for (method, path), weight in WEIGHTS.items():
        described = paths[path][method.lower()]
        assert described["x-weight"] == {"base": weight.base, "rows": weight.rows, "budget": weight.budget}
        assert f"Weight {weight}," in described["description"]
    messages = stream_document("1")["components"]["messages"]
    for message in STREAM_WEIGHTS:
        assert f"Weight {message_weight(message)}," in messages[message.__name__]["description"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", f"{API}/prices/SOL", WEIGHTS["GET", f"{API}/prices/{{asset}}"]),
        ("HEAD", f"{API}/prices/SOL", WEIGHTS["GET", f"{API}/prices/{{asset}}"]),
        ("HEAD", f"{API}/klines", WEIGHTS["GET", f"{API}/klines"]),
        ("PUT", f"{API}/dev/prices/SOL", WEIGHTS["PUT", f"{API}/dev/prices/{{asset}}"]),
        ("OPTIONS", f"{API}/trade/create", OTHER),
        ("DELETE", f"{API}/trade/create", OTHER),
        ("GET", "/nowhere", OTHER),
        ("GET", "", OTHER),
        ("HEAD", "/healthz", WEIGHTS["GET", "/healthz"]),
    ],
)
def test_what_has_no_row_of_its_own_is_weighed_too(method: str, path: str, expected: Weight) -> None:
    assert ENDPOINTS.weight_of(method, path) == expected


# --- it is what limits count --------------------------------------------------------------------------------------


def used(answer: Answer) -> int:
    """What has been counted of the tightest rate."""
    assert answer.headers["X-RateLimit-Limit"] == str(DAY)
    return DAY - int(answer.headers["X-RateLimit-Remaining"])


@pytest.mark.parametrize(("method", "path"), WEIGHTS, ids=" ".join)
async def test_every_request_is_counted_as_its_weight_and_tells_so(method: str, path: str) -> None:
    """Whatever becomes of it: most of these are refused for another reason."""
    async with running_app(limits=rate_limits(**PLENTY), dev=Dev()) as app:
        await app.quote_all()
        weight = WEIGHTS[method, path]
        assert app.http is not None
        async with app.http.request(method, app.url + path.replace("{asset}", "SOL")) as response:
            answer = Answer(response.status, response.headers, await response.read())
        assert answer.status != 429
        assert used(answer) == weight.base
        assert counted(app.services.limits, "127.0.0.1") == {weight.budget: weight.base}


def counted(limits: RateLimits, who: str) -> dict[str, int]:
    """The weight that was counted of a client IP or account, by rate."""
    return {
        scope.partition("/")[0]: count
        for (scope, whose), (count, _) in limits._counters.windows.items()
        if whose == who
    }


async def test_rows_weigh_for_the_address_and_for_the_account() -> None:
    async with running_app(limits=rate_limits(**PLENTY)) as app:
        await app.quote_all()
        ann = app.trader("ann")
        for _ in range(70):
            await ann.create(margin=1)
        base = counted(app.services.limits, "127.0.0.1").get("read", 0)
        queries = {
            "/klines?asset=SOL&interval=1m&limit=1000": (3 + 1000 // 8, False),
            "/klines?asset=SOL&interval=1m": (3 + 500 // 8, False),
            "/klines?asset=SOL&interval=1m&limit=7": (3, False),
            "/klines?asset=SOL&interval=1m&limit=nonsense": (3, False),
            "/trade/history": (3 + 50 // 5, True),
            "/trade/history?limit=500": (3 + 500 // 5, True),
            "/trade/open": (1 + 70 // 16, True),
            "/trade/open?asset=BTC": (1, True),
            "/trade/open?limit=33": (1 + 33 // 16, True),
            "/trade/open?offset=60": (1 + 10 // 16, True),
            "/account": (1 + 70 // 64, True),
            "/balance": (1, True),
        }
        by_address, by_account = base, 0
        for path, (weight, of_account) in queries.items():
            answer = await ann.get(path)
            assert answer.status == (400 if "nonsense" in path else 200)
            by_address += weight
            by_account += weight if of_account else 0
            assert counted(app.services.limits, "127.0.0.1")["read"] == by_address, path
            assert counted(app.services.limits, ann.email).get("account-read", 0) == by_account, path
            assert used(answer) == by_address


async def test_a_body_weighs_by_its_bytes_chunked_or_not() -> None:
    async with running_app(limits=rate_limits(**PLENTY)) as app:
        ann = app.trader("ann")
        body = b'{"orderId": "x"' + b" " * (10 * BODY_BYTES) + b"}"

        async def chunks() -> Any:
            yield body

        for number, data in enumerate((body, chunks()), 1):
            refused = await ann.request("POST", "/trade/close", data=data, headers={"Content-Type": "application/json"})
            assert_error(refused, 404, "trade_not_found")
            assert counted(app.services.limits, ann.email) == {"account-trade": 13 * number}


async def test_what_would_weigh_too_much_is_refused_before_it_is_worked_out() -> None:
    async with running_app(limits=rate_limits(read="100/day")) as app:
        fetched: list[CandleQuery] = []
        klines = app.exchange.klines

        async def watched(query: CandleQuery) -> list[Candle]:
            fetched.append(query)
            return await klines(query)

        object.__setattr__(app.exchange, "klines", watched)
        assert (await app.get("/klines?asset=SOL&interval=1m&limit=400")).status == 200
        refused = await app.get("/klines?asset=SOL&interval=1m&limit=400")
        assert_error(refused, 429, "rate_limited", retry=True)
        assert refused.headers["X-RateLimit-Remaining"] == "44", "the base was counted, the rows were not"
        assert len(fetched) == 1
        assert (await app.get("/klines?asset=SOL&interval=1m&limit=300")).status == 200


# --- the stream ---------------------------------------------------------------------------------------------------


async def test_messages_of_the_stream_weigh_for_the_address_and_for_the_account() -> None:
    async with running_app(limits=rate_limits(**PLENTY)) as app:
        await app.quote_all()
        ann, bob = app.trader("ann"), app.trader("bob")
        for _ in range(30):
            await ann.create(margin=1)
        for _ in range(30):  # which weighs nothing for ann
            await bob.create(margin=1)
        candles = [f"candles.{each}.SOL" for each in ("1m", "5m", "15m", "1h", "4h", "1d")]
        async with listening(app, ann) as client:
            steps: list[tuple[dict[str, Any], int]] = [
                ({"op": "ping"}, 1),
                ({"op": "auth", "token": ann.token}, 1),
                ({"op": "subscribe", "channels": candles}, 1 + 6 // 6),
                ({"op": "unsubscribe", "channels": candles}, 1 + 6 // 6),
                ({"op": "subscribe", "channels": ["trades"]}, 1 + 30 // 14),
                ({"op": "unsubscribe", "channels": ["trades"]}, 1),
                ({"op": "subscribe", "channels": ["trades"], "resume": 11}, 1 + 20 // 8),
                ({"op": "unsubscribe", "channels": ["trades"]}, 1),
                ({"op": "subscribe", "channels": ["trades", "account"], "resume": 11}, 1 + 2 * 20 // 8),
                ({"op": "unsubscribe", "channels": ["trades", "account"]}, 1),
                ({"op": "subscribe", "channels": ["account"], "resume": 31}, 1),
            ]
            assert app.state.seq == 62
            limits, address, account = app.services.limits, 8, 0
            for message, weight in steps:
                await client.asked(**message)
                address, account = address + weight, account + weight
                assert counted(limits, "127.0.0.1")["read"] == address, message
                assert counted(limits, ann.email)["account-read"] == account, message


@pytest.mark.parametrize("rates", [{"read": "9/day"}, {"read_per_account": "1/day"}], ids=str)
async def test_a_message_too_many_is_refused_and_changes_nothing(rates: dict[str, Any]) -> None:
    """The handshake weighs 8 of the address's 9."""
    async with running_app(limits=rate_limits(**PLENTY | rates)) as app, listening(app, app.trader("ann")) as client:
        await client.pong()
        error = await client.error("subscribe", channels=["trades"], id=7)
        assert (error["code"], error["id"]) == ("rate_limited", 7)
        (reader,) = hub_of(app).subscribers
        assert not reader.private
        assert app.services.security_log.counters["refused_rate_limited"] == 1


async def test_messages_that_come_too_fast_are_counted_too() -> None:
    bounds = StreamBounds(messages_per_s=5)
    async with running_app(limits=rate_limits(**PLENTY), stream=bounds) as app, listening(app) as client:
        answers = [await client.asked("ping") for _ in range(9)]
        assert counted(app.services.limits, "127.0.0.1") == {"read": 8 + len(answers)}


async def test_who_opens_streams_one_after_the_other_is_counted() -> None:
    async with running_app(limits=rate_limits(**PLENTY)) as app:
        for number in range(1, 4):
            async with listening(app):
                assert counted(app.services.limits, "127.0.0.1") == {"read": 8 * number}


# --- the defaults -------------------------------------------------------------------------------------------------


def test_a_load_test_of_2000_trades_a_second_with_a_reader_beside_it_is_not_refused() -> None:
    now = 1000.0
    limits = make_limits(Config())
    limits._now_s = lambda: now
    for step in range(10_000):  # five seconds
        now = 1000 + step / 2000
        for path in ("create", "close"):
            weight = WEIGHTS["POST", f"{API}/trade/{path}"]
            limits.hit_address("127.0.0.1", weight.budget, weight.base)
            limits.hit_account("ann@example.com", weight.budget, weight.base, "127.0.0.1")
        if step % 2 == 0:
            limits.hit_address("127.0.0.1", Budget.READ, 4)
            limits.hit_account("ann@example.com", Budget.READ, 4, "127.0.0.1")


def test_by_default_one_address_can_not_take_the_whole_process_by_reading() -> None:
    """A unit is some 40 microseconds, so 5,000 of them are a fifth of a second."""
    config = Config().limits
    assert (config.read_per_ip, config.read_per_account) == ("5000/second", "5000/second")
    assert (config.trade_per_ip, config.trade_per_account) == ("20000/second", "20000/second")

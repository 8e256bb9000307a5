"""web/fapi: how requests are read, signed, counted and refused, whatever is asked."""

import hmac
from pathlib import Path
from random import Random
from urllib.parse import quote_plus

import aiohttp
import pytest

from exness.core.instruments import Asset
from exness.core.prices import PriceState
from exness.core.rejects import Figure, Limit, NoPrice, OutOfRange, OverLimit, Refusal, Reject, Wrong
from exness.runtime.inbox import Busy
from exness.web.fapi.endpoints import ROWS
from exness.web.fapi.errors import STATUSES, TEXTS, Code, FapiError, failure, refused, render
from exness.web.fapi.frame import Row, Security
from exness.web.fapi.params import Params, params_of, trimmed
from exness.web.http.errors import ApiError, OutcomeUnknown
from exness.web.http.rate_limits import Blocked, TooManyOrders
from exness.web.services import Dev
from tests.binance.face import FORM, KEY_HEADER, Bot, assert_failed, bot, face, signature, stranger
from tests.support.app import App, assert_error, rate_limits, unchanged

SIGNED = "/sapi/v1/capital/config/getall"
"""Asks for nothing but a signature."""


# --- every answer ---------------------------------------------------------------------------------------------------


async def test_every_answer_is_json_also_an_empty_one(app: App) -> None:
    for path, body in (("/fapi/v1/ping", {}), ("/api/v3/ping", {}), ("/sapi/v1/system/status", None)):
        answer = await app.get(path)
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "application/json")
        assert answer.body == (body if body is not None else {"status": 0, "msg": "normal"})
        assert "X-MBX-USED-WEIGHT-1M" not in answer.headers, "limits are off"


async def test_time_is_the_machines_and_not_the_exchanges(app: App) -> None:
    for path in ("/fapi/v1/time", "/api/v3/time"):
        assert (await app.get(path)).body == {"serverTime": app.wall.now // 1000}
    assert app.wall.now != app.clock.now


@pytest.mark.parametrize(
    "path",
    ["/fapi/v1/nothing", "/fapi", "/fapi/v9/order", "/futures/data/x", "/dapi/v1/order", "/sapi/v1/x", "/api/v3/x"],
)
async def test_what_there_is_not_is_said_in_binances_words(app: App, path: str) -> None:
    assert_failed(await app.get(path), -5000, status=404)
    assert_failed(await app.post(path), -5000, status=404)


async def test_another_verb_is_no_such_path_either_and_our_own_paths_keep_our_words(app: App) -> None:
    assert_failed(await app.request("DELETE", "/fapi/v1/ping"), -5000, status=404)
    assert_error(await app.get("/api/v1/nothing"), 404, "not_found")
    assert_error(await app.get("/nowhere"), 404, "not_found")


async def test_without_the_face_there_is_nothing_at_its_addresses() -> None:
    async with face(fapi=None) as app:
        assert_error(await app.get("/fapi/v1/ping"), 404, "not_found")


async def test_a_bug_a_full_inbox_and_a_halt_are_told_by_their_codes() -> None:
    for error, status, code in (
        (ApiError("internal_error"), 500, -1000),
        (ApiError(Busy.OVERLOADED), 503, -1008),
        (ApiError(Busy.SHUTTING_DOWN), 503, -1008),
        (OutcomeUnknown(), 503, -1007),
        (ApiError("rate_limited"), 429, -1003),
        (TooManyOrders(3), 429, -1015),
        (Blocked(7), 418, -1003),
        (ApiError("forbidden_origin"), 403, -1002),
        (ApiError("request_timeout"), 408, -1001),
        (ApiError("body_too_large"), 413, -1101),
        (ApiError("invalid_request"), 400, -1100),
    ):
        rendered = render(error)
        assert (rendered.status, rendered.body.code) == (status, code)
        assert rendered.body.msg == TEXTS[Code(code)]
    assert render(Blocked(7)).headers["Retry-After"] == "7"


def test_every_code_has_a_text_and_a_status() -> None:
    assert set(TEXTS) == set(Code)
    for code in Code:
        error = FapiError(code, name="x", leverage=1, limit=1, least=5)
        assert "{" not in error.message
        assert error.status == STATUSES.get(code, 400)
        assert failure(error).code == code


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal(Reject.INSUFFICIENT_MARGIN), -2019),
        (Refusal(Reject.WOULD_TRIGGER), -2021),
        (Refusal(Reject.REDUCE_ONLY_REJECTED), -2022),
        (Refusal(Reject.WOULD_LIQUIDATE), -2023),
        (Refusal(Reject.POSITION_LIMIT, OverLimit(Limit.OPEN_ORDERS_PER_ACCOUNT, 1, 2)), -2025),
        (Refusal(Reject.POSITION_LIMIT, OverLimit(Limit.EXITS_PER_TRADE, 1, 2)), -4045),
        (Refusal(Reject.POSITION_LIMIT, OverLimit(Limit.NOTIONAL_PER_ACCOUNT, 1, 2)), -2027),
        (Refusal(Reject.ORDER_NOT_FOUND), -2011),
        (Refusal(Reject.CLIENT_ORDER_ID_CONFLICT), -4116),
        (Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(Asset("SOL"), PriceState.DOWN)), -4131),
        (Refusal(Reject.WOULD_TAKE), -5022),
        (Refusal(Reject.WOULD_REST), -5021),
        (Refusal(Reject.AMOUNT_TOO_SMALL), -4004),
        (Refusal(Reject.MARGIN_TOO_LOW), -4051),
        (Refusal(Reject.TRADE_NOT_FOUND), -4054),
        (Refusal(Reject.INVALID_REQUEST, Wrong("trailing_stop", "x")), -1130),
        (Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.LEVERAGE, 20000, 100, 10000)), -4028),
        (Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.LIMIT, 20000, 100, 10000)), -4002),
        (Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.STOP, 2, 100, 10000)), -4013),
        (Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.COST, 20000, 100, 10000)), -4005),
        (Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.AMOUNT, 20000, 100, 10000)), -1130),
        (Refusal(Reject.ACCOUNT_NOT_FOUND), -1000),
    ],
)
def test_what_the_engine_refuses_has_a_code_of_binances(refusal: Refusal, code: int) -> None:
    assert refused(refusal).number == code


# --- parameters -----------------------------------------------------------------------------------------------------


def test_parameters_come_from_query_and_body_and_what_is_empty_was_not_sent() -> None:
    params = Params.read("a=1&b=&c=null&a=2", "a=3&d=%7Bx%7D+y")
    assert [params.text(name) for name in "abcd"] == ["1", None, None, "{x} y"]
    with pytest.raises(FapiError) as refused_:
        params.need("b")
    assert (refused_.value.number, refused_.value.message) == (
        -1102,
        "Mandatory parameter 'b' was not sent, was empty/null, or malformed.",
    )
    with pytest.raises(FapiError) as refused_:
        Params.read("&".join(f"p{number}=1" for number in range(300)), "")
    assert refused_.value.number == -1101


def test_numbers_count_by_their_value_and_booleans_in_any_case() -> None:
    params = params_of({"a": "1e-3", "b": 0.001, "c": "0.00100", "d": "x", "e": "0.0001", "t": True, "f": "FALSE"})
    assert [params.number(name, 3) for name in "abc"] == [1, 1, 1]
    assert (params.boolean("t"), params.boolean("f", True), params.boolean("no", True)) == (True, False, True)
    for name, code in (("d", -1102), ("e", -1111)):
        with pytest.raises(FapiError) as refused_:
            params.number(name, 3)
        assert refused_.value.number == code
    with pytest.raises(FapiError):
        params.boolean("a")
    assert (trimmed(5_000_000, 6), trimmed(1, 5), trimmed(10, 0)) == ("5", "0.00001", "10")


# --- keys, signatures, time -----------------------------------------------------------------------------------------


async def test_a_signature_is_good_in_the_query_in_the_body_and_over_both(ann: Bot) -> None:
    for method in ("GET",):
        assert (await ann.raw(method, SIGNED, ann.signed({"a": 1}))).body == []
        assert (await ann.raw(method, SIGNED, body=ann.signed({"a": 1}), **FORM)).body == []
        query, body = "a=1&b=2", f"timestamp={ann.now_ms}&c=3"
        whole = signature(ann.key.secret, query + body)
        assert (await ann.raw(method, SIGNED, query, f"{body}&signature={whole}", **FORM)).body == []
        assert (await ann.raw(method, SIGNED, f"{query}&signature={whole}", body, **FORM)).body == []
        first = f"signature={whole.upper()}&{query}"
        assert (await ann.raw(method, SIGNED, first, body, **FORM)).body == []


async def test_a_signature_over_values_before_they_were_encoded_is_good(ann: Bot) -> None:
    plain = f"id=a:b/c d+e&timestamp={ann.now_ms}"
    sent = f"id={quote_plus('a:b/c d+e')}&timestamp={ann.now_ms}"
    for signed in (plain, sent):
        answer = await ann.raw("GET", SIGNED, f"{sent}&signature={signature(ann.key.secret, signed)}")
        assert answer.status == 200, signed


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_any_content_type_is_read(ann: Bot, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert (await ann.raw("GET", SIGNED, ann.signed({}), "", **headers)).status == 200
    assert (await ann.raw("GET", SIGNED, "", ann.signed({}), **headers)).status == 200


async def test_forged_signatures_are_refused(ann: Bot, bob: Bot) -> None:
    good = ann.signed({"a": 1})
    text = "Signature for this request is not valid."
    for bad in (good.replace("a=1", "a=2"), good[:-1] + ("0" if good[-1] != "0" else "1"), good[:-2], good + "%C3%A9"):
        assert_failed(await ann.raw("GET", SIGNED, bad), -1022, text)
    assert_failed(await ann.raw("GET", SIGNED, good, "b=1", **FORM), -1022, text)
    assert_failed(
        await ann.raw("GET", SIGNED, good.partition("&signature")[0]),
        -1102,
        "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
    )
    assert_failed(await bob.raw("GET", SIGNED, good), -1022)


@pytest.mark.parametrize(
    ("offset_ms", "window", "is_good"),
    [
        (0, None, True),
        (-5000, None, True),
        (-5001, None, False),
        (999, None, True),
        (1000, None, False),
        (-60_000, 60_000, True),
        (-60_001, 60_000, False),
        (-100, 50, False),
    ],
)
async def test_a_request_is_good_for_its_window_by_the_machines_clock(
    ann: Bot, offset_ms: int, window: int | None, is_good: bool
) -> None:
    query = f"timestamp={ann.now_ms + offset_ms}" + ("" if window is None else f"&recvWindow={window}")
    answer = await ann.raw("GET", SIGNED, f"{query}&signature={signature(ann.key.secret, query)}")
    if is_good:
        assert answer.status == 200
    else:
        assert_failed(answer, -1021, "Timestamp for this request is outside of the recvWindow.")


async def test_bytes_that_are_no_text_are_signed_as_they_were_sent_and_name_nothing(ann: Bot) -> None:
    body = f"symbol=SOLUSDC&origClientOrderId=\udcff&orderIdList=[\udcff]&timestamp={ann.now_ms}"
    signed = hmac.digest(ann.key.secret, body.encode(errors="surrogateescape"), "sha256").hex()
    for method, path, code in (("GET", "order", -2013), ("DELETE", "order", -2011), ("DELETE", "batchOrders", -1102)):
        sent = f"{body}&signature={signed}".encode(errors="surrogateescape")
        assert_failed(await ann.sent(method, f"/fapi/v1/{path}", sent), code)


async def test_a_request_without_a_time_or_with_too_wide_a_window_is_refused(ann: Bot) -> None:
    for query, code in (("a=1", -1102), ("timestamp=x", -1102), (f"timestamp={ann.now_ms}&recvWindow=60001", -1131)):
        assert_failed(await ann.raw("GET", SIGNED, f"{query}&signature={signature(ann.key.secret, query)}"), code)


async def test_a_key_must_look_like_one_be_known_and_be_allowed(app: App, ann: Bot) -> None:
    for given in ("", "short", "é" * 64, "a" * 65):
        answer = await app.get(SIGNED, headers={KEY_HEADER: given} if given else {})
        assert_failed(answer, -2014, "API-key format invalid.", 401)
    unknown = stranger(app)
    text = "Invalid API-key, IP, or permissions for action."
    with unchanged(app):
        assert_failed(await unknown.ask("GET", SIGNED), -2015, text, 401)
    assert app.services.security_log.counters["refused_unauthorized"] >= 1
    assert (await (await bot(app, "eve", may_trade=False)).ask("GET", SIGNED)).status == 200


async def test_a_key_makes_its_account_at_first_use(app: App, ann: Bot) -> None:
    assert ann.key.email not in app.state.by_email
    await ann.get(SIGNED)
    assert app.state.accounts[app.state.by_email[ann.key.email]].free == 5_000_000_000


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_weight_is_counted_told_and_refused_by_429_and_then_418() -> None:
    limits = rate_limits(fapi_per_ip="3/minute", block_after=2)
    async with face(limits=limits) as app:
        used = [(await app.get("/fapi/v1/ping")).headers["X-MBX-USED-WEIGHT-1M"] for _ in range(3)]
        assert used == ["1", "2", "3"]
        for _ in range(3):
            refusal = await app.get("/fapi/v1/ping")
            assert_failed(refusal, -1003, status=429)
            assert int(refusal.headers["Retry-After"]) >= 1
        banned = await app.get("/fapi/v1/ping")
        assert_failed(banned, -1003, status=418)
        assert int(banned.headers["Retry-After"]) > 60


async def test_errors_tell_the_weight_too() -> None:
    async with face(limits=rate_limits()) as app:
        answer = await app.get(SIGNED)
        assert_failed(answer, -2014, status=401)
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "1"


async def test_what_the_face_weighs_counts_apart_from_our_own() -> None:
    async with face(limits=rate_limits(read="2/day")) as app:
        for _ in range(5):
            assert (await app.get("/fapi/v1/ping")).status == 200


# --- rows -----------------------------------------------------------------------------------------------------------


def test_no_row_is_there_twice_and_each_lies_below_a_root() -> None:
    keys = [(row.method, row.path) for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert all(row.weight >= 1 for row in ROWS)


def test_the_manual_has_a_line_for_every_row_and_for_nothing_else() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "BINANCE.md").read_text(encoding="utf-8")
    table = manual.partition("| request | weight | key | what it is |\n|---|---|---|---|\n")[2].partition("\n\n")[0]
    expected = [f"| {row.method} {row.path} | {row.weight} | {row.security.value} | {row.summary} |" for row in ROWS]
    assert table.splitlines() == expected


@pytest.mark.parametrize("row", [row for row in ROWS if row.security is not Security.NONE], ids=lambda row: row.path)
async def test_who_has_no_key_gets_nothing(row: Row) -> None:
    method, path = row.method, row.path
    async with face() as app:
        with unchanged(app):
            assert_failed(await app.request(method, path), -2014, status=401)
            assert_failed(await app.request(method, path, headers={KEY_HEADER: "a" * 64}), -2015, status=401)


@pytest.mark.parametrize("row", [row for row in ROWS if row.security is Security.TRADE], ids=lambda row: row.path)
async def test_a_key_that_may_only_read_changes_nothing(row: Row) -> None:
    method, path = row.method, row.path
    async with face() as app:
        eve = await bot(app, "eve", may_trade=False)
        await eve.get(SIGNED)
        with unchanged(app):
            assert_failed(await eve.ask(method, path, symbol="SOLUSDC"), -2015, status=401)


WILD = (
    "",
    "0",
    "-1",
    "1e400",
    "1e-400",
    "NaN",
    "true",
    "[]",
    '{"a":1}',
    "99999999999999999999",
    "9223372036854775807",
    "ä",
    "\x00",
    "SOLUSDC",
    "a" * 1000,
)
NAMES = (
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "orderId",
    "origClientOrderId",
    "algoId",
    "clientAlgoId",
    "algoType",
    "triggerPrice",
    "amount",
    "leverage",
    "marginType",
    "limit",
    "startTime",
    "endTime",
    "fromId",
    "incomeType",
    "batchOrders",
    "orderIdList",
    "callbackRate",
    "goodTillDate",
    "countdownTime",
    "dualSidePosition",
    "newOrderRespType",
    "reduceOnly",
    "closePosition",
    "autoCloseType",
)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_asked_is_answered_and_never_by_a_bug(seed: int) -> None:
    rng = Random(seed)
    good = {"symbol": "SOLUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "190"}
    async with face() as app:
        ann = await bot(app, "ann")
        for row in ROWS:
            for _ in range(4):
                wild = {name: rng.choice(WILD) for name in rng.sample(NAMES, rng.randint(1, 6))}
                answer = await ann.ask(row.method, row.path, **(good | wild if rng.random() < 0.7 else wild))
                assert answer.status < 500, (row.method, row.path, wild, answer.raw)
                if answer.status != 200:
                    assert answer.body.keys() == {"code", "msg"}


# --- faults ---------------------------------------------------------------------------------------------------------


async def test_faults_strike_the_face_and_its_accounts_too() -> None:
    async with face(dev=Dev()) as app:
        ann, bob = await bot(app, "ann"), await bot(app, "bob")
        rules = [
            {"on": f"GET {SIGNED}", "do": "status", "status": 503, "every": 1, "email": ann.key.email},
            {"on": "POST /fapi/v1/order", "do": "twice", "nth": 1},
        ]
        answer = await app.request("PUT", "/dev/faults", body={"rules": rules})
        assert answer.status == 200, answer
        assert_failed(await ann.ask("GET", SIGNED), -1008, status=503)
        assert (await bob.ask("GET", SIGNED)).status == 200
        await bob.order(newClientOrderId="once")
        (position,) = await bob.get("/fapi/v3/positionRisk")
        assert position["positionAmt"] == "2.000", "a client order id is free again once the order is filled"


async def test_an_order_that_no_answer_came_to_is_found_by_its_client_id() -> None:
    async with face(dev=Dev()) as app:
        ann = await bot(app, "ann")
        rules = [{"on": "POST /fapi/v1/order", "do": "cut_after", "nth": 1}]
        assert (await app.request("PUT", "/dev/faults", body={"rules": rules})).status == 200
        with pytest.raises(aiohttp.ClientError):
            await ann.order(newClientOrderId="lost")
        found = await ann.get("/fapi/v1/order", symbol="SOLUSDC", origClientOrderId="lost")
        assert (found["status"], found["executedQty"]) == ("FILLED", "1.000")

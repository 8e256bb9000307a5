"""web/v1/errors.py: every row of the error table of API.md, over HTTP. A refusal is whole, and changes nothing."""

import asyncio
from typing import Any

import msgspec
import pytest

from exness.core.money import format_usdc
from exness.web.http.errors import ApiError
from exness.web.v1.errors import ERRORS, render
from tests.support.app import TRADE_WEIGHT, App, Trader, assert_error, bad, order, rate_limits, running_app, unchanged
from tests.support.books import BTC, PRICE_LIFE, SOL, make_rules, tick
from tests.support.waiting import until

# --- before the engine --------------------------------------------------------------------------------------------


async def test_too_many_requests_from_one_address_are_refused_with_a_time_to_wait() -> None:
    async with running_app(limits=rate_limits(trade_per_ip=f"{2 * TRADE_WEIGHT}/day")) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create()
        await ann.create()
        with unchanged(app):
            refused = await ann.try_create()
        assert_error(refused, 429, "rate_limited", retry=True)
        assert int(refused.headers["Retry-After"]) <= 86_401


async def test_too_many_requests_of_one_account_are_refused_and_others_are_not() -> None:
    async with running_app(limits=rate_limits(trade_per_account=f"{2 * TRADE_WEIGHT}/day")) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        await ann.create()
        await ann.create()
        with unchanged(app):
            assert_error(await ann.try_create(), 429, "rate_limited", retry=True)
        await bob.create()


async def test_reading_and_trading_are_counted_apart() -> None:
    async with running_app(limits=rate_limits(read="1/day")) as app:
        await app.quote_all()
        ann = app.trader("ann")
        assert (await ann.get("/balance")).status == 200
        assert_error(await ann.get("/balance"), 429, "rate_limited", retry=True)
        await ann.create()


async def test_a_request_without_a_session_is_unauthorized(app: App) -> None:
    with unchanged(app):
        refused = await app.post("/trade/create", order())
    assert_error(refused, 401, "unauthorized")


@pytest.mark.parametrize("path", ["/trade/create", "/trade/close"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
async def test_a_body_over_64_kib_is_too_large(app: App, ann: Trader, path: str, chunked: bool) -> None:
    body = b'{"asset": "SOL"' + b" " * 65_522 + b"}"
    assert len(body) > 65_536

    async def in_chunks() -> Any:
        yield body

    with unchanged(app):
        refused = await ann.request(
            "POST",
            path,
            data=in_chunks() if chunked else body,
            headers={"Content-Type": "application/json"},
        )
    assert_error(refused, 413, "body_too_large", "The request body can have at most 65536 bytes")


async def test_a_body_of_64_kib_is_not_too_large(ann: Trader) -> None:
    body = b'{"asset":"SOL","type":"long","margin":100,"leverage":10}'
    padded = body + b" " * (65_536 - len(body))
    answer = await ann.request("POST", "/trade/create", data=padded, headers={"Content-Type": "application/json"})
    assert answer.status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "json", "a/b/c; ="])
async def test_a_post_that_is_not_json_is_an_unsupported_media_type(app: App, ann: Trader, content_type: str) -> None:
    good = b'{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
    with unchanged(app):
        refused = await ann.request("POST", "/trade/create", data=good, headers={"Content-Type": content_type})
    assert_error(refused, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
async def test_json_may_name_its_charset(ann: Trader, content_type: str) -> None:
    good = b'{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
    answer = await ann.request("POST", "/trade/create", data=good, headers={"Content-Type": content_type})
    assert answer.status == 200


async def test_a_byte_order_mark_before_the_json_is_none_of_it(app: App, ann: Trader) -> None:
    good = b'\xef\xbb\xbf{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
    answer = await ann.request("POST", "/trade/create", data=good, headers={"Content-Type": "application/json"})
    assert answer.status == 200
    close = b'\xef\xbb\xbf{"orderId": "%s"}' % answer.body["orderId"].encode()
    closed = await ann.request("POST", "/trade/close", data=close, headers={"Content-Type": "application/json"})
    assert closed.status == 200
    mail = b'\xef\xbb\xbf{"email": "new@example.com"}'
    asked = await app.request("POST", "/signup", data=mail, headers={"Content-Type": "application/json"})
    assert asked.status == 200


NOT_JSON = bad("body", "The body is not valid JSON")
NO_OBJECT = bad("body", "The body must be a JSON object")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (b"", NOT_JSON),
        (b"{", NOT_JSON),
        (b"{} {}", NOT_JSON),
        (b"{'asset': 'SOL'}", NOT_JSON),
        (b"\xef\xbb\xbf", NOT_JSON),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"asset": "SOL"}', NOT_JSON),
        (b'{\xef\xbb\xbf"asset": "SOL"}', NOT_JSON),
        (b'{"asset": "SOL",}', NOT_JSON),
        (b'{"margin": NaN}', NOT_JSON),
        (b'{"\\ud800": 1}', NOT_JSON),
        (b'{"margin": ' + b"[" * 60_000, NOT_JSON),
        (b"null", NO_OBJECT),
        (b"[]", NO_OBJECT),
        (b'"asset"', NO_OBJECT),
        (b"17", NO_OBJECT),
    ],
)
@pytest.mark.parametrize("path", ["/trade/create", "/trade/close"])
async def test_what_is_no_json_object_is_refused(
    app: App, ann: Trader, path: str, body: bytes, details: list[dict[str, str]]
) -> None:
    with unchanged(app):
        refused = await ann.request("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert_error(refused, 400, "invalid_request", details[0]["message"], details=details)


async def test_a_body_that_is_not_encoded_as_it_says_is_refused(app: App, ann: Trader) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with unchanged(app):
        refused = await ann.request("POST", "/trade/create", data=b'{"asset": "SOL"}', headers=headers)
    message = "The body can't be decoded as its headers say"
    assert_error(refused, 400, "invalid_request", message, details=bad("body", message))


STRING = "must be a string"
AMOUNT = "must be a number or a decimal string"


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"asset": 5}, "asset", "asset must be a string"),
        ({"asset": ["SOL"]}, "asset", "asset must be a string"),
        ({"type": True}, "type", "type must be a string"),
        ({"margin": True}, "margin", f"margin {AMOUNT}"),
        ({"margin": "ten"}, "margin", f"margin {AMOUNT}"),
        ({"margin": [10]}, "margin", f"margin {AMOUNT}"),
        ({"leverage": {}}, "leverage", f"leverage {AMOUNT}"),
        ({"leverage": 10.123}, "leverage", "leverage can have at most 2 decimals"),
        ({"slippage": False}, "slippage", "slippage must be a whole number of hundredths of a percent"),
        ({"slippage": 100.5}, "slippage", "slippage must be a whole number of hundredths of a percent"),
        ({"expectedPrice": "much"}, "expectedPrice", f"expectedPrice {AMOUNT}"),
        ({"expectedPrice": "200.0000001"}, "expectedPrice", "expectedPrice can have at most 6 decimals"),
        ({"expectedPrice": 0}, "expectedPrice", "expectedPrice must be greater than zero"),
        ({"clientOrderId": 7}, "clientOrderId", "clientOrderId must be a string"),
        ({"clientOrderId": ""}, "clientOrderId", "clientOrderId must have 1 to 64 printable ASCII characters"),
        ({"clientOrderId": "x" * 65}, "clientOrderId", "clientOrderId must have 1 to 64 printable ASCII characters"),
        ({"clientOrderId": "a\n"}, "clientOrderId", "clientOrderId must have 1 to 64 printable ASCII characters"),
        ({"clientOrderId": "ä"}, "clientOrderId", "clientOrderId must have 1 to 64 printable ASCII characters"),
        ({"colour": "red"}, "colour", "colour is not a known field"),
        ({"Margin": 5}, "Margin", "Margin is not a known field"),
        ({"expected_price": 5}, "expected_price", "expected_price is not a known field"),
    ],
)
async def test_a_wrong_type_or_an_unknown_field_is_named(
    app: App, ann: Trader, changed: dict[str, Any], field: str, message: str
) -> None:
    with unchanged(app):
        refused = await ann.post("/trade/create", order() | changed)
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


@pytest.mark.parametrize("field", ["asset", "type", "margin", "leverage"])
async def test_a_required_field_that_is_missing_is_named(app: App, ann: Trader, field: str) -> None:
    with unchanged(app):
        refused = await ann.try_create(**{field: None})
    assert_error(refused, 400, "invalid_request", f"{field} is required", details=bad(field, f"{field} is required"))


@pytest.mark.parametrize("field", ["asset", "type", "margin", "leverage"])
async def test_null_is_no_value_of_a_required_field(app: App, ann: Trader, field: str) -> None:
    with unchanged(app):
        refused = await ann.post("/trade/create", order() | {field: None})
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))
    assert refused.message.startswith(f"{field} must be")


MARGIN = "Margin must be greater than zero"
ASSET = "Invalid asset. Supported assets are SOL, ETH, BTC"
TYPE = "Invalid trade type. Supported types are long and short"
LEVERAGE = "Leverage must be between 1 and 100"
SLIPPAGE = "Slippage value should be between 0.1 to 100 %"

NOT_ALLOWED: list[tuple[str, Any, str]] = [
    *[("margin", value, MARGIN) for value in (0, -1, "-0.000001", "0.000000", "-0")],
    *[("asset", value, ASSET) for value in ("XRP", "sol", "", "SOL ", "ＳＯＬ")],
    *[("type", value, TYPE) for value in ("buy", "LONG", "")],
    *[("leverage", value, LEVERAGE) for value in (0, 0.99, 100.01, 101, -5, "1e64", "1e9999")],
    *[("slippage", value, SLIPPAGE) for value in (9, 0, -100, 10_001, "1e64")],
]


@pytest.mark.parametrize(("field", "value", "message"), NOT_ALLOWED)
async def test_a_value_that_is_not_allowed_gets_the_message_of_its_row(
    app: App, ann: Trader, field: str, value: Any, message: str
) -> None:
    with unchanged(app):
        refused = await ann.try_create(**{field: value})
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("margin", "0.000001"),
        ("leverage", 1),
        ("leverage", 100),
        ("leverage", "1.00"),
        ("leverage", 40.99),
        ("slippage", 10),
        ("slippage", 10_000),
        ("type", "short"),
        ("asset", "BTC"),
    ],
)
async def test_the_ends_of_what_is_allowed_are_allowed(ann: Trader, field: str, value: Any) -> None:
    await ann.create(**{field: value})


async def test_an_asset_may_allow_less_leverage_and_the_message_says_how_much() -> None:
    rules = make_rules()
    instruments = {**rules.instruments, SOL: msgspec.structs.replace(rules.instruments[SOL], max_leverage=2050)}
    async with running_app(rules=msgspec.structs.replace(rules, instruments=instruments)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        with unchanged(app):
            refused = await ann.try_create(leverage=20.51)
        message = "Leverage must be between 1 and 20.5"
        assert_error(refused, 400, "invalid_request", message, details=bad("leverage", message))
        await ann.create(leverage=20.5)
        await ann.create(leverage=100, asset="BTC")


async def test_several_bad_fields_are_all_listed_and_the_message_is_the_first_of_the_table(
    app: App, ann: Trader
) -> None:
    body = {"slippage": 1, "leverage": 0, "type": "buy", "asset": "XRP", "margin": 0}
    with unchanged(app):
        refused = await ann.post("/trade/create", body)
    details = [
        *bad("margin", MARGIN),
        *bad("asset", ASSET),
        *bad("type", TYPE),
        *bad("leverage", LEVERAGE),
        *bad("slippage", SLIPPAGE),
    ]
    assert_error(refused, 400, "invalid_request", MARGIN, details=details)


async def test_a_malformed_field_is_told_before_one_that_is_not_allowed(app: App, ann: Trader) -> None:
    with unchanged(app):
        refused = await ann.post("/trade/create", order(margin=0, leverage="high", asset="XRP") | {"who": "bob"})
    assert refused.details == [
        *bad("who", "who is not a known field"),
        *bad("leverage", f"leverage {AMOUNT}"),
        *bad("margin", MARGIN),
        *bad("asset", ASSET),
    ]
    assert_error(refused, 400, "invalid_request", "who is not a known field", details=refused.details)


# --- the engine's -------------------------------------------------------------------------------------------------


async def test_a_client_order_id_with_another_body_is_a_conflict(app: App, ann: Trader) -> None:
    first = await ann.create(clientOrderId="mine")
    for changed in (
        {"margin": 101},
        {"leverage": 11},
        {"type": "short"},
        {"asset": "BTC"},
        {"slippage": 100},
        {"expectedPrice": 200},
    ):
        with unchanged(app):
            refused = await ann.try_create(clientOrderId="mine", **changed)
        assert_error(refused, 409, "client_order_id_conflict", details={"orderId": first["orderId"]})


async def test_before_its_first_price_an_asset_can_not_be_traded() -> None:
    async with running_app() as app:
        await app.quote(BTC, "100000")
        (ann,) = await app.known("ann")
        with unchanged(app):
            refused = await ann.try_create(asset="SOL")
        assert_error(refused, 503, "price_unavailable", details={"asset": "SOL", "reason": "down"}, retry=True)


async def test_a_price_may_be_traded_on_for_30_seconds_and_not_a_microsecond_longer(app: App, ann: Trader) -> None:
    trade = await ann.create()
    app.clock.now += PRICE_LIFE
    await ann.create()
    app.clock.now += 1
    details = {"asset": "SOL", "reason": "stale", "age_us": PRICE_LIFE + 1}
    with unchanged(app):
        assert_error(await ann.try_create(), 503, "price_unavailable", details=details, retry=True)
        assert_error(await ann.try_close(trade["orderId"]), 503, "price_unavailable", details=details, retry=True)
    assert len(await ann.open_trades()) == 2


async def test_while_a_jump_is_not_confirmed_nothing_opens_and_closing_goes_on_at_the_accepted_price(
    app: App, ann: Trader
) -> None:
    trade = await ann.create()
    app.sequencer.tick(msgspec.structs.replace(tick(SOL, "200"), life_us=0, suspect=True))
    await until(lambda: app.state.price_state(SOL, app.clock.now) == "suspect")
    details = {"asset": "SOL", "reason": "suspect", "age_us": 0}
    with unchanged(app):
        assert_error(await ann.try_create(), 503, "price_unavailable", details=details, retry=True)
    assert (await ann.close(trade["orderId"]))["closePrice"] == "200.000000"
    assert (await app.get("/prices/SOL")).body["state"] == "suspect"
    await app.quote(SOL, "260")
    await ann.create()


@pytest.mark.parametrize(("kind", "limit", "over"), [("long", "202", "202.000001"), ("short", "198", "197.999999")])
async def test_slippage_beyond_what_is_allowed_is_refused_with_its_figures(
    app: App, ann: Trader, kind: str, limit: str, over: str
) -> None:
    await app.quote(SOL, over)
    with unchanged(app):
        refused = await ann.try_create(type=kind, slippage=100, expectedPrice=200)
    details = {"expected": "200.000000", "actual": over, "allowed": 100}
    assert_error(refused, 422, "slippage_exceeded", details=details)
    await app.quote(SOL, limit)
    await ann.create(type=kind, slippage=100, expectedPrice=200)


async def test_an_expected_price_without_slippage_limits_nothing(ann: Trader) -> None:
    await ann.create(expectedPrice="1")


async def test_slippage_without_an_expected_price_is_measured_from_the_price_when_the_request_came() -> None:
    async with running_app(writer_queue=1) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        app.hold_disk()
        in_the_way = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        waiting = asyncio.create_task(ann.try_create(slippage=100))
        await app.all_waiting(1)
        await app.quote(SOL, "210")
        app.release_disk()
        details = {"expected": "200.000000", "actual": "210.000000", "allowed": 100}
        assert_error(await waiting, 422, "slippage_exceeded", details=details)
        assert (await in_the_way).status == 200
        assert ann.free == "5000.000000"


LIMITS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {"max_open_trades": 1},
        "max_open_trades_per_account",
        {"allowed": 1, "wouldBe": 2},
    ),
    (
        {"max_notional": "1999.999999"},
        "max_notional_per_account",
        {"allowed": "1999.999999", "wouldBe": "2000.000000"},
    ),
    (
        {"max_open_interest": "1999.999999"},
        "max_open_interest_per_asset",
        {"allowed": "1999.999999", "wouldBe": "2000.000000"},
    ),
]


@pytest.mark.parametrize(("limit", "name", "figures"), LIMITS, ids=[name for _, name, _ in LIMITS])
async def test_a_trade_over_a_position_limit_is_refused_and_the_limit_is_named(
    limit: dict[str, Any], name: str, figures: dict[str, Any]
) -> None:
    async with running_app(rules=make_rules(**limit)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        trade = await ann.create()
        with unchanged(app):
            refused = await ann.try_create()
        assert_error(refused, 422, "position_limit", details={"limit": name} | figures)
        await ann.close(trade["orderId"])
        await ann.create()


async def test_more_margin_than_the_free_balance_is_refused_with_both_figures(app: App, ann: Trader) -> None:
    await ann.create(margin="4999")
    with unchanged(app):
        refused = await ann.try_create(margin="1.000001")
    details = {"required": "1.000001", "available": "1.000000"}
    assert_error(refused, 422, "insufficient_margin", details=details)
    await ann.create(margin="1")
    assert ann.free == "0.000000"


async def test_a_full_inbox_is_told_at_once_and_nothing_is_done() -> None:
    async with running_app(inbox_size=1, writer_queue=1) as app:
        await app.quote_all()
        ann, bob, cid = await app.known("ann", "bob", "cid")
        app.hold_disk()
        writing = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        waiting = asyncio.create_task(cid.try_create())
        await app.all_waiting(1)
        with unchanged(app):
            assert_error(await ann.try_create(), 503, "overloaded", retry=True)
            assert_error(await ann.try_close("anything"), 503, "overloaded", retry=True)
        app.release_disk()
        assert [(await writing).status, (await waiting).status] == [200, 200]
        assert ann.free == "5000.000000"
        assert not ann.account.trades


async def test_while_draining_nothing_new_is_taken(app: App, ann: Trader) -> None:
    trade = await ann.create()
    app.sequencer.close()
    with unchanged(app):
        assert_error(await ann.try_create(), 503, "shutting_down", retry=True)
        assert_error(await ann.try_close(trade["orderId"]), 503, "shutting_down", retry=True)
    assert (await ann.get("/balance")).status == 200


# --- close --------------------------------------------------------------------------------------------------------


async def test_a_trade_that_never_was_is_not_found(app: App, ann: Trader) -> None:
    with unchanged(app):
        assert_error(await ann.try_close("0" * 32), 404, "trade_not_found")


async def test_a_trade_that_was_closed_says_how_it_ended(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await app.quote(SOL, "201")
    closed = await ann.close(trade["orderId"])
    with unchanged(app):
        refused = await ann.try_close(trade["orderId"])
    details = {
        "orderId": trade["orderId"],
        "closePrice": "201.000000",
        "pnl": "5.000000",
        "returned": "105.000000",
        "liquidated": False,
        "closedAt": closed["closedAt"],
    }
    assert_error(refused, 409, "trade_already_closed", details=details)


async def test_a_trade_that_was_liquidated_says_so(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await app.quote(SOL, "150")
    with unchanged(app):
        refused = await ann.try_close(trade["orderId"])
    details = {
        "orderId": trade["orderId"],
        "closePrice": "150.000000",
        "pnl": "-100.000000",
        "returned": "0.000000",
        "liquidated": True,
        "closedAt": "2026-01-31T09:15:02.123456Z",
    }
    assert_error(refused, 409, "trade_already_closed", details=details)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "orderId", "orderId is required"),
        ({"orderId": None}, "orderId", "orderId must be a string"),
        ({"orderId": 5}, "orderId", "orderId must be a string"),
        ({"orderId": ""}, "orderId", "orderId must have 1 to 64 characters"),
        ({"orderId": "x" * 65}, "orderId", "orderId must have 1 to 64 characters"),
        ({"orderId": "x", "price": 900}, "price", "price is not a known field"),
    ],
)
async def test_a_bad_close_names_its_field(
    app: App, ann: Trader, body: dict[str, Any], field: str, message: str
) -> None:
    with unchanged(app):
        refused = await ann.post("/trade/close", body)
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


# --- the table itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ERRORS)
async def test_every_code_is_snake_case_and_has_one_sentence(code: str) -> None:
    status, body, _ = render(ApiError(code))
    message = body.message
    assert body.code == code.lower().replace("-", "_")
    assert 400 <= status < 600
    assert message[0].isupper()
    assert "\n" not in message
    assert not message.endswith(".")


async def test_a_refusal_leaves_the_balance_readable_and_as_it_was(ann: Trader) -> None:
    await ann.try_create(margin=999_999)
    answer = await ann.get("/balance/usd")
    assert answer.body["usd"] == format_usdc(5_000_000_000)

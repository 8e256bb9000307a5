"""web/v1/parse.py, from the tables that it is made of: every parameter of every query, every optional field of every
body. What the contract does not name is refused, by name; what it names is read as an independent reader reads it."""

import calendar
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from yarl import URL

from exness.core.instruments import AccountId, Side
from exness.runtime.candles import CandleQuery, Interval
from exness.runtime.ports.tables import SortBy
from exness.web.dev.models import ClockBody, PriceBody, ScriptBody, clock_order, parse_price, script_of
from exness.web.dev.rates import RatesBody, changes_of
from exness.web.docs import asyncapi
from exness.web.docs.openapi import document
from exness.web.http.errors import FieldError, InvalidRequest
from exness.web.services import Dev
from exness.web.stream import protocol as frames
from exness.web.v1 import keys
from exness.web.v1.key_models import CreateKeyBody
from exness.web.v1.named_bodies import add_exit, asset_of, cancel_orders, change_margin, close_trade, named_in
from exness.web.v1.opening_bodies import create_order, net_order, place_order, quoted_order
from exness.web.v1.order_models import (
    AddExitBody,
    AmendOrderBody,
    CancelAllBody,
    CreateOrderBody,
    NetOrderBody,
    TradeQuoteBody,
)
from exness.web.v1.parse import Query, history_query, klines_query
from exness.web.v1.trade_models import CloseAllBody, CloseTradeBody, CreateTradeBody, ExitsBody, MarginBody
from tests.support.app import API, ENDPOINTS, App, Trader, assert_error, bad, order, running_app, unchanged
from tests.support.books import SOL, make_rules
from tests.support.lanes import mostly_slow
from tests.web.streams import listening

RULES = make_rules()
ANN = AccountId("ann")


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """With dev control, so that its endpoints are there too."""
    async with running_app(dev=Dev()) as app:
        await app.quote_all()
        yield app


class SameId:
    """Ids that tell two readings of a body apart by nothing."""

    def new(self) -> str:
        return "id"


def asked(**parameters: str) -> Query:
    """A query as the server has it."""
    return URL.build(query=parameters).query


# --- a parameter given twice --------------------------------------------------------------------------------------


def parameters() -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Method and path of every endpoint that takes a query, a good query, and one of its parameters."""
    for path, operations in document("1", ENDPOINTS)["paths"].items():
        for method, operation in operations.items():
            taken = [each for each in operation["parameters"] if each["in"] == "query"]
            needed = {each["name"]: good_value(each) for each in taken if each["required"]}
            for each in taken:
                yield method.upper(), path, needed | {each["name"]: good_value(each)}, each["name"]


def good_value(parameter: dict[str, Any]) -> str:
    """From the schema in /openapi.json, and for what a schema can't tell by name."""
    schema, name = parameter["schema"], parameter["name"]
    if "enum" in schema:
        return str(schema["enum"][0])
    if "minimum" in schema:
        return str(schema["minimum"])
    if name == "asset":
        return "SOL"
    if name == "cursor":
        return "1-1" if "-" in schema["pattern"] else "1"
    return "2026-01-31" if name.endswith(("Date", "Time", "From", "To")) else "x"


TAKEN = list(parameters())


@pytest.mark.parametrize(
    ("path", "name", "choices"),
    [
        ("/klines", "interval", Interval),
        ("/trade/history", "sortBy", SortBy),
        ("/trade/history", "tradeType", Side),
    ],
)
def test_the_document_lists_the_choices_that_the_code_has(path: str, name: str, choices: type[Enum]) -> None:
    (schema,) = [
        each["schema"]
        for each in document("1", ENDPOINTS)["paths"][API + path]["get"]["parameters"]
        if each["name"] == name
    ]
    assert sorted(schema["enum"]) == sorted(each.value for each in choices)


def test_there_are_parameters_of_every_endpoint_that_takes_a_query() -> None:
    queries = {row.key for row in ENDPOINTS.rows if row.query is not None}
    assert {(method, path) for method, path, _, _ in TAKEN} == queries
    assert len(TAKEN) >= 18


@pytest.mark.parametrize(("method", "path", "query", "name"), TAKEN, ids=[f"{row[1]}-{row[3]}" for row in TAKEN])
async def test_a_parameter_given_twice_is_refused_by_its_name(
    app: App, ann: Trader, method: str, path: str, query: dict[str, str], name: str
) -> None:
    once = f"{path}?{urlencode(query)}"
    assert (await ann.request(method, once)).status in (200, 401, 404), "the query as such is good"
    escaped = "".join(f"%{ord(letter):02x}" for letter in name)
    for again in (f"{name}={quote(query[name])}", f"{name}=zzz", name, f"{name}=&{name}=", f"{escaped}=x"):
        with unchanged(app):
            refused = await ann.request(method, f"{once}&{again}")
        message = f"{name} is given more than once"
        assert_error(refused, 400, "invalid_request", message, details=refused.details)
        assert refused.details[0] == bad(name, message)[0]
        assert {each["field"] for each in refused.details} == {name}


async def test_a_link_with_two_tokens_opens_neither_and_one_that_was_decorated_opens(app: App) -> None:
    await app.post("/signup", {"email": "bob@example.com"})
    token = app.mailbox.mails[-1].link
    headers = {"Accept": "application/json"}
    with unchanged(app):
        refused = await app.get(f"/signin/post?token={token}&token={token}", headers=headers)
    message = "token is given more than once"
    assert_error(refused, 400, "invalid_request", message, details=bad("token", message))
    opened = await app.get(f"/signin/post?token={token}&utm_source=mail&utm_source=news", headers=headers)
    assert (opened.status, opened.body["email"]) == (200, "bob@example.com")


async def test_an_unknown_parameter_given_twice_is_told_once(ann: Trader) -> None:
    refused = await ann.get("/trade/open?page=1&page=2")
    assert [each["field"] for each in refused.details] == ["page"]


# --- null of an optional field ------------------------------------------------------------------------------------

INSTRUMENT = RULES.instruments[SOL]
NOW_US = calendar.timegm((2026, 1, 1, 0, 0, 0)) * 10**6
EXITS: dict[str, Any] = {"takeProfit": 210, "stopLoss": "190.5", "trailingStop": {"percent": 100, "activation": 201}}
READ: dict[type[msgspec.Struct], Callable[[bytes], object]] = {
    CreateTradeBody: lambda body: create_order(body, RULES, ANN, SameId()),
    CreateOrderBody: lambda body: place_order(body, RULES, ANN, SameId()),
    CloseTradeBody: lambda body: close_trade(named_in(body, CloseTradeBody), ANN, INSTRUMENT),
    AddExitBody: lambda body: add_exit(named_in(body, AddExitBody), ANN, SameId(), INSTRUMENT),
    MarginBody: lambda body: change_margin(named_in(body, MarginBody), ANN),
    CancelAllBody: lambda body: cancel_orders(body, RULES, ANN),
    CloseAllBody: lambda body: asset_of(body, CloseAllBody, RULES),
    TradeQuoteBody: lambda body: quoted_order(body, RULES, ANN, SameId()),
    RatesBody: changes_of,
    NetOrderBody: lambda body: net_order(body, RULES, ANN, SameId()),
    CreateKeyBody: lambda body: keys.wanted(body, NOW_US),
    PriceBody: lambda body: parse_price(body, 6),
    ClockBody: clock_order,
}
"""How a body with optional fields is read, in which null is a field left out."""
NULL_REMOVES = {ExitsBody, AmendOrderBody}
WHOLE: dict[type[msgspec.Struct], dict[str, Any]] = {
    CreateTradeBody: order(slippage=100, expectedPrice="200", clientOrderId="mine", **EXITS),
    CreateOrderBody: order(
        limitPrice=190,
        stopPrice=195,
        timeInForce="gtt",
        expiresAt="2026-02-01T00:00:00Z",
        postOnly=True,
        clientOrderId="mine",
        **EXITS,
    ),
    CloseTradeBody: {"orderId": "x", "percent": 1, "margin": None, "quantity": None, "clientOrderId": "mine"},
    AddExitBody: {
        "orderId": "x",
        "kind": "limit",
        "price": 7,
        "percent": 1,
        "margin": None,
        "quantity": None,
        "clientOrderId": "mine",
    },
    MarginBody: {"orderId": "x", "amount": -3, "clientOrderId": "mine"},
    CancelAllBody: {"asset": "SOL"},
    CloseAllBody: {"asset": "SOL"},
    TradeQuoteBody: order(
        slippage=100,
        expectedPrice="200",
        limitPrice=190,
        stopPrice=195,
        timeInForce="gtt",
        expiresAt="2026-02-01T00:00:00Z",
        postOnly=True,
        clientOrderId="mine",
        **EXITS,
    ),
    RatesBody: {
        "taker": "0.001",
        "maker": "0.002",
        "maintenance": [{"floor": 0, "rate": "0.01"}],
        "maintenanceBasis": "entry",
        "holdCloseFee": True,
        "minMargin": 1,
        "liquidationFee": "0.003",
        "residual": "return",
        "fundingIntervalS": 3600,
        "fundingOffsetS": 60,
        "fundingRate": "0.0001",
        "fundingRateShort": "-0.0002",
        "fundingWeekdays": [1, 1, 1, 1, 3, 0, 0],
    },
    NetOrderBody: {
        "asset": "SOL",
        "side": "sell",
        "quantity": "1.5",
        "closePosition": False,
        "limitPrice": 190,
        "stopPrice": 195,
        "trailingStop": {"distance": 3},
        "kind": "stop_loss",
        "reduceOnly": True,
        "timeInForce": "gtc",
        "expiresAt": "2026-02-01T00:00:00Z",
        "postOnly": True,
        "slippage": 100,
        "expectedPrice": "200",
        "clientOrderId": "mine",
    },
    CreateKeyBody: {"name": "my bot", "scopes": ["read"], "expiresAt": "2026-02-01T00:00:00Z"},
    PriceBody: {"bid": 1, "ask": 2, "mid": 3},
    ClockBody: {"paused": True, "speed": 2, "step": 3},
}


def optional(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind) if not field.required]


def outcome(read: Callable[[bytes], object], body: dict[str, Any]) -> object:
    """What is read, or all that is refused."""
    try:
        return read(json.dumps(body).encode())
    except InvalidRequest as refused:
        return refused.errors


def test_every_body_with_optional_fields_is_tried() -> None:
    bodies = {row.body for row in ENDPOINTS.rows if row.body is not None}
    assert {body for body in bodies if optional(body)} == set(READ) | NULL_REMOVES
    for kind, whole in WHOLE.items():
        assert set(optional(kind)) <= set(whole)


def choices_among(fields: int) -> Sequence[int]:
    """Which of so many fields are there, as bits: every way, or, where those are very many, none, one, all."""
    return range(2**fields) if fields <= 4 else [0, 2**fields - 1, *(2**number for number in range(fields))]


SOME = [
    (kind, kept, bad_one)
    for kind in READ
    for number in choices_among(len(optional(kind)))
    for kept in [[name for bit, name in enumerate(optional(kind)) if number >> bit & 1]]
    for bad_one in (None, *WHOLE[kind])
]


@pytest.mark.parametrize(("kind", "kept", "bad_one"), SOME, ids=[f"{k.__name__}-{'+'.join(s)}-{b}" for k, s, b in SOME])
def test_null_of_an_optional_field_is_the_field_left_out(
    kind: type[msgspec.Struct], kept: list[str], bad_one: str | None
) -> None:
    """Whichever of the others are there, and also when one of them is bad, so that the body is read field by field."""
    nulls = {name: None for name in optional(kind) if name not in kept}
    body = {name: value for name, value in WHOLE[kind].items() if name not in nulls}
    if bad_one in body:
        body[bad_one] = [1]
    assert outcome(READ[kind], body | nulls) == outcome(READ[kind], body)


def test_a_text_that_says_null_is_none() -> None:
    for kind, whole in WHOLE.items():
        for name in optional(kind):
            if (kind, name) != (TradeQuoteBody, "clientOrderId"):  # a quote has none, whatever is given
                assert outcome(READ[kind], whole | {name: "null"}) != outcome(READ[kind], whole | {name: None}), name


REQUIRED: list[tuple[str, str, str]] = [
    (row.method, row.path, field.encode_name)
    for row in ENDPOINTS.rows
    if row.body not in (None, ScriptBody)
    for field in msgspec.structs.fields(row.body)
    if field.required
]


def test_null_is_no_script() -> None:
    """Its endpoint needs a manual feed."""
    assert outcome(lambda body: script_of(body, RULES), {"prices": None}) == [
        FieldError("prices", "prices must be a list of objects with offset, asset and price")
    ]


@pytest.mark.parametrize(("method", "path", "name"), REQUIRED)
async def test_null_of_a_required_field_is_refused_by_its_name(
    app: App, ann: Trader, method: str, path: str, name: str
) -> None:
    (row,) = [each for each in ENDPOINTS.rows if each.key == (method, path)]
    body = json.loads(row.example) | {name: None}
    with unchanged(app):
        refused = await ann.request(method, path, body=body)
    assert_error(refused, 400, "invalid_request", details=bad(name, refused.message))
    assert refused.message.startswith(f"{name} must be ")


async def test_the_body_of_a_client_that_writes_null_for_what_is_unset_opens_a_trade() -> None:
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        body = order() | {"clientOrderId": None, "slippage": None, "expectedPrice": None}
        first, second = [await ann.post("/trade/create", body) for _ in range(2)]
        assert (first.status, second.status) == (200, 200)
        assert "clientOrderId" not in first.body
        assert first.body["orderId"] != second.body["orderId"], "no id is no name for a trade"


@pytest.mark.parametrize("row", asyncapi.MESSAGES, ids=lambda row: row.body.__name__)
async def test_null_in_a_message_of_the_stream_is_the_field_left_out(app: App, ann: Trader, row: Any) -> None:
    message = json.loads(row.example)
    names = [field.encode_name for field in msgspec.structs.fields(row.body) if not field.required]
    assert "id" in names
    for name in names:
        bare = {key: value for key, value in message.items() if key != name}
        answers = []
        for said in (bare, bare | {name: None}):
            async with listening(app, ann) as client:
                await client.socket.send_str(json.dumps(said))
                answer = await client.next("control")
                answers.append((answer["type"], answer["data"]))
        assert answers[0] == answers[1]


def test_a_message_has_no_id_when_it_is_null() -> None:
    assert frames.decode_message(b'{"op":"ping","id":null}').own_id is msgspec.UNSET


# --- dates --------------------------------------------------------------------------------------------------------

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFERENCE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?P<time>[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,40}))?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
"""RFC 3339, 5.6, with the zone or all of the time left out."""


def reference(text: str) -> int | None:
    """Microseconds since the epoch by the grammar and the calendar, without a parser of dates; None: it is none."""
    found = REFERENCE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(found[name]) for name in ("year", "month", "day"))
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    days = datetime(year, month, day, tzinfo=UTC).toordinal() - EPOCH.toordinal()
    if found["time"] is None:
        return days * 86_400_000_000
    hour, minute, second = (int(found[name]) for name in ("hour", "minute", "second"))
    zone = found["zone"] or "Z"
    away = 0 if zone in "Zz" else (int(zone[1:3]) * 60 + int(zone[4:6])) * (-1 if zone[0] == "+" else 1)
    if hour > 23 or minute > 59 or second > 59 or (zone not in "Zz" and (zone[1:3] > "23" or zone[4:] > "59")):
        return None
    whole = ((days * 24 + hour) * 60 + minute + away) * 60 + second
    return whole * 1_000_000 + int((found["fraction"] or "0").ljust(6, "0")[:6])


def random_text(dice: random.Random) -> str:
    """A date or a time; each part of it is a little wrong now and then."""

    def part(good: list[str], bad: list[str]) -> str:
        return dice.choice(bad if dice.random() < 0.08 else good)

    year = part(["2026", "0001", "9999", "1799", "2024", "1900", "2000"], ["0000", "10000", "-2026", "26"])
    month = part([f"{number:02}" for number in range(1, 13)], ["00", "13", "2", "W05"])
    day = part([f"{number:02}" for number in range(1, 32)], ["00", "32", "2"])
    text = part(["-"], ["/", ""]).join([year, month, day])
    if dice.random() < 0.75:
        text += part(["T", "T", "t", " "], ["", "_", "  "])
        clock = [part(["00", "09", "23"], ["24", "9"]), *(part(["00", "30", "59"], ["60", "61", "5"]) for _ in "ms")]
        clock = clock if clock[2] != "60" else [*clock[:2], "61"]  # a leap second is the parser's own business
        text += part([":"], ["", "."]).join(clock[: int(part(["3"], ["2", "1"]))])
        text += part(["", "", ".5", ".123456", ".1234567", ".000000001"], [",5", ".", "." + "1" * 41])
        text += part(["", "Z", "z", "+00:00", "-00:00", "+05:30", "-23:59"], ["+24:00", "+0530", " 05:30", "+05", "X"])
    if dice.random() < 0.05:
        cut = dice.randint(0, len(text))
        text = text[:cut] + dice.choice([" ", "\n", "+", "＋", "٢"]) + text[cut:]
    return text


def moments(text: str) -> tuple[int | None, int | None] | None:
    """`fromDate` and `toDate` as they are read, None when both are refused."""
    try:
        query = history_query(ANN, asked(fromDate=text, toDate=text), RULES)
    except InvalidRequest as refused:
        return None if len(refused.errors) == 2 else (0, 0)
    return query.opened_from, query.opened_to


@pytest.mark.parametrize("seed", mostly_slow(range(5), quick=1))
def test_a_date_is_taken_if_the_contract_names_it_and_means_what_it_says(seed: int) -> None:
    dice = random.Random(seed)
    taken = 0
    for _ in range(4000):
        text = random_text(dice)
        at = reference(text)
        last = at + 86_400_000_000 - 1 if at is not None and len(text) == 10 else at
        assert moments(text) == (None if at is None else (at, last)), (seed, text)
        taken += at is not None
    assert 1000 < taken < 3000


@pytest.mark.parametrize(
    ("unit", "scale", "days"),
    [("seconds", 1, 50), ("milliseconds", 1_000, 1), ("microseconds", 10**6, 50), ("nanoseconds", 10**9, 50)],
)
def test_no_midnight_of_2020_to_2030_that_is_written_as_a_number_is_a_date(unit: str, scale: int, days: int) -> None:
    """134 of the 4018 in milliseconds were taken, as days of other centuries."""
    for day in range(0, 4018, days):
        second = round((datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)).timestamp())
        with pytest.raises(InvalidRequest) as refused:
            history_query(ANN, asked(fromDate=str(second * scale)), RULES)
        assert refused.value.message.endswith(f"not {second * scale}, which looks like {unit}")


@pytest.mark.parametrize(
    "sent", ["2026-11-26T20:00:00+00:00", "2026-11-26 20:00:00+05:30", "2026-11-26T20:00:00.123456+01:00"]
)
@pytest.mark.parametrize("name", ["fromDate", "toDate"])
async def test_a_plus_that_became_a_space_is_explained_and_an_escaped_one_is_taken(
    app: App, ann: Trader, name: str, sent: str
) -> None:
    path = "/trade/history?" + name + "="
    refused = await ann.get(path + sent.replace(" ", "%20"))
    message = refused.message
    assert_error(refused, 400, "invalid_request", details=bad(name, message))
    assert message.endswith("; a + in a query stands for a space: write %2B before the offset")
    assert (await ann.get(path + quote(sent))).status == 200


@pytest.mark.parametrize("text", ["2026-11-26T20:00 00:00", "yesterday at noon", "2026-11-26 ", " ", "a 00:00"])
def test_a_space_that_was_no_plus_is_not_called_one(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        history_query(ANN, asked(fromDate=text), RULES)
    assert "%2B" not in refused.value.message


# --- numbers ------------------------------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[int, int, Callable[[Query], int | None]]] = {
    "limit": (1, 500, lambda query: history_query(ANN, query, RULES).limit),
    "offset": (0, 10**12, lambda query: history_query(ANN, query, RULES).offset),
    "startTime": (0, 253_402_300_799, lambda query: klines(query).first),
    "endTime": (0, 253_402_300_799, lambda query: klines(query).end),
}


def klines(query: Query) -> CandleQuery:
    return klines_query(asked(asset="SOL", interval="1m", **query), RULES)


SPELLINGS = [
    "", " ", "+5", " 5", "5 ", "5\n", "５", "٥", "1_000", "5.0", "5.", "0x5", "1e2", "5L", "-5", "-0", "--5", "5,0",
    "5'0", "NaN", "inf", "None", "null", "true", "\x00", "5\x00", "²", "Ⅴ", "9" * 16, "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS, ids=range(len(SPELLINGS)))
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_ascii_digits_and_nothing_else(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        NUMBERS[name][2](asked(**{name: text}))
    assert [error.field for error in refused.value.errors] == [name]
    assert refused.value.message.startswith(f"{name} must be a whole number ")


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_within_its_bounds_is_taken_and_none_outside(name: str) -> None:
    least, most, read = NUMBERS[name]
    for number in (least, least + 1, most - 1, most):
        assert read(asked(**{name: str(number)})) == number
    for number in (least - 1, most + 1, most * 10, most * 1000):
        with pytest.raises(InvalidRequest):
            read(asked(**{name: str(number)}))


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "0", "yes", "on", "", " true", "true ", "t", "null", "ｔrue"])
@pytest.mark.parametrize("name", ["profitable", "liquidated"])
def test_a_truth_is_written_in_one_way(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        history_query(ANN, asked(**{name: text}), RULES)
    assert refused.value.message == f"{name} must be one of true, false"


@pytest.mark.parametrize(
    "query",
    [
        "symbol=SOL",
        "page=2",
        "asset[]=SOL",
        "asset=SOL_USDC",
        "asset=sol",
        "tradeType=LONG",
        "tradeType=buy",
        "limit=0",
    ],
)
async def test_parameters_of_another_venue_are_refused_by_name(ann: Trader, query: str) -> None:
    name = query.partition("=")[0]
    refused = await ann.get(f"/trade/history?{query}")
    assert_error(refused, 400, "invalid_request", details=bad(name, refused.message))
    assert any(word in refused.message for word in ("known are ", "Supported assets are ", "one of ", "from 1 to "))


async def test_a_body_of_another_venue_is_told_all_that_is_wrong_with_it(app: App, ann: Trader) -> None:
    with unchanged(app):
        refused = await ann.try_create(slippage="0", type="Buy", leverage="0")
    assert refused.status == 400
    assert [each["field"] for each in refused.details] == ["type", "leverage", "slippage"]

"""web/docs/asyncapi.py: what is said on the stream is what the document says, and all of it."""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from exness.web.docs.asyncapi import CHANNELS, ERROR_CODES, FRAMES, MESSAGES, document, section
from exness.web.stream.protocol import CLOCK, CLOSE_CODES, STREAM_ERRORS, CloseCode, market_channels
from exness.web.v1.errors import ERRORS
from tests.support.app import App, order, running_app
from tests.support.books import SOL, make_rules
from tests.web.dev_control import clock, manual_app
from tests.web.streams import Json, listening


def schema_of(name: str) -> Any:
    """A message's payload with the components it refers to."""
    components = document("1")["components"]
    return jsonschema_rs.validator_for(components["messages"][name]["payload"] | {"components": components})


def messages_for(frame: Json) -> list[str]:
    """The names of the documented messages that a frame is."""
    return [row.name for row in FRAMES if row.type == frame["type"] and schema_of(row.name).is_valid(frame)]


async def test_a_whole_conversation_is_as_documented_and_every_documented_frame_is_in_it(app: App) -> None:
    (ann,) = await app.known("ann")
    held = await ann.create(clientOrderId="mine")
    async with listening(app) as client:
        await client.error("subscribe", channels=["trades"], id="x")
        await client.asked("auth", token=ann.token, id=5)
        channels = ["prices", "prices.SOL", "candles.1m.SOL", "candles.1d.BTC", "trades", "orders", "account"]
        await client.subscribed(*channels, resume=10**9)
        await client.next("account", "snapshot")
        created = await ann.create(leverage="40.99")
        await ann.post("/trade/close", {"orderId": held["orderId"], "percent": 5000})
        await ann.close(held["orderId"])
        waiting = (await ann.post("/order/create", order(stopPrice=210, limitPrice=205))).body
        await ann.post("/order/amend", {"orderId": waiting["orderId"], "takeProfit": 250})
        for _ in range(2):
            await ann.post("/net/order", {"asset": "SOL", "side": "buy", "quantity": 1})
        selling = {"asset": "SOL", "side": "sell", "reduceOnly": True, "quantity": 1}
        stop = (await ann.post("/net/order", selling | {"stopPrice": 190, "limitPrice": 189})).body
        await ann.post("/order/amend", {"orderId": stop["orderId"], "expiresAt": "2030-01-01T00:00:00Z"})
        await ann.post("/net/order", selling | {"trailingStop": {"percent": 50}})
        await app.quote(SOL, "211")
        await ann.post("/order/cancel", {"orderId": stop["orderId"]})
        await app.quote(SOL, "100")
        await client.until(lambda frame: frame["data"].get("orderId") == created["orderId"] and "mark" in frame["data"])
        await client.asked("unsubscribe", channels=channels)
        await client.pong()
        frames = client.frames
    seen = set()
    for frame in frames:
        names = messages_for(frame)
        assert len(names) == 1, (names, frame)
        seen |= {names[0]}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", frame["at"])
    assert seen == {row.name for row in FRAMES if row.channel != CLOCK}


async def test_the_clock_is_told_as_documented() -> None:
    async with manual_app() as (app, _feed), listening(app) as client:
        await client.snapshot("clock")
        await clock(app, speed="1.5")
        told = [messages_for(frame) for frame in (client.frames[-1], await client.next("clock"))]
        assert told == [["clockSnapshot"], ["clockClock"]]


async def test_a_candle_that_is_not_there_yet_is_documented_too() -> None:
    async with running_app() as app, listening(app) as client:
        assert messages_for(await client.snapshot("candles.5m.ETH")) == ["candlesSnapshot"]


def test_every_name_is_one_message_and_every_reference_leads_somewhere() -> None:
    whole = document("1")
    assert len(whole["components"]["messages"]) == len(MESSAGES) + len(FRAMES)
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(whole)):
        found: Any = whole
        for step in reference.split("/"):
            found = found[step]
    assert whole["asyncapi"] == "3.0.0"
    assert set(whole["channels"]["stream"]["messages"]) == set(whole["components"]["messages"])
    for operation in whole["operations"].values():
        assert operation["action"] in ("send", "receive")
    json.dumps(whole)


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.body.__name__)
def test_the_examples_are_what_a_client_may_say(row: Any) -> None:
    schema = schema_of(row.body.__name__)
    example = json.loads(row.example)
    assert schema.is_valid(example)
    assert not schema.is_valid(example | {"more": 1})
    assert not schema.is_valid(example | {"op": "else"})


def test_every_channel_of_the_rules_is_of_exactly_one_documented_kind() -> None:
    for name in (*market_channels(make_rules()), "prices", "clock", "trades", "account", "control"):
        assert len([row for row in CHANNELS if re.fullmatch(row.pattern, name)]) == 1, name


def test_every_code_is_documented_here_and_in_the_manual() -> None:
    assert set(CLOSE_CODES) == set(CloseCode)
    assert set(STREAM_ERRORS).isdisjoint(ERRORS)
    manual = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")
    manual = manual.partition("## Stream\n")[2].partition("\n## ")[0]
    for code in CLOSE_CODES:
        assert f"| {int(code)} |" in manual
    for error in ERROR_CODES:
        assert f"`{error}`" in manual
    for row in FRAMES:
        assert f"`{row.type}`" in manual


async def test_the_document_is_served_and_the_page_has_a_section_on_it() -> None:
    async with running_app() as app:
        assert app.http is not None
        async with app.http.get(app.url + "/asyncapi.json") as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert json.loads(await response.read()) == json.loads(json.dumps(document("1.2.3")))
        async with app.http.get(app.url + "/docs") as response:
            page = await response.text()
    assert section() in page
    for row in CHANNELS:
        assert f"<code>{escape(row.name)}</code>" in page
    for code in CLOSE_CODES:
        assert f"<td>{int(code)}</td>" in page

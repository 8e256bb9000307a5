"""The face's OpenAPI document says what its rows say, and what its handlers read is what it names."""

import json
import random
import re
from collections import defaultdict
from urllib.parse import urljoin

import jsonschema_rs
import pytest

from exness.web.fapi.endpoints import ROWS
from exness.web.fapi.frame import Security
from exness.web.fapi.openapi import document
from exness.web.fapi.parameters import PARAMETERS, SIGNED, parameters_of
from exness.web.fapi.params import Params
from tests.binance.documented import WHOLE, assert_documented, operation, parameters
from tests.binance.face import FAPI, bot, face
from tests.binance.test_anything import GOOD, Anything
from tests.support.books import SOL

SIGNS = {each.name for each in parameters_of(SIGNED)}
LEAST_ASKED, MOST_ASKED = 20, 2000
"""How often each row is asked, at random: until everything that it names was read."""
UNTOLD = {
    "stopPrice",  # only to refuse it
    "orderidlist",  # spellings of some clients
    "origclientorderidlist",
    "signature",
}


def test_every_row_is_described_with_its_weight_its_security_and_its_parameters() -> None:
    assert sum(len(methods) for methods in WHOLE["paths"].values()) == len(ROWS)
    for row in ROWS:
        described = operation(row)
        assert (described["x-weight"], described["summary"]) == (row.weight, row.summary)
        assert ("security" in described) == (row.security is not Security.NONE)
        assert ("401" in described["responses"]) == (row.security is not Security.NONE)
        is_signed = row.security in (Security.SIGNED, Security.TRADE)
        expected = {each.name: each.is_required for each in parameters_of(f"{row.parameters} {SIGNED * is_signed}")}
        assert {name: each["required"] for name, each in parameters(row).items()} == expected


def test_every_reference_leads_somewhere_every_schema_is_one_and_no_operation_shares_its_id() -> None:
    references = set(re.findall(r"'\$ref': '#/components/([^']+)'", str(WHOLE)))
    known = {f"{kind}/{name}" for kind in ("schemas", "responses") for name in WHOLE["components"][kind]}
    assert references == known
    for schema in (*WHOLE["components"]["schemas"].values(), *PARAMETERS.values()):
        jsonschema_rs.validator_for({**schema, "components": WHOLE["components"]})
    ids = [each["operationId"] for methods in WHOLE["paths"].values() for each in methods.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("prefix", ["", "/exness"])
async def test_it_is_served_and_its_server_is_where_it_came_from(prefix: str) -> None:
    async with face() as app:
        answer = await app.get("/fapi/openapi.json")
        assert answer.status == 200
        (server,) = answer.body["servers"]
        seen_at = f"https://proxy.example{prefix}"
        assert urljoin(f"{seen_at}/fapi/openapi.json", server["url"]).rstrip("/") == seen_at
        assert answer.body["paths"].keys() == WHOLE["paths"].keys()
        (symbol,) = answer.body["paths"]["/fapi/v1/openInterest"]["get"]["parameters"]
        assert symbol["schema"]["enum"] == list(FAPI.markets)


async def test_a_public_url_is_what_it_names() -> None:
    async with face(public_url="https://trade.example/x") as app:
        assert (await app.get("/fapi/openapi.json")).body["servers"] == [{"url": "https://trade.example/x"}]


def test_it_is_json_as_it_is() -> None:
    assert json.loads(json.dumps(document(ROWS, ["BTCUSDC"], "1")))["openapi"] == "3.1.0"


async def test_what_handlers_read_is_what_is_named_and_the_other_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    text = Params.text

    def recorded(params: Params, name: str) -> str | None:
        read.add(name)
        return text(params, name)

    monkeypatch.setattr(Params, "text", recorded)
    rng = random.Random(5)
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    async with face() as app:
        ann = await bot(app, "ann")
        await ann.get("/fapi/v3/balance")
        asked = Anything(app, rng, [ann])
        for row in ROWS:
            for number in range(MOST_ASKED):
                if number >= LEAST_ASKED and parameters(row).keys() <= seen[row.method, row.path]:
                    break
                await app.quote(SOL, "200")
                params = asked.params(row, [])
                for name, described in parameters(row).items() if rng.random() < 0.5 else ():  # more of what it takes
                    values = described["schema"].get("enum", GOOD.get(name))
                    if values and rng.random() < 0.9:
                        params[name] = str(rng.choice(values))
                params = {name: value for name, value in params.items() if rng.random() > 0.1}
                read.clear()
                assert_documented(row, await ann.ask(row.method, row.path, **params))
                if row.path != "/fapi/v1/batchOrders" or row.method != "POST":  # its items are orders
                    assert read - UNTOLD <= parameters(row).keys(), (row.method, row.path)
                seen[row.method, row.path] |= read
    for row in ROWS:
        assert parameters(row).keys() <= seen[row.method, row.path], (row.method, row.path)

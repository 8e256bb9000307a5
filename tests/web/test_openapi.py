"""web/docs: the document and the page cover every endpoint and every error, and need nothing from elsewhere."""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

import jsonschema_rs
import msgspec
import pytest
from yarl import URL

from exness.core.instruments import Side
from exness.runtime.candles import Interval
from exness.runtime.ports.tables import SortBy
from exness.web.docs.asyncapi import section
from exness.web.docs.openapi import document
from exness.web.docs.pages import FILES, POLICY
from exness.web.http.endpoint import Auth
from exness.web.v1.body_fields import EXIT_KINDS, NET_KINDS
from exness.web.v1.errors import ERRORS
from exness.web.v1.models import KlinesQuery
from exness.web.v1.trade_models import HistoryQuery
from tests.binance.face import face
from tests.support.app import ENDPOINTS, Answer, App, assert_error, running_app

QUERIES = {query.__name__: query for query in (HistoryQuery, KlinesQuery)}

NOT_ANSWERED = {"account_exists", "method_not_allowed", "not_ready"}
"""The engine's own, methods that no route has, and what /readyz puts into its own answer."""


def responses() -> list[dict[str, Any]]:
    paths = document("1", ENDPOINTS)["paths"]
    return [operation["responses"] for methods in paths.values() for operation in methods.values()]


def test_every_error_is_documented_at_its_status_with_the_body_of_all_errors() -> None:
    documented = set()
    for by_status in responses():
        for status, response in by_status.items():
            schema = response.get("content", {}).get("application/json", {}).get("schema", {})
            if "allOf" in schema:
                assert schema["allOf"] == [{"$ref": "#/components/schemas/ErrorBody"}]
                for code in schema["properties"]["code"]["enum"]:
                    documented.add(code)
                    assert int(status) == ERRORS[code][0]
    assert documented == {str(code) for code in ERRORS} - NOT_ANSWERED


def test_every_reference_leads_somewhere_and_no_operation_shares_its_id() -> None:
    whole = document("1", ENDPOINTS)
    for reference in re.findall(r"'\$ref': '([^']+)'", str(whole)):
        assert reference.removeprefix("#/components/schemas/") in whole["components"]["schemas"]
    ids = [operation["operationId"] for methods in whole["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)


def test_what_needs_a_session_says_so() -> None:
    paths = document("1", ENDPOINTS)["paths"]
    for row in ENDPOINTS.rows:
        described = paths[row.path][row.method.lower()]
        assert ("security" in described) == (row.auth in (Auth.SESSION, Auth.KEY))
        assert ("requestBody" in described) == (row.body is not None)


def test_every_body_has_an_example_that_its_schema_takes() -> None:
    whole = document("1", ENDPOINTS)
    for row in ENDPOINTS.rows:
        if row.body is not None:
            content = whole["paths"][row.path][row.method.lower()]["requestBody"]["content"]["application/json"]
            schema = content["schema"] | {"components": whole["components"]}
            assert jsonschema_rs.validator_for(schema).is_valid(content["example"])


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("leverage", (1, 100, "12.5"), (0.99, 101, "x")),
        ("slippage", (10, 10_000, None), (9, 10_001)),
        ("clientOrderId", ("a", "~" * 64, None), ("", "a" * 65, "é")),
        ("type", ("long", "short"), ("up",)),
    ],
)
def test_an_order_has_the_bounds_that_the_core_holds_it_to(field: str, good: Iterable[Any], bad: Iterable[Any]) -> None:
    whole = document("1", ENDPOINTS)
    schema = whole["components"]["schemas"]["CreateTradeBody"]["properties"][field]
    assert [jsonschema_rs.validator_for(schema).is_valid(value) for value in good] == [True for _ in good]
    assert [jsonschema_rs.validator_for(schema).is_valid(value) for value in bad] == [False for _ in bad]


def test_the_kinds_of_exits_are_those_that_their_bodies_are_read_by() -> None:
    schemas = document("1", ENDPOINTS)["components"]["schemas"]
    whole, part = schemas["NetOrderBody"]["properties"]["kind"], schemas["AddExitBody"]["properties"]["kind"]
    assert sorted(part["enum"]) == sorted(EXIT_KINDS)
    assert sorted(whole["anyOf"][0]["enum"]) == sorted(NET_KINDS)


def test_a_query_is_told_the_words_that_it_is_read_by() -> None:
    schemas = {name: msgspec.json.schema(query)["$defs"][name]["properties"] for name, query in QUERIES.items()}
    assert schemas["HistoryQuery"]["sortBy"]["enum"] == sorted(SortBy)
    assert schemas["HistoryQuery"]["tradeType"]["enum"] == sorted(Side)
    assert schemas["KlinesQuery"]["interval"]["enum"] == sorted(Interval)


LINKS = re.compile(r'(?:src|href)="([^"#]+)"')


async def test_the_documents_and_the_page_are_served_and_nothing_comes_from_elsewhere() -> None:
    async with running_app() as app:
        assert (await served(app, "/openapi.json")).startswith(b'{"openapi":"3.1.0"')
        page = (await served(app, "/docs")).decode()
        links = LINKS.findall(page)
        assert {"openapi.json", "asyncapi.json", *(f"docs/{name}" for name in FILES)} == set(links)
        for link in links:
            assert await served(app, f"/{link}")
        assert section() in page


async def test_where_the_binance_face_is_served_the_page_leads_to_its_document_too() -> None:
    async with face() as app:
        page = (await served(app, "/docs")).decode()
        assert {"docs", "docs?fapi", "fapi/openapi.json"} < set(LINKS.findall(page))
        for link in LINKS.findall(page):
            assert await served(app, f"/{link}")
        assert '"?fapi" ? "fapi/openapi.json"' in (await served(app, "/docs/page.js")).decode()


async def test_the_page_allows_no_script_or_style_but_files_of_this_server() -> None:
    async with running_app() as app:
        assert app.http is not None
        async with app.http.get(f"{app.url}/docs") as response:
            assert response.content_type == "text/html"
            assert response.headers["Content-Security-Policy"] == POLICY
            page = await response.text()
        assert "unsafe" not in POLICY
        assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == ["", ""]
        assert not re.search(r"<style|\son\w+=|\sstyle=", page)
        async with app.http.get(f"{app.url}/prices") as response:
            assert response.headers["Content-Security-Policy"] != POLICY


@pytest.mark.parametrize("name", FILES)
async def test_a_file_of_the_page_is_kept_by_browsers_and_is_what_its_type_says(name: str) -> None:
    async with running_app() as app:
        assert app.http is not None
        url = f"{app.url}/docs/{name}"
        async with app.http.get(url) as response:
            assert response.status == 200
            assert response.content_type == ("text/css" if name.endswith(".css") else "text/javascript")
            assert response.headers["Cache-Control"] == "public, max-age=3600"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            etag, body = response.headers["ETag"], await response.read()
        assert len(body) == int(response.headers["Content-Length"]) > 100
        async with app.http.get(url, headers={"If-None-Match": etag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        async with app.http.head(url) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, str(len(body)))


@pytest.mark.parametrize("name", ["LICENSE", "page.html", "..%2fpages.py", "%2e%2e", "%2fetc%2fpasswd", ""])
async def test_no_other_file_is_served(name: str) -> None:
    async with running_app() as app:
        assert app.http is not None
        async with app.http.get(URL(f"{app.url}/docs/{name}", encoded=True)) as response:
            assert_error(Answer(response.status, response.headers, await response.read()), 404, "not_found")


async def test_flask_is_not_part_of_the_process() -> None:
    async with running_app() as app:
        await served(app, "/docs/swagger-ui.css")
    assert "flask" not in sys.modules


PREFIXES = ["", "/exness", "/a/b"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_below_any_prefix_links_and_servers_lead_to_where_the_documents_came_from(prefix: str) -> None:
    seen_at = f"https://proxy.example{prefix}"
    async with running_app() as app:
        page = (await served(app, "/docs")).decode()
        links = {urljoin(f"{seen_at}/docs", link) for link in LINKS.findall(page)}
        assert links == {f"{seen_at}/{each}" for each in LINKS.findall(page)}
        (server,) = document("1.2.3", ENDPOINTS)["servers"]
        assert urljoin(f"{seen_at}/openapi.json", server["url"]).rstrip("/") == seen_at


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_public_url_is_what_the_documents_name(prefix: str) -> None:
    public_url = f"https://trade.example:8443{prefix}"
    async with running_app(public_url=public_url) as app:
        described = json.loads(await served(app, "/openapi.json"))
        assert described["servers"] == [{"url": public_url}]
        assert "trade.example" not in (await served(app, "/docs")).decode(), "right behind a tunnel, too"
        server = json.loads(await served(app, "/asyncapi.json"))["servers"]["here"]
        assert (server["host"], server["protocol"]) == ("trade.example:8443", "wss")
        assert server.get("pathname", "") == prefix


async def served(app: App, path: str) -> bytes:
    assert app.http is not None
    async with app.http.get(app.url + path) as response:
        assert response.status == 200
        return await response.read()

"""web/openapi.py: the document and the page cover every route and every error, and need nothing from elsewhere."""

import json
import re
from html import escape
from typing import Any
from urllib.parse import urljoin

import pytest

from exness.web.app import endpoints_of
from exness.web.docs.openapi import document
from exness.web.http.endpoint import Auth
from exness.web.http.errors import ERRORS
from tests.support.app import ENDPOINTS, App, running_app

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
        assert ("security" in described) == (row.auth is Auth.SESSION)
        assert ("requestBody" in described) == (row.body is not None)


async def test_the_document_and_the_page_are_served_and_work_offline() -> None:
    async with running_app() as app:
        got = await served(app, "/openapi.json")
        assert got.startswith(b'{"openapi":"3.1.0"')
        page = (await served(app, "/docs")).decode()
        assert "<script" not in page
        assert re.findall(r'(?:src|href)="([^"]+)"', page) == ["openapi.json", "#stream", "asyncapi.json"]
        assert (await served(app, "/")).decode() == page
        for method, path in endpoints_of(dev=False).weights:
            assert f"{method} {path}" in page


PREFIXES = ["", "/exness", "/a/b"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_below_any_prefix_links_and_servers_lead_to_where_the_documents_came_from(prefix: str) -> None:
    seen_at = f"https://proxy.example{prefix}"
    async with running_app() as app:
        for path in ("/", "/docs"):
            page = (await served(app, path)).decode()
            links = [urljoin(seen_at + path, link) for link in re.findall(r'href="([^"#]+)"', page)]
            assert links == [f"{seen_at}/openapi.json", f"{seen_at}/asyncapi.json"]
        (server,) = document("1.2.3", ENDPOINTS)["servers"]
        assert urljoin(f"{seen_at}/openapi.json", server["url"]).rstrip("/") == seen_at


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_public_url_is_what_the_documents_name(prefix: str) -> None:
    public_url = f"https://trade.example:8443{prefix}"
    async with running_app(public_url=public_url) as app:
        described = json.loads(await served(app, "/openapi.json"))
        assert described["servers"] == [{"url": public_url}]
        page = (await served(app, "/docs")).decode()
        assert f"<code>$URL</code> is <code>{escape(public_url)}</code>" in page
        assert re.findall(r'href="([^"#]+)"', page) == ["openapi.json", "asyncapi.json"], "right behind a tunnel, too"
        server = json.loads(await served(app, "/asyncapi.json"))["servers"]["here"]
        assert (server["host"], server["protocol"]) == ("trade.example:8443", "wss")
        assert server.get("pathname", "") == prefix


async def served(app: App, path: str) -> bytes:
    assert app.http is not None
    async with app.http.get(app.url + path) as response:
        assert response.status == 200
        return await response.read()

"""GET /openapi.json and GET /docs: what the API is, made from the rows of its endpoints.

Bodies and answers are the structs that decode and encode them, errors are rows of ERRORS, so neither can drift from the
code. schemathesis holds the document against the running server.
"""

import re
from collections.abc import Iterable
from functools import cached_property
from html import escape
from typing import Any

import msgspec
from aiohttp import web

from exness.core.instruments import Side
from exness.web.docs import asyncapi
from exness.web.docs.schemas import schemas_of
from exness.web.http.authentication import COOKIE
from exness.web.http.endpoint import GET, JSON_TYPE, Auth, Endpoint, Endpoints
from exness.web.http.errors import ERRORS, ErrorBody
from exness.web.http.weights import Budget
from exness.web.v1.models import LinkQuery

DOCS_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_BUDGETS = {
    Budget.TRADE: "trading (`limits.trade_per_ip`, `limits.trade_per_account`)",
    Budget.READ: "reading (`limits.read_per_ip`, `limits.read_per_account`)",
    Budget.PROBE: "probes (`limits.probe_per_ip`)",
}


class Documents:
    """The documents of one server, each made when it is first asked for. `public_url`: how users reach it, or ""."""

    def __init__(self, endpoints: Endpoints, version: str, public_url: str) -> None:
        self._endpoints = endpoints
        self._version = version
        self._public_url = public_url

    @cached_property
    def openapi(self) -> bytes:
        return msgspec.json.encode(document(self._version, self._endpoints, public_url=self._public_url))

    @cached_property
    def asyncapi(self) -> bytes:
        return msgspec.json.encode(asyncapi.document(self._version, public_url=self._public_url))

    @cached_property
    def page(self) -> str:
        return _page(self._version, self._endpoints, self._public_url)


DOCUMENTS = web.AppKey("documents", Documents)


async def openapi_json(request: web.Request) -> web.StreamResponse:
    """GET /openapi.json."""
    return _json_file(request.app[DOCUMENTS].openapi)


async def asyncapi_json(request: web.Request) -> web.StreamResponse:
    """GET /asyncapi.json."""
    return _json_file(request.app[DOCUMENTS].asyncapi)


def _json_file(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json; charset=utf-8"})


async def docs(request: web.Request) -> web.StreamResponse:
    """GET / and /docs: one page of plain HTML, without a script and without a request to anywhere. Its links are
    relative, so that they are right below any prefix."""
    return web.Response(text=request.app[DOCUMENTS].page, content_type="text/html")


def document(version: str, endpoints: Endpoints, *, public_url: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document. Its server is `public_url`, else where it came from."""
    by_type, components = schemas_of(_types(endpoints.rows))
    components["EmailBody"]["properties"]["email"]["format"] = "email"
    components["CreateTradeBody"]["properties"]["type"]["enum"] = [side.value for side in Side]
    paths: dict[str, Any] = {}
    for row in endpoints.rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, endpoints.local(row.path), by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "exness", "version": version, "description": "A leveraged-trading exchange in one process."},
        "servers": [{"url": public_url or "."}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _types(rows: Iterable[Endpoint]) -> list[Any]:
    given: list[Any] = [ErrorBody]
    for row in rows:
        given += [each for each in (row.answer, row.body, row.query) if each is not None]
    return list({str(each): each for each in given}.values())


def _operation(row: Endpoint, local_path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    weight = row.weight
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{row.method.lower()}{local_path}").strip("_"),
        "summary": row.summary,
        "parameters": _parameters(row),
        "responses": _responses(row, schemas) | _errors(row),
        "description": f"Weight {weight}, of the rate for {_BUDGETS[weight.budget]}.",
        "x-weight": {"base": weight.base, "rows": weight.rows, "budget": weight.budget},
    }
    if row.auth is Auth.SESSION:
        described["security"] = [{"bearer": []}, {"cookie": []}]
    if row.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": schemas[str(row.body)]}}}
    return described


def _parameters(row: Endpoint) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if row.parameter:
        parameters.append(
            {"name": row.parameter, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        )
    if row.query is not None:
        schema = msgspec.json.schema(row.query)["$defs"][row.query.__name__]
        required = schema.get("required", [])
        for name, described in schema["properties"].items():
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": described})
    return parameters


def _responses(row: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if row.answer is not None:
        responses["200"] = _content(row.summary, row.media_type, schemas[str(row.answer)])
    for status, other in row.others.items():
        responses[str(status)] = (
            {"description": other.description}
            if other.body is None
            else _content(other.description, JSON_TYPE, schemas[str(other.body)])
        )
    return responses


def _errors(row: Endpoint) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in sorted(row.error_codes):
        by_status.setdefault(ERRORS[code][0], []).append(code)
    return {str(status): _error(names) for status, names in sorted(by_status.items())}


def _error(codes: list[str]) -> dict[str, Any]:
    description = "; ".join(f"`{code}`: {ERRORS[code][1]}" for code in codes)
    schema = {"allOf": [{"$ref": "#/components/schemas/ErrorBody"}], "properties": {"code": {"enum": codes}}}
    return _content(description, JSON_TYPE, schema)


def _content(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


# --- the page -----------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>exness {version}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ background: #f4f4f4; color: #111; padding: .6rem; overflow-x: auto; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; border-top: 1px solid #ccc; padding-top: 1rem; }}
td, th {{ text-align: left; vertical-align: top; padding: .1rem .8rem .1rem 0; }}
</style></head><body>
<h1>exness {version}</h1>
<p>The same for machines: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1);
<a href="#stream">the stream</a> is at the end. In the lines below,
<code>$URL</code> is {url} and <code>$TOKEN</code> a session: the <code>token</code> of a mailed
link opened with <code>Accept: application/json</code>, or what <code>python -m exness token EMAIL</code> prints.</p>
{operations}
{stream}
</body></html>
"""


def _page(version: str, endpoints: Endpoints, public_url: str) -> str:
    url = f"<code>{escape(public_url)}</code>" if public_url else "the address of this page, up to its last slash"
    paths = document(version, endpoints)["paths"]
    sections = [_section(row, paths[row.path][row.method.lower()]) for row in endpoints.rows]
    return _PAGE.format(version=escape(version), url=url, operations="\n".join(sections), stream=asyncapi.section())


def _section(row: Endpoint, described: dict[str, Any]) -> str:
    parameters = ", ".join(f"<code>{escape(parameter['name'])}</code>" for parameter in described["parameters"])
    rows = "".join(
        f"<tr><td>{status}</td><td>{escape(response['description'])}</td></tr>"
        for status, response in described["responses"].items()
    )
    return (
        f"<h2><code>{row.method} {escape(row.path)}</code></h2><p>{escape(row.summary)}"
        f"{' (needs a session)' if row.auth is Auth.SESSION else ''}. {escape(described['description'])}</p>"
        f"{f'<p>Parameters: {parameters}</p>' if parameters else ''}"
        f"<pre>{escape(_curl(row))}</pre><table>{rows}</table>"
    )


def _curl(row: Endpoint) -> str:
    words = ["curl -s"]
    if row.method != GET:
        words.append(f"-X {row.method}")
    words.append(f'"$URL{row.path.replace("{asset}", "SOL")}{"?token=..." if row.query is LinkQuery else ""}"')
    if row.auth is Auth.SESSION:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if row.query is LinkQuery:
        words.append('-H "Accept: application/json"')
    if row.body is not None:
        words.append(f"-H \"Content-Type: application/json\" -d '{row.example}'")
    return " ".join(words)

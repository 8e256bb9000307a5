"""The OpenAPI document: what the API is, made from the rows of its endpoints.

Bodies and answers are the structs that decode and encode them, errors are rows of ERRORS, so neither can drift from the
code. schemathesis holds the document against the running server.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from exness.web.http.browser_rules import API_KEY, COOKIE
from exness.web.http.endpoint import CSV_TYPE, JSON_TYPE, Auth, Endpoint, Endpoints
from exness.web.http.weights import Budget
from exness.web.v1.errors import ERRORS, ErrorBody
from exness.web.v1.requests import SECRET

_BUDGETS = {
    Budget.TRADE: "trading (`limits.trade_per_ip`, `limits.trade_per_account`)",
    Budget.READ: "reading (`limits.read_per_ip`, `limits.read_per_account`)",
    Budget.PROBE: "probes (`limits.probe_per_ip`)",
}

_SESSIONS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_SECURITY = {Auth.SESSION: _SESSIONS, Auth.KEY: [*_SESSIONS, {"key": [], "secret": []}]}


def document(version: str, endpoints: Endpoints, *, public_url: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document. Its server is `public_url`, else where it came from."""
    by_type, components = schemas_of(_types(endpoints.rows))
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
                "key": {"type": "apiKey", "in": "header", "name": API_KEY},
                "secret": {"type": "apiKey", "in": "header", "name": SECRET},
            },
        },
    }


def schemas_of(types: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each type's schema by the type's `str`, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(zip(map(str, types), schemas, strict=True)), components


def _types(rows: Iterable[Endpoint]) -> list[Any]:
    given: list[Any] = [ErrorBody]
    for row in rows:
        given += [each for each in (row.answer, row.body, row.query) if each is not None]
    return list({str(each): each for each in given}.values())


def _operation(row: Endpoint, local_path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    weight = row.weight
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{row.method.lower()}{local_path}").strip("_"),
        "tags": [row.tag],
        "summary": row.summary,
        "parameters": _parameters(row),
        "responses": _responses(row, schemas) | _errors(row),
        "description": f"Weight {weight}, of the rate for {_BUDGETS[weight.budget]}.",
        "x-weight": {"base": weight.base, "rows": weight.rows, "budget": weight.budget},
    }
    if row.auth in _SECURITY:
        described["security"] = _SECURITY[row.auth]
    if row.body is not None:
        body = {"schema": schemas[str(row.body)], "example": msgspec.json.decode(row.example)}
        described["requestBody"] = {"required": True, "content": {JSON_TYPE: body}}
    return described


def _parameters(row: Endpoint) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in row.parameters
    ]
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
        if row.has_csv:
            responses["200"]["content"][CSV_TYPE] = {"schema": {"type": "string"}}
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

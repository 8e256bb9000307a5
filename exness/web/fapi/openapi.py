"""The OpenAPI document of the Binance face, made from its rows, and where it is served."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
from aiohttp import web

from exness.web.fapi.errors import BANNED, STATUSES, TEXTS, Code
from exness.web.fapi.frame import KEY_HEADER, Ask, Row, Security
from exness.web.fapi.parameters import SIGNED, SYMBOLS, parameters_of
from exness.web.fapi.schemas import SCHEMAS, Schema, codes_at, failure
from exness.web.http.endpoint import GET, JSON_TYPE
from exness.web.services import Fapi

_KEY: dict[str, list[str]] = {"key": []}
_SIGNATURE: dict[str, list[str]] = {"key": [], "signature": []}
_SECURITY = {Security.KEY: _KEY, Security.SIGNED: _SIGNATURE, Security.TRADE: _SIGNATURE}
_SAID = (
    "What clients of Binance's USD-M futures ask. Parameters are shown in the query; a form body is as good, and so is "
    "half of each. Numbers and booleans are text. Unknown parameters are ignored."
)
_SIGNED = "HMAC-SHA256 by the key's secret, in hexadecimal, of the query right followed by the body, both without it."
_STATUSES = (400, *sorted(set(STATUSES.values()) - {404}))


class Document:
    """That of one server, made when it is first asked for. `public_url`: how users reach it, or ""."""

    def __init__(self, rows: Sequence[Row], fapi: Fapi, version: str, public_url: str) -> None:
        self._rows = rows
        self._fapi = fapi
        self._version = version
        self._public_url = public_url

    @cached_property
    def body(self) -> msgspec.Raw:
        return msgspec.Raw(
            msgspec.json.encode(document(self._rows, list(self._fapi.markets), self._version, self._public_url))
        )


DOCUMENT = web.AppKey("the Binance face's document", Document)


async def openapi_json(ask: Ask) -> Any:
    """GET /fapi/openapi.json."""
    return ask.request.app[DOCUMENT].body


def document(rows: Sequence[Row], symbols: Sequence[str], version: str, public_url: str = "") -> dict[str, Any]:
    """OpenAPI 3.1. Its server is `public_url`, else where it came from."""
    paths: dict[str, Any] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, symbols)
    return {
        "openapi": "3.1.0",
        "info": {"title": "exness, as Binance USD-M", "version": version, "description": _SAID},
        "servers": [{"url": public_url or ".."}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "responses": {str(status): _error(status) for status in (*_STATUSES, BANNED)},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
                "signature": {"type": "apiKey", "in": "query", "name": "signature", "description": _SIGNED},
            },
        },
    }


def _operation(row: Row, symbols: Sequence[str]) -> dict[str, Any]:
    statuses = [each for each in (*_STATUSES, BANNED) if each != 401 or row.security is not Security.NONE]
    responses: dict[str, Any] = {str(each): {"$ref": f"#/components/responses/{each}"} for each in statuses}
    if row.answer is not None:
        responses["200"] = _content(row.summary, row.answer)
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{row.method.lower()}{row.path}"),
        "tags": [row.path.split("/")[1]],
        "summary": row.summary,
        "description": f"Weight {row.weight}; security: {row.security}.",
        "x-weight": row.weight,
        "x-security": row.security,
        "parameters": _parameters(row, symbols),
        "responses": dict(sorted(responses.items())),
    }
    if row.security in _SECURITY:
        described["security"] = [_SECURITY[row.security]]
    return described


def _parameters(row: Row, symbols: Sequence[str]) -> list[dict[str, Any]]:
    names = row.parameters
    if row.security in (Security.SIGNED, Security.TRADE):
        names = f"{names} {SIGNED}"
    return [
        {
            "name": each.name,
            "in": "query",
            "required": each.is_required,
            "schema": {**each.schema, "enum": list(symbols)} if each.name in SYMBOLS else each.schema,
        }
        for each in parameters_of(names)
    ]


def _error(status: int) -> dict[str, Any]:
    codes = [Code.TOO_MANY_REQUESTS] if status == BANNED else codes_at(status)
    return _content("; ".join(f"`{int(code)}` {TEXTS[code]}" for code in codes), failure(codes))


def _content(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {JSON_TYPE: {"schema": schema}}}


_ANY: Schema = {"type": "object"}
ROWS = (Row(GET, "/fapi/openapi.json", 10, Security.NONE, openapi_json, "All of these, as OpenAPI", _ANY, fast=False),)

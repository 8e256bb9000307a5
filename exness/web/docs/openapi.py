"""GET /openapi.json and GET /docs: what the API is, made from what it does.

Bodies and answers are the structs that decode and encode them, errors are rows of ERRORS, so neither can drift from the
code. What code can't tell, which errors an endpoint may answer, is one table here; a test holds it against the routes
and schemathesis against the running server.
"""

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any, NamedTuple

import msgspec
from aiohttp import hdrs, web

from exness.core.instruments import Side
from exness.core.rejects import Reject
from exness.runtime.sequencer import Busy
from exness.web.dev.models import (
    ClockAnswer,
    ClockBody,
    ClockSetAnswer,
    DepositAnswer,
    DepositBody,
    PriceBody,
    PriceSetAnswer,
    ResetAnswer,
    ScriptAnswer,
    ScriptBody,
)
from exness.web.docs import asyncapi
from exness.web.docs.schemas import schemas_of
from exness.web.http.authentication import COOKIE
from exness.web.http.errors import ERRORS, ErrorBody
from exness.web.http.weights import Budget
from exness.web.services import services_of
from exness.web.v1.health import Health, Readiness
from exness.web.v1.models import (
    AccountAnswer,
    AssetBalance,
    CloseTradeBody,
    CreateTradeBody,
    EmailBody,
    HistoryAnswer,
    HistoryQuery,
    KlineRow,
    KlinesQuery,
    LinkQuery,
    MessageAnswer,
    OpenTradesAnswer,
    OpenTradesQuery,
    PriceAnswer,
    SignedInAnswer,
    SupportedAssets,
    TradeClosedAnswer,
    TradeCreated,
    UsdBalance,
)
from exness.web.weights import API, weight_of

DOCS_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Operation(NamedTuple):
    """One row of the API. `errors` are codes beside those that every such endpoint has."""

    summary: str
    answer: Any
    session: bool = False
    body: type[msgspec.Struct] | None = None
    example: str = ""
    query: type[msgspec.Struct] | None = None
    parameter: str = ""
    """The one in the path."""
    errors: tuple[str, ...] = ()
    redirects: bool = False
    upgrades: bool = False


GET, POST, PUT = hdrs.METH_GET, hdrs.METH_POST, hdrs.METH_PUT
_BUDGETS = {
    Budget.TRADE: "trading (`limits.trade_per_ip`, `limits.trade_per_account`)",
    Budget.READ: "reading (`limits.read_per_ip`, `limits.read_per_account`)",
    Budget.PROBE: "probes (`limits.probe_per_ip`)",
}
_TEXTS = {"/": "text/html", "/docs": "text/html", "/metrics": "text/plain"}
_EMAIL = '{"email": "you@example.com"}'
_ORDER = '{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
_BUSY = (Busy.OVERLOADED, Busy.SHUTTING_DOWN)

OPERATIONS: dict[tuple[str, str], Operation] = {
    (POST, f"{API}/signup"): Operation("Mail a link to sign up", MessageAnswer, body=EmailBody, example=_EMAIL),
    (POST, f"{API}/signin"): Operation("Mail a link to sign in", MessageAnswer, body=EmailBody, example=_EMAIL),
    (GET, f"{API}/signin/post"): Operation(
        "Open a mailed link: a session, as a cookie or, with Accept: application/json, in the answer",
        SignedInAnswer,
        query=LinkQuery,
        errors=("unauthorized", "prefetch_refused", *_BUSY),
        redirects=True,
    ),
    (POST, f"{API}/logout"): Operation("End this session", MessageAnswer, session=True),
    (POST, f"{API}/trade/create"): Operation(
        "Open a trade",
        TradeCreated,
        session=True,
        body=CreateTradeBody,
        example=_ORDER,
        errors=(
            Reject.CLIENT_ORDER_ID_CONFLICT,
            Reject.PRICE_UNAVAILABLE,
            Reject.AMOUNT_OUT_OF_RANGE,
            Reject.WOULD_LIQUIDATE,
            Reject.SLIPPAGE_EXCEEDED,
            Reject.POSITION_LIMIT,
            Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    (POST, f"{API}/trade/close"): Operation(
        "Close a trade",
        TradeClosedAnswer,
        session=True,
        body=CloseTradeBody,
        example='{"orderId": "..."}',
        errors=(Reject.TRADE_NOT_FOUND, "trade_already_closed", Reject.PRICE_UNAVAILABLE),
    ),
    (GET, f"{API}/trade/open"): Operation("Open trades", OpenTradesAnswer, session=True, query=OpenTradesQuery),
    (GET, f"{API}/trade/history"): Operation("Trades of all times", HistoryAnswer, session=True, query=HistoryQuery),
    (GET, f"{API}/balance"): Operation("Free balances", dict[str, AssetBalance], session=True),
    (GET, f"{API}/balance/usd"): Operation("Free balance in USDC", UsdBalance, session=True),
    (GET, f"{API}/account"): Operation("The account", AccountAnswer, session=True),
    (GET, f"{API}/supportedAssets"): Operation("What can be traded", SupportedAssets),
    (GET, f"{API}/prices"): Operation("Every price", dict[str, PriceAnswer]),
    (GET, f"{API}/prices/{{asset}}"): Operation("One price", PriceAnswer, parameter="asset", errors=("not_found",)),
    (GET, f"{API}/klines"): Operation("Candles", list[KlineRow], query=KlinesQuery, errors=(Busy.OVERLOADED,)),
    (GET, f"{API}/stream"): Operation(
        "The stream, a WebSocket: see /asyncapi.json",
        None,
        errors=("unauthorized", "forbidden_origin", "upgrade_required", *_BUSY),
        upgrades=True,
    ),
    (GET, "/"): Operation("The page at /docs, where a sign-in leads by default", str),
    (GET, "/healthz"): Operation("The process answers", Health),
    (GET, "/readyz"): Operation("Whether it can trade now", Readiness),
    (GET, "/metrics"): Operation("Prometheus metrics, for the configured networks", str, errors=("not_found",)),
    (GET, "/openapi.json"): Operation("This document", dict[str, Any]),
    (GET, "/asyncapi.json"): Operation("The stream's document", dict[str, Any]),
    (GET, "/docs"): Operation("This document as a page", str),
}

_HELD = ("local_only", "forbidden_origin", "not_manual")

DEV_OPERATIONS: dict[tuple[str, str], Operation] = {
    (PUT, f"{API}/dev/prices/{{asset}}"): Operation(
        "Dev control: set a price",
        PriceSetAnswer,
        body=PriceBody,
        example='{"mid": "180.25"}',
        parameter="asset",
        errors=("not_found", *_HELD),
    ),
    (POST, f"{API}/dev/prices/script"): Operation(
        "Dev control: set prices as the clock comes to them",
        ScriptAnswer,
        body=ScriptBody,
        example='{"prices": [{"offset": 1.5, "asset": "SOL", "price": "180.25"}]}',
        errors=_HELD,
    ),
    (GET, f"{API}/dev/clock"): Operation("Dev control: the exchange's time", ClockAnswer, errors=_HELD),
    (POST, f"{API}/dev/clock"): Operation(
        "Dev control: pause, resume, speed up or step the exchange's time",
        ClockSetAnswer,
        body=ClockBody,
        example='{"paused": true, "step": 31}',
        errors=_HELD,
    ),
    (POST, f"{API}/dev/deposit"): Operation(
        "Dev control: pay money into an account",
        DepositAnswer,
        body=DepositBody,
        example='{"email": "you@example.com", "amount": 1000}',
        errors=("local_only", Reject.AMOUNT_OUT_OF_RANGE, Reject.ACCOUNT_NOT_FOUND, *_BUSY),
    ),
    (POST, f"{API}/dev/reset"): Operation(
        "Dev control: forget every account, trade and price", ResetAnswer, errors=("local_only", *_BUSY)
    ),
}
"""Of DEV_ROUTES."""


async def openapi_json(request: web.Request) -> web.StreamResponse:
    """GET /openapi.json."""
    return web.Response(body=_encoded(*_shown(request)), headers={"Content-Type": "application/json; charset=utf-8"})


async def docs(request: web.Request) -> web.StreamResponse:
    """GET / and /docs: one page of plain HTML, without a script and without a request to anywhere. Its links are
    relative, so that they are right below any prefix."""
    page = _page(*_shown(request))
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": DOCS_CSP})


def _shown(request: web.Request) -> tuple[str, bool, str]:
    services = services_of(request)
    return services.version, services.dev is not None, services.public_url


@cache
def _encoded(version: str, dev: bool, public_url: str) -> bytes:
    return msgspec.json.encode(document(version, dev=dev, public_url=public_url))


def _operations(dev: bool) -> dict[tuple[str, str], Operation]:
    return OPERATIONS | DEV_OPERATIONS if dev else OPERATIONS


def document(version: str, *, dev: bool = False, public_url: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document, with or without dev control. Its server is `public_url`, else where it came from."""
    operations = _operations(dev)
    types = _types(operations.values())
    by_type, components = schemas_of(types)
    components["EmailBody"]["properties"]["email"]["format"] = "email"
    components["CreateTradeBody"]["properties"]["type"]["enum"] = [side.value for side in Side]
    paths: dict[str, Any] = {}
    for (method, path), operation in operations.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, operation, by_type)
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


def _types(operations: Iterable[Operation]) -> list[Any]:
    given: list[Any] = [ErrorBody]
    for operation in operations:
        given += [each for each in (operation.answer, operation.body, operation.query) if each is not None]
    return list({str(each): each for each in given}.values())


def _operation(method: str, path: str, operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path.removeprefix(API)}").strip("_"),
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(path, operation, schemas) | _errors(method, path, operation),
    }
    weight = weight_of(method, path)
    described["description"] = f"Weight {weight}, of the rate for {_BUDGETS[weight.budget]}."
    described["x-weight"] = {"base": weight.base, "rows": weight.rows, "budget": weight.budget}
    if operation.session:
        described["security"] = [{"bearer": []}, {"cookie": []}]
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[str(operation.body)]}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if operation.parameter:
        parameters.append(
            {"name": operation.parameter, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        )
    if operation.query is not None:
        schema = msgspec.json.schema(operation.query)["$defs"][operation.query.__name__]
        required = schema.get("required", [])
        for name, described in schema["properties"].items():
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": described})
    return parameters


def _responses(path: str, operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.upgrades:
        return {"101": {"description": "Switching to WebSocket"}}
    good = _json(operation.summary, schemas[str(operation.answer)])
    responses = {"200": good}
    if path in _TEXTS:
        good["content"] = {_TEXTS[path]: {"schema": {"type": "string"}}}
    if operation.redirects:
        responses["302"] = {"description": "To the frontend, with the session as a cookie"}
    if path == "/readyz":
        responses["503"] = _json("Not ready; `reasons` says why", schemas[str(Readiness)])
    return responses


def _errors(method: str, path: str, operation: Operation) -> dict[str, Any]:
    codes = {"invalid_request", "headers_too_large", "internal_error", "rate_limited", *map(str, operation.errors)}
    if method == POST:
        codes.add("forbidden_origin")
    if operation.session:
        codes |= {"unauthorized", *map(str, _BUSY)}
    if operation.body is not None:
        codes |= {"body_too_large", "unsupported_media_type", "request_timeout"}
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(ERRORS[code][0], []).append(code)
    return {str(status): _error(names) for status, names in sorted(by_status.items())}


def _error(codes: list[str]) -> dict[str, Any]:
    description = "; ".join(f"`{code}`: {ERRORS[code][1]}" for code in codes)
    schema = {"allOf": [{"$ref": "#/components/schemas/ErrorBody"}], "properties": {"code": {"enum": codes}}}
    return _json(description, schema)


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


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


@cache
def _page(version: str, dev: bool, public_url: str) -> str:
    url = f"<code>{escape(public_url)}</code>" if public_url else "the address of this page, up to its last slash"
    paths = document(version, dev=dev)["paths"]
    sections = [
        _section(method, path, operation, paths[path][method.lower()])
        for (method, path), operation in _operations(dev).items()
    ]
    return _PAGE.format(version=escape(version), url=url, operations="\n".join(sections), stream=asyncapi.section())


def _section(method: str, path: str, operation: Operation, described: dict[str, Any]) -> str:
    parameters = ", ".join(f"<code>{escape(parameter['name'])}</code>" for parameter in described["parameters"])
    rows = "".join(
        f"<tr><td>{status}</td><td>{escape(response['description'])}</td></tr>"
        for status, response in described["responses"].items()
    )
    return (
        f"<h2><code>{method} {escape(path)}</code></h2><p>{escape(operation.summary)}"
        f"{' (needs a session)' if operation.session else ''}. {escape(described['description'])}</p>"
        f"{f'<p>Parameters: {parameters}</p>' if parameters else ''}"
        f"<pre>{escape(_curl(method, path, operation))}</pre><table>{rows}</table>"
    )


def _curl(method: str, path: str, operation: Operation) -> str:
    words = ["curl -s"]
    if method != GET:
        words.append(f"-X {method}")
    words.append(f'"$URL{path.replace("{asset}", "SOL")}{"?token=..." if operation.query is LinkQuery else ""}"')
    if operation.session:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if operation.query is LinkQuery:
        words.append('-H "Accept: application/json"')
    if operation.body is not None:
        words.append(f"-H \"Content-Type: application/json\" -d '{operation.example}'")
    return " ".join(words)

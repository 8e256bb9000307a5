"""The aiohttp application: routes, and the one layer around every handler."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exness.runtime.sequencer import NotTaken
from exness.runtime.writer import Halted
from exness.web.connections import Connection, Runner
from exness.web.context import ALLOWANCE, CALLER, CONTEXT, REQUEST_ID, Context, answer, context_of, note_allowance
from exness.web.errors import ApiError
from exness.web.limits import Blocked
from exness.web.routes import API, DEV_ROUTES, ROUTES

SERVER = "exness"
_log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
AT_THE_DOOR = frozenset(
    {"rate_limited", "unauthorized", "forbidden_origin", "body_too_large", "unsupported_media_type", "request_timeout"}
)
"""Refusals that are counted and logged: who meets them was turned away, not mistaken."""
BLOCKED_WAIT_S = 0.5
"""How long a blocked address waits for each refusal. Who hammers on waits most of the time, and costs us little: its
connections are bounded, so its requests are."""
_OUTCOME_UNKNOWN = (
    "The exchange stopped before it was certain that this is on disk; "
    "ask again after the restart, with the same clientOrderId if there was one"
)


def make_app(context: Context) -> web.Application:
    """The application on one running exchange."""
    app = web.Application(middlewares=[_around], client_max_size=context.max_body_bytes)
    app[CONTEXT] = context
    for method, path, handler in ROUTES + (DEV_ROUTES if context.dev is not None else []):
        app.router.add_route(method, path, handler)
        if method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, path, handler)
    app.on_response_prepare.append(_complete)
    app.cleanup_ctx.append(_connections_swept)
    return app


def make_runner(context: Context, shutdown_timeout_s: float) -> web.AppRunner:
    """The application, ready for a port. When a client goes away its handler is cancelled: a request that still waits
    in the inbox is then not executed."""
    return Runner(make_app(context), context.connections, shutdown_timeout_s)


async def _connections_swept(app: web.Application) -> AsyncIterator[None]:
    async with app[CONTEXT].connections.swept():
        yield


@web.middleware
async def _around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the connection when a request begins and ends, and turns whatever is raised into an answer."""
    connection = request.protocol
    assert isinstance(connection, Connection), "make_runner gives every request one of ours"
    connection.began()
    request[REQUEST_ID] = _request_id(request)
    try:
        return await _let_in(request, handler)
    except Blocked as error:
        await asyncio.sleep(BLOCKED_WAIT_S)
        return _turned_away(request, error)
    except ApiError as error:
        return _turned_away(request, error)
    except NotTaken as refusal:
        return _error(ApiError(refusal.why))
    except Halted:
        return _error(ApiError("internal_error", _OUTCOME_UNKNOWN))
    except web.HTTPException as error:
        response = _error(_standard(error))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except Exception:  # noqa: BLE001 - a bug in a handler is one request's 500, told to the log and not to the client
        _log.exception("request failed", request_id=request[REQUEST_ID], method=request.method, path=request.path)
        return _error(ApiError("internal_error"))
    finally:
        connection.ended()


async def _let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Past the limits of its address and the rules for browsers, then to its handler."""
    context = context_of(request)
    caller = request[CALLER] = context.callers.of(request)
    if request.path.startswith(API):
        note_allowance(request, context.limits.hit_address(caller, reading=request.method != hdrs.METH_POST))
    context.browsers.check(request)
    if request.method == hdrs.METH_OPTIONS:
        preflight = context.browsers.preflight(request, _methods_of(request))
        if preflight is not None:
            return preflight
    return await handler(request)


async def _complete(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, whoever made it."""
    context, headers = context_of(request), response.headers
    for name, value in context.browsers.headers.items():
        headers.setdefault(name, value)
    headers[hdrs.SERVER] = SERVER  # aiohttp has put its version there
    headers["X-Request-ID"] = request[REQUEST_ID]
    headers.setdefault(hdrs.VARY, hdrs.ORIGIN)
    if hdrs.ORIGIN in request.headers:
        headers.update(context.browsers.cors(request))
    allowance = request.get(ALLOWANCE)
    if allowance is not None and "X-RateLimit-Limit" not in headers:
        headers.update(allowance.headers())


def _turned_away(request: web.Request, error: ApiError) -> web.Response:
    if error.code in AT_THE_DOOR:
        context_of(request).audit.refused(error.code, request.get(CALLER, ""))
    return _error(error)


def _methods_of(request: web.Request) -> str:
    """What this address can be asked with, or nothing when there is no such address."""
    error = request.match_info.http_exception
    return error.headers.get(hdrs.ALLOW, "") if isinstance(error, web.HTTPMethodNotAllowed) else ""


def _request_id(request: web.Request) -> str:
    """The client's own id if it is a plain one, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _error(error: ApiError) -> web.Response:
    return answer(error.body(), error.status, error.headers)


def _standard(error: web.HTTPException) -> ApiError:
    """aiohttp's own refusals in our words."""
    match error.status:
        case 404:
            return ApiError("not_found")
        case 405:
            return ApiError("method_not_allowed")
        case 413:
            return ApiError("body_too_large")
        case status if 400 <= status < 500:
            return ApiError("invalid_request")
        case _:
            return ApiError("internal_error")

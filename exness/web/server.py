"""The aiohttp application: routes, and the one layer around every handler."""

import asyncio
import re
from collections.abc import AsyncIterator
from time import perf_counter

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from exness.runtime.clock import RandomBits
from exness.runtime.sequencer import NotTaken
from exness.runtime.writer import Halted
from exness.web.access import Line
from exness.web.answers import VISIT, Visit, answer, complete
from exness.web.connections import Connection, RequestHandler, Runner
from exness.web.context import Context, context_of
from exness.web.errors import ApiError
from exness.web.hub import HUB, Hub
from exness.web.limits import BLOCKED_WAIT_S, Blocked
from exness.web.routes import API, DEV_ROUTES, ROUTES
from exness.web.weights import WEIGHTS, weight_of

_log = structlog.get_logger("exness.web.server")
_random = RandomBits()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_UPGRADED = 101
AT_THE_DOOR = frozenset(
    {"rate_limited", "unauthorized", "forbidden_origin", "body_too_large", "unsupported_media_type", "request_timeout"}
)
"""Refusals that are counted and logged: who meets them was turned away, not mistaken."""
LONGEST_HINT = 100
"""Characters of an address that an answer names."""
_OUTCOME_UNKNOWN = (
    "The exchange stopped before it was certain that this is on disk; "
    "ask again after the restart, with the same clientOrderId if there was one"
)


FAST = {
    (hdrs.METH_POST, f"{API}/trade/create"),
    (hdrs.METH_POST, f"{API}/trade/close"),
    (hdrs.METH_GET, f"{API}/trade/open"),
    (hdrs.METH_GET, f"{API}/balance"),
    (hdrs.METH_GET, f"{API}/prices"),
}
"""What is asked most goes straight to its handler; the rest goes through aiohttp's router (5 us a request)."""


def make_app(context: Context) -> web.Application:
    """The routes on one running exchange, as aiohttp serves them. `Door` stands before it."""
    app = web.Application(middlewares=[_routed], client_max_size=context.max_body_bytes)
    for method, path, handler in ROUTES + (DEV_ROUTES if context.dev is not None else []):
        app.router.add_route(method, path, handler)
        if method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, path, handler)
    app.on_response_prepare.append(complete)
    connections = context.connections

    async def connections_swept(app: web.Application) -> AsyncIterator[None]:
        async with connections.swept():
            yield

    app.cleanup_ctx.append(connections_swept)
    app[HUB] = Hub(context.exchange, context.sessions, context.revocations, context.stream)
    if context.metrics is not None:
        hub = app[HUB]
        context.metrics.watch_stream(lambda: len(hub.readers), lambda: hub.frames_made, hub.closed)
    app.cleanup_ctx.append(_streaming)
    app.on_shutdown.append(_end_streams)
    return app


def make_runner(context: Context, shutdown_timeout_s: float) -> web.AppRunner:
    """The application, ready for a port. When a connection is reset its handler is cancelled: a request that still
    waits in the inbox is then not executed."""
    return Runner(make_app(context), context.connections, shutdown_timeout_s, Door(context).around)


class Door:
    """The one layer around every handler: past the limits of its address and the rules for browsers, then to its
    handler; and whatever is raised becomes an answer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fast = {(method, path): handler for method, path, handler in ROUTES if (method, path) in FAST}

    def around(self, aiohttp_handler: RequestHandler) -> RequestHandler:
        """The handler of every request. `aiohttp_handler` is the application's."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            began_s = perf_counter()
            assert isinstance(request, web.Request), "the application makes them"
            connection = request.protocol
            assert isinstance(connection, Connection), "make_runner gives every request one of ours"
            connection.began()
            visit = request[VISIT] = Visit(context, _request_id(request))
            method = request.method
            try:
                path = request.path
                visit.caller = caller = caller_of(request)
                visit.weight = weight = weights.get((method, path)) or weight_of(method, path)
                visit.allowance = hit_address(caller, weight.budget, weight.base)
                context.browsers.check(request)
                handler = fast.get((method, path))
                if handler is None or hdrs.EXPECT in request.headers:
                    response = await aiohttp_handler(request)
                else:
                    visit.route = path
                    response = await handler(request)
            except Exception as error:  # noqa: BLE001 - one place tells what becomes of each
                response = await _refused(request, error)
            finally:
                connection.ended()
            seconds = perf_counter() - began_s
            if response.status != _UPGRADED:  # a stream lasts as long as it likes
                context.requests.note(method, visit.route, response.status, seconds)
            if access is not None:
                access.note(Line(method, request.path, response.status, seconds, visit.caller, visit.request_id))
            return response

        context, fast = self._context, self._fast
        access = context.access
        caller_of, hit_address, weights = context.callers.of, context.limits.hit_address, WEIGHTS
        return handle


async def _streaming(app: web.Application) -> AsyncIterator[None]:
    async with app[HUB].running():
        yield


async def _end_streams(app: web.Application) -> None:
    await app[HUB].stop()


@web.middleware
async def _routed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps the route as the table has it (an address may hold anything), and answers a browser that asks ahead."""
    resource = request.match_info.route.resource
    if resource is not None:
        request[VISIT].route = resource.canonical
    if request.method == hdrs.METH_OPTIONS:
        answered = context_of(request).browsers.preflight(request, _methods_of(request))
        if answered is not None:
            return answered
    return await handler(request)


async def _refused(request: web.Request, error: Exception) -> web.StreamResponse:
    """The answer to a request that was not done."""
    match error:
        case Blocked():
            await asyncio.sleep(BLOCKED_WAIT_S)
            return _turned_away(request, error)
        case ApiError():
            return _turned_away(request, error)
        case NotTaken():
            return _error(ApiError(error.why))
        case Halted():
            return _error(ApiError("internal_error", _OUTCOME_UNKNOWN))
        case web.HTTPNotFound():
            return _error(ApiError("not_found", await _nearby(request)))
        case web.HTTPException():
            allow = error.headers.get(hdrs.ALLOW)
            return _error(_standard(error), {hdrs.ALLOW: allow} if allow is not None else None)
        case _:  # a bug in a handler is one request's 500, told to the log and not to the client
            _log.error(
                "request failed",
                exc_info=error,
                request_id=request[VISIT].request_id,
                method=request.method,
                path=request.path,
            )
            return _error(ApiError("internal_error"))


async def _nearby(request: web.Request) -> str | None:
    """What to say of an address that is right but for its slashes or for the API's prefix; None for any other."""
    path = "/" + "/".join(part for part in request.path.split("/") if part)
    for meant in (path, f"{API}{path}", path.removeprefix(API)):
        if meant in ("", request.path) or len(meant) > LONGEST_HINT or not (meant.isascii() and meant.isprintable()):
            continue
        found = await request.app.router.resolve(request.clone(rel_url=URL.build(path=meant)))
        if not isinstance(found.http_exception, web.HTTPNotFound):
            return f"There is nothing at this address; did you mean {meant}?"
    return None


def _turned_away(request: web.Request, error: ApiError) -> web.StreamResponse:
    if error.code in AT_THE_DOOR:
        context_of(request).audit.refused(error.code, request[VISIT].caller)
    return _error(error)


def _methods_of(request: web.Request) -> str:
    """What this address can be asked with, or nothing when there is no such address."""
    error = request.match_info.http_exception
    return error.headers.get(hdrs.ALLOW, "") if isinstance(error, web.HTTPMethodNotAllowed) else ""


def _request_id(request: web.Request) -> str:
    """The client's own id if it is a plain one, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if given and _REQUEST_ID.fullmatch(given) else _random.hex(8)


def _error(error: ApiError, headers: dict[str, str] | None = None) -> web.StreamResponse:
    return answer(error.body(), error.status, error.headers | (headers or {}))


def _standard(error: web.HTTPException) -> ApiError:
    """aiohttp's own refusals in our words."""
    match error.status:
        case 405:
            return ApiError("method_not_allowed")
        case 413:
            return ApiError("body_too_large")
        case status if 400 <= status < 500:
            return ApiError("invalid_request")
        case _:
            return ApiError("internal_error")

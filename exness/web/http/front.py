"""The one layer around every handler: limits, rules for browsers, errors, counts and the access log."""

import asyncio
import re
from time import perf_counter
from typing import cast

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from exness.runtime.clock import RandomBits
from exness.runtime.inbox import NotTaken
from exness.runtime.writer import Halted
from exness.web.http.access_log import AccessRecord
from exness.web.http.aiohttp_protocol import Connection, RequestHandler
from exness.web.http.endpoint import Endpoints
from exness.web.http.errors import ApiError, NothingHere, OutcomeUnknown
from exness.web.http.faults import Faults
from exness.web.http.rate_limits import BLOCKED_WAIT_S, Blocked
from exness.web.http.request import REQUEST_STATE, HttpServices, RequestState
from exness.web.http.response import JsonResponse, answer

_log = structlog.get_logger("exness.web.front")
_random = RandomBits()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_UPGRADED = 101
COUNTED_REFUSALS = frozenset(
    {"rate_limited", "unauthorized", "forbidden_origin", "body_too_large", "unsupported_media_type", "request_timeout"}
)
"""Refusals that are counted and logged: who meets them was turned away, not mistaken."""
LONGEST_HINT = 100
"""Characters of an address that an answer names."""


class FrontHandler:
    """The one layer around every handler: past the limits of its address and the rules for browsers, then to its
    handler; and whatever is raised becomes an answer."""

    def __init__(
        self, services: HttpServices, endpoints: Endpoints, *, fast: bool = True, faults: Faults | None = None
    ) -> None:
        """`fast`: those endpoints whose rows say so are asked past aiohttp's router. `faults`: what goes wrong on
        request."""
        self._services = services
        self._faults = faults
        self._endpoints = endpoints
        self._fast = endpoints.fast if fast else {}

    def around(self, aiohttp_handler: RequestHandler) -> RequestHandler:
        """The handler of every request. `aiohttp_handler` is the application's."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            began_s = perf_counter()
            assert isinstance(request, web.Request), "the application makes them"
            connection = request.protocol
            ours = connection if isinstance(connection, Connection) else None
            if ours is not None:
                ours.began()
            request_state = request[REQUEST_STATE] = RequestState(services, _request_id(request))
            method = request.method
            try:
                path = request.path
                request_state.caller = caller = caller_of(request)
                request_state.weight = weight = weights.get((method, path)) or weight_of(method, path)
                request_state.allowance = hit_address(caller, weight.budget, weight.base)
                services.browser_rules.check(request)
                handler = fast.get((method, path))
                if handler is None or hdrs.EXPECT in request.headers:
                    handler = aiohttp_handler
                else:
                    request_state.route = path
                if faults is None:
                    response = await handler(request)
                else:
                    session_of = endpoints.dialect_of(path).session_of
                    response = await faults.handle(request, endpoints.row_of(method, path), session_of, handler)
            except Exception as error:  # noqa: BLE001 - one place tells what becomes of each
                response = await self._refused(request, error)
            finally:
                if ours is not None:
                    ours.ended()
            seconds = perf_counter() - began_s
            if response.status != _UPGRADED:  # a stream lasts as long as it likes
                services.requests.note(method, request_state.route, response.status, seconds)
            if access is not None:
                client, request_id = request_state.caller, request_state.request_id
                access.note(AccessRecord(method, request.path, response.status, seconds, client, request_id))
            return response

        services, access, faults, endpoints = self._services, self._services.access, self._faults, self._endpoints
        caller_of, hit_address = services.client_ips.of, services.limits.hit_address
        fast, weights, weight_of = self._fast, self._endpoints.weights, self._endpoints.weight_of
        return handle

    @property
    def middleware(self) -> Middleware:
        """The same layer for an application on plain aiohttp: inside of it, with aiohttp's own responses."""

        @web.middleware
        async def around_handler(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await self.around(cast(RequestHandler, handler))(request)
            return response.plain() if isinstance(response, JsonResponse) else response

        return around_handler

    async def _refused(self, request: web.Request, error: Exception) -> web.StreamResponse:
        """The answer to a request that was not done."""
        match error:
            case Blocked():
                await asyncio.sleep(BLOCKED_WAIT_S)
                return self._turned_away(request, error)
            case ApiError():
                return self._turned_away(request, error)
            case NotTaken():
                return self._answer(request, ApiError(error.why))
            case Halted():
                return self._answer(request, OutcomeUnknown())
            case web.HTTPNotFound():
                return self._answer(request, NothingHere(await self._nearby(request)))
            case web.HTTPException():
                return self._answer(request, _standard(error))
            case _:  # a bug in a handler is one request's 500, told to the log and not to the client
                _log.error(
                    "request failed",
                    exc_info=error,
                    request_id=request[REQUEST_STATE].request_id,
                    method=request.method,
                    path=request.path,
                )
                return self._answer(request, ApiError("internal_error"))

    async def _nearby(self, request: web.Request) -> str | None:
        """The path that is meant by one that is right but for its slashes or for a prefix; None for any other."""
        path = "/" + "/".join(part for part in request.path.split("/") if part)
        prefixes = self._endpoints.prefixes
        for meant in (path, *(each + path for each in prefixes), *(path.removeprefix(each) for each in prefixes)):
            plain = meant.isascii() and meant.isprintable() and len(meant) <= LONGEST_HINT
            if meant in ("", request.path) or not plain:
                continue
            found = await request.app.router.resolve(request.clone(rel_url=URL.build(path=meant)))
            if not isinstance(found.http_exception, web.HTTPNotFound):
                return meant
        return None

    def _turned_away(self, request: web.Request, error: ApiError) -> web.StreamResponse:
        if error.code in COUNTED_REFUSALS:
            self._services.security_log.refused(error.code, request[REQUEST_STATE].caller)
        return self._answer(request, error)

    def _answer(self, request: web.Request, error: ApiError) -> web.StreamResponse:
        """An error in the words of the dialect that was asked."""
        rendered = self._endpoints.dialect_of(request.path).render(error)
        return answer(rendered.body, rendered.status, rendered.headers)


@web.middleware
async def routed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps the route as the table has it (an address may hold anything), and answers a browser that asks ahead."""
    resource = request.match_info.route.resource
    if resource is not None:
        request[REQUEST_STATE].route = resource.canonical
    if request.method == hdrs.METH_OPTIONS:
        answered = request[REQUEST_STATE].services.browser_rules.preflight(request, _methods_of(request))
        if answered is not None:
            return answered
    return await handler(request)


def _methods_of(request: web.Request) -> str:
    """What this address can be asked with, or nothing when there is no such address."""
    error = request.match_info.http_exception
    return error.headers.get(hdrs.ALLOW, "") if isinstance(error, web.HTTPMethodNotAllowed) else ""


def _request_id(request: web.Request) -> str:
    """The client's own id if it is a plain one, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if given and _REQUEST_ID.fullmatch(given) else _random.hex(8)


def _standard(error: web.HTTPException) -> ApiError:
    """aiohttp's own refusals in our words."""
    match error.status:
        case 405:
            refused = ApiError("method_not_allowed")
            refused.headers[hdrs.ALLOW] = error.headers.get(hdrs.ALLOW, "")
            return refused
        case 413:
            return ApiError("body_too_large")
        case status if 400 <= status < 500:
            return ApiError("invalid_request")
        case _:
            return ApiError("internal_error")

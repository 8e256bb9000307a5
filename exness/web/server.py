"""The aiohttp application: routes, and the one layer around every handler."""

import re
import secrets

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exness.runtime.sequencer import NotTaken
from exness.runtime.writer import Halted
from exness.web.context import CONTEXT, REQUEST_ID, Context, answer, context_of
from exness.web.errors import ApiError
from exness.web.routes import API, ROUTES

_log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_OUTCOME_UNKNOWN = (
    "The exchange stopped before it was certain that this is on disk; "
    "ask again after the restart, with the same clientOrderId if there was one"
)


def make_app(context: Context) -> web.Application:
    """The application on one running exchange."""
    app = web.Application(middlewares=[_around], client_max_size=context.max_body_bytes)
    app[CONTEXT] = context
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler)
        if method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, path, handler)
    return app


def make_runner(context: Context, shutdown_timeout_s: float) -> web.AppRunner:
    """The application, ready for a port. When a client goes away its handler is cancelled: a request that still waits
    in the inbox is then not executed."""
    return web.AppRunner(
        make_app(context), access_log=None, shutdown_timeout=shutdown_timeout_s, handler_cancellation=True
    )


@web.middleware
async def _around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the request an id, counts it against its address, and turns whatever is raised into an answer."""
    request_id = request[REQUEST_ID] = _request_id(request)
    try:
        if request.path.startswith(API):
            context_of(request).limits.hit_address(request.remote or "", reading=request.method != hdrs.METH_POST)
        response = await handler(request)
    except ApiError as error:
        response = _error(error)
    except NotTaken as refusal:
        response = _error(ApiError(refusal.why))
    except Halted:
        response = _error(ApiError("internal_error", _OUTCOME_UNKNOWN))
    except web.HTTPException as error:
        response = _error(_standard(error))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    except Exception:  # noqa: BLE001 - a bug in a handler is one request's 500, told to the log and not to the client
        _log.exception("request failed", request_id=request_id, method=request.method, path=request.path)
        response = _error(ApiError("internal_error"))
    response.headers["X-Request-ID"] = request_id
    return response


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

"""One request: what is known of it besides itself, and how its body is read."""

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from io import BytesIO

from aiohttp import hdrs, web

from exness.observability.metrics import UNROUTED, RequestMeter
from exness.runtime.texts import without_mark
from exness.web.http.access_log import AccessLog
from exness.web.http.aiohttp_protocol import BodyCutOff
from exness.web.http.browser_rules import BrowserRules
from exness.web.http.client_ip import ClientIps
from exness.web.http.connection_limits import Connections
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.rate_limits import Allowance, RateLimits
from exness.web.http.security_log import SecurityLog
from exness.web.http.weights import BODY_BYTES, OTHER, Weight

CODINGS = ("gzip", "deflate")
"""Of bodies, in `Content-Encoding`."""


@dataclass(frozen=True, kw_only=True)
class HttpServices:
    """What HTTP itself needs, whatever is asked."""

    limits: RateLimits
    client_ips: ClientIps
    browser_rules: BrowserRules
    connections: Connections
    security_log: SecurityLog
    requests: RequestMeter
    access: AccessLog | None
    max_body_bytes: int
    body_timeout_s: float


class RequestState:
    """What is known of one request besides itself. `caller` is the client IP it is counted for, `weight` what it is
    counted as, `email` whose account it is counted for too, once that is known, `allowance` what the tightest limit
    still allows, `route` the row of the table it came to. `body` is there when it has been read before its handler."""

    __slots__ = ("allowance", "body", "browser_rules", "caller", "email", "request_id", "route", "services", "weight")

    def __init__(self, services: "HttpServices", request_id: str) -> None:
        self.services = services
        self.browser_rules = services.browser_rules
        self.request_id = request_id
        self.caller = ""
        self.email = ""
        self.weight: Weight = OTHER
        self.allowance: Allowance | None = None
        self.body: bytes | None = None
        self.route = UNROUTED


REQUEST_STATE = web.RequestKey("visit", RequestState)


def note_allowance(request_state: RequestState, allowance: Allowance | None) -> None:
    """Keep the tightest."""
    if allowance is None:
        return
    if request_state.allowance is None or allowance.remaining < request_state.allowance.remaining:
        request_state.allowance = allowance


def charge_rows(request: web.Request, rows: int) -> None:
    """Count the rows that a request asks for, before they are worked out. Raises ApiError(rate_limited)."""
    _charge(request[REQUEST_STATE], request[REQUEST_STATE].weight.of_rows(rows))


def _charge(request_state: RequestState, weight: int) -> None:
    """Count what a request weighs more than was known when it came."""
    if not weight:
        return
    limits, budget = request_state.services.limits, request_state.weight.budget
    note_allowance(request_state, limits.hit_address(request_state.caller, budget, weight))
    if request_state.email:
        note_allowance(request_state, limits.hit_account(request_state.email, budget, weight, request_state.caller))


async def read_body(request: web.Request, media_type: str) -> bytes:
    """The body of a request that must have this media type.

    Raises ApiError(rate_limited, body_too_large, unsupported_media_type, request_timeout, invalid_request).
    """
    body = await received_body(request)
    if len(body) >= BODY_BYTES:
        _charge(request[REQUEST_STATE], len(body) // BODY_BYTES)
    if media_type not in (None, request.headers.get(hdrs.CONTENT_TYPE), request.content_type):
        raise ApiError("unsupported_media_type")
    if hdrs.CONTENT_ENCODING in request.headers:
        services = request[REQUEST_STATE].services
        body = _decoded(body, ",".join(request.headers.getall(hdrs.CONTENT_ENCODING)), services)
    return without_mark(body)


async def received_body(request: web.Request) -> bytes:
    """A body as it came, whatever it is; one that may be read again goes to `RequestState.body`.

    Raises ApiError(body_too_large, request_timeout, invalid_request).
    """
    services = request[REQUEST_STATE].services
    if (request.content_length or 0) > services.max_body_bytes:
        raise _too_large(services)
    try:
        if (known := request[REQUEST_STATE].body) is not None:
            body = known
        elif request.content.is_eof():  # it is here: nothing to wait for, 2 us less
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(services.body_timeout_s):
                body = await request.read()
    except TimeoutError:
        raise ApiError("request_timeout") from None
    except web.HTTPRequestEntityTooLarge:  # it did not say its length
        raise _too_large(services) from None
    except BodyCutOff:
        raise InvalidRequest([FieldError("body", "The body ended before it was whole")]) from None
    except web.RequestPayloadError:
        raise _not_as_said() from None
    if len(body) > services.max_body_bytes:
        raise _too_large(services)
    return body


def _decoded(body: bytes, coding: str, services: HttpServices) -> bytes:
    """A body without its content coding. Decodes no more of it than a body may have."""
    try:
        match coding.strip().lower():
            case "" | "identity":
                return body
            case "gzip":
                decoded = gzip.GzipFile(fileobj=BytesIO(body)).read(services.max_body_bytes + 1)
            case "deflate":
                decoded = _inflated(body, services.max_body_bytes + 1)
            case _:
                raise _unknown_coding()
    except (OSError, EOFError, zlib.error):
        raise _not_as_said() from None
    if len(decoded) > services.max_body_bytes:
        raise _too_large(services)
    return decoded


def _inflated(body: bytes, most: int) -> bytes:
    """Of what `deflate` means: zlib's format (RFC 9110), or, as some clients have it, none around the data."""
    wrapped = body[:1] and body[0] & 0x0F == zlib.DEFLATED
    inflating = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    decoded = inflating.decompress(body, most)
    if len(decoded) < most and (not inflating.eof or inflating.unused_data):
        raise zlib.error("it is not whole, or more than that")
    return decoded


def _unknown_coding() -> ApiError:
    error = ApiError("unsupported_media_type", f"The body's Content-Encoding can be {' or '.join(CODINGS)}, or none")
    error.headers[hdrs.ACCEPT_ENCODING] = ", ".join(CODINGS)  # as RFC 9110, 15.5.16, asks for
    return error


def _not_as_said() -> InvalidRequest:
    return InvalidRequest([FieldError("body", "The body can't be decoded as its headers say")])


def _too_large(services: HttpServices) -> ApiError:
    return ApiError("body_too_large", f"The request body can have at most {services.max_body_bytes} bytes")

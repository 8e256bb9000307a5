"""What every handler gets: the exchange, the sessions, the limits. And what every handler does with them."""

import asyncio
import gzip
import zlib
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import hdrs, web

from exness.core.state import Account
from exness.runtime.exchange import Exchange
from exness.runtime.meters import LoopWatch
from exness.runtime.ports import Hand
from exness.runtime.texts import without_mark
from exness.web.access import AccessLog
from exness.web.answers import VISIT, Visit, answer
from exness.web.audit import Audit
from exness.web.auth import Session, Sessions, session_of
from exness.web.board import PriceBoard
from exness.web.browsers import Browsers
from exness.web.callers import Callers
from exness.web.connections import BodyCutOff, Connections
from exness.web.errors import ApiError, FieldError, InvalidRequest
from exness.web.frames import StreamBounds
from exness.web.limits import Allowance, RateLimits
from exness.web.links import Links
from exness.web.metrics import Metrics, Requests
from exness.web.revocations import RevocationWatch
from exness.web.weights import BODY_BYTES

JSON_TYPE = "application/json"
CODINGS = ("gzip", "deflate")
"""Of bodies, in `Content-Encoding`."""

__all__ = [
    "VISIT",
    "Context",
    "Dev",
    "answer",
    "charge_rows",
    "context_of",
    "current_session",
    "json_body",
    "note_allowance",
    "signed_in",
]


@dataclass(frozen=True)
class Dev:
    """That dev control is on. `hand` is None unless the feed is manual."""

    hand: Hand | None = None


@dataclass(frozen=True)
class Context:
    """Shared by all handlers of one server. `sessions` knows what `revocations` has told it: ask for that first."""

    exchange: Exchange
    sessions: Sessions
    links: Links
    revocations: RevocationWatch
    limits: RateLimits
    version: str
    max_body_bytes: int
    body_timeout_s: float = 10.0
    frontend_url: str = "/"
    public_url: str = ""
    """How users reach us, without a slash at its end. "": it is not known."""
    production: bool = False
    callers: Callers = field(default_factory=Callers)
    browsers: Browsers = field(default_factory=Browsers)
    connections: Connections = field(default_factory=Connections)
    audit: Audit = field(default_factory=Audit)
    dev: Dev | None = None
    """None: dev control is off, and its addresses are none."""
    requests: Requests = field(default_factory=Requests)
    loop: LoopWatch = field(default_factory=LoopWatch)
    metrics: Metrics | None = None
    access: AccessLog | None = None
    board: PriceBoard = field(default_factory=PriceBoard)
    stream: StreamBounds = field(default_factory=StreamBounds)


def context_of(request: web.BaseRequest) -> Context:
    return request[VISIT].context


async def signed_in(request: web.Request) -> Account:
    """The account of whoever asks, made at their first request. Raises ApiError(unauthorized, rate_limited)."""
    visit = request[VISIT]
    context = visit.context
    session = await current_session(request)
    visit.email, weight = session.email, visit.weight
    note_allowance(visit, context.limits.hit_account(session.email, weight.budget, weight.base, visit.caller))
    known = context.exchange.known_account(session.email)
    return known if known is not None else await context.exchange.account_of(session.email)


async def current_session(request: web.Request) -> Session:
    """The session of a request, as of now: what another process ended counts. Raises ApiError(unauthorized)."""
    context = request[VISIT].context
    await context.revocations.refresh()
    return session_of(request, context.sessions)


def note_allowance(visit: Visit, allowance: Allowance | None) -> None:
    """Keep the tightest."""
    if allowance is None:
        return
    if visit.allowance is None or allowance.remaining < visit.allowance.remaining:
        visit.allowance = allowance


def charge_rows(request: web.Request, rows: int) -> None:
    """Count the rows that a request asks for, before they are worked out. Raises ApiError(rate_limited)."""
    _charge(request[VISIT], request[VISIT].weight.of_rows(rows))


def _charge(visit: Visit, weight: int) -> None:
    """Count what a request weighs more than was known when it came."""
    if not weight:
        return
    limits, budget = visit.context.limits, visit.weight.budget
    note_allowance(visit, limits.hit_address(visit.caller, budget, weight))
    if visit.email:
        note_allowance(visit, limits.hit_account(visit.email, budget, weight, visit.caller))


async def json_body(request: web.Request) -> bytes:
    """The body of a JSON request.

    Raises ApiError(rate_limited, body_too_large, unsupported_media_type, request_timeout, invalid_request).
    """
    context = context_of(request)
    if (request.content_length or 0) > context.max_body_bytes:
        raise _too_large(context)
    try:
        if request.content.is_eof():  # it is here: nothing to wait for, 2 us less
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(context.body_timeout_s):
                body = await request.read()
    except TimeoutError:
        raise ApiError("request_timeout") from None
    except web.HTTPRequestEntityTooLarge:  # it did not say its length
        raise _too_large(context) from None
    except BodyCutOff:
        raise InvalidRequest([FieldError("body", "The body ended before it was whole")]) from None
    except web.RequestPayloadError:
        raise _not_as_said() from None
    if len(body) > context.max_body_bytes:
        raise _too_large(context)
    if len(body) >= BODY_BYTES:
        _charge(request[VISIT], len(body) // BODY_BYTES)
    if request.headers.get(hdrs.CONTENT_TYPE) != JSON_TYPE and request.content_type != JSON_TYPE:
        raise ApiError("unsupported_media_type")
    if hdrs.CONTENT_ENCODING in request.headers:
        body = _decoded(body, ",".join(request.headers.getall(hdrs.CONTENT_ENCODING)), context)
    return without_mark(body)


def _decoded(body: bytes, coding: str, context: Context) -> bytes:
    """A body without its content coding. Decodes no more of it than a body may have."""
    try:
        match coding.strip().lower():
            case "" | "identity":
                return body
            case "gzip":
                decoded = gzip.GzipFile(fileobj=BytesIO(body)).read(context.max_body_bytes + 1)
            case "deflate":
                decoded = _inflated(body, context.max_body_bytes + 1)
            case _:
                raise _unknown_coding()
    except (OSError, EOFError, zlib.error):
        raise _not_as_said() from None
    if len(decoded) > context.max_body_bytes:
        raise _too_large(context)
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


def _too_large(context: Context) -> ApiError:
    return ApiError("body_too_large", f"The request body can have at most {context.max_body_bytes} bytes")

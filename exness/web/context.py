"""What every handler gets: the exchange, the sessions, the limits. And the two things every handler does."""

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from exness.core.state import Account
from exness.runtime.exchange import Exchange
from exness.web.auth import Sessions, session_of
from exness.web.errors import ApiError, FieldError, InvalidRequest
from exness.web.limits import RateLimits

_encode = msgspec.json.Encoder().encode
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Context:
    """Shared by all handlers of one server."""

    exchange: Exchange
    sessions: Sessions
    limits: RateLimits
    version: str
    max_body_bytes: int


CONTEXT = web.AppKey("context", Context)
REQUEST_ID = web.RequestKey("request_id", str)


def context_of(request: web.Request) -> Context:
    return request.app[CONTEXT]


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A struct (or plain data) as a JSON answer."""
    return web.Response(body=_encode(body), status=status, headers={"Content-Type": _JSON, **(headers or {})})


async def signed_in(request: web.Request) -> Account:
    """The account of whoever asks, made at their first request. Raises ApiError(unauthorized)."""
    context = context_of(request)
    session = session_of(request, context.sessions)
    context.limits.hit_account(session.email)
    return await context.exchange.account_of(session.email)


async def json_body(request: web.Request) -> bytes:
    """The body of a JSON request. Raises ApiError(body_too_large, unsupported_media_type, invalid_request)."""
    limit = context_of(request).max_body_bytes
    too_large = ApiError("body_too_large", f"The request body can have at most {limit} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:  # it did not say its length, or was compressed
        raise too_large from None
    except web.RequestPayloadError:
        raise InvalidRequest([FieldError("body", "The body can't be decoded as its headers say")]) from None
    if request.content_type != "application/json":
        raise ApiError("unsupported_media_type")
    return body

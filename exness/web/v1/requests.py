"""How our dialect reads a request: who asks, by the header Authorization or the cookie, and a body of JSON."""

from aiohttp import web

from exness.access.sessions import Session, Sessions
from exness.core.instruments import AccountId
from exness.web.http.browser_rules import COOKIE
from exness.web.http.endpoint import JSON_TYPE
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE, note_allowance, read_body
from exness.web.services import services_of


async def json_body(request: web.Request) -> bytes:
    """The body of a JSON request. Raises what `read_body` does."""
    return await read_body(request, JSON_TYPE)


async def signed_in(request: web.Request) -> AccountId:
    """The account of whoever asks, made at their first request. Raises ApiError(unauthorized, rate_limited)."""
    request_state = request[REQUEST_STATE]
    services = services_of(request)
    session = await current_session(request)
    request_state.email, weight = session.email, request_state.weight
    allowance = services.limits.hit_account(session.email, weight.budget, weight.base, request_state.caller)
    note_allowance(request_state, allowance)
    known = services.exchange.known_account(session.email)
    return known if known is not None else await services.exchange.account_of(session.email)


async def current_session(request: web.Request) -> Session:
    """The session of a request, as of now: what another process ended counts. Raises ApiError(unauthorized)."""
    services = services_of(request)
    await services.revocations.refresh()
    return _session_of(request, services.sessions)


def _session_of(request: web.Request, sessions: Sessions) -> Session:
    """Raises ApiError(unauthorized)."""
    token = _token_of(request)
    session = sessions.check(token) if token else None
    if session is None:
        raise ApiError("unauthorized")
    return session


def _token_of(request: web.Request) -> str | None:
    """The token a request brings: a Bearer header, else the cookie."""
    header = request.headers.get("Authorization")
    if header is None:
        return request.cookies.get(COOKIE)
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None

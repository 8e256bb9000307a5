"""How our dialect reads a request: who asks, by an API key, the header Authorization or the cookie, and a body of JSON.

A key comes with its secret, or with a signature that needs it: see `signed_text`.
"""

import hashlib
import hmac
import re

from aiohttp import web

from exness.access.api_keys import ApiKey
from exness.access.sessions import Session, Sessions
from exness.core.instruments import AccountId, Asset, Instrument
from exness.web.http.browser_rules import API_KEY, COOKIE
from exness.web.http.endpoint import JSON_TYPE
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE, note_allowance, read_body, received_body
from exness.web.http.weights import Budget
from exness.web.services import Services, services_of

SECRET = "X-API-Secret"  # the name of a header  # nosec B105
SIGNATURE, TIMESTAMP, WINDOW = "X-API-Signature", "X-API-Timestamp", "X-API-Window"
WINDOW_MS = 5_000
"""How old a signed request may be, unless it says so itself."""
LONGEST_WINDOW_MS = 60_000
AHEAD_MS = 1_000
"""How far the clock that a request was signed by may be ahead of ours."""
BAD_KEY = "The API key is unknown, revoked or expired, or its secret or signature is not right"
_MILLISECONDS = re.compile(r"\d{1,15}", re.ASCII)
_NO_SECRET = b"\0" * 64
"""What a key that there is not is checked against: to be told so takes as long as for one that there is."""


async def json_body(request: web.Request) -> bytes:
    """The body of a JSON request. Raises what `read_body` does."""
    return await read_body(request, JSON_TYPE)


def instrument_in_path(request: web.Request) -> Instrument:
    """Of a path with an asset in it. Raises ApiError(not_found)."""
    instruments = services_of(request).exchange.rules.instruments
    instrument = instruments.get(Asset(request.match_info["asset"]))
    if instrument is None:
        raise ApiError("not_found", f"There is no such asset. Supported assets are {', '.join(instruments)}")
    return instrument


async def signed_in(request: web.Request) -> AccountId:
    """The account of whoever asks, made at their first request: by a session, or by a key that may do this.

    Raises ApiError(unauthorized, key_not_allowed, rate_limited), and what `received_body` does.
    """
    session = await session_of(request)
    if not session.may_trade and request[REQUEST_STATE].weight.budget is Budget.TRADE:
        raise ApiError("key_not_allowed")
    return await _account_of(request, session)


async def signed_in_person(request: web.Request) -> AccountId:
    """The same, but no key will do. Raises ApiError(unauthorized, rate_limited)."""
    return await _account_of(request, await current_session(request))


async def _account_of(request: web.Request, session: Session) -> AccountId:
    services, request_state = services_of(request), request[REQUEST_STATE]
    request_state.email, weight = session.email, request_state.weight
    allowance = services.limits.hit_account(session.email, weight.budget, weight.base, request_state.caller)
    note_allowance(request_state, allowance)
    known = services.exchange.known_account(session.email)
    return known if known is not None else await services.exchange.account_of(session.email)


async def session_of(request: web.Request) -> Session:
    """The session of a request, or that of its key, as of now: what another process ended counts.

    Raises ApiError(unauthorized), and what `received_body` does.
    """
    if API_KEY not in request.headers:
        return await current_session(request)
    services = services_of(request)
    await services.revocations.refresh()
    return services.sessions.of_key(await _key_of(request, services))


async def current_session(request: web.Request) -> Session:
    """The session of a request, as of now; keys do not count. Raises ApiError(unauthorized)."""
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


# --- API keys -----------------------------------------------------------------------------------------------------


async def _key_of(request: web.Request, services: Services) -> ApiKey:
    """Raises ApiError(unauthorized), and what `received_body` does."""
    headers = request.headers
    if SIGNATURE in headers:
        return await _signer(request, services)
    if SECRET not in headers:
        raise ApiError("unauthorized", f"An API key comes with {SECRET}, or with {TIMESTAMP} and {SIGNATURE}")
    key = services.keys.find(headers[API_KEY])
    secret = _NO_SECRET if key is None else key.secret
    if not hmac.compare_digest(_bytes(headers[SECRET]), secret) or key is None:
        raise ApiError("unauthorized", BAD_KEY)
    return key


async def _signer(request: web.Request, services: Services) -> ApiKey:
    """Who is early or late is told so only if the signature is right."""
    headers = request.headers
    timestamp, window = headers.get(TIMESTAMP, ""), headers.get(WINDOW, str(WINDOW_MS))
    if not (_MILLISECONDS.fullmatch(timestamp) and _MILLISECONDS.fullmatch(window)):
        raise ApiError("unauthorized", f"{TIMESTAMP} and {WINDOW} are whole milliseconds; {TIMESTAMP} is since 1970")
    body = b""
    if request.can_read_body:
        body = request[REQUEST_STATE].body = await received_body(request)
    key = services.keys.find(headers[API_KEY])
    text = signed_text(timestamp, window, request.method, request.raw_path, body)
    expected = sign(_NO_SECRET if key is None else key.secret, text)
    if not hmac.compare_digest(_bytes(headers[SIGNATURE].lower()), expected.encode()) or key is None:
        raise ApiError("unauthorized", BAD_KEY)
    now_ms = services.sessions.wall_us() // 1_000
    if not now_ms - min(int(window), LONGEST_WINDOW_MS) <= int(timestamp) < now_ms + AHEAD_MS:
        raise ApiError("unauthorized", f"{TIMESTAMP} is not within the window: the time here is {now_ms}")
    return key


def signed_text(timestamp: str, window: str, method: str, target: str, body: bytes) -> bytes:
    """What is signed: five parts, each on a line of its own, and no line end after the last one.

    The timestamp and the window in milliseconds as they are sent (without a window 5000), the method, the path with
    its query as it is sent, the body as it is sent.
    """
    return f"{timestamp}\n{window}\n{method}\n{target}\n".encode("utf-8", "surrogateescape") + body


def sign(secret: bytes, text: bytes) -> str:
    """HMAC-SHA256, in hexadecimal."""
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


def _bytes(header: str) -> bytes:
    """aiohttp decodes headers as UTF-8, and whatever is none as surrogates."""
    return header.encode("utf-8", "surrogateescape")

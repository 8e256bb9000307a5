"""Who is asking: the session that a request brings, in the header Authorization or in the cookie."""

from aiohttp import web

from exness.access.sessions import Session, Sessions
from exness.web.http.errors import ApiError

COOKIE = "authToken"


def token_of(request: web.Request) -> str | None:
    """The token a request brings: a Bearer header, else the cookie."""
    header = request.headers.get("Authorization")
    if header is None:
        return request.cookies.get(COOKIE)
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def session_of(request: web.Request, sessions: Sessions) -> Session:
    """The session of a request. Raises ApiError(unauthorized)."""
    token = token_of(request)
    session = sessions.check(token) if token else None
    if session is None:
        raise ApiError("unauthorized")
    return session

"""Who is asking: session tokens, made and checked.

A session is a signed token (JWT, HS256) with issuer, audience, purpose, id and expiry. A checked token is remembered
until it expires, so that the signature is verified once and not per request. The memory is bounded.
"""

import secrets
from collections import OrderedDict

import jwt
import msgspec
from aiohttp import web

from exness.runtime.ports import Clock
from exness.web.errors import ApiError

ISSUER = "exness"
SESSION = "exness-session"
COOKIE = "authToken"
_ALGORITHM = "HS256"
_MAX_TOKEN = 4096
_SECOND_US = 1_000_000


class Session(msgspec.Struct, frozen=True):
    """A checked session. `expires_at` is in microseconds."""

    email: str
    id: str
    expires_at: int


class Sessions:
    """Makes and checks session tokens with one secret. Remembers up to `remembered` checked tokens."""

    def __init__(self, secret: bytes, clock: Clock, *, days: int, remembered: int) -> None:
        self._secret = secret
        self._clock = clock
        self._life_us = days * 86_400 * _SECOND_US
        self._remembered = remembered
        self._checked: OrderedDict[str, Session] = OrderedDict()

    def issue(self, email: str) -> str:
        """A new session token for a (normalised) mail address."""
        now = self._clock.now_us()
        claims = {
            "iss": ISSUER,
            "aud": SESSION,
            "sub": email,
            "jti": secrets.token_hex(16),
            "iat": now // _SECOND_US,
            "exp": (now + self._life_us) // _SECOND_US,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def check(self, token: str) -> Session | None:
        """The session of a token, or None when it is no valid one."""
        session = self._checked.get(token) or self._verify(token)
        if session is None or session.expires_at <= self._clock.now_us():
            self._checked.pop(token, None)
            return None
        return session

    def _verify(self, token: str) -> Session | None:
        if len(token) > _MAX_TOKEN:
            return None
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=SESSION,
                issuer=ISSUER,
                # Times are compared with our clock in `check`, not with the wall clock PyJWT would ask.
                options={
                    "require": ["exp", "iat", "sub", "jti", "aud", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, UnicodeError):
            return None
        session = Session(claims["sub"], claims["jti"], claims["exp"] * _SECOND_US)
        self._checked[token] = session
        if len(self._checked) > self._remembered:
            self._checked.popitem(last=False)
        return session


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

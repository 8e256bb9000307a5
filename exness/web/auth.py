"""Who is asking: session tokens, made and checked.

A session is a signed token (JWT, HS256) with issuer, audience, purpose, id and expiry. A checked token is remembered,
so that the signature is verified once and not per request; whether it has expired or was ended is asked every time.
The memory is bounded.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import jwt
import msgspec
from aiohttp import web

from exness.runtime.ports import Clock, Revocations
from exness.web.errors import ApiError

ISSUER = "exness"
SESSION = "exness-session"
PURPOSE = "session"
COOKIE = "authToken"
FUTURE_S = 60
"""How far the clock that issued a token may be before ours."""
_ALGORITHM = "HS256"
_MAX_TOKEN = 4096
_MAX_TIME_S = 10**11
_SECOND_US = 1_000_000
_CLAIMS = ["exp", "iat", "sub", "jti", "aud", "iss", "use"]


class Session(msgspec.Struct, frozen=True):
    """A checked session. Times are microseconds."""

    email: str
    id: str
    issued_at: int
    expires_at: int


class Sessions:
    """Makes and checks session tokens. Remembers up to `remembered` checked tokens.

    `secret` signs; tokens signed with one of the `previous` secrets are good as well, until they expire.
    """

    def __init__(
        self, secret: bytes, clock: Clock, *, days: int, remembered: int, previous: Sequence[bytes] = ()
    ) -> None:
        self._secrets = (secret, *previous)
        self._clock = clock
        self.life_s = days * 86_400
        self._remembered = remembered
        self._checked: OrderedDict[str, Session] = OrderedDict()
        self._ended_sessions: dict[str, int] = {}
        self._ended_addresses: dict[str, int] = {}
        self.watchers: list[Callable[[], None]] = []
        """Called when sessions have ended before their time."""

    def now_us(self) -> int:
        """The time that sessions go by, which need not be the exchange's."""
        return self._clock.now_us()

    def issue(self, email: str) -> str:
        """A new session token for a (normalised) mail address."""
        now = self._clock.now_us()
        claims = {
            "iss": ISSUER,
            "aud": SESSION,
            "use": PURPOSE,
            "sub": email,
            "jti": secrets.token_hex(16),
            "iat": now / _SECOND_US,  # a float holds these microseconds exactly, until the year 2106
            "exp": now // _SECOND_US + self.life_s,
        }
        return jwt.encode(claims, self._secrets[0], algorithm=_ALGORITHM)

    def check(self, token: str) -> Session | None:
        """The session of a token, or None when it is no valid one, or none any more."""
        session = self._checked.get(token) or self._verify(token)
        if session is None:
            return None
        if session.expires_at <= self._clock.now_us() or self._is_ended(session):
            self._checked.pop(token, None)
            return None
        return session

    def holds(self, session: Session) -> bool:
        """Whether a session that was checked before is still one."""
        return session.expires_at > self._clock.now_us() and not self._is_ended(session)

    def end(self, session: Session) -> None:
        """From now on it is none."""
        self._ended_sessions[session.id] = session.expires_at
        self._tell_watchers()

    def end_all(self, revocations: Revocations) -> None:
        """From now on none of these is one."""
        self._ended_sessions |= revocations.sessions
        self._ended_addresses |= revocations.addresses
        now = self._clock.now_us()
        self._ended_sessions = {name: end for name, end in self._ended_sessions.items() if end > now}
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _is_ended(self, session: Session) -> bool:
        if session.id in self._ended_sessions:
            return True
        ended_up_to = self._ended_addresses.get(session.email)
        return ended_up_to is not None and session.issued_at <= ended_up_to

    def _verify(self, token: str) -> Session | None:
        if len(token) > _MAX_TOKEN:
            return None
        for secret in self._secrets:
            claims = _claims(token, secret)
            if claims is not None:
                return self._remember(token, _session(claims))
        return None

    def _remember(self, token: str, session: Session | None) -> Session | None:
        if session is None or session.issued_at > self._clock.now_us() + FUTURE_S * _SECOND_US:
            return None
        self._checked[token] = session
        if len(self._checked) > self._remembered:
            self._checked.popitem(last=False)
        return session


def _claims(token: str, secret: bytes) -> dict[str, Any] | None:
    try:
        return jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=SESSION,
            issuer=ISSUER,
            # Times are compared with our clock in `check`, not with the wall clock PyJWT would ask.
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.InvalidTokenError, UnicodeError, RecursionError):
        return None


def _session(claims: dict[str, Any]) -> Session | None:
    """None when a claim is not what we write."""
    issued, expires = claims["iat"], claims["exp"]
    if claims["use"] != PURPOSE or not _is_time(issued) or not _is_time(expires):
        return None
    return Session(claims["sub"], claims["jti"], round(issued * _SECOND_US), round(expires * _SECOND_US))


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _MAX_TIME_S  # NaN is neither


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

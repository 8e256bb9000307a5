"""Who is asking: session tokens, made and checked.

A session is a signed token (JWT, HS256) with issuer, audience, purpose, id and expiry, and the generation of its store
in which it was issued. A checked token is remembered, so that the signature is verified once and not per request;
whether it has expired or was ended is asked every time. The memory is bounded.

Expiry goes by the wall clock, and nothing here by the exchange's. Which came first, a session or its end, no clock
tells: the store counts.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
import msgspec

from exness.access.api_keys import ApiKey, ApiKeys
from exness.access.ports import Revocations
from exness.runtime.clock import WallClock

ISSUER = "exness"
SESSION = "exness-session"
PURPOSE = "session"
FUTURE_S = 86_400
"""How far the clock that issued a token may be ahead of ours: it was set back since. Nothing hangs on it but how long
the session lives, so a day does no harm, and a correction of the clock signs nobody out."""
_ALGORITHM = "HS256"
_MAX_TOKEN = 4096
_MAX_TIME_S = 10**11
_SECOND_US = 1_000_000
_FUTURE_US = FUTURE_S * _SECOND_US
_CLAIMS = ["exp", "iat", "sub", "jti", "aud", "iss", "use"]
_SIGNER = b"exness session signer"
_Ended = OrderedDict[str, tuple[int, str]]
"""By name: the generation that ended it, lowest first, and the session that was spared."""

_NEVER_US = 253_402_300_799_000_000
"""The last second of the year 9999."""


class Session(msgspec.Struct, frozen=True):
    """A checked session, or what an API key is good for while it is checked. Times are microseconds."""

    email: str
    id: str
    issued_at: int
    expires_at: int
    generation: int
    key: str = ""
    """The API key that it is of; "": of none."""
    may_trade: bool = True


class Sessions:
    """Makes and checks session tokens. Remembers up to `remembered` checked tokens.

    What stands for one of `keys` is a session as long as that is good. `secret` signs; tokens signed with one of the
    `previous` secrets are good as well, until they expire. Before it is told by `learn`, it knows no store: it issues
    and takes sessions of generation 0 without a store's id.
    """

    def __init__(
        self,
        secret: bytes,
        clock: WallClock,
        *,
        days: int,
        remembered: int,
        previous: Sequence[bytes] = (),
        keys: ApiKeys | None = None,
    ) -> None:
        self._secrets = (secret, *previous)
        self.signers = tuple(hmac.new(each, _SIGNER, "sha256").hexdigest()[:16] for each in self._secrets)
        """Fingerprints of the secrets, that of new sessions first: nothing is learnt of a secret from its own."""
        self._clock = clock
        self._keys = keys
        self.life_s = days * 86_400
        self.life_us = self.life_s * _SECOND_US
        self._remembered = remembered
        self._checked: OrderedDict[str, Session] = OrderedDict()
        self._issuer = ISSUER
        self.generation = 0
        """Of the store, as it was told last: a session that is issued now carries it."""
        self._oldest = 0
        self._ended_sessions: _Ended = OrderedDict()
        self._ended_addresses: _Ended = OrderedDict()
        self.watchers: list[Callable[[], None]] = []
        """Called when sessions have ended before their time."""

    def issue(self, email: str) -> str:
        """A new session token for a (normalised) mail address."""
        now = self._clock.wall_us()
        claims = {
            "iss": self._issuer,
            "aud": SESSION,
            "use": PURPOSE,
            "sub": email,
            "jti": secrets.token_hex(16),
            "iat": now / _SECOND_US,  # a float holds these microseconds exactly, until the year 2106
            "exp": now // _SECOND_US + self.life_s,
            "gen": self.generation,
        }
        return jwt.encode(claims, self._secrets[0], algorithm=_ALGORITHM)

    def check(self, token: str) -> Session | None:
        """The session of a token, or None when it is no valid one, or none any more."""
        session = self._checked.get(token) or self._verify(token)
        if session is None:
            return None
        if not self.holds(session):
            self._checked.pop(token, None)
            return None
        return session

    def holds(self, session: Session) -> bool:
        """Whether a session that was checked before is still one."""
        if session.key:
            return self._keys is not None and self._keys.find(session.key) is not None
        now = self._clock.wall_us()
        return session.issued_at - _FUTURE_US <= now < session.expires_at and not self._is_ended(session)

    def of_key(self, key: ApiKey) -> Session:
        """What stands for a key that was checked, wherever a session is asked for."""
        expires_at = _NEVER_US if key.expires_at is None else key.expires_at
        return Session(key.email, key.key, key.created_at, expires_at, 0, key.key, key.may_trade)

    def wall_us(self) -> int:
        """The time by which sessions and keys expire."""
        return self._clock.wall_us()

    def end(self, session_id: str) -> None:
        """From now on it is none. The store must be told too."""
        self._note(self._ended_sessions, {session_id: self.generation + 1}, {})
        self._tell_watchers()

    def learn(self, news: Revocations) -> None:
        """From now on none of these is one. `news` is all that came after `generation`."""
        issuer = f"{ISSUER}/{news.issuer}" if news.issuer else ISSUER
        if issuer != self._issuer:
            self._issuer = issuer
            self._checked.clear()
        self.generation, self._oldest = max(self.generation, news.generation), max(self._oldest, news.oldest)
        self._note(self._ended_sessions, news.sessions, {})
        self._note(self._ended_addresses, news.addresses, news.spared)
        self._tell_watchers()

    def _note(self, ended: _Ended, news: Mapping[str, int], spared: Mapping[str, str]) -> None:
        """Newest last. What `_oldest` covers is dropped, so that there is no more here than in the store."""
        for name, generation in news.items():
            ended[name] = generation, spared.get(name, "")
            ended.move_to_end(name)
        while ended and next(iter(ended.values()))[0] <= self._oldest:
            ended.popitem(last=False)

    def _tell_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _is_ended(self, session: Session) -> bool:
        if session.generation < self._oldest or session.id in self._ended_sessions:
            return True
        generation, spared = self._ended_addresses.get(session.email, (0, ""))
        return session.generation < generation and session.id != spared

    def _verify(self, token: str) -> Session | None:
        if len(token) > _MAX_TOKEN:
            return None
        for secret in self._secrets:
            claims = _claims(token, secret, self._issuer)
            if claims is not None:
                return self._remember(token, _session(claims))
        return None

    def _remember(self, token: str, session: Session | None) -> Session | None:
        if session is None:
            return None
        self._checked[token] = session
        if len(self._checked) > self._remembered:
            self._checked.popitem(last=False)
        return session


def _claims(token: str, secret: bytes, issuer: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=SESSION,
            issuer=issuer,
            # Times are compared in `holds`, on every use, and not once when the signature is.
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.InvalidTokenError, UnicodeError, RecursionError):
        return None


def _session(claims: dict[str, Any]) -> Session | None:
    """None when a claim is not what we write. A session from before there were generations is of the first, 0."""
    issued, expires, generation = claims["iat"], claims["exp"], claims.get("gen", 0)
    if claims["use"] != PURPOSE or not _is_time(issued) or not _is_time(expires):
        return None
    if isinstance(generation, bool) or not isinstance(generation, int):
        return None
    return Session(claims["sub"], claims["jti"], round(issued * _SECOND_US), round(expires * _SECOND_US), generation)


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _MAX_TIME_S  # NaN is neither

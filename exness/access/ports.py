"""What access needs from outside, as Protocols: mail, and a store of links, sessions and API keys."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class MailError(Exception):
    """A mail was not sent. The message is for the log: it names no address, link or password.

    `transient` says whether the same mail may get through later, `retry_after_s` when the provider wants it again.
    """

    def __init__(self, why: str, *, transient: bool, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.transient = transient
        self.retry_after_s = retry_after_s


class Mail(msgspec.Struct, frozen=True):
    """One mail to one address, with the same content twice: as text and as HTML. `link` is the one it carries."""

    to: str
    subject: str
    text: str
    html: str
    link: str = ""

    def __repr__(self) -> str:
        """Without address and content: who has the link can sign in, and what has a repr ends up in a log."""
        return f"Mail(subject={self.subject!r}, <hidden>)"


class Mailer(Protocol):
    """A way for mails to leave the house."""

    def describe(self) -> str:
        """One line for the banner, without a secret."""
        ...

    async def send(self, mail: Mail) -> None:
        """Hand the mail over, once. Raises MailError."""
        ...


class Link(msgspec.Struct, frozen=True):
    """A link that was mailed: the SHA-256 of its token, never the token. Times are microseconds."""

    token_hash: bytes
    email: str
    purpose: str
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Without the address: what has a repr ends up in a log."""
        return f"Link(purpose={self.purpose!r}, <hidden>)"


class Revocations(msgspec.Struct, frozen=True):
    """Which sessions have ended before their time, ordered by the store's own counting and by no clock.

    Each time sessions are ended begins another `generation`; a session carries the one it was issued in, and `issuer`,
    the id of its store. `sessions` (by id) and `addresses` (by mail address) were ended with the generation they name:
    of an address, what was issued in an earlier one, but for the session that `spared` names for it. Of a generation
    below `oldest` all are ended.
    """

    issuer: str = ""
    generation: int = 0
    oldest: int = 0
    sessions: dict[str, int] = {}
    addresses: dict[str, int] = {}
    spared: dict[str, str] = {}
    """By mail address."""


class StoredSession(msgspec.Struct, frozen=True):
    """A session as it is listed. Times are microseconds. `signed_by` is a fingerprint of the secret that signed it,
    `made_by` says how its owner signed in, `client` and `ip` from where; "" where that is not known."""

    id: str
    email: str
    generation: int
    created_at: int
    expires_at: int
    signed_by: str
    made_by: str
    client: str
    ip: str

    def __repr__(self) -> str:
        """Without the address: what has a repr ends up in a log."""
        return f"StoredSession(id={self.id[:8]!r}..., <hidden>)"


class StoredKey(msgspec.Struct, frozen=True):
    """An API key as it is kept: its secret only `sealed`. Times are microseconds; `expires_at` None: it has no end."""

    key: str
    email: str
    name: str
    scopes: str
    """In their order, with commas."""
    created_at: int
    expires_at: int | None
    sealed: bytes

    def __repr__(self) -> str:
        """Without the address: what has a repr ends up in a log."""
        return f"StoredKey(key={self.key[:8]!r}..., <hidden>)"


class AuthStore(Protocol):
    """Mailed links, sessions, which of them ended, and API keys, on disk. Other processes (the command line) write to
    it too.

    Times are microseconds of the wall clock. However wrong it is, no session that was ended is good again: a row that
    makes room takes every session of its time with it.
    """

    async def put_link(self, link: Link) -> None:
        """Keep a link. It voids every older one of its address, and the oldest of all when there are too many."""
        ...

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        """The link of a token, when it was made for one of these purposes and still works. Uses nothing up.

        One from the future, made before the clock was set back, works while it is ahead by no more than its life.
        """
        ...

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        """Like `find_link`, and the link is used up: of several callers at once, one gets it."""
        ...

    async def end_session(self, session_id: str, now: int, until: int) -> None:
        """End a session. Durable when it returns. By `until` all that were issued up to now will have expired."""
        ...

    async def end_sessions_of(self, email: str, now: int, until: int) -> None:
        """End every session that was issued for an address so far. Durable when it returns, and every process that has
        the store open is told."""
        ...

    async def end_other_sessions(self, session_id: str, email: str, generation: int, now: int, until: int) -> bool:
        """End every session that was issued for an address so far, but for this one, of this generation. False when it
        has been ended itself: nothing is done then. Durable when it returns, and every process is told."""
        ...

    async def put_sessions(self, made: Sequence[StoredSession], now: int, until: int, most: int) -> None:
        """Keep new sessions, to be listed. What has expired makes room; of an address that has more than `most`, the
        oldest are ended, as by `end_session`, and every process is told. Beyond a bound of all, the oldest are listed
        no more, and are as good as before. Durable when it returns."""
        ...

    async def sessions_of(self, email: str) -> list[StoredSession]:
        """Those of an address, oldest first. An ended session is not in it unless it was put after its end."""
        ...

    async def revocations(self, after: int) -> Revocations:
        """What was ended after generation `after`."""
        ...

    async def put_api_key(self, key: StoredKey, now: int, most: int) -> bool:
        """Keep a key. Those of its address that have expired make room; False when the address has `most` that have
        not, or there are too many of all: nothing is kept then. Durable when it returns, and every process is told."""
        ...

    async def remove_api_key(self, email: str, key: str) -> bool:
        """Forget a key of an address; False when there is none such. Durable when it returns, and every process is
        told."""
        ...

    async def reseal_api_key(self, key: StoredKey) -> None:
        """Put the secret of a key that is kept as this one has it."""
        ...

    async def api_keys(self) -> list[StoredKey]:
        """All of them, oldest first."""
        ...

    def changed(self) -> bool:
        """Whether another process ended sessions, or anybody made or revoked a key, since `revocations` was asked last.
        Cheap: asked once per request."""
        ...


class LinkMails(Protocol):
    """Mails with a sign-in link."""

    def write(self, purpose: str, email: str, token: str) -> Mail: ...

    def post(self, mail: Mail) -> bool:
        """Send it off the request. False when there is no room for it."""
        ...

"""Sign-in links: made, mailed, opened once.

A link's token is random and kept as its hash only. Asking for a link costs the same and answers the same whoever
asks for whom: for an address that gets no mail a link is made all the same, and thrown away.
"""

import hashlib
import secrets

from exness.access.ports import AuthStore, Link, LinkMails
from exness.runtime.clock import WallClock

SIGNUP = "signup"
SIGNIN = "signin"
PURPOSES = (SIGNUP, SIGNIN)
"""What a link may be for, to be opened at /signin/post. A later purpose (a new address, say) opens nothing there."""

_DECOY = "decoy"
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 128
_MINUTE_US = 60_000_000


class MagicLinks:
    """The links of one server. `minutes` is how long one works; `mails`: None where none is to be mailed."""

    def __init__(self, store: AuthStore, mails: LinkMails | None, clock: WallClock, *, minutes: int) -> None:
        self._store = store
        self._mails = mails
        self._clock = clock
        self._life_us = minutes * _MINUTE_US

    async def send(self, email: str, purpose: str, *, known: bool) -> None:
        """Mail a link to a (normalised) address. `known`: there is an account. Returns before the mail goes out.

        To sign up with a known address is to sign in. To sign in with an unknown one mails nothing.
        """
        mailed = known or purpose == SIGNUP
        kind = SIGNIN if known else SIGNUP
        # A decoy stands under a name that is no address: it must not void the link of one who is just signing up.
        owner, use = (email, kind) if mailed else (f" {email}", _DECOY)
        token = await self._made(owner, use)
        assert self._mails is not None, "only a server mails links"
        mail = self._mails.write(kind, email, token)
        if mailed:
            self._mails.post(mail)

    async def make(self, email: str) -> str:
        """The token of a link for a (normalised) address, mailed to nobody: who runs this machine opens it here."""
        return await self._made(email, SIGNUP)

    async def _made(self, owner: str, use: str) -> str:
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock.wall_us()
        await self._store.put_link(Link(_hash(token), owner, use, now, now + self._life_us))
        return token

    async def find(self, token: str) -> Link | None:
        """The link of a token, if it still works. Nothing is used up."""
        if not _is_token(token):
            return None
        return await self._store.find_link(_hash(token), PURPOSES, self._clock.wall_us())

    async def take(self, token: str) -> Link | None:
        """The link of a token, used up by this. Of several at once, one gets it."""
        if not _is_token(token):
            return None
        return await self._store.take_link(_hash(token), PURPOSES, self._clock.wall_us())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()


def _is_token(token: str) -> bool:
    return 0 < len(token) <= _LONGEST_TOKEN and token.isascii()

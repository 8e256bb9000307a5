"""Which sessions an account has: noted when they are made, listed for whoever they are of.

The list is for people. What a session is good for is said by its token, and by what was ended: a session without a row,
made before there were any, is as good as another. It is listed to itself, and ended with all others.
"""

from collections.abc import Iterable
from enum import StrEnum

from exness.access.ports import AuthStore, StoredSession
from exness.access.sessions import Session, Sessions

SESSIONS_PER_ACCOUNT = 100
"""Beyond it the oldest is ended, so that the list of an account is short and whole."""
LONGEST_CLIENT = 200


class MadeBy(StrEnum):
    """How somebody signed in."""

    LINK = "link"
    """A mailed link."""
    DEV = "dev"
    """POST /dev/session."""
    COMMAND = "command"
    """`exness token`."""


class LiveSessions:
    """The list of one server. `sessions` says which of its rows are good."""

    def __init__(self, store: AuthStore, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    async def note(self, made: Iterable[Session], made_by: MadeBy, client: str = "", ip: str = "") -> None:
        """Keep new sessions, which the store's next `revocations` may say are ended. Raises StorageError."""
        signed_by, client = self._sessions.signers[0], shown_client(client)
        rows = [
            StoredSession(
                each.id, each.email, each.generation, each.issued_at, each.expires_at, signed_by, made_by, client, ip
            )
            for each in made
        ]
        now = self._sessions.wall_us()
        await self._store.put_sessions(rows, now, now + self._sessions.life_us, SESSIONS_PER_ACCOUNT)

    async def of(self, email: str) -> list[StoredSession]:
        """Those of a mail address that are good now, oldest first. Raises StorageError."""
        return [each for each in await self._store.sessions_of(email) if self._is_good(each)]

    def _is_good(self, row: StoredSession) -> bool:
        if row.signed_by not in self._sessions.signers:
            return False
        return self._sessions.holds(Session(row.email, row.id, row.created_at, row.expires_at, row.generation))


def shown_client(text: str) -> str:
    """What a client says it is, fit to be shown: it may have sent anything."""
    return "".join(each if each.isprintable() else "?" for each in text[:LONGEST_CLIENT]).strip()

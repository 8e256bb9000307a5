"""Links, sessions and API keys in memory, with the behaviour of auth.db."""

from collections.abc import Sequence

import msgspec

from exness.access.ports import Link, Revocations, StoredKey, StoredSession
from exness.storage.auth import ENDED_KEPT, KEYS_KEPT, LINKS_KEPT, SESSIONS_KEPT


class MemoryAuth:
    """Implements `access.ports.AuthStore`."""

    def __init__(
        self,
        *,
        links_kept: int = LINKS_KEPT,
        ended_kept: int = ENDED_KEPT,
        keys_kept: int = KEYS_KEPT,
        sessions_kept: int = SESSIONS_KEPT,
    ) -> None:
        self.links: dict[bytes, Link] = {}
        self._links_kept = links_kept
        self._ended_kept = ended_kept
        self._keys_kept = keys_kept
        self.keys: dict[str, StoredKey] = {}
        self.sessions: dict[int, StoredSession] = {}
        """By their order."""
        self._sessions_made = 0
        self._sessions_kept = sessions_kept
        self._spared: dict[str, str] = {}
        self._generation = self._oldest = 0
        self._ended: dict[tuple[str, str], tuple[int, int]] = {}
        """Generation and `until`, of ("session", id) or ("address", email)."""
        self._changed = True

    async def put_link(self, link: Link) -> None:
        self.links = {
            token: old
            for token, old in self.links.items()
            if old.email != link.email and old.expires_at > link.created_at
        }
        self.links[link.token_hash] = link
        for token in list(self.links)[: -self._links_kept]:
            del self.links[token]

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        link = self.links.get(token_hash)
        if link is None or link.purpose not in purposes or link.expires_at <= now:
            return None
        return link if link.created_at - now <= link.expires_at - link.created_at else None

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        link = await self.find_link(token_hash, purposes, now)
        return self.links.pop(token_hash) if link is not None else None

    async def end_session(self, session_id: str, now: int, until: int) -> None:
        self._end(("session", session_id), now, until)

    async def end_sessions_of(self, email: str, now: int, until: int) -> None:
        self._end(("address", email), now, until)
        self._changed = True

    async def end_other_sessions(self, session_id: str, email: str, generation: int, now: int, until: int) -> bool:
        ended = self._ended.get(("address", email), (0, 0))[0]
        if generation < self._oldest or ("session", session_id) in self._ended:
            return False
        if ended > generation and self._spared.get(email) != session_id:
            return False
        self._end(("address", email), now, until, session_id)
        self._changed = True
        return True

    async def put_sessions(self, made: Sequence[StoredSession], now: int, until: int, most: int) -> None:
        for each in made:
            self._sessions_made += 1
            self.sessions = {n: old for n, old in self.sessions.items() if old.expires_at > now}
            self.sessions[self._sessions_made] = each
            for surplus in [old.id for old in self.sessions.values() if old.email == each.email][:-most]:
                self._end(("session", surplus), now, until)
                self._changed = True
        oldest = self._sessions_made - self._sessions_kept
        self.sessions = {n: old for n, old in self.sessions.items() if n > oldest}

    async def sessions_of(self, email: str) -> list[StoredSession]:
        return [each for each in self.sessions.values() if each.email == email]

    def _end(self, what: tuple[str, str], now: int, until: int, spared: str = "") -> None:
        self._generation += 1
        kind, name = what
        if kind == "address":
            self._spared[name] = spared
        self.sessions = {
            n: old
            for n, old in self.sessions.items()
            if (old.id != name if kind == "session" else old.email != name or old.id == spared)
        }
        self._ended[what] = (self._generation, until)
        expired = [generation for generation, until in self._ended.values() if until <= now]
        self._oldest = max(self._oldest, self._generation - self._ended_kept, *expired)
        self._ended = {key: ended for key, ended in self._ended.items() if ended[0] > self._oldest}

    async def revocations(self, after: int) -> Revocations:
        self._changed = False
        news = {key: ended[0] for key, ended in self._ended.items() if ended[0] > after}
        sessions = {name: generation for (kind, name), generation in news.items() if kind == "session"}
        addresses = {name: generation for (kind, name), generation in news.items() if kind == "address"}
        spared = {name: self._spared[name] for name in addresses if self._spared[name]}
        return Revocations("", self._generation, self._oldest, sessions, addresses, spared)

    async def put_api_key(self, key: StoredKey, now: int, most: int) -> bool:
        self._drop_expired(now, key.email)
        if sum(each.email == key.email for each in self.keys.values()) >= most:
            return False
        if len(self.keys) >= self._keys_kept:
            self._drop_expired(now)
        if len(self.keys) >= self._keys_kept:
            return False
        self.keys[key.key] = key
        self._changed = True
        return True

    def _drop_expired(self, now: int, email: str | None = None) -> None:
        for key in list(self.keys.values()):
            if email in (None, key.email) and key.expires_at is not None and key.expires_at <= now:
                del self.keys[key.key]

    async def remove_api_key(self, email: str, key: str) -> bool:
        if key not in self.keys or self.keys[key].email != email:
            return False
        del self.keys[key]
        self._changed = True
        return True

    async def reseal_api_key(self, key: StoredKey) -> None:
        if key.key in self.keys:
            self.keys[key.key] = msgspec.structs.replace(self.keys[key.key], sealed=key.sealed)

    async def api_keys(self) -> list[StoredKey]:
        return list(self.keys.values())

    def changed(self) -> bool:
        return self._changed

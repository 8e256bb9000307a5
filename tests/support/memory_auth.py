"""Links, ended sessions and API keys in memory, with the behaviour of auth.db."""

from collections.abc import Sequence

import msgspec

from exness.access.ports import Link, Revocations, StoredKey
from exness.storage.auth import ENDED_KEPT, KEYS_KEPT, LINKS_KEPT


class MemoryAuth:
    """Implements `access.ports.AuthStore`."""

    def __init__(
        self, *, links_kept: int = LINKS_KEPT, ended_kept: int = ENDED_KEPT, keys_kept: int = KEYS_KEPT
    ) -> None:
        self.links: dict[bytes, Link] = {}
        self._links_kept = links_kept
        self._ended_kept = ended_kept
        self._keys_kept = keys_kept
        self.keys: dict[str, StoredKey] = {}
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

    def _end(self, what: tuple[str, str], now: int, until: int) -> None:
        self._generation += 1
        self._ended[what] = (self._generation, until)
        expired = [generation for generation, until in self._ended.values() if until <= now]
        self._oldest = max(self._oldest, self._generation - self._ended_kept, *expired)
        self._ended = {key: ended for key, ended in self._ended.items() if ended[0] > self._oldest}

    async def revocations(self, after: int) -> Revocations:
        self._changed = False
        news = {key: ended[0] for key, ended in self._ended.items() if ended[0] > after}
        sessions = {name: generation for (kind, name), generation in news.items() if kind == "session"}
        addresses = {name: generation for (kind, name), generation in news.items() if kind == "address"}
        return Revocations("", self._generation, self._oldest, sessions, addresses)

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

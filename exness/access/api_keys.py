"""API keys: for programs, which sign their requests or bring the secret along. Made once, found from memory.

A signature (HMAC) can only be checked by who has the secret itself, so it is kept and not its hash: encrypted under the
auth secret (AES-GCM, the key derived by HKDF), and bound to what the key may do. Who has auth.db alone can use no key,
and who changes it makes keys that are none. With another auth secret there are no keys.

Expiry goes by the wall clock, like that of sessions. A key names a mail address and no account: that is made at its
first use, and anew after a reset.
"""

import asyncio
import hmac
import secrets
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from exness.access.ports import AuthStore, StoredKey
from exness.runtime.clock import WallClock

KEYS_PER_ACCOUNT = 30
LONGEST_NAME = 50
LONGEST_LIFE_DAYS = 3650
OPENED_PER_TURN = 200
"""Keys that are decrypted before the loop turns: 3 us each."""
_KEY_BYTES = 32
_NONCE_BYTES = 12
_INFO, _LISTEN_INFO = b"exness api keys", b"exness listen keys"


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"


class ApiKey(msgspec.Struct, frozen=True):
    """A key and its secret. Times are microseconds of the wall clock; `expires_at` None: it has no end."""

    key: str
    secret: bytes
    email: str
    name: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None

    @property
    def may_trade(self) -> bool:
        return Scope.TRADE in self.scopes

    def __repr__(self) -> str:
        """Without the secret and the address: what has a repr ends up in a log."""
        return f"ApiKey(key={self.key[:8]!r}..., name={self.name!r}, <hidden>)"


def is_name(text: str) -> bool:
    """Whether a key can be called that."""
    return len(text) <= LONGEST_NAME and text.isprintable() and bool(text.strip())


class TooManyKeys(Exception):
    """The account has KEYS_PER_ACCOUNT already, or the store is full."""


class Sealer:
    """Encrypts secrets of keys under the first of the auth secrets, and opens what any of them has encrypted."""

    def __init__(self, auth_secrets: Sequence[bytes]) -> None:
        self._ciphers = [AESGCM(derived(each, _INFO)) for each in auth_secrets]
        self._naming = derived(auth_secrets[0], _LISTEN_INFO) if auth_secrets else b""

    def seal(self, key: ApiKey) -> StoredKey:
        scopes, nonce = ",".join(sorted(key.scopes)), secrets.token_bytes(_NONCE_BYTES)
        stored = StoredKey(key.key, key.email, key.name, scopes, key.created_at, key.expires_at, b"")
        encrypted = self._ciphers[0].encrypt(nonce, key.secret, _bound(stored))
        return msgspec.structs.replace(stored, sealed=nonce + encrypted)

    def listen_key(self, key: str) -> str:
        """A name that is of this key and tells nothing of it: the same on every server that has the auth secret."""
        return hmac.new(self._naming, key.encode(), "sha256").hexdigest()

    def open(self, stored: StoredKey) -> tuple[ApiKey, bool] | None:
        """The key, and whether the newest of the auth secrets has sealed it; None when none of them has, or the row is
        not as it was written."""
        nonce, encrypted = stored.sealed[:_NONCE_BYTES], stored.sealed[_NONCE_BYTES:]
        for number, cipher in enumerate(self._ciphers):
            try:
                secret = cipher.decrypt(nonce, encrypted, _bound(stored))
            except (InvalidTag, ValueError):  # ValueError: a nonce that is too short
                continue
            return _key(stored, secret), number == 0
        return None


class ApiKeys:
    """The keys of one server. It knows those that the store had when `load` was awaited last."""

    def __init__(self, store: AuthStore, clock: WallClock, sealer: Sealer) -> None:
        self._store = store
        self._clock = clock
        self._sealer = sealer
        self._rows: dict[str, StoredKey] = {}
        self._keys: dict[str, ApiKey] = {}
        self._of: dict[str, list[ApiKey]] = {}
        """By mail address, oldest first."""
        self._listened: dict[str, str] = {}
        """The keys by their listen keys."""

    def find(self, key: str) -> ApiKey | None:
        """A key that is good now, from memory: whatever was done to keys counts after `RevocationWatch.refresh`."""
        found = self._keys.get(key)
        return found if found is not None and self._is_good(found) else None

    def listen_key(self, key: str) -> str:
        """What its user data streams are called."""
        return self._sealer.listen_key(key)

    def listening(self, listen_key: str) -> ApiKey | None:
        """The key of a listen key, if it is good now."""
        return self.find(self._listened.get(listen_key, ""))

    @property
    def count(self) -> int:
        """How many there are, good or expired."""
        return len(self._keys)

    def of(self, email: str) -> list[ApiKey]:
        """Those of a mail address that are good now, oldest first."""
        return [each for each in self._of.get(email, ()) if self._is_good(each)]

    async def create(
        self, email: str, name: str, scopes: Collection[Scope] = tuple(Scope), expires_at: int | None = None
    ) -> ApiKey:
        """A new key of a (normalised) mail address, on disk. Who trades may read, too. Found after the next refresh.

        Raises TooManyKeys, StorageError.
        """
        assert scopes, "a key may do something"
        key, secret, now = secrets.token_hex(_KEY_BYTES), secrets.token_hex(_KEY_BYTES), self._clock.wall_us()
        made = ApiKey(key, secret.encode("ascii"), email, name, frozenset({Scope.READ, *scopes}), now, expires_at)
        if not await self._store.put_api_key(self._sealer.seal(made), now, KEYS_PER_ACCOUNT):
            raise TooManyKeys
        return made

    async def revoke(self, email: str, key: str) -> bool:
        """End a key of a mail address, on disk and here; False when it has none such. Raises StorageError."""
        found = self._keys.get(key)
        if found is not None and found.email == email:
            del self._keys[key]
            self._of[email].remove(found)
        return await self._store.remove_api_key(email, key)

    async def load(self) -> None:
        """Learn which keys there are. What an earlier auth secret has sealed is sealed anew. Raises StorageError."""
        rows = {each.key: each for each in await self._store.api_keys()}
        keys = {name: self._keys[name] for name, row in rows.items() if name in self._keys and row == self._rows[name]}
        for number, row in enumerate([row for name, row in rows.items() if row != self._rows.get(name)], 1):
            opened = self._sealer.open(row)
            if opened is not None:
                keys[row.key], is_newest = opened
                if not is_newest:
                    await self._store.reseal_api_key(self._sealer.seal(keys[row.key]))
            if number % OPENED_PER_TURN == 0:
                await asyncio.sleep(0)
        named = {key: listen_key for listen_key, key in self._listened.items()}
        self._listened = {named.get(key) or self.listen_key(key): key for key in keys}
        self._rows, self._keys, self._of = rows, keys, _by_email(keys.values())

    def _is_good(self, key: ApiKey) -> bool:
        return key.expires_at is None or self._clock.wall_us() < key.expires_at


def _by_email(keys: Iterable[ApiKey]) -> dict[str, list[ApiKey]]:
    by_email: dict[str, list[ApiKey]] = {}
    for each in keys:
        by_email.setdefault(each.email, []).append(each)
    return by_email


def derived(auth_secret: bytes, info: bytes) -> bytes:
    """A key of its own for each purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(auth_secret)


def _bound(stored: StoredKey) -> bytes:
    """All of a row but what is sealed: no other key's, and no other scope, is opened with it."""
    return msgspec.json.encode(msgspec.structs.replace(stored, sealed=b""))


def _key(stored: StoredKey, secret: bytes) -> ApiKey:
    scopes = frozenset(Scope(each) for each in stored.scopes.split(","))
    return ApiKey(stored.key, secret, stored.email, stored.name, scopes, stored.created_at, stored.expires_at)

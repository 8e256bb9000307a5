"""The command `key`: API keys made, listed and revoked, beside a server or without one. A running one learns of it.

Each prints what it did and returns an exit code. They raise StorageError.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from exness.access.api_keys import LONGEST_NAME, ApiKey, ApiKeys, Scope, TooManyKeys, is_name
from exness.app.build import make_keys
from exness.app.databases import open_access
from exness.config import Config
from exness.core.rates import DAY_US
from exness.process.output import deliver, fail, say
from exness.runtime.clock import WallClock
from exness.storage.datadir import prepare
from exness.web.v1.format import iso


def create(config: Config, email: str, name: str, *, read_only: bool, days: int | None) -> int:
    """Make a key of a (normalised) mail address, for so many days or, with None, without an end."""
    if not is_name(name):
        return fail(f"the name of a key is 1 to {LONGEST_NAME} printable characters", code=2)
    scopes = [Scope.READ] if read_only else list(Scope)
    expires_at = None if days is None else WallClock().wall_us() + days * DAY_US

    async def made() -> ApiKey:
        async with _keys(config) as keys:
            return await keys.create(email, name, scopes, expires_at)

    try:
        key = asyncio.run(made())
    except TooManyKeys:
        return fail(f"{email} has as many API keys as it can have: revoke one")
    return deliver(_line({"key": key.key, "secret": key.secret.decode()}))


def list_all(config: Config, email: str) -> int:
    """Those that are good, a line each; never a secret."""

    async def listed() -> list[ApiKey]:
        async with _keys(config) as keys:
            await keys.load()
            return keys.of(email)

    found = asyncio.run(listed())
    return deliver("\n".join(map(_shown, found))) if found else 0


def revoke(config: Config, email: str, key: str) -> int:
    async def revoked() -> bool:
        async with _keys(config) as keys:
            return await keys.revoke(email, key)

    if not asyncio.run(revoked()):
        return fail(f"{email} has no such API key; `exness key list {email}` shows those that it has")
    say(f"the key {key[:8]}... of {email} is revoked")
    return 0


@asynccontextmanager
async def _keys(config: Config) -> AsyncIterator[ApiKeys]:
    prepare(config.storage.data_dir)
    async with open_access(config) as store:
        yield make_keys(config, store, WallClock())


def _shown(key: ApiKey) -> str:
    return _line(
        {
            "key": key.key,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "createdAt": iso(key.created_at),
            "expiresAt": None if key.expires_at is None else iso(key.expires_at),
        }
    )


def _line(fields: dict[str, object]) -> str:
    return msgspec.json.encode(fields).decode()

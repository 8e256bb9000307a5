"""Sessions for the command line: issued, and ended, beside a server or without one."""

import asyncio
from collections.abc import Sequence

from exness.app.build import (
    make_sessions,
)
from exness.config import Config
from exness.runtime.clock import WallClock
from exness.storage.auth import open_auth
from exness.storage.datadir import prepare

DAY_US = 86_400_000_000


def issue_tokens(config: Config, emails: Sequence[str]) -> list[str]:
    """A session token for each mail address; an account is made when one is first used. Raises StorageError."""
    prepare(config.storage.data_dir)
    return asyncio.run(_issue_tokens(config, emails))


def revoke_sessions(config: Config, email: str) -> None:
    """End every session of a mail address that was issued up to now, in a running server too. Raises StorageError."""
    prepare(config.storage.data_dir)
    asyncio.run(_revoke_sessions(config, email))


async def _issue_tokens(config: Config, emails: Sequence[str]) -> list[str]:
    sessions = make_sessions(config, WallClock())
    async with open_auth(config.storage.data_dir) as store:
        sessions.learn(await store.revocations(sessions.generation))
    return [sessions.issue(email) for email in emails]


async def _revoke_sessions(config: Config, email: str) -> None:
    now = WallClock().wall_us()
    async with open_auth(config.storage.data_dir) as store:
        await store.end_sessions_of(email, now, now + config.auth.session_days * DAY_US)

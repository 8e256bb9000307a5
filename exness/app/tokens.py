"""Sessions and sign-in links for the command line: issued, and ended, beside a server or without one."""

import asyncio
from collections.abc import Sequence

from exness.access.live_sessions import LiveSessions, MadeBy
from exness.access.magic_links import MagicLinks
from exness.app.build import make_sessions
from exness.app.databases import open_access
from exness.config import Config
from exness.core.rates import DAY_US
from exness.runtime.clock import WallClock
from exness.storage.datadir import address_noted, prepare
from exness.web.v1 import PREFIX


def issue_tokens(config: Config, emails: Sequence[str]) -> list[str]:
    """A session token for each mail address; an account is made when one is first used. Raises StorageError."""
    prepare(config.storage.data_dir)
    return asyncio.run(_issue_tokens(config, emails))


def revoke_sessions(config: Config, email: str) -> None:
    """End every session of a mail address that was issued up to now, in a running server too. Raises StorageError."""
    prepare(config.storage.data_dir)
    asyncio.run(_revoke_sessions(config, email))


def make_link(config: Config, email: str) -> str | None:
    """A link that signs a mail address in at the server of the data directory; None when none runs there. Raises
    StorageError."""
    prepare(config.storage.data_dir)
    return asyncio.run(_make_link(config, email))


def link_to(base_url: str, token: str) -> str:
    """Where the link of a token leads."""
    return f"{base_url}{PREFIX}/signin/post?token={token}"


async def _make_link(config: Config, email: str) -> str | None:
    url = address_noted(config.storage.data_dir)
    if url is None:
        return None
    async with open_access(config) as store:
        links = MagicLinks(store, None, WallClock(), minutes=config.auth.link_minutes)
        return link_to(url, await links.make(email))


async def _issue_tokens(config: Config, emails: Sequence[str]) -> list[str]:
    sessions = make_sessions(config, WallClock())
    async with open_access(config) as store:
        sessions.learn(await store.revocations(sessions.generation))
        tokens = [sessions.issue(email) for email in emails]
        made = [session for session in map(sessions.check, tokens) if session is not None]
        await LiveSessions(store, sessions).note(made, MadeBy.COMMAND)
    return tokens


async def _revoke_sessions(config: Config, email: str) -> None:
    now = WallClock().wall_us()
    async with open_access(config) as store:
        await store.end_sessions_of(email, now, now + config.auth.session_days * DAY_US)

"""Mailed links and ended sessions: auth.db, apart from the exchange's own data.

It is written by the server and by the command line. Whoever ends sessions also stamps the file `auth.changed` beside
it: one look at that stamp tells a running server whether it has to read again, without a query per request.
"""

import os
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from exness.runtime.ports import Link, Revocations, StorageError
from exness.storage.database import Database, Schema, open_database, transaction

AUTH = Schema("auth", 0x65786175)
AUTH_DB = "auth.db"
CHANGED_FILE = "auth.changed"

LINKS_KEPT = 100_000
"""Links that wait to be opened; beyond it the oldest go."""

VOID_LINKS = "DELETE FROM links WHERE email = ? OR expires_at <= ?"
INSERT_LINK = "INSERT INTO links (token_hash, email, purpose, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
DROP_OLDEST_LINKS = "DELETE FROM links WHERE id <= (SELECT max(id) FROM links) - ?"
SELECT_LINK = """
    SELECT token_hash, email, purpose, created_at, expires_at FROM links WHERE token_hash = ? AND expires_at > ?"""
TAKE_LINK = """
    DELETE FROM links WHERE token_hash = ? AND expires_at > ? AND purpose = ?
    RETURNING token_hash, email, purpose, created_at, expires_at"""
END_SESSION = "INSERT INTO ended_sessions (id, expires_at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
END_ADDRESS = """
    INSERT INTO ended_addresses (email, before) VALUES (?, ?)
    ON CONFLICT (email) DO UPDATE SET before = max(before, excluded.before)"""
DROP_EXPIRED_SESSIONS = "DELETE FROM ended_sessions WHERE expires_at <= ?"
SELECT_SESSIONS = "SELECT id, expires_at FROM ended_sessions"
SELECT_ADDRESSES = "SELECT email, before FROM ended_addresses"


@asynccontextmanager
async def open_auth(data_dir: Path, *, links_kept: int = LINKS_KEPT) -> AsyncIterator["SqliteAuth"]:
    """Open auth.db in `data_dir`, made if it is not there. Raises DatabaseRefused."""
    data_dir = data_dir.absolute()  # noqa: ASYNC240 - asks the system for the current folder only
    async with open_database(data_dir / AUTH_DB, AUTH) as database:
        yield SqliteAuth(database, data_dir / CHANGED_FILE, links_kept)


class SqliteAuth:
    """Implements `ports.AuthStore`."""

    def __init__(self, database: Database, changed_file: Path, links_kept: int) -> None:
        self._database = database
        self._changed_file = str(changed_file)
        self._links_kept = links_kept
        self._seen = -1

    async def put_link(self, link: Link) -> None:
        await self._database.run(_put_link, link, self._links_kept)

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        return await self._database.run(_find_link, token_hash, purposes, now)

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        return await self._database.run(_take_link, token_hash, purposes, now)

    async def end_session(self, session_id: str, expires_at: int) -> None:
        await self._database.run(_end_session, session_id, expires_at)

    async def end_sessions_of(self, email: str, before: int) -> None:
        await self._database.run(_end_sessions_of, email, before)
        _stamp(Path(self._changed_file))

    async def revocations(self, now: int) -> Revocations:
        stamp = self._stamp()  # before reading: what comes in between is read twice rather than never
        revocations = await self._database.run(_revocations, now)
        self._seen = stamp
        return revocations

    def changed(self) -> bool:
        return self._stamp() != self._seen

    def _stamp(self) -> int:
        try:
            return os.stat(self._changed_file).st_mtime_ns  # noqa: PTH116 - twice as fast as Path.stat, once per request
        except FileNotFoundError:
            return 0


def _stamp(path: Path) -> None:
    """To the nanosecond: the file system's own clock may tick only every few milliseconds."""
    try:
        path.touch(mode=0o600)
        now = time.time_ns()
        os.utime(path, ns=(now, now))
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror}; a running server learns of it at its next start"
        ) from error


def _put_link(connection: sqlite3.Connection, link: Link, kept: int) -> None:
    with transaction(connection):
        connection.execute(VOID_LINKS, (link.email, link.created_at))
        connection.execute(INSERT_LINK, (link.token_hash, link.email, link.purpose, link.created_at, link.expires_at))
        connection.execute(DROP_OLDEST_LINKS, (kept,))


def _find_link(connection: sqlite3.Connection, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
    row = connection.execute(SELECT_LINK, (token_hash, now)).fetchone()
    return Link(*row) if row is not None and row[2] in purposes else None


def _take_link(connection: sqlite3.Connection, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
    """One statement deletes and returns: two callers can't both get the row."""
    for purpose in purposes:
        row = connection.execute(TAKE_LINK, (token_hash, now, purpose)).fetchone()
        if row is not None:
            return Link(*row)
    return None


def _end_session(connection: sqlite3.Connection, session_id: str, expires_at: int) -> None:
    connection.execute(END_SESSION, (session_id, expires_at))


def _end_sessions_of(connection: sqlite3.Connection, email: str, before: int) -> None:
    connection.execute(END_ADDRESS, (email, before))


def _revocations(connection: sqlite3.Connection, now: int) -> Revocations:
    with transaction(connection):
        connection.execute(DROP_EXPIRED_SESSIONS, (now,))
        sessions = dict(connection.execute(SELECT_SESSIONS).fetchall())
        return Revocations(sessions, dict(connection.execute(SELECT_ADDRESSES).fetchall()))


class MemoryAuth:
    """The same in memory, for tests."""

    def __init__(self, *, links_kept: int = LINKS_KEPT) -> None:
        self.links: dict[bytes, Link] = {}
        self._links_kept = links_kept
        self._sessions: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
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
        return link if link is not None and link.purpose in purposes and link.expires_at > now else None

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        link = await self.find_link(token_hash, purposes, now)
        return self.links.pop(token_hash) if link is not None else None

    async def end_session(self, session_id: str, expires_at: int) -> None:
        self._sessions[session_id] = expires_at

    async def end_sessions_of(self, email: str, before: int) -> None:
        self._addresses[email] = max(before, self._addresses.get(email, 0))
        self._changed = True

    async def revocations(self, now: int) -> Revocations:
        self._changed = False
        self._sessions = {session: end for session, end in self._sessions.items() if end > now}
        return Revocations(dict(self._sessions), dict(self._addresses))

    def changed(self) -> bool:
        return self._changed

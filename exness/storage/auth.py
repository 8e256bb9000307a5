"""Mailed links, sessions and API keys: auth.db, apart from the exchange's own data.

It is written by the server and by the command line. Whoever ends sessions from outside, or makes or revokes a key, also
adds a byte to the file `auth.changed` beside it: one look at that file tells a running server whether it has to read
again, without a query per request. Its size can't be mistaken, as a time could that comes twice when the clock is set
back.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from exness.access.ports import Link, Revocations, StoredKey, StoredSession
from exness.process.locks import OPEN
from exness.runtime.ports.journal import StorageError
from exness.storage.database import Database, Schema, changing, one_view, open_database, transaction

AUTH = Schema("auth", 0x65786175)
AUTH_DB = "auth.db"
CHANGED_FILE = "auth.changed"

LINKS_KEPT = 100_000
"""Links that wait to be opened; beyond it the oldest go."""
ENDED_KEPT = 100_000
"""Ends of sessions that have not expired yet; beyond it the oldest go, and every session from before them."""

SESSIONS_KEPT = 200_000
"""Sessions that are listed, of all; of those that were made before so many others, none is."""
EXPIRED_AT_ONCE = 100
"""Listed sessions that have expired, of whomever: so many at most go with each that is made."""

KEYS_KEPT = 20_000
"""API keys of all; beyond it no more are made. All of them are in the memory of a server."""

VOID_LINKS = "DELETE FROM links WHERE email = ? OR expires_at <= ?"
INSERT_LINK = "INSERT INTO links (token_hash, email, purpose, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
DROP_OLDEST_LINKS = "DELETE FROM links WHERE id <= (SELECT max(id) FROM links) - ?"
STILL_WORKS = "expires_at > :now AND created_at - :now <= expires_at - created_at"
SELECT_LINK = f"""
    SELECT token_hash, email, purpose, created_at, expires_at FROM links
    WHERE token_hash = :token_hash AND {STILL_WORKS}"""  # nosec B608
TAKE_LINK = f"""
    DELETE FROM links WHERE token_hash = :token_hash AND {STILL_WORKS} AND purpose = :purpose
    RETURNING token_hash, email, purpose, created_at, expires_at"""  # nosec B608
NEXT_GENERATION = "UPDATE issuer SET generation = generation + 1 RETURNING generation"
END = "INSERT OR REPLACE INTO ended (generation, session, email, until, spared) VALUES (?, ?, ?, ?, ?)"
NEWEST_EXPIRED = "SELECT ifnull(max(generation), 0) FROM ended WHERE until <= ?"
RAISE_OLDEST = "UPDATE issuer SET oldest = max(oldest, ?) RETURNING oldest"
DROP_ENDED = "DELETE FROM ended WHERE generation <= ?"
SELECT_ISSUER = "SELECT id, generation, oldest FROM issuer"
SELECT_SESSIONS = """
    SELECT session, generation FROM ended WHERE generation > ? AND session IS NOT NULL ORDER BY generation"""
SELECT_ADDRESSES = """
    SELECT email, generation, spared FROM ended WHERE generation > ? AND email IS NOT NULL ORDER BY generation"""
IS_ENDED = """
    SELECT :generation < (SELECT oldest FROM issuer) OR EXISTS (SELECT 1 FROM ended WHERE session = :session)
        OR EXISTS (SELECT 1 FROM ended WHERE email = :email AND generation > :generation AND spared IS NOT :session)"""
FORGET_SESSIONS = "DELETE FROM sessions WHERE id = ? OR (email = ? AND id IS NOT ?)"
SESSION_COLUMNS = "id, email, generation, created_at, expires_at, signed_by, made_by, client, ip"
INSERT_SESSION = f"INSERT INTO sessions ({SESSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # nosec B608
SELECT_LIST = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE email = ? ORDER BY n"  # nosec B608
DROP_EXPIRED_SESSIONS = "DELETE FROM sessions WHERE email = ? AND expires_at <= ?"
DROP_SOME_EXPIRED = """
    DELETE FROM sessions WHERE n IN (SELECT n FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"""
SELECT_TOO_MANY = "SELECT id FROM sessions WHERE email = ? ORDER BY n DESC LIMIT -1 OFFSET ?"
DROP_OLDEST_SESSIONS = "DELETE FROM sessions WHERE n <= (SELECT max(n) FROM sessions) - ?"
DROP_ALL_SESSIONS = "DELETE FROM sessions"
NEW_ISSUER = "UPDATE issuer SET id = lower(hex(randomblob(16)))"
VOID_ALL_LINKS = "DELETE FROM links"
KEY_COLUMNS = "key, email, name, scopes, created_at, expires_at, sealed"
INSERT_KEY = f"INSERT INTO api_keys ({KEY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # nosec B608
SELECT_KEYS = f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY rowid"  # nosec B608
DELETE_KEY = "DELETE FROM api_keys WHERE key = ? AND email = ?"
HAS_KEYS = "SELECT count(*) FROM {}sqlite_schema WHERE type = 'table' AND name = 'api_keys'"
DELETE_ALL_KEYS = "DELETE FROM api_keys"
DROP_EXPIRED_KEYS = "DELETE FROM api_keys WHERE email = ? AND expires_at <= ?"
DROP_ALL_EXPIRED_KEYS = "DELETE FROM api_keys WHERE expires_at <= ?"
COUNT_KEYS = "SELECT count(*) FROM api_keys"
COUNT_KEYS_OF = "SELECT count(*) FROM api_keys WHERE email = ?"
RESEAL_KEY = "UPDATE api_keys SET sealed = ? WHERE key = ?"


@asynccontextmanager
async def open_auth(
    data_dir: Path,
    *,
    links_kept: int = LINKS_KEPT,
    ended_kept: int = ENDED_KEPT,
    keys_kept: int = KEYS_KEPT,
    sessions_kept: int = SESSIONS_KEPT,
) -> AsyncIterator["SqliteAuth"]:
    """Open auth.db in `data_dir`, made if it is not there. Raises DatabaseRefused."""
    data_dir = data_dir.absolute()  # noqa: ASYNC240 - asks the system for the current folder only
    async with open_database(data_dir / AUTH_DB, AUTH) as database:
        yield SqliteAuth(database, data_dir / CHANGED_FILE, links_kept, ended_kept, keys_kept, sessions_kept)


def end_everything(data_dir: Path) -> None:
    """Void every link and end every session of a data directory, by another id of its store. Raises StorageError.

    Where there is no auth.db, nothing is to do: the next start makes one, and it has an id of its own.
    """
    path = data_dir.absolute() / AUTH_DB
    if not path.exists():
        return
    with changing(path, AUTH) as connection:
        connection.execute(NEW_ISSUER)
        connection.execute(VOID_ALL_LINKS)
        connection.execute(DROP_ALL_SESSIONS)


def copy_keys(data_dir: Path, copy: sqlite3.Connection) -> None:
    """Put the API keys of a data directory into a backup, which has none yet. Raises sqlite3.Error."""
    path = data_dir.absolute() / AUTH_DB
    if not path.exists():
        return
    copy.execute("ATTACH DATABASE ? AS auth", (f"{path.as_uri()}?mode=ro",))
    if copy.execute(HAS_KEYS.format("auth.")).fetchone()[0]:
        copy.execute(f"CREATE TABLE api_keys AS SELECT {KEY_COLUMNS} FROM auth.api_keys ORDER BY rowid")  # nosec B608


def keys_in(backup: sqlite3.Connection) -> list[StoredKey]:
    """The API keys of a backup; of one that an older version made, none."""
    if not backup.execute(HAS_KEYS.format("")).fetchone()[0]:
        return []
    return _api_keys(backup)


def replace_keys(data_dir: Path, keys: Sequence[StoredKey]) -> None:
    """Have these API keys and no others in a data directory. Raises StorageError."""
    path = data_dir.absolute() / AUTH_DB
    if not keys and not path.exists():
        return
    with changing(path, AUTH) as connection:
        connection.execute(DELETE_ALL_KEYS)
        connection.executemany(INSERT_KEY, map(msgspec.structs.astuple, keys))


class SqliteAuth:
    """Implements `access.ports.AuthStore`."""

    def __init__(
        self,
        database: Database,
        changed_file: Path,
        links_kept: int,
        ended_kept: int,
        keys_kept: int,
        sessions_kept: int,
    ) -> None:
        self._database = database
        self._changed_file = str(changed_file)
        self._links_kept = links_kept
        self._ended_kept = ended_kept
        self._keys_kept = keys_kept
        self._sessions_kept = sessions_kept
        self._seen: tuple[int, int] | None = None

    async def put_link(self, link: Link) -> None:
        await self._database.run(_put_link, link, self._links_kept)

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        return await self._database.run(_find_link, token_hash, purposes, now)

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        return await self._database.run(_take_link, token_hash, purposes, now)

    async def end_session(self, session_id: str, now: int, until: int) -> None:
        await self._database.run(_end, session_id, None, now, until, self._ended_kept)

    async def end_sessions_of(self, email: str, now: int, until: int) -> None:
        await self._database.run(_end, None, email, now, until, self._ended_kept)
        _note_change(self._changed_file)

    async def end_other_sessions(self, session_id: str, email: str, generation: int, now: int, until: int) -> bool:
        kept = self._ended_kept
        done = await self._database.run(_end_others, session_id, email, generation, now, until, kept)
        if done:
            _note_change(self._changed_file)
        return done

    async def put_sessions(self, made: Sequence[StoredSession], now: int, until: int, most: int) -> None:
        kept = self._sessions_kept, self._ended_kept
        if await self._database.run(_put_sessions, made, now, until, most, *kept):
            _note_change(self._changed_file)

    async def sessions_of(self, email: str) -> list[StoredSession]:
        return await self._database.run(_sessions_of, email)

    async def revocations(self, after: int) -> Revocations:
        seen = self._look()  # before reading: what comes in between is read twice rather than never
        revocations = await self._database.run(_revocations, after)
        self._seen = seen
        return revocations

    async def put_api_key(self, key: StoredKey, now: int, most: int) -> bool:
        kept = await self._database.run(_put_api_key, key, now, most, self._keys_kept)
        if kept:
            _note_change(self._changed_file)
        return kept

    async def remove_api_key(self, email: str, key: str) -> bool:
        removed = await self._database.run(_remove_api_key, email, key)
        if removed:
            _note_change(self._changed_file)
        return removed

    async def reseal_api_key(self, key: StoredKey) -> None:
        await self._database.run(_reseal_api_key, key)

    async def api_keys(self) -> list[StoredKey]:
        return await self._database.run(_api_keys)

    def changed(self) -> bool:
        return self._look() != self._seen

    def _look(self) -> tuple[int, int]:
        try:
            found = os.stat(self._changed_file)  # noqa: PTH116 - twice as fast as Path.stat, once per request
        except FileNotFoundError:
            return 0, 0
        return found.st_size, found.st_ino


def _note_change(path: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | OPEN, 0o600)
        try:
            os.write(handle, b".")
        finally:
            os.close(handle)
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
    row = connection.execute(SELECT_LINK, {"token_hash": token_hash, "now": now}).fetchone()
    return Link(*row) if row is not None and row[2] in purposes else None


def _take_link(connection: sqlite3.Connection, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
    """One statement deletes and returns: two callers can't both get the row."""
    for purpose in purposes:
        values = {"token_hash": token_hash, "now": now, "purpose": purpose}
        row = connection.execute(TAKE_LINK, values).fetchone()
        if row is not None:
            return Link(*row)
    return None


def _end(
    connection: sqlite3.Connection, session: str | None, email: str | None, now: int, until: int, kept: int
) -> None:
    with transaction(connection):
        _put_end(connection, session, email, None, now, until, kept)


def _end_others(
    connection: sqlite3.Connection, session: str, email: str, generation: int, now: int, until: int, kept: int
) -> bool:
    with transaction(connection):
        values = {"session": session, "email": email, "generation": generation}
        if connection.execute(IS_ENDED, values).fetchone()[0]:
            return False
        _put_end(connection, None, email, session, now, until, kept)
    return True


def _put_end(
    connection: sqlite3.Connection,
    session: str | None,
    email: str | None,
    spared: str | None,
    now: int,
    until: int,
    kept: int,
) -> None:
    """End one session or those of an address, and drop what has expired: it grows nowhere else, so it stays bounded."""
    generation = connection.execute(NEXT_GENERATION).fetchone()[0]
    connection.execute(END, (generation, session, email, until, spared))
    expired = connection.execute(NEWEST_EXPIRED, (now,)).fetchone()[0]
    oldest = connection.execute(RAISE_OLDEST, (max(expired, generation - kept),)).fetchone()[0]
    connection.execute(DROP_ENDED, (oldest,))
    connection.execute(FORGET_SESSIONS, (session, email, spared))


def _put_sessions(
    connection: sqlite3.Connection,
    made: Sequence[StoredSession],
    now: int,
    until: int,
    most: int,
    kept: int,
    ended_kept: int,
) -> bool:
    """Whether any other was ended to make room."""
    ended = False
    with transaction(connection):
        connection.execute(DROP_SOME_EXPIRED, (now, EXPIRED_AT_ONCE))
        for each in made:
            connection.execute(DROP_EXPIRED_SESSIONS, (each.email, now))
            connection.execute(INSERT_SESSION, msgspec.structs.astuple(each))
            for (surplus,) in connection.execute(SELECT_TOO_MANY, (each.email, most)).fetchall():
                _put_end(connection, surplus, None, None, now, until, ended_kept)
                ended = True
        connection.execute(DROP_OLDEST_SESSIONS, (kept,))
    return ended


def _sessions_of(connection: sqlite3.Connection, email: str) -> list[StoredSession]:
    return [StoredSession(*row) for row in connection.execute(SELECT_LIST, (email,))]


def _revocations(connection: sqlite3.Connection, after: int) -> Revocations:
    with one_view(connection):
        issuer, generation, oldest = connection.execute(SELECT_ISSUER).fetchone()
        sessions = dict(connection.execute(SELECT_SESSIONS, (after,)).fetchall())
        rows = connection.execute(SELECT_ADDRESSES, (after,)).fetchall()
    addresses = {email: generation for email, generation, _ in rows}
    spared = {email: session for email, _, session in rows if session is not None}
    return Revocations(issuer, generation, oldest, sessions, addresses, spared)


def _put_api_key(connection: sqlite3.Connection, key: StoredKey, now: int, most: int, kept: int) -> bool:
    with transaction(connection):
        connection.execute(DROP_EXPIRED_KEYS, (key.email, now))
        if connection.execute(COUNT_KEYS_OF, (key.email,)).fetchone()[0] >= most:
            return False
        if connection.execute(COUNT_KEYS).fetchone()[0] >= kept:
            connection.execute(DROP_ALL_EXPIRED_KEYS, (now,))
            if connection.execute(COUNT_KEYS).fetchone()[0] >= kept:
                return False
        connection.execute(INSERT_KEY, msgspec.structs.astuple(key))
    return True


def _remove_api_key(connection: sqlite3.Connection, email: str, key: str) -> bool:
    return connection.execute(DELETE_KEY, (key, email)).rowcount > 0


def _reseal_api_key(connection: sqlite3.Connection, key: StoredKey) -> None:
    connection.execute(RESEAL_KEY, (key.sealed, key.key))


def _api_keys(connection: sqlite3.Connection) -> list[StoredKey]:
    return [StoredKey(*row) for row in connection.execute(SELECT_KEYS)]

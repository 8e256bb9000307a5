"""Mailed links, sessions and API keys in PostgreSQL.

Whoever ends sessions, or makes or revokes a key, notifies all that listen, in the same transaction. Who has lost the
connection on which it listens reads everything again.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from exness.access.ports import Link, Revocations, StoredKey, StoredSession
from exness.storage.auth import (
    ENDED_KEPT,
    EXPIRED_AT_ONCE,
    KEY_COLUMNS,
    KEYS_KEPT,
    LINKS_KEPT,
    SESSION_COLUMNS,
    SESSIONS_KEPT,
)
from exness.storage.postgres.migrate import make, require
from exness.storage.postgres.session import Address, Connection, Session, open_session

LINK = "token_hash, email, purpose, created_at, expires_at"
VOID_LINKS = "DELETE FROM links WHERE email = $1 OR expires_at <= $2"
INSERT_LINK = f"INSERT INTO links ({LINK}) VALUES ($1, $2, $3, $4, $5)"  # of constants alone  # nosec B608
DROP_OLDEST_LINKS = """
    DELETE FROM links WHERE id <= (SELECT id FROM links ORDER BY id DESC LIMIT 1 OFFSET $1)"""
STILL_WORKS = "token_hash = $1 AND expires_at > $2 AND created_at - $2 <= expires_at - created_at"
SELECT_LINK = f"SELECT {LINK} FROM links WHERE {STILL_WORKS} AND purpose = ANY($3::text[])"  # nosec B608
TAKE_LINK = f"DELETE FROM links WHERE {STILL_WORKS} AND purpose = ANY($3::text[]) RETURNING {LINK}"  # nosec B608
NEXT_GENERATION = "UPDATE issuer SET generation = generation + 1 RETURNING generation"
FORGET_END = "DELETE FROM ended WHERE session = $1 OR email = $2"
END = "INSERT INTO ended (generation, session, email, until, spared) VALUES ($1, $2, $3, $4, $5)"
NEWEST_EXPIRED = "SELECT coalesce(max(generation), 0) FROM ended WHERE until <= $1"
RAISE_OLDEST = "UPDATE issuer SET oldest = greatest(oldest, $1) RETURNING oldest"
DROP_ENDED = "DELETE FROM ended WHERE generation <= $1"
SELECT_ENDED = "SELECT generation, session, email, spared FROM ended WHERE generation > $1 ORDER BY generation"
IS_ENDED = """
    SELECT $2 < (SELECT oldest FROM issuer) OR EXISTS (SELECT 1 FROM ended WHERE session = $1)
        OR EXISTS (SELECT 1 FROM ended WHERE email = $3 AND generation > $2 AND spared IS DISTINCT FROM $1)"""
FORGET_SESSIONS = "DELETE FROM sessions WHERE id = $1 OR (email = $2 AND id IS DISTINCT FROM $3)"
INSERT_SESSION = f"""
    INSERT INTO sessions ({SESSION_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""  # nosec B608
SELECT_LIST = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE email = $1 ORDER BY n"  # nosec B608
DROP_SOME_EXPIRED = """
    DELETE FROM sessions WHERE n IN (SELECT n FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)"""
SELECT_TOO_MANY = "SELECT id FROM sessions WHERE email = $1 ORDER BY n DESC OFFSET $2"
DROP_OLDEST_SESSIONS = "DELETE FROM sessions WHERE n <= (SELECT max(n) FROM sessions) - $1"
INSERT_KEY = f"INSERT INTO api_keys ({KEY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"  # nosec B608
SELECT_KEYS = f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY id"  # of constants alone  # nosec B608
LOCK = "SELECT 1 FROM issuer FOR UPDATE"
"""Two that come at the same time must not both find room."""


@asynccontextmanager
async def open_auth(
    address: Address,
    *,
    beside_engine: bool = True,
    links_kept: int = LINKS_KEPT,
    ended_kept: int = ENDED_KEPT,
    keys_kept: int = KEYS_KEPT,
    sessions_kept: int = SESSIONS_KEPT,
) -> AsyncIterator["PostgresAuth"]:
    """`beside_engine`: the schema is made when it is not there, and must be of this version. Raises StorageError."""
    async with open_session(address, "exness access") as session:
        # First of all: it listens on every connection that is made.
        access = PostgresAuth(session, links_kept, ended_kept, keys_kept, sessions_kept)
        if beside_engine:
            await session.run(lambda connection: _ready(connection, address))
        yield access


async def _ready(connection: Connection, address: Address) -> None:
    await make(connection, address)
    await require(connection, address)


class PostgresAuth:
    """Implements `access.ports.AuthStore`."""

    def __init__(self, session: Session, links_kept: int, ended_kept: int, keys_kept: int, sessions_kept: int) -> None:
        self._session = session
        self._channel = f"{session.address.schema}_access"
        self._links_kept = links_kept
        self._ended_kept = ended_kept
        self._keys_kept = keys_kept
        self._sessions_kept = sessions_kept
        self._changed = True
        session.call_on_connect(self._listen)

    async def put_link(self, link: Link) -> None:
        async def put(connection: Connection) -> None:
            await connection.execute(VOID_LINKS, link.email, link.created_at)
            await connection.execute(INSERT_LINK, *msgspec.structs.astuple(link))
            await connection.execute(DROP_OLDEST_LINKS, self._links_kept)

        await self._session.write(put)

    async def find_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        row = await self._session.run(
            lambda connection: connection.fetchrow(SELECT_LINK, token_hash, now, list(purposes))
        )
        return None if row is None else Link(*row)

    async def take_link(self, token_hash: bytes, purposes: Sequence[str], now: int) -> Link | None:
        """One statement deletes and returns: two callers can't both get the row."""
        row = await self._session.run(
            lambda connection: connection.fetchrow(TAKE_LINK, token_hash, now, list(purposes))
        )
        return None if row is None else Link(*row)

    async def end_session(self, session_id: str, now: int, until: int) -> None:
        await self._session.write(lambda connection: self._end(connection, session_id, None, None, now, until))

    async def end_sessions_of(self, email: str, now: int, until: int) -> None:
        await self._session.write(lambda connection: self._end(connection, None, email, None, now, until))
        self._changed = True

    async def end_other_sessions(self, session_id: str, email: str, generation: int, now: int, until: int) -> bool:
        async def end(connection: Connection) -> bool:
            await connection.execute(LOCK)
            if await connection.fetchval(IS_ENDED, session_id, generation, email):
                return False
            await self._end(connection, None, email, session_id, now, until)
            return True

        done: bool = await self._session.write(end)
        self._changed = self._changed or done
        return done

    async def put_sessions(self, made: Sequence[StoredSession], now: int, until: int, most: int) -> None:
        async def put(connection: Connection) -> bool:
            ended = False
            await connection.execute(LOCK)
            await connection.execute(DROP_SOME_EXPIRED, now, EXPIRED_AT_ONCE)
            for each in made:
                await connection.execute("DELETE FROM sessions WHERE email = $1 AND expires_at <= $2", each.email, now)
                await connection.execute(INSERT_SESSION, *msgspec.structs.astuple(each))
                for (surplus,) in await connection.fetch(SELECT_TOO_MANY, each.email, most):
                    await self._end(connection, surplus, None, None, now, until)
                    ended = True
            await connection.execute(DROP_OLDEST_SESSIONS, self._sessions_kept)
            return ended

        ended: bool = await self._session.write(put)
        self._changed = self._changed or ended

    async def sessions_of(self, email: str) -> list[StoredSession]:
        rows = await self._session.run(lambda connection: connection.fetch(SELECT_LIST, email))
        return [StoredSession(*row) for row in rows]

    async def revocations(self, after: int) -> Revocations:
        async def read(connection: Connection) -> Revocations:
            self._changed = False  # before reading: what comes in between is read twice rather than never
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                issuer = await connection.fetchrow("SELECT id, generation, oldest FROM issuer")
                rows = await connection.fetch(SELECT_ENDED, after)
            sessions = {session: generation for generation, session, _, _ in rows if session is not None}
            addresses = {email: generation for generation, _, email, _ in rows if email is not None}
            spared = {email: session for _, _, email, session in rows if session is not None}
            return Revocations(issuer["id"], issuer["generation"], issuer["oldest"], sessions, addresses, spared)

        try:
            return await self._session.run(read)
        except BaseException:
            self._changed = True
            raise

    async def put_api_key(self, key: StoredKey, now: int, most: int) -> bool:
        kept: bool = await self._session.write(lambda connection: self._put_key(connection, key, now, most))
        self._changed = self._changed or kept
        return kept

    async def remove_api_key(self, email: str, key: str) -> bool:
        async def removed(connection: Connection) -> bool:
            status = await connection.execute("DELETE FROM api_keys WHERE key = $1 AND email = $2", key, email)
            await self._notify(connection)
            return bool(status != "DELETE 0")

        gone = await self._session.write(removed)
        self._changed = self._changed or gone
        return gone

    async def reseal_api_key(self, key: StoredKey) -> None:
        await self._session.run(
            lambda connection: connection.execute("UPDATE api_keys SET sealed = $1 WHERE key = $2", key.sealed, key.key)
        )

    async def api_keys(self) -> list[StoredKey]:
        return [StoredKey(*row) for row in await self._session.run(lambda connection: connection.fetch(SELECT_KEYS))]

    def changed(self) -> bool:
        return self._changed

    async def _end(
        self, connection: Connection, session: str | None, email: str | None, spared: str | None, now: int, until: int
    ) -> None:
        """And drop what has expired: it grows nowhere else, so it stays bounded."""
        generation = await connection.fetchval(NEXT_GENERATION)
        await connection.execute(FORGET_END, session, email)
        await connection.execute(END, generation, session, email, until, spared)
        expired = await connection.fetchval(NEWEST_EXPIRED, now)
        oldest = await connection.fetchval(RAISE_OLDEST, max(expired, generation - self._ended_kept))
        await connection.execute(DROP_ENDED, oldest)
        await connection.execute(FORGET_SESSIONS, session, email, spared)
        await self._notify(connection)

    async def _put_key(self, connection: Connection, key: StoredKey, now: int, most: int) -> bool:
        await connection.execute(LOCK)
        await connection.execute("DELETE FROM api_keys WHERE email = $1 AND expires_at <= $2", key.email, now)
        if await connection.fetchval("SELECT count(*) FROM api_keys WHERE email = $1", key.email) >= most:
            return False
        if await connection.fetchval("SELECT count(*) FROM api_keys") >= self._keys_kept:
            await connection.execute("DELETE FROM api_keys WHERE expires_at <= $1", now)
            if await connection.fetchval("SELECT count(*) FROM api_keys") >= self._keys_kept:
                return False
        await connection.execute(INSERT_KEY, *msgspec.structs.astuple(key))
        await self._notify(connection)
        return True

    async def _notify(self, connection: Connection) -> None:
        await connection.execute("SELECT pg_notify($1, '')", self._channel)

    async def _listen(self, connection: Connection) -> None:
        self._changed = True
        await connection.add_listener(self._channel, self._heard)
        connection.add_termination_listener(self._deaf)

    def _heard(self, connection: Connection, pid: int, channel: str, payload: str) -> None:
        """Of our own doing we know."""
        if pid != connection.get_server_pid():
            self._changed = True

    def _deaf(self, _: Connection) -> None:
        """Until it listens again: the next look makes the connection anew."""
        self._changed = True

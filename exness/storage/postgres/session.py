"""A connection to PostgreSQL, made, checked, and made again when it was lost. What it says of itself names no secret.

Who writes, holds a lock or listens must have a session of its own in the server. A pooler that hands sessions out per
transaction takes all of that away without a word: it is found out, and refused.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import asyncpg

from exness.runtime.ports.journal import StorageError, StorageUnreachable
from exness.storage.database import DatabaseRefused

T = TypeVar("T")
Connection = Any
"""asyncpg's; it has no types."""

FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises. A session that is cut shows as any of them."""

GOES_AWAY = frozenset({"57P01", "57P02", "57P03", "08000", "08003", "08006", "53300"})
"""It is told to stop, crashes, starts, or has no place left for a connection."""

CONNECT_S = 10.0
OLDEST_SERVER = 150_000
SILENT_S = 3
"""After so long without a sign of life from the other side both give a session up; the system's own is two hours."""

KEEPALIVE = {
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": str(SILENT_S),
    "tcp_user_timeout": str(SILENT_S * 1_000),
}
NEVER_CUT = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""A commit that is ended from our side is done here and perhaps not on the standby, with a mere warning."""

RESERVED = re.compile(r'(?<!")\btrailing\b')
"""Names of our columns that are words of PostgreSQL's SQL."""

HOSTS = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?(,([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?)*")
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


def quoted(statement: str) -> str:
    """With such names as names."""
    return RESERVED.sub(lambda match: f'"{match[0]}"', statement)


class Address(NamedTuple):
    """Where an exchange is kept. `url` is a secret."""

    url: str
    schema: str = "exness"
    shard: int = 0

    def __repr__(self) -> str:
        return f"Address({self.describe()!r})"

    def describe(self) -> str:
        """Without user and password."""
        parts = urlsplit(self.url)
        hosts, database = parts.netloc.rpartition("@")[2], parts.path.lstrip("/")
        if not HOSTS.fullmatch(hosts) or "@" in database:  # a password that is not quoted as a URL wants it
            return f"PostgreSQL, schema {self.schema}"
        return f"PostgreSQL at {hosts}, database {database or 'of the user'}, schema {self.schema}"


def explained(address: Address, error: BaseException) -> StorageError:
    """As a sentence for the operator."""
    if isinstance(error, asyncpg.PostgresError):
        kind = StorageUnreachable if error.sqlstate in GOES_AWAY else StorageError
        why = f"{error.args[0] if error.args else type(error).__name__} (SQLSTATE {error.sqlstate})"
    elif isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        kind, why = StorageUnreachable, "no host there takes writes: all are standbys"
    elif isinstance(error, OSError):
        kind, why = StorageUnreachable, error.strerror or "it does not answer"
    else:
        kind, why = StorageUnreachable, f"the session was lost ({type(error).__name__})"
    return kind(f"{address.describe()} can't be used: {' '.join(str(why).split())}")


async def connect(address: Address, application: str) -> Connection:
    """A session that is ready for work. Raises DatabaseRefused, StorageError."""
    try:
        connection = await asyncpg.connect(
            address.url, timeout=CONNECT_S, target_session_attrs="read-write", command_timeout=None
        )
    except (asyncpg.ClientConfigurationError, ValueError) as error:  # its words may repeat parts of the URL
        raise DatabaseRefused("deploy.database can't be read as the URL of a PostgreSQL database") from error
    except TimeoutError as error:
        raise StorageUnreachable(f"{address.describe()} does not answer within {CONNECT_S:g} s") from error
    except FAULTS as error:
        raise explained(address, error) from error
    try:
        await _prepare(connection, address, application)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _prepare(connection: Connection, address: Address, application: str) -> None:
    settings = {"search_path": f'"{address.schema}"', "application_name": application, **KEEPALIVE, **NEVER_CUT}
    try:
        told = await connection.fetchrow(
            """SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS version,
                current_setting('fsync') AS fsync, current_setting('server_encoding') AS encoding"""
        )
        _refuse(connection, address, told)
        names, values = list(settings), list(settings.values())
        await connection.execute(
            "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS given (name, value)",
            names,
            values,
        )
        if await connection.fetchval("SELECT current_setting('synchronous_commit')") in ("off", "local"):
            await connection.execute("SELECT set_config('synchronous_commit', 'on', false)")
    except FAULTS as error:
        raise explained(address, error) from error
    _keep_alive(connection)


def _refuse(connection: Connection, address: Address, told: Any) -> None:
    if told["pid"] != connection.get_server_pid():
        raise DatabaseRefused(
            f"{address.describe()} is behind a connection pooler, which takes locks and prepared statements away "
            "between two transactions: name the database itself in deploy.database"
        )
    if told["version"] < OLDEST_SERVER:
        raise DatabaseRefused(
            f"{address.describe()} is release {told['version'] // 10_000}, and exness needs "
            f"{OLDEST_SERVER // 10_000} or newer"
        )
    if told["fsync"] != "on":
        raise DatabaseRefused(
            f"{address.describe()} has fsync = off: a power cut would take acknowledged trades; set it to on"
        )
    if told["encoding"] != "UTF8":
        raise DatabaseRefused(f"{address.describe()} has the encoding {told['encoding']}: it must be UTF8")


def _keep_alive(connection: Connection) -> None:
    """From our side, as `KEEPALIVE` does from the server's. asyncpg has no setting for it."""
    transport = getattr(connection, "_transport", None)
    bound = transport.get_extra_info("socket") if transport is not None else None
    if bound is None or bound.family not in (socket.AF_INET, socket.AF_INET6):
        return
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", SILENT_S)):
        if hasattr(socket, name):
            bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1_000)


class Session:
    """One connection, which does one thing at a time, and is made again when it was lost."""

    def __init__(self, address: Address, application: str) -> None:
        self.address = address
        self._application = application
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._on_connect: Callable[[Connection], Awaitable[None]] | None = None

    def call_on_connect(self, call: Callable[[Connection], Awaitable[None]]) -> None:
        """Have this awaited with every connection that is made."""
        self._on_connect = call

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Raises StorageError."""
        async with self._lock:
            try:
                return await work(await self._connected())
            except FAULTS as error:
                raise explained(self.address, error) from error
            except OverflowError as error:
                raise StorageError("a number over 64 bits can't be stored") from error

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """In one transaction, all or nothing."""

        async def whole(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(whole)

    async def close(self) -> None:
        async with self._lock:
            if self._connection is not None:
                await close(self._connection)
                self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self.address, self._application)
            if self._on_connect is not None:
                await self._on_connect(self._connection)
        return self._connection


async def close(connection: Connection) -> None:
    """In order, or, where that fails or takes long, at once."""
    with suppress(*FAULTS, TimeoutError):
        await connection.close(timeout=2.0)
    connection.terminate()


@asynccontextmanager
async def open_session(address: Address, application: str) -> AsyncIterator[Session]:
    session = Session(address, application)
    try:
        yield session
    finally:
        await session.close()

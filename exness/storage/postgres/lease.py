"""Which process is the engine of a shard. The lock decides who tries, the epoch decides who writes.

The lock is the session's that writes: what a dead engine's session was still doing ends before the next one has it. It
is asked for again and again, as a session that waits in the server holds its vacuum back for as long. The lock alone
would not do: a session can outlive its process, or end without the process knowing. So whoever has the lock begins an
epoch, and every append names its own.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import structlog

from exness.runtime.ports.journal import Fenced, StorageError
from exness.storage.database import DatabaseRefused
from exness.storage.postgres.migrate import lock_key, make, migrate
from exness.storage.postgres.session import FAULTS, Address, Connection, Session, close, connect, explained

T = TypeVar("T")

_log = structlog.get_logger("exness.storage.postgres")

ASK_EVERY_S = 0.1
LOOK_EVERY_S = 0.5
"""At whether the epoch is still ours, while nothing is written."""

PROCESSOR, POLLER = 1_000, 2_000
"""What is added to a shard's number for the locks of these two; the engine's is the number itself."""

TRY_LOCK = "SELECT pg_try_advisory_lock($1, $2)"
TAKE = """
    UPDATE shards SET epoch = epoch + 1, holder = $2, taken_at = now() WHERE shard = $1
    RETURNING epoch, holder, last_seq, price_id"""
SELECT_EPOCH = "SELECT epoch FROM shards WHERE shard = $1"
SELECT_HOLDER = """
    SELECT format('process %s from %s, for %s', pid, coalesce(client_addr::text, 'this machine'),
        date_trunc('second', now() - backend_start))
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = $1::bigint::oid AND objid = $2::bigint::oid AND granted
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
COPIES = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


class Lease:
    """The shard is this process's, over this connection, in this epoch."""

    def __init__(
        self, address: Address, connection: Connection, epoch: int, last_seq: int, holder: str = "", position: str = ""
    ) -> None:
        self.address = address
        self.connection = connection
        self.epoch = epoch
        self.last_seq = last_seq
        self.holder = holder
        self.position = position
        """Where the stream of prices is worked off; "" where there was none."""
        self.copies = 1
        """On how many machines a commit is when it returns, as the database tells."""
        self._warning: str | None = None
        self._lost = asyncio.Event()
        connection.add_log_listener(self._heard)
        connection.add_termination_listener(self._ended)

    def refuse_warned(self) -> None:
        """Raises StorageError when the server has warned of anything: see `journal`."""
        if self._warning is not None:
            raise StorageError(
                f"{self.address.describe()} warned of a commit ({self._warning}): it may be on one machine only, "
                "so nothing more is acknowledged; start again"
            )

    async def watch(self, reader: Session) -> None:
        """Until the shard is no longer this process's. Raises Fenced, StorageError: it must end then, so that nobody
        reads from it what has been overtaken."""
        while True:
            lost = asyncio.create_task(self._lost.wait())
            try:
                await asyncio.wait((lost,), timeout=LOOK_EVERY_S)
            finally:
                lost.cancel()
            if self._lost.is_set():
                raise StorageError(f"{self.address.describe()}: the session that holds the shard was lost; start again")
            epoch = self.epoch
            with suppress(StorageError):  # that one is made anew; whether ours is there, the other end of it tells
                epoch = await reader.run(lambda connection: connection.fetchval(SELECT_EPOCH, self.address.shard))
            if epoch != self.epoch:
                raise Fenced(
                    f"another process is the engine of shard {self.address.shard} now (epoch {epoch}, "
                    f"this one's was {self.epoch}): this one ends"
                )

    async def is_ours(self, session: Session) -> bool:
        """Whether the shard was still this process's after it was asked. Raises StorageError."""
        epoch = await session.run(lambda connection: connection.fetchval(SELECT_EPOCH, self.address.shard))
        return bool(epoch == self.epoch)

    def _heard(self, _: Connection, message: object) -> None:
        if str(getattr(message, "severity_en", None) or getattr(message, "severity", "")) == "WARNING":
            self._warning = " ".join(str(getattr(message, "message", message)).split())

    def _ended(self, _: Connection) -> None:
        self._lost.set()


@asynccontextmanager
async def take(address: Address) -> AsyncIterator[Lease]:
    """Become the engine of the shard, however long that takes: until then this process is a spare, which outlasts a
    database that restarts. The schema is made or brought to the present version. Raises StorageError."""
    lease = await _locked(address, "engine", address.shard, _begin_epoch)
    try:
        _log.info("this process is the engine", shard=address.shard, epoch=lease.epoch)
        yield lease
    finally:
        await close(lease.connection)


async def _begin_epoch(address: Address, connection: Connection) -> Lease:
    await migrate(connection, address)
    row = await connection.fetchrow(TAKE, address.shard, secrets.token_hex(8))
    if row is None:
        raise DatabaseRefused(f"{address.describe()} has no shard {address.shard}")
    lease = Lease(address, connection, row["epoch"], row["last_seq"], row["holder"], row["price_id"])
    lease.copies += await connection.fetchval(COPIES)
    return lease


@asynccontextmanager
async def be_the_only(address: Address, role: str, number: int) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Become the one process of a role, however long that takes. Yields what runs until it is that no more, and raises
    StorageError then. Whatever such a process writes must bear a second one for a moment."""
    connection = await _locked(address, role, number, _as_it_is)
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())

    async def watch() -> None:
        await lost.wait()
        raise StorageError(f"{address.describe()}: the session of this {role} was lost; start again")

    try:
        _log.info(f"this process is the {role}", shard=address.shard)
        yield watch
    finally:
        await close(connection)


async def _as_it_is(_: Address, connection: Connection) -> Connection:
    return connection


async def _locked(address: Address, role: str, number: int, begin: Callable[[Address, Connection], Awaitable[T]]) -> T:
    """What `begin` makes of a connection that holds a lock. A spare whose session is lost goes on waiting, also while
    it begins: what ended the session of the active one may end its own an instant later."""
    is_spare = is_told = False
    while True:
        try:
            connection = await connect(address, f"exness {role} {address.shard}")
            try:
                await make(connection, address)
                is_told = False
                while not await connection.fetchval(TRY_LOCK, lock_key(address), number):
                    if not is_spare:
                        is_spare = True
                        holder = await connection.fetchval(SELECT_HOLDER, lock_key(address) % 2**32, number)
                        _log.info(f"waiting as a spare: another process is the {role}", holder=holder)
                    await asyncio.sleep(ASK_EVERY_S)
                return await begin(address, connection)
            except BaseException as error:
                connection.terminate()
                if isinstance(error, FAULTS):
                    raise explained(address, error) from error
                raise
        except StorageError as error:
            if not is_spare or isinstance(error, DatabaseRefused):
                raise
            if not is_told:
                _log.info("the database is not there", why=str(error))
            is_told = True
            await asyncio.sleep(ASK_EVERY_S)


@asynccontextmanager
async def held(address: Address) -> AsyncIterator[Connection]:
    """Keep engines out, for a command on the data. Raises StorageError when one is at work."""
    connection = await connect(address, "exness")
    try:
        for number in (address.shard, PROCESSOR + address.shard):
            keys = lock_key(address), number
            if not await connection.fetchval(TRY_LOCK, *keys):
                holder = await connection.fetchval(SELECT_HOLDER, keys[0] % 2**32, keys[1])
                raise StorageError(
                    f"{address.describe()} is in use by a server ({holder}): stop it and its spares first"
                )
        yield connection
    except FAULTS as error:
        raise explained(address, error) from error
    finally:
        await close(connection)

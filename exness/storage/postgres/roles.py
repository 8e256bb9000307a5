"""What each process of a spread-out exchange opens in PostgreSQL. Only the engine makes and migrates what is there;
the others wait until it has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from exness.core.instruments import Asset
from exness.runtime.listings import Listing
from exness.runtime.ports.journal import StorageUnreachable
from exness.runtime.ports.tables import History
from exness.storage.database import DatabaseRefused
from exness.storage.postgres.auth import PostgresAuth, open_auth
from exness.storage.postgres.history import postgres_history
from exness.storage.postgres.journal import PostgresJournal, PostgresRecords
from exness.storage.postgres.lease import POLLER, PROCESSOR, Lease, be_the_only, take
from exness.storage.postgres.market import PostgresCandles
from exness.storage.postgres.migrate import HAS_SCHEMA, VERSION_TABLE, require
from exness.storage.postgres.session import Address, Connection, Session, open_session
from exness.storage.postgres.snapshots import PostgresSnapshots
from exness.storage.postgres.storage import SELECT_DECIMALS, configure_assets, discard_stale, refuse_lost
from exness.storage.postgres.tables import HAS_TABLES, PostgresTables

_log = structlog.get_logger("exness.storage.postgres")

ASK_EVERY_S = 0.2

Watch = Callable[[], Awaitable[None]]
"""Runs until this process is not the one of its role any more, and raises then."""


class EngineStorage(NamedTuple):
    journal: PostgresJournal
    snapshots: PostgresSnapshots
    lease: Lease
    watch: Watch
    is_ours: Callable[[], Awaitable[bool]]
    """Asks the database whether this process is still the engine."""


class ProcessorStorage(NamedTuple):
    journal: PostgresRecords
    tables: PostgresTables
    watch: Watch


class PollerStorage(NamedTuple):
    candles: PostgresCandles
    watch: Watch


class ServerStorage(NamedTuple):
    journal: PostgresRecords
    snapshots: PostgresSnapshots
    tables: PostgresTables
    history: History
    candles: PostgresCandles
    access: PostgresAuth


@asynccontextmanager
async def open_engine(
    address: Address, instruments: Mapping[Asset, Listing], snapshots_kept: int, position: Callable[[int], str]
) -> AsyncIterator[EngineStorage]:
    """Become the engine of the shard, which may take for ever. `position` as in `PostgresJournal`. Raises StorageError,
    DatabaseRefused."""
    async with (
        take(address) as lease,
        open_session(address, f"exness reader {address.shard}") as reader,
        open_session(address, f"exness asked {address.shard}") as asked,
    ):
        await reader.write(lambda connection: configure_assets(connection, address, instruments.values()))
        await reader.run(lambda connection: refuse_lost(connection, lease))

        async def watch() -> None:
            await lease.watch(reader)

        journal = PostgresJournal(lease, reader, lease.last_seq, position)
        yield EngineStorage(
            journal, PostgresSnapshots(reader, snapshots_kept), lease, watch, lambda: lease.is_ours(asked)
        )


@asynccontextmanager
async def open_processor(address: Address) -> AsyncIterator[ProcessorStorage]:
    """Become the processor of the shard, which may take for ever. Raises StorageError, DatabaseRefused."""
    async with (
        be_the_only(address, "processor", PROCESSOR + address.shard) as watch,
        open_session(address, f"exness reader {address.shard}") as reader,
        open_session(address, f"exness tables {address.shard}") as tables,
    ):
        await _until(reader, address, _has_exchange, "an engine to make the exchange")
        await tables.write(lambda connection: discard_stale(connection, address.shard))
        yield ProcessorStorage(PostgresRecords(reader), PostgresTables(tables, reader), watch)


@asynccontextmanager
async def open_poller(address: Address, instruments: Mapping[Asset, Listing]) -> AsyncIterator[PollerStorage]:
    """Become the poller, which may take for ever. Raises StorageError, DatabaseRefused."""
    async with (
        be_the_only(address, "poller", POLLER) as watch,
        open_session(address, "exness candles") as candles,
    ):
        await _until(candles, address, _has_exchange, "an engine to make the exchange")
        await _decimals(candles, address, instruments)
        yield PollerStorage(PostgresCandles(candles, candles), watch)


@asynccontextmanager
async def open_server(address: Address, instruments: Mapping[Asset, Listing]) -> AsyncIterator[ServerStorage]:
    """Wait until there is an exchange with these assets. Raises StorageError, DatabaseRefused."""
    async with (
        open_session(address, "exness server reader") as reader,
        open_session(address, "exness server history") as history,
        open_session(address, "exness server candles") as candles,
        open_session(address, "exness server tables") as tables,
    ):
        await _until(reader, address, _has_exchange, "an engine to make the exchange")
        await _until(reader, address, _has_tables, "a processor to make the tables")
        decimals = await _known(reader, address, instruments)
        async with open_auth(address) as access:
            yield ServerStorage(
                PostgresRecords(reader),
                PostgresSnapshots(reader, 1),
                PostgresTables(tables, tables),
                postgres_history(history, decimals),
                PostgresCandles(candles, candles),
                access,
            )


Ready = Callable[[Connection, Address], Awaitable[bool]]


async def _until(session: Session, address: Address, is_ready: Ready, what: str) -> None:
    """A database that is not there yet, or comes back, is waited for. Raises StorageError for one that does not let us
    in, and DatabaseRefused."""
    told = False
    while True:
        try:
            if await session.run(lambda connection: is_ready(connection, address)):
                return
        except StorageUnreachable as error:
            if not told:
                _log.info("the database is not there", why=str(error))
        else:
            if not told:
                _log.info("waiting", what=what)
        told = True
        await asyncio.sleep(ASK_EVERY_S)


async def _has_exchange(connection: Connection, address: Address) -> bool:
    """Raises DatabaseRefused for one of another version."""
    if not await connection.fetchval(HAS_SCHEMA, address.schema, VERSION_TABLE):
        return False
    await require(connection, address)
    return bool(await connection.fetchval("SELECT EXISTS (SELECT 1 FROM assets)"))


async def _has_tables(connection: Connection, address: Address) -> bool:
    return bool(await connection.fetchval(HAS_TABLES))


async def _known(reader: Session, address: Address, instruments: Mapping[Asset, Listing]) -> dict[str, int]:
    """The decimals of every asset, once the engine knows these. Raises DatabaseRefused."""
    told = False
    while True:
        decimals = await _decimals(reader, address, instruments)
        missing = instruments.keys() - decimals.keys()
        if not missing:
            return decimals
        if not told:
            _log.info("waiting", what=f"an engine that knows {', '.join(sorted(missing))}")
        told = True
        await asyncio.sleep(1.0)


async def _decimals(reader: Session, address: Address, instruments: Mapping[Asset, Listing]) -> dict[str, int]:
    """Of every asset that the engine knows. Raises DatabaseRefused where this process has others: a price means the
    same to all of them."""
    rows = await reader.run(lambda connection: connection.fetch(SELECT_DECIMALS))
    decimals = {row["symbol"]: row["decimals"] for row in rows}
    for asset, listing in instruments.items():
        if decimals.get(asset, listing.decimals) != listing.decimals:
            raise DatabaseRefused(
                f"the engine of {address.describe()} has {asset} at {decimals[asset]} decimals, the configuration of "
                f"this process says {listing.decimals}: all processes of an exchange need the same assets"
            )
    return decimals

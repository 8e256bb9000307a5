"""The exchange in PostgreSQL as a whole: the shard taken, its tables fit to go on with, every port open."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from exness.core.instruments import Asset
from exness.runtime.listings import Listing
from exness.runtime.ports.journal import StorageError
from exness.storage.database import DatabaseRefused
from exness.storage.opened import Storage
from exness.storage.postgres.auth import PostgresAuth, open_auth
from exness.storage.postgres.history import postgres_history
from exness.storage.postgres.journal import LAST_SEQ, PostgresJournal
from exness.storage.postgres.lease import Lease, take
from exness.storage.postgres.market import PostgresCandles
from exness.storage.postgres.session import Address, Connection, Session, open_session
from exness.storage.postgres.snapshots import PostgresSnapshots
from exness.storage.postgres.tables import PostgresTables, make_tables, why_stale

_log = structlog.get_logger("exness.storage.postgres")

HAS_TRADES = """
    SELECT EXISTS (
        SELECT 1 FROM journal
        WHERE seq > (
                SELECT coalesce(max(seq), 0) FROM journal AS before
                WHERE kind IN ('exchange_reset', 'started_afresh') AND before.shard = journal.shard
            )
            AND kind = 'trade_opened' AND payload::jsonb #>> '{trade,asset}' = $1
    )"""
"""It reads the whole journal: asked only when decimals have changed."""
SELECT_DECIMALS = "SELECT symbol, decimals FROM assets"
HAS_CANDLES = "SELECT EXISTS (SELECT 1 FROM candles WHERE asset = $1)"
ASSET = "symbol, name, decimals, venue_symbol, image_url, max_leverage"
UPSERT_ASSET = f"""
    INSERT INTO assets ({ASSET}) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (symbol) DO UPDATE SET name = excluded.name, decimals = excluded.decimals,
        venue_symbol = excluded.venue_symbol, image_url = excluded.image_url,
        max_leverage = excluded.max_leverage"""  # of constants alone  # nosec B608


class Opened(NamedTuple):
    storage: Storage
    access: PostgresAuth
    lease: Lease
    reader: Session

    async def watch(self) -> None:
        """See `Lease.watch`."""
        await self.lease.watch(self.reader)

    def describe(self) -> str:
        """For the banner: where it is, and what its commits promise."""
        lease, copies = self.lease, self.lease.copies
        promise = (
            f"{copies} copies: a commit waits for {copies - 1} synchronous standby"
            if copies > 1
            else "one copy: no synchronous standby, so what its machine loses is lost"
        )
        return f"{lease.address.describe()}, shard {lease.address.shard}, epoch {lease.epoch}; {promise}"


@asynccontextmanager
async def open_storage(
    address: Address, instruments: Mapping[Asset, Listing], *, snapshots_kept: int = 10
) -> AsyncIterator[Opened]:
    """Become the engine of the shard, which may take for ever, and open everything; close it at the end. Raises
    StorageError, and DatabaseRefused when the database can't be used as it is."""
    shard = address.shard
    async with (
        take(address) as lease,
        open_session(address, f"exness reader {shard}") as reader,
        open_session(address, f"exness history {shard}") as history,
        open_session(address, f"exness tables {shard}") as tables,
        open_session(address, f"exness candles {shard}") as candles,
        open_auth(address, beside_engine=False) as access,
    ):
        decimals = await tables.write(lambda connection: configure_assets(connection, address, instruments.values()))
        await reader.run(lambda connection: refuse_lost(connection, lease))
        await tables.write(lambda connection: discard_stale(connection, shard))
        storage = Storage(
            PostgresJournal(lease, reader, lease.last_seq),
            PostgresTables(tables, history),
            postgres_history(history, decimals),
            PostgresCandles(candles, candles),
            PostgresSnapshots(reader, snapshots_kept),
        )
        yield Opened(storage, access, lease, reader)


async def refuse_lost(connection: Connection, lease: Lease) -> None:
    last_seq = await connection.fetchval(LAST_SEQ, lease.address.shard)
    if last_seq != lease.last_seq:
        raise StorageError(
            f"the journal of {lease.address.describe()} ends at record {last_seq}, and its fence at {lease.last_seq}: "
            "somebody has changed one of them; restore a backup of the database"
        )


async def discard_stale(connection: Connection, shard: int) -> None:
    why = await why_stale(connection, shard)
    if why is None:
        return
    if why:
        _log.warning("the tables are made anew from the journal", why=why)
    await make_tables(connection, shard)


async def configure_assets(connection: Connection, address: Address, instruments: Iterable[Listing]) -> dict[str, int]:
    """Returns the decimals of every asset there ever was. Nothing is written when nothing has changed."""
    known = {row["symbol"]: tuple(row) for row in await connection.fetch(f"SELECT {ASSET} FROM assets")}  # nosec B608
    for instrument in instruments:
        named = instrument.asset, instrument.name, instrument.decimals
        row = (*named, instrument.symbol, instrument.image_url, instrument.max_leverage)
        before = known.get(instrument.asset)
        if before == row:
            continue
        if before is not None and before[2] != instrument.decimals:
            await _refuse_other_decimals(connection, address, instrument, before[2])
        await connection.execute(UPSERT_ASSET, *row)
        known[instrument.asset] = row
    return {symbol: row[2] for symbol, row in known.items()}


async def _refuse_other_decimals(connection: Connection, address: Address, instrument: Listing, before: int) -> None:
    """Stored prices are integers of the asset's decimals: with others they would be read as different prices."""
    for statement, what in ((HAS_TRADES, "trades"), (HAS_CANDLES, "candles")):
        if await connection.fetchval(statement, instrument.asset):
            raise DatabaseRefused(
                f"{address.describe()} holds {what} of {instrument.asset} at {before} decimals, the configuration says "
                f"{instrument.decimals}: set assets.{instrument.asset}.decimals back to {before}"
            )

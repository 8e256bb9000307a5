"""The SQLite storage as a whole: main.db with journal and tables, snapshots.db beside it."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from exness.core.instruments import Asset
from exness.runtime.listings import Listing
from exness.storage.database import (
    MAIN,
    SNAPSHOTS,
    DatabaseDamaged,
    DatabaseRefused,
    open_database,
    open_reader,
    transaction,
)
from exness.storage.history import SqliteHistory
from exness.storage.journal import SqliteJournal, select_last_seq
from exness.storage.snapshots import SnapshotStoreDamaged, SqliteSnapshots

MAIN_DB = "main.db"
SNAPSHOTS_DB = "snapshots.db"

SELECT_DECIMALS = "SELECT decimals FROM assets WHERE symbol = ?"
HAS_TRADES = "SELECT EXISTS (SELECT 1 FROM trades WHERE asset = ?)"
HAS_CANDLES = "SELECT EXISTS (SELECT 1 FROM candles WHERE asset = ?)"
UPSERT_ASSET = """
    INSERT INTO assets (symbol, name, decimals, venue_symbol, image_url, max_leverage) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (symbol) DO UPDATE SET name = excluded.name, decimals = excluded.decimals,
        venue_symbol = excluded.venue_symbol, image_url = excluded.image_url, max_leverage = excluded.max_leverage"""


class Storage(NamedTuple):
    """What `open_storage` opens."""

    journal: SqliteJournal
    history: SqliteHistory
    snapshots: SqliteSnapshots


@asynccontextmanager
async def open_storage(
    data_dir: Path, instruments: Mapping[Asset, Listing], *, snapshots_kept: int = 10
) -> AsyncIterator[Storage]:
    """Open both databases in `data_dir`, made if they are not there, and close them at the end.

    `instruments` are written to the table `assets`; one that is no longer configured keeps its row. Raises
    DatabaseRefused when a database can't be used, SnapshotStoreDamaged when only snapshots.db is none: that one may be
    moved away, and all is replayed from the journal.
    """
    data_dir = _make(data_dir)
    async with (
        open_database(data_dir / MAIN_DB, MAIN) as writer,
        open_reader(data_dir / MAIN_DB) as reader,
        _open_snapshots(data_dir / SNAPSHOTS_DB, snapshots_kept) as snapshots,
    ):
        await writer.run(_configure_assets, writer.path, list(instruments.values()))
        last_seq = await writer.run(select_last_seq)
        yield Storage(SqliteJournal(writer, reader, last_seq), SqliteHistory(reader), snapshots)


def _make(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return data_dir.absolute()
    except OSError as error:
        raise DatabaseRefused(f"the data directory {data_dir} can't be made: {error.strerror}") from error


@asynccontextmanager
async def _open_snapshots(path: Path, kept: int) -> AsyncIterator[SqliteSnapshots]:
    async with AsyncExitStack() as stack:
        try:
            snapshots = SqliteSnapshots(await stack.enter_async_context(open_database(path, SNAPSHOTS)), kept)
            await snapshots.infos()
        except DatabaseDamaged as error:
            raise SnapshotStoreDamaged(
                f"{path} is damaged or no SQLite database: move it away, the journal brings everything back"
            ) from error
        yield snapshots


def set_snapshots_aside(data_dir: Path) -> Path:
    """Move a damaged snapshots.db, with its log, out of the way. Returns where it is now. Not while it is open."""
    number = 1
    while (aside := data_dir / f"{SNAPSHOTS_DB}.damaged-{number}").exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        part = data_dir / f"{SNAPSHOTS_DB}{suffix}"
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def _configure_assets(connection: sqlite3.Connection, path: Path, instruments: Iterable[Listing]) -> None:
    with transaction(connection):
        for instrument in instruments:
            _check_decimals(connection, path, instrument)
            connection.execute(
                UPSERT_ASSET,
                (
                    instrument.asset,
                    instrument.name,
                    instrument.decimals,
                    instrument.symbol,
                    instrument.image_url,
                    instrument.max_leverage,
                ),
            )


def _check_decimals(connection: sqlite3.Connection, path: Path, instrument: Listing) -> None:
    """Stored prices are integers of the asset's decimals: with others they would be read as different prices."""
    known = connection.execute(SELECT_DECIMALS, (instrument.asset,)).fetchone()
    if known is None or known[0] == instrument.decimals:
        return
    for what, query in (("trades", HAS_TRADES), ("candles", HAS_CANDLES)):
        if connection.execute(query, (instrument.asset,)).fetchone()[0]:
            raise DatabaseRefused(
                f"{path} holds {what} of {instrument.asset} at {known[0]} decimals, the configuration says "
                f"{instrument.decimals}: set assets.{instrument.asset}.decimals back to {known[0]}"
            )

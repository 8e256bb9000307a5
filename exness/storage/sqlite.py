"""The SQLite storage as a whole: four files, opened together (see `files`)."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from exness.core.instruments import Asset
from exness.runtime.listings import Listing
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.storage.archive import Archives, last_archived
from exness.storage.database import SNAPSHOTS, DatabaseDamaged, DatabaseRefused, open_database, open_reader, transaction
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB, set_aside
from exness.storage.history import SqliteHistory
from exness.storage.journal import JOURNAL, SqliteJournal, select_last_seq
from exness.storage.market import MARKET, SqliteCandles
from exness.storage.opened import Storage
from exness.storage.snapshots import SnapshotStoreDamaged, SqliteSnapshots
from exness.storage.tables import MAIN, SqliteTables, discard_stale
from exness.storage.takeover import take_over
from exness.storage.upgrade import note_release

_log = structlog.get_logger("exness.storage")

SELECT_ASSETS = "SELECT symbol, name, decimals, venue_symbol, image_url, max_leverage FROM assets"
SELECT_DECIMALS = "SELECT decimals FROM assets WHERE symbol = ?"
HAS_TRADES = """
    SELECT EXISTS (
        SELECT 1 FROM journal
        WHERE seq > (SELECT coalesce(max(seq), 0) FROM journal WHERE kind IN ('exchange_reset', 'started_afresh'))
            AND kind = 'trade_opened' AND json_valid(payload) AND payload ->> '$.trade.asset' = ?
    )"""
"""It reads the whole journal: asked only when decimals have changed. What is archived may be of any asset."""
ASSETS_WITH_CANDLES = """
    WITH RECURSIVE found (asset) AS (
        SELECT min(asset) FROM candles
        UNION ALL
        SELECT (SELECT min(asset) FROM candles WHERE asset > found.asset) FROM found WHERE asset IS NOT NULL
    ) SELECT asset FROM found"""
UPSERT_ASSET = """
    INSERT INTO assets (symbol, name, decimals, venue_symbol, image_url, max_leverage) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (symbol) DO UPDATE SET name = excluded.name, decimals = excluded.decimals,
        venue_symbol = excluded.venue_symbol, image_url = excluded.image_url, max_leverage = excluded.max_leverage"""


@asynccontextmanager
async def open_storage(
    data_dir: Path, instruments: Mapping[Asset, Listing], *, snapshots_kept: int = 10
) -> AsyncIterator[Storage]:
    """Open all databases in `data_dir`, made if they are not there, and close them at the end. A directory of an older
    version is taken over; tables that can't be gone on with are removed, to be made anew.

    `instruments` are written to the table `assets`; one that is no longer configured keeps its row. Raises
    DatabaseRefused when a database can't be used, SnapshotStoreDamaged when only snapshots.db is none: that one may be
    moved away, and all is replayed from the journal.
    """
    data_dir = _make(data_dir)
    await take_over(data_dir)
    async with (
        open_database(data_dir / JOURNAL_DB, JOURNAL) as writer,
        open_reader(data_dir / JOURNAL_DB) as reader,
        open_database(data_dir / MARKET_DB, MARKET) as market,
        open_reader(data_dir / MARKET_DB) as market_reader,
        _open_snapshots(data_dir / SNAPSHOTS_DB, snapshots_kept) as snapshots,
        aclosing(Archives(data_dir)) as archives,
    ):
        with_candles = await market.run(_with_candles)
        decimals = await writer.run(_configure_assets, writer.path, list(instruments.values()), with_candles)
        await writer.run(note_release, data_dir)
        last_seq = await writer.run(select_last_seq)
        lost = await _proves_loss(snapshots, last_seq)  # recovery refuses then, and nothing may be changed
        why = None if lost else await reader.run(discard_stale, data_dir / MAIN_DB)
        if why is not None:
            _log.warning("the tables are made anew from the journal", why=why, records=last_seq)
        async with open_database(data_dir / MAIN_DB, MAIN) as tables, open_reader(data_dir / MAIN_DB) as tables_reader:
            yield Storage(
                SqliteJournal(writer, reader, last_seq, archives),
                SqliteTables(tables, tables_reader),
                SqliteHistory(tables_reader, decimals),
                SqliteCandles(market, market_reader),
                snapshots,
            )


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


async def _proves_loss(snapshots: SqliteSnapshots, last_seq: int) -> bool:
    """Whether there is a whole snapshot of what the journal has not."""
    for info in await snapshots.infos():
        if info.seq > last_seq:
            with suppress(SnapshotDamaged, msgspec.MsgspecError):
                await snapshots.header(info.seq)
                return True
    return False


def set_snapshots_aside(data_dir: Path) -> Path:
    """Move a damaged snapshots.db, with its log, out of the way. Returns where it is now. Not while it is open."""
    return set_aside(data_dir / SNAPSHOTS_DB)


def _configure_assets(
    connection: sqlite3.Connection, path: Path, instruments: Iterable[Listing], with_candles: frozenset[str]
) -> dict[str, int]:
    """Returns the decimals of every asset there ever was. Nothing is written when nothing has changed."""
    known = {row[0]: row for row in connection.execute(SELECT_ASSETS)}
    changed = []
    for instrument in instruments:
        row = (
            instrument.asset,
            instrument.name,
            instrument.decimals,
            instrument.symbol,
            instrument.image_url,
            instrument.max_leverage,
        )
        if known.get(instrument.asset) != row:
            _check_decimals(connection, path, instrument, with_candles)
            changed.append(row)
    if changed:
        with transaction(connection):
            connection.executemany(UPSERT_ASSET, changed)
    return {row[0]: row[2] for row in connection.execute(SELECT_ASSETS)}


def _check_decimals(
    connection: sqlite3.Connection, path: Path, instrument: Listing, with_candles: frozenset[str]
) -> None:
    """Stored prices are integers of the asset's decimals: with others they would be read as different prices."""
    known = connection.execute(SELECT_DECIMALS, (instrument.asset,)).fetchone()
    if known is None or known[0] == instrument.decimals:
        return
    has_trades = connection.execute(HAS_TRADES, (instrument.asset,)).fetchone()[0] or last_archived(connection) > 0
    if has_trades or instrument.asset in with_candles:
        what, file = ("trades", path) if has_trades else ("candles", path.with_name(MARKET_DB))
        raise DatabaseRefused(
            f"{file} holds {what} of {instrument.asset} at {known[0]} decimals, the configuration says "
            f"{instrument.decimals}: set assets.{instrument.asset}.decimals back to {known[0]}"
        )


def _with_candles(connection: sqlite3.Connection) -> frozenset[str]:
    """The assets that have any. It steps from one to the next by the primary key."""
    return frozenset(asset for (asset,) in connection.execute(ASSETS_WITH_CANDLES) if asset is not None)

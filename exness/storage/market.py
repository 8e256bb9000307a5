"""Candles in market.db: written whole, read by range."""

import sqlite3
from typing import Any

from exness.core.instruments import Asset
from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.storage.asking import EARLIEST, LATEST
from exness.storage.batch import execute_batch
from exness.storage.database import Database, Schema, one_view, transaction

MARKET = Schema("market", 0x65786D63, "NORMAL")

COLUMNS = "asset, interval, start, open, high, low, close, volume, trades, backfilled"

UPSERT_CANDLE = f"""
    INSERT INTO candles ({COLUMNS}) VALUES {{rows}}
    ON CONFLICT (asset, interval, start) DO UPDATE SET open = excluded.open, high = excluded.high,
        low = excluded.low, close = excluded.close, volume = excluded.volume, trades = excluded.trades,
        backfilled = excluded.backfilled
    WHERE backfilled OR NOT excluded.backfilled"""  # of constants alone; nothing replaces our own  # nosec B608

UPSERT_COUNTED = """
    INSERT INTO counted (asset, at, marks) VALUES {rows}
    ON CONFLICT (asset) DO UPDATE SET at = excluded.at, marks = excluded.marks"""

# Two texts, so that each walks the primary key from the end that is asked for and stops at the limit.
SELECT_OLDEST, SELECT_NEWEST = (
    f"""
    SELECT {COLUMNS} FROM candles
    WHERE asset = ? AND interval = ? AND start >= ? AND start < ? ORDER BY start {way} LIMIT ?"""  # of constants alone  # nosec B608
    for way in ("ASC", "DESC")
)

SELECT_OWN_NEWEST = f"""
    SELECT {COLUMNS} FROM candles
    WHERE asset = ? AND interval = ? AND NOT backfilled ORDER BY start DESC LIMIT 1"""  # of constants alone  # nosec B608

SELECT_COUNTED = "SELECT asset, at, marks FROM counted ORDER BY asset"


class SqliteCandles:
    """Implements `ports.CandleStore`."""

    def __init__(self, writer: Database, reader: Database) -> None:
        self._writer = writer
        self._reader = reader

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        await self._writer.run(_write, batch, seq, forget)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        return await self._reader.run(select_candles, query)

    async def newest_candles(self) -> CandleBatch:
        return await self._reader.run(select_newest)

    async def heard(self) -> int:
        return await self._reader.run(_heard)


def _write(connection: sqlite3.Connection, batch: CandleBatch, seq: int, forget: bool) -> None:
    """A candle of our own is never replaced by a backfilled one."""
    with transaction(connection):
        if forget:
            connection.execute("DELETE FROM candles")
            connection.execute("DELETE FROM counted")
        execute_batch(connection, UPSERT_CANDLE, [_row(candle) for candle in batch.candles])
        execute_batch(connection, UPSERT_COUNTED, [(each.asset, each.at, each.marks) for each in batch.counted])
        connection.execute("UPDATE watermark SET seq = ?", (seq,))


def _heard(connection: sqlite3.Connection) -> int:
    seq: int = connection.execute("SELECT seq FROM watermark").fetchone()[0]
    return seq


def select_candles(connection: sqlite3.Connection, query: CandleQuery) -> list[Candle]:
    """See `ports.CandleStore.candles`."""
    first = EARLIEST if query.first is None else query.first
    end = LATEST if query.end is None else query.end
    statement = SELECT_NEWEST if query.first is None else SELECT_OLDEST
    rows = connection.execute(statement, (query.asset, query.interval.value, first, end, query.limit)).fetchall()
    return [_candle(row) for row in (rows[::-1] if query.first is None else rows)]


def select_newest(connection: sqlite3.Connection) -> CandleBatch:
    """See `ports.CandleStore.newest_candles`."""
    with one_view(connection):
        counted = [Counted(Asset(asset), at, marks) for asset, at, marks in connection.execute(SELECT_COUNTED)]
        rows = [
            connection.execute(SELECT_OWN_NEWEST, (each.asset, interval.value)).fetchone()
            for each in counted
            for interval in Interval
        ]
    return CandleBatch([_candle(row) for row in rows if row is not None], counted)


def _row(candle: Candle) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    return (
        candle.asset,
        candle.interval.value,
        candle.start,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.trades,
        int(candle.backfilled),
    )


def _candle(row: tuple[Any, ...]) -> Candle:
    asset, interval, start, opened, high, low, close, volume, trades, backfilled = row
    return Candle(Asset(asset), Interval(interval), start, opened, high, low, close, volume, trades, bool(backfilled))

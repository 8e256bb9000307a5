"""Candles in PostgreSQL: written whole, read by range."""

from typing import Any

from exness.core.instruments import Asset
from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.storage.market import COLUMNS, SELECT_COUNTED
from exness.storage.postgres.session import Connection, Session

UPSERT_CANDLES = f"""
    INSERT INTO candles ({COLUMNS})
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::boolean[])
    ON CONFLICT (asset, interval, start) DO UPDATE SET open = excluded.open, high = excluded.high,
        low = excluded.low, close = excluded.close, volume = excluded.volume, trades = excluded.trades,
        backfilled = excluded.backfilled
    WHERE candles.backfilled OR NOT excluded.backfilled"""  # of constants; nothing replaces our own  # nosec B608
UPSERT_COUNTED = """
    INSERT INTO counted (asset, at, marks) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
    ON CONFLICT (asset) DO UPDATE SET at = excluded.at, marks = excluded.marks"""
MOVE_WATERMARK = "UPDATE candles_watermark SET seq = $1, price_id = coalesce($2, price_id)"
SELECT_OLDEST, SELECT_NEWEST = (
    f"""
    SELECT {COLUMNS} FROM candles
    WHERE asset = $1 AND interval = $2 AND start >= $3 AND start < $4 ORDER BY start {way} LIMIT $5"""  # nosec B608
    for way in ("ASC", "DESC")
)
SELECT_OWN_NEWEST = f"""
    SELECT {COLUMNS} FROM candles
    WHERE asset = $1 AND interval = $2 AND NOT backfilled ORDER BY start DESC LIMIT 1"""  # of constants  # nosec B608

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class PostgresCandles:
    """Implements `ports.CandleStore`."""

    def __init__(self, writer: Session, reader: Session) -> None:
        self._writer = writer
        self._reader = reader

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        """A candle of our own is never replaced by a backfilled one."""
        candles = {(each.asset, each.interval, each.start): _row(each) for each in batch.candles}
        counted = {each.asset: (each.asset, each.at, each.marks) for each in batch.counted}

        async def written(connection: Connection) -> None:
            if forget:
                await connection.execute("DELETE FROM candles")
                await connection.execute("DELETE FROM counted")
            if candles:
                await connection.execute(UPSERT_CANDLES, *zip(*candles.values(), strict=True))
            if counted:
                await connection.execute(UPSERT_COUNTED, *zip(*counted.values(), strict=True))
            await connection.execute(MOVE_WATERMARK, seq, batch.position or None)

        await self._writer.write(written)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        first = _EARLIEST if query.first is None else query.first
        end = _LATEST if query.end is None else query.end
        statement = SELECT_NEWEST if query.first is None else SELECT_OLDEST
        rows = await self._reader.run(
            lambda connection: connection.fetch(statement, query.asset, query.interval.value, first, end, query.limit)
        )
        return [_candle(row) for row in (rows[::-1] if query.first is None else rows)]

    async def newest_candles(self) -> CandleBatch:
        return await self._reader.run(_newest)

    async def heard(self) -> int:
        seq: int = await self._reader.run(lambda connection: connection.fetchval("SELECT seq FROM candles_watermark"))
        return seq


async def _newest(connection: Connection) -> CandleBatch:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        counted = [Counted(Asset(asset), at, marks) for asset, at, marks in await connection.fetch(SELECT_COUNTED)]
        rows = [
            await connection.fetchrow(SELECT_OWN_NEWEST, each.asset, interval.value)
            for each in counted
            for interval in Interval
        ]
        position = await connection.fetchval("SELECT price_id FROM candles_watermark")
    return CandleBatch([_candle(row) for row in rows if row is not None], counted, position)


def _row(candle: Candle) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    prices = candle.open, candle.high, candle.low, candle.close
    return (
        *(candle.asset, candle.interval.value, candle.start, *prices),
        *(candle.volume, candle.trades, candle.backfilled),
    )


def _candle(row: Any) -> Candle:
    asset, interval, start, opened, high, low, close, volume, trades, backfilled = row
    return Candle(Asset(asset), Interval(interval), start, opened, high, low, close, volume, trades, backfilled)

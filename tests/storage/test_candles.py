"""storage/candles.py: how candles lie in main.db. What any storage must do with them is in tests/contracts."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.runtime.listings import Listing
from exness.runtime.ports import StorageError
from exness.storage.backup import backup, restore
from exness.storage.candles import SELECT_NEWEST, SELECT_OLDEST, SELECT_OWN_NEWEST
from exness.storage.database import DatabaseRefused
from exness.storage.sqlite import MAIN_DB, open_storage
from exness.storage.verify import verify
from tests.contracts.backends import INSTRUMENTS
from tests.support.books import BTC, SOL, known_history

CANDLE = Candle(SOL, Interval.M1, 60, 1, 4, 1, 2, volume=7, trades=3)
BATCH = CandleBatch([CANDLE], [Counted(SOL, 61_000_000, 3)])


@pytest.mark.parametrize("statement", [SELECT_OLDEST, SELECT_NEWEST, SELECT_OWN_NEWEST])
async def test_a_window_is_read_from_one_end_of_the_primary_key(tmp_path: Path, statement: str) -> None:
    async with open_storage(tmp_path, INSTRUMENTS):
        pass
    parameters = (SOL, "1m", 0, 1, 1)[: statement.count("?")]
    with closing(sqlite3.connect(tmp_path / MAIN_DB)) as connection:
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    (step,) = steps
    assert step.startswith("SEARCH candles USING PRIMARY KEY (asset=? AND interval=?")


async def test_candles_survive_a_backup_and_its_restore_and_verify_lets_them_be(tmp_path: Path) -> None:
    records = known_history().records
    async with open_storage(tmp_path / "data", INSTRUMENTS) as storage:
        await storage.journal.append(records, BATCH)
        backup(tmp_path / "data", tmp_path / "copy.db", lambda done, total: None)
    restore(tmp_path / "copy.db", tmp_path / "new")
    assert verify(tmp_path / "new" / MAIN_DB, None, lambda done, total: None).records == len(records)
    async with open_storage(tmp_path / "new", INSTRUMENTS) as storage:
        assert await storage.history.newest_candles() == BATCH


async def test_a_number_over_64_bits_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    huge = Candle(SOL, Interval.M1, 60, 1, 1, 1, 1, volume=2**63)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        with pytest.raises(StorageError, match="candles hold a number over 64 bits"):
            await storage.journal.append([], CandleBatch([CANDLE, huge], []))
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        assert await storage.history.candles(CandleQuery(SOL, Interval.M1)) == []


async def test_other_decimals_for_an_asset_with_candles_are_refused(tmp_path: Path) -> None:
    """Stored prices would be read as different ones."""
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.journal.append([], BATCH)
    coarse, fine_btc = Listing(SOL, 4, 10_000, "", "", ""), Listing(BTC, 6, 10_000, "", "", "")
    with pytest.raises(DatabaseRefused, match=r"candles of SOL at 6 decimals.*set assets\.SOL\.decimals back to 6"):
        async with open_storage(tmp_path, INSTRUMENTS | {SOL: coarse}):
            pass
    async with open_storage(tmp_path, INSTRUMENTS | {BTC: fine_btc}):
        """BTC has none yet."""

"""storage/market.py: how candles lie in market.db. What any storage must do with them is in tests/contracts."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exness.runtime.candles import Candle, CandleBatch, Counted, Interval
from exness.runtime.listings import Listing
from exness.storage.backup import backup, restore
from exness.storage.database import DatabaseRefused
from exness.storage.files import JOURNAL_DB, MARKET_DB
from exness.storage.market import SELECT_NEWEST, SELECT_OLDEST, SELECT_OWN_NEWEST
from exness.storage.sqlite import open_storage
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
    with closing(sqlite3.connect(tmp_path / MARKET_DB)) as connection:
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    (step,) = steps
    assert step.startswith("SEARCH candles USING PRIMARY KEY (asset=? AND interval=?")


async def test_candles_survive_a_backup_and_its_restore_and_verify_lets_them_be(tmp_path: Path) -> None:
    records = known_history().records
    async with open_storage(tmp_path / "data", INSTRUMENTS) as storage:
        await storage.journal.append(records)
        await storage.candles.write(BATCH, len(records))
        backup(tmp_path / "data", tmp_path / "copy.db", lambda done, total: None)
    restore(tmp_path / "copy.db", tmp_path / "new")
    assert verify(tmp_path / "new" / JOURNAL_DB, None, lambda done, total: None).records == len(records)
    async with open_storage(tmp_path / "new", INSTRUMENTS) as storage:
        assert await storage.candles.newest_candles() == BATCH


async def test_other_decimals_for_an_asset_with_candles_are_refused(tmp_path: Path) -> None:
    """Stored prices would be read as different ones."""
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.candles.write(BATCH, 0)
    coarse, fine_btc = Listing(SOL, 4, 10_000, "", "", ""), Listing(BTC, 6, 10_000, "", "", "")
    with pytest.raises(DatabaseRefused, match=r"candles of SOL at 6 decimals.*set assets\.SOL\.decimals back to 6"):
        async with open_storage(tmp_path, INSTRUMENTS | {SOL: coarse}):
            pass
    async with open_storage(tmp_path, INSTRUMENTS | {BTC: fine_btc}):
        """BTC has none yet."""

"""History queries find their rows by index."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest

from exness.runtime.ports import SortBy, TradeQuery
from exness.storage.history import ONE_TRADE, PAGES, SUMS
from exness.storage.sqlite import MAIN_DB, open_storage
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import TRADERS, append_all, random_trading
from tests.support.books import ANN

PARAMETERS: dict[str, str | int | None] = {
    "account": ANN,
    **dict.fromkeys(("is_open", "asset", "side", "profitable", "liquidated")),
    "opened_from": 0,
    "opened_to": 2**62,
    "limit": 50,
    "offset": 0,
}


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await append_all(storage.journal, random_trading(1).records)
    connection = sqlite3.connect(tmp_path / MAIN_DB)
    yield connection
    connection.close()


def plan(
    connection: sqlite3.Connection,
    statement: str,
    parameters: dict[str, str | int | None] | tuple[str, ...] = PARAMETERS,
) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize(("sort_by", "descending"), list(product(SortBy, (True, False))))
async def test_a_page_reads_one_accounts_trades_only(
    connection: sqlite3.Connection, sort_by: SortBy, descending: bool
) -> None:
    steps = plan(connection, PAGES[sort_by, descending])
    assert steps[0] == ("SEARCH trades USING INDEX trades_of_account (account_id=? AND created_at>? AND created_at<?)")
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert len(sorts) == (0 if sort_by is SortBy.CREATED_AT else 1), "the default order needs no sorting"


async def test_the_sums_and_a_single_trade_come_by_index(connection: sqlite3.Connection) -> None:
    assert plan(connection, SUMS) == [
        "SEARCH trades USING INDEX trades_of_account (account_id=? AND created_at>? AND created_at<?)"
    ]
    (step,) = plan(connection, ONE_TRADE, ("order", "account"))
    assert step.startswith("SEARCH trades USING INDEX sqlite_autoindex_trades")


async def test_page_and_sums_are_of_one_moment_while_others_write(tmp_path: Path) -> None:
    desk = random_trading(14)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        writing = asyncio.create_task(append_all(storage.journal, desk.records))
        while not writing.done():
            page, sums = await storage.history.trades(TradeQuery(TRADERS[0], limit=500))
            assert len(page) == sums.total
            assert sum(row.pnl or 0 for row in page) == sums.total_pnl
        await writing

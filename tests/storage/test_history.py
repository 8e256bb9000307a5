"""History queries find their rows by index."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest

from exness.runtime.ports import SortBy, TradeQuery
from exness.storage.history import MILESTONE, ONE_TRADE, PAGES, SUMS, parameters_of
from exness.storage.sqlite import MAIN_DB, SNAPSHOTS_DB, open_storage
from exness.storage.verify import Difference, verify
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import TRADERS, append_all, random_trading
from tests.storage.damage import make_directory, tamper
from tests.support.books import ANN, BOB, SOL, desk_with, open_trade

PARAMETERS = parameters_of(TradeQuery(ANN), newest=9) | {"limit": 50, "offset": 0}


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
    assert_walks_the_chain(steps)
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    newest_first = sort_by is SortBy.CREATED_AT and descending
    assert len(sorts) == (0 if newest_first else 1), "the default order needs no sorting"


async def test_the_sums_walk_the_chain_and_a_single_trade_comes_by_index(connection: sqlite3.Connection) -> None:
    assert_walks_the_chain(plan(connection, SUMS))
    (step,) = plan(connection, ONE_TRADE, ("order", "account"))
    assert step.startswith("SEARCH trades USING INDEX sqlite_autoindex_trades")


async def test_the_way_to_a_page_begins_at_a_milestone(connection: sqlite3.Connection) -> None:
    assert plan(connection, MILESTONE) == ["SEARCH trades USING COVERING INDEX milestones (account_id=? AND number>?)"]


def assert_walks_the_chain(steps: list[str]) -> None:
    """From trade to trade by their keys, once to go on and once to read."""
    reads = [step for step in steps if "trades" in step]
    assert reads == ["SEARCH trades USING INTEGER PRIMARY KEY (rowid=?)"] * 2


async def test_a_page_is_found_wherever_it_lies_in_the_history(tmp_path: Path) -> None:
    """Around every milestone, at both ends and beyond them, either way."""
    desk = desk_with(ANN, BOB)
    orders = []
    for number in range(70):
        desk.at += number % 2  # some at the same time
        desk.open(open_trade(f"b-{number}", account=BOB, margin="1"))
        desk.open(open_trade(f"a-{number}", margin="1"))
        orders.append(f"a-{number}")
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await append_all(storage.journal, desk.records)
        for offset, limit, descending in product(range(73), (1, 2, 31, 33, 500), (True, False)):
            rows, sums = await storage.history.trades(
                TradeQuery(ANN, limit=limit, offset=offset, descending=descending)
            )
            expected = (orders[::-1] if descending else orders)[offset : offset + limit]
            assert [row.order for row in rows] == expected, (offset, limit, descending)
            assert sums.total == 70


async def test_a_chain_that_was_bent_into_a_ring_still_ends(tmp_path: Path) -> None:
    desk = desk_with(ANN)
    for number in range(3):
        desk.open(open_trade(f"a-{number}", margin="1"))
    await make_directory(tmp_path, desk.records)
    tamper(tmp_path / MAIN_DB, "UPDATE trades SET previous = (SELECT max(opened_seq) FROM trades) WHERE number = 2")
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        rows, _ = await storage.history.trades(TradeQuery(ANN, asset=SOL))
    assert [row.order for row in rows] == ["a-2", "a-1"]
    with pytest.raises(Difference, match="number and previous"):
        verify(tmp_path / MAIN_DB, tmp_path / SNAPSHOTS_DB, lambda done, total: None)


async def test_page_and_sums_are_of_one_moment_while_others_write(tmp_path: Path) -> None:
    desk = random_trading(14)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        writing = asyncio.create_task(append_all(storage.journal, desk.records))
        while not writing.done():
            page, sums = await storage.history.trades(TradeQuery(TRADERS[0], limit=500))
            assert len(page) == sums.total
            assert sum(row.pnl or 0 for row in page) == sums.total_pnl
        await writing

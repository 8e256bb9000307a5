"""History queries find their rows by index, and look at a bounded number of them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest

from exness.core.instruments import TradeId
from exness.core.statement import Reason
from exness.runtime.ports.tables import HistoryTooLong, SortBy, Span, StatementQuery, TradeQuery
from exness.storage import history, history_records
from exness.storage.files import MAIN_DB
from exness.storage.history import (
    ARE_MANY_ORDERS,
    COUNTED_ORDERS,
    FIRST_PAGES,
    IS_LONG,
    ONE_TRADE,
    PAGE_OF_ORDERS,
    PAGES,
    SUMMED,
    WALKS,
)
from exness.storage.history_records import HELD_ORDERS, HELD_TRADES, IS_FAR, MOVES
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import TRADERS, random_trading
from tests.storage.damage import write_all
from tests.support.books import ANN, BOB, LONG, SOL, Desk, close_trade, desk_with, open_trade

PARAMETERS = history._parameters(TradeQuery(ANN))
BY_ACCOUNT = "SEARCH trades USING INDEX trades_of_account (account_id=? AND created_at>? AND created_at<?)"


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await write_all(storage, random_trading(1).records)
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
    assert steps[0] == BY_ACCOUNT
    assert len(steps) == (1 if sort_by is SortBy.CREATED_AT else 2), "the order of the index needs no sorting"


@pytest.mark.parametrize("descending", [True, False])
async def test_a_page_in_the_order_of_the_index_is_neither_sorted_nor_kept_apart(
    connection: sqlite3.Connection, descending: bool
) -> None:
    for statement in (FIRST_PAGES[descending], WALKS[descending]):
        steps = plan(connection, statement)
        assert BY_ACCOUNT in steps
        assert not [step for step in steps if "TEMP B-TREE" in step or "MATERIALIZE" in step], steps


async def test_the_sums_and_a_single_trade_come_by_index(connection: sqlite3.Connection) -> None:
    assert plan(connection, SUMMED) == [BY_ACCOUNT]
    assert [step for step in plan(connection, IS_LONG) if "trades" in step] == [
        BY_ACCOUNT.replace("INDEX", "COVERING INDEX")
    ]
    (step,) = plan(connection, ONE_TRADE, ("order", "account"))
    assert step == "SEARCH trades USING INDEX trade_ids (id=?)"


async def test_orders_and_moves_come_by_the_accounts_index_without_sorting(connection: sqlite3.Connection) -> None:
    walk: dict[str, str | int | None] = {
        "account": ANN,
        "asset": None,
        "most": 5,
        "limit": 5,
        "offset": 0,
        "before": 9,
        "wanted": 255,
        "seq": 9,
        "at": 9,
    }
    for statement in (PAGE_OF_ORDERS, COUNTED_ORDERS, ARE_MANY_ORDERS, MOVES, IS_FAR, HELD_TRADES, HELD_ORDERS):
        steps = plan(connection, statement, walk)
        assert not [step for step in steps if step.startswith(("SCAN trades", "SCAN orders", "SCAN account"))], steps
        assert not [step for step in steps if "TEMP B-TREE" in step or "MATERIALIZE" in step], steps


async def test_a_page_is_found_wherever_it_lies_in_the_history(tmp_path: Path) -> None:
    desk = desk_with(ANN, BOB)
    orders = []
    for number in range(40):
        desk.at += number % 2  # some at the same time
        desk.open(open_trade(f"b-{number}", account=BOB, margin="1"))
        desk.open(open_trade(f"a-{number}", margin="1"))
        orders.append(f"a-{number}")
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await write_all(storage, desk.records)
        for offset, limit, descending in product(range(43), (1, 2, 31, 500), (True, False)):
            rows, sums = await storage.history.trades(
                TradeQuery(ANN, limit=limit, offset=offset, descending=descending)
            )
            expected = (orders[::-1] if descending else orders)[offset : offset + limit]
            assert [row.id for row in rows] == expected, (offset, limit, descending)
            assert sums.total == 40


async def test_page_and_sums_are_of_one_moment_while_others_write(tmp_path: Path) -> None:
    desk = random_trading(14)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        writing = asyncio.create_task(write_all(storage, desk.records))
        while not writing.done():
            page, sums = await storage.history.trades(TradeQuery(TRADERS[0], limit=500))
            assert len(page) == sums.total
            assert sum(row.pnl or 0 for row in page) == sums.total_pnl
        await writing


# --- what would take too long -----------------------------------------------------------------------------------------


def long_history(closed: int) -> Desk:
    """As many closed trades, a second apart; the first one is open."""
    desk = desk_with(ANN)
    desk.open(open_trade("first", margin="1"))
    for number in range(closed):
        desk.at += 1_000_000
        desk.open(open_trade(f"o-{number}", margin="1"))
        desk.do(close_trade(f"o-{number}"))
    return desk


async def test_what_would_look_at_too_many_trades_is_refused_and_everything_else_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LOOKED_AT", 20)
    desk = long_history(30)
    start = desk.state.accounts[ANN].opened_at
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await write_all(storage, desk.records)
        answered = [
            TradeQuery(ANN, limit=20),
            TradeQuery(ANN, limit=20, is_open=False),
            TradeQuery(ANN, limit=5, offset=15),
            TradeQuery(ANN, is_open=True, descending=False),
            TradeQuery(ANN, limit=5, offset=31),
            TradeQuery(ANN, asset=SOL, opened_from=start, opened_to=start + 19_000_000),
        ]
        for query in answered:
            rows, sums = await storage.history.trades(query)
            assert len(rows) <= query.limit
            assert sums.total > 0
        assert await storage.history.trade(ANN, TradeId("first")) is not None
        refused = [
            TradeQuery(ANN, limit=21),
            TradeQuery(ANN, limit=5, offset=16),
            TradeQuery(ANN, is_open=True),
            TradeQuery(ANN, side=LONG, limit=1),
            TradeQuery(ANN, sort_by=SortBy.PNL, limit=1),
            TradeQuery(ANN, asset=SOL, opened_from=start, opened_to=start + 20_000_000),
        ]
        for query in refused:
            with pytest.raises(HistoryTooLong, match="more than 20 trades"):
                await storage.history.trades(query)


async def test_what_would_look_at_too_many_records_or_changes_is_refused_and_a_page_near_its_start_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_records, "LOOKED_AT", 20)
    monkeypatch.setattr(history_records, "MOST_CHANGES", 65)
    desk = long_history(30)
    start, end = desk.state.accounts[ANN].opened_at, desk.at
    seq = desk.state.seq
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await write_all(storage, desk.records)
        assert await storage.history.moves(StatementQuery(ANN, limit=10)) == list(range(seq, seq - 10, -1))
        assert await storage.history.moves(StatementQuery(ANN, Reason.DEPOSIT, before=15)) == [1]
        for query in (StatementQuery(ANN, Reason.DEPOSIT, limit=1), StatementQuery(ANN, limit=21)):
            with pytest.raises(HistoryTooLong, match="more than 20 records"):
                await storage.history.moves(query)
        assert await storage.history.span(ANN, start, end) == Span(2, seq, [2])
        monkeypatch.setattr(history_records, "MOST_CHANGES", 59)
        with pytest.raises(HistoryTooLong, match="more than 59 changes"):
            await storage.history.span(ANN, start, end)
        assert (await storage.history.span(ANN, start + 1_000_000, end)).held == [2]
        monkeypatch.setattr(history_records, "MOST_CHANGES", 20)
        with pytest.raises(HistoryTooLong, match="more than 20 trades"):
            await storage.history.span(ANN, end, end)

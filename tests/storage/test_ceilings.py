"""The wildest trading on real tables: every stored figure stays within its ceiling, and adds up."""

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exness.core import margin
from exness.core.capture import digest_of
from exness.core.ceilings import MOST_HELD, STORED
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, Reset
from exness.core.decide import accounts, opening
from exness.core.events import Record, TradeClosed
from exness.core.evolve import evolve
from exness.core.instruments import AccountId, TradeId
from exness.core.rejects import Reject
from exness.core.rules import Bounds
from exness.core.state import State
from exness.runtime.ports.tables import SortBy, TradeQuery
from exness.runtime.recovery import recover
from exness.storage.auth import AUTH
from exness.storage.database import SNAPSHOTS, Schema, migrations
from exness.storage.files import MAIN_DB
from exness.storage.journal import JOURNAL
from exness.storage.market import MARKET
from exness.storage.sqlite import open_storage
from exness.storage.tables import MAIN
from exness.storage.wide import WIDE, add, joined, split, sum_of, summed
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import batches
from tests.storage.damage import checked, make_directory, make_older, save
from tests.storage.tables import rows
from tests.support.books import LONG, PRICE_LIFE, SHORT, SOL, Desk, assert_books_balance
from tests.support.ceilings import COLUMNS, COUNT, HIGH, assert_columns_are_within, integer_columns
from tests.support.memory_storage import MemoryTables
from tests.support.wild import TRADERS, WIDE_RULES, Wild, wild_commands

EVERY_QUERY = [
    TradeQuery(AccountId(""), is_open=is_open, liquidated=liquidated, profitable=profitable, side=side, sort_by=sort_by)
    for is_open, liquidated, profitable, side, sort_by in product(
        (None, False), (None, True, False), (None, True, False), (None, LONG), (SortBy.PNL, SortBy.CREATED_AT)
    )
]


async def assert_holds(data_dir: Path, records: Sequence[Record], seed: int = 0) -> None:
    """Write records in batches of any size to both storages. Each figure of the one is within its ceiling, and both
    answer the same for every query; snapshot, restart and verify give the state that there was."""
    memory = MemoryTables(INSTRUMENTS)
    state = State()
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        for batch in batches(records, seed):
            await storage.journal.append(batch)
            await storage.tables.write(batch)
            await memory.write(batch)
            for record in batch:
                evolve(state, record)
        histories = storage.history, memory
        for account, query in product(state.accounts, EVERY_QUERY):
            asked = replace(query, account=account)
            answers = [await history.trades(asked) for history in histories]
            assert answers[0] == answers[1], asked
        await save(storage.snapshots, state)
        recovered = await recover(storage.journal, storage.snapshots)
        assert (recovered.snapshot_seq, recovered.notes, recovered.digest) == (state.seq, [], digest_of(state))
    for name in ("journal", "main", "snapshots"):
        with closing(sqlite3.connect(data_dir / f"{name}.db")) as connection:
            assert_columns_are_within(connection, name)
    report = checked(data_dir)
    assert (report.records, report.digest) == (len(records), digest_of(state))


# --- every column has a ceiling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [JOURNAL, MAIN, MARKET, SNAPSHOTS, AUTH], ids=lambda schema: schema.name)
def test_every_integer_column_has_a_ceiling_of_at_most_64_bits(schema: Schema) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.create_function("is_new_database", 0, lambda: 1)
        for script in [schema.script] if schema.script else migrations(schema):
            connection.executescript(script)
        columns = {table: found for table, found in integer_columns(connection).items() if found}
    assert columns == {table: set(spans) for table, spans in COLUMNS[schema.name].items()}
    for least, most in (span for spans in COLUMNS[schema.name].values() for span in spans.values()):
        assert -STORED <= least <= most <= STORED


# --- the wild -------------------------------------------------------------------------------------------------------


async def test_years_of_winning_and_losing_everything_fit_the_tables(tmp_path: Path) -> None:
    wild = Wild.extreme(rounds=14)
    await assert_holds(tmp_path, wild.desk.records)
    ((won, lost, deposited),) = rows(
        tmp_path,
        "SELECT closed_pnl_e18, liquidated_pnl_e18, deposited_e18 FROM balances JOIN sums USING (account_id) "
        "WHERE account_id = ?",
        TRADERS[0],
    )
    beyond = STORED // WIDE + 1
    assert (won >= beyond, lost <= -beyond, deposited >= beyond) == (True, True, True)  # type: ignore[operator]
    assert wild.desk.state.house.pnl > STORED
    wild.close_everything()


async def test_the_house_can_owe_more_than_64_bits(tmp_path: Path) -> None:
    wild = Wild()
    for number in range(5):
        wild.win_all(AccountId(f"winner-{number}"))
    await assert_holds(tmp_path, wild.desk.records)
    assert wild.desk.state.house.pnl < -4 * STORED
    assert [account.free for account in wild.desk.state.account_list if "winner" in account.id] == [MOST_HELD] * 5


@pytest.mark.parametrize("seed", range(6))
async def test_random_trading_at_every_ceiling_fits_the_tables(tmp_path: Path, seed: int) -> None:
    wild = Wild()
    wild.run(random.Random(seed), steps=250)
    wild.close_everything()
    await assert_holds(tmp_path, wild.desk.records, seed)


@given(commands=wild_commands(max_size=40))
@settings(max_examples=15, deadline=None)
def test_whatever_is_asked_fits_the_tables(commands: list[Command]) -> None:
    wild = Wild()
    for command in commands:
        wild.do(command)
    with tempfile.TemporaryDirectory() as data_dir:
        asyncio.run(assert_holds(Path(data_dir), wild.desk.records))


async def test_a_reset_of_full_tables_leaves_nothing_of_them(tmp_path: Path) -> None:
    wild = Wild.extreme(rounds=3)
    wild.do(Reset())
    await assert_holds(tmp_path, wild.desk.records)
    house = "SELECT free, free_e18, deposited, deposited_e18 FROM balances WHERE account_id = 'house'"
    assert rows(tmp_path, house) == [(0, 0, 0, 0)]


# --- sums in two columns --------------------------------------------------------------------------------------------

numbers = st.integers(-STORED, STORED) | st.sampled_from((0, 1, -1, WIDE, -WIDE, WIDE - 1, STORED, -STORED))


@given(total=st.integers(-(10**40), 10**40))
def test_a_sum_comes_back_from_its_two_columns(total: int) -> None:
    low, high = split(total)
    assert joined(low, high) == total
    assert abs(low) < WIDE
    if abs(total) < WIDE:
        assert (low, high) == (total, 0), "a usual sum is readable as it stands"


@given(changes=st.lists(numbers | st.integers(-(10**24), 10**24), max_size=40))
@settings(max_examples=150)
def test_sqlite_adds_wide_sums_exactly(changes: list[int]) -> None:
    total = 0
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER NOT NULL, x_e18 INTEGER NOT NULL) STRICT")
        connection.execute("INSERT INTO t VALUES (0, 0)")
        for number in changes:
            low, high = split(number)
            connection.execute(f"UPDATE t SET {add('x', ':low', ':high')}", {"low": low, "high": high})
            total += number
            x, x_e18 = connection.execute("SELECT x, x_e18 FROM t").fetchone()
            assert joined(x, x_e18) == total
            assert abs(x) < WIDE


@given(values=st.lists(numbers, max_size=60))
def test_sqlite_sums_numbers_of_64_bits_exactly(values: list[int]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER NOT NULL) STRICT")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        assert summed(*connection.execute(f"SELECT {sum_of('x')} FROM t").fetchone()) == sum(values)


def test_every_record_there_can_be_adds_its_most_and_the_second_column_holds_it() -> None:
    each = MOST_HELD // WIDE + 1
    assert split(COUNT[1] * MOST_HELD)[1] <= COUNT[1] * each == HIGH[1] < STORED // 1000


# --- what older versions left ---------------------------------------------------------------------------------------


RICH = AccountId("rich")


def desk_of_a_version_without_ceilings() -> Desk:
    """What 0.1.0 did without a word: an account whose balance and margins together are beyond 64 bits, and that has won
    and lost more than 64 bits hold. No figure was so alone: that would have stopped it."""
    desk, unit = Desk(WIDE_RULES), 10**18
    wide = Bounds(0, 10**40)
    deposits = patch.multiple(accounts, FIRST_DEPOSIT=wide, DEPOSIT=wide, HELD=wide)
    sizes = patch.object(opening, "MOST_SIZE", 10**40)
    with patch.object(margin, "MOST_HELD", 10**40), deposits, sizes:
        desk.do(OpenAccount(RICH, "rich@example.com", 9 * unit))
        for number in range(4):
            price(desk, 1_000_000)
            desk.do(OpenTrade(RICH, TradeId(f"lost-{number}"), SOL, SHORT, 5 * unit, 10_000))
            price(desk, 1_010_000)
            price(desk, 1_000_000)
            desk.do(OpenTrade(RICH, TradeId(f"won-{number}"), SOL, LONG, unit // 20, 10_000))
            price(desk, 2_000_000)
            desk.do(CloseTrade(RICH, TradeId(f"won-{number}")))
        price(desk, 1_000_000)
        desk.do(OpenTrade(RICH, TradeId("open"), SOL, LONG, 8 * unit, 100))
        desk.do(OpenTrade(RICH, TradeId("won"), SOL, LONG, 7 * unit // 100, 10_000))
        price(desk, 2_000_000)
        desk.do(CloseTrade(RICH, TradeId("won")))
    return desk


def price(desk: Desk, mid: int) -> None:
    desk.at += 1
    desk.do(PriceTick(SOL, mid, mid, PRICE_LIFE))


async def test_a_directory_of_figures_above_todays_ceilings_is_read_converted_and_traded_on(tmp_path: Path) -> None:
    desk = desk_of_a_version_without_ceilings()
    account = desk.state.accounts[RICH]
    assert account.free + account.locked > MOST_HELD
    await make_directory(tmp_path, desk.records, snapshots_at=[desk.state.seq])
    make_older(tmp_path)
    assert checked(tmp_path).digest == digest_of(desk.state), "verify passes on it as it lies"
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await storage.tables.write(desk.records)
        recovered = await recover(storage.journal, storage.snapshots)
        assert recovered.digest == digest_of(desk.state)
        written = len(desk.records)
        assert desk.refused(Deposit(RICH, 1)).reject is Reject.AMOUNT_OUT_OF_RANGE
        price(desk, 1_000_000)  # where the open trade has neither won nor lost, but its margin no longer fits
        (record,) = desk.do(CloseTrade(RICH, TradeId("open")))
        assert isinstance(record.event, TradeClosed)
        assert (record.event.balance, account.free, account.locked) == (STORED, STORED, 0)
        assert_books_balance(desk.state)
        await storage.journal.append(desk.records[written:])
        await storage.tables.write(desk.records[written:])
        found, analytics = await storage.history.trades(TradeQuery(RICH, limit=500))
        assert analytics.total_pnl == sum(row.pnl for row in found if row.pnl is not None)
        _, won = await storage.history.trades(TradeQuery(RICH, profitable=True))
        _, lost = await storage.history.trades(TradeQuery(RICH, liquidated=True))
        assert won.total_pnl > STORED > -STORED > lost.total_pnl
    with closing(sqlite3.connect(tmp_path / MAIN_DB)) as main:
        assert_columns_are_within(main)
    assert checked(tmp_path).digest == digest_of(desk.state)

"""The sums kept in `balances`: whatever happened, they are what summing the trades gives, at the cost of one row."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exness.core.commands import StartAfresh
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.runtime.ports import Analytics, TradeQuery
from exness.storage import journal
from exness.storage.database import MAIN, migrations
from exness.storage.history import KEPT, _trades, sums_are_kept
from exness.storage.projection import HOUSE
from exness.storage.sqlite import MAIN_DB, SNAPSHOTS_DB, Storage, open_storage
from exness.storage.verify import Difference, Report, verify
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import TRADERS, append_all, batches, random_trading, read_all
from tests.storage.damage import make_directory, tamper
from tests.storage.tables import all_tables, rows
from tests.support.books import ANN, LONG, SHORT, SOL, Desk, close_trade, desk_with, open_trade

ACCOUNTS = [*TRADERS, HOUSE, AccountId("nobody")]
LOOKED_UP = [
    TradeQuery(account, is_open=is_open, liquidated=liquidated, limit=3)
    for account, is_open, liquidated in product(ACCOUNTS, (None, True, False), (None, True, False))
]
SUM_COLUMNS = ("opened", "closed", "profitable", "closed_pnl", "liquidated", "liquidated_pnl")


@contextmanager
def reading(data_dir: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{(data_dir / MAIN_DB).as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
        yield reader


SUM_THE_TRADES = """
    SELECT count(*), coalesce(sum(status = 'open'), 0), coalesce(sum(status <> 'open'), 0),
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl <= 0), 0), coalesce(sum(status = 'liquidated'), 0),
        coalesce(sum(pnl), 0)
    FROM trades WHERE account_id = :account AND (:is_open IS NULL OR (status = 'open') = :is_open)
        AND (:liquidated IS NULL OR (status <> 'open' AND (status = 'liquidated') = :liquidated))"""


def summed(connection: sqlite3.Connection, query: TradeQuery) -> Analytics:
    """Of the trades themselves."""
    asked = {"account": query.account, "is_open": query.is_open, "liquidated": query.liquidated}
    return Analytics(*connection.execute(SUM_THE_TRADES, asked).fetchone())


def assert_sums_agree(data_dir: Path, what: object) -> None:
    with reading(data_dir) as connection:
        for query in LOOKED_UP:
            _, found = _trades(connection, query)
            assert found == summed(connection, query), (what, query)


def checked(data_dir: Path) -> Report:
    return verify(data_dir / MAIN_DB, data_dir / SNAPSHOTS_DB, lambda done, total: None)


# --- what they are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_commit_a_look_up_gives_what_summing_the_trades_gives(tmp_path: Path, seed: int) -> None:
    """Also after fresh starts and after newest records that were cut."""
    rng = random.Random(seed)
    desk = Desk()
    for number in range(2):
        if number:
            desk.do(StartAfresh())
        random_trading(seed * 10 + number, steps=150, desk=desk)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for batch in batches(desk.records, seed):
            await storage.journal.append(batch)
            assert_sums_agree(tmp_path, f"seed {seed}, after {batch[-1].seq}")
            if rng.random() < 0.3:
                await cut_and_write_again(storage, tmp_path, batch[-rng.randint(1, len(batch)) :])
    assert checked(tmp_path).records == len(desk.records)


async def cut_and_write_again(storage: Storage, data_dir: Path, newest: list[Record]) -> None:
    for record in reversed(newest):
        await storage.journal.cut(record.seq)
        assert_sums_agree(data_dir, f"{record.seq} was cut")
    await storage.journal.append(newest)
    assert_sums_agree(data_dir, f"{newest[-1].seq} was written again")


def test_the_histories_of_this_test_have_some_of_everything() -> None:
    kinds = {type(record.event).__name__ for seed in range(8) for record in random_trading(seed * 10, 150).records}
    assert kinds >= {"TradeOpened", "TradeClosed", "TradeLiquidated", "Deposited", "AccountOpened"}


@pytest.mark.parametrize(
    "other", [{"asset": SOL}, {"side": LONG}, {"profitable": False}, {"opened_from": 0}, {"opened_to": 2**62}]
)
def test_any_other_filter_sums_what_matches(other: dict[str, object]) -> None:
    for is_open, liquidated in product((None, True, False), repeat=2):
        assert sums_are_kept(TradeQuery(ANN, is_open=is_open, liquidated=liquidated, offset=7, descending=False))
        assert not sums_are_kept(TradeQuery(ANN, is_open=is_open, liquidated=liquidated, **other))  # type: ignore[arg-type]


async def test_the_house_sums_up_to_nothing(tmp_path: Path) -> None:
    await make_directory(tmp_path, random_trading(5).records)
    (house,) = rows(
        tmp_path,
        "SELECT free <> 0, opened, closed, profitable, closed_pnl, liquidated, liquidated_pnl "
        "FROM balances WHERE account_id = ?",
        HOUSE,
    )
    assert house == (1, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("column", SUM_COLUMNS)
@pytest.mark.parametrize("account", ["trader-1", "house"])
async def test_verify_names_a_sum_that_is_wrong(tmp_path: Path, account: str, column: str) -> None:
    desk = random_trading(21)
    await make_directory(tmp_path, desk.records)
    tamper(tmp_path / MAIN_DB, f"UPDATE balances SET {column} = {column} + 1 WHERE account_id = ?", account)
    with pytest.raises(
        Difference, match=rf"at journal record {desk.state.seq}: sums of {account} in balances \(opened"
    ):
        checked(tmp_path)


@pytest.mark.parametrize("column", SUM_COLUMNS)
async def test_verify_finds_a_sum_that_the_writer_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    adds = next(line for line in journal.CHANGE_BALANCE.replace("\n", ",").split(",") if f" {column} = " in line)
    forgetful = journal.CHANGE_BALANCE.replace(adds, f" {column} = {column}")
    monkeypatch.setattr(journal, "CHANGE_BALANCE", forgetful)
    await make_directory(tmp_path, random_trading(21).records)
    with pytest.raises(Difference, match="sums of trader-" if column != "opened" else "number and previous"):
        checked(tmp_path)


# --- what they cost -------------------------------------------------------------------------------------------------


def test_the_look_up_reads_one_row() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in migrations(MAIN):
            connection.executescript(script)
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {KEPT}", {"account": ANN}).fetchall()
    assert plan[3] == "SEARCH balances USING PRIMARY KEY (account_id=?)"


async def test_a_history_request_costs_the_same_however_long_the_history(tmp_path: Path) -> None:
    """In steps of SQLite's machine, for the newest trades, the oldest, some in between, and for none that match."""
    desk = desk_with(ANN)
    steps = list[list[int]]()
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for length in (64, 640):  # the same way from the end to the milestone before it
            begin = len(desk.records) if steps else 0
            trade_back_and_forth(desk, length - desk.state.seq // 2)
            await append_all(storage.journal, desk.records[begin:])
            queries = [
                TradeQuery(ANN, limit=5),
                TradeQuery(ANN, limit=5, is_open=False),
                TradeQuery(ANN, limit=5, is_open=True),
                TradeQuery(ANN, limit=5, liquidated=True),
                TradeQuery(ANN, limit=5, descending=False),
                TradeQuery(ANN, limit=5, offset=length - 9),
                TradeQuery(ANN, limit=5, offset=length // 2),
                TradeQuery(ANN, limit=5, offset=length // 2, descending=False),
                TradeQuery(ANN, limit=5, offset=length + 1),
            ]
            steps.append([machine_steps(tmp_path, query) for query in queries])
        by_side = TradeQuery(ANN, side=SHORT, limit=5)
        assert machine_steps(tmp_path, by_side) > 10_000, "what is summed costs what matches"
    assert steps[1] == steps[0]


def trade_back_and_forth(desk: Desk, times: int) -> None:
    for _ in range(times):
        desk.at += 1
        order = f"o-{len(desk.records)}"
        desk.open(open_trade(order, side=SHORT, margin="1", leverage="2"))
        desk.do(close_trade(order))


def machine_steps(data_dir: Path, query: TradeQuery) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with reading(data_dir) as connection:
        connection.set_progress_handler(count, 1)
        _trades(connection, query)
    return steps


async def test_the_look_up_is_of_the_moment_of_its_page(tmp_path: Path) -> None:
    """A commit between the two shows in neither."""
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await append_all(storage.journal, random_trading(3).records)
        with reading(tmp_path) as reader, closing(sqlite3.connect(tmp_path / MAIN_DB)) as other:
            committed: list[int] = []

            def commit_before(statement: str) -> None:
                if "FROM chain" in statement and not committed:
                    committed.append(other.execute("UPDATE balances SET opened = opened + 1").rowcount)
                    other.commit()

            reader.set_trace_callback(commit_before)
            page, sums = _trades(reader, TradeQuery(TRADERS[0], limit=500))
            assert len(committed) == 1
            assert sums.total == len(page) > 10


# --- where they come from -------------------------------------------------------------------------------------------


def make_old(new: Path, old: Path) -> None:
    """The same exchange as a program without sums left it: its schema, and the rows that fit into it."""
    old.mkdir()
    with closing(sqlite3.connect(old / MAIN_DB, isolation_level=None)) as connection:
        for number, script in enumerate(migrations(MAIN)[:2], 1):
            connection.executescript(f"{script}\nPRAGMA user_version = {number};")
        connection.execute("ATTACH ? AS new", (str(new / MAIN_DB),))
        connection.execute("PRAGMA foreign_keys = OFF")
        for (table,) in connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
    assert not set(SUM_COLUMNS) & {row[1] for row in rows(old, "PRAGMA table_info(balances)")}


@pytest.mark.parametrize("seed", range(4))
async def test_a_directory_from_before_the_sums_gets_them_as_if_it_always_had_them(tmp_path: Path, seed: int) -> None:
    desk = random_trading(seed + 300, steps=200)
    if seed == 3:  # the tables know what came after, only
        desk.do(StartAfresh())
        random_trading(seed, steps=80, desk=desk)
    new, old = tmp_path / "new", tmp_path / "old"
    await make_directory(new, desk.records)
    make_old(new, old)
    assert checked(old) == checked(new), "verify passes on it as it lies"
    async with open_storage(old, INSTRUMENTS) as storage:
        assert await read_all(storage.journal) == desk.records
        assert all_tables(old) == all_tables(new)
        assert rows(old, "PRAGMA table_info(balances)") == rows(new, "PRAGMA table_info(balances)")
        assert_sums_agree(old, f"seed {seed}")
        written = len(desk.records)
        random_deals(desk)
        await append_all(storage.journal, desk.records[written:])
        assert_sums_agree(old, f"seed {seed}, and on it goes")
    assert checked(old).records == len(desk.records)
    tamper(old / MAIN_DB, "UPDATE balances SET closed_pnl = closed_pnl - 1 WHERE account_id = 'trader-0'")
    with pytest.raises(Difference, match="sums of trader-0"):
        checked(old)


def random_deals(desk: Desk) -> None:
    """Every account closes what it has open."""
    for account in desk.state.account_list:
        for order in list(account.trades):
            desk.do(close_trade(order, account.id))


async def test_a_migration_says_that_it_may_take_a_while_and_a_new_directory_says_nothing(tmp_path: Path) -> None:
    with capture_logs() as said:
        await make_directory(tmp_path / "new", random_trading(1).records)
    assert said == []
    make_old(tmp_path / "new", tmp_path / "old")
    with capture_logs() as said:
        async with open_storage(tmp_path / "old", INSTRUMENTS):
            pass
    (line,) = said
    assert "migrated" in line["event"]
    assert (line["was"], line["schema"]) == (2, len(migrations(MAIN)))


async def test_an_exchange_in_which_nothing_happened_gets_its_columns_too(tmp_path: Path) -> None:
    await make_directory(tmp_path / "new", [])
    make_old(tmp_path / "new", tmp_path / "old")
    async with open_storage(tmp_path / "old", INSTRUMENTS):
        assert all_tables(tmp_path / "old") == all_tables(tmp_path / "new")


def test_a_long_history_is_migrated_in_one_pass() -> None:
    """Trades as they lie, grouped by sorting: by an index every one of them would be looked for in the file."""
    scripts = migrations(MAIN)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in scripts[:3]:
            connection.executescript(script)
        fills = scripts[2][scripts[2].index("UPDATE balances") :]
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {fills}")]
    assert [step for step in steps if "trades" in step] == ["SCAN trades"]
    assert "SEARCH balances USING PRIMARY KEY (account_id=?)" in steps
    assert not [step for step in steps if "CORRELATED" in step]


def test_a_long_history_is_chained_by_sorting_it() -> None:
    """No row is looked for by a condition; only those that were found are changed, by their key."""
    columns, fills = migrations(MAIN)[3].split("DROP INDEX trades_of_account;")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in (*migrations(MAIN)[:3], columns, "DROP INDEX trades_of_account"):
            connection.executescript(script)
        chained, newest, _ = fills.split(";\n\n")
        steps = [row[3] for fill in (chained, newest) for row in connection.execute(f"EXPLAIN QUERY PLAN {fill}")]
    touched = [step for step in steps if "trades" in step or "balances" in step]
    assert set(touched) == {
        "SCAN trades",
        "SEARCH trades USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH balances USING PRIMARY KEY (account_id=?)",
    }
    assert not [step for step in steps if "CORRELATED" in step]

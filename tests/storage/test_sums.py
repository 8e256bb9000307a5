"""The sums kept for every account: whatever happened, they are what summing the trades gives, at the cost of one
row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path

import pytest

from exness.core.commands import Reset
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.runtime.ports.tables import Analytics, TradeQuery
from exness.storage import fold
from exness.storage.asking import answered
from exness.storage.changes import COUNTED, Change, Effect
from exness.storage.files import MAIN_DB
from exness.storage.fold import project
from exness.storage.history import _trades, sums_are_kept
from exness.storage.rows import HOUSE
from exness.storage.sqlite import open_storage
from exness.storage.verify_tables import Difference
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import TRADERS, batches, random_trading
from tests.storage.damage import checked, make_directory, tamper, write_all
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
    SELECT count(*), coalesce(sum(close_reason IS NULL), 0), count(close_reason),
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl <= 0), 0), coalesce(sum(close_reason = 'liquidation'), 0),
        coalesce(sum(pnl), 0)
    FROM trades WHERE account_id = :account AND (:is_open IS NULL OR (close_reason IS NULL) = :is_open)
        AND (:liquidated IS NULL OR (close_reason = 'liquidation') = :liquidated)"""


def summed(connection: sqlite3.Connection, query: TradeQuery) -> Analytics:
    """Of the trades themselves."""
    asked = {"account": query.account, "is_open": query.is_open, "liquidated": query.liquidated}
    return Analytics(*connection.execute(SUM_THE_TRADES, asked).fetchone())


def assert_sums_agree(data_dir: Path, what: object) -> None:
    with reading(data_dir) as connection:
        for query in LOOKED_UP:
            _, found = answered(connection, _trades(query))
            assert found == summed(connection, query), (what, query)


# --- what they are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_commit_a_look_up_gives_what_summing_the_trades_gives(tmp_path: Path, seed: int) -> None:
    """Also after fresh starts."""
    desk = Desk()
    for number in range(2):
        if number:
            desk.do(Reset())
        random_trading(seed * 10 + number, steps=150, desk=desk)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for batch in batches(desk.records, seed):
            await storage.journal.append(batch)
            await storage.tables.write(batch)
            assert_sums_agree(tmp_path, f"seed {seed}, after {batch[-1].seq}")
    assert checked(tmp_path).records == len(desk.records)


def test_the_histories_of_this_test_have_some_of_everything() -> None:
    kinds = {type(record.event).__name__ for seed in range(8) for record in random_trading(seed * 10, 150).records}
    assert kinds >= {"TradeOpened", "TradeClosed", "Deposited", "AccountOpened"}


@pytest.mark.parametrize(
    "other", [{"asset": SOL}, {"side": LONG}, {"profitable": False}, {"opened_from": 0}, {"opened_to": 2**62}]
)
def test_any_other_filter_sums_what_matches(other: dict[str, object]) -> None:
    for is_open, liquidated in product((None, True, False), repeat=2):
        assert sums_are_kept(TradeQuery(ANN, is_open=is_open, liquidated=liquidated, offset=7, descending=False))
        assert not sums_are_kept(TradeQuery(ANN, is_open=is_open, liquidated=liquidated, **other))  # type: ignore[arg-type]


@pytest.mark.parametrize("column", SUM_COLUMNS)
async def test_verify_names_a_sum_that_is_wrong(tmp_path: Path, column: str) -> None:
    await make_directory(tmp_path, random_trading(21).records)
    tamper(tmp_path / MAIN_DB, f"UPDATE sums SET {column} = {column} + 1 WHERE account_id = 'trader-1'")
    with pytest.raises(Difference, match=r"a row of sums .*: found \('trader-1'"):
        checked(tmp_path)


@pytest.mark.parametrize("column", SUM_COLUMNS)
async def test_verify_finds_a_sum_that_the_fold_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """The tables that it makes for comparison are as wrong: the trades tell."""

    def forgetful(record: Record) -> list[Effect]:
        effects = project(record)
        for effect in effects:
            if isinstance(effect, Change) and effect.kind is COUNTED:
                summed = zip(COUNTED.columns, effect.values, strict=True)
                effect.values = tuple(0 if name == column else value for name, value in summed)
        return effects

    monkeypatch.setattr(fold, "project", forgetful)
    await make_directory(tmp_path, random_trading(21).records)
    with pytest.raises(Difference, match="sums of trader-"):
        checked(tmp_path)


# --- what they cost -------------------------------------------------------------------------------------------------


async def test_a_history_request_costs_the_same_however_long_the_history(tmp_path: Path) -> None:
    """In steps of SQLite's machine, for the newest trades, the oldest, and for none that match."""
    desk = desk_with(ANN)
    steps = list[list[int]]()
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for length in (64, 640):
            begin = len(desk.records) if steps else 0
            trade_back_and_forth(desk, length - desk.state.seq // 2)
            await write_all(storage, desk.records[begin:])
            queries = [
                TradeQuery(ANN, limit=5),
                TradeQuery(ANN, limit=5, is_open=False),
                TradeQuery(ANN, limit=5, is_open=True),
                TradeQuery(ANN, limit=5, liquidated=True),
                TradeQuery(ANN, limit=5, descending=False),
                TradeQuery(ANN, limit=5, offset=length + 1),
            ]
            steps.append([machine_steps(tmp_path, query) for query in queries])
        by_side = TradeQuery(ANN, side=SHORT, limit=5)
        assert machine_steps(tmp_path, by_side) > 5_000, "what is summed costs what matches"
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
        answered(connection, _trades(query))
    return steps


async def test_the_look_up_is_of_the_moment_of_its_page(tmp_path: Path) -> None:
    """A commit between the two shows in neither."""
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await write_all(storage, random_trading(3).records)
        with reading(tmp_path) as reader, closing(sqlite3.connect(tmp_path / MAIN_DB)) as other:
            committed: list[int] = []

            def commit_before(statement: str) -> None:
                if "FROM trades" in statement and not committed:
                    committed.append(other.execute("UPDATE sums SET opened = opened + 1").rowcount)
                    other.commit()

            reader.set_trace_callback(commit_before)
            page, sums = answered(reader, _trades(TradeQuery(TRADERS[0], limit=500)))
            assert len(committed) == 1
            assert sums.total == len(page) > 10

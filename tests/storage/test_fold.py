"""storage/fold.py and rows.py: records as rows and changes, and the rows as tables."""

from zlib import crc32

import msgspec
import pytest

from exness.core.commands import Reset
from exness.storage import rows
from exness.storage.changes import COUNTED, ENDED, PAID, Change, apply
from exness.storage.fold import gather
from exness.storage.rows import BALANCES, HOUSE, SUMS, TRADES, VERSION, Row
from tests.contracts.trading import batches, random_trading
from tests.support.books import ANN, SECOND, SOL, START, close_trade, deposit, desk_with, open_trade, tick, usdc

SCHEMA_OF_VERSION = {9: 2922578293}


def test_tables_that_change_get_another_version() -> None:
    """Else a directory with the old ones would be gone on with. Raise VERSION, and write its checksum here."""
    assert {VERSION: crc32(rows.schema().encode())} == SCHEMA_OF_VERSION


def test_a_batch_writes_each_row_once() -> None:
    desk = desk_with(ANN)
    desk.do(deposit(ANN, "1"))
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    desk.open(open_trade("o-2", margin="30"))
    desk.do(close_trade("o-1"))
    batch = gather(desk.records)
    assert batch.puts[BALANCES] == {ANN: rows.Balance(ANN, usdc("4971"), usdc("30"), usdc("5001"))}
    assert batch.puts[SUMS] == {ANN: rows.Sums(ANN, opened=2, closed=1)}
    assert [(trade.id, trade.close_reason) for trade in batch.puts[TRADES].values()] == [  # type: ignore[attr-defined]
        ("o-1", "user"),
        ("o-2", None),
    ]
    assert dict(batch.changes) == {PAID: {HOUSE: (0, 0, 0)}}
    assert not batch.reset


def test_a_gain_counts_as_profitable_and_none_does_not() -> None:
    desk = desk_with(ANN)
    for order in ("flat", "up", "up too"):
        desk.open(open_trade(order, margin="10", leverage="10"))
    before = len(desk.records)
    desk.do(close_trade("flat"))
    desk.do(tick(SOL, "201"))
    desk.do(close_trade("up"))
    desk.do(close_trade("up too"))
    assert gather(desk.records[before:]).changes[COUNTED] == {ANN: (0, 3, 2, usdc("1"), 0, 0, 0)}


def test_the_house_wins_what_the_trader_loses() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    before = len(desk.records)
    desk.at += SECOND
    desk.do(tick(SOL, "190"))
    desk.do(close_trade("o-1"))
    batch = gather(desk.records[before:])
    ended = ("user", 190_000_000, None, None, -usdc("5"), usdc("5"), 0, START + SECOND, before + 1, 0, -usdc("5"))
    assert batch.changes[ENDED] == {"o-1": ended}
    assert batch.changes[PAID] == {ANN: (usdc("5"), -usdc("10"), 0), HOUSE: (usdc("5"), 0, 0)}


def test_a_liquidation_ends_the_trade_and_pays_nothing_back() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    before = len(desk.records)
    desk.do(tick(SOL, "170"))
    batch = gather(desk.records[before:])
    price, seq = 170_000_000, before + 1
    lost = ("liquidation", price, price, price, -usdc("10"), 0, usdc("5"), START, seq, 0, -usdc("10"))
    assert batch.changes[ENDED] == {"o-1": lost}
    assert batch.changes[PAID] == {ANN: (0, -usdc("10"), 0), HOUSE: (usdc("10"), 0, 0)}
    assert batch.changes[COUNTED] == {ANN: (0, 0, 0, 0, 1, 0, -usdc("10"))}


def test_a_reset_forgets_what_came_before_it_in_its_own_batch_too() -> None:
    desk = desk_with(ANN)
    desk.do(Reset())
    batch = gather(desk.records)
    assert (batch.reset, batch.changes) == (len(desk.records), {})
    assert {table: puts for table, puts in batch.puts.items() if puts} == {BALANCES: {HOUSE: rows.Balance(HOUSE)}}


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_any_size_make_the_same_rows_and_add_up_to_the_state(seed: int) -> None:
    desk = random_trading(7)
    whole = gather(desk.records).puts
    assert len(whole[TRADES]) > 50
    made: dict[object, dict[object, Row]] = {BALANCES: {HOUSE: rows.Balance(HOUSE)}}
    for batch in map(gather, batches(desk.records, seed)):
        for table, puts in batch.puts.items():
            made.setdefault(table, {}).update(puts)
        for kind, changes in batch.changes.items():
            for key, values in changes.items():
                apply(made[kind.table][key], kind, values)
    house = made[BALANCES].pop(HOUSE)
    assert made == whole
    assert isinstance(house, rows.Balance)
    assert house.free == desk.state.house.pnl
    balances = {row.account_id: (row.free, row.locked) for row in made[BALANCES].values()}  # type: ignore[attr-defined]
    assert balances == {account.id: (account.free, account.locked) for account in desk.state.account_list}


def test_a_change_is_told_apart_from_a_row_by_its_type() -> None:
    assert not issubclass(Change, Row)
    assert all(issubclass(table.row, msgspec.Struct) for table in rows.TABLES)

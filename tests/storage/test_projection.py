"""Records as changes of the tables."""

from exness.storage.projection import project
from exness.storage.wide import joined
from tests.contracts.trading import batches, random_trading
from tests.support.books import ANN, SECOND, SOL, START, close_trade, deposit, desk_with, open_trade, tick, usdc


def test_a_batch_changes_each_balance_once() -> None:
    desk = desk_with(ANN)
    desk.do(deposit(ANN, "1"))
    desk.open(open_trade("o-1", margin="10"))
    desk.open(open_trade("o-2", margin="30"))
    rows = project(desk.records)
    assert rows.balances == [(ANN, usdc("4961"), usdc("40"), 2, 0, 0, 0, 0, 0, 0, 0, 4)]
    assert rows.paid == [(ANN, usdc("5001"), 0)]
    assert [user[0] for user in rows.users] == [ANN]
    assert [(trade[1], *trade[-2:]) for trade in rows.opened] == [("o-1", 1, None), ("o-2", 2, 3)]
    assert (rows.ended, rows.liquidations) == ([], [])


def test_a_gain_counts_as_profitable_and_none_does_not() -> None:
    desk = desk_with(ANN)
    for order in ("flat", "up", "up too"):
        desk.open(open_trade(order, margin="10", leverage="10"))
    before = len(desk.records)
    desk.do(close_trade("flat"))
    desk.do(tick(SOL, "201"))
    desk.do(close_trade("up"))
    desk.do(close_trade("up too"))
    assert project(desk.records[before:]).balances[0][3:] == (0, 3, 2, usdc("1"), 0, 0, 0, 0, None)


def test_the_house_wins_what_the_trader_loses() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    before = len(desk.records)
    desk.at += SECOND
    desk.do(tick(SOL, "190"))
    desk.do(close_trade("o-1"))
    rows = project(desk.records[before:])
    assert rows.ended == [("closed", 190_000_000, -usdc("5"), usdc("5"), 0, START + SECOND, before + 1, "o-1")]
    assert rows.balances == [(ANN, usdc("5"), -usdc("10"), 0, 1, 0, -usdc("5"), 0, 0, 0, 0, None)]
    assert (rows.house_pnl, rows.paid) == (usdc("5"), [])


def test_a_liquidation_ends_the_trade_and_pays_nothing_back() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    before = len(desk.records)
    desk.do(tick(SOL, "170"))
    rows = project(desk.records[before:])
    assert rows.ended == [("liquidated", 170_000_000, -usdc("10"), 0, usdc("5"), START, before + 1, "o-1")]
    assert rows.liquidations == [
        (170_000_000, 170_000_000, 170_000_000, -usdc("10"), usdc("5"), START, before + 1, "o-1")
    ]
    assert rows.balances == [(ANN, 0, -usdc("10"), 0, 0, 0, 0, 0, 1, -usdc("10"), 0, None)]
    assert (rows.house_pnl, rows.paid) == (usdc("10"), [])


def test_batches_of_any_size_add_up_to_the_state() -> None:
    desk = random_trading(7)
    for seed in range(5):
        sums: dict[str, list[int]] = {}
        house = deposits = 0
        for batch in batches(desk.records, seed):
            rows = project(batch)
            house += rows.house_pnl
            deposits += sum(joined(low, high) for _, low, high in rows.paid)
            for account, *changes in rows.balances:
                known = sums.setdefault(str(account), [0] * 10)
                for column, change in enumerate(changes[:-1]):
                    assert isinstance(change, int)
                    known[column] += change
        assert (house, deposits) == (desk.state.house_pnl, desk.state.deposits)
        assert {account: tuple(known[:2]) for account, known in sums.items()} == {
            account.id: (account.free, account.locked) for account in desk.state.account_list
        }
        opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_pnl, liquidated_pnl_e18 = (
            sum(known[column] for known in sums.values()) for column in range(2, 10)
        )
        assert closed_pnl_e18 == liquidated_pnl_e18 == 0
        assert opened == desk.state.open_trades + closed + liquidated
        assert 0 < profitable < closed
        assert closed_pnl + liquidated_pnl == -desk.state.house_pnl

"""Records as changes of the tables."""

from exness.core.instruments import AccountId
from exness.storage.projection import HOUSE, project
from tests.contracts.trading import batches, random_trading
from tests.support.books import ANN, SECOND, SOL, START, close_trade, deposit, desk_with, open_trade, tick, usdc


def test_a_batch_changes_each_balance_once() -> None:
    desk = desk_with(ANN)
    desk.do(deposit(ANN, "1"))
    desk.open(open_trade("o-1", margin="10"))
    desk.open(open_trade("o-2", margin="30"))
    rows = project(desk.records)
    assert rows.balances == [(ANN, usdc("4961"), usdc("40"), usdc("5001"), 2, 0, 0, 0, 0, 0, 4)]
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
    assert project(desk.records[before:]).balances[0][4:] == (0, 3, 2, usdc("1"), 0, 0, None)


def test_the_house_wins_what_the_trader_loses() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", margin="10", leverage="10"))
    before = len(desk.records)
    desk.at += SECOND
    desk.do(tick(SOL, "190"))
    desk.do(close_trade("o-1"))
    rows = project(desk.records[before:])
    assert rows.ended == [("closed", 190_000_000, -usdc("5"), usdc("5"), 0, START + SECOND, before + 1, "o-1")]
    assert rows.balances == [
        (ANN, usdc("5"), -usdc("10"), 0, 0, 1, 0, -usdc("5"), 0, 0, None),
        (HOUSE, usdc("5"), 0, 0, 0, 0, 0, 0, 0, 0, None),
    ]


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
    assert rows.balances == [
        (ANN, 0, -usdc("10"), 0, 0, 0, 0, 0, 1, -usdc("10"), None),
        (HOUSE, usdc("10"), 0, 0, 0, 0, 0, 0, 0, 0, None),
    ]


def test_batches_of_any_size_add_up_to_the_state() -> None:
    desk = random_trading(7)
    for seed in range(5):
        sums: dict[str, list[int]] = {}
        for batch in batches(desk.records, seed):
            for account, *changes in project(batch).balances:
                known = sums.setdefault(str(account), [0] * 9)
                for column, change in enumerate(changes[:-1]):
                    assert isinstance(change, int)
                    known[column] += change
        house = sums.pop(HOUSE)
        assert house == [desk.state.house_pnl, *[0] * 8]
        assert {account: tuple(known[:2]) for account, known in sums.items()} == {
            account.id: (account.free, account.locked) for account in desk.state.account_list
        }
        assert sum(known[2] for known in sums.values()) == desk.state.deposits
        opened, closed, profitable, closed_pnl, liquidated, liquidated_pnl = (
            sum(known[column] for known in sums.values()) for column in range(3, 9)
        )
        assert opened == desk.state.open_trades + closed + liquidated
        assert 0 < profitable < closed
        assert closed_pnl + liquidated_pnl == -desk.state.house_pnl
        assert AccountId(HOUSE) not in desk.state.accounts

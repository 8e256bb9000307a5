"""core/state.py: what the exchange knows, and the audit that finds every sum that is off."""

import gc
from collections.abc import Callable

import msgspec
import pytest

from exness.core.audit import audit
from exness.core.instruments import TradeId
from exness.core.state import NOTHING, BooksError, State
from exness.core.tick_order import ROWS
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    ETH,
    PRICE_LIFE,
    SOL,
    START,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    known_history,
    open_account,
    open_trade,
    tick,
)


def test_a_new_state_is_empty_and_balances() -> None:
    state = State()
    assert (state.seq, state.at, state.accounts, state.markets, state.open_trades) == (0, 0, {}, {}, 0)
    assert_books_balance(state)


def test_a_market_is_made_when_it_is_first_spoken_of_and_stays_the_same() -> None:
    state = State()
    market = state.market(SOL)
    assert state.market(SOL) is market
    assert (market.price, market.open_interest, market.open_trades) == (None, 0, 0)
    assert [len(row) for row in market.rows] == [0] * len(ROWS)
    assert_books_balance(state)


def test_asking_for_a_price_makes_no_market() -> None:
    state = State()
    assert state.price(SOL) is None
    assert state.fresh_price(SOL, START) is None
    assert state.markets == {}


def test_a_price_is_fresh_up_to_and_including_its_last_microsecond() -> None:
    desk = Desk()
    desk.do(tick(SOL, "199", "201"))
    price = desk.state.price(SOL)
    assert price is not None
    assert (price.bid, price.ask, price.mark) == (199_000_000, 201_000_000, 200_000_000)
    assert (price.at, price.fresh_until) == (START, START + PRICE_LIFE)
    assert desk.state.fresh_price(SOL, START) is price
    assert desk.state.fresh_price(SOL, START + PRICE_LIFE) is price
    assert desk.state.fresh_price(SOL, START + PRICE_LIFE + 1) is None
    assert desk.state.price(SOL) is price, "however old"
    assert_books_balance(desk.state)


def test_accounts_are_listed_in_the_order_they_were_opened() -> None:
    desk = Desk()
    for account in (BOB, ANN):
        desk.do(open_account(account))
    state = desk.state
    assert [(account.id, account.number, account.seq) for account in state.account_list] == [(BOB, 0, 1), (ANN, 1, 2)]
    assert state.by_email == {"bob@example.com": BOB, "ann@example.com": ANN}
    assert_books_balance(state)


def test_an_account_tells_the_last_record_that_touched_it() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("t"))
    desk.do(deposit(BOB, "1"))
    assert {account.id: account.seq for account in desk.state.account_list} == {ANN: 3, BOB: 4}
    assert_books_balance(desk.state)


def test_closed_trades_leave_memory_but_for_the_client_order_ids_they_had() -> None:
    state = known_history().state
    assert {order for account in state.account_list for order in account.trades} == {"o-1", "o-4"}
    assert state.open_trades == 2
    assert {asset: market.open_trades for asset, market in state.markets.items()} == {SOL: 1, ETH: 1, BTC: 0}
    assert_books_balance(state)


def _off_by_one(owner: Callable[[State], object], name: str) -> Callable[[State], None]:
    def break_it(state: State) -> None:
        setattr(owner(state), name, getattr(owner(state), name) + 1)

    return break_it


def _forget_trade(state: State) -> None:
    market = state.market(SOL)
    market.unlist_trade(state.accounts[ANN].trades[TradeId("o-1")])


def _owe(state: State) -> None:
    ann, bob = state.accounts[ANN], state.accounts[BOB]
    bob.free += ann.free + 1
    ann.free = -1


def _other_margin(state: State) -> None:
    trades = state.accounts[ANN].trades
    assert isinstance(trades, dict)
    trades[TradeId("o-1")] = msgspec.structs.replace(trades[TradeId("o-1")], margin=1)


@pytest.mark.parametrize(
    ("break_it", "what"),
    [
        (_off_by_one(lambda s: s.house, "pnl"), "books do not balance at seq 9"),
        (_off_by_one(lambda s: s, "deposits"), "books do not balance at seq 9"),
        (_off_by_one(lambda s: s, "free"), "books do not balance at seq 9"),
        (_off_by_one(lambda s: s, "locked"), "books do not balance at seq 9"),
        (_off_by_one(lambda s: s, "open_trades"), "open trades: kept 3, summed 2"),
        (_off_by_one(lambda s: s.accounts[BOB], "free"), "free balances"),
        (_off_by_one(lambda s: s.accounts[BOB], "locked"), "locked margins"),
        (_off_by_one(lambda s: s.accounts[BOB], "notional"), "notional of bob"),
        (_off_by_one(lambda s: s.market(ETH), "open_interest"), "open interest of ETH"),
        (_off_by_one(lambda s: s.market(ETH), "exposure"), "exposure in ETH"),
        (_forget_trade, "trades in SOL"),
        (_owe, "account ann has a balance below 0: -1"),
        (_other_margin, "locked margin of ann"),
    ],
)
def test_the_audit_finds_the_sum_that_is_off_and_names_it(break_it: Callable[[State], None], what: str) -> None:
    state = known_history().state
    audit(state)
    break_it(state)
    with pytest.raises(BooksError) as bug:
        audit(state)
    assert what in str(bug.value)
    with pytest.raises(AssertionError):
        assert_books_balance(state)


def test_books_that_do_not_balance_show_all_four_sums() -> None:
    state = known_history().state
    state.house.pnl += 1
    with pytest.raises(BooksError) as bug:
        state.check_books()
    assert str(bug.value) == (
        f"books do not balance at seq 9: free {state.free} + locked {state.locked} + reserved 0 + "
        f"House(pnl={state.house.pnl}, commission=0, funding=0, insurance=0) is not deposits {state.deposits}"
    )


def test_accounts_that_hold_nothing_share_one_mapping_that_nobody_can_write_to() -> None:
    desk = desk_with(ANN, BOB)
    ann, bob = desk.state.accounts[ANN], desk.state.accounts[BOB]
    assert all(held is NOTHING for held in (ann.trades, ann.seen, bob.trades))
    desk.open(open_trade("t", client_order="mine"))
    assert (list(ann.trades), list(ann.seen)) == (["t"], ["mine"])
    assert all(held is NOTHING for held in (bob.trades, bob.seen)), "another's trade is not theirs"
    desk.open(open_trade("u"))
    desk.do(close_trade("t", ANN))
    assert list(ann.trades) == ["u"]
    desk.do(close_trade("u", ANN))
    assert ann.trades is NOTHING, "given back with the last trade"
    assert list(ann.seen) == ["mine"]
    with pytest.raises(TypeError):
        NOTHING["t"] = 1  # type: ignore[index, assignment]
    assert_books_balance(desk.state)


def test_an_account_is_nothing_the_garbage_collector_has_to_look_at() -> None:
    ann = known_history().state.accounts[ANN]
    assert ann.trades
    assert not gc.is_tracked(ann)

"""core/decide.py: a client order id makes one trade, however often it is sent, until its window has passed."""

from collections.abc import Callable

import pytest

from exness.core.decide import Repeated
from exness.core.rejects import Refusal, Reject
from exness.core.state import SeenOrder
from tests.core.orders import named
from tests.support.books import (
    ANN,
    BOB,
    SECOND,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    make_rules,
    open_trade,
    tick,
    usdc,
)


def test_a_repeated_client_order_id_gives_the_first_answer_and_no_second_trade() -> None:
    desk = desk_with()
    opened = desk.opened(named("t"))
    trade = opened.trade
    assert (trade.client_order, opened.fingerprint, opened.forgets) == ("mine", "body", ())
    desk.do(deposit(ANN, "100"))
    desk.do(tick(SOL, "300"))
    first_answer = Repeated(SeenOrder("body", trade, balance=usdc("4990")))
    assert desk.repeated(named("another id")) == first_answer
    assert list(desk.state.accounts[ANN].trades) == ["t"]
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "end", [lambda desk: desk.do(close_trade("t")), lambda desk: desk.do(tick(SOL, "1"))], ids=["closed", "liquidated"]
)
def test_the_first_answer_is_given_after_the_trade_has_ended_too(end: Callable[[Desk], object]) -> None:
    desk = desk_with()
    trade = desk.open(named("t"))
    end(desk)
    assert desk.state.open_trades == 0
    assert desk.repeated(named("u")) == Repeated(SeenOrder("body", trade, balance=usdc("4990")))
    assert desk.state.open_trades == 0
    assert_books_balance(desk.state)


def test_the_first_answer_is_given_whatever_would_be_refused_now() -> None:
    desk = desk_with(rules=make_rules(max_open_trades=1))
    desk.open(named("t", margin="5000"))
    desk.at += 3600 * SECOND
    assert desk.repeated(named("u", margin="5000")).seen.trade.order == "t"
    assert_books_balance(desk.state)


def test_a_known_client_order_id_with_another_body_is_a_conflict_that_names_the_first_order() -> None:
    desk = desk_with()
    desk.open(named("t"))
    conflict = Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, {"orderId": "t"})
    assert desk.refused(named("u", fingerprint="other body")) == conflict
    desk.do(close_trade("t"))
    assert desk.refused(named("u", fingerprint="other body")) == conflict
    assert desk.repeated(named("u")).seen.trade.order == "t"
    assert_books_balance(desk.state)


def test_client_order_ids_are_the_accounts_own() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(named("t"))
    desk.open(open_trade("u", account=BOB, client_order="mine", fingerprint="other body"))
    assert desk.state.open_trades == 2
    assert_books_balance(desk.state)


def test_trades_without_a_client_order_id_are_never_repeats() -> None:
    desk = desk_with()
    desk.open(open_trade("t", fingerprint="body"))
    desk.open(open_trade("u", fingerprint="body"))
    assert desk.state.open_trades == 2
    assert desk.state.accounts[ANN].seen == {}
    assert_books_balance(desk.state)


def test_a_refused_request_does_not_use_its_client_order_id_up() -> None:
    desk = desk_with()
    desk.refused(named("t", margin="5001", fingerprint="too much"))
    assert desk.state.accounts[ANN].seen == {}
    assert desk.open(named("t", fingerprint="less")).client_order == "mine"
    assert_books_balance(desk.state)


def test_a_full_window_forgets_the_oldest_and_only_then_allows_a_second_trade() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=2))
    assert desk.opened(named("t1", client_order="a")).forgets == ()
    assert desk.opened(named("t2", client_order="b")).forgets == ()
    desk.open(open_trade("t3"))  # without an id nothing is forgotten
    assert desk.repeated(named("u", client_order="a")).seen.trade.order == "t1"
    assert desk.opened(named("t4", client_order="c")).forgets == ("a",)
    assert list(desk.state.accounts[ANN].seen) == ["b", "c"]
    assert desk.repeated(named("u", client_order="b")).seen.trade.order == "t2"
    assert desk.opened(named("t5", client_order="a")).forgets == ("b",)
    assert list(desk.state.accounts[ANN].trades) == ["t1", "t2", "t3", "t4", "t5"]
    assert_books_balance(desk.state)


def test_a_smaller_window_forgets_all_that_no_longer_fit() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=4))
    for name in "abcd":
        desk.open(named(f"t-{name}", client_order=name))
    desk.engine.rules = make_rules(client_order_ids=2)
    assert desk.opened(named("t-e", client_order="e")).forgets == ("a", "b", "c")
    assert list(desk.state.accounts[ANN].seen) == ["d", "e"]
    assert_books_balance(desk.state)

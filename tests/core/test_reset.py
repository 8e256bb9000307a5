"""Reset: everything is forgotten but the row of records and time; a picture that is being taken stays whole."""

import pytest

from exness.core.capture import Capture, Digest, digest_of
from exness.core.commands import Reset
from exness.core.events import ExchangeReset
from exness.core.rejects import Reject
from exness.core.state import State
from tests.support.books import (
    ANN,
    BOB,
    SOL,
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
from tests.support.states import replayed


def test_nothing_is_left_but_seq_and_time() -> None:
    desk = known_history()
    seq = desk.state.seq
    desk.at += 5
    (record,) = desk.do(Reset())
    assert (record.seq, record.at, record.event) == (seq + 1, desk.at, ExchangeReset())
    fresh = State()
    fresh.seq, fresh.at = seq + 1, desk.at
    assert len(desk.state.due) == 0
    for field in set(State.__slots__) - {"due"}:
        assert getattr(desk.state, field) == getattr(fresh, field), field
    assert_books_balance(desk.state)


def test_an_empty_exchange_can_be_reset_too() -> None:
    desk = Desk()
    desk.do(Reset())
    desk.do(Reset())
    assert (desk.state.seq, desk.state.deposits) == (2, 0)


def test_what_was_known_is_unknown_and_may_come_again() -> None:
    desk = known_history()
    desk.do(Reset())
    assert desk.refused(deposit(BOB, "1")).reject is Reject.ACCOUNT_NOT_FOUND
    assert desk.refused(open_trade("o-1", client_order="mine")).reject is Reject.ACCOUNT_NOT_FOUND
    desk.do(open_account(BOB))
    desk.do(open_account(ANN))
    assert [account.number for account in desk.state.account_list] == [0, 1]
    assert desk.refused(open_trade("o-1")).reject is Reject.PRICE_UNAVAILABLE, "prices are forgotten, too"
    desk.do(tick(SOL, "200"))
    desk.open(open_trade("o-1", client_order="mine"))
    assert desk.refused(close_trade("o-4", BOB)).reject is Reject.TRADE_NOT_FOUND
    assert_books_balance(desk.state)


def test_a_price_liquidates_nothing_of_before() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("a"))
    desk.do(Reset())
    assert desk.do(tick(SOL, "1")) == []


def test_the_records_alone_lead_to_the_same_state() -> None:
    desk = known_history()
    desk.do(Reset())
    desk.do(open_account(ANN))
    assert digest_of(replayed(desk.records)) == digest_of(desk.state)


@pytest.mark.parametrize("taken", range(5))
def test_a_picture_that_is_being_taken_shows_what_was_before(taken: int) -> None:
    """Also when accounts with the numbers, and the ids, of those of before are opened and change meanwhile."""
    desk = desk_with(*(account for account in (ANN, BOB)))
    desk.open(open_trade("a"))
    desk.open(open_trade("b", account=BOB))
    expected = digest_of(desk.state)
    with Capture(desk.state) as capture:
        accounts = [account for _ in range(taken) for account in capture.take(1)]
        desk.do(deposit(BOB, "1"))
        desk.do(Reset())
        desk.do(open_account(BOB))
        desk.do(open_account(ANN))
        desk.do(deposit(ANN, "2"))
        while more := capture.take(1):
            accounts += more
    digest = Digest(capture.header)
    for account in accounts:
        digest.add(account)
    assert digest.hex() == expected
    with Capture(desk.state) as after:
        assert after.header.accounts == 2

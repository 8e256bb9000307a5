"""core/decide/accounts.py, OpenAccount and Deposit: what is decided, and every refusal with its figures."""

import pytest

from exness.core.commands import OpenAccount
from exness.core.events import AccountOpened, Deposited, Record
from exness.core.instruments import AccountId
from exness.core.rejects import Refusal, Reject
from tests.support.books import ANN, BOB, START, Desk, assert_books_balance, deposit, desk_with, open_account, usdc


def test_an_account_is_opened_with_its_first_deposit() -> None:
    desk = Desk()
    assert desk.do(open_account(ANN, "5000")) == [Record(1, START, AccountOpened(ANN, "ann@example.com", usdc("5000")))]
    (account,) = desk.state.account_list
    assert (account.id, account.email, account.opened_at, account.free) == (ANN, "ann@example.com", START, usdc("5000"))
    assert (desk.state.free, desk.state.deposits) == (usdc("5000"), usdc("5000"))
    assert_books_balance(desk.state)


def test_an_account_can_start_with_nothing() -> None:
    desk = Desk()
    desk.do(open_account(ANN, "0"))
    assert desk.state.accounts[ANN].free == 0
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "again",
    [
        open_account(ANN, "1"),
        OpenAccount(AccountId("other"), "ann@example.com", 1),
        OpenAccount(ANN, "other@example.com", 1),
    ],
    ids=["both", "same address", "same id"],
)
def test_an_account_exists_once_by_id_and_by_address(again: OpenAccount) -> None:
    desk = desk_with(ANN)
    assert desk.refused(again) == Refusal(Reject.ACCOUNT_EXISTS)
    assert list(desk.state.accounts) == [ANN]
    assert_books_balance(desk.state)


def test_a_deposit_is_free_at_once() -> None:
    desk = desk_with(ANN)
    (record,) = desk.do(deposit(ANN, "0.000001"))
    assert record.event == Deposited(ANN, amount=1, balance=5_000_000_001)
    assert desk.state.accounts[ANN].free == 5_000_000_001
    assert desk.state.deposits == 5_000_000_001
    assert_books_balance(desk.state)


def test_nobody_can_pay_into_an_account_that_is_not_there() -> None:
    desk = desk_with(ANN)
    assert desk.refused(deposit(BOB, "1")) == Refusal(Reject.ACCOUNT_NOT_FOUND)
    assert_books_balance(desk.state)

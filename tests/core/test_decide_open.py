"""core/decide.py, OpenTrade: a trade with all that is known of it, its margin, and slippage at the price it would pay.

Prices, limits and client order ids have files of their own.
"""

import pytest

from exness.core.events import Record, Trade, TradeOpened
from exness.core.instruments import OrderId, Side
from exness.core.rejects import Refusal, Reject
from exness.core.state import Rules
from tests.core.orders import TOUCH
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    LONG,
    SHORT,
    SOL,
    START,
    assert_books_balance,
    desk_with,
    make_rules,
    open_trade,
    tick,
    usdc,
)


@pytest.mark.parametrize(
    ("rules", "side", "entry", "liquidation"),
    [
        (make_rules(), LONG, "200", "180"),
        (make_rules(), SHORT, "200", "220"),
        (TOUCH, LONG, "201", "180.9"),
        (TOUCH, SHORT, "199", "218.9"),
    ],
    ids=["mid long", "mid short", "touch long", "touch short"],
)
def test_a_trade_is_opened_with_all_that_is_known_of_it(rules: Rules, side: Side, entry: str, liquidation: str) -> None:
    desk = desk_with(rules=rules)
    desk.do(tick(SOL, "199", "201"))
    desk.at += 5
    (record,) = desk.do(open_trade("t", SOL, side, margin="12.5", leverage="10"))
    trade = Trade(
        order=OrderId("t"),
        account=ANN,
        asset=SOL,
        side=side,
        margin=usdc("12.5"),
        leverage=1_000,
        entry=usdc(entry),
        liquidation=usdc(liquidation),
        opened_at=START + 5,
        seq=2,
    )
    assert record == Record(2, START + 5, TradeOpened(trade, balance=usdc("4987.5")))
    (account,) = desk.state.account_list
    assert (account.free, account.locked, account.notional) == (usdc("4987.5"), usdc("12.5"), usdc("125") * 100)
    assert account.trades == {"t": trade}
    assert desk.state.market(SOL).open_interest == usdc("125") * 100
    assert_books_balance(desk.state)


def test_nobody_opens_a_trade_on_an_account_that_is_not_there() -> None:
    desk = desk_with(ANN)
    assert desk.refused(open_trade("t", account=BOB)) == Refusal(Reject.ACCOUNT_NOT_FOUND)
    assert_books_balance(desk.state)


# Money


def test_all_of_the_free_balance_can_be_margin_and_not_one_unit_more() -> None:
    desk = desk_with()
    too_much = open_trade("t", margin="5000.000001")
    details = {"required": "5000.000001", "available": "5000.000000"}
    assert desk.refused(too_much) == Refusal(Reject.INSUFFICIENT_MARGIN, details)
    desk.open(open_trade("t", margin="5000"))
    assert desk.state.accounts[ANN].free == 0
    nothing_left = desk.refused(open_trade("u", margin="0.000001"))
    assert nothing_left == Refusal(Reject.INSUFFICIENT_MARGIN, {"required": "0.000001", "available": "0.000000"})
    assert_books_balance(desk.state)


def test_locked_margin_and_unrealized_gains_are_not_available() -> None:
    desk = desk_with()
    desk.open(open_trade("t", margin="4000", leverage="10"))
    desk.do(tick(SOL, "300"))
    assert desk.refused(open_trade("u", margin="1000.000001")).details["available"] == "1000.000000"
    assert_books_balance(desk.state)


# Slippage


@pytest.mark.parametrize(
    ("mark", "allowed", "opens"),
    [
        ("202", 100, True),
        ("202.000001", 100, False),
        ("198", 100, True),
        ("197.999999", 100, False),
        ("200.2", 10, True),
        ("200.200001", 10, False),
        ("400", 10_000, True),
        ("400.000001", 10_000, False),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_slippage_is_allowed_up_to_exactly_its_bound_either_way(
    side: Side, mark: str, allowed: int, opens: bool
) -> None:
    desk = desk_with()
    desk.do(tick(SOL, mark))
    command = open_trade("t", SOL, side, slippage=allowed, expected="200")
    if opens:
        assert desk.open(command).entry == usdc(mark)
    else:
        details = {"expected": "200.000000", "actual": format(float(mark), ".6f")}
        assert desk.refused(command) == Refusal(Reject.SLIPPAGE_EXCEEDED, {**details, "allowed": allowed})
    assert_books_balance(desk.state)


def test_slippage_is_measured_at_the_price_that_would_be_paid() -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(BTC, "99000", "101000"))
    long = open_trade("long", BTC, LONG, leverage="2", slippage=99, expected="100000")
    short = open_trade("short", BTC, SHORT, leverage="2", slippage=99, expected="100000")
    assert desk.refused(long).details == {"expected": "100000.0000", "actual": "101000.0000", "allowed": 99}
    assert desk.refused(short).details == {"expected": "100000.0000", "actual": "99000.0000", "allowed": 99}
    assert_books_balance(desk.state)


@pytest.mark.parametrize(("slippage", "expected"), [(None, "1"), (10, None), (None, None)])
def test_slippage_matters_only_with_a_bound_and_an_expected_price(slippage: int | None, expected: str | None) -> None:
    desk = desk_with()
    assert desk.open(open_trade("t", slippage=slippage, expected=expected)).entry == usdc("200")
    assert_books_balance(desk.state)

"""core/decide/, CloseTrade: what comes back, to whom, and once only."""

import pytest

from exness.core.events import CloseReason, Record, TradeClosed
from exness.core.instruments import AccountId, Side, TradeId
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from tests.core.orders import TOUCH
from tests.support.books import (
    ANN,
    BOB,
    LONG,
    PRICE_LIFE,
    SHORT,
    SOL,
    START,
    assert_books_balance,
    close_trade,
    desk_with,
    make_rules,
    open_trade,
    tick,
    usdc,
)


@pytest.mark.parametrize(
    ("rules", "side", "price", "pnl"),
    [
        (make_rules(), LONG, "210", "5"),
        (make_rules(), SHORT, "210", "-5"),
        (TOUCH, LONG, "209", "3.980099"),  # 100 x (209 - 201) / 201, down
        (TOUCH, SHORT, "211", "-6.030151"),  # 100 x (199 - 211) / 199, down
    ],
    ids=["mid long", "mid short", "touch long", "touch short"],
)
def test_a_trade_is_closed_with_its_pnl(rules: Rules, side: Side, price: str, pnl: str) -> None:
    desk = desk_with(rules=rules)
    desk.do(tick(SOL, "199", "201"))
    desk.open(open_trade("t", SOL, side, margin="10", leverage="10"))
    desk.do(tick(SOL, "209", "211"))
    desk.at += 5
    (record,) = desk.do(close_trade("t"))
    returned = usdc("10") + usdc(pnl)
    closed = TradeClosed(
        trade_id=TradeId("t"),
        account=ANN,
        asset=SOL,
        reason=CloseReason.USER,
        price=usdc(price),
        margin=usdc("10"),
        pnl=usdc(pnl),
        returned=returned,
        balance=usdc("4990") + returned,
    )
    assert record == Record(3, START + 5, closed)
    state = desk.state
    assert (state.accounts[ANN].free, state.accounts[ANN].locked) == (usdc("4990") + returned, 0)
    assert (state.house.pnl, state.open_trades, state.market(SOL).open_interest) == (-usdc(pnl), 0, 0)
    assert_books_balance(state)


def test_a_close_at_the_touch_never_returns_less_than_nothing() -> None:
    desk = desk_with(rules=TOUCH)
    desk.open(open_trade("t", SOL, LONG, margin="10", leverage="100"))
    desk.do(tick(SOL, "190", "210"))  # the mark is still 200, the bid 5 % under it
    closed = desk.closed(close_trade("t"))
    assert (closed.pnl, closed.returned, closed.balance) == (-usdc("10"), 0, usdc("4990"))
    assert desk.state.house.pnl == usdc("10")
    assert_books_balance(desk.state)


def test_opening_and_closing_at_one_mark_costs_nothing() -> None:
    desk = desk_with()
    for order, side in (("a", LONG), ("b", SHORT)):
        desk.open(open_trade(order, SOL, side, margin="11.5", leverage="40.99"))
        desk.do(close_trade(order))
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert desk.state.house.pnl == 0
    assert_books_balance(desk.state)


# Whose it is


def test_somebody_elses_trade_is_not_found_and_stays_open() -> None:
    desk = desk_with(ANN, BOB)
    trade = desk.open(open_trade("t", account=ANN))
    assert desk.refused(close_trade("t", BOB)) == Refusal(Reject.TRADE_NOT_FOUND)
    assert desk.refused(close_trade("t", AccountId("nobody"))) == Refusal(Reject.TRADE_NOT_FOUND)
    assert desk.state.accounts[ANN].trades == {"t": trade}
    assert_books_balance(desk.state)


def test_a_trade_is_closed_once() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.do(close_trade("t"))
    for _ in range(3):
        assert desk.refused(close_trade("t")) == Refusal(Reject.TRADE_NOT_FOUND)
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert_books_balance(desk.state)


def test_a_liquidated_trade_cannot_be_closed() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.do(tick(SOL, "1"))
    desk.do(tick(SOL, "500"))
    assert desk.refused(close_trade("t")) == Refusal(Reject.TRADE_NOT_FOUND)
    assert_books_balance(desk.state)


def test_closing_looks_for_the_trade_before_the_price() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.at += PRICE_LIFE + 1
    assert desk.refused(close_trade("u")).reject is Reject.TRADE_NOT_FOUND
    assert desk.refused(close_trade("t")).reject is Reject.PRICE_UNAVAILABLE
    assert_books_balance(desk.state)

"""core/decide/: the price a trade is done at, how old it may be, and how wide its book."""

import pytest

from exness.core.instruments import Execution, Side
from exness.core.prices import Price, PriceState
from exness.core.rejects import DueAtOnce, NoPrice, Refusal, Reject
from exness.core.tick_order import closes_at, opens_at
from tests.core.orders import TOUCH
from tests.support.books import (
    ANN,
    BTC,
    ETH,
    LONG,
    PRICE_LIFE,
    SECOND,
    SHORT,
    SOL,
    START,
    Desk,
    assert_books_balance,
    close_trade,
    desk_with,
    open_account,
    open_trade,
    tick,
    usdc,
)


@pytest.mark.parametrize(
    ("execution", "side", "opening", "price"),
    [
        (Execution.MID, LONG, True, 200),
        (Execution.MID, LONG, False, 200),
        (Execution.MID, SHORT, True, 200),
        (Execution.MID, SHORT, False, 200),
        (Execution.TOUCH, LONG, True, 203),  # buys at the ask
        (Execution.TOUCH, LONG, False, 197),  # sells at the bid
        (Execution.TOUCH, SHORT, True, 197),
        (Execution.TOUCH, SHORT, False, 203),
    ],
)
def test_a_trade_opens_and_closes_at_the_mark_or_at_the_touch(
    execution: Execution, side: Side, opening: bool, price: int
) -> None:
    book = Price(bid=197, ask=203, mark=200, at=0, fresh_until=0)
    at = opens_at if opening else closes_at
    assert at(execution, book, side) == price


# Age


def test_nothing_is_traded_without_a_price() -> None:
    desk = Desk()
    desk.do(open_account())
    desk.do(tick(ETH, "3000"))
    refusal = Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(SOL, PriceState.DOWN))
    assert desk.refused(open_trade("t", SOL)) == refusal
    assert_books_balance(desk.state)


def test_a_price_of_exactly_30_s_is_traded_on_and_one_microsecond_later_it_is_not() -> None:
    desk = desk_with()
    desk.at = START + PRICE_LIFE
    desk.open(open_trade("t"))
    desk.at += 1
    stale = Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(SOL, PriceState.STALE, 30_000_001))
    assert desk.refused(open_trade("u")) == stale
    assert desk.refused(close_trade("t")) == stale
    assert list(desk.state.accounts[ANN].trades) == ["t"]
    desk.do(tick(SOL, "200"))
    desk.do(close_trade("t"))
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert_books_balance(desk.state)


def test_a_trade_can_still_be_closed_on_a_price_of_exactly_30_s() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.at = START + PRICE_LIFE
    assert desk.closed(close_trade("t")).price == usdc("200")
    assert_books_balance(desk.state)


def test_the_price_of_another_asset_does_not_keep_a_price_fresh() -> None:
    desk = desk_with()
    desk.at += PRICE_LIFE + SECOND
    desk.do(tick(BTC, "100000"))
    assert desk.refused(open_trade("t", SOL)).figures == NoPrice(SOL, PriceState.STALE, 31 * SECOND)
    desk.open(open_trade("u", BTC))
    assert_books_balance(desk.state)


def test_a_price_says_itself_how_long_it_lives() -> None:
    desk = desk_with()
    short_lived = tick(SOL, "200")
    desk.do(type(short_lived)(SOL, short_lived.bid, short_lived.ask, life_us=0))
    desk.open(open_trade("t"))
    desk.at += 1
    assert desk.refused(open_trade("u")).figures == NoPrice(SOL, PriceState.STALE, 1)
    assert_books_balance(desk.state)


# Spread


@pytest.mark.parametrize("side", Side)
def test_at_the_touch_a_book_too_wide_for_the_leverage_would_liquidate_at_once(side: Side) -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(SOL, "199", "201"))  # at 100x a long at 201 is liquidated at 198.99, the mark is 200
    desk.open(open_trade("fits", SOL, side, leverage="100"))
    desk.do(tick(SOL, "195", "205"))  # at 205 it would be at 202.95: the mark has been there
    price, liquidation = ("205", "202.95") if side is LONG else ("195", "196.95")
    assert desk.refused(open_trade("t", SOL, side, leverage="100")) == Refusal(
        Reject.WOULD_LIQUIDATE,
        DueAtOnce(SOL, usdc(price), usdc("200"), usdc(liquidation)),
    )
    desk.open(open_trade("u", SOL, side, leverage="10"))
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    ("side", "bid", "ask", "opens"),
    # A long at 10x that is bought at 200 is liquidated at 180, a short that is sold at 200 at 220.
    [
        (LONG, "160.000002", "200", True),  # mark 180.000001
        (LONG, "160.000001", "200", False),  # mark 180.0000005, half-even 180
        (LONG, "160", "200", False),
        (LONG, "150", "200", False),
        (SHORT, "200", "239.999998", True),
        (SHORT, "200", "239.999999", False),
        (SHORT, "200", "240", False),
        (SHORT, "200", "250", False),
    ],
)
def test_a_book_is_too_wide_when_the_mark_is_at_the_liquidation_price_or_through_it(
    side: Side, bid: str, ask: str, opens: bool
) -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(SOL, bid, ask))
    if opens:
        desk.open(open_trade("t", SOL, side, leverage="10"))
        assert desk.do(tick(SOL, bid, ask)) == [], "what opens is not liquidated by the price it opened at"
    else:
        assert desk.refused(open_trade("t", SOL, side, leverage="10")).reject is Reject.WOULD_LIQUIDATE
        assert desk.state.open_trades == 0
    assert_books_balance(desk.state)

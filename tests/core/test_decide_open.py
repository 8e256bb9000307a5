"""core/decide/opening.py, OpenTrade: a trade with all that is known of it, its margin, and slippage at its price.

Prices, limits and client order ids have files of their own.
"""

import msgspec
import pytest

from exness.core.events import Record, TradeOpened
from exness.core.instruments import Asset, Side, TradeId
from exness.core.rejects import Refusal, Reject, Slipped, TooLittle
from exness.core.rules import Rules
from exness.core.trades import Trade
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
    close_trade,
    desk_with,
    make_rules,
    open_trade,
    price_of,
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
        id=TradeId("t"),
        account=ANN,
        asset=SOL,
        side=side,
        margin=usdc("12.5"),
        leverage=1_000,
        entry=usdc(entry),
        liquidation=usdc(liquidation),
        opened_at=START + 5,
        seq=2,
        size=usdc("12.5") * 1_000,
    )
    assert record == Record(2, START + 5, TradeOpened(trade, balance=usdc("4987.5")))
    (account,) = desk.state.account_list
    assert (account.free, account.locked, account.notional) == (usdc("4987.5"), usdc("12.5"), usdc("125") * 100_000)
    assert account.trades == {"t": trade}
    assert desk.state.market(SOL).open_interest == usdc("125") * 100_000
    assert_books_balance(desk.state)


def test_nobody_opens_a_trade_on_an_account_that_is_not_there() -> None:
    desk = desk_with(ANN)
    assert desk.refused(open_trade("t", account=BOB)) == Refusal(Reject.ACCOUNT_NOT_FOUND)
    assert_books_balance(desk.state)


# Money


def test_all_of_the_free_balance_can_be_margin_and_not_one_unit_more() -> None:
    desk = desk_with()
    too_much = open_trade("t", margin="5000.000001")
    missing = TooLittle(usdc("5000.000001"), usdc("5000"))
    assert desk.refused(too_much) == Refusal(Reject.INSUFFICIENT_MARGIN, missing)
    desk.open(open_trade("t", margin="5000"))
    assert desk.state.accounts[ANN].free == 0
    nothing_left = desk.refused(open_trade("u", margin="0.000001"))
    assert nothing_left == Refusal(Reject.INSUFFICIENT_MARGIN, TooLittle(1, 0))
    assert_books_balance(desk.state)


def test_locked_margin_and_unrealized_gains_are_not_available() -> None:
    desk = desk_with()
    desk.open(open_trade("t", margin="4000", leverage="10"))
    desk.do(tick(SOL, "300"))
    assert desk.refused(open_trade("u", margin="1000.000001")).figures == TooLittle(usdc("1000.000001"), usdc("1000"))
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
        slipped = Slipped(SOL, usdc("200"), usdc(mark), allowed)
        assert desk.refused(command) == Refusal(Reject.SLIPPAGE_EXCEEDED, slipped)
    assert_books_balance(desk.state)


def test_slippage_is_measured_at_the_price_that_would_be_paid() -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(BTC, "99000", "101000"))
    long = open_trade("long", BTC, LONG, leverage="2", slippage=99, expected="100000")
    short = open_trade("short", BTC, SHORT, leverage="2", slippage=99, expected="100000")
    assert desk.refused(long).figures == Slipped(BTC, price_of(BTC, "100000"), price_of(BTC, "101000"), 99)
    assert desk.refused(short).figures == Slipped(BTC, price_of(BTC, "100000"), price_of(BTC, "99000"), 99)
    assert_books_balance(desk.state)


@pytest.mark.parametrize(("slippage", "expected"), [(None, "1"), (10, None), (None, None)])
def test_slippage_matters_only_with_a_bound_and_an_expected_price(slippage: int | None, expected: str | None) -> None:
    desk = desk_with()
    assert desk.open(open_trade("t", slippage=slippage, expected=expected)).entry == usdc("200")
    assert_books_balance(desk.state)


def test_an_order_that_waits_is_measured_from_the_price_of_when_it_came() -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(SOL, "199", "201"))
    waits = desk.engine.seen(open_trade("t", SOL, SHORT, slippage=10))
    assert waits == msgspec.structs.replace(open_trade("t", SOL, SHORT, slippage=10), seen_price=usdc("199"))
    desk.do(tick(SOL, "210", "212"))
    slipped = Slipped(SOL, usdc("199"), usdc("210"), 10)
    assert desk.refused(waits) == Refusal(Reject.SLIPPAGE_EXCEEDED, slipped)
    assert_books_balance(desk.state)


def test_no_price_is_noted_for_what_does_not_need_one() -> None:
    desk = desk_with()
    for command in (
        open_trade("t"),
        open_trade("t", expected="100"),
        open_trade("t", slippage=10, expected="100"),
        open_trade("t", Asset("DOGE"), slippage=10),
        close_trade("t"),
    ):
        assert desk.engine.seen(command) == command


def test_what_the_trader_saw_counts_before_what_was_seen_when_it_came() -> None:
    desk = desk_with()
    command = open_trade("t", slippage=10, expected="200")
    assert desk.open(msgspec.structs.replace(command, seen_price=usdc("100"))).entry == usdc("200")
    assert_books_balance(desk.state)

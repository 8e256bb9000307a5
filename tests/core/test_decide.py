"""core/decide.py: every refusal with its figures, their order, and what is decided when nothing is refused."""

from collections.abc import Callable

import pytest

from exness.core.capture import digest_of
from exness.core.commands import OpenAccount, OpenTrade
from exness.core.decide import (
    Repeated,
    decide_account,
    decide_close,
    decide_deposit,
    decide_open,
    execution_price,
    next_liquidation,
)
from exness.core.events import AccountOpened, Deposited, Record, Trade, TradeClosed, TradeLiquidated, TradeOpened
from exness.core.instruments import AccountId, Execution, Side
from exness.core.rejects import Refusal, Reject
from exness.core.state import Price, Rules, SeenOrder
from tests.support.books import (
    ANN,
    BOB,
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
    deposit,
    desk_with,
    make_rules,
    open_account,
    open_trade,
    tick,
    usdc,
)

TOUCH = make_rules(execution=Execution.TOUCH)

# Accounts and deposits


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


# Opening and closing


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
    assert execution_price(execution, book, side, opening=opening) == price


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
        order="t",
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
        order="t",
        account=ANN,
        asset=SOL,
        price=usdc(price),
        margin=usdc("10"),
        pnl=usdc(pnl),
        returned=returned,
        balance=usdc("4990") + returned,
    )
    assert record == Record(3, START + 5, closed)
    state = desk.state
    assert (state.accounts[ANN].free, state.accounts[ANN].locked) == (usdc("4990") + returned, 0)
    assert (state.house_pnl, state.open_trades, state.market(SOL).open_interest) == (-usdc(pnl), 0, 0)
    assert_books_balance(state)


def test_a_close_at_the_touch_never_returns_less_than_nothing() -> None:
    desk = desk_with(rules=TOUCH)
    desk.open(open_trade("t", SOL, LONG, margin="10", leverage="100"))
    desk.do(tick(SOL, "190", "210"))  # the mark is still 200, the bid 5 % under it
    (record,) = desk.do(close_trade("t"))
    assert (record.event.pnl, record.event.returned, record.event.balance) == (-usdc("10"), 0, usdc("4990"))
    assert desk.state.house_pnl == usdc("10")
    assert_books_balance(desk.state)


def test_opening_and_closing_at_one_mark_costs_nothing() -> None:
    desk = desk_with()
    for order, side in (("a", LONG), ("b", SHORT)):
        desk.open(open_trade(order, SOL, side, margin="11.5", leverage="40.99"))
        desk.do(close_trade(order))
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert desk.state.house_pnl == 0
    assert_books_balance(desk.state)


def test_a_decision_writes_nothing() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    before = digest_of(desk.state), desk.state.seq
    rules, state, at = desk.engine.rules, desk.state, desk.at
    assert isinstance(decide_account(state, rules, open_account(BOB), at), list)
    assert isinstance(decide_deposit(state, rules, deposit(ANN, "1"), at), list)
    assert isinstance(decide_open(state, rules, open_trade("u"), at), list)
    assert isinstance(decide_close(state, rules, close_trade("t"), at), list)
    assert isinstance(next_liquidation(state, tick(SOL, "1"), usdc("1")), TradeLiquidated)
    assert (digest_of(state), state.seq) == before
    assert_books_balance(state)


# Whose it is


def test_nobody_opens_a_trade_on_an_account_that_is_not_there() -> None:
    desk = desk_with(ANN)
    assert desk.refused(open_trade("t", account=BOB)) == Refusal(Reject.ACCOUNT_NOT_FOUND)
    assert_books_balance(desk.state)


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


# Prices


def test_nothing_is_traded_without_a_price() -> None:
    desk = Desk()
    desk.do(open_account())
    desk.do(tick(ETH, "3000"))
    refusal = Refusal(Reject.PRICE_UNAVAILABLE, {"asset": "SOL", "reason": "down"})
    assert desk.refused(open_trade("t", SOL)) == refusal
    assert_books_balance(desk.state)


def test_a_price_of_exactly_30_s_is_traded_on_and_one_microsecond_later_it_is_not() -> None:
    desk = desk_with()
    desk.at = START + PRICE_LIFE
    desk.open(open_trade("t"))
    desk.at += 1
    stale = Refusal(Reject.PRICE_UNAVAILABLE, {"asset": "SOL", "reason": "stale", "age_us": 30_000_001})
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
    (record,) = desk.do(close_trade("t"))
    assert record.event.price == usdc("200")
    assert_books_balance(desk.state)


def test_the_price_of_another_asset_does_not_keep_a_price_fresh() -> None:
    desk = desk_with()
    desk.at += PRICE_LIFE + SECOND
    desk.do(tick(BTC, "100000"))
    assert desk.refused(open_trade("t", SOL)).details["age_us"] == 31 * SECOND
    desk.open(open_trade("u", BTC))
    assert_books_balance(desk.state)


def test_a_price_says_itself_how_long_it_lives() -> None:
    desk = desk_with()
    short_lived = tick(SOL, "200")
    desk.do(type(short_lived)(SOL, short_lived.bid, short_lived.ask, life_us=0))
    desk.open(open_trade("t"))
    desk.at += 1
    assert desk.refused(open_trade("u")).details["age_us"] == 1
    assert_books_balance(desk.state)


@pytest.mark.parametrize("side", Side)
def test_at_the_touch_a_book_too_wide_for_the_leverage_is_no_price(side: Side) -> None:
    desk = desk_with(rules=TOUCH)
    desk.do(tick(SOL, "199", "201"))  # at 100x a long at 201 is liquidated at 198.99, the mark is 200
    desk.open(open_trade("fits", SOL, side, leverage="100"))
    desk.do(tick(SOL, "195", "205"))  # at 205 it would be at 202.95: the mark has been there
    assert desk.refused(open_trade("t", SOL, side, leverage="100")) == Refusal(
        Reject.PRICE_UNAVAILABLE, {"reason": "the spread is wider than this leverage allows"}
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
        assert desk.refused(open_trade("t", SOL, side, leverage="10")).reject is Reject.PRICE_UNAVAILABLE
        assert desk.state.open_trades == 0
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
        details = {"expected": "200.000000", "actual": format(float(mark), ".6f"), "allowed": allowed}
        assert desk.refused(command) == Refusal(Reject.SLIPPAGE_EXCEEDED, details)
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


# Position limits


def _limit(name: str, allowed: str | int, would_be: str | int) -> Refusal:
    return Refusal(Reject.POSITION_LIMIT, {"limit": name, "allowed": allowed, "wouldBe": would_be})


def test_an_account_has_at_most_so_many_open_trades() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_open_trades=2))
    desk.open(open_trade("a", SOL))
    desk.open(open_trade("b", BTC))
    assert desk.refused(open_trade("c", ETH)) == _limit("max_open_trades_per_account", 2, 3)
    desk.open(open_trade("bob's", account=BOB))
    desk.do(close_trade("a"))
    desk.open(open_trade("c", ETH))
    assert list(desk.state.accounts[ANN].trades) == ["b", "c"]
    assert_books_balance(desk.state)


def test_an_accounts_notional_may_reach_its_limit_but_not_pass_it() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_notional="1000"))
    desk.open(open_trade("a", SOL, LONG, margin="60", leverage="10"))
    one_too_many = open_trade("b", BTC, SHORT, margin="40.000001", leverage="10")
    assert desk.refused(one_too_many) == _limit("max_notional_per_account", "1000.000000", "1000.000010")
    desk.open(open_trade("b", BTC, SHORT, margin="40", leverage="10"))
    # A hundredth of a micro-USDC is over too: 0.000001 x 1.01, shown rounded up.
    least = open_trade("c", ETH, margin="0.000001", leverage="1.01")
    assert desk.refused(least) == _limit("max_notional_per_account", "1000.000000", "1000.000002")
    desk.open(open_trade("bob's", account=BOB, margin="100", leverage="10"))
    desk.do(close_trade("b"))
    desk.open(open_trade("c", ETH, margin="400", leverage="1"))
    assert desk.state.accounts[ANN].notional == usdc("1000") * 100
    assert_books_balance(desk.state)


def test_an_assets_open_interest_may_reach_its_limit_but_not_pass_it() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_open_interest="1000"))
    desk.open(open_trade("a", SOL, LONG, margin="60", leverage="10"))
    one_too_many = open_trade("b", SOL, SHORT, account=BOB, margin="4.000001", leverage="100")
    assert desk.refused(one_too_many) == _limit("max_open_interest_per_asset", "1000.000000", "1000.000100")
    desk.open(open_trade("b", SOL, SHORT, account=BOB, margin="4", leverage="100"))
    desk.open(open_trade("c", ETH, LONG, margin="100", leverage="10"))
    desk.do(close_trade("a"))
    desk.open(open_trade("d", SOL, LONG, account=BOB, margin="600", leverage="1"))
    assert desk.state.market(SOL).open_interest == usdc("1000") * 100
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


# Client order ids


def _named(order: str, *, client_order: str = "mine", fingerprint: str = "body", margin: str = "10") -> OpenTrade:
    return open_trade(order, margin=margin, client_order=client_order, fingerprint=fingerprint)


def test_a_repeated_client_order_id_gives_the_first_answer_and_no_second_trade() -> None:
    desk = desk_with()
    (record,) = desk.do(_named("t"))
    trade = record.event.trade
    assert (trade.client_order, record.event.fingerprint, record.event.forgets) == ("mine", "body", ())
    desk.do(deposit(ANN, "100"))
    desk.do(tick(SOL, "300"))
    first_answer = Repeated(SeenOrder("body", trade, balance=usdc("4990")))
    assert desk.repeated(_named("another id")) == first_answer
    assert list(desk.state.accounts[ANN].trades) == ["t"]
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "end", [lambda desk: desk.do(close_trade("t")), lambda desk: desk.do(tick(SOL, "1"))], ids=["closed", "liquidated"]
)
def test_the_first_answer_is_given_after_the_trade_has_ended_too(end: Callable[[Desk], object]) -> None:
    desk = desk_with()
    trade = desk.open(_named("t"))
    end(desk)
    assert desk.state.open_trades == 0
    assert desk.repeated(_named("u")) == Repeated(SeenOrder("body", trade, balance=usdc("4990")))
    assert desk.state.open_trades == 0
    assert_books_balance(desk.state)


def test_the_first_answer_is_given_whatever_would_be_refused_now() -> None:
    desk = desk_with(rules=make_rules(max_open_trades=1))
    desk.open(_named("t", margin="5000"))
    desk.at += 3600 * SECOND
    assert desk.repeated(_named("u", margin="5000")).seen.trade.order == "t"
    assert_books_balance(desk.state)


def test_a_known_client_order_id_with_another_body_is_a_conflict_that_names_the_first_order() -> None:
    desk = desk_with()
    desk.open(_named("t"))
    conflict = Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, {"orderId": "t"})
    assert desk.refused(_named("u", fingerprint="other body")) == conflict
    desk.do(close_trade("t"))
    assert desk.refused(_named("u", fingerprint="other body")) == conflict
    assert desk.repeated(_named("u")).seen.trade.order == "t"
    assert_books_balance(desk.state)


def test_client_order_ids_are_the_accounts_own() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(_named("t"))
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
    desk.refused(_named("t", margin="5001", fingerprint="too much"))
    assert desk.state.accounts[ANN].seen == {}
    assert desk.open(_named("t", fingerprint="less")).client_order == "mine"
    assert_books_balance(desk.state)


def test_a_full_window_forgets_the_oldest_and_only_then_allows_a_second_trade() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=2))
    assert desk.do(_named("t1", client_order="a"))[0].event.forgets == ()
    assert desk.do(_named("t2", client_order="b"))[0].event.forgets == ()
    desk.open(open_trade("t3"))  # without an id nothing is forgotten
    assert desk.repeated(_named("u", client_order="a")).seen.trade.order == "t1"
    assert desk.do(_named("t4", client_order="c"))[0].event.forgets == ("a",)
    assert list(desk.state.accounts[ANN].seen) == ["b", "c"]
    assert desk.repeated(_named("u", client_order="b")).seen.trade.order == "t2"
    (record,) = desk.do(_named("t5", client_order="a"))
    assert record.event.forgets == ("b",)
    assert list(desk.state.accounts[ANN].trades) == ["t1", "t2", "t3", "t4", "t5"]
    assert_books_balance(desk.state)


def test_a_smaller_window_forgets_all_that_no_longer_fit() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=4))
    for name in "abcd":
        desk.open(_named(f"t-{name}", client_order=name))
    desk.engine.rules = make_rules(client_order_ids=2)
    assert desk.do(_named("t-e", client_order="e"))[0].event.forgets == ("a", "b", "c")
    assert list(desk.state.accounts[ANN].seen) == ["d", "e"]
    assert_books_balance(desk.state)


# The order of refusals


def test_refusals_come_in_the_order_of_the_error_table() -> None:
    """One request with everything wrong. Each step mends what was refused, and the next refusal shows."""
    narrow = {"max_open_trades": 1, "max_notional": "150", "max_open_interest": "150"}
    desk = Desk(make_rules(**narrow))
    request = {"margin": "6000", "leverage": "10", "slippage": 10, "expected": "100", "fingerprint": "b"}

    def refused(**mended: str) -> tuple[Reject, object]:
        refusal = desk.refused(open_trade("u", **(request | {"client_order": "mine"} | mended)))
        return refusal.reject, refusal.details.get("limit")

    assert refused() == (Reject.ACCOUNT_NOT_FOUND, None)
    desk.do(open_account())
    desk.do(tick(SOL, "200"))
    desk.open(_named("t"))
    desk.at += PRICE_LIFE + 1
    assert refused() == (Reject.CLIENT_ORDER_ID_CONFLICT, None)
    request["client_order"] = "new"
    fresh = {"client_order": "new"}
    assert refused(**fresh) == (Reject.PRICE_UNAVAILABLE, None)
    desk.do(tick(SOL, "200"))
    assert refused(**fresh) == (Reject.SLIPPAGE_EXCEEDED, None)
    request["expected"] = "200"
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_open_trades_per_account")
    desk.engine.rules = make_rules(**(narrow | {"max_open_trades": 2}))
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_notional_per_account")
    desk.engine.rules = make_rules(max_open_interest="150")
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_open_interest_per_asset")
    desk.engine.rules = make_rules()
    assert refused(**fresh) == (Reject.INSUFFICIENT_MARGIN, None)
    request["margin"] = "10"
    desk.open(open_trade("u", **(request | fresh)))
    assert list(desk.state.accounts[ANN].trades) == ["t", "u"]
    assert_books_balance(desk.state)


def test_closing_looks_for_the_trade_before_the_price() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.at += PRICE_LIFE + 1
    assert desk.refused(close_trade("u")).reject is Reject.TRADE_NOT_FOUND
    assert desk.refused(close_trade("t")).reject is Reject.PRICE_UNAVAILABLE
    assert_books_balance(desk.state)


def test_the_next_liquidation_is_none_when_nothing_is_due() -> None:
    desk = desk_with()
    desk.open(open_trade("t", leverage="10"))
    assert next_liquidation(desk.state, tick(SOL, "180.000001"), usdc("180.000001")) is None
    assert next_liquidation(desk.state, tick(ETH, "1"), usdc("1")) is None
    assert_books_balance(desk.state)

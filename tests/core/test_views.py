"""core/views.py: what may be seen of the state, and with which record it may be told."""

from collections.abc import Sequence
from typing import Any

import pytest

from exness.core.commands import CancelOrders, NetOrder, SetNetLeverage
from exness.core.instruments import AccountId, Asset, Execution, OrderId
from exness.core.prices import PriceState
from exness.core.sums import AllBooks, Books, DigestOfAll, MarketSums, NewestRecord
from exness.core.trades import Trailing
from exness.core.views import (
    AccountOf,
    AllPrices,
    BalanceOf,
    HoldingsOf,
    NetHoldingsOf,
    NoSuchAccount,
    PriceOf,
    Question,
    Standing,
    last_record_of,
)
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
    Desk,
    assert_books_balance,
    close_trade,
    desk_with,
    digest_and_interest,
    known_history,
    make_rules,
    open_trade,
    price_of,
    tick,
    usdc,
)

NOBODY = AccountId("nobody")
QUESTIONS: Sequence[Question[Any]] = [
    AccountOf("ann@example.com"),
    AccountOf("nobody@example.com"),
    BalanceOf(ANN),
    HoldingsOf(BOB),
    HoldingsOf(BOB, ETH),
    NetHoldingsOf(BOB),
    PriceOf(SOL),
    PriceOf(Asset("DOGE")),
    AllPrices(),
    NewestRecord(),
    AllBooks(),
    DigestOfAll(),
]


def see(desk: Desk, question: Question[Any], later: int = 0) -> Any:
    return question.answer(desk.state, desk.engine.rules, desk.at + later)


@pytest.mark.parametrize("question", QUESTIONS, ids=repr)
def test_to_ask_changes_nothing_and_a_view_changes_no_more(question: Question[Any]) -> None:
    desk = known_history()
    before, markets = digest_and_interest(desk.state), set(desk.state.markets)
    view = see(desk, question)
    said = repr(view)
    assert digest_and_interest(desk.state) == before
    assert set(desk.state.markets) == markets, "no market is made for who asks for it"
    desk.do(tick(SOL, "199"))
    desk.do(close_trade("o-1"))
    desk.do(close_trade("o-4", BOB))
    assert repr(view) == said


def test_a_view_tells_of_no_record_after_the_one_it_names() -> None:
    desk = known_history()
    assert see(desk, BalanceOf(ANN)).seq == see(desk, HoldingsOf(ANN)).seq == desk.state.accounts[ANN].seq
    assert see(desk, BalanceOf(ANN)).newest == see(desk, HoldingsOf(ANN)).newest == desk.state.seq
    assert see(desk, NewestRecord()).seq == see(desk, AllBooks()).seq == see(desk, DigestOfAll()).seq == desk.state.seq
    for question in (AllPrices(), PriceOf(SOL), AccountOf("ann@example.com")):
        assert see(desk, question).seq == 0, "what is in no record waits for none"


def test_who_is_known_by_a_mail_address() -> None:
    desk = desk_with(ANN)
    assert see(desk, AccountOf("ann@example.com")).account == ANN
    assert see(desk, AccountOf("bob@example.com")).account is None


@pytest.mark.parametrize("question", [BalanceOf(NOBODY), HoldingsOf(NOBODY), NetHoldingsOf(NOBODY)])
def test_an_account_that_there_is_not_has_no_view(question: Question[Any]) -> None:
    with pytest.raises(NoSuchAccount):
        see(desk_with(ANN), question)


def test_the_last_record_of_an_account_is_its_own_and_of_one_that_there_is_not_the_last_of_all() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("t"))
    assert last_record_of(desk.state, BOB) == 2
    assert last_record_of(desk.state, ANN) == 3
    assert last_record_of(desk.state, NOBODY) == 3


def test_holdings_are_in_the_order_they_were_opened_and_can_be_of_one_asset() -> None:
    desk = desk_with(ANN)
    for order, asset in (("c", SOL), ("a", ETH), ("b", SOL)):
        desk.open(open_trade(order, asset))
    assert [trade.id for trade in see(desk, HoldingsOf(ANN)).trades] == ["c", "a", "b"]
    assert [trade.id for trade in see(desk, HoldingsOf(ANN, SOL)).trades] == ["c", "b"]
    assert see(desk, HoldingsOf(ANN, BTC)).trades == []
    assert see(desk, HoldingsOf(ANN, SOL)).owner.locked == usdc("30"), "of all trades: a gain ends at what may be held"


def test_net_holdings_are_the_net_positions_and_their_orders_and_no_other() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("t"))
    for order, limit in (("a", None), ("b", price_of(SOL, "190"))):
        desk.do(NetOrder(ANN, OrderId(order), SOL, LONG, quantity=1000, limit=limit))
    trailing = Trailing(percent=100)
    desk.do(NetOrder(ANN, OrderId("c"), SOL, SHORT, quantity=500, reduce_only=True, trailing_stop=trailing))
    desk.do(SetNetLeverage(ANN, ETH, 700))
    seen = see(desk, NetHoldingsOf(ANN))
    account = desk.state.accounts[ANN]
    assert (seen.seq, seen.free, seen.updated_at) == (account.seq, account.free, desk.state.at)
    assert seen.trades == {SOL: account.net(SOL)}
    assert [order.id for order in seen.orders] == ["b"]
    assert seen.leverages == {SOL: 2000, ETH: 700, BTC: 2000}
    assert seen.levels == {OrderId("c"): price_of(SOL, "198")}


def test_orders_that_are_named_are_cancelled_together_and_no_other() -> None:
    desk = desk_with(ANN)
    for order in ("a", "b", "c"):
        desk.do(NetOrder(ANN, OrderId(order), SOL, LONG, quantity=1000, limit=price_of(SOL, "190")))
    desk.do(NetOrder(ANN, OrderId("held"), SOL, LONG, quantity=1000))
    for order in ("d", "e"):
        desk.do(NetOrder(ANN, OrderId(order), SOL, SHORT, quantity=1, reduce_only=True, limit=price_of(SOL, "220")))
    desk.do(CancelOrders(ANN, named=frozenset({OrderId("a"), OrderId("c"), OrderId("e"), OrderId("gone")})))
    account = desk.state.accounts[ANN]
    assert (list(account.orders), list(account.exits)) == (["b"], ["d"])
    assert_books_balance(desk.state)


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_what_closing_would_pay_is_at_the_side_of_the_book_that_a_close_gets(execution: Execution, side: Any) -> None:
    desk = desk_with(ANN, rules=make_rules(execution=execution))
    trade = desk.open(open_trade("t", side=side))
    desk.do(tick(SOL, "209", "211"))
    now = see(desk, HoldingsOf(ANN)).standing(trade)
    assert (now.mark, now.stale) == (price_of(SOL, "210"), False)
    assert now.unrealized == usdc("5" if side is LONG else "-5")
    assert now.close_pnl == desk.closed(close_trade("t")).pnl


def test_a_trade_without_a_price_has_no_figures_and_one_with_an_old_price_can_not_be_closed() -> None:
    desk = desk_with(ANN)
    trade = desk.open(open_trade("t"))
    assert see(desk, HoldingsOf(ANN), PRICE_LIFE).standing(trade).close_pnl == 0
    assert see(desk, HoldingsOf(ANN), PRICE_LIFE + 1).standing(trade) == Standing(price_of(SOL, "200"), 0, None, True)
    desk.state.markets[SOL].price = None
    assert see(desk, HoldingsOf(ANN)).standing(trade) == Standing(None, None, None, True)


def test_prices_are_of_all_configured_assets_and_say_what_they_are_good_for() -> None:
    desk = Desk()
    assert {asset: quote.state for asset, quote in see(desk, AllPrices()).quotes.items()} == dict.fromkeys(
        desk.engine.rules.instruments, PriceState.DOWN
    )
    desk.do(tick(SOL, "200"))
    quote = see(desk, PriceOf(SOL)).quote
    assert (quote.price.mark, quote.state) == (price_of(SOL, "200"), PriceState.LIVE)
    assert see(desk, PriceOf(SOL), PRICE_LIFE + SECOND).quote.state is PriceState.STALE
    assert see(desk, AllPrices(), PRICE_LIFE + SECOND).quotes[SOL].state is PriceState.STALE


def test_the_books_are_the_sums_of_the_state() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("long", margin="10", leverage="10"))
    desk.open(open_trade("short", side=SHORT, account=BOB, margin="4", leverage="10"))
    assert see(desk, AllBooks()) == Books(
        seq=4,
        at=desk.at,
        accounts=2,
        open_trades=2,
        free=usdc("9986"),
        locked=usdc("14"),
        house_pnl=0,
        deposits=usdc("10000"),
        shortfall=0,
        reserved=0,
        commission=0,
        funding=0,
        insurance=0,
        markets={
            SOL: MarketSums(2, usdc("140") * 100, usdc("60") * 100),
            ETH: MarketSums(0, 0, 0),
            BTC: MarketSums(0, 0, 0),
        },
    )

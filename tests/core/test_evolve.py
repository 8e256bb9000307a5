"""core/evolve.py: events make the state, live and again; what does not fit stops with its name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exness.core.capture import digest_of
from exness.core.engine import Engine
from exness.core.events import (
    AccountOpened,
    CloseReason,
    Deposited,
    Event,
    Record,
    TradeClosed,
    TradeOpened,
)
from exness.core.evolve import evolve, quote
from exness.core.instruments import AccountId, TradeId
from exness.core.prices import PriceState
from exness.core.rejects import NoPrice
from exness.core.rules import Rules
from exness.core.state import Account, BooksError, State
from tests.core.histories import ASSETS, History, all_rules, histories, play
from tests.support.books import (
    ANN,
    BOB,
    PRICE_LIFE,
    SOL,
    START,
    Desk,
    assert_books_balance,
    close_trade,
    desk_with,
    known_history,
    make_engine,
    open_trade,
    tick,
    usdc,
)
from tests.support.states import picture_of, replayed, restore


def restored(state: State) -> State:
    """The state as it comes back from a picture of it."""
    return restore(*picture_of(state))


def _at_work() -> Desk:
    """Seq 1 and 2 open ann and bob, seq 3 opens ann's trade t: 10 USDC, 10x, SOL at 200."""
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("t", SOL, margin="10", leverage="10", client_order="mine"))
    return desk


OPENED = _at_work().records[2].event
assert isinstance(OPENED, TradeOpened)
CLOSED = TradeClosed(
    TradeId("t"), ANN, SOL, CloseReason.USER, usdc("202"), usdc("10"), usdc("1"), usdc("11"), usdc("5001")
)
LIQUIDATED = replace(
    CLOSED, reason=CloseReason.LIQUIDATION, price=usdc("180"), pnl=-usdc("10"), returned=0, balance=usdc("4990")
)


@pytest.mark.parametrize("seq", [0, 1, 3, 5, 400])
def test_a_record_that_does_not_follow_the_last_is_damage(seq: int) -> None:
    state = _at_work().state
    before = digest_of(state)
    with pytest.raises(AssertionError) as bug:
        evolve(state, Record(seq, START, Deposited(ANN, 1, usdc("4990") + 1)))
    assert str(bug.value) == f"record {seq} does not follow 3"
    assert digest_of(state) == before
    assert_books_balance(state)


def test_a_record_that_is_older_than_the_last_is_damage() -> None:
    state = _at_work().state
    before = digest_of(state)
    with pytest.raises(AssertionError) as bug:
        evolve(state, Record(4, state.at - 1, Deposited(ANN, 1, usdc("4990") + 1)))
    assert str(bug.value) == f"record 4 is of {START - 1}, before the last one's {START}"
    assert digest_of(state) == before
    assert_books_balance(state)


@pytest.mark.parametrize(
    ("event", "kind", "says"),
    [
        # A balance that is not what follows.
        (Deposited(ANN, 5, usdc("4990") + 4), BooksError, "account ann has 4990000005, its event says 4990000004"),
        (replace(CLOSED, balance=usdc("5000")), BooksError, "account ann has 5001000000, its event says 5000000000"),
        (replace(LIQUIDATED, balance=0), BooksError, "account ann has 4990000000, its event says 0"),
        (
            TradeOpened(replace(OPENED.trade, id="u", seq=4), usdc("4990")),
            BooksError,
            "account ann has 4980000000, its event says 4990000000",
        ),
        # A balance below 0.
        (
            TradeOpened(replace(OPENED.trade, id="u", seq=4, margin=usdc("4991")), -usdc("1")),
            BooksError,
            "account ann has -1000000, its event says -1000000",
        ),
        (Deposited(ANN, -usdc("4991"), -usdc("1")), BooksError, "account ann has -1000000"),
        # Sums that do not meet.
        (replace(CLOSED, pnl=usdc("2")), BooksError, "books do not balance at seq 4"),
        (replace(CLOSED, returned=usdc("12"), balance=usdc("5002")), BooksError, "books do not balance at seq 4"),
        (replace(LIQUIDATED, pnl=-usdc("9")), BooksError, "books do not balance at seq 4"),
        # What a trade's life has no room for.
        (OPENED, AssertionError, "trade t is opened twice"),
        (replace(CLOSED, trade_id="u"), AssertionError, "trade u is closed and is not open"),
        (replace(CLOSED, account=BOB), AssertionError, "trade t is closed and is not open"),
        (replace(LIQUIDATED, trade_id="u"), AssertionError, "trade u is closed and is not open"),
        # Accounts that are not there, or are already.
        (Deposited(AccountId("cid"), 1, 1), KeyError, "'cid'"),
        (replace(CLOSED, account=AccountId("cid")), KeyError, "'cid'"),
        (replace(LIQUIDATED, account=AccountId("cid")), KeyError, "'cid'"),
        (AccountOpened(AccountId("cid"), "cid@example.com", -1), BooksError, "account cid is opened with -1"),
        (AccountOpened(ANN, "new@example.com", 0), AssertionError, "account ann is opened twice"),
        (AccountOpened(AccountId("cid"), "ann@example.com", 0), AssertionError, "account cid is opened twice"),
        # A client order id to forget that is not remembered.
        (
            TradeOpened(replace(OPENED.trade, id="u", seq=4, client_order="x"), usdc("4980"), "x", ("gone",)),
            KeyError,
            "'gone'",
        ),
    ],
)
def test_an_event_that_does_not_fit_stops_and_says_why(event: Event, kind: type[Exception], says: str) -> None:
    state = _at_work().state
    assert_books_balance(state)
    with pytest.raises(kind) as bug:
        evolve(state, Record(4, START, event))
    assert str(bug.value).startswith(says)


@pytest.mark.parametrize("end", [CLOSED, LIQUIDATED], ids=["closed", "liquidated"])
@pytest.mark.parametrize("again", [CLOSED, LIQUIDATED], ids=["closed again", "liquidated again"])
def test_a_trade_ends_once(end: Event, again: Event) -> None:
    state = _at_work().state
    evolve(state, Record(4, START, end))
    assert state.accounts[ANN].trades == {}
    assert_books_balance(state)
    with pytest.raises(AssertionError) as bug:
        evolve(state, Record(5, START, again))
    assert str(bug.value) == "trade t is closed and is not open"


def test_a_record_sets_number_and_time() -> None:
    state = _at_work().state
    evolve(state, Record(4, START + 77, Deposited(BOB, 1, usdc("5000") + 1)))
    assert (state.seq, state.at) == (4, START + 77)
    assert state.accounts[BOB].seq == 4
    assert state.accounts[ANN].seq == 3
    assert_books_balance(state)


def test_a_closed_trade_leaves_and_its_client_order_id_stays() -> None:
    state = _at_work().state
    evolve(state, Record(4, START, CLOSED))
    ann = state.accounts[ANN]
    assert (ann.free, ann.locked, ann.notional, ann.trades, list(ann.seen)) == (usdc("5001"), 0, 0, {}, ["mine"])
    market = state.market(SOL)
    assert (market.open_trades, market.open_interest, market.first_liquidation(0)) == (0, 0, None)
    assert (state.open_trades, state.locked, state.house.pnl) == (0, 0, -usdc("1"))
    assert_books_balance(state)


def test_an_event_forgets_the_client_order_ids_it_names_and_no_others() -> None:
    # Whatever the window is configured to when it is replayed: a replay knows no rules.
    state = _at_work().state
    assert isinstance(OPENED, TradeOpened)
    trade = replace(OPENED.trade, id="u", seq=4, client_order="next")
    evolve(state, Record(4, START, TradeOpened(trade, usdc("4980"), "body", forgets=("mine",))))
    assert list(state.accounts[ANN].seen) == ["next"]
    assert_books_balance(state)


def test_a_price_is_taken_without_a_record_and_replaces_the_one_before() -> None:
    state = State()
    quote(state, tick(SOL, "199"), START)
    quote(state, tick(SOL, "200", "200.000001"), START + 5)
    price = state.price(SOL)
    assert price is not None
    assert (price.bid, price.ask, price.mark) == (200_000_000, 200_000_001, 200_000_000)
    assert (price.at, price.fresh_until) == (START + 5, START + 5 + PRICE_LIFE)
    assert (state.seq, state.at) == (0, 0)
    assert_books_balance(state)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: evolve(state, Record(4, START, Deposited(ANN, 1, usdc("4990") + 1))),
        lambda state: evolve(state, Record(4, START, CLOSED)),
        lambda state: evolve(state, Record(4, START, LIQUIDATED)),
        lambda state: evolve(state, Record(4, START, TradeOpened(replace(OPENED.trade, id="u", seq=4), usdc("4980")))),
    ],
    ids=["deposit", "close", "liquidate", "open"],
)
def test_an_account_is_shown_before_it_changes(change: Callable[[State], None]) -> None:
    state = _at_work().state
    shown = []

    class Observer:
        def keep(self, account: Account) -> None:
            shown.append((account.id, account.free, account.locked, list(account.trades), account.seq))

    state.observer = Observer()
    change(state)
    assert shown == [(ANN, usdc("4990"), usdc("10"), ["t"], 3)]
    assert_books_balance(state)


def test_the_known_history_replays_to_itself() -> None:
    desk = known_history()
    state = replayed(desk.records)
    assert digest_of(state) == digest_of(desk.state)
    assert (state.seq, state.at) == (desk.state.seq, desk.state.at)
    assert state.account_list == desk.state.account_list
    assert_books_balance(state)


@given(all_rules(), histories())
def test_the_records_of_a_live_run_make_the_same_state_again(rules: Rules, history: History) -> None:
    engine = make_engine(rules)
    records = play(engine, history)
    state = replayed(records)
    assert digest_of(state) == digest_of(engine.state)
    assert (state.seq, state.at, state.open_trades) == (engine.state.seq, engine.state.at, engine.state.open_trades)
    assert state.account_list == engine.state.account_list
    assert_books_balance(state)


@given(all_rules(), histories(), st.data())
def test_a_picture_at_any_point_and_the_records_after_it_make_the_whole(
    rules: Rules, history: History, data: st.DataObject
) -> None:
    engine = make_engine(rules)
    records = play(engine, history)
    cut = data.draw(st.integers(0, len(records)), label="cut")
    state = restored(replayed(records[:cut]))
    assert_books_balance(state)
    replayed(records[cut:], state)
    assert digest_of(state) == digest_of(engine.state)
    assert (state.seq, state.at, state.open_trades) == (engine.state.seq, engine.state.at, engine.state.open_trades)
    assert state.account_list == engine.state.account_list
    assert_books_balance(state)


@given(all_rules(), histories(max_steps=60), st.data())
def test_a_recovered_engine_goes_on_exactly_as_the_one_that_never_stopped(
    rules: Rules, history: History, data: st.DataObject
) -> None:
    live = make_engine(rules)
    stop = data.draw(st.integers(0, len(history)), label="stop")
    records = play(live, history[:stop])
    cut = data.draw(st.integers(0, len(records)), label="cut")
    recovered = Engine(rules, replayed(records[cut:], restored(replayed(records[:cut]))))
    # Prices are not in the records; the feed brings new ones, and they liquidate the same on both.
    first = history[2:4]
    last = [(tick(asset, price), live.state.at) for price in ("0.01", "500") for asset in ASSETS]
    for commands in (first, history[max(stop, 4) :], last):
        assert play(recovered, commands) == play(live, commands)
    assert digest_of(recovered.state) == digest_of(live.state)
    assert_books_balance(recovered.state)


def test_a_trade_can_be_closed_after_recovery_once_a_price_is_there() -> None:
    desk = _at_work()
    desk.engine = Engine(desk.engine.rules, restored(desk.state))
    assert desk.refused(close_trade("t")).figures == NoPrice(SOL, PriceState.DOWN)
    desk.do(tick(SOL, "202"))
    assert desk.do(close_trade("t"))[0].event == CLOSED
    assert_books_balance(desk.state)

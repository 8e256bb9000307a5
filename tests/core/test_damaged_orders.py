"""core: records and states of orders that no engine makes are found, and what takes more than one step goes on."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from exness.core.audit import audit
from exness.core.capture import digest_of
from exness.core.commands import AddExit, NetOrder, OpenTrade, PassTime, PlaceOrder
from exness.core.decide import ticks
from exness.core.events import (
    EndStatus,
    Event,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    Record,
    TradeChanged,
    TradeOpened,
    Why,
)
from exness.core.evolve import evolve
from exness.core.instruments import OrderId, TradeId
from exness.core.rates import Rates
from exness.core.state import Account, BooksError, State
from exness.core.trades import Kind, Trailing
from exness.core.views import Held, HeldAs
from tests.support.books import ANN, BOB, LONG, SOL, Desk, assert_books_balance, desk_with, make_rules, tick, usdc
from tests.support.states import picture_of, restore

TRADE, ORDER = TradeId("t"), OrderId("o")


def desk() -> Desk:
    """Ann has a trade with an exit, an order that waits, and a net position."""
    it = desk_with()
    it.do(OpenTrade(ANN, TRADE, SOL, LONG, usdc("100"), 1_000))
    it.do(AddExit(ANN, TRADE, OrderId("x"), Kind.TAKE_PROFIT, usdc("220"), percent=5_000))
    it.do(PlaceOrder(ANN, ORDER, SOL, LONG, usdc("50"), 500, limit=usdc("190")))
    it.do(NetOrder(ANN, OrderId("n"), SOL, LONG, 1_000))
    return it


def of(state: State) -> Account:
    return state.accounts[ANN]


EVENTS: list[tuple[str, type[Exception], Callable[[State], Event]]] = [
    (
        "trade u is changed and is not open",
        AssertionError,
        lambda s: TradeChanged(replace(of(s).trades[TRADE], id="u"), Why.EXITS, of(s).free),
    ),
    ("order o is placed twice", AssertionError, lambda s: OrderPlaced(of(s).orders[ORDER], of(s).free - usdc("50"))),
    (
        "order u is ended and does not wait",
        AssertionError,
        lambda s: OrderEnded(OrderId("u"), ANN, SOL, EndStatus.CANCELLED, 0, of(s).free),
    ),
    (
        "order o has reserved 50000000, its event says 1",
        BooksError,
        lambda s: OrderEnded(ORDER, ANN, SOL, EndStatus.CANCELLED, 1, of(s).free + 1),
    ),
    (
        "order o has reserved 50000000, its event says 1",
        BooksError,
        lambda s: OrderAmended(of(s).orders[ORDER], 1, of(s).free),
    ),
    (
        "account ann has two net positions in SOL",
        AssertionError,
        lambda s: TradeOpened(replace(of(s).trades[TradeId("n")], id="m", seq=99), of(s).free - usdc("10")),
    ),
]


@pytest.mark.parametrize(("says", "kind", "made"), EVENTS)
def test_a_record_that_an_orders_life_has_no_room_for_is_damage(
    says: str, kind: type[Exception], made: Callable[[State], Event]
) -> None:
    state = desk().state
    with pytest.raises(kind, match=says):
        evolve(state, Record(state.seq + 1, state.at, made(state)))


def _no_margin(state: State) -> None:
    of(state).trades[TRADE] = replace(of(state).trades[TRADE], margin=0)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (_no_margin, "trade t has margin 0 and size 100000000000"),
        (lambda state: of(state).exits.pop(OrderId("x")), "exits of ann: kept"),
        (lambda state: of(state).nets.pop(SOL), "net positions of ann: kept"),
        (lambda state: of(state).orders.pop(ORDER), "reserve of ann"),
    ],
)
def test_the_audit_finds_what_an_account_keeps_wrongly(broken: Callable[[State], object], says: str) -> None:
    state = desk().state
    audit(state)
    broken(state)
    with pytest.raises(BooksError, match=says):
        audit(state)


def test_a_trade_of_a_release_without_ceilings_is_kept_in_a_picture() -> None:
    """Its size has more than 64 bits: it is worked out again."""
    it = desk_with()
    opened = it.opened(OpenTrade(ANN, TRADE, SOL, LONG, usdc("100"), 1_000))
    account = it.records[0]
    state = State()
    evolve(state, replace(account, event=replace(account.event, deposit=2**61)))
    evolve(state, Record(2, it.at, TradeOpened(replace(opened.trade, margin=2**60, size=2**60 * 1_000), 2**60)))
    again = restore(*picture_of(state))
    assert of(again).trades[TRADE].size == 2**60 * 1_000
    assert digest_of(again) == digest_of(state)
    assert_books_balance(again)


def test_a_picture_of_a_trailing_stop_that_says_no_more_how_it_trails_is_refused() -> None:
    """As damage may leave it: recovery then takes the picture before it."""
    it = desk_with()
    it.do(OpenTrade(ANN, TRADE, SOL, LONG, usdc("1"), 100, trailing_stop=Trailing(percent=1_000)))
    header, (account,) = picture_of(it.state)
    whole = b"\xa8trailing\x81"
    assert whole in account
    with pytest.raises(AssertionError, match="is a trailing_stop in part only"):
        restore(header, [account.replace(whole, b"\xa8trahling\x81")])


def test_under_an_id_that_nobody_or_somebody_else_has_there_is_nothing() -> None:
    it = desk()
    for account in (BOB, ANN):
        name = "t" if account is BOB else "u"
        assert HeldAs(account, name).answer(it.state, it.engine.rules, it.at) == Held()
    assert HeldAs(ANN, "t").answer(it.state, it.engine.rules, it.at).trade == of(it.state).trades[TRADE]
    assert HeldAs(ANN, "o").answer(it.state, it.engine.rules, it.at).order == of(it.state).orders[ORDER]
    exit_ = HeldAs(ANN, "x").answer(it.state, it.engine.rules, it.at)
    assert (exit_.trade, exit_.exit) == (of(it.state).trades[TRADE], of(it.state).trades[TRADE].exits[0])


def test_stops_are_merged_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "MERGED_AT_ONCE", 1)
    it = desk_with()
    for number in range(6):
        it.do(OpenTrade(ANN, TradeId(f"t{number}"), SOL, LONG, usdc("1"), 100, trailing_stop=Trailing(percent=1_000)))
        it.do(tick(SOL, f"{200 - number}"))
    it.do(tick(SOL, "210"))
    closed = it.do(tick(SOL, "188.9"))[-6:]
    assert [getattr(record.event, "trade_id", None) for record in closed] == [f"t{number}" for number in range(6)]
    assert_books_balance(it.state)


def test_a_settlement_passes_over_what_pays_nothing_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "PASSED_AT_ONCE", 2)
    rates = Rates(funding_interval_s=3_600, funding_rate=0, funding_rate_short=10_000)
    it = desk_with(rules=replace(make_rules(), rates={SOL: rates}), liquidations_per_step=1)
    for number in range(5):
        it.do(OpenTrade(ANN, TradeId(f"t{number}"), SOL, LONG, usdc("1"), 100))
    assert it.do(PassTime()) == [], "before there was a price"
    assert it.state.due.next_due is not None
    before, it.at = it.state.seq, it.state.due.next_due
    steps = list(it.engine.steps(PassTime(), it.at))
    assert len(steps) > 1, "it lets others in between"
    assert it.state.seq == before, "longs pay nothing"
    assert_books_balance(it.state)

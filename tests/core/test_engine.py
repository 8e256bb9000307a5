"""core/engine.py: commands in, outcomes out; what a tick liquidates, at what price, in what order."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.capture import digest_of
from exness.core.commands import Command, PriceTick, SetRates
from exness.core.events import CloseReason, Record, TradeClosed, TradeOpened
from exness.core.evolve import evolve
from exness.core.instruments import Execution, Side, TradeId
from exness.core.outcomes import Done, Outcome
from exness.core.rates import Rates
from exness.core.rules import Rules
from tests.core.histories import History, all_rules, histories, play
from tests.reference.twin import Twin, execute_both
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    ETH,
    LONG,
    SECOND,
    SHORT,
    SOL,
    START,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    events_of,
    is_liquidation,
    known_history,
    make_engine,
    make_rules,
    open_account,
    open_trade,
    tick,
    usdc,
)
from tests.support.lanes import examples


def orders_of(records: list[Record]) -> list[str]:
    """The orders that records liquidated; they must hold nothing else."""
    events = events_of(TradeClosed, records)
    assert all(event.liquidated for event in events)
    return [event.trade_id for event in events]


def test_a_command_is_done_with_one_record_that_says_who_asked_and_when() -> None:
    engine = make_engine()
    outcome = engine.execute(open_account(), START, request="req-1", cause="http:1")
    assert isinstance(outcome, Done)
    (record,) = outcome.records
    assert (record.seq, record.at, record.request, record.cause) == (1, START, "req-1", "http:1")
    assert (engine.state.seq, engine.state.at) == (1, START)
    assert_books_balance(engine.state)


def test_nobody_asked_for_a_liquidation() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    outcome = desk.engine.execute(tick(SOL, "180"), desk.at, request="req-2", cause="http:2")
    assert isinstance(outcome, Done)
    assert [(record.request, record.cause) for record in outcome.records] == [("", "feed")]
    assert_books_balance(desk.state)


def test_a_tick_that_sets_nothing_off_makes_no_record_and_changes_nothing_but_the_price() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    before = digest_of(desk.state), desk.state.seq, desk.state.at
    desk.at += SECOND
    assert desk.do(tick(SOL, "190", "191")) == []
    assert (digest_of(desk.state), desk.state.seq, desk.state.at) == before
    price = desk.state.price(SOL)
    assert price is not None
    assert (price.bid, price.ask, price.mark, price.at) == (190_000_000, 191_000_000, 190_500_000, START + SECOND)
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    ("side", "last_safe", "first_due"), [(LONG, "180.000001", "180"), (SHORT, "219.999999", "220")]
)
def test_a_trade_is_liquidated_at_exactly_its_price_and_not_one_unit_before(
    side: Side, last_safe: str, first_due: str
) -> None:
    desk = desk_with()
    trade = desk.open(open_trade("t", SOL, side, margin="10", leverage="10"))
    assert desk.do(tick(SOL, last_safe)) == []
    assert desk.state.accounts[ANN].trades == {"t": trade}
    desk.at += SECOND
    (record,) = desk.do(tick(SOL, first_due))
    assert record == Record(
        seq=3,
        at=START + SECOND,
        event=TradeClosed(
            trade_id=trade.id,
            account=ANN,
            asset=SOL,
            reason=CloseReason.LIQUIDATION,
            price=trade.liquidation,
            margin=usdc("10"),
            pnl=-usdc("10"),
            returned=0,
            balance=usdc("4990"),
            shortfall=0,
            bid=trade.liquidation,
            ask=trade.liquidation,
        ),
        cause="feed",
    )
    state = desk.state
    assert state.accounts[ANN].trades == {}
    assert (state.free, state.locked, state.house.pnl, state.shortfall) == (usdc("4990"), 0, usdc("10"), 0)
    assert_books_balance(state)


@pytest.mark.parametrize(
    ("side", "mark", "shortfall"),
    # 100 USDC notional, 200 in: each USDC of price beyond the liquidation price is 0.5 USDC more than the margin.
    [(LONG, "179", "0.5"), (LONG, "100", "40"), (SHORT, "221", "0.5"), (SHORT, "300", "40")],
)
def test_a_gap_through_the_price_closes_at_the_tick_and_books_what_the_loss_exceeds_the_margin_by(
    side: Side, mark: str, shortfall: str
) -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, side, margin="10", leverage="10"))
    (record,) = desk.do(tick(SOL, mark))
    event = record.event
    assert is_liquidation(event)
    assert (event.price, event.pnl, event.shortfall) == (usdc(mark), -usdc("10"), usdc(shortfall))
    assert event.balance == desk.state.accounts[ANN].free == usdc("4990")
    assert (desk.state.house.pnl, desk.state.shortfall) == (usdc("10"), usdc(shortfall))
    assert_books_balance(desk.state)


def test_shortfalls_add_up_and_are_rounded_against_the_trader() -> None:
    desk = desk_with()
    desk.open(open_trade("a", SOL, LONG, margin="11.5", leverage="40.99"))
    desk.open(open_trade("b", SOL, LONG, margin="10", leverage="10"))
    first, second = events_of(TradeClosed, desk.do(tick(SOL, "179.999999")))
    # 11.5 x 40.99 x 20.000001 / 200 = 47.13850235...; the loss is rounded up.
    assert (first.trade_id, first.shortfall) == ("a", usdc("35.638503"))
    assert (second.trade_id, second.shortfall) == ("b", 1)
    assert desk.state.shortfall == usdc("35.638504")
    assert_books_balance(desk.state)


def test_a_long_at_1x_survives_everything() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, LONG, leverage="1"))
    assert desk.do(tick(SOL, "0.000001")) == []
    assert desk.do(tick(SOL, "100000")) == []
    assert desk.state.open_trades == 1
    assert_books_balance(desk.state)


def test_a_tick_touches_its_own_asset_only() -> None:
    desk = desk_with()
    desk.open(open_trade("sol", SOL, leverage="100"))
    desk.open(open_trade("eth", ETH, leverage="100"))
    assert orders_of(desk.do(tick(SOL, "1"))) == ["sol"]
    assert list(desk.state.accounts[ANN].trades) == ["eth"]
    assert_books_balance(desk.state)


def test_liquidation_triggers_on_the_mark_whatever_the_touch_is() -> None:
    desk = desk_with(rules=make_rules(execution=Execution.TOUCH))
    desk.open(open_trade("long", SOL, LONG, leverage="10"))
    desk.open(open_trade("short", SOL, SHORT, leverage="10"))
    assert desk.do(tick(SOL, "170", "190.000002")) == []  # mark 180.000001, bid far below
    assert desk.do(tick(SOL, "210", "229.999998")) == []  # mark 219.999999, ask far above
    (event,) = events_of(TradeClosed, desk.do(tick(SOL, "170", "190.000001")))  # mark 180.0000005, half-even 180
    assert (event.trade_id, event.price, event.bid, event.ask) == (
        "long",
        180_000_000,
        170_000_000,
        190_000_001,
    )
    assert_books_balance(desk.state)


def test_a_wick_between_two_ticks_still_liquidates() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, LONG, leverage="10"))
    assert desk.do(tick(SOL, "200")) == []
    assert orders_of(desk.do(tick(SOL, "179"))) == ["t"]
    assert desk.do(tick(SOL, "200")) == []
    assert desk.refused(close_trade("t")).reject == "trade_not_found"
    assert desk.state.accounts[ANN].free == usdc("4990")
    assert_books_balance(desk.state)


def test_a_trade_closed_is_not_liquidated_later() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, LONG, leverage="10"))
    desk.do(close_trade("t"))
    assert desk.do(tick(SOL, "1")) == []
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert_books_balance(desk.state)


def test_a_trade_liquidated_is_liquidated_once() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, LONG, leverage="10"))
    assert orders_of(desk.do(tick(SOL, "180"))) == ["t"]
    assert desk.do(tick(SOL, "180")) == []
    assert desk.do(tick(SOL, "1")) == []
    assert (desk.state.house.pnl, desk.state.locked, desk.state.open_trades) == (usdc("10"), 0, 0)
    assert_books_balance(desk.state)


def test_one_tick_takes_longs_nearest_price_first_and_one_price_in_the_order_of_opening() -> None:
    desk = desk_with(ANN, BOB)
    for order, account, leverage in (
        ("10x", ANN, "10"),
        ("100x", BOB, "100"),
        ("50x first", BOB, "50"),
        ("50x second", ANN, "50"),
        ("2x", ANN, "2"),
    ):
        desk.open(open_trade(order, SOL, LONG, account=account, leverage=leverage))
    assert orders_of(desk.do(tick(SOL, "150"))) == ["100x", "50x first", "50x second", "10x"]
    assert_books_balance(desk.state)


def test_one_tick_takes_shorts_nearest_price_first_and_one_price_in_the_order_of_opening() -> None:
    desk = desk_with(ANN, BOB)
    for order, account, leverage in (
        ("10x", ANN, "10"),
        ("100x", BOB, "100"),
        ("50x first", BOB, "50"),
        ("50x second", ANN, "50"),
        ("2x", ANN, "2"),
    ):
        desk.open(open_trade(order, SOL, SHORT, account=account, leverage=leverage))
    assert orders_of(desk.do(tick(SOL, "250"))) == ["100x", "50x first", "50x second", "10x"]
    assert_books_balance(desk.state)


def test_longs_come_before_shorts() -> None:
    # No price reaches both in a live market: a price lies above all longs and below all shorts that are open. So the
    # short that was opened at 100 comes from a journal, as it were, in which the price was never ticked.
    desk = desk_with()
    long = desk.open(open_trade("long", SOL, LONG, leverage="10"))
    changed = {"side": SHORT, "entry": usdc("100"), "liquidation": usdc("110"), "seq": 3}
    short = msgspec.structs.replace(long, id=TradeId("short"), **changed)
    evolve(desk.state, Record(3, START, TradeOpened(short, usdc("4980"))))
    assert orders_of(desk.do(tick(SOL, "150"))) == ["long", "short"]
    assert desk.state.accounts[ANN].free == usdc("4980")
    assert_books_balance(desk.state)


def _many_due(liquidations_per_step: int, trades: int) -> Desk:
    desk = desk_with(ANN, BOB, liquidations_per_step=liquidations_per_step)
    for number in range(trades):
        account = (ANN, BOB)[number % 2]
        leverage = str(100 - number * 7 % 50)
        desk.open(open_trade(f"t{number}", SOL, SHORT, account=account, margin="1", leverage=leverage))
    return desk


def steps_of(desk: Desk, command: Command) -> list[list[Record] | Outcome]:
    """What each step gives, when it gives it."""
    return [list(step) if isinstance(step, list) else step for step in desk.engine.steps(command, desk.at)]


def test_a_tick_that_liquidates_many_comes_in_steps_with_the_same_records_as_in_one() -> None:
    stepwise, at_once = _many_due(5, 12), _many_due(500, 12)
    whole = at_once.do(tick(SOL, "300"))
    assert len(whole) == 12
    assert steps_of(stepwise, tick(SOL, "300")) == [whole[:5], whole[:10], Done(whole)]
    assert digest_of(stepwise.state) == digest_of(at_once.state)
    assert_books_balance(stepwise.state)
    assert_books_balance(at_once.state)


def test_a_tick_that_fills_its_last_step_says_in_one_more_that_it_is_done() -> None:
    desk = _many_due(5, 10)
    *steps, outcome = steps_of(desk, tick(SOL, "300"))
    assert [len(records) for records in steps if isinstance(records, list)] == [5, 10]
    assert outcome == Done(steps[-1])  # type: ignore[arg-type]
    assert desk.state.open_trades == 0
    assert_books_balance(desk.state)


def test_the_books_balance_between_the_steps_of_a_tick() -> None:
    desk = _many_due(1, 6)
    for _ in desk.engine.steps(tick(SOL, "300"), desk.at):
        assert_books_balance(desk.state)
    assert desk.state.house.pnl == usdc("6")
    assert_books_balance(desk.state)


def test_time_does_not_run_backwards_for_a_command() -> None:
    desk = desk_with()
    desk.at += SECOND
    desk.do(deposit(ANN, "1"))
    desk.at -= 10 * SECOND
    trade = desk.open(open_trade("t"))
    assert trade.opened_at == START + SECOND
    assert desk.records[-1].at == desk.state.at == START + SECOND
    assert_books_balance(desk.state)


def test_a_tick_from_the_past_is_taken_at_the_time_of_the_last_record() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, leverage="10"))
    desk.at += SECOND
    desk.do(deposit(ANN, "1"))
    desk.at -= 10 * SECOND
    (record,) = desk.do(tick(SOL, "180"))
    price = desk.state.price(SOL)
    assert price is not None
    assert (record.at, price.at, price.fresh_until) == (START + SECOND, START + SECOND, START + 31 * SECOND)
    assert_books_balance(desk.state)


def test_a_stale_price_does_not_keep_the_next_tick_from_liquidating() -> None:
    desk = desk_with()
    desk.open(open_trade("t", SOL, leverage="10"))
    desk.at += 3600 * SECOND
    assert orders_of(desk.do(tick(SOL, "180"))) == ["t"]
    assert_books_balance(desk.state)


def test_liquidations_free_what_the_limits_count() -> None:
    desk = desk_with(rules=make_rules(max_open_trades=1, max_notional="100", max_open_interest="100"))
    desk.open(open_trade("t", SOL, margin="10", leverage="10"))
    assert desk.refused(open_trade("u", SOL, margin="10", leverage="10")).reject == "position_limit"
    desk.do(tick(SOL, "180"))
    desk.open(open_trade("u", SOL, margin="10", leverage="10"))
    assert list(desk.state.accounts[ANN].trades) == ["u"]
    assert_books_balance(desk.state)


def test_a_whole_life_ends_in_the_free_balance_to_the_last_unit() -> None:
    desk = desk_with()
    opened = desk.opened(open_trade("t", BTC, SHORT, margin="100", leverage="3"))
    assert opened.balance == usdc("4900")
    desk.do(tick(BTC, "98765.4321", "98765.4322"))  # mark 98765.4322: of two neighbours the even one
    closed = desk.do(close_trade("t"))[0].event
    # 300 x (100000 - 98765.4322) / 100000 = 3.7037034
    assert closed == TradeClosed(
        trade_id=TradeId("t"),
        account=ANN,
        asset=BTC,
        reason=CloseReason.USER,
        price=987_654_322,
        margin=usdc("100"),
        pnl=usdc("3.703703"),
        returned=usdc("103.703703"),
        balance=usdc("5003.703703"),
    )
    assert desk.state.house.pnl == -usdc("3.703703")
    assert_books_balance(desk.state)


@given(all_rules(), histories())
def test_the_same_commands_make_the_same_records_and_the_same_state(rules: Rules, history: History) -> None:
    one, other = make_engine(rules), make_engine(rules)
    assert play(one, history) == play(other, history)
    assert digest_of(one.state) == digest_of(other.state)
    assert_books_balance(one.state)


@given(all_rules(), histories(max_steps=60), st.sampled_from((1, 2, 500)))
@examples(200)
def test_the_engine_answers_what_the_reference_model_predicts(
    rules: Rules, history: History, liquidations_per_step: int
) -> None:
    engine, twin = make_engine(rules, liquidations_per_step=liquidations_per_step), Twin(rules, liquidations_per_step)
    for command, at in history:
        for _ in execute_both(engine, twin, command, at):
            assert_books_balance(engine.state)
        assert twin.difference(engine.state) is None
        assert not isinstance(command, PriceTick) or not twin.due(command), "a trade outlived its liquidation price"


def test_who_follows_an_engine_comes_to_the_same_state_and_rules() -> None:
    desk = known_history()
    rates = Rates(taker=50_000, maker=20_000)
    desk.do(SetRates(SOL, {"taker": 50_000, "maker": 20_000}))
    copy = make_engine()
    copy.follow(desk.records[:5])
    copy.follow(desk.records[5:])
    assert digest_of(copy.state) == digest_of(desk.engine.state)
    assert copy.rules.rates_of(SOL) == desk.engine.rules.rates_of(SOL) == rates
    for price in (tick(SOL, "190"), PriceTick(SOL, 1, 1, 1, suspect=True)):
        assert list(copy.recall(price, START)) == [Done([])], "a price that others work off sets nothing off"
    assert copy.state.price(SOL) is not None
    assert digest_of(copy.state) == digest_of(desk.engine.state)

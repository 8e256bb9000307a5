"""core, orders and net positions: what the stories of tests/reference do not tell, which does not know it."""

import msgspec

from exness.core.commands import (
    AmendOrder,
    ChangeMargin,
    CloseTrade,
    NetOrder,
    PassTime,
    PayInsurance,
    PlaceOrder,
    Reset,
    SetExits,
    SetNetLeverage,
    SetProfile,
    SetRates,
    TimeInForce,
)
from exness.core.engine import Engine
from exness.core.events import (
    EndStatus,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    TradeChanged,
    TradeClosed,
    TradeOpened,
)
from exness.core.evolve import evolve
from exness.core.instruments import Execution, LimitFill, OrderId, TradeId, Trigger
from exness.core.rates import FundingSource, Rates
from exness.core.rejects import Figure, OutOfRange, Reject, UsedBefore, Wrong
from exness.core.rules import Rules
from tests.support.books import (
    ANN,
    BTC,
    LONG,
    SECOND,
    SHORT,
    SOL,
    START,
    Desk,
    assert_books_balance,
    desk_with,
    make_rules,
    open_trade,
    tick,
    usdc,
)
from tests.support.states import picture_of, restore


def net(order: str, side: object = LONG, quantity: int = 1_000, **more: object) -> NetOrder:
    return NetOrder(ANN, OrderId(order), SOL, side, quantity=quantity, **more)  # type: ignore[arg-type]


def with_rates(rates: Rates) -> Rules:
    return msgspec.structs.replace(make_rules(), rates={SOL: rates})


# --- rows of orders -------------------------------------------------------------------------------------------------


def test_a_net_order_that_is_filled_at_once_stands_in_the_first_record_that_it_makes() -> None:
    desk = desk_with()
    (record,) = desk.do(net("o1"))
    assert isinstance(record.event, TradeOpened)
    assert record.event.placed is not None
    assert (record.event.placed.id, record.event.placed.number) == ("o1", 16 * record.seq)
    closed, opened = (each.event for each in desk.do(net("o2", SHORT, 3_000)))
    assert isinstance(closed, TradeClosed)
    assert isinstance(opened, TradeOpened)
    assert closed.placed is not None
    assert (closed.placed.id, closed.placed.quantity, closed.by) == ("o2", 3_000, "o2")
    assert (opened.trade.id, opened.placed) == ("o2", None)
    assert_books_balance(desk.state)


def test_where_it_may_leave_a_row_an_order_that_would_wait_expires_at_once() -> None:
    desk = desk_with()
    ioc = net("o1", limit=usdc("100"), time_in_force=TimeInForce.IOC)
    assert desk.refused(ioc).reject is Reject.WOULD_REST
    placed, ended = (record.event for record in desk.do(msgspec.structs.replace(ioc, leaves_expired=True)))
    assert isinstance(placed, OrderPlaced)
    assert isinstance(ended, OrderEnded)
    assert (ended.status, ended.reason, ended.released) == (EndStatus.EXPIRED, "would_rest", 0)
    assert desk.state.accounts[ANN].orders == {}
    assert desk.state.accounts[ANN].free == usdc("5000")
    assert_books_balance(desk.state)


def test_a_label_is_unique_among_what_waits_and_free_again_once_it_has_ended() -> None:
    desk = desk_with()
    desk.do(net("o1", limit=usdc("100"), label="mine"))
    assert desk.refused(net("o2", label="mine")).figures == UsedBefore(OrderId("o1"))
    desk.do(net("o3"))
    desk.do(net("x1", SHORT, reduce_only=True, stop=usdc("150"), label="exit"))
    assert desk.refused(net("o4", label="exit")).figures == UsedBefore(OrderId("x1"))
    desk.do(tick(SOL, "149"))
    desk.do(net("o5", label="exit"))
    assert desk.state.accounts[ANN].seen == {}, "a label is in no window"
    assert_books_balance(desk.state)


def test_a_flip_is_remembered_from_its_first_record_to_its_last() -> None:
    desk = desk_with()
    desk.do(net("o1"))
    flip = net("o2", SHORT, 3_000, client_order="mine")
    closed, opened = desk.do(flip)
    seen = desk.repeated(msgspec.structs.replace(flip, order_id=OrderId("another"))).seen  # type: ignore[arg-type]
    assert (seen.trade_id, seen.seq, seen.last) == ("o2", closed.seq, opened.seq)
    assert desk.refused(net("o3", client_order="mine")).reject is Reject.CLIENT_ORDER_ID_CONFLICT
    place = PlaceOrder(ANN, OrderId("o4"), SOL, LONG, usdc("1"), 100, limit=usdc("10"), client_order="mine")
    assert desk.refused(place).reject is Reject.CLIENT_ORDER_ID_CONFLICT, "one window over all calls"
    assert_books_balance(desk.state)


def test_an_order_that_slips_is_measured_from_the_price_it_came_in_at() -> None:
    desk = desk_with()
    waits = desk.engine.seen(net("o1", slippage=10))
    assert isinstance(waits, NetOrder)
    assert waits.seen_price == usdc("200")
    desk.do(tick(SOL, "210"))
    assert desk.refused(waits).reject is Reject.SLIPPAGE_EXCEEDED
    assert_books_balance(desk.state)


def test_a_crossing_limit_with_a_client_order_id_is_remembered_and_repeated() -> None:
    desk = desk_with()
    place = PlaceOrder(ANN, OrderId("o"), SOL, LONG, usdc("10"), 1_000, limit=usdc("210"), client_order="mine")
    (opened,) = desk.do(place)
    assert isinstance(opened.event, TradeOpened)
    seen = desk.repeated(msgspec.structs.replace(place, order_id=OrderId("p"))).seen  # type: ignore[arg-type]
    assert (seen.trade_id, seen.seq) == ("o", opened.seq)
    assert_books_balance(desk.state)


def test_an_order_that_is_made_a_stop_limit_again_keeps_the_number_of_when_it_fired_first() -> None:
    desk = desk_with()
    desk.do(PlaceOrder(ANN, OrderId("o"), SOL, LONG, usdc("10"), 1_000, limit=usdc("206"), stop=usdc("205")))
    (first,) = desk.do(tick(SOL, "207"))
    assert isinstance(first.event, OrderTriggered)
    assert first.event.fired == 16 * first.seq
    desk.do(AmendOrder(ANN, OrderId("o"), stop=usdc("209"), limit=usdc("209.5")))
    (second,) = desk.do(tick(SOL, "210"))
    assert isinstance(second.event, OrderTriggered)
    assert second.event.fired == 16 * first.seq
    (ended, opened) = desk.do(tick(SOL, "209"))
    assert isinstance(ended.event, OrderEnded)
    assert isinstance(opened.event, TradeOpened)
    assert ended.event.fired == 16 * first.seq
    assert_books_balance(desk.state)


# --- set by hand ----------------------------------------------------------------------------------------------------


def test_rates_that_were_set_hold_over_a_restart_and_until_a_reset() -> None:
    desk = desk_with()
    desk.do(SetRates(SOL, {"taker": 50_000}))
    assert desk.engine.rules.rates_of(SOL).taker == 50_000
    assert desk.opened(open_trade("t", margin="100", leverage="10")).fee == usdc("0.5")
    again = Engine(make_rules(), restore(*picture_of(desk.state)))
    assert again.rules.rates_of(SOL).taker == 50_000
    desk.do(Reset(insurance=7))
    assert desk.engine.rules.rates_of(SOL).taker == 0
    assert (desk.state.house.insurance, desk.state.deposits) == (7, 7)
    assert_books_balance(desk.state)


def test_rates_that_can_not_hold_are_refused_by_name() -> None:
    desk = desk_with()
    assert desk.refused(SetRates(SOL, {"taker": 10**8})).figures == Wrong("taker", "be a rate from 0 to below 1")
    assert desk.refused(PayInsurance(0)).reject is Reject.AMOUNT_OUT_OF_RANGE
    assert_books_balance(desk.state)


def test_a_profile_sets_what_goes_with_its_rates() -> None:
    desk = desk_with()
    desk.do(SetProfile("own", Execution.TOUCH, Trigger.MARK, LimitFill.LIMIT, {SOL: Rates(maker=3)}))
    rules = desk.engine.rules
    assert (rules.execution, rules.trigger, rules.limit_fill) == (Execution.TOUCH, Trigger.MARK, LimitFill.LIMIT)
    assert (rules.rates_of(SOL).maker, rules.rates_of(BTC).maker) == (3, 0)
    again = Engine(make_rules(), restore(*picture_of(desk.state)))
    assert again.rules == rules
    assert_books_balance(desk.state)


# --- time -----------------------------------------------------------------------------------------------------------


def test_funding_of_the_feed_is_the_venues_newest() -> None:
    desk = desk_with(rules=with_rates(Rates(funding_interval_s=3600, funding_rate=FundingSource.FEED)))
    desk.do(open_trade("t", margin="100", leverage="10"))
    desk.do(msgspec.structs.replace(tick(SOL, "200"), funding=10_000))
    desk.do(tick(SOL, "200"))
    assert desk.do(PassTime()) == [], "before there was a price"
    due = desk.state.due.next_due
    assert due is not None
    assert due > START
    desk.at = due
    (record,) = desk.do(PassTime())
    assert isinstance(record.event, TradeChanged)
    assert (record.at, record.cause, record.event.paid) == (due, "time", usdc("0.1"))
    assert not desk.engine.is_due(desk.at)
    assert_books_balance(desk.state)


def test_time_that_brings_nothing_makes_no_record_and_is_over() -> None:
    desk = desk_with(rules=with_rates(Rates(funding_interval_s=3600, funding_rate=10_000)))
    desk.at += 10 * 3600 * SECOND
    while desk.engine.is_due(desk.at):
        assert desk.do(PassTime()) == []
    assert desk.state.due.next_due is not None
    assert desk.state.due.next_due > desk.at
    assert desk.do(PassTime()) == []


def test_an_exit_expires_and_its_trade_goes_on() -> None:
    desk = desk_with()
    desk.do(net("n"))
    desk.do(net("x", SHORT, 500, reduce_only=True, stop=usdc("150"), expires_at=desk.at + SECOND))
    desk.at += SECOND
    (record,) = desk.do(PassTime())
    assert isinstance(record.event, TradeChanged)
    assert (record.event.exit, record.event.ended, record.event.trade.exits) == ("x", EndStatus.EXPIRED, ())
    assert (record.at, desk.state.accounts[ANN].net(SOL)) == (desk.at, record.event.trade)
    assert_books_balance(desk.state)


# --- ceilings -------------------------------------------------------------------------------------------------------


def test_a_trade_of_a_release_without_ceilings_can_only_be_closed_whole() -> None:
    desk = desk_with()
    (record,) = desk.do(open_trade("t", margin="10", leverage="10"))
    assert isinstance(record.event, TradeOpened)
    old = Desk(make_rules())
    for each in desk.records[:-1]:
        evolve(old.state, each)
    huge = msgspec.structs.replace(record.event.trade, size=2**70)
    evolve(old.state, msgspec.structs.replace(record, event=msgspec.structs.replace(record.event, trade=huge)))
    old.do(tick(SOL, "200"))
    for command in (
        CloseTrade(ANN, TradeId("t"), percent=5_000),
        ChangeMargin(ANN, TradeId("t"), 1),
        SetExits(ANN, TradeId("t"), stop_loss=usdc("190")),
    ):
        figures = old.engine.execute(command, old.at).figures  # type: ignore[union-attr]
        assert figures == OutOfRange(Figure.SIZE, 2**70, 1, 2**62)
    old.closed(CloseTrade(ANN, TradeId("t")))
    assert_books_balance(old.state)


def test_an_asset_without_net_positions_says_so() -> None:
    desk = desk_with()
    listings = {**make_rules().instruments}
    listings[SOL] = msgspec.structs.replace(listings[SOL], quantity_decimals=9)
    desk.engine.rules = msgspec.structs.replace(make_rules(), instruments=listings)
    assert desk.refused(net("o1")).figures == Wrong("asset", "be one that has net positions")
    desk.do(SetNetLeverage(ANN, SOL, 500))
    assert_books_balance(desk.state)

"""core/events.py: what happened."""

from types import ModuleType
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from exness.core.commands import Reset
from exness.core.events import (
    AccountEvent,
    Asked,
    CloseReason,
    EndStatus,
    Event,
    InsurancePaid,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    ProfileSet,
    RatesSet,
    Record,
    TradeChanged,
    TradeIncreased,
    TradeReduced,
    TrailMoved,
    Why,
)
from exness.core.instruments import Execution, LimitFill, OrderId, TradeId, Trigger
from exness.core.rates import FREE, FundingSource, Rates, Tier
from exness.core.trades import Exit, ExitOrder, Kind, Order, Trade, Trailing
from tests.support.books import ANN, LONG, SOL, assert_books_balance, is_liquidation, known_history

ORDER = Order(OrderId("o"), ANN, SOL, LONG, 16, 1, 100, quantity=2, opens=1, unit=10, stop=3, trailing_stop=Trailing(1))
EXIT = Exit(Kind.STOP_LOSS, 17, 3, order=ExitOrder(OrderId("x"), 1, size=2, limit=2))
TRADE = Trade(
    TradeId("t"),
    ANN,
    SOL,
    LONG,
    1,
    100,
    5,
    4,
    1,
    1,
    2,
    cost=9,
    unit=10,
    exits=(EXIT,),
    take_profit=replace(EXIT, order=None),
)
ASKED = Asked("mine", "asked", OrderId("o"), ("old",), 2)
NEVER_SEEN: list[Event] = [
    OrderPlaced(ORDER, 1, ASKED),
    OrderAmended(ORDER, 1, 2),
    OrderTriggered(OrderId("o"), ANN, SOL, 32, 1),
    OrderEnded(OrderId("o"), ANN, SOL, EndStatus.REFUSED, 1, 2, "would_liquidate"),
    TradeIncreased(TRADE, OrderId("o"), 1, 2, 3, 4, placed=ORDER),
    TradeReduced(TRADE, CloseReason.EXIT, 1, 2, 3, -1, 2, 9, by=OrderId("x")),
    TradeChanged(TRADE, Why.EXITS, 1, exit=OrderId("x"), ended=EndStatus.EXPIRED),
    NetLeverageSet(ANN, SOL, 100, 1),
    TrailMoved(SOL, 1, 3, 2, 1, 3),
    RatesSet(SOL, Rates(taker=1, maintenance=(Tier(0, 1), Tier(5, 2, 100)), funding_rate=FundingSource.FEED)),
    ProfileSet("own", Execution.TOUCH, Trigger.MARK, LimitFill.LIMIT, {SOL: FREE}),
    InsurancePaid(1),
]
"""What no desk without orders brings about."""


@pytest.mark.parametrize("form", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_every_record_is_read_back_as_it_was_written(form: ModuleType) -> None:
    desk = known_history()
    desk.do(Reset())
    others = set(get_args(Event)) - {type(record.event) for record in desk.records}
    assert {type(event) for event in NEVER_SEEN} == others
    for record in [*desk.records, *(Record(1, 2, event) for event in NEVER_SEEN)]:
        assert form.decode(form.encode(record), type=Record) == record
    assert_books_balance(desk.state)


def test_records_are_numbered_from_1_without_a_hole_and_their_time_never_falls() -> None:
    desk = known_history()
    assert [record.seq for record in desk.records] == list(range(1, len(desk.records) + 1))
    times = [record.at for record in desk.records]
    assert times == sorted(times)
    assert_books_balance(desk.state)


def test_every_event_says_whose_it_is_and_the_balance_after_it() -> None:
    desk = known_history()
    balances: dict[str, int] = {}
    for record in desk.records:
        event = record.event
        assert isinstance(event, AccountEvent)
        balances[event.account] = event.balance
    assert balances == {account.id: account.free for account in desk.state.account_list}
    assert_books_balance(desk.state)


def test_a_liquidated_trade_loses_exactly_its_margin() -> None:
    (liquidated,) = (r.event for r in known_history().records if is_liquidation(r.event))
    assert liquidated.pnl == -liquidated.margin == -33_333_333
    assert liquidated.account != ANN

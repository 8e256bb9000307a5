"""core/events.py: what happened, and the life-cycle of a trade as a table."""

from itertools import product
from types import ModuleType
from typing import get_args

import msgspec
import pytest

from exness.core.commands import StartAfresh
from exness.core.events import (
    LIFE_CYCLE,
    AccountOpened,
    Event,
    Record,
    StartedAfresh,
    TradeClosed,
    TradeEvent,
    TradeLiquidated,
    TradeOpened,
    TradeStatus,
    next_status,
)
from tests.support.books import ANN, assert_books_balance, known_history

TRADE_EVENTS = get_args(TradeEvent)
LIFE = {
    (TradeStatus.NEW, TradeOpened): TradeStatus.OPEN,
    (TradeStatus.OPEN, TradeClosed): TradeStatus.CLOSED,
    (TradeStatus.OPEN, TradeLiquidated): TradeStatus.LIQUIDATED,
}
"""Written down a second time: whoever changes a trade's life changes it here too."""


def test_the_life_of_a_trade_is_opened_and_then_closed_or_liquidated() -> None:
    assert LIFE_CYCLE == LIFE


@pytest.mark.parametrize(("status", "event"), [*product(TradeStatus, TRADE_EVENTS)])
def test_what_is_not_in_the_life_cycle_is_refused(status: TradeStatus, event: type[TradeEvent]) -> None:
    if (status, event) in LIFE:
        assert next_status(status, event) is LIFE[status, event]
        return
    with pytest.raises(AssertionError) as bug:
        next_status(status, event)
    assert str(bug.value) == f"a trade that is {status.value} can't have {event.__name__}"


def test_closed_and_liquidated_are_final_and_nothing_becomes_new_again() -> None:
    assert not {status for status, _ in LIFE_CYCLE} & {TradeStatus.CLOSED, TradeStatus.LIQUIDATED}
    assert TradeStatus.NEW not in LIFE_CYCLE.values()


@pytest.mark.parametrize("form", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_every_record_is_read_back_as_it_was_written(form: ModuleType) -> None:
    desk = known_history()
    desk.do(StartAfresh())
    assert {type(record.event) for record in desk.records} == set(get_args(Event))
    for record in desk.records:
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
        assert not isinstance(event, StartedAfresh)
        balances[event.account] = event.deposit if isinstance(event, AccountOpened) else event.balance
    assert balances == {account.id: account.free for account in desk.state.account_list}
    assert_books_balance(desk.state)


def test_a_liquidated_trade_loses_exactly_its_margin() -> None:
    (liquidated,) = (r.event for r in known_history().records if isinstance(r.event, TradeLiquidated))
    assert liquidated.pnl == -liquidated.margin == -33_333_333
    assert liquidated.account != ANN

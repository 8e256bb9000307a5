"""core/events.py: what happened."""

from types import ModuleType
from typing import get_args

import msgspec
import pytest

from exness.core.commands import Reset
from exness.core.events import AccountEvent, Event, Record
from tests.support.books import ANN, assert_books_balance, is_liquidation, known_history


@pytest.mark.parametrize("form", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_every_record_is_read_back_as_it_was_written(form: ModuleType) -> None:
    desk = known_history()
    desk.do(Reset())
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
        assert isinstance(event, AccountEvent)
        balances[event.account] = event.balance
    assert balances == {account.id: account.free for account in desk.state.account_list}
    assert_books_balance(desk.state)


def test_a_liquidated_trade_loses_exactly_its_margin() -> None:
    (liquidated,) = (r.event for r in known_history().records if is_liquidation(r.event))
    assert liquidated.pnl == -liquidated.margin == -33_333_333
    assert liquidated.account != ANN

"""core/client_orders.py: a client order id makes one trade, however often it is sent, until its window has passed."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exness.core.commands import OpenTrade
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.instruments import TradeId
from exness.core.outcomes import Repeated
from exness.core.rejects import Refusal, Reject, UsedBefore
from exness.core.state import SeenOrder
from tests.core.orders import named
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    ETH,
    SECOND,
    SHORT,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    make_rules,
    open_trade,
    tick,
)

ASKED = "SOL|long|10000000|1000|None|None"
"""The fingerprint of `named`: as every release wrote it."""


def test_a_repeated_client_order_id_gives_the_first_answer_and_no_second_trade() -> None:
    desk = desk_with()
    opened = desk.opened(named("t"))
    trade = opened.trade
    assert (trade.client_order, opened.fingerprint, opened.forgets) == ("mine", ASKED, ())
    desk.do(deposit(ANN, "100"))
    desk.do(tick(SOL, "300"))
    assert desk.repeated(named("another id")) == Repeated(SeenOrder(ASKED, TradeId("t"), trade.seq, trade.seq))
    assert desk.records[trade.seq - 1].event == opened, "the first answer stands there"
    assert list(desk.state.accounts[ANN].trades) == ["t"]
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "end", [lambda desk: desk.do(close_trade("t")), lambda desk: desk.do(tick(SOL, "1"))], ids=["closed", "liquidated"]
)
def test_the_first_answer_is_given_after_the_trade_has_ended_too(end: Callable[[Desk], object]) -> None:
    desk = desk_with()
    opened = desk.opened(named("t"))
    end(desk)
    assert desk.state.open_trades == 0
    first = desk.repeated(named("u")).seen
    assert first == SeenOrder(ASKED, TradeId("t"), opened.trade.seq, opened.trade.seq)
    assert desk.records[first.seq - 1].event == opened
    assert desk.state.open_trades == 0
    assert_books_balance(desk.state)


def test_the_first_answer_is_given_whatever_would_be_refused_now() -> None:
    desk = desk_with(rules=make_rules(max_open_trades=1))
    desk.open(named("t", margin="5000"))
    desk.at += 3600 * SECOND
    assert desk.repeated(named("u", margin="5000")).seen.trade_id == "t"
    assert_books_balance(desk.state)


def test_a_known_client_order_id_with_another_body_is_a_conflict_that_names_the_first_order() -> None:
    desk = desk_with()
    desk.open(named("t"))
    conflict = Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(TradeId("t")))
    assert desk.refused(named("u", margin="11")) == conflict
    desk.do(close_trade("t"))
    assert desk.refused(named("u", margin="11")) == conflict
    assert desk.repeated(named("u")).seen.trade_id == "t"
    assert_books_balance(desk.state)


def test_client_order_ids_are_the_accounts_own() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(named("t"))
    desk.open(open_trade("u", account=BOB, client_order="mine", margin="11"))
    assert desk.state.open_trades == 2
    assert_books_balance(desk.state)


def test_trades_without_a_client_order_id_are_never_repeats() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    desk.open(open_trade("u"))
    assert desk.state.open_trades == 2
    assert desk.state.accounts[ANN].seen == {}
    assert_books_balance(desk.state)


def test_a_refused_request_does_not_use_its_client_order_id_up() -> None:
    desk = desk_with()
    desk.refused(named("t", margin="5001"))
    assert desk.state.accounts[ANN].seen == {}
    assert desk.open(named("t")).client_order == "mine"
    assert_books_balance(desk.state)


def test_a_full_window_forgets_the_oldest_and_only_then_allows_a_second_trade() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=2))
    assert desk.opened(named("t1", client_order="a")).forgets == ()
    assert desk.opened(named("t2", client_order="b")).forgets == ()
    desk.open(open_trade("t3"))  # without an id nothing is forgotten
    assert desk.repeated(named("u", client_order="a")).seen.trade_id == "t1"
    assert desk.opened(named("t4", client_order="c")).forgets == ("a",)
    assert list(desk.state.accounts[ANN].seen) == ["b", "c"]
    assert desk.repeated(named("u", client_order="b")).seen.trade_id == "t2"
    assert desk.opened(named("t5", client_order="a")).forgets == ("b",)
    assert list(desk.state.accounts[ANN].trades) == ["t1", "t2", "t3", "t4", "t5"]
    assert_books_balance(desk.state)


def test_a_smaller_window_forgets_all_that_no_longer_fit() -> None:
    desk = desk_with(rules=make_rules(client_order_ids=4))
    for name in "abcd":
        desk.open(named(f"t-{name}", client_order=name))
    desk.engine.rules = make_rules(client_order_ids=2)
    assert desk.opened(named("t-e", client_order="e")).forgets == ("a", "b", "c")
    assert list(desk.state.accounts[ANN].seen) == ["d", "e"]
    assert_books_balance(desk.state)


ONE_THING: list[dict[str, Any]] = [
    {},
    {"asset": ETH},
    {"side": SHORT},
    {"margin": "10.000001"},
    {"leverage": "10.01"},
    {"slippage": 100},
    {"slippage": 101},
    {"slippage": 100, "expected": "200"},
    {"slippage": 100, "expected": "200.000001"},
]


@pytest.mark.parametrize("asked", ONE_THING, ids=str)
def test_a_request_that_differs_in_one_thing_is_another_one(asked: dict[str, Any]) -> None:
    desk = desk_with()
    desk.open(open_trade("t", client_order="mine", **asked))
    for other in ONE_THING:
        command = open_trade("u", client_order="mine", **other)
        if other == asked:
            assert desk.repeated(command).seen.trade_id == "t"
        else:
            assert desk.refused(command).reject is Reject.CLIENT_ORDER_ID_CONFLICT
    assert_books_balance(desk.state)


def test_the_price_that_was_seen_when_it_had_to_wait_is_no_part_of_what_is_asked() -> None:
    desk = desk_with()
    command = open_trade("t", client_order="mine", slippage=100)
    desk.open(command)
    desk.do(tick(SOL, "250"))
    again = desk.engine.seen(command)
    assert again != command
    assert isinstance(again, OpenTrade)
    assert desk.repeated(again).seen.trade_id == "t"


BTC_SCRIPT = "asset=BTC,type=short,margin=10.50,leverage=2.5,slippage=50,expectedPrice=100000.5"
SCRIPTED: list[tuple[str, OpenTrade]] = [
    ("asset=SOL,type=long,margin=10,leverage=10,slippage=,expectedPrice=", named("t")),
    (BTC_SCRIPT, open_trade("t", BTC, SHORT, margin="10.5", leverage="2.5", slippage=50, expected="100000.5")),
]


@pytest.mark.parametrize(("stored", "command"), SCRIPTED, ids=["least", "all"])
def test_an_order_that_a_replay_of_the_first_release_made_is_still_met_again(stored: str, command: OpenTrade) -> None:
    command = msgspec.structs.replace(command, client_order="mine")
    desk = desk_with()
    opened = desk.opened(command)
    evolved = desk_with(ANN)
    evolve(evolved.state, Record(2, desk.at, msgspec.structs.replace(opened, fingerprint=stored)))
    evolved.do(tick(BTC, "100000"))
    assert evolved.repeated(command).seen == SeenOrder(stored, TradeId("t"), 2, 2)
    more = msgspec.structs.replace(command, margin=command.margin + 1)
    assert evolved.refused(more) == Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(TradeId("t")))
    assert_books_balance(evolved.state)


def test_a_fingerprint_that_nobody_makes_any_more_is_a_conflict() -> None:
    desk = desk_with()
    opened = desk.opened(named("t"))
    for stored in ("body", "asset=SOL,type=long,margin=11,leverage=10,slippage=,expectedPrice="):
        other = desk_with()
        evolve(other.state, Record(2, other.at, msgspec.structs.replace(opened, fingerprint=stored)))
        assert other.refused(named("u")).figures == UsedBefore(TradeId("t"))
    removed = desk_with()
    evolve(removed.state, Record(2, removed.at, msgspec.structs.replace(opened, fingerprint=SCRIPTED[0][0])))
    removed.engine.rules = msgspec.structs.replace(removed.engine.rules, instruments={})
    assert removed.refused(named("u")).figures == UsedBefore(TradeId("t")), "its asset is not configured any more"

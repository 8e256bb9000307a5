"""core/commands.py: what can be asked. Commands are values."""

import copy
from typing import get_args

import msgspec
import pytest

from exness.core.commands import (
    AddExit,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    ChangeLeverage,
    ChangeMargin,
    Command,
    NetOrder,
    PassTime,
    PayInsurance,
    PlaceOrder,
    Reset,
    SetExits,
    SetNetLeverage,
    SetProfile,
    SetRates,
)
from exness.core.instruments import Execution, LimitFill, OrderId, TradeId, Trigger
from exness.core.rates import FREE
from exness.core.trades import Kind, Trailing
from tests.support.books import ANN, BOB, LONG, SOL, close_trade, deposit, open_account, open_trade, tick

ONE_OF_EACH: list[Command] = [
    open_account(),
    deposit(BOB, "1"),
    open_trade("t", slippage=100, expected="200", client_order="mine"),
    close_trade("t"),
    SetExits(ANN, TradeId("t"), take_profit=3, stop_loss=None, trailing_stop=Trailing(percent=100)),
    AddExit(ANN, TradeId("t"), OrderId("x"), Kind.LIMIT, 3, percent=100),
    ChangeMargin(ANN, TradeId("t"), -1),
    ChangeLeverage(ANN, TradeId("t"), 100),
    PlaceOrder(ANN, OrderId("o"), SOL, LONG, 1, 100, limit=2, stop=1),
    AmendOrder(ANN, OrderId("o"), limit=None, stop=2),
    CancelOrder(ANN, OrderId("o")),
    CancelOrders(ANN),
    NetOrder(ANN, OrderId("n"), SOL, LONG, quantity=1),
    SetNetLeverage(ANN, SOL, 100),
    SetRates(SOL, {"taker": 1}),
    SetProfile("free", Execution.MID, Trigger.SIDE, LimitFill.BETTER, {SOL: FREE}),
    PayInsurance(1),
    Reset(),
    tick(SOL, "199", "201"),
    PassTime(),
]


def test_there_is_one_of_each_thing_to_ask() -> None:
    assert {type(command) for command in ONE_OF_EACH} == set(get_args(Command))


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_a_command_is_a_value_that_does_not_change(command: Command) -> None:
    same = copy.deepcopy(command)
    assert command == same
    if not isinstance(command, SetRates | SetProfile):
        assert hash(command) == hash(same)
    for name in msgspec.structs.asdict(command):
        with pytest.raises(AttributeError):
            setattr(command, name, None)
    assert command == same

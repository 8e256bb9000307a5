"""core/commands.py: what can be asked. Commands are values."""

import copy
from typing import get_args

import msgspec
import pytest

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, Reset
from tests.support.books import BOB, SOL, close_trade, deposit, open_account, open_trade, tick

ONE_OF_EACH: list[Command] = [
    open_account(),
    deposit(BOB, "1"),
    open_trade("t", slippage=100, expected="200", client_order="mine"),
    close_trade("t"),
    Reset(),
    tick(SOL, "199", "201"),
]


def test_there_are_six_things_to_ask() -> None:
    assert set(get_args(Command)) == {OpenAccount, Deposit, OpenTrade, CloseTrade, Reset, PriceTick}
    assert {type(command) for command in ONE_OF_EACH} == set(get_args(Command))


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_a_command_is_a_value_that_does_not_change(command: Command) -> None:
    same = copy.deepcopy(command)
    assert command == same
    assert hash(command) == hash(same)
    for name in msgspec.structs.asdict(command):
        with pytest.raises(AttributeError):
            setattr(command, name, None)
    assert command == same

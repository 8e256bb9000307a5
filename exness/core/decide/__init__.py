"""(state, rules, command, time) -> events, or a Refusal. Writes nothing.

Guards come in the order in which API.md lists the errors; then arithmetic; then the events. One file for each kind of
command, `ticks` for what prices and time set off.
"""

from collections.abc import Callable
from typing import Any, get_args

from exness.core.commands import (
    AddExit,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    ChangeLeverage,
    ChangeMargin,
    CloseTrade,
    Command,
    Deposit,
    NetOrder,
    OpenAccount,
    OpenTrade,
    PassTime,
    PayInsurance,
    PlaceOrder,
    PriceTick,
    Reset,
    SetExits,
    SetNetLeverage,
    SetProfile,
    SetRates,
)
from exness.core.decide.accounts import (
    decide_account,
    decide_deposit,
    decide_insurance,
    decide_profile,
    decide_rates,
    decide_reset,
)
from exness.core.decide.exits import decide_exit, decide_exits
from exness.core.decide.net_orders import decide_net
from exness.core.decide.opening import decide_open
from exness.core.decide.orders import decide_amend, decide_cancel, decide_cancel_all, decide_order
from exness.core.decide.parts import decide_close, decide_leverage, decide_margin, decide_net_leverage
from exness.core.events import Event
from exness.core.outcomes import Repeated
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.state import State

Decider = Callable[[State, Rules, Any, int], list[Event] | Refusal | Repeated]

DECIDE: dict[type[Command], Decider] = {
    OpenAccount: decide_account,
    Deposit: decide_deposit,
    OpenTrade: decide_open,
    CloseTrade: decide_close,
    SetExits: decide_exits,
    AddExit: decide_exit,
    ChangeMargin: decide_margin,
    ChangeLeverage: decide_leverage,
    PlaceOrder: decide_order,
    AmendOrder: decide_amend,
    CancelOrder: decide_cancel,
    CancelOrders: decide_cancel_all,
    NetOrder: decide_net,
    SetNetLeverage: decide_net_leverage,
    SetRates: decide_rates,
    SetProfile: decide_profile,
    PayInsurance: decide_insurance,
    Reset: decide_reset,
}
"""Who decides what: every command but a tick and time, which have no decision of their own (see `ticks`)."""
assert DECIDE.keys() == set(get_args(Command)) - {PriceTick, PassTime}, "every command has its decision"

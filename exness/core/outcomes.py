"""What a command comes to: it is done, it repeats an earlier one, or it is refused and changes nothing."""

from typing import NamedTuple

import msgspec

from exness.core.commands import Command, OpenTrade
from exness.core.events import Record
from exness.core.rejects import Refusal, Reject
from exness.core.state import SeenOrder, State


class Done(msgspec.Struct, frozen=True, gc=False):
    """What happened, in order; empty for a tick that set nothing off."""

    records: list[Record]


class Repeated(msgspec.Struct, frozen=True):
    """The same client order id with the same body: no second trade, and the first answer again, which stands in the
    records of `seen`."""

    seen: SeenOrder


Outcome = Done | Refusal | Repeated


class Decision(NamedTuple):
    """An outcome, and the newest record that telling it tells of: 0 when it tells of none."""

    outcome: Outcome
    shows: int


_SHOW_NO_RECORD = frozenset({Reject.PRICE_UNAVAILABLE, Reject.SLIPPAGE_EXCEEDED, Reject.TRADE_NOT_FOUND})
"""Refusals that follow from prices alone, and the one that is not told before the tables were asked for the trade."""
_SHOW_THE_ACCOUNT = frozenset({Reject.CLIENT_ORDER_ID_CONFLICT, Reject.INSUFFICIENT_MARGIN})
"""Refusals that follow from the account alone; all others may follow from any record."""


def decision_of(outcome: Outcome, command: Command, state: State) -> Decision:
    """When it has just been decided."""
    match outcome:
        case Done(records):
            return Decision(outcome, records[-1].seq if records else 0)
        case Repeated(seen):
            return Decision(outcome, seen.last)
        case Refusal(reject) if reject in _SHOW_NO_RECORD:
            return Decision(outcome, 0)
        case Refusal(reject) if reject in _SHOW_THE_ACCOUNT and isinstance(command, OpenTrade):
            return Decision(outcome, state.accounts[command.account].seq)
        case _:
            return Decision(outcome, state.seq)

"""The engine on one screen: a command and a time in, an Outcome out. Synchronous, deterministic, no await in between.

    outcome = engine.execute(OpenTrade(...), at)
    match outcome:
        case Done(records):   journal them, then answer from records[-1]
        case Repeated(seen):  answer what was answered the first time
        case Refusal():       nothing changed

A tick that sets very many trades off is done in steps: as long as `Done.more`, execute the same tick at the same time
again, and nothing else in between. All its records belong in one transaction.
"""

import msgspec

from exness.core import margin
from exness.core.commands import Command, OpenTrade, PriceTick
from exness.core.decide import DECIDE, next_liquidation, opening_price
from exness.core.events import Event, Record
from exness.core.evolve import doubt, evolve, quote
from exness.core.outcomes import Done, Outcome
from exness.core.rules import Rules
from exness.core.state import State

__all__ = ["Done", "Engine", "Outcome"]


class Engine:
    """Executes commands on one state. `liquidations_per_step` bounds how long one call can take."""

    def __init__(self, rules: Rules, state: State, liquidations_per_step: int = 500) -> None:
        self.rules = rules
        self.state = state
        self._step = liquidations_per_step

    def seen(self, command: Command) -> Command:
        """The command as it comes in and has to wait: an order that names a slippage and no price to measure it from is
        measured from the price of now."""
        if not isinstance(command, OpenTrade) or command.slippage is None or command.expected_price is not None:
            return command
        price = opening_price(self.state, self.rules, command.asset, command.side)
        return msgspec.structs.replace(command, seen_price=price)

    def execute(self, command: Command, at: int, request: str = "") -> Outcome:
        """Decide a command at time `at` (microseconds, not before the last one) and apply what follows from it."""
        at = max(at, self.state.at)
        if isinstance(command, PriceTick):
            return self._tick(command, at)
        decision = DECIDE[type(command)](self.state, self.rules, command, at)
        if not isinstance(decision, list):
            return decision
        return Done([self._apply(event, at, request) for event in decision])

    def _tick(self, tick: PriceTick, at: int) -> Done:
        if tick.suspect:
            doubt(self.state, tick.asset)
            return Done([])
        quote(self.state, tick, at)
        mark = margin.mark_price(tick.bid, tick.ask)
        records: list[Record] = []
        while len(records) < self._step:
            event = next_liquidation(self.state, tick, mark)
            if event is None:
                return Done(records)
            records.append(self._apply(event, at, ""))
        return Done(records, more=True)

    def _apply(self, event: Event, at: int, request: str) -> Record:
        record = Record(self.state.seq + 1, at, event, request)
        evolve(self.state, record)
        return record

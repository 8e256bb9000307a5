"""The engine on one screen: a command and a time in, an Outcome out. Synchronous, deterministic, no await in between.

    match engine.execute(OpenTrade(...), at):
        case Done(records):   journal them, then answer from records[-1]
        case Repeated(seen):  answer what was answered the first time
        case Refusal():       nothing changed

What sets very much off is done in steps, each of bounded work, so that whoever drives it can see to other things in
between. Nothing else may be executed meanwhile, and all records of a command belong in one transaction.
"""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from exness.core import margin
from exness.core.commands import Command, OpenTrade, PriceTick
from exness.core.decide import DECIDE, next_liquidation, opening_price
from exness.core.events import Event, Record
from exness.core.evolve import doubt, evolve, quote
from exness.core.outcomes import Done, Outcome
from exness.core.rules import Rules
from exness.core.state import State

FEED = "feed"
"""The cause of what a tick sets off."""


class Engine:
    """Executes commands on one state. `liquidations_per_step` bounds how long a step can take."""

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

    def execute(self, command: Command, at: int, request: str = "", cause: str = "") -> Outcome:
        """Decide a command at time `at` (microseconds, not before the last one) and apply what follows from it.
        `request` and `cause` are for its records, see there; what a tick sets off nobody has asked for."""
        *_, outcome = self.steps(command, at, request, cause)
        assert not isinstance(outcome, list), "the last step gives the outcome"
        return outcome

    def steps(self, command: Command, at: int, request: str = "", cause: str = "") -> Iterator[list[Record] | Outcome]:
        """The same, step by step: each gives the records until then, and the last one the outcome."""
        at = max(at, self.state.at)
        if isinstance(command, PriceTick):
            yield from self._tick(command, at)
            return
        decision = DECIDE[type(command)](self.state, self.rules, command, at)
        if isinstance(decision, list):
            yield Done([self._apply(event, at, request, cause) for event in decision])
        else:
            yield decision

    def _tick(self, tick: PriceTick, at: int) -> Iterator[list[Record] | Outcome]:
        if tick.suspect:
            doubt(self.state, tick.asset)
            yield Done([])
            return
        quote(self.state, tick, at)
        mark = margin.mark_price(tick.bid, tick.ask)
        yield from self._work_off(partial(next_liquidation, self.state, tick, mark), at)

    def _work_off(self, next_due: Callable[[], Event | None], at: int) -> Iterator[list[Record] | Outcome]:
        """Have everything happen that is due, one after the other, until nothing is."""
        records: list[Record] = []
        while True:
            for _ in range(self._step):
                event = next_due()
                if event is None:
                    yield Done(records)
                    return
                records.append(self._apply(event, at, "", FEED))
            yield records

    def _apply(self, event: Event, at: int, request: str, cause: str) -> Record:
        record = Record(self.state.seq + 1, at, event, request, cause)
        evolve(self.state, record)
        return record

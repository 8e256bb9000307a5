"""The engine on one screen: a command and a time in, an Outcome out. Synchronous, deterministic, no await in between.

    outcome = engine.execute(OpenTrade(...), at)
    match outcome:
        case Done(records):   journal them, then answer from records[-1]
        case Repeated(seen):  answer what was answered the first time
        case Refusal():       nothing changed

A tick that sets very much off is done in steps: as long as `Done.more`, execute the same command at the same time
again, and nothing else in between. All its records belong in one transaction. So it is with what time brings: while
`is_due`, execute PassTime before anything else.
"""

from typing import NamedTuple

import msgspec

from exness.core.commands import Command, NetOrder, OpenTrade, PassTime, PriceTick
from exness.core.decide import DECIDE
from exness.core.decide.ticks import Steps, pass_time, tick
from exness.core.events import Event, ExchangeReset, ProfileSet, RatesSet, Record
from exness.core.evolve import doubt, evolve
from exness.core.outcomes import Done, Outcome
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.tick_order import opens_at

__all__ = ["Done", "Engine", "Outcome"]

_SET_BY_HAND = RatesSet | ProfileSet | ExchangeReset
"""What changes the rules."""


class _Rest(NamedTuple):
    """What is left of a command that comes in steps, and its time."""

    command: Command
    at: int
    steps: Steps


class Engine:
    """Executes commands on one state. `liquidations_per_step` bounds how long one call can take."""

    def __init__(self, rules: Rules, state: State, liquidations_per_step: int = 500) -> None:
        self._configured = rules
        self.state = state
        self._step = liquidations_per_step
        self._under_way: _Rest | None = None
        self._set_rules()

    def seen(self, command: Command) -> Command:
        """The command as it comes in and has to wait: an order that names a slippage and no price to measure it from is
        measured from the price of now."""
        if not isinstance(command, OpenTrade | NetOrder) or command.slippage is None:
            return command
        price = self.state.price(command.asset)
        if command.expected_price is not None or price is None:
            return command
        return msgspec.structs.replace(command, seen_price=opens_at(self.rules.execution, price, command.side))

    def is_due(self, at: int) -> bool:
        """Whether time has brought something by then."""
        due = self.state.due.next_due
        return due is not None and due <= at

    def execute(self, command: Command, at: int, request: str = "") -> Outcome:
        """Decide a command at time `at` (microseconds, not before the last one) and apply what follows from it."""
        state = self.state
        at = max(at, state.at)
        rest = self._under_way
        if rest is not None:
            assert command == rest.command, f"{rest.command} is half done"
            return self._go_on(rest)
        if isinstance(command, PriceTick):
            return self._tick(command, at)
        if isinstance(command, PassTime):
            return self._pass_time(command, at)
        decision = DECIDE[type(command)](state, self.rules, command, at)
        if not isinstance(decision, list):
            return decision
        return Done([self._apply(event, at, request) for event in decision])

    def _tick(self, command: PriceTick, at: int) -> Done:
        if command.suspect:
            doubt(self.state, command.asset)
            return Done([])
        return self._go_on(_Rest(command, at, tick(self.state, self.rules, command, at)))

    def _pass_time(self, command: PassTime, at: int) -> Done:
        if not self.is_due(at):
            return Done([])
        due = self.state.due.next_due
        assert due is not None
        return self._go_on(_Rest(command, max(due, self.state.at), pass_time(self.state, self.rules, at)))

    def _go_on(self, rest: "_Rest") -> Done:
        """Some steps of a command that comes in steps."""
        records: list[Record] = []
        for number, events in enumerate(rest.steps, 1):
            records += [self._apply(event, rest.at, "") for event in events]
            if number >= self._step:
                self._under_way = rest
                return Done(records, more=True)
        self._under_way = None
        return Done(records)

    def _apply(self, event: Event, at: int, request: str) -> Record:
        record = Record(self.state.seq + 1, at, event, request)
        evolve(self.state, record)
        if isinstance(event, _SET_BY_HAND):
            self._set_rules()
        return record

    def _set_rules(self) -> None:
        """What is configured, and over it what was set by hand. Settlements go on from now: what is past is done."""
        rules, state = self._configured, self.state
        if state.profile is not None:
            profile = state.profile
            rules = msgspec.structs.replace(
                rules, execution=profile.execution, trigger=profile.trigger, limit_fill=profile.limit_fill
            )
        self.rules = msgspec.structs.replace(rules, rates={**rules.rates, **state.rates}) if state.rates else rules
        for asset in self.rules.instruments:
            state.due.settle_next(asset, self.rules.rates_of(asset).next_settlement(state.at))

"""The engine on one screen: a command and a time in, an Outcome out. Synchronous, deterministic, no await in between.

    match engine.execute(OpenTrade(...), at):
        case Done(records):   journal them, then answer from records[-1]
        case Repeated(seen):  answer what was answered the first time
        case Refusal():       nothing changed

What sets very much off is done in steps, each of bounded work, so that whoever drives it can see to other things in
between. Nothing else may be executed meanwhile, and all records of a command belong in one transaction. So it is with
what time brings: while `is_due`, execute PassTime before anything else.
"""

from collections.abc import Iterator

import msgspec

from exness.core.commands import Command, NetOrder, OpenTrade, PassTime, PriceTick
from exness.core.decide import DECIDE
from exness.core.decide.ticks import Steps, pass_time, tick
from exness.core.events import Event, ExchangeReset, ProfileSet, RatesSet, Record
from exness.core.evolve import doubt, evolve, quote
from exness.core.outcomes import Done, Outcome
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.tick_order import opens_at

FEED = "feed"
"""The cause of what a tick sets off."""
TIME = "time"
"""The cause of what time brings."""

_SET_BY_HAND = RatesSet | ProfileSet | ExchangeReset
"""What changes the rules."""


class Engine:
    """Executes commands on one state. `liquidations_per_step` bounds how long a step can take."""

    def __init__(self, rules: Rules, state: State, liquidations_per_step: int = 500) -> None:
        self._configured = rules
        self.state = state
        self._step = liquidations_per_step
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

    def execute(self, command: Command, at: int, request: str = "", cause: str = "") -> Outcome:
        """Decide a command at time `at` (microseconds, not before the last one) and apply what follows from it.
        `request` and `cause` are for its records, see there; what a tick or time sets off nobody has asked for."""
        *_, outcome = self.steps(command, at, request, cause)
        assert not isinstance(outcome, list), "the last step gives the outcome"
        return outcome

    def steps(self, command: Command, at: int, request: str = "", cause: str = "") -> Iterator[list[Record] | Outcome]:
        """The same, step by step: each gives the records until then, and the last one the outcome."""
        state = self.state
        at = max(at, state.at)
        if isinstance(command, PriceTick):
            if command.suspect:
                doubt(state, command.asset)
                yield Done([])
            else:
                yield from self._work_off(tick(state, self.rules, command, at), at, FEED)
        elif isinstance(command, PassTime):
            due = state.due.next_due
            if due is None or due > at:
                yield Done([])
            else:
                yield from self._work_off(pass_time(state, self.rules, at), max(due, state.at), TIME)
        else:
            decision = DECIDE[type(command)](state, self.rules, command, at)
            if isinstance(decision, list):
                yield Done([self._apply(event, at, request, cause) for event in decision])
            else:
                yield decision

    def recall(self, tick: PriceTick, at: int) -> Iterator[list[Record] | Outcome]:
        """Take a price that was worked off before a restart: all that it set off is done."""
        if tick.suspect:
            doubt(self.state, tick.asset)
        else:
            quote(self.state, tick, max(at, self.state.at))
        yield Done([])

    def _work_off(self, steps: Steps, at: int, cause: str) -> Iterator[list[Record] | Outcome]:
        """Have everything happen that is due, one after the other, until nothing is."""
        records: list[Record] = []
        for number, events in enumerate(steps, 1):
            for event in events:
                records.append(self._apply(event, at, "", cause))
            if number % self._step == 0:
                yield records
        yield Done(records)

    def _apply(self, event: Event, at: int, request: str, cause: str) -> Record:
        record = Record(self.state.seq + 1, at, event, request, cause)
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

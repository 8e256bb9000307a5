"""The engine on one screen: a command and a time in, an Outcome out. Synchronous, deterministic, no await in between.

    match engine.execute(OpenTrade(...), at):
        case Done(records):   journal them, then answer from records[-1]
        case Repeated(seen):  answer what was answered the first time
        case Refusal():       nothing changed

What sets very much off is done in steps, each of bounded work, so that whoever drives it can see to other things in
between. Nothing else may be executed meanwhile, and all records of a command belong in one transaction. What time
brings is a command of its own: while `is_due`, execute PassTime before anything else.
"""

from collections.abc import Iterator, Sequence

import msgspec

from exness.core.commands import Command, NetOrder, OpenTrade, PriceTick, Reset, SetProfile, SetRates
from exness.core.decide import DECIDE, Decider
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

_BY_HAND = frozenset({SetRates, SetProfile, Reset})
"""What changes the rules."""
_SET_BY_HAND = frozenset({RatesSet, ProfileSet, ExchangeReset})
"""What tells of that."""


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
        decide = DECIDE.get(type(command))
        if decide is not None:
            return self._decided(decide, command, at, request, cause)
        *_, outcome = self.steps(command, at)
        assert not isinstance(outcome, list), "the last step gives the outcome"
        return outcome

    def steps(self, command: Command, at: int, request: str = "", cause: str = "") -> Iterator[list[Record] | Outcome]:
        """The same, step by step: each gives the records until then, and the last one the outcome."""
        decide = DECIDE.get(type(command))
        if decide is not None:
            yield self._decided(decide, command, at, request, cause)
            return
        state = self.state
        at = max(at, state.at)
        if isinstance(command, PriceTick):
            if command.suspect:
                doubt(state, command.asset)
            elif (steps := tick(state, self.rules, command, at)) is not None:
                yield from self._work_off(steps, at, FEED)
                return
        elif self.is_due(at):
            yield from self._work_off(pass_time(state, self.rules, at), max(state.due.next_due or 0, state.at), TIME)
            return
        yield Done([])

    def _decided(self, decide: Decider, command: Command, at: int, request: str, cause: str) -> Outcome:
        state = self.state
        if at < state.at:
            at = state.at
        decision = decide(state, self.rules, command, at)
        if not isinstance(decision, list):
            return decision
        records = self._apply(decision, at, request, cause)
        if type(command) in _BY_HAND:
            self._set_rules()
        return Done(records)

    def recall(self, tick: PriceTick, at: int) -> Iterator[list[Record] | Outcome]:
        """Take a price that was worked off before a restart: all that it set off is done."""
        if tick.suspect:
            doubt(self.state, tick.asset)
        else:
            quote(self.state, tick, max(at, self.state.at))
        yield Done([])

    def follow(self, records: Sequence[Record]) -> None:
        """Take what another engine has decided: records that follow on the state's last one."""
        for record in records:
            evolve(self.state, record)
        if any(type(record.event) in _SET_BY_HAND for record in records):
            self._set_rules()

    def _work_off(self, steps: Steps, at: int, cause: str) -> Iterator[list[Record] | Outcome]:
        """Have everything happen that is due, one after the other, until nothing is."""
        records: list[Record] = []
        for number, events in enumerate(steps, 1):
            records += self._apply(events, at, "", cause)
            if number % self._step == 0:
                yield records
        yield Done(records)

    def _apply(self, events: list[Event], at: int, request: str, cause: str) -> list[Record]:
        state, records = self.state, []
        for event in events:
            record = Record(state.seq + 1, at, event, request, cause)
            evolve(state, record)
            records.append(record)
        return records

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

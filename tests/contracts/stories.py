"""Histories of all that the exchange can do, for the stores to hold."""

from functools import cache
from random import Random

from exness.core.commands import Command, PassTime
from exness.core.events import ExchangeReset, Record
from exness.core.outcomes import Done, Outcome
from exness.core.state import State
from tests.reference.engine_peer import EnginePeer
from tests.reference.stories import START, Writer


class Teller(EnginePeer):
    """Keeps the records that a story makes."""

    records: list[Record]

    def keep(self) -> None:
        self.records = []
        execute = self.engine.execute

        def kept(command: Command | PassTime, at: int) -> Outcome:
            outcome = execute(command, at)
            if isinstance(outcome, Done):
                self.records += outcome.records
            return outcome

        self.engine.execute = kept  # type: ignore[method-assign,assignment]


@cache
def story(seed: int, length: int = 150) -> tuple[list[Record], State]:
    """The records of one, and the state that they lead to."""
    rng = Random(seed)
    writer = Writer(rng)
    while "TOY" in writer.assets:  # which the stores have never heard of
        writer = Writer(rng)
    teller = Teller(writer.story.rules, START)
    teller.keep()
    for command, at, _ in writer.write(length):
        teller.execute(command, at)
    return teller.records, teller.state


def of_today(records: list[Record]) -> list[Record]:
    """Those since the last reset: of what was before it the tables know nothing."""
    resets = [place for place, record in enumerate(records) if isinstance(record.event, ExchangeReset)]
    return records[resets[-1] + 1 :] if resets else records

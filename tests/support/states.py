"""States by other ways than the engine's: made anew from their records, taken as pictures, and restored from these."""

from collections.abc import Iterable

from exness.core.capture import Capture, Header, Restorer
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.state import State


def replayed(records: Iterable[Record], state: State | None = None) -> State:
    """The state that records make: from nothing, or from `state`, which changes."""
    state = State() if state is None else state
    for record in records:
        evolve(state, record)
    return state


def picture_of(state: State) -> tuple[Header, list[bytes]]:
    """The whole picture at once."""
    with Capture(state) as capture:
        return capture.header, capture.take(10**9)


def restore(header: Header, accounts: Iterable[bytes]) -> State:
    """The state as it comes back from a picture of it."""
    restorer = Restorer(header)
    for account in accounts:
        restorer.add(account)
    return restorer.finish()

"""The shortest history that still fails, as far as leaving actions out can find it."""

from collections.abc import Callable, Sequence
from time import monotonic

import msgspec

from tests.simulation.actions import Action, History
from tests.simulation.watch import Broken
from tests.simulation.world import simulate

Fails = Callable[[Sequence[Action]], bool]


def shrink(history: History, what: str, limit_s: float = 60.0) -> History:
    """Leave out what can go while the same promise is broken. Stops after `limit_s` with what it has."""
    deadline = monotonic() + limit_s

    def fails(actions: Sequence[Action]) -> bool:
        return monotonic() < deadline and broken_by(with_actions(history, actions)) == what

    return with_actions(history, smallest(history.actions, fails))


def with_actions(history: History, actions: Sequence[Action]) -> History:
    return msgspec.structs.replace(history, actions=tuple(actions))


def broken_by(history: History) -> str | None:
    """The promise that a history breaks, None when it holds them all."""
    try:
        simulate(history)
    except Broken as broken:
        return broken.what
    return None


def smallest(actions: Sequence[Action], fails: Fails) -> Sequence[Action]:
    """Delta debugging: leave out chunks, then smaller chunks, until no single action can go."""
    actions, size = _shortest_start(actions, fails), max(1, len(actions) // 2)
    while True:
        shorter = _without_chunks(actions, size, fails)
        if len(shorter) == len(actions) and size == 1:
            return actions
        if len(shorter) == len(actions) or size > len(shorter):
            size = max(1, size // 2)
        actions = shorter


def _shortest_start(actions: Sequence[Action], fails: Fails) -> Sequence[Action]:
    """Nothing after the failure matters. Halving may miss it where a longer history happens not to fail."""
    low, high = 0, len(actions)
    while low < high:
        middle = (low + high) // 2
        if fails(actions[:middle]):
            high = middle
        else:
            low = middle + 1
    return actions[:high]


def _without_chunks(actions: Sequence[Action], size: int, fails: Fails) -> Sequence[Action]:
    """One pass from the end: what comes last is needed least."""
    start = len(actions)
    while start > 0:
        start = max(0, start - size)
        shorter = [*actions[:start], *actions[start + size :]]
        if len(shorter) < len(actions) and fails(shorter):
            actions = shorter
    return actions

"""A bug in the core, for tests of what becomes of the exchange then."""

import pytest

from exness.core import engine
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.state import State

WHAT = "this bug was planted by a test"


class PlantedBug:
    """From `arm` on, the `th` next record is left half applied: money has changed, `seq` has not, and AssertionError is
    raised. What comes after that is applied as ever."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left = -1
        self.met = False
        self.applied_after = 0
        """Records that were decided after the bug was met: there must be none."""
        patch.setattr(engine, "evolve", self._apply)

    def arm(self, th: int = 1) -> None:
        self._left = th

    def _apply(self, state: State, record: Record) -> None:
        self._left -= 1
        if self._left == 0:
            self.met = True
            state.free += 1
            raise AssertionError(WHAT)
        self.applied_after += self.met
        evolve(state, record)

"""shrink.py: what can go, goes."""

from collections.abc import Sequence

import pytest

from tests.simulation.actions import Action, Turn, make_history
from tests.simulation.campaign import main
from tests.simulation.shrink import smallest
from tests.simulation.world import simulate_seed


@pytest.mark.parametrize("needed", [{0}, {99}, {3, 50}, {0, 1, 2, 97}, set(range(20, 30))])
def test_only_what_is_needed_stays(needed: set[int]) -> None:
    def fails(actions: Sequence[Action]) -> bool:
        return needed <= {action.steps for action in actions if isinstance(action, Turn)}

    found = smallest([Turn(number) for number in range(100)], fails)
    assert [action.steps for action in found if isinstance(action, Turn)] == sorted(needed)


def test_a_history_is_made_from_its_seed_alone() -> None:
    assert make_history(5, 100) == make_history(5, 100)
    assert make_history(5, 100) != make_history(6, 100)


def test_one_seed_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3"]) == 0
    assert f"trace {simulate_seed(3).fingerprint}" in capsys.readouterr().out


def test_a_failing_seed_is_explained(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from exness.core.state import State

    monkeypatch.setattr(State, "fresh_price", lambda self, asset, at: self.price(asset))
    assert main(["--seed", "0"]) == 1
    out = capsys.readouterr().out
    assert "seed 0 FAILED: an answer is what it must be" in out
    assert "the shortest history found has" in out
    assert "again: make sim SEED=0" in out

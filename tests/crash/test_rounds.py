"""`kill -9` under load, in the real process. `make crash ROUNDS=1000` runs the same for longer."""

from pathlib import Path

import pytest

from tests.crash.archives import ArchiveRounds
from tests.crash.orders import CALLS, OrderRounds
from tests.crash.rounds import MISHAPS, Rounds

ROUNDS = 25


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1])
async def test_whatever_was_acknowledged_survives_kill_9_exactly_once(tmp_path: Path, seed: int) -> None:
    rounds = Rounds(tmp_path / "data", seed)
    await rounds.run(ROUNDS)
    print(dict(rounds.counts))
    assert rounds.counts["rounds"] == ROUNDS
    assert rounds.counts["creates acknowledged"] > ROUNDS
    assert rounds.counts["closes acknowledged"] > 0
    assert rounds.counts["repeats"] > 0
    for mishap in (*MISHAPS, "killed while it was repaired"):
        assert rounds.counts[mishap] > 0, mishap


@pytest.mark.timeout(400)
async def test_orders_exits_and_settlements_survive_kill_9_exactly_once(tmp_path: Path) -> None:
    rounds = OrderRounds(tmp_path / "data", 3)
    await rounds.run(ROUNDS)
    print(dict(rounds.counts))
    assert rounds.counts["rounds"] == ROUNDS
    for path in CALLS:
        assert rounds.counts[f"{path} acknowledged"] > 0, path
    # How many kills meet a settlement as the newest record is chance: the counts tell it, and nothing demands it.
    for what in (
        "orders that wait after a kill",
        "trailing stops after a kill",
        "settlements",
        "closed for other reasons than their owner's",
        "repeats",
    ):
        assert rounds.counts[what] > 0, what


@pytest.mark.timeout(400)
async def test_archiving_under_load_and_killed_in_between_loses_nothing(tmp_path: Path) -> None:
    rounds = ArchiveRounds(tmp_path / "data", 4)
    await rounds.run(8)
    print(dict(rounds.counts))
    assert rounds.counts["rounds"] == 8
    assert rounds.counts["creates acknowledged"] > 8
    assert rounds.counts["archives"] > 0

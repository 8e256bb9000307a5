"""The promises hold in a few hundred random worlds, every path is taken, and a seed determines everything.

`make sim` runs as many more as wanted. What it finds becomes a test in test_found.
"""

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.paths import never_reached
from tests.simulation.stories import tell_seed
from tests.simulation.world import simulate_seed

CHUNK = 25


@pytest.mark.parametrize("first", range(0, 8 * CHUNK, CHUNK))
def test_every_promise_holds_in_random_worlds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print(f"seed {seed}")  # shown with a failure
        simulate_seed(seed)


@pytest.mark.parametrize("first", range(0, 4 * CHUNK, CHUNK))
def test_every_story_comes_to_what_the_rule_book_says_whatever_crashes_in_it(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print(f"seed {seed}")
        tell_seed(seed)


@pytest.mark.parametrize("seed", [3, 16])
def test_one_story_is_one_run(seed: int) -> None:
    assert tell_seed(seed) == tell_seed(seed)


def test_every_path_is_taken() -> None:
    counters, seed = Counter[str](), 100_000
    while missing := never_reached(counters):
        assert seed < 100_600, f"never reached: {missing}"
        print(f"seed {seed}")
        counters += simulate_seed(seed).counters + tell_seed(seed)
        seed += 1
    print(f"all of it within {seed - 100_000} seeds")


@pytest.mark.parametrize("seed", [3, 27])
def test_a_seed_determines_everything(seed: int) -> None:
    traces: list[list[str]] = [[], []]
    reports = [simulate_seed(seed, trace=trace.append) for trace in traces]
    assert traces[0] == traces[1]
    assert reports[0].fingerprint == reports[1].fingerprint
    assert len(traces[0]) > 300


def test_a_seed_is_the_same_in_every_process() -> None:
    """Whatever the hashes of strings are there."""
    program = "from tests.simulation.world import simulate_seed\nfor n in range(6): print(simulate_seed(n).fingerprint)"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1", "12345")
    }
    assert len(outputs) == 1
    assert outputs.pop().split() == [simulate_seed(seed).fingerprint for seed in range(6)]


def test_two_seeds_are_two_worlds() -> None:
    assert simulate_seed(1).fingerprint != simulate_seed(2).fingerprint

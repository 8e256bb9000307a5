"""runtime/clock.py: time that never steps, ids that nobody guesses."""

import re
import time

import pytest

from exness.runtime.clock import RandomIds, SystemClock


class Machine:
    """The machine's clocks, set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall_us: int) -> None:
        self.wall_us, self.mono_us = wall_us, 500
        monkeypatch.setattr(time, "time_ns", lambda: self.wall_us * 1000)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.mono_us * 1000)

    def pass_us(self, us: int) -> None:
        self.wall_us += us
        self.mono_us += us


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, 1_000_000)


def test_it_starts_with_the_wall_clock_and_goes_on_evenly(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.now_us() == 1_000_000
    machine.pass_us(250)
    assert clock.now_us() == 1_000_250


@pytest.mark.parametrize("step_us", [-3_600_000_000, 3_600_000_000])
def test_a_wall_clock_that_is_set_moves_nothing(machine: Machine, step_us: int) -> None:
    clock = SystemClock()
    machine.pass_us(10)
    machine.wall_us += step_us
    machine.pass_us(10)
    assert clock.now_us() == 1_000_020


def test_it_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.now_us() for _ in range(1000)]
    assert times == sorted(times)


def test_it_does_not_start_before_the_newest_time_in_the_journal(machine: Machine) -> None:
    clock = SystemClock(not_before_us=9_000_000)
    assert clock.now_us() == 9_000_000
    machine.pass_us(1)
    assert clock.now_us() == 9_000_001
    assert SystemClock(not_before_us=5).now_us() == machine.wall_us


def test_ids_are_128_random_bits_in_hex() -> None:
    ids = {RandomIds().new() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{32}", new) for new in ids)

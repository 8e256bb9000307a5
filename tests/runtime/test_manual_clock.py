"""runtime/clock.py: the clock that is held, stepped and sped up."""

import random
import time

import pytest

from exness.runtime.clock import ManualClock


class Machine:
    """The machine's clocks, set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_us, self.mono_ns = 5_000_000, 700
        monkeypatch.setattr(time, "time_ns", lambda: self.wall_us * 1000)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.mono_ns)

    def pass_us(self, us: int) -> None:
        self.wall_us += us
        self.mono_ns += us * 1000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_it_begins_with_the_walls_time_and_runs_like_it(machine: Machine) -> None:
    clock = ManualClock()
    assert clock.now_us() == 5_000_000
    machine.pass_us(250)
    assert clock.now_us() == 5_000_250
    machine.wall_us -= 1_000_000
    assert clock.now_us() == 5_000_250, "a wall clock that is set moves nothing"


def test_it_does_not_begin_before_the_newest_time_in_the_journal(machine: Machine) -> None:
    assert ManualClock(not_before_us=9_000_000).now_us() == 9_000_000
    assert ManualClock(not_before_us=4_000_000).now_us() == 5_000_000


def test_a_paused_clock_stands_until_it_is_resumed_and_loses_that_time(machine: Machine) -> None:
    clock = ManualClock()
    machine.pass_us(10)
    clock.pause()
    machine.pass_us(1_000_000)
    assert clock.now_us() == 5_000_010
    clock.pause()
    clock.resume()
    assert clock.now_us() == 5_000_010
    machine.pass_us(7)
    assert clock.now_us() == 5_000_017
    clock.resume()
    assert clock.now_us() == 5_000_017, "resuming a clock that runs changes nothing"


@pytest.mark.parametrize(
    ("speed", "passed"), [(1000, 1000), (1, 1), (500, 500), (2_500, 2_500), (1_000_000, 1_000_000)]
)
def test_a_speed_holds_from_when_it_is_set_to_the_microsecond(machine: Machine, speed: int, passed: int) -> None:
    clock = ManualClock()
    machine.pass_us(300)
    clock.run_at(speed)
    machine.pass_us(1000)
    assert clock.now_us() == 5_000_300 + passed
    clock.run_at(1000)
    machine.pass_us(1)
    assert clock.now_us() == 5_000_301 + passed


def test_a_speed_set_while_it_is_paused_waits_for_it_to_resume(machine: Machine) -> None:
    clock = ManualClock()
    clock.pause()
    clock.run_at(2000)
    machine.pass_us(50)
    assert clock.now_us() == 5_000_000
    clock.resume()
    machine.pass_us(50)
    assert clock.now_us() == 5_000_100


@pytest.mark.parametrize("paused", [True, False])
def test_a_step_is_exact_and_none_leads_back(machine: Machine, paused: bool) -> None:
    clock = ManualClock()
    if paused:
        clock.pause()
    clock.advance_to(5_000_000 + 31_000_001)
    assert clock.now_us() == 36_000_001
    clock.advance_to(1)
    assert clock.now_us() == 36_000_001
    machine.pass_us(9)
    assert clock.now_us() == 36_000_001 + (0 if paused else 9)


def test_it_tells_how_long_until_it_shows_a_time(machine: Machine) -> None:
    clock = ManualClock()
    assert clock.seconds_until(6_000_000) == 1
    assert clock.seconds_until(5_000_000) == 0
    assert clock.seconds_until(1) == 0
    clock.run_at(4000)
    assert clock.seconds_until(6_000_000) == 0.25
    clock.pause()
    assert clock.seconds_until(6_000_000) is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_done_with_it_it_never_goes_back(machine: Machine, seed: int) -> None:
    rng, clock, last = random.Random(seed), ManualClock(), 0
    for _ in range(300):
        do = rng.choice((clock.pause, clock.resume, lambda: clock.run_at(rng.randint(1, 10**6)), lambda: None))
        do()
        if rng.random() < 0.2:
            clock.advance_to(clock.now_us() + rng.randint(-(10**6), 10**6))
        machine.mono_ns += rng.randrange(3000)
        assert clock.now_us() >= last, f"seed {seed}"
        last = clock.now_us()

"""runtime/clock.py: time that never steps, ids that nobody guesses."""

import re
import time
from uuid import RFC_4122, UUID

import pytest

from exness.runtime.clock import CommandIds, RandomIds, SystemClock


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


def test_ids_are_uuids_of_version_7_that_rise_with_the_milliseconds(machine: Machine) -> None:
    ids, made = RandomIds(), []
    for _ in range(1000):
        made.append(UUID(ids.new()))
        assert made[-1].hex[:12] == f"{machine.wall_us // 1000:012x}"
        machine.pass_us(1000)
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}
    assert made == sorted(made)
    assert made[0].hex == str(made[0]).replace("-", ""), "without hyphens"


def test_of_an_id_74_bits_are_random() -> None:
    ids = [int(RandomIds().new(), 16) for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    fixed = (0xF << 76) | (0b11 << 62)
    for bit in range(76 + 4):
        ones = sum(each >> bit & 1 for each in ids)
        assert fixed >> bit & 1 or 800 < ones < 1200, bit


def test_a_command_has_an_id_that_no_other_has_in_this_process_or_another() -> None:
    sources = [CommandIds("http") for _ in range(20)]
    ids = [source.new() for source in sources for _ in range(50)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"http:[0-9a-f]{12}-[1-9][0-9]*", new) for new in ids)

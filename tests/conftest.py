"""What holds for every test: its lane, quick, slow or long."""

from pathlib import Path

import pytest

from tests.support.lanes import load_profile

HERE = Path(__file__).parent
SLOW = {"acceptance", "bench", "bots", "crash", "faults", "fixtures", "simulation", "mockvenue", "testing"}
"""Folders whose tests start processes or run for seconds. `-m "not slow"` leaves them out: the quick lane."""

SLOW_FILES = (
    "binance/test_ccxt.py",
    "binance/test_freqtrade_calls.py",
    "binance/test_openapi.py::test_what_handlers_read",
    "binance/test_streams.py",
    "binance/test_user_streams.py",
    "client/test_streams.py",
    "core/test_line.py::test_funding_is_rounded",
    "reference/test_engine_defects.py",
    "reference/test_properties.py",
    "storage/test_archive.py",
    "storage/test_ceilings.py",
    "storage/test_sums.py",
    "storage/test_takeover.py",
    "transcript/",
    "web/test_csv.py",
    "web/test_faults.py",
    "web/test_gone_wrong.py",
    "web/test_half_closed.py",
    "web/test_klines.py",
    "web/test_limits.py",
    "web/test_stream.py",
)
"""And files, whose tests take some tenths of a second each: in the quick lane they took as long as all others."""

LONG = (
    "acceptance/test_candles.py::test_a_killed_replay_has_every_tick_in_its_candles_once",
    "acceptance/test_crash_of_every_order.py",
    "acceptance/test_crash_replay.py",
    "acceptance/test_kill.py",
    "acceptance/test_openapi.py",
    "acceptance/test_session_clocks.py",
    "acceptance/test_venue.py",
    "bench/",
    "crash/test_rounds.py",
    "deploy/test_containers.py",
    "faults/",
    "simulation/test_simulation.py::test_every_path_is_taken",
    "storage/test_backup.py::test_a_restore_ends_every_session_and_link_from_before_it",
    "storage/test_verify_files.py::test_its_memory_grows_with_the_state_and_not_with_the_journal",
)
"""How the names of tests begin that kill processes and damage files over and over, or reckon for a minute. `make test`
leaves them out, so that it is done in time for who waits for it; `make test-long` runs them."""


LONGEST = ("crash/test_rounds.py", "acceptance/test_crash_of_every_order.py", "acceptance/test_kill.py")
"""Begun first, so that at the end nobody waits for one of them alone."""


def name_of(item: pytest.Item) -> str:
    """With its path below this folder."""
    return f"{item.path.relative_to(HERE).as_posix()}{item.nodeid[item.nodeid.find('::') :]}"


def pytest_configure(config: pytest.Config) -> None:
    load_profile(quick=config.option.markexpr == "not slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = name_of(item)
        if name.startswith(LONG):
            item.add_marker(pytest.mark.long)
        if name.split("/")[0] in SLOW or name.startswith((*SLOW_FILES, *LONG)):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not name_of(item).startswith(LONGEST))

"""What holds for every test: its lane."""

from pathlib import Path

import pytest

from tests.support.lanes import load_profile

HERE = Path(__file__).parent
SLOW = {"acceptance", "bench", "bots", "crash", "faults", "fixtures", "simulation", "mockvenue", "testing"}
"""Folders whose tests start processes or run for seconds. `-m "not slow"` leaves them out: the quick lane."""


def pytest_configure(config: pytest.Config) -> None:
    load_profile(quick=config.option.markexpr == "not slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)

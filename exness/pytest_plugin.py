"""The fixtures `exchange` and `own_exchange`, see docs/PLUGIN.md. Every run of pytest imports this, so it imports
nothing of the exchange before a test asks for one."""

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exness.testing import Exchange


@pytest.fixture(scope="session")
def _exness_process() -> "Iterator[Exchange]":
    from exness.testing import Exchange

    exchange = Exchange().start()
    yield exchange
    exchange.stop()


@pytest.fixture
def exchange(_exness_process: "Exchange") -> "Iterator[Exchange]":
    """A fresh exchange, with price and clock in the test's hand. One process serves all tests of a session (of a worker
    of pytest-xdist), reset before each; at the end of each its books must balance."""
    _exness_process.reset()
    yield _exness_process
    try:
        _exness_process.books_balance()
    finally:
        _exness_process.close_clients()


@pytest.fixture
def own_exchange() -> "Iterator[Exchange]":
    """The same as a process of the test's own, which costs a start."""
    from exness.testing import Exchange

    exchange = Exchange().start()
    try:
        yield exchange
        exchange.books_balance()
    finally:
        exchange.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> "Generator[None, pytest.TestReport, pytest.TestReport]":
    """A failed test that has used an exchange tells what happened on it."""
    report = yield
    if report.when == "call" and report.failed and "exness.testing" in sys.modules:
        for name, exchange in _exchanges(item):
            report.sections.append((name, exchange.report()))
    return report


def _exchanges(item: pytest.Item) -> "Iterator[tuple[str, Exchange]]":
    """What a test has of fixtures, whatever they are called, and of the class that it stands in."""
    from exness.testing import Exchange

    values: dict[str, Any] = {**vars(getattr(item, "cls", None) or object), **getattr(item, "funcargs", {})}
    for name, value in values.items():
        if isinstance(value, Exchange):
            yield name, value

"""Rows for who tests a client: what the fixture costs a test, and what the client costs a request."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import httpx

from exness.client import Client
from exness.testing import Exchange
from tests.bench.figures import Figure, Round, figure, percentile
from tests.bench.running import Progress, Settings
from tests.support.process import ROOT

TESTS = """
import pytest

@pytest.mark.parametrize("number", range({number}))
def test_it(exchange, number):
    exchange.set_price("SOL", "200")
    exchange.trader("ann").create_trade("SOL", "long", margin=100, leverage=10)
"""
CONFTEST = """
import json

spent = {}

def pytest_runtest_logreport(report):
    if report.when != "call":
        spent[report.nodeid] = spent.get(report.nodeid, 0) + report.duration

def pytest_sessionfinish():
    with open("spent.json", "w") as file:
        json.dump(list(spent.values()), file)
"""
PATH = "/api/v1/balance/usd"


async def measure_testing(settings: Settings, progress: Progress) -> list[Figure]:
    """What comes before and after a test that uses `exchange`, and a request of the client against bare httpx."""
    spent_ms = await asyncio.to_thread(fixture_ms, settings.fixture_tests)
    progress.say(f"fixture: {len(spent_ms)} tests")
    fixture = [
        figure(f"fixture.p{share}", "ms", [Round(percentile(spent_ms, share / 100))], tests=len(spent_ms))
        for share in (50, 99)
    ]
    rounds = await asyncio.to_thread(client_rounds, settings)
    return [*fixture, figure("client", "us a request", rounds, requests=settings.client_requests)]


def fixture_ms(number: int) -> list[float]:
    """Set-up and tear-down of each test but the first, which starts the process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_it.py").write_text(TESTS.format(number=number + 1))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "exness.pytest_plugin"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return [seconds * 1000 for seconds in json.loads((folder / "spent.json").read_text())[1:]]


def client_rounds(settings: Settings) -> list[Round]:
    """Microseconds of a request, ours and of httpx with the same answer decoded, the two in turn."""
    with Exchange(settings={"limits.enabled": False}) as exchange:
        token = exchange.token("ann")
        with (
            Client(exchange.url, token=token) as ours,
            httpx.Client(base_url=exchange.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as bare,
        ):
            ours.balance_usd()
            bare.get(PATH)
            return [_round(ours, bare, settings.client_requests) for _ in range(settings.rounds)]


def _round(ours: Client, bare: httpx.Client, requests: int) -> Round:
    """One of each after the other, so that both see the same machine; the medians are compared."""
    client_ns, bare_ns = [], []
    for _ in range(requests):
        began = perf_counter_ns()
        ours.balance_usd()
        between = perf_counter_ns()
        bare.get(PATH).json()
        client_ns.append(between - began)
        bare_ns.append(perf_counter_ns() - between)
    return Round(percentile(client_ns, 0.5) / 1000, percentile(bare_ns, 0.5) / 1000)

"""pytest_plugin.py: the fixtures as others use them, in a pytest of its own."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTING, PLUGIN = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("TESTING.md", "PLUGIN.md"))
FIRST = TESTING.partition("```python\n")[2].partition("```")[0]
OURS = "-p", "exness.pytest_plugin"
ASYNCIO = "-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of tests. The plugin comes from these sources, whichever are installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def run(tests: pytest.Pytester, *options: str) -> pytest.RunResult:
    return tests.run(sys.executable, "-m", "pytest", *OURS, "-W", "error", *options, timeout=120)


def test_the_documentations_first_test_has_12_lines_and_passes(tests: pytest.Pytester) -> None:
    assert len(FIRST.splitlines()) == 12
    tests.makepyfile(FIRST)
    run(tests).assert_outcomes(passed=1)


def test_every_test_of_the_documentation_passes(tests: pytest.Pytester) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TESTING + PLUGIN, flags=re.DOTALL)
    assert len(blocks) > 4
    tests.makepyfile(**{f"test_{number}": block for number, block in enumerate(blocks)})
    outcome = run(tests, *ASYNCIO)
    assert outcome.ret == 0, outcome.outlines
    assert outcome.parseoutcomes()["passed"] >= len(blocks)


def test_tests_share_a_process_and_nothing_else_and_own_exchange_is_another(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        urls = []

        def test_one(exchange):
            exchange.set_price("SOL", 200)
            exchange.trader("ann").create_trade("SOL", "long", margin=100, leverage=10)
            urls.append(exchange.url)

        def test_two(exchange):
            assert exchange.trader("ann").account().balance == 5000
            assert exchange.trader("ann").price("SOL").state == "down"
            assert urls == [exchange.url]

        def test_three(exchange, own_exchange):
            own_exchange.set_price("SOL", 200)
            assert exchange.trader("ann").price("SOL").state == "down"
            assert own_exchange.url != exchange.url

        def test_a_crash_is_this_tests_own(exchange):
            exchange.crash()

        def test_after_it(exchange):
            assert urls == [exchange.url]
        """
    )
    run(tests).assert_outcomes(passed=5)


def test_a_failed_test_tells_the_last_requests_and_events(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        def test_fails(exchange):
            exchange.set_price("SOL", 200)
            exchange.trader("ann").create_trade("SOL", "long", margin=100, leverage=10)
            assert False

        def test_passes(exchange):
            exchange.set_price("ETH", 3000)
        """
    )
    outcome = run(tests)
    outcome.assert_outcomes(failed=1, passed=1)
    outcome.stdout.fnmatch_lines(
        [
            "*- exchange -*",
            "*200  PUT /api/v1/dev/prices/SOL*",
            "*200  POST /api/v1/trade/create*",
            "the last events of ann@example.com:",
            "*trades opened*asset=SOL, type=long, margin=100.000000*",
        ]
    )
    assert "prices/ETH" not in outcome.stdout.str()


def test_so_does_one_of_a_class_or_a_fixture_of_ones_own_and_nothing_else_is_asked(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import unittest
        from unittest.mock import MagicMock
        import pytest
        from exness.testing import Exchange

        class InUnittest(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.mine = cls.enterClassContext(Exchange())

            def test_fails(self):
                self.mine.set_price("SOL", 200)
                self.fail()

        @pytest.fixture
        def exchange():
            return MagicMock()

        def test_fails_too(exchange):
            assert not exchange
        """
    )
    outcome = run(tests)
    outcome.assert_outcomes(failed=2)
    outcome.stdout.fnmatch_lines(["*- mine -*", "*200  PUT /api/v1/dev/prices/SOL*"])
    assert "MagicMock name='mock.report" not in outcome.stdout.str()


def test_books_that_do_not_balance_fail_the_test_at_its_end(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        from decimal import Decimal
        import msgspec

        def test_cooked(exchange):
            true = exchange.books()
            exchange.books = lambda: msgspec.structs.replace(true, house_pnl=Decimal(1))

        def test_cooked_too(own_exchange):
            true = own_exchange.books()
            own_exchange.books = lambda: msgspec.structs.replace(true, house_pnl=Decimal(1))
        """
    )
    outcome = run(tests)
    outcome.assert_outcomes(passed=2, errors=2)
    outcome.stdout.fnmatch_lines(["*BooksDoNotBalance: free, locked, reserved and the house's don't come to deposits*"])


def test_workers_of_xdist_have_an_exchange_each(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_one(exchange, number, worker_id, tmp_path_factory):
            (tmp_path_factory.getbasetemp().parent / f"{worker_id}-{exchange.url.rpartition(':')[2]}").touch()
            exchange.set_price("SOL", 200 + number)
            ann = exchange.trader("ann")
            assert ann.create_trade("SOL", "long", margin=1, leverage=2).entry_price == 200 + number
            assert len(ann.open_trades()) == 1
        """
    )
    outcome = run(tests, "-p", "xdist", "-n", "2", "--basetemp", str(tests.path / "shared"))
    outcome.assert_outcomes(passed=8)
    seen = sorted(path.name.split("-") for path in (tests.path / "shared").iterdir() if re.match(r"gw\d-", path.name))
    assert [worker for worker, _ in seen] == ["gw0", "gw1"]
    assert len({port for _, port in seen}) == 2


def test_a_test_that_is_awaited_uses_it_too(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_two_traders_at_once(exchange):
            exchange.set_price("SOL", 200)
            async with exchange.async_trader("ann") as ann, exchange.async_trader("bob") as bob:
                async with ann.stream("trades", timeout_s=10) as events:
                    await asyncio.gather(
                        *(each.create_trade("SOL", "long", margin=1, leverage=2) for each in (ann, bob, ann, bob))
                    )
                    exchange.crash()
                    assert len(await bob.open_trades()) == 2
                    assert [(await events.wait_for("opened")).data.margin for _ in range(2)] == [1, 1]
        """
    )
    run(tests, *ASYNCIO).assert_outcomes(passed=1)


def test_a_run_that_asks_for_no_exchange_starts_none(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import sys

        def test_nothing():
            assert not {"httpx", "websockets", "exness.testing", "exness.client"} & sys.modules.keys()
        """
    )
    run(tests).assert_outcomes(passed=1)


def test_an_interrupted_run_leaves_nothing_behind(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import os, pathlib, signal

        def test_interrupted(exchange, own_exchange):
            folders = [str(each._server._folder) for each in (exchange, own_exchange)]
            pathlib.Path("folders").write_text("\\n".join(folders))
            os.kill(os.getpid(), signal.SIGINT)
        """
    )
    assert run(tests).ret == pytest.ExitCode.INTERRUPTED
    folders = (tests.path / "folders").read_text().splitlines()
    assert [folder for folder in folders if Path(folder).exists()] == []
    assert len(folders) == 2

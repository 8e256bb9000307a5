"""No block of the documentation is left out in silence: each is run by a test, or has a reason here why not."""

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from exness import cli
from tests.docs.pages import PAGES, name_of
from tests.support.process import ROOT

KINDS = ("sh", "python", "json", "text")

RUN_BY = {
    ("README.md", "Three ways in"): "tests/docs/test_in_an_empty_folder.py",
    ("README.md", "A first trade"): "tests/docs/test_commands.py",
    ("README.md", "Check it yourself"): "tests/docs/test_upkeep.py",
    ("docs/START.md", "Install it"): "tests/docs/test_in_an_empty_folder.py",
    ("docs/START.md", "First trade"): "tests/docs/test_commands.py",
    ("docs/GUIDE.md", "Listen instead of asking"): "tests/docs/test_commands.py",
    ("docs/GUIDE.md", "Orders, exits and a statement that adds up"): "tests/docs/test_commands.py",
    ("docs/GUIDE.md", "Hold the price and the clock"): "tests/acceptance/test_recipe.py",
    ("docs/TESTING.md", ""): "tests/docs/test_in_an_empty_folder.py",
    ("docs/TESTING.md", "What really hurts: the answer that never comes"): "tests/testing/test_plugin.py",
    ("docs/TESTING.md", "Streams, time and crashes"): "tests/testing/test_plugin.py",
    ("docs/TESTING.md", "A bot that speaks Binance"): "tests/testing/test_plugin.py",
    ("docs/TESTING.md", "The client"): "tests/testing/test_plugin.py",
    ("docs/PLUGIN.md", "asyncio"): "tests/testing/test_plugin.py",
    ("docs/PLUGIN.md", "unittest, or no framework at all"): "tests/testing/test_plugin.py",
    ("docs/BINANCE.md", "ccxt"): "tests/binance/test_ccxt.py",
    ("docs/BINANCE.md", "freqtrade"): "tests/bots/test_freqtrade.py",
    ("docs/BINANCE.md", "python-binance"): "tests/bots/test_kits.py",
    ("docs/BINANCE.md", "binance-sdk-derivatives-trading-usds-futures"): "tests/bots/test_kits.py",
    ("docs/BINANCE.md", "binance-futures-connector"): "tests/bots/test_kits.py",
    ("docs/BINANCE.md", "nautilus_trader"): "tests/bots/test_nautilus.py",
    ("docs/BACKUP.md", "Backup"): "tests/docs/test_upkeep.py",
    ("docs/BACKUP.md", "Upgrades"): "tests/docs/test_upkeep.py",
    ("docs/BACKUP.md", "Archive"): "tests/docs/test_upkeep.py",
    ("docs/DURABILITY.md", "Check it yourself"): "tests/docs/test_upkeep.py",
    ("docs/OPERATING.md", "Check it yourself"): "tests/docs/test_upkeep.py",
    ("docs/SPREAD.md", "Run it as several processes"): "tests/spread/test_document.py",
    ("docs/SPREAD.md", "Run it, with a spare"): "tests/spread/test_document.py",
    ("examples/course/README.md", "1. What 100x does to you"): "tests/examples/test_course.py",
    ("examples/course/README.md", "2. Funding"): "tests/examples/test_course.py",
    ("examples/course/README.md", "3. Gaps, and who pays for them"): "tests/examples/test_course.py",
    ("examples/course/README.md", "4. Types of orders"): "tests/examples/test_course.py",
    ("examples/freqtrade/README.md", ""): "tests/bots/test_freqtrade.py",
}  # fmt: skip
"""The chapters with blocks of commands or code, and the test that runs what stands there."""

NOT_RUN = {
    ("docs/API.md", "Endpoints, all under /api/v1"): "two lines that show what is signed; tests sign so",
    ("docs/BENCHMARKS.md", ""): "a run takes minutes; tests/bench tries the program, and the flags are checked below",
    ("docs/DEPLOY.md", "In a container"): "wants a container engine; tests/deploy runs the same steps",
    ("docs/DEPLOY.md", "Under systemd"): "wants root and systemd; tests/deploy has systemd read the unit",
    ("docs/GUIDE.md", "Other prices"): "wants a venue on the internet, and recordings; the flags are checked below",
}  # fmt: skip
"""Why not. What they say to `exness` and `make` is checked against the parser and the Makefile all the same."""

MAKE_ALONE = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
OF_EXNESS = re.compile(r"(?:python -m exness|bin/exness) ([^|;&)\n]*)")
OF_SERVE = re.compile(r'make serve ARGS="([^"]+)"')


class Block(NamedTuple):
    page: str
    chapter: str
    kind: str
    text: str


def blocks() -> Iterator[Block]:
    for page in PAGES:
        chapter = ""
        found = re.finditer(
            r"^## ([^\n]+)$|^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        for each in found:
            if each[1] is not None:
                chapter = each[1]
            else:
                yield Block(name_of(page), chapter, each[2], each[3])


BLOCKS = list(blocks())
TEXTS = [page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"]


def arguments(said: str) -> list[str]:
    """Of a command as it is said in prose or in a block: to its comment, its redirection, or the end of its code."""
    line = said.partition("`")[0].partition(" #")[0].partition(" >")[0].partition("   ")[0]
    return shlex.split(line)


def commands() -> Iterator[list[str]]:
    for block in BLOCKS:
        if block.kind == "sh":
            for said in OF_EXNESS.findall(block.text):
                yield arguments(said)
    for text in TEXTS:
        for said in OF_SERVE.findall(text):
            yield ["serve", *shlex.split(said)]


COMMANDS = sorted({tuple(each) for each in commands()})


def test_every_block_is_run_by_a_test_or_has_a_reason() -> None:
    assert {block.kind for block in BLOCKS} <= set(KINDS)
    told = {(block.page, block.chapter) for block in BLOCKS if block.page != "docs/TRADING.md"}
    assert told == RUN_BY.keys() | NOT_RUN.keys()
    assert RUN_BY.keys() & NOT_RUN.keys() == set()


@pytest.mark.parametrize("file", sorted(set(RUN_BY.values())))
def test_what_is_said_to_run_a_block_is_a_test(file: str) -> None:
    assert re.search(r"^(async )?def test_", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_the_documentation_is_one_that_exness_takes(command: tuple[str, ...]) -> None:
    cli._parser().parse_args(command)


def test_the_commands_are_found_and_one_that_is_wrong_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"serve", "token", "key", "verify", "backup", "restore", "archive", "upgrade"} <= {
        each[0] for each in COMMANDS
    }
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["serve", "--no-such-flag"])
    assert "--no-such-flag" in capsys.readouterr().err


def test_every_target_of_make_that_is_documented_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for block in BLOCKS if block.kind == "sh" for target in MAKE_ALONE.findall(block.text)}
    named |= {target for text in TEXTS for target in re.findall(r"`make ([a-z-]+)", text)}
    assert len(named) > 10
    assert named - targets == set()


def test_every_command_that_help_lists_is_in_the_contract() -> None:
    contract = (ROOT / "docs/API.md").read_text(encoding="utf-8") + (ROOT / "docs/BACKUP.md").read_text(
        encoding="utf-8"
    )
    parser = cli._parser()
    (listed,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    assert [name for name in listed.choices if f"python -m exness {name}" not in contract] == []

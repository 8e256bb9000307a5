"""examples/README.md: it names every example, and the front end is at an origin that is allowed by default."""

import re
import shlex

from exness.config import load
from tests.support.process import ROOT

EXAMPLES = ROOT / "examples"
TEXT = (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_every_example_has_one_row() -> None:
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)/]+)", TEXT, re.MULTILINE)
    there = {each.name for each in EXAMPLES.iterdir() if not each.name.startswith(("README", "__"))}
    assert sorted(rows) == sorted(there)


def test_the_front_end_is_served_at_an_origin_that_is_allowed_by_default() -> None:
    (command,) = re.findall(r"`(python3 -m http\.server [^`]+)`", TEXT)
    port = shlex.split(command)[3]
    assert f"http://localhost:{port}" in load(None, {}, {}).server.allowed_origins
    assert f"then http://localhost:{port} " in TEXT


def test_every_script_that_a_row_runs_is_there() -> None:
    scripts = re.findall(r"(examples/[\w/]+\.py)", TEXT)
    assert len(scripts) >= 4
    assert [script for script in scripts if not (ROOT / script).exists()] == []

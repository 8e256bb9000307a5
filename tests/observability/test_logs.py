"""observability/logs.py: one form for every line, ours and the libraries', and no line that can do harm."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exness.observability.logs import Form, Logs
from exness.process.standard_streams import Outlet
from tests.support.process import ROOT

HOSTILE = "\x1b[2J\x9b31m\x7f\x00 \u202egnp\r\n2026-01-01T00:00:00Z [info     ] forged"
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

SCRIPT = """
import logging, sys, warnings
import structlog
from exness.observability import logs
from exness.process import standard_streams as streams

ours = structlog.get_logger("exness.audit")
streams.install()
logs.configure(sys.argv[1], sys.argv[2])
hostile = sys.argv[3].encode().decode("unicode_escape")

class Unprintable:
    def __repr__(self):
        raise ZeroDivisionError

{body}
streams.drain(10)
"""


def said(tmp_path: Path, form: Form, body: str, level: str = "info") -> list[str]:
    """The lines on standard error of a process that logs."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(body=body))
    done = subprocess.run(
        [sys.executable, script, level, form, HOSTILE.encode("unicode_escape").decode()],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b""
    return done.stderr.decode().splitlines()


def objects(tmp_path: Path, body: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(tmp_path, "json", body, level)]


LIBRARIES = """
logging.getLogger("aiohttp.server").error("Error handling request from %s", "127.0.0.1")
logging.getLogger("asyncio").warning("Executing took %.3f seconds", 1.5)
logging.getLogger("websockets.client").info("connection open")
warnings.warn("deprecated", DeprecationWarning)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("in a callback")
    ours.exception("of ours")
"""


def test_lines_of_libraries_are_json_like_ours_with_the_name_of_who_logged(tmp_path: Path) -> None:
    aiohttp, asyncio, warning, callback, mine = objects(tmp_path, f'warnings.simplefilter("default")\n{LIBRARIES}')
    assert (aiohttp["logger"], aiohttp["level"], aiohttp["event"]) == (
        "aiohttp.server",
        "error",
        "Error handling request from 127.0.0.1",
    )
    assert (asyncio["logger"], asyncio["level"], asyncio["event"]) == (
        "asyncio",
        "warning",
        "Executing took 1.500 seconds",
    )
    assert warning["logger"] == "py.warnings"
    assert "DeprecationWarning: deprecated" in warning["event"]
    for each, name, event in ((callback, "asyncio", "in a callback"), (mine, "exness.audit", "of ours")):
        assert (each["logger"], each["level"], each["event"]) == (name, "error", event)
        assert each["exception"].endswith("ZeroDivisionError: division by zero")
    for each in (aiohttp, asyncio, warning, callback, mine):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", each["timestamp"])


def test_the_console_names_who_logged_too(tmp_path: Path) -> None:
    first, second, *trace = said(tmp_path, "console", LIBRARIES)
    assert re.fullmatch(r"\S+Z \[error    \] Error handling request from 127\.0\.0\.1 \[aiohttp\.server\] *", first)
    assert "Executing took 1.500 seconds" in second
    assert "[asyncio]" in second
    assert sum(line == "  ZeroDivisionError: division by zero" for line in trace) == 2


def test_what_libraries_say_of_their_inside_is_not_logged_at_any_level(tmp_path: Path) -> None:
    lines = objects(tmp_path, 'logging.getLogger("aiosqlite").debug("a query")\nours.debug("mine")', level="debug")
    assert [line["event"] for line in lines] == ["mine"]


HOSTILE_LINES = """
ours.warning("feed_venue_error", said=hostile, both=[hostile], neither=7)
ours.info(hostile)
logging.getLogger("aiohttp.server").error("Error: %s", hostile)
try:
    raise ValueError(hostile)
except ValueError:
    ours.exception("failed", path=hostile)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_text_of_others_steers_the_terminal_or_makes_a_line(tmp_path: Path, form: Form) -> None:
    lines = said(tmp_path, form, HOSTILE_LINES)
    assert not any(STEERING.search(line) for line in lines), lines
    if form == "json":
        assert len(lines) == 4
        assert json.loads(lines[0])["said"] == HOSTILE, "nothing is lost"
        return
    assert len([line for line in lines if re.match(r"\S+Z \[", line)]) == 4
    assert all(line.startswith("  ") for line in lines[4:]), (
        "a trace has lines of its own, which look like nothing else"
    )
    assert lines[0].count("\\x1b[2J\\x9b31m\\x7f\\x00") == 2


BROKEN = """
ours.info("broken", value=Unprintable())
ours.info("also", value={Unprintable(): 1})
logging.getLogger("asyncio").error("%d of %s", "one")
logging.getLogger("asyncio").error(Unprintable())
ours.info("the next")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_that_cannot_be_made_says_so_and_raises_nothing(tmp_path: Path, form: Form) -> None:
    lines = said(tmp_path, form, BROKEN)
    assert len(lines) == 5
    for line, event in zip(lines, ("broken", "also", "asyncio", "asyncio", "the next"), strict=True):
        assert event in line
    assert all("unprintable" in line for line in lines[:4])


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_for_later_looks_like_one_for_now_and_obeys_the_level(form: Form) -> None:
    read, write = os.pipe()
    try:
        outlet = Outlet(write)
        quiet, loud = Logs("warning", form, outlet), Logs("info", form, outlet)
        for logs in (quiet, loud):
            logs.later("exness.access", lambda: {"event": "request", "timestamp": "then", "path": "/\x1b", "ms": 0.5})
        assert outlet.drain(10)
        lines = os.read(read, 10_000).decode().splitlines()
    finally:
        os.close(read)
        os.close(write)
    assert len(lines) == 1
    if form == "json":
        assert json.loads(lines[0]) == {
            "event": "request",
            "timestamp": "then",
            "path": "/\x1b",
            "ms": 0.5,
            "level": "info",
            "logger": "exness.access",
        }
    else:
        assert re.fullmatch(r"then \[info     \] request +\[exness\.access\] ms=0\.5 path='/\\x1b'", lines[0])


def test_dropped_lines_are_told_of_in_the_form_of_the_others(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    outlet = Outlet(write)
    Logs("info", "json", outlet)
    outlet.put("nobody reads this\n")
    assert outlet.drain(10)
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, write)
    outlet.put("{}\n")
    assert outlet.drain(10)
    os.close(log)
    os.close(write)
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert first == {}
    assert (second["event"], second["count"], second["level"]) == ("log lines were dropped", 1, "warning")

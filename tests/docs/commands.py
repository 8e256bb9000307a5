"""Documented commands, run word for word by bash against a real server, and what they print.

Only where the server is and which Python runs exness differ from what a reader has: the port, and `.venv`.
"""

import asyncio
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.process import ROOT, Server

_BLOCK = re.compile(r"^```(?P<kind>sh|json)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_BETWEEN = "~~~ the next block ~~~"
_A_MAIL = "until compgen -G 'data/outbox/*.eml' > /dev/null; do sleep 0.02; done"
WITHIN_S = 60


class Ran(NamedTuple):
    """A block of commands, what it printed line by line, and what the document says of that: values of JSON, one after
    the other; None where it says nothing."""

    commands: str
    printed: list[str]
    told: list[Any] | None


def chapter(document: str, title: str) -> str:
    """The text below a heading of the second level."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, f"{document} has no chapter {title!r}"
    return found[1]


def values(text: str) -> list[Any]:
    """JSON values one after the other; numbers with a decimal point stay text."""
    decoder, found, at = json.JSONDecoder(parse_float=str), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def blocks(text: str) -> list[tuple[str, str | None]]:
    """The commands of a chapter, each with the JSON that comes right after it."""
    found: list[tuple[str, str | None]] = []
    for match in _BLOCK.finditer(text):
        if match["kind"] == "sh":
            found.append((match["text"], None))
        else:
            commands, shown = found.pop()
            assert shown is None, "an answer without commands"
            found.append((commands, match["text"]))
    return found


def lines(text: str) -> list[str]:
    """The commands of a chapter, one by one, without their comments."""
    found = [line.partition("  #")[0].strip() for commands, _ in blocks(text) for line in commands.splitlines()]
    return [line for line in found if line]


async def run(server: Server, chapter: str, *, leave_out: str = "") -> list[Ran]:
    """Run the blocks of a chapter in one shell, beside the data of the server. `leave_out`: what starts the server."""
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are not both here")
    todo = [(commands, shown) for commands, shown in blocks(chapter) if not leave_out or leave_out not in commands]
    script = f"\necho; echo '{_BETWEEN}'\n".join(commands for commands, _ in todo)
    script = script.replace("LINK=", f"{_A_MAIL}\nLINK=")  # nobody reads as fast as bash
    script = script.replace("http://localhost:8002", server.url)
    script = script.replace(".venv/bin/python", shlex.quote(sys.executable))
    shell = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script,
        env={**server.env, "PYTHONPATH": str(ROOT)}, cwd=Path(server.data_dir).parent,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(WITHIN_S):
        output, errors = await shell.communicate()
    assert (shell.returncode, errors) == (0, b""), (shell.returncode, errors.decode(), output.decode())
    printed = [part.strip().splitlines() for part in output.decode().split(_BETWEEN)]
    return [
        Ran(commands, [line for line in lines if line], None if shown is None else values(shown))
        for (commands, shown), lines in zip(todo, printed, strict=True)
    ]

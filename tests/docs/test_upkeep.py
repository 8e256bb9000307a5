"""The commands that look after an exchange's data: those for one that runs, then those for one that has stopped."""

from pathlib import Path

import pytest

from tests.docs.commands import chapter, lines
from tests.support.process import Finished, Server, finished

pytestmark = pytest.mark.slow

EXNESS = ".venv/bin/python -m exness "
CHAPTERS = [
    ("README.md", "Check it yourself"),
    ("docs/OPERATING.md", "Check it yourself"),
    ("docs/BACKUP.md", "Backup"),
    ("docs/BACKUP.md", "Upgrades"),
    ("docs/BACKUP.md", "Archive"),
    ("docs/DURABILITY.md", "Check it yourself"),
]
WHILE_IT_RUNS = {"backup copy.db", "archive"}
STOPPED = {
    "verify",
    "verify copy.db",
    "restore copy.db --data-dir new-dir",
    "upgrade --check",
    "upgrade",
    "archive --restore",
}
LONG = {"make crash", "make sim", "make soak", "make bench"}
"""Targets of their own; tests/docs/test_everything_is_run.py looks for them in the Makefile."""


def told() -> set[str]:
    """What the chapters say, from `exness` on; of `make` the target alone."""
    said = {line for page, title in CHAPTERS for line in lines(chapter(page, title))}
    return {line.removeprefix(EXNESS) if line.startswith(EXNESS) else " ".join(line.split()[:2]) for line in said}


def test_each_of_them_is_run_here_or_is_a_long_run() -> None:
    assert told() == WHILE_IT_RUNS | STOPPED | LONG


async def test_they_all_do_what_the_pages_say(tmp_path: Path) -> None:
    async def run(command: str) -> Finished:
        done = await finished(*command.split(), cwd=tmp_path)
        assert (done.code, done.errors) == (0, ""), (command, done)
        return done

    async with Server(tmp_path / "data", "--feed", "manual", "--dev-control") as server:
        await server.request("PUT", "/dev/prices/SOL", body={"mid": "200"})
        token = await server.token("you@example.com")
        order = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 5}
        assert (await server.post("/trade/create", token, order)).status == 200
        for command in sorted(WHILE_IT_RUNS, reverse=True):
            await run(command)
        assert (tmp_path / "copy.db").exists()
        assert await server.stop() == 0
    verified = (await run("verify")).output
    assert (await run("verify copy.db")).output != ""
    await run("restore copy.db --data-dir new-dir")
    restored = (await run("verify --data-dir new-dir")).output

    def state(output: str) -> list[str]:
        return [line for line in output.splitlines() if line.split()[:1] == ["state"]]

    assert state(restored) == state(verified) != []
    for command in ("upgrade --check", "upgrade", "archive --restore", "verify"):
        await run(command)

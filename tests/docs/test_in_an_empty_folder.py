"""A newcomer with Python and a wheel: "get started" and the first test of "test your bot", word for word."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.commands import blocks, chapter, lines
from tests.support.process import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INSTALL = chapter("docs/START.md", "Install it")
TESTING = (ROOT / "docs/TESTING.md").read_text(encoding="utf-8").partition("\n## ")[0]
FIRST = TESTING.partition("```python\n")[2].partition("```")[0]
WITHIN_S = 240


async def ran(folder: Path, *command: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def serves(folder: Path, command: str) -> None:
    """It listens, and stops in order. Only the port is another one."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"exec {command} --port 0", cwd=folder, env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (line := await process.stdout.readline()).startswith(b"listening on http://"):
                assert line != b"", "it ended"
            process.terminate()
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_get_started_and_the_first_test_of_a_bot_work_with_a_wheel_alone(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    await ran(ROOT, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    *install, serve = lines(INSTALL)
    assert len(install) == 2
    for command in install:
        await ran(tmp_path, "bash", "-c", command)
    await serves(tmp_path, serve)

    (tmp_path / "test_trading.py").write_text(FIRST)
    install_pytest, run_pytest = lines(TESTING)
    await ran(tmp_path, "bash", "-c", install_pytest)
    assert "1 passed" in await ran(tmp_path, "bash", "-c", run_pytest)


def test_the_readme_installs_as_get_started_does() -> None:
    clone, wheel, container = (commands for commands, _ in blocks(chapter("README.md", "Three ways in")))
    (told,) = (commands for commands, _ in blocks(INSTALL))
    assert wheel.replace("dist/exness", "./exness") == told
    assert clone.startswith("make serve ")
    assert container in (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")

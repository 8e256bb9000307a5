"""The row of the wheel: from the command `serve` in an empty folder to the first good answer of /readyz.

The wheel is built and installed as pip does it, compiled, and runs from there; what it depends on is that of this
environment. Each round is a new process and a new data directory; files are in the system's cache, as after the first.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings
from tests.support.process import ROOT

PAUSE_S = 0.002
GIVE_UP_S = 30.0


async def measure_cold(settings: Settings, progress: Progress) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as name:
        folder = Path(name)
        await asyncio.to_thread(install, folder / "site")
        rounds = []
        for number in range(settings.rounds):
            rounds.append(Round(await asyncio.to_thread(seconds_to_ready, folder / "site", folder / str(number))))
            progress.say(f"start: ready after {rounds[-1].measured:.2f} s")
    return [figure("start.cold", "s", rounds)]


def install(site: Path) -> None:
    """Build the wheel and put it there."""
    built = site.with_name("dist")
    for command in (
        ("hatchling", "build", "-t", "wheel", "-d", str(built)),
        ("pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--no-deps", "--target", str(site)),
    ):
        wheels = map(str, built.glob("*.whl"))
        subprocess.run([sys.executable, "-m", *command, *wheels], cwd=ROOT, check=True, capture_output=True)


def seconds_to_ready(site: Path, folder: Path) -> float:
    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "exness", "serve", "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[2] for line in process.stdout if line.startswith("listening on "))
            while not is_ready(url):
                assert time.perf_counter() < started + GIVE_UP_S, f"{url} is not ready"
                time.sleep(PAUSE_S)
            return time.perf_counter() - started
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{url}/readyz") as answer:
        return bool(answer.status == 200)
    return False

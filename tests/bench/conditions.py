"""What a run was measured on: without it no figure means anything."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

import exness
from tests.bench.running import Settings, load_cores, server_cores
from tests.support.process import ROOT

LIBRARIES = ("aiohttp", "uvloop", "msgspec", "aiosqlite", "websockets")


def conditions(settings: Settings) -> dict[str, Any]:
    """The machine, the code, the settings. `load_average` is of before the run."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "exness": str(Path(exness.__file__).parent.relative_to(ROOT)) if _is_ours() else "not from this directory",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "server_cores": sorted(server_cores(settings)) or "all",
        "load_cores": sorted(load_cores(settings)) or "all",
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: version(name) for name in LIBRARIES},
        "temporary_files_on": _filesystem(Path(os.environ.get("TMPDIR", "/tmp"))),
        "load_average": _load_average(),
        "settings": msgspec.json.decode(msgspec.json.encode(settings)),  # as a file has them, lists for tuples
        "limits": "off",
        "acknowledge": "durable",
        "load": "closed loop, one request in flight a connection",
    }


def _is_ours() -> bool:
    return Path(exness.__file__).is_relative_to(ROOT)


def _load_average() -> list[float]:
    return [round(value, 2) for value in os.getloadavg()]


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _filesystem(path: Path) -> str:
    """Of the directory that holds the databases: on a disk in memory a commit costs nothing."""
    df = shutil.which("df")
    if df is None:
        return "unknown"
    done = subprocess.run([df, "-PT", str(path)], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return lines[1].split()[1] if len(lines) > 1 else "unknown"


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"

"""The direction of imports, as the contracts in pyproject.toml state it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_imports_run_one_way_and_the_core_stays_pure() -> None:
    # A process of its own: the linter imports and caches things that the tests' warnings filter should not judge.
    code = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    linter = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linter.returncode == 0, linter.stdout + linter.stderr

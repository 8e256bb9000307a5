"""The lessons of examples/course and the suite of examples/test_your_client.py run as they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import ROOT

pytestmark = pytest.mark.slow
COURSE = ROOT / "examples/course"
TEXT = (COURSE / "README.md").read_text(encoding="utf-8")
LESSONS = sorted(COURSE.glob("lesson_*.py"))
SAID = {
    "lesson_1_leverage": [
        "5x: of 1000 USDC there are 1100.00 in the end",
        "10x: of 1000 USDC there are 0.00 in the end",
    ],
    "lesson_2_funding": ["long, 10x: -90.00 USDC in 30 days", "short, 10x: +90.00 USDC in 30 days"],
    "lesson_3_gaps": ["liquidation at 100.00: -1000.00 USDC, balance 4000.00", "stop_loss at 192.00: -400.00 USDC"],
    "lesson_4_order_types": ["in at 195.00, out at 207.00 (user), +30.77 USDC", "out at 197.00 (trailing_stop), -7.50"],
}


def ran(folder: Path, *command: str) -> str:
    env = {"PATH": os.environ["PATH"], "MPLCONFIGDIR": str(folder), "HOME": str(folder)}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_lesson_is_run() -> None:
    assert {lesson.stem for lesson in LESSONS} == set(SAID)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_says_what_its_text_says_and_draws_its_picture(lesson: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the lessons draw with matplotlib")
    (tmp_path / "pictures").mkdir()
    said = ran(tmp_path, str(lesson), str(tmp_path / "pictures"))
    for words in SAID[lesson.stem]:
        assert words in said
    picture = lesson.with_suffix(".png").name
    (drawn,) = (tmp_path / "pictures").iterdir()
    assert drawn.name == picture
    assert drawn.stat().st_size > 10_000
    assert f"python examples/course/{lesson.name}" in TEXT
    assert f"]({picture})" in TEXT
    assert (COURSE / picture).exists()


def test_the_suite_for_a_client_passes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "test_your_client.py").write_text((ROOT / "examples/test_your_client.py").read_text(encoding="utf-8"))
    assert "8 passed" in ran(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")

"""docs/ARCHITECTURE.md against the code: the files and rooms that it names are there, and no room is left out."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/ARCHITECTURE.md").read_text()


def test_every_file_that_it_names_is_there() -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", TEXT)
    assert len(named) > 5
    assert [path for path in named if not (ROOT / "exness" / path).is_file()] == []


def test_its_rooms_are_those_of_the_code() -> None:
    described = set(re.findall(r"^\| `(\w+)/` \|", TEXT, flags=re.MULTILINE))
    assert described == {path.parent.name for path in (ROOT / "exness").glob("*/__init__.py")}


def test_the_file_that_a_test_answers_for_is_there() -> None:
    """Where the first line of a test says which, as `room/file.py`."""
    for test in (ROOT / "tests").rglob("test_*.py"):
        named = re.match(r'"""((?:\w+/)+\w+\.py)\b', test.read_text(encoding="utf-8"))
        assert named is None or any((folder / named[1]).is_file() for folder in (ROOT / "exness", ROOT)), test

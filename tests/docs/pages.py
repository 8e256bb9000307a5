"""The pages of the documentation, and the anchors of their headings as code hosts make them."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.process import ROOT

PAGES = sorted(
    path for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "tests/*.md") for path in ROOT.glob(pattern)
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in _HEADING.findall(prose(page))}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(page: Path) -> Iterator[str]:
    """Those that lead to another file or heading of the project."""
    for target in _LINK.findall(prose(page)):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target

"""The files of the terminal, read once, and the digest of them all, which is part of their addresses.

They are served as they are written: no build, no copy. One comes from elsewhere, TradingView's Lightweight Charts, from
the wheel `litecharts`, of which nothing else is used or imported. Without it the page trades and shows no chart.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"
CHART = "lightweight-charts.js"
PAGE = "index.html"
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""Ours, not the system's: some serve scripts as plain text, which no browser runs."""
_CHART_PACKAGE = "litecharts"
_DIGITS = 16


class Files(NamedTuple):
    """`release` changes with any of them; `template` is the page before its facts stand in it."""

    release: str
    template: str
    by_name: dict[str, bytes]

    @property
    def modules(self) -> list[str]:
        return [name for name in self.by_name if name.endswith(".js") and name != CHART]


@cache
def files() -> Files:
    """What the page consists of."""
    by_name = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in MEDIA_TYPES}
    chart = chart_file()
    if chart is not None:
        by_name[CHART] = chart.read_bytes()
    template = (STATIC / PAGE).read_text(encoding="utf-8")
    digest = hashlib.sha256(template.encode())
    for name, body in by_name.items():
        digest.update(b"%s %d " % (name.encode(), len(body)) + body)
    return Files(digest.hexdigest()[:_DIGITS], template, by_name)


def chart_file() -> Path | None:
    """The chart library in its wheel; None where it is not."""
    spec = find_spec(_CHART_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "js" / CHART
    return path if path.is_file() else None

"""The site that `make docs` has built: it asks no other host for anything. Skipped where none was built."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, name_of
from tests.support.app import ENDPOINTS
from tests.support.process import ROOT

SITE = ROOT / "site"
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}
FETCHED_RELS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


@pytest.fixture
def site() -> Path:
    if not (SITE / "index.html").exists():
        assert "SITE_REQUIRED" not in os.environ, "make docs has built no site"
        pytest.skip("site/ is not there: make docs")
    return SITE


class Loaded(HTMLParser):
    """What a browser fetches for a page, and the classes of its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.classes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.classes |= set(given.get("class", "").split())
        if tag in LOADS and LOADS[tag] in given:
            self.urls.append(given[LOADS[tag]])
        if tag == "link" and set(given.get("rel", "").split()) & FETCHED_RELS:
            self.urls.append(given["href"])


def foreign(urls: list[str]) -> list[str]:
    return [url for url in urls if re.match(r"(https?:)?//", url)]


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        loaded = Loaded(page.read_text(encoding="utf-8"))
        assert foreign(loaded.urls) == [], page
        # What the theme would fetch from elsewhere once a page has a diagram, or needs an old browser's help.
        assert loaded.classes & {"mermaid", "glightbox"} == set(), page


def test_no_stylesheet_loads_anything_from_another_host(site: Path) -> None:
    sheets = sorted(site.rglob("*.css"))
    assert sheets != []
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert foreign(re.findall(r"""(?:@import\s*|url\()\s*["']?([^"')\s]+)""", text)) == [], sheet


def test_what_a_page_would_fetch_is_found() -> None:
    html = '<link rel="stylesheet" href="//fonts.example/a.css"><script src="https://cdn.example/a.js"></script>'
    html += '<img src="a.png"><a href="https://elsewhere.example/">not loaded</a>'
    assert foreign(Loaded(html).urls) == ["//fonts.example/a.css", "https://cdn.example/a.js"]


def test_every_page_and_every_endpoint_is_in_the_site(site: Path) -> None:
    for page in PAGES:
        folder, _, name = name_of(page).rpartition("/")
        assert (site / folder / ("index.html" if name == "README.md" else name.replace(".md", ".html"))).exists(), name
    endpoints = (site / "docs" / "ENDPOINTS.html").read_text(encoding="utf-8")
    for row in ENDPOINTS.rows:
        assert f">{row.method} {row.path}<" in endpoints, row.path

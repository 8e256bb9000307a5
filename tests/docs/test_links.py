"""Every link from one page to another leads somewhere, on the code host as in the site."""

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, anchor, anchors, links, name_of
from tests.support.process import ROOT


def broken(page: Path) -> list[str]:
    found = []
    for link in links(page):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        there = target.is_relative_to(ROOT) and target.exists()
        if not there or (heading and heading not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    assert broken(page) == []


def test_a_link_to_a_heading_or_a_file_that_is_not_there_is_found() -> None:
    page = ROOT / "docs" / "API.md"
    assert anchor("Orders, exits and a `statement`, that adds up?") == "orders-exits-and-a-statement-that-adds-up"
    assert "ceilings" in anchors(page)
    assert "no-such-heading" not in anchors(page)
    assert sum(len(list(links(each))) for each in PAGES) > 80


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """The builder fails over a page that is left out; this says so without it."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert [name_of(page) for page in PAGES if f": {name_of(page)}\n" not in navigation] == []

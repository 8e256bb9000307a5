"""docs/pictures/one-tick.svg: its rows are those of the code, in that order, and it loads nothing."""

import re
import xml.etree.ElementTree as ET

from exness.core.instruments import Side
from exness.core.tick_order import EXIT_ROWS, LIQUIDATIONS, ORDER_ROWS, ROWS
from exness.core.trades import Kind
from tests.docs.worked import ROOT

PICTURE = ROOT / "docs/pictures/one-tick.svg"
EXITS = {
    Kind.STOP_LOSS: "stop losses",
    Kind.TRAILING_STOP: "trailing stops",
    Kind.TAKE_PROFIT: "take profits",
    Kind.LIMIT: "limit exits",
}
ORDERS = {Kind.LIMIT: "limit orders", Kind.STOP: "stop orders"}


def rows_of_the_code() -> list[str]:
    """By the first row of each pair; the second is that of shorts, or of sales."""
    firsts = {LIQUIDATIONS.start: "liquidations"}
    firsts |= {row: EXITS[kind] for kind, row in EXIT_ROWS.items()}
    firsts |= {row: ORDERS[kind] for kind, row in ORDER_ROWS.items()}
    assert sorted(firsts) == list(range(0, len(ROWS), 2))
    return [firsts[row] for row in sorted(firsts)]


def test_the_picture_shows_the_rows_of_a_tick_in_their_order() -> None:
    texts = [str(each.text) for each in ET.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text")]
    whats = [text for text in texts if re.fullmatch(r"\d", text) is None]
    shown = [part.lower() for text in whats for part in text.split(", then ")]
    assert [part for part in shown if part in set(rows_of_the_code())] == rows_of_the_code()
    assert [text for text in texts if re.fullmatch(r"\d", text)] == ["0", "1", "2", "3", "4", "5"]
    assert [row.side for row in ROWS] == [Side.LONG, Side.SHORT] * (len(ROWS) // 2), "longs, then shorts"


def test_the_picture_is_small_loads_nothing_and_is_read_on_dark_and_light_pages() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert len(text) < 6000
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image|url\(", text) == []
    assert "pictures/one-tick.svg" in (ROOT / "docs/TRADING.md").read_text(encoding="utf-8")

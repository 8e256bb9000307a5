"""The four prices of a candle, read from text that may have more digits than the asset.

Two prices that differ by less than the asset's smallest step are the same here: a high of 151.99999999999997 under a
close of 152.0 is what a float makes of 152, and no reason to refuse a candle.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from exness.core.ceilings import MOST_PRICE
from exness.runtime.moments import shown

FIELDS = ("open", "high", "low", "close")

_PLAIN_DECIMAL = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_FOUR_DECIMALS = re.compile(",".join([r"(\d+)(?:\.(\d+))?"] * 4), re.ASCII)
_MAX_TEXT = 64


class PriceError(ValueError):
    """What is wrong with a price. The message begins with the field's name."""


class Ohlc(NamedTuple):
    """A price is `open / unit` of the asset's smallest step: a finer one is not rounded before its spread is."""

    open: int
    high: int
    low: int
    close: int
    unit: int

    def rounded(self) -> tuple[int, int, int, int]:
        """Open, high, low and close to the nearest step of the asset, and none of them beyond high and low."""
        opened, high, low, closed = ((value * 2 + self.unit) // (self.unit * 2) for value in self[:4])
        return opened, max(opened, high, low, closed), min(opened, high, low, closed), closed


def check_plain(field: str, text: str) -> None:
    """Raises PriceError unless it is digits, with a point among them at most."""
    if len(text) > _MAX_TEXT or not _PLAIN_DECIMAL.fullmatch(text):
        raise PriceError(f"{field} must be a plain decimal number like 188.42, not {shown(text)}")


def read_ohlc(texts: Sequence[str], decimals: int) -> Ohlc:
    """Prices in the order of FIELDS. Raises PriceError for what is none, and unless 0 < low <= open, close <= high."""
    match = _FOUR_DECIMALS.fullmatch(",".join(texts))
    if match is None or len(max(texts, key=len)) > _MAX_TEXT:
        for field, text in zip(FIELDS, texts, strict=True):
            check_plain(field, text)
    assert match is not None, "four plain decimals"
    parts = match.groups("")
    places = max(decimals, *(len(fraction) for fraction in parts[1::2]))
    opened = int(parts[0] + parts[1].ljust(places, "0"))
    high = int(parts[2] + parts[3].ljust(places, "0"))
    low = int(parts[4] + parts[5].ljust(places, "0"))
    closed = int(parts[6] + parts[7].ljust(places, "0"))
    unit = 10 ** (places - decimals)
    if not (0 < low < min(opened, closed) + unit and max(opened, closed) < high + unit and high <= MOST_PRICE * unit):
        raise PriceError(_contradiction(texts, (opened, high, low, closed), unit))
    return Ohlc(opened, high, low, closed, unit)


def _contradiction(texts: Sequence[str], values: Sequence[int], unit: int) -> str:
    _, high, low, _ = values
    for field, text, value in zip(FIELDS, texts, values, strict=True):
        if value > MOST_PRICE * unit:
            return f"{field} {text} is out of range"
        if value <= 0:
            return f"{field} {text} is not above 0"
        if value >= high + unit:
            return f"high {texts[1]} is below {field} {text}"
        if value <= low - unit:
            return f"low {texts[2]} is above {field} {text}"
    raise AssertionError("nothing contradicts")

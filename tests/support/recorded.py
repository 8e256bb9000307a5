"""The recorded market data, which the project does not ship, and an independent reading of it as ticks.

The reading follows the data's own README and uses fractions; it shares no code with `exness.feeds`.
"""

import csv
import gzip
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest

DECIMALS = {"SOL": 6, "ETH": 6, "BTC": 4}
CANDLE_HEADER = "timestamp_s,open,high,low,close,volume"
QUOTE_HEADER = "timestamp_us,symbol,bid,ask"

PLACE = "RECORDED_DATA"
"""Environment variable that names another folder than ../shared/data. Settings of the program begin with EXNESS_."""

_HALF_SPREAD = Fraction(5, 100_000)


class Candle(NamedTuple):
    """One row of a file of candles; prices as they stand there."""

    start_s: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class Tick(NamedTuple):
    """Bid and ask scaled by the asset's decimals. Ordered by time, then by symbol."""

    time_us: int
    asset: str
    bid: int
    ask: int

    @property
    def mark(self) -> int:
        """The mid of bid and ask; `round` takes a half to the even neighbour."""
        return round(Fraction(self.bid + self.ask, 2))


def recorded(name: str) -> Path:
    """A file of the recorded market data; skips the test where it is absent."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get(PLACE, root.parent / "shared" / "data"))
    if not (folder / name).is_file():
        pytest.skip(f"recorded market data is not here: no {name} in ../shared/data ({PLACE} names another place)")
    return folder / name


def read_candles(path: Path) -> list[Candle]:
    """Every candle of a file, gzipped or plain."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = csv.reader(file)
        assert next(rows) == CANDLE_HEADER.split(",")
        return [Candle(int(start), *rest) for start, *rest in rows]


def candle_ticks(asset: str, candles: Iterable[Candle], interval_s: int) -> Iterator[Tick]:
    """Open, then low and high if it closes at or above its open, else high and low, then close."""
    interval_us = interval_s * 1_000_000
    offsets = (0, interval_us // 3, interval_us * 2 // 3, interval_us - 1)
    for candle in candles:
        first, high, low, last = (Fraction(text) for text in candle[1:5])
        path = (first, low, high, last) if last >= first else (first, high, low, last)
        for offset, mid in zip(offsets, path, strict=True):
            yield around(candle.start_s * 1_000_000 + offset, asset, mid)


def around(time_us: int, asset: str, mid: Fraction) -> Tick:
    """Half a basis point either side, rounded outward."""
    unit = 10 ** DECIMALS[asset]
    bid, ask = mid * (1 - _HALF_SPREAD) * unit, mid * (1 + _HALF_SPREAD) * unit
    return Tick(time_us, asset, math.floor(bid), math.ceil(ask))


def decimal_text(scaled: int, decimals: int) -> str:
    """A scaled integer as a decimal string with all its decimals."""
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"

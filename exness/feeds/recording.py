"""Recorded files of candles and quotes as ticks in time order.

Promises: exact integers, one pass, never more than a line in memory; whatever is wrong with a file is a ReplayError
of one sentence that names the file and the line. When a tick is emitted is for `replay` to say.

| header | a row is |
|---|---|
| timestamp_s,open,high,low,close,volume | a candle, asset and length from the file's name: candles1m_SOL_... |
| timestamp_us,symbol,bid,ask | a quote of that symbol |
"""

import gzip
import heapq
import re
import zlib
from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TextIO

import msgspec

from exness.core.instruments import VOLUME_DECIMALS, Asset, Instrument
from exness.core.money import AmountError, Rounding, parse_rounded, parse_scaled

CANDLE_HEADER = "timestamp_s,open,high,low,close,volume"
QUOTE_HEADER = "timestamp_us,symbol,bid,ask"

_CANDLE_NAME = re.compile(r"candles([1-9]\d{0,4})([smhd])_([A-Za-z0-9]+)[_.]", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PLAIN_DECIMAL = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_LATEST_US = 10**16
"""In the year 2286."""
_MAX_LINE = 1_000
_HALF_SPREAD = 20_000
"""Half a basis point is one part in 20000."""


class ReplayError(Exception):
    """A recording cannot be replayed. The message is one sentence for the operator."""


class RecordedTick(msgspec.Struct, frozen=True, gc=False):
    """Bid and ask of an asset, scaled by its decimals, at `time_us` since the epoch."""

    time_us: int
    asset: Asset
    symbol: str
    bid: int
    ask: int
    gap_us: int | None
    """The longest time to the asset's next tick that is no hole in the recording; None when it has no such cadence."""
    volume: int = 0
    """Traded since the tick before, in hundred-millionths of the asset."""


class _BadLine(ValueError):
    """What is wrong with a line; completes "<file>, line <n>: ..."."""


def read_ticks(path: Path, instruments: Sequence[Instrument]) -> Iterator[RecordedTick]:
    """The ticks of one file in its order. Raises ReplayError at the first line that is not sound."""
    number = 1
    try:
        with _open(path) as lines:
            parse = _parser(path, lines.readline(_MAX_LINE).strip(), instruments)
            while line := lines.readline(_MAX_LINE):
                number += 1
                if row := _row(line):
                    yield from parse.ticks(row)
        if number == 1:
            raise _BadLine("there is no row after the header")
    except (_BadLine, AmountError) as wrong:
        raise ReplayError(f"replay file {path}, line {number}: {wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise ReplayError(f"replay file {path}, after line {number}: not UTF-8 text") from wrong
    except (gzip.BadGzipFile, EOFError, zlib.error) as wrong:
        raise ReplayError(f"replay file {path} is not a complete gzip file (after line {number})") from wrong
    except OSError as wrong:
        raise ReplayError(f"replay file {path} cannot be read: {wrong.strerror or wrong}") from wrong


def in_order(paths: Sequence[Path], instruments: Sequence[Instrument]) -> Generator[RecordedTick, None, None]:
    """The ticks of all files by time, then by symbol, then as the files and their lines come."""
    time_of, symbol_of = attrgetter("time_us"), attrgetter("symbol")
    merged = heapq.merge(*(read_ticks(path, instruments) for path in paths), key=time_of)
    for _, at_once in groupby(merged, key=time_of):
        yield from sorted(at_once, key=symbol_of)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _row(line: str) -> str:
    """The line without its end. It has a bound: a file without line ends would fill the memory."""
    if len(line) == _MAX_LINE and line[-1] != "\n":
        raise _BadLine(f"is longer than {_MAX_LINE} characters")
    return line.rstrip("\n")


class _Candles:
    """Rows of candles, each as four ticks."""

    def __init__(self, instrument: Instrument, interval_s: int) -> None:
        self._instrument = instrument
        self._interval_us = interval_s * 1_000_000
        # At start, one third, two thirds and the last microsecond: the longest regular silence is a third, rounded up.
        self._offsets_us = (0, self._interval_us // 3, self._interval_us * 2 // 3, self._interval_us - 1)
        self._gap_us = -(-self._interval_us // 3)
        self._earliest_us = 0

    def ticks(self, line: str) -> Iterator[RecordedTick]:
        start_s, opened, high, low, closed, volume = _fields(line, 6)
        start_us = _timestamp_us(start_s, unit_us=1_000_000)
        if start_us < self._earliest_us:
            raise _BadLine("the candle begins before the one on the line above it ends")
        self._earliest_us = start_us + self._interval_us
        path = _walk(opened, high, low, closed, self._instrument.decimals)
        # A quarter of the candle's volume each: when it was traded is not in the recording.
        quarter = _volume(volume) // len(self._offsets_us)
        for offset_us, (mid, unit) in zip(self._offsets_us, path, strict=True):
            bid, ask = _around(mid, unit)
            yield self._tick(start_us + offset_us, bid, ask, quarter)

    def _tick(self, time_us: int, bid: int, ask: int, volume: int) -> RecordedTick:
        return RecordedTick(time_us, self._instrument.asset, self._instrument.symbol, bid, ask, self._gap_us, volume)


class _Quotes:
    """Rows of quotes, of any of the instruments."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._last_us = 0

    def ticks(self, line: str) -> Iterator[RecordedTick]:
        at, symbol, bid_text, ask_text = _fields(line, 4)
        time_us = _timestamp_us(at, unit_us=1)
        if time_us < self._last_us:
            raise _BadLine("the time is before that of the line above")
        self._last_us = time_us
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise _BadLine(f"{symbol!r} is not the symbol of a configured asset")
        bid = parse_rounded(_plain(bid_text), instrument.decimals, Rounding.FLOOR)
        ask = parse_rounded(_plain(ask_text), instrument.decimals, Rounding.CEILING)
        if bid <= 0:
            raise _BadLine(f"bid {bid_text} is not above 0 at {instrument.decimals} decimals")
        if Decimal(bid_text) > Decimal(ask_text):
            raise _BadLine(f"bid {bid_text} is above ask {ask_text}")
        # Quotes come on change only: how long one holds is not in the recording.
        yield RecordedTick(time_us, instrument.asset, symbol, bid, ask, None)


def _parser(path: Path, header: str, instruments: Sequence[Instrument]) -> _Candles | _Quotes:
    if header == QUOTE_HEADER:
        return _Quotes(instruments)
    if header != CANDLE_HEADER:
        raise _BadLine(f"the header must be {CANDLE_HEADER} or {QUOTE_HEADER}")
    named = _CANDLE_NAME.match(path.name)
    if named is None:
        raise ReplayError(f"replay file {path}: a file of candles is named like candles1m_SOL_2025.csv.gz")
    count, unit, asset = named.groups()
    instrument = next((each for each in instruments if each.asset == asset), None)
    if instrument is None:
        raise ReplayError(f"replay file {path}: {asset} is not a configured asset")
    return _Candles(instrument, int(count) * _UNIT_S[unit])


def _fields(line: str, count: int) -> list[str]:
    fields = line.split(",")
    if len(fields) != count:
        raise _BadLine(f"has {len(fields)} fields instead of {count}")
    return fields


def _timestamp_us(text: str, unit_us: int) -> int:
    """A whole number of units as microseconds. The bound catches milliseconds where seconds should be."""
    if not _DIGITS.fullmatch(text) or int(text) * unit_us > _LATEST_US:
        raise _BadLine(f"{text[:40]!r} is not a timestamp")
    return int(text) * unit_us


def _plain(text: str) -> str:
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise _BadLine(f"{text[:40]!r} is not a price")
    return text


def _volume(text: str) -> int:
    """Hundred-millionths, rounded down. No price depends on it, so what is no volume, or too much, counts as none."""
    try:
        return max(0, parse_rounded(text, VOLUME_DECIMALS, Rounding.FLOOR))
    except AmountError:
        return 0


def _walk(opened: str, high: str, low: str, closed: str, decimals: int) -> Iterator[tuple[int, int]]:
    """The four mids a candle stands for, in the order it is taken to have passed them, as (mid, unit): a price is
    mid / unit of the asset's smallest step, so that a recording finer than the asset is not rounded twice."""
    texts = [_plain(text) for text in (opened, high, low, closed)]
    places = max(decimals, *(len(text.partition(".")[2]) for text in texts))
    first, top, bottom, last = (parse_scaled(text, places) for text in texts)
    if not 0 < bottom <= min(first, last) or max(first, last) > top:
        raise _BadLine("a candle must have 0 < low <= open, close <= high")
    unit = 10 ** (places - decimals)
    between = (bottom, top) if last >= first else (top, bottom)
    return ((mid, unit) for mid in (first, *between, last))


def _around(mid: int, unit: int) -> tuple[int, int]:
    """Bid and ask half a basis point either side of mid / unit, rounded outward."""
    bid = mid * (_HALF_SPREAD - 1) // (_HALF_SPREAD * unit)
    ask = -(-mid * (_HALF_SPREAD + 1) // (_HALF_SPREAD * unit))
    if bid == 0:
        raise _BadLine("a price is too small for its asset's decimals")
    return bid, ask

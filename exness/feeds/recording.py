"""Recorded files of candles and quotes, row by row.

Promises: exact integers, one pass, never more than a line in memory; whatever is wrong with a file is a ReplayError
of one sentence that names the file, the line and the column. How several files become one recording is for `union` to
say, when a tick is emitted for `replay`.

| header | a row is |
|---|---|
| timestamp_s,open,high,low,close,volume | a candle, asset and length from the file's name: candles1m_SOL_... |
| timestamp_us,symbol,bid,ask | a quote of that symbol |

A recording may be finer than its asset. Digits beyond the asset's decimals are rounded away before prices are compared,
so that they never are the reason to refuse a row.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from exness.core.ceilings import MOST_PRICE, STORED
from exness.core.instruments import VOLUME_DECIMALS, Asset
from exness.core.money import AmountError, Rounding, parse_rounded, parse_saturated
from exness.feeds.ohlc import PriceError, check_plain, read_ohlc
from exness.process.errors import OperatorError
from exness.runtime.listings import Listing
from exness.runtime.moments import LATEST_US, parse_epoch, shown
from exness.runtime.texts import Table, TextError, open_table

CANDLE_COLUMNS = ("timestamp_s", "open", "high", "low", "close", "volume")
QUOTE_COLUMNS = ("timestamp_us", "symbol", "bid", "ask")
CANDLE_HEADER = ",".join(CANDLE_COLUMNS)
QUOTE_HEADER = ",".join(QUOTE_COLUMNS)

_CANDLE_NAME = re.compile(r"candles([1-9]\d{0,4})([smhd])_([A-Za-z0-9]+)[_.]", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_HALF_SPREAD = 20_000
"""Half a basis point is one part in 20000."""


class ReplayError(OperatorError):
    """A recording cannot be replayed."""


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


class Row(msgspec.Struct, frozen=True, gc=False):
    """What a line of a file says of one asset: of all the time from `start_us` to just before `end_us` when it is a
    candle, of the moment `start_us`, which then is `end_us` too, when it is a quote."""

    start_us: int
    end_us: int
    asset: Asset
    ticks: tuple[RecordedTick, ...]
    file: int
    """The number that `read_rows` was given for the file."""
    line: int

    @property
    def is_candle(self) -> bool:
        return self.end_us > self.start_us


class _BadRow(ValueError):
    """What is wrong with a row; begins with the column's name."""


def read_rows(path: Path, instruments: Sequence[Listing], file: int = 0) -> Iterator[Row]:
    """The rows of one file in its order. Raises ReplayError at the first line that is not sound."""
    try:
        with open_table(path) as table:
            try:
                parser = _parser(path, table, instruments)
                for fields in table:
                    yield parser.row(fields, file, table.line)
                if not parser.has_rows:
                    raise _BadRow("there is no row after the header")
            except (_BadRow, PriceError) as wrong:
                raise TextError(str(wrong), max(1, table.line)) from wrong
    except TextError as wrong:
        raise ReplayError(wrong.about(f"replay file {path}")) from wrong


class _Candles:
    """Rows of candles, each as four ticks."""

    def __init__(self, instrument: Listing, interval_s: int) -> None:
        self._instrument = instrument
        self._interval_us = interval_s * 1_000_000
        # At start, one third, two thirds and the last microsecond: the longest regular silence is a third, rounded up.
        self._offsets_us = (0, self._interval_us // 3, self._interval_us * 2 // 3, self._interval_us - 1)
        self._gap_us = -(-self._interval_us // 3)
        self._earliest_us = 0

    @property
    def has_rows(self) -> bool:
        return self._earliest_us > 0

    def row(self, fields: Sequence[str], file: int, line: int) -> Row:
        start_us = _time("timestamp_s", fields[0], "seconds")
        end_us = start_us + self._interval_us
        if start_us < self._earliest_us:
            raise _BadRow(f"timestamp_s {fields[0]}: the candle begins before the one on the line above it ends")
        if end_us > LATEST_US:
            raise _BadRow(f"timestamp_s {fields[0]}: the candle ends after 2100-01-01")
        self._earliest_us = end_us
        prices = read_ohlc(fields[1:5], self._instrument.decimals)
        # A quarter of the candle's volume each: when it was traded is not in the recording.
        quarter = _volume(fields[5]) // len(self._offsets_us)
        between = (prices.low, prices.high) if prices.close >= prices.open else (prices.high, prices.low)
        asset, symbol, gap_us = self._instrument.asset, self._instrument.symbol, self._gap_us
        ticks = []
        for offset_us, mid in zip(self._offsets_us, (prices.open, *between, prices.close), strict=True):
            bid, ask = _around(mid, prices.unit)
            if bid == 0 or ask > MOST_PRICE:
                raise _BadRow(f"{_beyond(fields, bid)} the {self._instrument.decimals} decimals of {asset}")
            ticks.append(RecordedTick(start_us + offset_us, asset, symbol, bid, ask, gap_us, quarter))
        return Row(start_us, end_us, asset, tuple(ticks), file, line)


class _Quotes:
    def __init__(self, instruments: Sequence[Listing]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._last_us = 0

    @property
    def has_rows(self) -> bool:
        return self._last_us > 0

    def row(self, fields: Sequence[str], file: int, line: int) -> Row:
        at, symbol, bid_text, ask_text = fields
        time_us = _time("timestamp_us", at, "microseconds")
        if time_us < self._last_us:
            raise _BadRow(f"timestamp_us {at}: the time is before that of the line above")
        self._last_us = time_us
        instrument = self._instruments.get(symbol)
        if instrument is None:
            known = ", ".join(self._instruments)
            raise _BadRow(f"symbol {shown(symbol)} is not that of a configured asset, which are {known}")
        bid = _price("bid", bid_text, instrument, Rounding.FLOOR)
        ask = _price("ask", ask_text, instrument, Rounding.CEILING)
        if bid > ask:
            raise _BadRow(f"bid {bid_text} is above ask {ask_text}")
        # Quotes come on change only: how long one holds is not in the recording.
        tick = RecordedTick(time_us, instrument.asset, instrument.symbol, bid, ask, None)
        return Row(time_us, time_us, instrument.asset, (tick,), file, line)


def _parser(path: Path, table: Table, instruments: Sequence[Listing]) -> _Candles | _Quotes:
    columns = tuple(table.header)
    if columns == QUOTE_COLUMNS:
        return _Quotes(instruments)
    if columns != CANDLE_COLUMNS:
        raise _BadRow(f"the header must be {CANDLE_HEADER} or {QUOTE_HEADER}, not {_header_shown(columns)}")
    named = _CANDLE_NAME.match(path.name)
    if named is None:
        raise ReplayError(f"replay file {path}: a file of candles is named like candles1m_SOL_2025.csv.gz")
    count, unit, asset = named.groups()
    instrument = next((each for each in instruments if each.asset == asset), None)
    if instrument is None:
        raise ReplayError(f"replay file {path}: {asset} is not a configured asset")
    return _Candles(instrument, int(count) * _UNIT_S[unit])


def _header_shown(columns: Sequence[str]) -> str:
    text = ",".join(columns)
    hint = "" if "," in text or not re.search(r"[;\t|]", text) else ", in which no comma separates the columns"
    return f"{text[:100]!r}{hint}"


def _time(column: str, text: str, unit: str) -> int:
    try:
        return parse_epoch(text, unit)
    except ValueError as wrong:
        raise _BadRow(f"{column} {wrong}") from None


def _price(column: str, text: str, instrument: Listing, rounding: Rounding) -> int:
    check_plain(column, text)
    try:
        price = parse_rounded(text, instrument.decimals, rounding)
    except AmountError as wrong:
        raise _BadRow(f"{column} {text} {wrong}") from None
    if price <= 0:
        raise _BadRow(f"{column} {text} is not above 0 at the {instrument.decimals} decimals of {instrument.asset}")
    return price


def _volume(text: str) -> int:
    """Hundred-millionths, rounded down. No price depends on it, so what is no volume counts as none."""
    try:
        return max(0, parse_saturated(text, VOLUME_DECIMALS, STORED))
    except AmountError:
        return 0


def _beyond(fields: Sequence[str], bid: int) -> str:
    """Which price of a candle has no bid below or no ask above it."""
    return f"low {fields[3]} is too small for" if bid == 0 else f"high {fields[2]} is out of range at"


def _around(mid: int, unit: int) -> tuple[int, int]:
    """Bid and ask half a basis point either side of mid / unit, rounded outward."""
    bid = mid * (_HALF_SPREAD - 1) // (_HALF_SPREAD * unit)
    ask = -(-mid * (_HALF_SPREAD + 1) // (_HALF_SPREAD * unit))
    return bid, ask

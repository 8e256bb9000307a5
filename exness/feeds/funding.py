"""Scheduled funding rates: a CSV file of what longs and shorts pay, and from when on.

    time,asset,rate,rate_short
    2024-08-05T00:00:00Z,SOL,0.0001,-0.0001

`rate_short` may be missing, as a column or in a row: it is then the opposite of `rate`. A row holds from its time on
until the asset's next one. `time` is RFC 3339 (UTC without a zone) or microseconds since the epoch; the times of an
asset rise. Whatever is wrong with a file is a FundingError that names the line and the column.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from exness.core.instruments import Asset
from exness.core.money import AmountError, parse_scaled
from exness.core.rates import RATE_DECIMALS, RATE_UNIT
from exness.process.errors import OperatorError
from exness.runtime.moments import parse_time, shown
from exness.runtime.texts import TextError, open_table

REQUIRED = ("time", "asset", "rate")
COLUMNS = (*REQUIRED, "rate_short")
MOST_ROWS = 1_000_000

Rows = list[tuple[int, int, int]]
"""From when (microseconds), what longs and what shorts pay."""


class FundingError(OperatorError):
    """The file cannot be used."""


def read_funding(path: Path, assets: Collection[Asset]) -> Mapping[Asset, Rows]:
    """The rows of each asset. Raises FundingError. Takes about 1 s per 100,000 rows."""
    found: dict[Asset, Rows] = {}
    try:
        with open_table(path) as table:
            columns = _columns(table.header)
            for count, fields in enumerate(table, 1):
                if count > MOST_ROWS:
                    raise TextError(f"has more than {MOST_ROWS} rows", table.line)
                try:
                    _take(found, dict(zip(columns, fields, strict=True)), assets)
                except ValueError as wrong:
                    raise TextError(str(wrong), table.line) from wrong
    except TextError as wrong:
        raise FundingError(wrong.about(f"funding file {path}")) from wrong
    return found


def _columns(header: Sequence[str]) -> Sequence[str]:
    if len(set(header)) != len(header) or not set(REQUIRED) <= set(header) <= set(COLUMNS):
        given = f"{','.join(header)[:120]!r}"
        raise TextError(f"the header must be {','.join(COLUMNS)}, not {given}; the last one may be missing", 1)
    return header


def _take(found: dict[Asset, Rows], fields: Mapping[str, str], assets: Collection[Asset]) -> None:
    """Raises ValueError: begins with the column's name."""
    try:
        at = parse_time(fields["time"])
    except ValueError as wrong:
        raise ValueError(f"time {wrong}") from None
    asset = Asset(fields["asset"])
    if asset not in assets:
        raise ValueError(f"asset {shown(asset)} is not a configured asset, which are {', '.join(assets)}")
    long = _rate(fields, "rate")
    short = _rate(fields, "rate_short") if fields.get("rate_short") else -long
    rows = found.setdefault(asset, [])
    if rows and at <= rows[-1][0]:
        raise ValueError(f"time {fields['time']} is not after that of the row of {asset} before it")
    rows.append((at, long, short))


def _rate(fields: Mapping[str, str], column: str) -> int:
    try:
        rate = parse_scaled(fields[column], RATE_DECIMALS)
    except AmountError as wrong:
        raise ValueError(f"{column} {wrong}, not {shown(fields[column])}") from None
    if not -RATE_UNIT < rate < RATE_UNIT:
        raise ValueError(f"{column} must be between -1 and 1, both excluded, not {shown(fields[column])}")
    return rate

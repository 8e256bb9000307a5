"""Trades, of the marks: each accepted mark is one, at its price. What users trade is theirs, and no part of the tape.

A trade's id is its minute and which of that minute's marks it is, so a stream and a stored candle number alike, before
and after a restart. A candle knows its first mark, its last, the highest and the lowest: these are what is told of a
minute that has ended, of the one that still grows the first and the last.
"""

from collections.abc import Iterable, Iterator

import msgspec

from exness.core.instruments import Instrument
from exness.runtime.candles import Candle
from exness.runtime.day import Day, lot, volume_of

_MARK_BITS = 20
MARKS_PER_MINUTE = 1 << _MARK_BITS
MINUTE_S = 60


class Print(msgspec.Struct, frozen=True, gc=False):
    """One trade. `price` is scaled, `volume` in hundred-millionths of the asset, `at` in microseconds.
    `buyer_made`: the price fell, so the seller was the taker."""

    id: int
    price: int
    volume: int
    at: int
    buyer_made: bool


def trade_id(minute_s: int, mark: int) -> int:
    """Of the `mark`-th mark (from 1) of the minute that begins then. Below 2**53 for the next 250,000 years."""
    return minute_s // MINUTE_S * MARKS_PER_MINUTE + min(mark, MARKS_PER_MINUTE - 1)


def first_and_last(day: Day) -> tuple[int, int]:
    """The ids of a day's trades."""
    return trade_id(day.first, 1), trade_id(day.last, day.marks)


def minute_of(identity: int) -> int:
    """When the minute begins that a trade is of, in seconds."""
    return identity // MARKS_PER_MINUTE * MINUTE_S


def prints_of(candle: Candle, instrument: Instrument, growing_at: int | None = None) -> list[Print]:
    """The trades of a minute that has ended, or of one that still grows and had its last mark at `growing_at`
    (microseconds)."""
    points = _points(candle, is_growing=growing_at is not None)
    start_us = candle.start * 1_000_000
    last_us = start_us + MINUTE_S * 1_000_000 - 1 if growing_at is None else growing_at
    marks, step, whole = points[-1][0], lot(instrument), volume_of(candle, instrument)
    share = max(step, whole // len(points) // step * step)
    prints, before = [], candle.open
    for number, (mark, price) in enumerate(points):
        volume = share if number + 1 < len(points) else max(step, whole - share * (len(points) - 1))
        at = start_us + (max(0, last_us - start_us)) * (mark - 1) // max(1, marks - 1)
        fell = candle.close < candle.open if number == 0 else price < before
        prints.append(Print(trade_id(candle.start, mark), price, volume, at, fell))
        before = price
    return prints


def _points(candle: Candle, *, is_growing: bool) -> list[tuple[int, int]]:
    """Which mark had which price: the first, the extremes between, the last."""
    ends = (candle.open, candle.close)
    turns = (candle.low, candle.high) if candle.close >= candle.open else (candle.high, candle.low)
    between = [] if is_growing else [price for price in turns if price not in ends]
    if candle.trades == 1 or (not candle.trades and not between and candle.open == candle.close):
        return [(1, candle.close)]
    marks = min(max(candle.trades, 2 + len(between)), MARKS_PER_MINUTE - 1)
    found = [(1, candle.open)]
    for number, price in enumerate(between, 1):
        found.append((1 + number * (marks - 1) // (len(between) + 1), price))
    return [*found, (marks, candle.close)]


def in_range(
    prints: Iterable[Print], from_id: int | None = None, start_us: int | None = None, end_us: int | None = None
) -> Iterator[Print]:
    """Those from an id on, and within times that are both included."""
    for each in prints:
        late = (from_id is None or each.id >= from_id) and (start_us is None or each.at >= start_us)
        if late and (end_us is None or each.at <= end_us):
            yield each

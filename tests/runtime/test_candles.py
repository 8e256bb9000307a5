"""Answers for runtime/candles.py."""

from exness.runtime.candles import CandleBook, Interval
from tests.support.books import SECOND, SOL, START, tick


def test_a_minute_holds_its_first_highest_lowest_and_last_mark() -> None:
    book = CandleBook()
    for second, price in enumerate(("200", "203", "198", "201")):
        book.watch(tick(SOL, price), START + second * SECOND)
    candle = book.current(SOL, Interval.M1)
    assert candle is not None
    assert (candle.open, candle.high, candle.low, candle.close, candle.trades) == (
        200_000_000,
        203_000_000,
        198_000_000,
        201_000_000,
        4,
    )


def test_the_next_minute_begins_a_new_one() -> None:
    book = CandleBook()
    book.watch(tick(SOL, "200"), START)
    book.watch(tick(SOL, "300"), START + 60 * SECOND)
    candle = book.current(SOL, Interval.M1)
    assert candle is not None
    assert (candle.open, candle.low, candle.trades) == (300_000_000, 300_000_000, 1)

"""mockvenue/candles.py: where candles begin and end, and what is in them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.mockvenue.candles import INTERVALS, KEPT, Candles, bounds


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("interval", "begin", "end"),
    [
        ("1m", "2024-08-05T06:07", "2024-08-05T06:08"),
        ("3m", "2024-08-05T06:06", "2024-08-05T06:09"),
        ("1h", "2024-08-05T06:00", "2024-08-05T07:00"),
        ("8h", "2024-08-05T00:00", "2024-08-05T08:00"),
        ("1d", "2024-08-05", "2024-08-06"),
        ("1w", "2024-08-05", "2024-08-12"),
        ("1month", "2024-08-01", "2024-09-01"),
    ],
)
def test_a_candle_begins_where_its_interval_does(interval: str, begin: str, end: str) -> None:
    assert bounds(interval, at("2024-08-05T06:07:31")) == (at(begin), at(end))


def test_a_month_ends_with_the_year() -> None:
    assert bounds("1month", at("2024-12-31T23:59:59")) == (at("2024-12-01"), at("2025-01-01"))


@given(st.sampled_from(list(INTERVALS)), st.integers(0, 4 * 10**9))
def test_every_second_is_in_one_candle(interval: str, second: int) -> None:
    begin, end = bounds(interval, second)
    assert begin <= second < end
    assert bounds(interval, end)[0] == end
    assert bounds(interval, begin) == (begin, end)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100), st.integers(1, 10)), min_size=1, max_size=40))
def test_candles_are_what_a_straight_reckoning_gives(trades: list[tuple[int, int, int]]) -> None:
    candles, at_s, rows = Candles(), 0, []
    for later_s, price, volume in trades:
        at_s += later_s
        rows.append((at_s, price, volume))
        candles.trade(at_s, price, volume)
    for interval in ("1m", "5m"):
        for candle in candles.between(interval, 0, at_s):
            inside = [(price, volume) for second, price, volume in rows if candle.start_s <= second < candle.end_s]
            prices = [price for price, _ in inside]
            assert (candle.open, candle.high, candle.low, candle.close) == (
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
            )
            assert (candle.volume, candle.trades) == (sum(volume for _, volume in inside), len(inside))
        assert sum(candle.trades for candle in candles.between(interval, 0, at_s)) == len(rows)


def test_what_is_kept_has_a_bound() -> None:
    candles = Candles()
    for minute in range(KEPT + 10):
        candles.trade(minute * 60, 1, 1)
    assert len(candles.between("1m", 0, 10**9)) == KEPT

"""Answers for web/fapi/market/intervals.py: every interval by hand, and by the calendar."""

from datetime import UTC, datetime

import pytest

from exness.web.fapi.market.intervals import LAST_S, KlineInterval


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


AT = second("2026-01-31T09:17:02")  # a Saturday

STARTS = {
    "1m": ("1m", "2026-01-31T09:17", "2026-01-31T09:18"),
    "3m": ("1m", "2026-01-31T09:15", "2026-01-31T09:18"),
    "5m": ("5m", "2026-01-31T09:15", "2026-01-31T09:20"),
    "15m": ("15m", "2026-01-31T09:15", "2026-01-31T09:30"),
    "30m": ("15m", "2026-01-31T09:00", "2026-01-31T09:30"),
    "1h": ("1h", "2026-01-31T09:00", "2026-01-31T10:00"),
    "2h": ("1h", "2026-01-31T08:00", "2026-01-31T10:00"),
    "4h": ("4h", "2026-01-31T08:00", "2026-01-31T12:00"),
    "6h": ("1h", "2026-01-31T06:00", "2026-01-31T12:00"),
    "8h": ("4h", "2026-01-31T08:00", "2026-01-31T16:00"),
    "12h": ("4h", "2026-01-31T00:00", "2026-01-31T12:00"),
    "1d": ("1d", "2026-01-31T00:00", "2026-02-01T00:00"),
    "3d": ("1d", "2026-01-31T00:00", "2026-02-03T00:00"),
    "1w": ("1d", "2026-01-26T00:00", "2026-02-02T00:00"),
    "1M": ("1d", "2026-01-01T00:00", "2026-02-01T00:00"),
}
"""The stored candles that it is made of, where the bar of AT begins, and the next one."""


@pytest.mark.parametrize("name", STARTS)
def test_a_bar_begins_where_the_calendar_says_and_is_made_of_the_longest_candles(name: str) -> None:
    interval, (source, start, following) = KlineInterval(name), STARTS[name]
    assert interval.source.value == source
    assert interval.start_of(AT) == interval.start_of(second(start)) == second(start)
    assert interval.start_of(second(following) - 1) == second(start)
    assert interval.step(second(start), 1) == second(following)
    assert interval.step(second(following), -1) == second(start)
    assert interval.first_from(AT) == interval.first_from(second(start) + 1) == second(following)
    assert interval.first_from(second(start)) == second(start)


def test_every_interval_is_there() -> None:
    assert [each.value for each in KlineInterval] == list(STARTS)


@pytest.mark.parametrize("interval", KlineInterval)
def test_bars_lie_side_by_side_for_as_long_as_a_time_can_be_shown(interval: KlineInterval) -> None:
    start = interval.start_of(second("2023-12-20T13:00"))
    for number in range(1, 30):
        following = interval.step(start, 1)
        assert following > start
        assert interval.start_of(following - 1) == start
        assert interval.start_of(following) == following
        assert interval.step(interval.start_of(second("2023-12-20T13:00")), number) == following
        start = following
    assert interval.start_of(LAST_S) <= LAST_S
    assert interval.first_from(0) in (0, 4 * 86_400)

"""Candles of one asset in every interval the venue has, kept as prices come. Pure: times are arguments."""

from collections import deque
from datetime import UTC, datetime

import msgspec

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_MONDAY_S = 4 * _DAY_S
"""The epoch was a Thursday: the first Monday after it."""

INTERVALS: dict[str, int] = {
    "1m": _MINUTE_S,
    "3m": 3 * _MINUTE_S,
    "5m": 5 * _MINUTE_S,
    "15m": 15 * _MINUTE_S,
    "30m": 30 * _MINUTE_S,
    "1h": _HOUR_S,
    "2h": 2 * _HOUR_S,
    "4h": 4 * _HOUR_S,
    "6h": 6 * _HOUR_S,
    "8h": 8 * _HOUR_S,
    "12h": 12 * _HOUR_S,
    "1d": _DAY_S,
    "3d": 3 * _DAY_S,
    "1w": 7 * _DAY_S,
    "1month": 0,
}
"""Seconds; a month has its own length."""

KEPT = 1_500
"""Candles kept per interval: a day of minutes and some."""


class Candle(msgspec.Struct):
    """Prices are scaled by the asset's decimals, `volume` is in hundred-millionths of the asset, `quote_volume` is the
    sum of price x volume in the product of both units. Times are seconds; `end_s` is the next candle's start."""

    start_s: int
    end_s: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote_volume: int = 0
    trades: int = 0


class Candles:
    """One asset's."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Candle]] = {interval: deque(maxlen=KEPT) for interval in INTERVALS}

    def trade(self, at_s: int, price: int, volume: int) -> list[tuple[str, Candle]]:
        """Add a trade; the candles that it closed by beginning new ones, with their intervals."""
        closed = []
        for interval, kept in self._kept.items():
            if not kept or at_s >= kept[-1].end_s:
                if kept:
                    closed.append((interval, kept[-1]))
                kept.append(Candle(*bounds(interval, at_s), price, price, price, price))
            candle = kept[-1]
            candle.high, candle.low, candle.close = max(candle.high, price), min(candle.low, price), price
            candle.volume += volume
            candle.quote_volume += price * volume
            candle.trades += 1
        return closed

    def current(self, interval: str) -> Candle | None:
        kept = self._kept[interval]
        return kept[-1] if kept else None

    def between(self, interval: str, from_s: int, to_s: int) -> list[Candle]:
        """Candles that begin at `from_s` or later and at `to_s` or before, oldest first."""
        return [candle for candle in self._kept[interval] if from_s <= candle.start_s <= to_s]


def bounds(interval: str, at_s: int) -> tuple[int, int]:
    """First second of the candle that `at_s` falls into, and of the one after it."""
    if interval == "1month":
        start = datetime.fromtimestamp(at_s, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        year, month = divmod(start.year * 12 + start.month, 12)
        return int(start.timestamp()), int(start.replace(year=year, month=month + 1).timestamp())
    length_s = INTERVALS[interval]
    offset_s = _MONDAY_S if interval == "1w" else 0
    start_s = at_s - (at_s - offset_s) % length_s
    return start_s, start_s + length_s

"""Rates of funding at settlements that have been: by the rules of now, as far back as there are candles.

What a venue's feed said before its newest rate is kept nowhere, so there it is the last settlement alone.
"""

from itertools import takewhile

import msgspec

from exness.core.instruments import Asset
from exness.core.market_views import FundingOf
from exness.core.rates import SECOND_US, FundingSource, Rates
from exness.runtime.candles import Candle, CandleQuery, Interval
from exness.runtime.exchange import Exchange
from exness.web.fapi.market.bars import CANDLES_AT_ONCE

MOST_CANDLES = 20_000
"""Read for one answer."""


class Settled(msgspec.Struct, frozen=True):
    """One settlement: what longs paid (1e-8), when (microseconds), and the mark before it (scaled)."""

    rate: int
    at: int
    mark: int


async def settlements(
    exchange: Exchange, asset: Asset, start_us: int | None, end_us: int | None, limit: int
) -> list[Settled]:
    """Oldest first: with a start the `limit` oldest, without one the `limit` newest. Raises NotTaken when too many
    reads wait."""
    rates, now = exchange.rules.rates_of(asset), exchange.clock.now_us()
    interval = rates.funding_interval_s * SECOND_US
    if not interval:
        return []
    source = _source(rates)
    limit = max(1, min(limit, MOST_CANDLES * source.seconds // rates.funding_interval_s))
    oldest = await exchange.klines(CandleQuery(asset, source, first=0, limit=1))
    last = _before(rates, now if end_us is None else min(end_us, now))
    if not oldest or last is None:
        return []
    begins = (oldest[0].start + source.seconds) * SECOND_US
    first = last - (limit - 1) * interval if start_us is None else rates.next_settlement(start_us - 1)
    first = max(first or 0, rates.next_settlement(begins - 1) or 0)
    if rates.funding_rate is FundingSource.FEED:
        newest = _before(rates, now)
        first = max(first, newest or 0)
    times = list(takewhile(lambda at: at <= last, (first + number * interval for number in range(limit))))
    return await _priced(exchange, asset, source, [at for at in times if rates.weight(at)]) if times else []


async def _priced(exchange: Exchange, asset: Asset, source: Interval, times: list[int]) -> list[Settled]:
    rates, rules = exchange.rules.rates_of(asset), exchange.rules
    newest = exchange.look(FundingOf(asset)).newest
    settled, candles = [], await _candles(exchange, asset, source, times)
    number = 0
    for at in times:
        while number + 1 < len(candles) and (candles[number + 1].start + source.seconds) * SECOND_US <= at:
            number += 1
        if candles and candles[number].start * SECOND_US < at:
            rate = rules.funding_of(asset, at, newest)[0] * rates.weight(at)
            settled.append(Settled(rate, at, candles[number].close))
    return settled


async def _candles(exchange: Exchange, asset: Asset, source: Interval, times: list[int]) -> list[Candle]:
    """The one before the first of these times, and those up to the last."""
    if not times:
        return []
    first, end = times[0] // SECOND_US - source.seconds, times[-1] // SECOND_US
    found = await exchange.klines(CandleQuery(asset, source, end=first, limit=1))
    while first < end:
        more = await exchange.klines(CandleQuery(asset, source, first, end, CANDLES_AT_ONCE))
        found += more
        if len(more) < CANDLES_AT_ONCE:
            break
        first = more[-1].start + source.seconds
    return found


def _source(rates: Rates) -> Interval:
    """The longest candles that end at settlements; the shortest where none do."""
    ends = [
        each
        for each in Interval
        if rates.funding_interval_s % each.seconds == 0 and rates.funding_offset_s % each.seconds == 0
    ]
    return max(ends, key=lambda each: each.seconds, default=Interval.M1)


def _before(rates: Rates, at: int) -> int | None:
    """The last settlement that is not after a time."""
    following = rates.next_settlement(at)
    return None if following is None else following - rates.funding_interval_s * SECOND_US

"""Candles from before the start, from Backpack's REST klines: once, at the start, and only when asked to.

Promises: never more than so many candles of each asset and interval, none that has not ended, none whose figures
contradict one another, each marked as backfilled. What can't be fetched is said to the log and left out: no price and
no trade depends on it. They are the venue's own candles, of trades there, and not of our marks.
Source: https://docs.backpack.exchange, GET /api/v1/klines. Times are `YYYY-MM-DD HH:MM:SS`, UTC.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import aiohttp
import msgspec
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from exness.core.ceilings import STORED
from exness.core.instruments import VOLUME_DECIMALS
from exness.core.money import parse_saturated, parse_scaled
from exness.feeds.ohlc import read_ohlc
from exness.runtime.candles import Candle, Interval
from exness.runtime.listings import Listing
from exness.runtime.moments import parse_rfc3339

TIMEOUT_S = 15.0
ATTEMPTS = 4
MAX_ANSWER_BYTES = 1024 * 1024

_log = structlog.get_logger("exness.feeds.backfill")


class BackfillError(Exception):
    """The venue did not answer with candles. Another attempt may help."""


class _Kline(msgspec.Struct):
    """One candle as the venue sends it. A figure is missing where nothing was traded."""

    start: str
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    volume: str | None = None
    trades: str | int | None = None


class Span(NamedTuple):
    """Candles that begin at `first_s` or later and before `end_s`."""

    first_s: int
    end_s: int


_decode = msgspec.json.Decoder(list[_Kline]).decode


class Backfill:
    """Fetches `candles` of each interval for each instrument, one request after the other."""

    def __init__(
        self,
        url: str,
        instruments: Sequence[Listing],
        candles: int,
        *,
        wait_s: float = 1.0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`wait_s`: about how long before the second attempt; each further one waits longer."""
        self._url = f"{url.rstrip('/')}/api/v1/klines"
        self._instruments = list(instruments)
        self._candles = candles
        self._wait_s = wait_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.failed = 0
        """Answers that did not come after all attempts."""

    async def run(self, now_s: int, keep: Callable[[list[Candle]], None]) -> None:
        """Hand the candles that have ended by `now_s` to `keep`, interval by interval. Does not raise for the venue."""
        kept = 0
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            for instrument in self._instruments:
                for interval in Interval:
                    try:
                        candles = await self._fetch(session, instrument, interval, now_s)
                    except BackfillError as error:
                        self.failed += 1
                        _log.warning(
                            "backfill_failed", symbol=instrument.symbol, interval=interval.value, why=str(error)
                        )
                        continue
                    kept += len(candles)
                    keep(candles)
        _log.info("backfilled", candles=kept, failed=self.failed)

    async def _fetch(
        self, session: aiohttp.ClientSession, instrument: Listing, interval: Interval, now_s: int
    ) -> list[Candle]:
        end_s = now_s - now_s % interval.seconds
        span = Span(max(0, end_s - self._candles * interval.seconds), end_s)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(BackfillError),
            wait=wait_random_exponential(self._wait_s),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        return read_klines(
            await retrying(self._ask, session, instrument.symbol, interval, span), instrument, interval, span
        )

    async def _ask(self, session: aiohttp.ClientSession, symbol: str, interval: Interval, span: Span) -> list[_Kline]:
        query = {
            "symbol": symbol,
            "interval": interval.value,
            "startTime": str(span.first_s),
            "endTime": str(span.end_s - 1),
        }
        try:
            async with session.get(self._url, params=query, allow_redirects=False) as response:
                if response.status != 200:
                    raise BackfillError(f"it answered {response.status}")
                body = bytearray()
                async for part in response.content.iter_chunked(65_536):
                    body += part
                    if len(body) > MAX_ANSWER_BYTES:
                        raise BackfillError(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
                return _decode(bytes(body))
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError, ValueError) as error:
            raise BackfillError(f"{type(error).__name__} while it was asked") from error


def read_klines(rows: Sequence[_Kline], instrument: Listing, interval: Interval, span: Span) -> list[Candle]:
    """The candles of an answer within the span, each once. What is no candle is left out."""
    candles = {candle.start: candle for row in rows if (candle := _read(row, instrument, interval)) is not None}
    return [candles[start] for start in sorted(candles) if span.first_s <= start < span.end_s]


def _read(row: _Kline, instrument: Listing, interval: Interval) -> Candle | None:
    if row.open is None or row.high is None or row.low is None or row.close is None:
        return None
    try:
        start, rest_us = divmod(parse_rfc3339(row.start), 1_000_000)
        prices = read_ohlc((row.open, row.high, row.low, row.close), instrument.decimals)
        opened, high, low, closed = prices.rounded()
        volume = parse_saturated(row.volume or "0", VOLUME_DECIMALS, STORED)
        trades = parse_scaled(str(row.trades or 0), 0)
    except (ValueError, OverflowError):  # of which PriceError and AmountError are
        return None
    if start % interval.seconds or rest_us or low <= 0 or volume < 0 or trades < 0:
        return None
    return Candle(instrument.asset, interval, start, opened, high, low, closed, volume, trades, backfilled=True)

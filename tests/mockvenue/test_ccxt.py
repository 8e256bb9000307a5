"""The real ccxt, the version that is locked, against the venue: its public calls work on it unchanged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from exness.mockvenue.server import Venue
from tests.mockvenue.helpers import BTC, SOL, quote_all, running_venue, tick

MINUTE_US = 60_000_000
START_US = 1_769_850_900_000_000


class SetTime:
    def __init__(self) -> None:
        self.now = START_US

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def connected(venue: Venue, module: Any = ccxt.async_support) -> AsyncIterator[Any]:
    """A ccxt exchange whose addresses are the venue's, and nothing else changed."""
    exchange = module.backpack()
    urls = {"public": venue.url, "private": venue.url, "ws": {"public": venue.ws_url, "private": venue.ws_url}}
    exchange.urls["api"] = urls
    try:
        yield exchange
    finally:
        await exchange.close()


async def test_fetch_markets_finds_spot_and_perpetual_of_every_asset() -> None:
    async with running_venue() as venue, connected(venue) as exchange:
        markets = {market["symbol"]: market for market in await exchange.fetch_markets()}
    assert set(markets) == {f"{base}/USDC{ending}" for base in ("SOL", "ETH", "BTC") for ending in ("", ":USDC")}
    spot, perp = markets["BTC/USDC"], markets["BTC/USDC:USDC"]
    assert (spot["id"], spot["type"], spot["active"], spot["precision"]["price"]) == ("BTC_USDC", "spot", True, 0.0001)
    assert (perp["id"], perp["type"], perp["linear"], perp["contractSize"]) == ("BTC_USDC_PERP", "swap", True, 1)


async def test_fetch_ticker_gives_the_last_24_hours() -> None:
    async with running_venue() as venue, connected(venue) as exchange:
        for price in (200.0, 190.0, 220.0, 210.0):
            venue.take(tick(SOL, price, spread=0))
        ticker = await exchange.fetch_ticker("SOL/USDC")
        perp = await exchange.fetch_ticker("SOL/USDC:USDC")
    figures = [ticker[name] for name in ("open", "high", "low", "last", "baseVolume", "change")]
    assert figures == [200, 220, 190, 210, 6, 10]
    assert ticker["percentage"] in (5, 0.05)  # ccxt passed the venue's share on as it is before it made it a percentage
    assert perp["last"] == 210


async def test_fetch_ohlcv_gives_the_candles_it_kept() -> None:
    at = SetTime()
    async with running_venue(now_us=at) as venue, connected(venue) as exchange:
        for minute, prices in enumerate([(200.0, 205.0, 195.0, 201.0), (201.0, 202.0)]):
            at.now = START_US + minute * MINUTE_US
            for price in prices:
                venue.take(tick(SOL, price, spread=0))
        candles = await exchange.fetch_ohlcv("SOL/USDC", "1m", since=START_US // 1_000, limit=10)
        hours = await exchange.fetch_ohlcv("SOL/USDC", "1h", since=(START_US - 60 * MINUTE_US) // 1_000, limit=10)
    start_ms = START_US // 1_000
    assert candles == [[start_ms, 200, 205, 195, 201, 6], [start_ms + 60_000, 201, 202, 201, 202, 3]]
    assert [candle[1:] for candle in hours] == [[200, 205, 195, 202, 9]]


async def test_fetch_order_book_gives_a_sorted_uncrossed_book() -> None:
    async with running_venue() as venue, connected(venue) as exchange:
        quote_all(venue)
        book = await exchange.fetch_order_book("BTC/USDC", limit=20)
    bids, asks = ([level[0] for level in book[side]] for side in ("bids", "asks"))
    assert (bids[0], asks[0]) == (99_990, 100_010)
    assert len(bids) == len(asks) >= 20  # not every version hands its limit on
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert min(level[1] for side in ("bids", "asks") for level in book[side]) > 0


async def test_its_other_public_calls_work_as_well() -> None:
    async with running_venue() as venue, connected(venue) as exchange:
        quote_all(venue)
        tickers = await exchange.fetch_tickers()
        trades = await exchange.fetch_trades("SOL/USDC")
        funding = await exchange.fetch_funding_rate("SOL/USDC:USDC")
        status = await exchange.fetch_status()
    assert len(tickers) == 6
    assert [(trade["symbol"], trade["amount"]) for trade in trades] == [("SOL/USDC", 1.5)]
    assert (funding["markPrice"], funding["fundingRate"]) == (200, 0.0000125)
    assert status["status"] == "ok"


async def test_what_is_refused_is_an_error_of_the_kind_that_ccxt_knows() -> None:
    async with running_venue() as venue, connected(venue) as exchange:
        await exchange.load_markets()
        exchange.markets["SOL/USDC"]["id"] = "NONE_USDC"
        with pytest.raises(ccxt.BadSymbol, match="Invalid symbol"):
            await exchange.fetch_ticker("SOL/USDC")


@pytest.mark.parametrize("symbol", ["SOL/USDC", "SOL/USDC:USDC"])
async def test_watch_ticker_follows_the_price(symbol: str) -> None:
    async with running_venue() as venue, connected(venue, ccxt.pro) as exchange:
        quote_all(venue)
        assert (await _watched(exchange.watch_ticker(symbol)))["symbol"] == symbol
        venue.take(tick(SOL, 230.0, spread=0))
        assert (await _watched(exchange.watch_ticker(symbol)))["last"] == 230


async def test_watch_bids_asks_trades_and_candles_come_with_every_price() -> None:
    async with running_venue() as venue, connected(venue, ccxt.pro) as exchange:
        await exchange.load_markets()
        talking = asyncio.create_task(_talk(venue))
        quotes = await _watched(exchange.watch_bids_asks(["BTC/USDC"]))
        trades = await _watched(exchange.watch_trades("BTC/USDC"))
        candles = await _watched(exchange.watch_ohlcv("BTC/USDC", "1m"))
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking
    assert (quotes["BTC/USDC"]["bid"], quotes["BTC/USDC"]["ask"]) == (99_990, 100_010)
    assert trades[-1]["price"] in (99_990, 100_010)
    assert candles[-1][1] in (99_990, 100_010)


async def _watched(watching: Any) -> Any:
    return await asyncio.wait_for(watching, 10)


async def _talk(venue: Venue) -> None:
    while True:
        venue.take(tick(BTC, 100_000.0))
        await asyncio.sleep(0.01)

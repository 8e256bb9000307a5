"""The real ccxt on the face's market data, and ccxt.pro on its streams: what each reads is what the exchange says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt.pro
import pytest

from tests.binance.face import face
from tests.binance.test_ccxt import SYMBOL, urls_of
from tests.support.app import App
from tests.support.books import SOL


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[App, Any]]:
    async with face() as app:
        exchange = ccxt.pro.binanceusdm({"rateLimit": 1, "options": {"fetchCurrencies": False}})
        ws = app.url.replace("http", "ws") + "/ws"
        exchange.urls["api"] = exchange.urls["api"] | urls_of(app.url)
        exchange.urls["api"]["ws"] = {"linear": ws, "future": ws}
        try:
            await exchange.load_markets()
            yield app, exchange
        finally:
            await exchange.close()


async def test_every_fetch_of_market_data_is_understood() -> None:
    async with watching() as (app, exchange):
        await app.quote(SOL, "201", "203")
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert (ticker["open"], ticker["high"], ticker["last"]) == (200, 202, 202)
        assert set(await exchange.fetch_tickers()) == set(exchange.markets)
        both = (await exchange.fetch_bids_asks([SYMBOL]))[SYMBOL]
        assert (both["bid"], both["ask"]) == (201, 203)
        assert (await exchange.fetch_last_prices([SYMBOL]))[SYMBOL]["price"] == 202
        assert (await exchange.fetch_mark_price(SYMBOL))["markPrice"] == 202
        book = await exchange.fetch_order_book(SYMBOL, 20)
        assert (book["bids"][0][0], book["asks"][0][0], len(book["bids"])) == (201, 203, 20)
        for timeframe in exchange.timeframes:
            if timeframe != "1s":  # of spot alone
                ((_, *prices, volume),) = await exchange.fetch_ohlcv(SYMBOL, timeframe)
                assert (prices, volume) == ([200, 202, 200, 202], 0.002), timeframe
        ((_, *prices, _),) = await exchange.fetch_mark_ohlcv(SYMBOL)
        assert prices == [200, 202, 200, 202]
        assert [each["price"] for each in await exchange.fetch_trades(SYMBOL)] == [200, 202]
        assert (await exchange.fetch_funding_rate(SYMBOL))["fundingRate"] == 0
        assert set(await exchange.fetch_funding_rates()) == set(exchange.markets)
        assert await exchange.fetch_funding_rate_history(SYMBOL) == []
        assert (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"] == 0
        assert (await exchange.fetch_status())["status"] == "ok"


@pytest.mark.slow
async def test_every_watch_of_market_data_is_told() -> None:
    async with watching() as (app, exchange):
        moving = asyncio.create_task(_move(app))
        try:
            async with asyncio.timeout(60):
                assert (await exchange.watch_ticker(SYMBOL))["last"]
                assert (await exchange.watch_tickers([SYMBOL]))[SYMBOL]["last"]
                assert (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
                assert (await exchange.watch_trades(SYMBOL))[-1]["price"]
                assert (await exchange.watch_ohlcv(SYMBOL, "1m"))[-1][4]
                assert (await exchange.watch_mark_price(SYMBOL))["markPrice"]
                book = await exchange.watch_order_book(SYMBOL)
                for _ in range(9):  # each holds the chain against what came before
                    book = await exchange.watch_order_book(SYMBOL)
                assert len(book["bids"]) == len(book["asks"]) == 1000
                moving.cancel()
                await asyncio.gather(moving, return_exceptions=True)
                await app.quote(SOL, "222.125", "222.5")
                while (book["bids"][0][0], book["asks"][0][0]) != (222.125, 222.5):
                    book = await exchange.watch_order_book(SYMBOL)
                expected = await exchange.fetch_order_book(SYMBOL, 1000)
                assert (list(book["bids"]), list(book["asks"])) == (expected["bids"], expected["asks"])
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)


async def _move(app: App) -> None:
    number = 0
    while True:
        number += 1
        await app.quote(SOL, f"{200 + number % 7}.{number % 10}", f"{208 + number % 3}")
        await asyncio.sleep(0.02)

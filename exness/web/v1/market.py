"""What anybody may see: assets, prices and candles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web

from exness.core.views import AllPrices, PriceOf
from exness.runtime.candles import CandleQuery
from exness.web.http.request import charge_rows
from exness.web.http.response import JsonResponse, answer
from exness.web.services import services_of
from exness.web.v1.export import send_csv, wants_csv
from exness.web.v1.format import iso, leverage_out
from exness.web.v1.models import (
    KlineRow,
    SupportedAsset,
    SupportedAssets,
    TickersAnswer,
    TimeAnswer,
    kline_row,
    price_answer,
    ticker_row,
)
from exness.web.v1.parse import format_asked, klines_query, of_asset
from exness.web.v1.requests import instrument_in_path

ROWS_AT_ONCE = 100
"""Candles written as text, 8 us each, before the loop gets a turn: 1000 at once would hold it for 8 ms."""


async def supported_assets(request: web.Request) -> web.StreamResponse:
    """GET /supportedAssets."""
    assets = [
        SupportedAsset(
            symbol=listing.asset,
            name=listing.name,
            decimals=listing.decimals,
            image_url=listing.image_url,
            max_leverage=leverage_out(listing.max_leverage),
        )
        for listing in services_of(request).listings.values()
    ]
    return answer(SupportedAssets(assets))


async def time(request: web.Request) -> web.StreamResponse:
    """GET /time."""
    services = services_of(request)
    return answer(TimeAnswer(iso(services.exchange.clock.now_us()), iso(services.wall.wall_us())))


async def prices(request: web.Request) -> web.StreamResponse:
    """GET /prices: every asset's, by asset."""
    services = services_of(request)
    prices = await services.exchange.see(AllPrices())
    return JsonResponse(services.price_cache.body(prices, services.exchange.rules))


async def price(request: web.Request) -> web.StreamResponse:
    """GET /prices/{asset}."""
    exchange = services_of(request).exchange
    asset = instrument_in_path(request).asset
    seen = await exchange.see(PriceOf(asset))
    return answer(price_answer(asset, seen.quote, exchange.rules))


async def ticker(request: web.Request) -> web.StreamResponse:
    """GET /ticker."""
    services = services_of(request)
    rules = services.exchange.rules
    asset = of_asset(request.query, rules)
    rows = []
    for each in rules.instruments if asset is None else [asset]:
        day = await services.days.of(each)
        if day is not None:
            rows.append(ticker_row(each, day, rules.instruments[each].decimals))
    return answer(TickersAnswer(True, rows))


async def klines(request: web.Request) -> web.StreamResponse:
    """GET /klines."""
    exchange = services_of(request).exchange
    query = klines_query(request.query, exchange.rules)
    charge_rows(request, query.limit)
    decimals = exchange.rules.instruments[query.asset].decimals
    if wants_csv(request, format_asked(request.query)):
        return await _export(request, query, decimals)
    rows: list[KlineRow] = []
    for candle in await exchange.klines(query):
        rows.append(kline_row(candle, decimals))
        if len(rows) % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return answer(rows)


async def _export(request: web.Request, query: CandleQuery, decimals: int) -> web.StreamResponse:
    async def page() -> AsyncIterator[list[Callable[[], KlineRow]]]:
        candles = await services_of(request).exchange.klines(query)
        yield [partial(kline_row, candle, decimals) for candle in candles]

    return await send_csv(request, f"{query.asset}-{query.interval.value}", KlineRow, page())

"""GET rows of public market data. Of an asset that has no price yet lists say nothing; asked for by name it is -1001,
which clients try again."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from exness.core.market_views import FundingOf, OpenInterestOf
from exness.core.prices import Price
from exness.core.rates import RATE_UNIT
from exness.core.views import AllPrices
from exness.runtime.candles import CandleQuery, Interval
from exness.runtime.day import Bar, Day, Days
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.market.bars import BarQuery, read_bars
from exness.web.fapi.market.books import Books
from exness.web.fapi.market.funding_history import settlements
from exness.web.fapi.market.intervals import KlineInterval
from exness.web.fapi.market.tape import MINUTE_S, Print, first_and_last, in_range, minute_of, prints_of
from exness.web.fapi.market.texts import KlineRow, Texts, percent, premium_kline, rate, value
from exness.web.fapi.symbols import market_of, markets_asked
from exness.web.http.endpoint import GET
from exness.web.services import Market

DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
MOST_KLINES = 1500
MOST_ROWS = 1000
ROWS_AT_ONCE = 100
"""Written as text before the loop gets a turn."""
FUNDING_BOUND = RATE_UNIT // 50
"""A rate is said to be between -2 % and 2 %."""


class MarketData:
    """What is remembered of all assets, for handlers and streams."""

    def __init__(self, days: Days, start_ms: int) -> None:
        """`start_ms` is the wall's time, at the start of the process."""
        self.days = days
        self.books = Books(start_ms)


MARKET_DATA = web.AppKey("market data", MarketData)


async def _priced(ask: Ask) -> list[tuple[Market, Price]]:
    """The markets asked for that have a price. Raises FapiError(-1001) for a named one that has none."""
    quotes = (await ask.exchange.see(AllPrices())).quotes
    markets = markets_asked(ask)
    found = [(market, price) for market in markets if (price := quotes[market.asset].price) is not None]
    if not found and ask.params.text("symbol") is not None:
        raise FapiError(Code.DISCONNECTED)
    return found


def _one_or_all(ask: Ask, rows: list[Any]) -> Any:
    return rows[0] if ask.params.text("symbol") is not None else rows


# --- prices -------------------------------------------------------------------------------------------------------


async def price(ask: Ask) -> Any:
    """GET ticker/price."""
    rows = [
        {"symbol": market.symbol, "price": Texts(market.instrument).price(price.mark), "time": price.at // 1000}
        for market, price in await _priced(ask)
    ]
    return _one_or_all(ask, rows)


async def book_ticker(ask: Ask) -> Any:
    rows = []
    for market, price in await _priced(ask):
        texts = Texts(market.instrument)
        rows.append(
            {
                "symbol": market.symbol,
                "bidPrice": texts.price(price.bid),
                "bidQty": texts.waiting(price.bid),
                "askPrice": texts.price(price.ask),
                "askQty": texts.waiting(price.ask),
                "time": price.at // 1000,
            }
        )
    return _one_or_all(ask, rows)


async def day_ticker(ask: Ask) -> Any:
    """GET ticker/24hr."""
    days, rows = ask.request.app[MARKET_DATA].days, []
    for market in markets_asked(ask):
        day = await days.of(market.asset)
        if day is not None:
            rows.append(_day_row(market, day))
    if not rows and ask.params.text("symbol") is not None:
        raise FapiError(Code.DISCONNECTED)
    return _one_or_all(ask, rows)


def _day_row(market: Market, day: Day) -> dict[str, Any]:
    texts, bar, (first_id, last_id) = Texts(market.instrument), day.bar, first_and_last(day)
    return {
        "symbol": market.symbol,
        "priceChange": texts.price(day.change),
        "priceChangePercent": percent(day.change_percent),
        "weightedAvgPrice": texts.price(day.average(market.instrument.decimals)),
        "lastPrice": texts.price(bar.close),
        "lastQty": texts.volume(day.last_volume),
        "openPrice": texts.price(bar.open),
        "highPrice": texts.price(bar.high),
        "lowPrice": texts.price(bar.low),
        "volume": texts.volume(bar.volume),
        "quoteVolume": value(bar.value),
        "openTime": bar.start * 1000,
        "closeTime": day.at // 1000,
        "firstId": first_id,
        "lastId": last_id,
        "count": bar.trades,
    }


async def depth(ask: Ask) -> Any:
    market = market_of(ask)
    limit = ask.params.integer("limit", -(2**63))
    levels = 500 if limit is None else limit
    if levels not in DEPTHS:
        raise FapiError(Code.BAD_DEPTH_LIMIT, limit=levels)
    ((_, price),) = await _priced(ask)
    book = ask.request.app[MARKET_DATA].books.of(market.asset)
    ladder, texts = book.observe(price), Texts(market.instrument)
    assert ladder is not None, "there is a price"
    return {
        "lastUpdateId": book.snapshot,
        "E": ask.now_ms,
        "T": price.at // 1000,
        "bids": texts.bids(ladder, levels),
        "asks": texts.asks(ladder, levels),
    }


# --- klines -------------------------------------------------------------------------------------------------------


async def klines(ask: Ask) -> Any:
    market = market_of(ask)
    return await _klines(ask, market, Texts(market.instrument).kline)


async def mark_klines(ask: Ask) -> Any:
    market = market_of(ask)
    return await _klines(ask, market, Texts(market.instrument).mark_kline)


async def premium_klines(ask: Ask) -> Any:
    return await _klines(ask, market_of(ask), premium_kline)


async def index_klines(ask: Ask) -> Any:
    market = market_of(ask, "pair")
    return await _klines(ask, market, Texts(market.instrument).mark_kline)


async def continuous_klines(ask: Ask) -> Any:
    market = market_of(ask, "pair")
    ask.params.need_word("contractType", ("PERPETUAL",))
    return await _klines(ask, market, Texts(market.instrument).kline)


async def _klines(ask: Ask, market: Market, row: Callable[[Bar], KlineRow]) -> list[KlineRow]:
    params = ask.params
    interval = params.need_word("interval", KlineInterval, Code.BAD_INTERVAL)
    start, end = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, MOST_KLINES)
    first = None if start is None else -(-start // 1000)
    query = BarQuery(market.asset, interval, first, None if end is None else end // 1000, limit)
    rows = []
    for bar in await read_bars(ask.exchange, query):
        rows.append(row(bar))
        if len(rows) % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return rows


# --- trades -------------------------------------------------------------------------------------------------------


async def agg_trades(ask: Ask) -> Any:
    market, params = market_of(ask), ask.params
    start, end = params.integer("startTime"), params.integer("endTime")
    found = await _tape(ask, market, params.integer("fromId"), start, end, params.limit(500, MOST_ROWS))
    texts = Texts(market.instrument)
    return [
        {
            "a": each.id,
            "p": texts.price(each.price),
            "q": texts.volume(each.volume),
            "nq": texts.volume(each.volume),
            "f": each.id,
            "l": each.id,
            "T": each.at // 1000,
            "m": each.buyer_made,
        }
        for each in found
    ]


async def trades(ask: Ask) -> Any:
    market = market_of(ask)
    return _trade_rows(market, await _tape(ask, market, None, None, None, ask.params.limit(500, MOST_ROWS)))


async def historical_trades(ask: Ask) -> Any:
    market, limit = market_of(ask), ask.params.limit(100, MOST_ROWS)
    return _trade_rows(market, await _tape(ask, market, ask.params.integer("fromId"), None, None, limit))


def _trade_rows(market: Market, prints: Iterable[Print]) -> list[dict[str, Any]]:
    texts = Texts(market.instrument)
    return [
        {
            "id": each.id,
            "price": texts.price(each.price),
            "qty": texts.volume(each.volume),
            "quoteQty": texts.value(each.volume, each.price),
            "time": each.at // 1000,
            "isBuyerMaker": each.buyer_made,
        }
        for each in prints
    ]


async def _tape(
    ask: Ask, market: Market, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
) -> list[Print]:
    """Oldest first: from an id or a time on the `limit` oldest, else the `limit` newest. A minute has one or more, so
    no more minutes are read than trades are told."""
    exchange, first = ask.exchange, None
    if from_id is not None:
        first = minute_of(from_id)
    elif start_ms is not None:
        first = start_ms // 1000 // MINUTE_S * MINUTE_S
    end = None if end_ms is None else min(end_ms // 1000 + 1, 2**62)
    minutes = limit if first is None else limit + 1  # of the first one, all may lie before what is asked for
    candles = await exchange.klines(CandleQuery(market.asset, Interval.M1, first, end, minutes))
    growing = exchange.candle(market.asset, Interval.M1)
    quote = (await exchange.see(AllPrices())).quotes[market.asset].price
    prints: list[Print] = []
    for number, candle in enumerate(candles, 1):
        is_growing = growing is not None and candle.start == growing.start
        prints += prints_of(candle, market.instrument, quote.at if is_growing and quote is not None else None)
        if number % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    end_us = None if end_ms is None else end_ms * 1000 + 999
    found = list(in_range(prints, from_id, None if start_ms is None else start_ms * 1000, end_us))
    return found[-limit:] if first is None else found[:limit]


# --- funding ------------------------------------------------------------------------------------------------------


async def premium_index(ask: Ask) -> Any:
    rows = []
    for market, price in await _priced(ask):
        funding = await ask.exchange.see(FundingOf(market.asset))
        mark = Texts(market.instrument).price(price.mark)
        rows.append(
            {
                "symbol": market.symbol,
                "markPrice": mark,
                "indexPrice": mark,
                "estimatedSettlePrice": mark,
                "lastFundingRate": rate(funding.rate),
                "interestRate": rate(0),
                "nextFundingTime": (funding.next_at or 0) // 1000,
                "time": ask.now_ms,
            }
        )
    return _one_or_all(ask, rows)


async def funding_rates(ask: Ask) -> Any:
    """GET fundingRate, always a list."""
    params = ask.params
    start, end = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(100, MOST_ROWS)
    start_us = None if start is None else min(start, 2**52) * 1000
    end_us = None if end is None else min(end, 2**52) * 1000 + 999
    rows: list[dict[str, Any]] = []
    for market in markets_asked(ask):
        for each in await settlements(ask.exchange, market.asset, start_us, end_us, limit):
            rows.append(
                {
                    "symbol": market.symbol,
                    "fundingRate": rate(each.rate),
                    "fundingTime": each.at // 1000,
                    "markPrice": Texts(market.instrument).price(each.mark),
                }
            )
    rows.sort(key=lambda row: row["fundingTime"])
    return rows[:limit] if start is not None else rows[-limit:]


async def funding_info(ask: Ask) -> Any:
    rows = []
    for market in ask.fapi.markets.values():
        interval_s = ask.exchange.rules.rates_of(market.asset).funding_interval_s
        if interval_s:
            rows.append(
                {
                    "symbol": market.symbol,
                    "adjustedFundingRateCap": rate(FUNDING_BOUND),
                    "adjustedFundingRateFloor": rate(-FUNDING_BOUND),
                    "fundingIntervalHours": max(1, interval_s // 3600),
                    "disclaimer": False,
                }
            )
    return rows


async def open_interest(ask: Ask) -> Any:
    market = market_of(ask)
    found = await ask.exchange.see(OpenInterestOf(market.asset))
    quantity = Texts(market.instrument).quantity(found.quantity)
    return {"symbol": market.symbol, "openInterest": quantity, "time": ask.now_ms}


V1 = "/fapi/v1"
_ANYBODY, _KEY = Security.NONE, Security.KEY
ROWS = (
    Row(
        GET, f"{V1}/ticker/24hr", 1, _ANYBODY, day_ticker, "What happened within 24 hours",
        answers.DAYS, "symbol?", fast=False,
    ),
    Row(GET, f"{V1}/ticker/price", 1, _ANYBODY, price, "Prices", answers.PRICES, "symbol?"),
    Row(GET, "/fapi/v2/ticker/price", 1, _ANYBODY, price, "Prices", answers.PRICES, "symbol?"),
    Row(
        GET, f"{V1}/ticker/bookTicker", 2, _ANYBODY, book_ticker, "Best bids and asks",
        answers.BOOK_TICKERS, "symbol?",
    ),
    Row(
        GET, f"{V1}/depth", 10, _ANYBODY, depth, "A book, made up around bid and ask",
        answers.DEPTH, "symbol limit:depth_limit?", fast=False,
    ),
    Row(
        GET, f"{V1}/klines", 5, _ANYBODY, klines, "Candles",
        answers.KLINES, "symbol interval startTime? endTime? limit?",
    ),
    Row(
        GET, f"{V1}/markPriceKlines", 5, _ANYBODY, mark_klines, "Candles of the mark",
        answers.KLINES, "symbol interval startTime? endTime? limit?",
    ),
    Row(
        GET, f"{V1}/indexPriceKlines", 5, _ANYBODY, index_klines, "The same",
        answers.KLINES, "pair interval startTime? endTime? limit?",
    ),
    Row(
        GET, f"{V1}/premiumIndexKlines", 5, _ANYBODY, premium_klines, "Candles of the premium, which is none",
        answers.KLINES, "symbol interval startTime? endTime? limit?",
    ),
    Row(
        GET, f"{V1}/continuousKlines", 5, _ANYBODY, continuous_klines, "Candles of a pair",
        answers.KLINES, "pair contractType interval startTime? endTime? limit?",
    ),
    Row(
        GET, f"{V1}/aggTrades", 20, _ANYBODY, agg_trades, "Trades, of the marks",
        answers.AGG_TRADES, "symbol fromId? startTime? endTime? limit?",
    ),
    Row(GET, f"{V1}/trades", 5, _ANYBODY, trades, "The newest trades", answers.TRADES, "symbol limit?"),
    Row(
        GET, f"{V1}/historicalTrades", 20, _KEY, historical_trades, "Trades from an id on",
        answers.TRADES, "symbol fromId? limit?",
    ),
    Row(
        GET, f"{V1}/premiumIndex", 1, _ANYBODY, premium_index, "Mark, and funding to come",
        answers.PREMIUMS, "symbol?",
    ),
    Row(
        GET, f"{V1}/fundingRate", 1, _ANYBODY, funding_rates, "Funding that has been",
        answers.FUNDING_RATES, "symbol? startTime? endTime? limit?",
    ),
    Row(GET, f"{V1}/fundingInfo", 1, _ANYBODY, funding_info, "How often funding is paid", answers.FUNDING_INFO),
    Row(GET, f"{V1}/openInterest", 1, _ANYBODY, open_interest, "How much is open", answers.OPEN_INTEREST, "symbol"),
)  # fmt: skip

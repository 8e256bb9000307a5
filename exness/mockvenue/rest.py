"""The venue's REST answers and errors, in Backpack's words."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from exness.mockvenue.candles import INTERVALS
from exness.mockvenue.market import CURRENCY, LEVELS, PERP, SPOT, Json, Market

encode = msgspec.json.Encoder().encode


class RestError(Exception):
    """An error answer in the venue's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class Rest:
    """Answers of one venue. `markets` are by symbol, each market under both of its own."""

    def __init__(self, markets: Mapping[str, Market], now_us: Callable[[], int]) -> None:
        self._by_symbol = markets
        self._now_us = now_us

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Every endpoint. Text is answered as it is, anything else as JSON."""
        answers: dict[str, Callable[[web.Request], Any]] = {
            "ping": lambda request: "pong",
            "time": lambda request: str(self._now_us() // 1_000),
            "status": lambda request: {"status": "Ok", "message": None},
            "markets": self._listings,
            "market": lambda request: self._one(request).listing(request.query["symbol"]),
            "assets": lambda request: self._assets(),
            "securities": lambda request: [],
            "ticker": lambda request: self._priced(request).ticker(request.query["symbol"], self._now_us()),
            "tickers": lambda request: self._tickers(),
            "depth": self._depth,
            "klines": self._klines,
            "trades": self._trades,
            "markPrices": self._mark_prices,
        }
        for path, answer in answers.items():
            router.add_get(f"/api/v1/{path}", _handler(answer))

    def _one(self, request: web.Request) -> Market:
        symbol = request.query.get("symbol")
        if symbol is None:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "symbol is missing")
        market = self._by_symbol.get(symbol)
        if market is None:
            raise RestError(400, "INVALID_SYMBOL", "Invalid symbol")
        return market

    def _priced(self, request: web.Request) -> Market:
        market = self._one(request)
        if market.tick is None:
            raise RestError(404, "RESOURCE_NOT_FOUND", "There has been no price yet")
        return market

    def _listings(self, request: web.Request) -> list[Json]:
        wanted = request.query.getall("marketType", []) or [SPOT, PERP]
        rows = [market.listing(symbol) for symbol, market in self._by_symbol.items()]
        return [row for row in rows if row["marketType"] in wanted]

    def _assets(self) -> list[Json]:
        """Names only: nothing can be deposited or withdrawn here."""
        listings = dict.fromkeys(market.instrument for market in self._by_symbol.values())
        names = [(str(each.asset), each.name) for each in listings]
        return [
            {"symbol": symbol, "displayName": name, "coingeckoId": None, "tokens": []}
            for symbol, name in [*names, (CURRENCY, "USD Coin")]
        ]

    def _tickers(self) -> list[Json]:
        now_us = self._now_us()
        return [market.ticker(symbol, now_us) for symbol, market in self._by_symbol.items() if market.tick is not None]

    def _depth(self, request: web.Request) -> Json:
        limit = _number(request, "limit", 100)
        if limit not in (5, 10, 20, 50, 100, 500, 1_000):
            raise RestError(400, "INVALID_CLIENT_REQUEST", "limit must be one of 5, 10, 20, 50, 100, 500, 1000")
        return self._priced(request).depth(min(limit, LEVELS), self._now_us())

    def _klines(self, request: web.Request) -> list[Json]:
        market, interval = self._one(request), request.query.get("interval", "")
        if interval not in INTERVALS:
            raise RestError(400, "INVALID_CLIENT_REQUEST", f"interval must be one of {', '.join(INTERVALS)}")
        if "startTime" not in request.query:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "startTime is missing")
        if request.query.get("priceType", "Last") not in ("Last", "Index", "Mark"):
            raise RestError(400, "INVALID_CLIENT_REQUEST", "priceType must be one of Last, Index, Mark")
        to_s = _number(request, "endTime", self._now_us() // 1_000_000)
        return market.klines(interval, _number(request, "startTime", 0), to_s)

    def _trades(self, request: web.Request) -> list[Json]:
        """Newest first."""
        limit = _number(request, "limit", 100)
        if not 1 <= limit <= 1_000:
            raise RestError(400, "INVALID_CLIENT_REQUEST", "limit must be 1 to 1000")
        return list(reversed(self._one(request).trades))[:limit]

    def _mark_prices(self, request: web.Request) -> list[Json]:
        """A list, for one symbol too."""
        symbols = self._by_symbol if "symbol" not in request.query else {request.query["symbol"]: self._one(request)}
        now_us = self._now_us()
        return [
            market.mark_prices(symbol, now_us)
            for symbol, market in symbols.items()
            if market.symbols[symbol] == PERP and market.tick is not None
        ]


def _handler(answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        answered = answer(request)
        return web.Response(text=answered) if isinstance(answered, str) else _json(answered)

    return handle


@web.middleware
async def in_its_words(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors as the venue says them."""
    try:
        response: web.StreamResponse = await handler(request)
    except RestError as error:
        return _json(error.body, error.status)
    except web.HTTPException as error:
        code = "RESOURCE_NOT_FOUND" if error.status == 404 else "INVALID_CLIENT_REQUEST"
        return _json({"code": code, "message": error.reason}, error.status)
    return response


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(body), status=status, content_type="application/json")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise RestError(400, "INVALID_CLIENT_REQUEST", f"{name} must be a whole number")
    return int(text)

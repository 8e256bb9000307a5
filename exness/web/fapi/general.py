"""ping, time, exchangeInfo, and the few addresses of Binance's other products that clients of futures ask."""

from typing import Any

from exness.core.instruments import LEVERAGE_UNIT
from exness.core.money import USDC_DECIMALS
from exness.web.fapi import answers
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.params import trimmed
from exness.web.fapi.symbols import CAP, FLOOR, MULTIPLIER_DECIMALS, max_price, max_quantity
from exness.web.http.endpoint import GET
from exness.web.services import Market

DELIVERY_MS = 4_133_404_800_000
"""A perpetual's: the year 2100, as Binance has it."""
ONBOARD_MS = 1_569_398_400_000
ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")
_MINUTE_S = 60


async def ping(ask: Ask) -> Any:
    return {}


async def server_time(ask: Ask) -> Any:
    return {"serverTime": ask.wall_ms}


async def nothing(ask: Ask) -> Any:
    """GET /sapi/v1/capital/config/getall, /sapi/v1/margin/allPairs, /sapi/v1/margin/isolated/allPairs."""
    return []


async def system_status(ask: Ask) -> Any:
    return {"status": 0, "msg": "normal"}


async def no_symbols(ask: Ask) -> Any:
    """GET /api/v3/exchangeInfo, /dapi/v1/exchangeInfo, /sapi/v1/equity/market/exchangeInfo: there is no spot, no coin
    margin and no stock."""
    return {"timezone": "UTC", "serverTime": ask.wall_ms, "rateLimits": [], "exchangeFilters": [], "symbols": []}


async def exchange_info(ask: Ask) -> Any:
    rules = ask.exchange.rules
    asset = {"asset": ask.fapi.quote, "marginAvailable": True, "autoAssetExchange": "0"}
    return {
        "timezone": "UTC",
        "serverTime": ask.wall_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": rate_limits(ask),
        "exchangeFilters": [],
        "assets": [asset],
        "symbols": [
            _symbol(ask.fapi.quote, market, rules.max_open_orders_per_account, rules.max_exits_per_trade)
            for market in ask.fapi.markets.values()
        ],
    }


def rate_limits(ask: Ask) -> list[dict[str, Any]]:
    """As they are configured, also where they are switched off."""
    weights, orders = ask.services.limits.of_the_face
    kinds = ((weights, "REQUEST_WEIGHT"), (orders, "ORDERS"))
    return [_limit(kind, rate.amount, rate.seconds) for rates, kind in kinds for rate in rates]


def _limit(kind: str, amount: int, seconds: int) -> dict[str, Any]:
    if seconds % _MINUTE_S == 0:
        return {"rateLimitType": kind, "interval": "MINUTE", "intervalNum": seconds // _MINUTE_S, "limit": amount}
    return {"rateLimitType": kind, "interval": "SECOND", "intervalNum": seconds, "limit": amount}


def _symbol(quote: str, market: Market, most_orders: int, most_algo: int) -> dict[str, Any]:
    instrument = market.instrument
    percent = trimmed(10**6 * 100 * LEVERAGE_UNIT // instrument.max_leverage, 6)
    return {
        "symbol": market.symbol,
        "pair": market.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "0.0000",
        "requiredMarginPercent": percent,
        "baseAsset": instrument.asset,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": instrument.decimals,
        "quantityPrecision": instrument.quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.000000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": filters_of(market, most_orders, most_algo),
        "orderTypes": ORDER_TYPES,
        "timeInForce": TIMES_IN_FORCE,
    }


def filters_of(market: Market, most_orders: int, most_algo: int) -> list[dict[str, Any]]:
    decimals, places = market.instrument.decimals, market.instrument.quantity_places
    tick, step = trimmed(market.tick, decimals), trimmed(market.step, places)
    lot = {"minQty": step, "maxQty": trimmed(max_quantity(market), places), "stepSize": step}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": trimmed(max_price(market), decimals),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "MARKET_LOT_SIZE", **lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": most_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": most_algo},
        {"filterType": "MIN_NOTIONAL", "notional": trimmed(market.least_notional, USDC_DECIMALS)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": trimmed(CAP, MULTIPLIER_DECIMALS),
            "multiplierDown": trimmed(FLOOR, MULTIPLIER_DECIMALS),
            "multiplierDecimal": str(MULTIPLIER_DECIMALS),
        },
    ]


_ANYBODY, _SIGNED = Security.NONE, Security.SIGNED
ROWS = (
    Row(GET, "/fapi/v1/ping", 1, _ANYBODY, ping, "Whether there is an answer", answers.NO_FIELDS),
    Row(GET, "/fapi/v1/time", 1, _ANYBODY, server_time, "The machine's time", answers.TIME),
    Row(
        GET, "/fapi/v1/exchangeInfo", 1, _ANYBODY, exchange_info, "Symbols, their filters, limits",
        answers.EXCHANGE_INFO,
    ),
    Row(GET, "/api/v3/ping", 1, _ANYBODY, ping, "Whether there is an answer", answers.NO_FIELDS),
    Row(GET, "/api/v3/time", 1, _ANYBODY, server_time, "The machine's time", answers.TIME),
    Row(GET, "/api/v3/exchangeInfo", 1, _ANYBODY, no_symbols, "There is no spot", answers.NO_SYMBOLS),
    Row(
        GET, "/dapi/v1/exchangeInfo", 1, _ANYBODY, no_symbols, "There are no contracts with coin margin",
        answers.NO_SYMBOLS,
    ),
    Row(GET, "/sapi/v1/system/status", 1, _ANYBODY, system_status, "Whether the exchange is up", answers.STATUS),
    Row(GET, "/sapi/v1/capital/config/getall", 1, _SIGNED, nothing, "There are no coins", answers.NO_ROWS),
    Row(GET, "/sapi/v1/margin/allPairs", 1, _SIGNED, nothing, "There is no margin trading of spot", answers.NO_ROWS),
    Row(
        GET, "/sapi/v1/margin/isolated/allPairs", 1, _SIGNED, nothing, "There is no margin trading of spot",
        answers.NO_ROWS,
    ),
    Row(GET, "/sapi/v1/equity/market/exchangeInfo", 1, _ANYBODY, no_symbols, "There are no stocks", answers.NO_SYMBOLS),
)  # fmt: skip

"""Symbols, and their figures: from parameters to the exact integers of the core, and back."""

from exness.core.events import TradeClosed
from exness.core.instruments import Side
from exness.core.money import USDC_DECIMALS, format_scaled
from exness.core.prices import Price
from exness.core.rules import PRICE, SIZE
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.frame import Ask
from exness.web.fapi.params import Params, missing, trimmed
from exness.web.services import Fapi, Market

CAP, FLOOR, MULTIPLIER_DECIMALS = 50_000, 2_000, 4
"""PERCENT_PRICE: how far a limit may be from the mark, as shares of it."""
MOST = 10**12
"""No price and no quantity is larger: nautilus_trader knows no symbol whose filters go beyond 17 * 10**12."""


def market_of(ask: Ask, name: str = "symbol") -> Market:
    """That of a symbol which must be given."""
    return market_named(ask.fapi, ask.params.need(name))


def market_named(fapi: Fapi, symbol: str) -> Market:
    found = fapi.markets.get(symbol.upper())
    if found is None:
        raise FapiError(Code.BAD_SYMBOL)
    return found


def market_if_named(ask: Ask, name: str = "symbol") -> Market | None:
    return None if ask.params.text(name) is None else market_of(ask, name)


def markets_asked(ask: Ask, name: str = "symbol") -> list[Market]:
    """The one that is named, else all."""
    named = market_if_named(ask, name)
    return list(ask.fapi.markets.values()) if named is None else [named]


# --- figures --------------------------------------------------------------------------------------------------------


def price_text(market: Market, price: int | None) -> str:
    """0 for none."""
    return trimmed(price or 0, market.instrument.decimals)


def quantity_text(market: Market, quantity: int) -> str:
    return format_scaled(quantity, market.instrument.quantity_places)


def money_text(micro: int) -> str:
    """With the eight decimals that Binance's money has."""
    return format_scaled(micro * 100, USDC_DECIMALS + 2)


def notional_of(market: Market, quantity: int, price: int) -> int:
    """In micro-USDC, rounded up."""
    decimals = market.instrument.decimals + market.instrument.quantity_places - USDC_DECIMALS
    return -(-quantity * price // int(10**decimals))


def closed_at(market: Market, event: TradeClosed) -> int:
    """The price at which it was closed. Nobody loses more than the margin: a liquidation beyond is told, as at Binance,
    at the price where that was gone, so that who reckons with price and quantity gets what was booked."""
    if not event.shortfall or not event.filled:
        return event.price
    places = int(10 ** (market.instrument.decimals + market.instrument.quantity_places - USDC_DECIMALS))
    beyond = event.shortfall * places // event.filled
    return event.price + (beyond if event.net is Side.LONG else -beyond)


def price_asked(market: Market, params: Params, name: str = "price") -> int | None:
    """In the asset's units, on a tick. Raises FapiError as the filters of the symbol say."""
    price = params.number(name, market.instrument.decimals, Code.PRICE_ABOVE_MAX)
    if price is None:
        return None
    if price <= 0:
        raise FapiError(Code.PRICE_BELOW_ZERO)
    if price > max_price(market):
        raise FapiError(Code.PRICE_ABOVE_MAX)
    if price < market.tick:
        raise FapiError(Code.PRICE_BELOW_MIN)
    if price % market.tick:
        raise FapiError(Code.PRICE_OFF_TICK)
    return price


def need_price(market: Market, params: Params, name: str = "price") -> int:
    price = price_asked(market, params, name)
    if price is None:
        raise missing(name)
    return price


def need_quantity(market: Market, params: Params) -> int:
    """In the asset's units, on a step."""
    quantity = params.number("quantity", market.instrument.quantity_places, Code.QUANTITY_ABOVE_MAX)
    if quantity is None:
        raise missing("quantity")
    if quantity <= 0:
        raise FapiError(Code.QUANTITY_BELOW_ZERO)
    if quantity > max_quantity(market):
        raise FapiError(Code.QUANTITY_ABOVE_MAX)
    if quantity < market.step:
        raise FapiError(Code.QUANTITY_BELOW_MIN)
    if quantity % market.step:
        raise FapiError(Code.QUANTITY_OFF_STEP)
    return quantity


def max_price(market: Market) -> int:
    return min(PRICE.most, MOST * int(10**market.instrument.decimals)) // market.tick * market.tick


def max_quantity(market: Market) -> int:
    return min(SIZE.most, MOST * int(10**market.instrument.quantity_places)) // market.step * market.step


def check_band(price: int, side: Side, quote: Price | None) -> None:
    """That a limit is not too far on the losing side of the mark."""
    if quote is None:
        return
    unit = 10**MULTIPLIER_DECIMALS
    if side is Side.LONG and price * unit > quote.mark * CAP:
        raise FapiError(Code.PRICE_ABOVE_CAP)
    if side is Side.SHORT and price * unit < quote.mark * FLOOR:
        raise FapiError(Code.PRICE_BELOW_FLOOR)


def check_notional(market: Market, quantity: int, price: int | None) -> None:
    """Of an order that may open. Where there is no price, the engine refuses."""
    if price is not None and notional_of(market, quantity, price) < market.least_notional:
        raise FapiError(Code.MIN_NOTIONAL, least=trimmed(market.least_notional, USDC_DECIMALS))

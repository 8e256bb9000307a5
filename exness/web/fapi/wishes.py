"""From parameters to the command that places an order. Each refusal is Binance's."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from exness.core.commands import NetOrder, TimeInForce
from exness.core.instruments import OrderId
from exness.core.prices import Price
from exness.core.trades import Kind, Trailing
from exness.core.views import PriceOf
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.frame import Ask
from exness.web.fapi.general import ORDER_TYPES, TIMES_IN_FORCE
from exness.web.fapi.params import Params, missing
from exness.web.fapi.shown import SIDES
from exness.web.fapi.symbols import (
    check_band,
    check_notional,
    market_named,
    need_price,
    need_quantity,
    price_asked,
)
from exness.web.services import Market

CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_TO_THE_MARKET = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
_LEAST_AHEAD_MS = 600_000
LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, as Binance has it."""
LEAST_CALLBACK, MOST_CALLBACK = 10, 1000
"""Of trailing stops, in hundredths of a percent."""
_RESULTS = ("ACK", "RESULT")


class Wish(NamedTuple):
    """What is asked for. `words` are what the answer repeats of it, by field."""

    market: Market
    command: NetOrder
    words: Mapping[str, object]
    is_acknowledged: bool = False
    """Only that it was taken is to be answered."""


def order_asked(ask: Ask, params: Params) -> Wish:
    """POST order, and each item of POST batchOrders."""
    market = market_named(ask.fapi, params.need("symbol"))
    side = SIDES[params.need_word("side", SIDES, Code.INVALID_SIDE)]
    kind = params.need_word("type", ORDER_TYPES, Code.INVALID_ORDER_TYPE)
    if kind in CONDITIONAL:
        raise FapiError(Code.USE_ALGO)
    _check_common(params)
    if params.boolean("closePosition"):
        raise FapiError(Code.BAD_COMBINATION)
    reduces, label = params.boolean("reduceOnly"), client_id(params, "newClientOrderId")
    response = params.word("newOrderRespType", _RESULTS) or "ACK"
    quantity, quote = need_quantity(market, params), ask.exchange.look(PriceOf(market.asset)).quote.price
    if kind == "MARKET":
        params.refuse(("price", "stopPrice"))
        limit = expires_at = None
        words: dict[str, object] = {"reduceOnly": reduces}
        lives = ""
    else:
        lives = params.need_word("timeInForce", TIMES_IN_FORCE, Code.INVALID_TIF)
        limit = need_price(market, params)
        check_band(limit, side, quote)
        expires_at = good_till(ask, params, lives)
        words = {"reduceOnly": reduces, "timeInForce": lives}
    if not reduces:
        check_notional(market, quantity, limit or _mark(quote))
    command = NetOrder(
        ask.account,
        OrderId(ask.exchange.ids.new()),
        market.asset,
        side,
        quantity=quantity,
        limit=limit,
        reduce_only=reduces,
        time_in_force=_lives(lives),
        expires_at=expires_at,
        post_only=lives == "GTX",
        label=label,
        leaves_expired=lives == "IOC",
    )
    return Wish(market, command, words, response == "ACK")


def algo_asked(ask: Ask, params: Params) -> Wish:
    """POST algoOrder."""
    params.need_word("algoType", ("CONDITIONAL",))
    market = market_named(ask.fapi, params.need("symbol"))
    side = SIDES[params.need_word("side", SIDES, Code.INVALID_SIDE)]
    kind = params.need_word("type", CONDITIONAL, Code.INVALID_ORDER_TYPE)
    _check_common(params)
    working = params.word("workingType", ("MARK_PRICE", "CONTRACT_PRICE")) or "CONTRACT_PRICE"
    closes_all, reduces = params.boolean("closePosition"), params.boolean("reduceOnly")
    lives = params.word("timeInForce", TIMES_IN_FORCE, Code.INVALID_TIF) or "GTC"
    if lives in ("IOC", "FOK") or (closes_all and kind not in _TO_THE_MARKET):
        raise FapiError(Code.BAD_COMBINATION)
    if closes_all and params.number("quantity", market.instrument.quantity_places):
        raise FapiError(Code.CLOSE_WITH_QUANTITY)
    if closes_all and reduces:
        raise FapiError(Code.CLOSE_WITH_REDUCE_ONLY)
    quantity = None if closes_all else need_quantity(market, params)
    only, trailing, stop, limit = closes_all or reduces, None, None, None
    if not only and kind not in ("STOP", "STOP_MARKET"):
        raise FapiError(Code.BAD_COMBINATION)  # nothing of the engine opens by these
    if kind == "TRAILING_STOP_MARKET":
        trailing = _trailing(market, params)
    else:
        stop = need_price(market, params, "triggerPrice")
        limit = need_price(market, params) if kind not in _TO_THE_MARKET else None
    if quantity is not None and not only:
        check_notional(market, quantity, limit or stop)
    command = NetOrder(
        ask.account,
        OrderId(ask.exchange.ids.new()),
        market.asset,
        side,
        quantity=quantity,
        close_position=closes_all,
        limit=limit,
        stop=stop,
        trailing_stop=trailing,
        kind=_exit_kind(kind) if only and trailing is None else None,
        reduce_only=reduces,
        time_in_force=_lives(lives),
        expires_at=good_till(ask, params, lives),
        post_only=lives == "GTX" and limit is not None,
        label=client_id(params, "clientAlgoId"),
    )
    protects = params.boolean("priceProtect")
    words = {"workingType": working, "priceProtect": protects, "timeInForce": lives, "reduceOnly": only}
    return Wish(market, command, words)


def client_id(params: Params, name: str) -> str | None:
    text = params.text(name)
    if text is not None and not _CLIENT_ID.fullmatch(text):
        raise FapiError(Code.BAD_CLIENT_ORDER_ID)
    return text


def good_till(ask: Ask, params: Params, lives: str) -> int | None:
    """When it expires, in microseconds of the exchange's time."""
    if lives != "GTD":
        return None
    good_till_ms = params.need_integer("goodTillDate", most=LATEST_MS)
    if good_till_ms <= ask.now_ms + _LEAST_AHEAD_MS:
        raise FapiError(Code.BAD_GOOD_TILL_DATE)
    return good_till_ms * 1000


def check_position_side(params: Params) -> None:
    if (params.text("positionSide") or "BOTH") != "BOTH":
        raise FapiError(Code.BAD_POSITION_SIDE)


def _check_common(params: Params) -> None:
    check_position_side(params)
    if (params.text("priceMatch") or "NONE") != "NONE":
        raise FapiError(Code.BAD_COMBINATION)


def _lives(word: str) -> TimeInForce | None:
    match word:
        case "IOC" | "FOK":
            return TimeInForce.IOC
        case "GTD":
            return TimeInForce.GTT
        case _:
            return None


def _exit_kind(kind: str) -> Kind:
    return Kind.TAKE_PROFIT if kind.startswith("TAKE_PROFIT") else Kind.STOP_LOSS


def _trailing(market: Market, params: Params) -> Trailing:
    rate = params.number("callbackRate", 2)
    if rate is None:
        raise missing("callbackRate")
    if not LEAST_CALLBACK <= rate <= MOST_CALLBACK:
        raise FapiError(Code.INVALID_PARAMETER, name="callbackRate")
    return Trailing(percent=rate, activation=price_asked(market, params, "activatePrice"))


def _mark(quote: Price | None) -> int | None:
    return None if quote is None else quote.mark

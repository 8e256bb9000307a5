"""The events of user data streams, every field that Binance has, as the strictest clients decode them."""

from typing import Any, NamedTuple

from exness.core import line as lines
from exness.core.instruments import LEVERAGE_UNIT, Side
from exness.core.rates import FREE, Rates
from exness.core.trades import Trade
from exness.web.fapi.params import trimmed
from exness.web.fapi.shown import WORDS, Shown
from exness.web.fapi.symbols import money_text, price_text, quantity_text
from exness.web.services import Fapi, Market

Payload = dict[str, Any]
"""An event, but for `E`: when it is told."""


class Filled(NamedTuple):
    """One fill of an order. `so_far` is all that is filled with it; money is micro-USDC."""

    number: int
    price: int
    size: int
    so_far: int
    pnl: int
    fee: int
    maker: bool


def order_update(
    shown: Shown, whole: int, what: str, state: str, at: int, fapi: Fapi, fill: Filled | None = None
) -> Payload:
    """ORDER_TRADE_UPDATE. `what` is the execution type, `whole` the quantity of the order, `at` in microseconds."""
    market = shown.market
    size, price, so_far = (0, 0, shown.filled) if fill is None else (fill.size, fill.price, fill.so_far)
    average = price if fill is not None else shown.price
    order: dict[str, Any] = {
        "s": market.symbol,
        "c": shown.client_id,
        "S": WORDS[shown.side],
        "o": shown.type,
        "f": shown.lives,
        "q": quantity_text(market, whole),
        "p": price_text(market, shown.limit),
        "ap": price_text(market, average),
        "sp": price_text(market, shown.stop),
        "x": what,
        "X": state,
        "i": shown.order_id,
        "l": quantity_text(market, size),
        "z": quantity_text(market, so_far),
        "L": price_text(market, price),
        "T": at // 1000,
        "t": 0 if fill is None else fill.number,
        "b": "0",
        "a": "0",
        "m": fill is not None and fill.maker,
        "R": shown.reduces,
        "wt": "CONTRACT_PRICE",
        "ot": shown.original,
        "ps": "BOTH",
        "cp": shown.closes_all,
        "rp": money_text(0 if fill is None else fill.pnl),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": (shown.expires_at or 0) // 1000,
    }
    if fill is not None:
        order |= {"N": fapi.quote, "n": money_text(fill.fee)}
    if shown.trailing is not None:
        order |= {"AP": price_text(market, shown.trailing.activation), "cr": trimmed(shown.trailing.percent or 0, 2)}
    return {"e": "ORDER_TRADE_UPDATE", "T": at // 1000, "o": order}


def trade_lite(shown: Shown, whole: int, fill: Filled, at: int) -> Payload:
    market = shown.market
    return {
        "e": "TRADE_LITE",
        "T": at // 1000,
        "s": market.symbol,
        "q": quantity_text(market, whole),
        "p": price_text(market, shown.limit),
        "m": fill.maker,
        "c": shown.client_id,
        "S": WORDS[shown.side],
        "L": price_text(market, fill.price),
        "l": quantity_text(market, fill.size),
        "t": fill.number,
        "i": shown.order_id,
    }


def algo_update(shown: Shown, state: str, at: int, *, filled: int = 0, price: int = 0, why: str = "") -> Payload:
    """ALGO_UPDATE, of an order that waits for a price to fire."""
    market, trailing = shown.market, shown.trailing
    order: dict[str, Any] = {
        "caid": shown.client_id,
        "aid": shown.number,
        "at": "CONDITIONAL",
        "o": shown.original,
        "s": market.symbol,
        "S": WORDS[shown.side],
        "ps": "BOTH",
        "f": shown.lives,
        "q": quantity_text(market, shown.quantity),
        "X": state,
        "ai": str(shown.fired) if shown.fired else "",
        "ap": price_text(market, price),
        "aq": quantity_text(market, filled),
        "act": shown.type if shown.fired else "",
        "tp": price_text(market, shown.stop),
        "p": price_text(market, shown.limit),
        "V": "NONE",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": shown.closes_all,
        "pP": False,
        "R": shown.reduces,
        "tt": at // 1000 if shown.fired else 0,
        "gtd": (shown.expires_at or 0) // 1000,
        "rm": why,
    }
    if trailing is not None:
        order |= {"AP": price_text(market, trailing.activation), "cr": trimmed(trailing.percent or 0, 2)}
    return {"e": "ALGO_UPDATE", "T": at // 1000, "o": order}


def trigger_rejected(shown: Shown, why: str, at: int) -> Payload:
    """CONDITIONAL_ORDER_TRIGGER_REJECT."""
    told = {"s": shown.market.symbol, "i": shown.number, "r": why}
    return {"e": "CONDITIONAL_ORDER_TRIGGER_REJECT", "T": at // 1000, "or": told}


def account_update(reason: str, balance: Payload, positions: list[Payload], at: int) -> Payload:
    return {"e": "ACCOUNT_UPDATE", "T": at // 1000, "a": {"B": [balance], "P": positions, "m": reason}}


def balance_of(fapi: Fapi, wallet: int, margins: int, changed: int) -> Payload:
    """`changed` is what moved the wallet apart from pnl and commission."""
    return {
        "a": fapi.quote,
        "wb": money_text(wallet),
        "cw": money_text(wallet - margins),
        "bc": money_text(changed),
    }


def position_of(market: Market, trade: Trade, mark: int | None, rates: Rates = FREE) -> Payload:
    line = trade.line
    owed = trade.commission + trade.funding - trade.realized
    return {
        "s": market.symbol,
        "pa": quantity_text(market, trade.size if trade.side is Side.LONG else -trade.size),
        "ep": price_text(market, trade.entry),
        "bep": price_text(market, lines.break_even_price(line, rates.taker, owed)),
        "cr": money_text(trade.realized),
        "up": money_text(0 if mark is None else lines.pnl(line, mark)),
        "mt": "isolated",
        "iw": money_text(trade.margin),
        "ps": "BOTH",
        "ma": market.symbol.removeprefix(market.asset),
    }


def no_position(market: Market, realized: int) -> Payload:
    return {
        "s": market.symbol,
        "pa": quantity_text(market, 0),
        "ep": "0",
        "bep": "0",
        "cr": money_text(realized),
        "up": money_text(0),
        "mt": "isolated",
        "iw": money_text(0),
        "ps": "BOTH",
        "ma": market.symbol.removeprefix(market.asset),
    }


def config_update(market: Market, leverage: int, at: int) -> Payload:
    """ACCOUNT_CONFIG_UPDATE. `leverage` in hundredths."""
    told = {"s": market.symbol, "l": leverage // LEVERAGE_UNIT}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "T": at // 1000, "ac": told}


def margin_call(market: Market, trade: Trade, mark: int, rates: Rates, cross: int, at: int) -> Payload:
    line = trade.line
    position = {
        "s": market.symbol,
        "ps": "BOTH",
        "pa": quantity_text(market, trade.size if trade.side is Side.LONG else -trade.size),
        "mt": "ISOLATED",
        "iw": money_text(trade.margin),
        "mp": price_text(market, mark),
        "up": money_text(lines.pnl(line, mark)),
        "mm": money_text(lines.requirement(line, rates, mark)),
    }
    return {"e": "MARGIN_CALL", "T": at // 1000, "cw": money_text(cross), "p": [position]}


def key_expired(listen_key: str, at: int) -> Payload:
    return {"e": "listenKeyExpired", "T": at // 1000, "listenKey": listen_key}

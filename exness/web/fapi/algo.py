"""Conditional orders, which wait for a price to fire: Binance's algo calls."""

from typing import Any

from exness.core.outcomes import Done
from exness.core.rejects import Refusal
from exness.runtime.ports.tables import HistoryTooLong, NetOrderQuery
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, FapiError, refused
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.orders import ALL_CANCELLED, end_all, ended, waiting_orders
from exness.web.fapi.params import invalid, missing
from exness.web.fapi.past import times_asked
from exness.web.fapi.shown import Shown, algo_object, of_records, of_row
from exness.web.fapi.symbols import market_if_named, market_of
from exness.web.fapi.wishes import algo_asked
from exness.web.http.endpoint import DELETE, GET, POST

MOST_LISTED = 1000


async def place(ask: Ask) -> Any:
    """POST algoOrder."""
    wish = algo_asked(ask, ask.params)
    ask.count_orders(1)
    outcome = await ask.exchange.do(wish.command, ask.request_id)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert isinstance(outcome, Done), "it has no client order id of ours"
    return algo_object(of_records(outcome.records, wish.market)) | dict(wish.words)


async def find(ask: Ask) -> Any:
    """GET algoOrder: of any time."""
    found = await _of_any_time(ask, *_named(ask))
    if found is None:
        raise FapiError(Code.NO_SUCH_ORDER)
    return algo_object(found)


async def cancel(ask: Ask) -> Any:
    """DELETE algoOrder: one that has not fired.

    At Binance what reduces only still waits when its position has ended, and bots take it away after their exit. Here
    it is gone by then; freqtrade, told that there is none, would keep it as open.
    """
    number, label = _named(ask)
    for each in await waiting_orders(ask, None, fire=True):
        if (number is not None and each.number == number) or (number is None and label in (each.label, each.id)):
            await ended(ask, each)
            return _cancelled(each)
    found = await _of_any_time(ask, number, label)
    if found is not None and found.ended_with_its_position and not found.closes_all:
        return _cancelled(found)
    raise FapiError(Code.UNKNOWN_ORDER)


async def list_open(ask: Ask) -> Any:
    """GET openAlgoOrders."""
    market = market_if_named(ask)
    found = await waiting_orders(ask, None if market is None else market.asset, fire=True)
    return [algo_object(each) for each in found]


async def list_all(ask: Ask) -> Any:
    """GET allAlgoOrders: of one symbol and any time."""
    market, params = market_of(ask), ask.params
    first, times = params.integer("algoId"), times_asked(params)
    query = NetOrderQuery(
        ask.account,
        True,
        market.asset,
        first=first or 0,
        start=times.start,
        end=times.end,
        limit=params.limit(500, MOST_LISTED),
        newest=first is None and not times.oldest_first,
    )
    try:
        rows = await ask.exchange.net_orders(query)
    except HistoryTooLong:
        raise invalid("startTime") from None
    return [algo_object(of_row(row, market)) for row in rows]


async def cancel_all(ask: Ask) -> Any:
    """DELETE algoOpenOrders: of one symbol."""
    market = market_of(ask)
    await end_all(ask, await waiting_orders(ask, market.asset, fire=True))
    return ALL_CANCELLED


async def _of_any_time(ask: Ask, number: int | None, label: str | None) -> Shown | None:
    query = NetOrderQuery(ask.account, True, number=number, label=label, limit=1)
    for row in await ask.exchange.net_orders(query):
        if market := ask.fapi.markets.get(ask.fapi.symbol(row.asset)):
            return of_row(row, market)
    return None


def _cancelled(order: Shown) -> Any:
    return {"algoId": order.number, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}


def _named(ask: Ask) -> tuple[int | None, str | None]:
    number = ask.params.integer("algoId")
    label = None if number is not None else ask.params.text("clientAlgoId")
    if number is None and label is None:
        raise missing("algoId")
    return number, label


_SIGNED, _TRADE = Security.SIGNED, Security.TRADE
_ORDER = (
    "algoType symbol side type:algo_type quantity? triggerPrice? price? activatePrice? callbackRate? closePosition? "
    "reduceOnly? timeInForce? goodTillDate? workingType? priceProtect? clientAlgoId? positionSide? priceMatch?"
)
_NAMED = "algoId? clientAlgoId?"
ROWS = (
    Row(POST, "/fapi/v1/algoOrder", 1, _TRADE, place, "Place a conditional order", answers.ALGO, _ORDER),
    Row(GET, "/fapi/v1/algoOrder", 1, _SIGNED, find, "A conditional order, of any time", answers.ALGO, _NAMED),
    Row(DELETE, "/fapi/v1/algoOrder", 1, _TRADE, cancel, "Cancel a conditional order", answers.ALGO_CANCELLED, _NAMED),
    Row(
        GET, "/fapi/v1/openAlgoOrders", 1, _SIGNED, list_open, "All conditional orders that wait",
        answers.ALGOS, "symbol?",
    ),
    Row(
        GET, "/fapi/v1/allAlgoOrders", 5, _SIGNED, list_all, "All conditional orders of a symbol",
        answers.ALGOS, "symbol algoId? startTime? endTime? limit?",
    ),
    Row(
        DELETE, "/fapi/v1/algoOpenOrders", 1, _TRADE, cancel_all, "Cancel all conditional orders of a symbol",
        answers.DONE, "symbol",
    ),
)  # fmt: skip

"""Orders: placed, asked for, modified, cancelled, one by one and in batches."""

from collections.abc import Awaitable, Sequence
from typing import Any

from msgspec.structs import replace

from exness.core.commands import AmendOrder, CancelOrder, CancelOrders
from exness.core.events import EndStatus
from exness.core.instruments import Asset
from exness.core.outcomes import Done
from exness.core.rejects import Refusal
from exness.core.views import NetHoldingsOf, PriceOf
from exness.runtime.inbox import NotTaken
from exness.runtime.ports.tables import NetOrderQuery
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, Failure, FapiError, failure, refused
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.params import Params, invalid, missing, params_of
from exness.web.fapi.shown import SIDES, Shown, of_records, of_row, order_object, waiting
from exness.web.fapi.symbols import (
    check_band,
    check_notional,
    market_if_named,
    market_of,
    need_price,
    need_quantity,
)
from exness.web.fapi.wishes import Wish, order_asked
from exness.web.http.endpoint import DELETE, GET, POST, PUT
from exness.web.http.errors import ApiError
from exness.web.services import Market

MOST_PLACED, MOST_CANCELLED = 5, 10
ALL_CANCELLED = {"code": 200, "msg": "The operation of cancel all open order is done."}
Item = dict[str, Any] | Failure


# --- placing --------------------------------------------------------------------------------------------------------


async def place(ask: Ask) -> Any:
    """POST order."""
    wish = order_asked(ask, ask.params)
    ask.count_orders(1)
    return await placed(ask, wish)


async def try_out(ask: Ask) -> Any:
    """POST order/test: what can be checked without the engine."""
    order_asked(ask, ask.params)
    return {}


async def place_batch(ask: Ask) -> Any:
    """POST batchOrders: one after the other. What one is refused for stops no other."""
    asked = [params_of(item) for item in _batch(ask.params.array("batchOrders"), "batchOrders", MOST_PLACED)]
    ask.count_orders(len(asked))
    return [await _item(_placed(ask, params)) for params in asked]


async def _placed(ask: Ask, params: Params) -> dict[str, Any]:
    return await placed(ask, order_asked(ask, params))


async def _item(doing: Awaitable[dict[str, Any]]) -> Item:
    """One of a batch: what came of it, or why not."""
    try:
        return await doing
    except ApiError as error:
        return failure(error)
    except NotTaken as error:
        return failure(ApiError(error.why))


async def placed(ask: Ask, wish: Wish) -> dict[str, Any]:
    outcome = await ask.exchange.do(wish.command, ask.request_id)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert isinstance(outcome, Done), "it has no client order id of ours"
    shown = of_records(outcome.records, wish.market)
    if wish.is_acknowledged:
        shown = replace(shown, status=None, reason="", filled=0, price=0)
    return order_object(shown) | dict(wish.words)


# --- one order ------------------------------------------------------------------------------------------------------


async def find(ask: Ask) -> Any:
    """GET order: of any time."""
    market = market_of(ask)
    number, label = _named(ask.params)
    query = NetOrderQuery(ask.account, False, market.asset, number=number, label=label, limit=1)
    rows = await ask.exchange.net_orders(query)
    if not rows:
        raise FapiError(Code.NO_SUCH_ORDER)
    return order_object(of_row(rows[0], market))


async def find_open(ask: Ask) -> Any:
    """GET openOrder."""
    market = market_of(ask)
    number, label = _named(ask.params)
    found = _pick(await waiting_orders(ask, market.asset), number, label)
    if found is None:
        raise FapiError(Code.NO_SUCH_ORDER)
    return order_object(found)


async def modify(ask: Ask) -> Any:
    """PUT order: of a limit order, price and quantity."""
    market, params = market_of(ask), ask.params
    number, label = _named(params)
    side = SIDES[params.need_word("side", SIDES, Code.INVALID_SIDE)]
    quantity, price = need_quantity(market, params), need_price(market, params)
    found = _pick(await waiting_orders(ask, market.asset), number, label)
    if found is None:
        raise FapiError(Code.NO_SUCH_ORDER)
    if found.fires or side is not found.side:
        raise FapiError(Code.BAD_COMBINATION)
    if (quantity, price) == (found.quantity, found.limit):
        raise FapiError(Code.NOTHING_TO_MODIFY)
    check_band(price, side, ask.exchange.look(PriceOf(market.asset)).quote.price)
    if not found.reduces:
        check_notional(market, quantity, price)
    ask.count_orders(1)
    outcome = await ask.exchange.do(AmendOrder(ask.account, found.id, limit=price, size=quantity), ask.request_id)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert isinstance(outcome, Done), "it has no client order id of ours"
    return order_object(of_records(outcome.records, market))


async def cancel(ask: Ask) -> Any:
    """DELETE order."""
    market = market_of(ask)
    return await _cancelled(ask, market, *_named(ask.params))


async def _cancelled(ask: Ask, market: Market, number: int | None, label: str | None) -> dict[str, Any]:
    found = _pick(await waiting_orders(ask, market.asset), number, label)
    if found is None:
        raise FapiError(Code.UNKNOWN_ORDER)
    return order_object(await ended(ask, found))


async def ended(ask: Ask, found: Shown) -> Shown:
    """What waits, cancelled. Raises FapiError where it has ended meanwhile."""
    outcome = await ask.exchange.do(CancelOrder(ask.account, found.id), ask.request_id)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert isinstance(outcome, Done), "it has no client order id of ours"
    return replace(found, status=EndStatus.CANCELLED, updated_at=outcome.records[-1].at)


async def cancel_batch(ask: Ask) -> Any:
    """DELETE batchOrders: by ids or client ids, whose names some clients write in lower case."""
    market, params = market_of(ask), ask.params
    ids = params.array("orderIdList", "orderidlist")
    names = params.array("origClientOrderIdList", "origclientorderidlist")
    given = _batch(ids if ids is not None else names, "orderIdList", MOST_CANCELLED)
    asked = [(_number(each), None) if ids is not None else (None, _name(each)) for each in given]
    return [await _item(_cancelled(ask, market, *each)) for each in asked]


# --- all of them ----------------------------------------------------------------------------------------------------


async def list_open(ask: Ask) -> Any:
    """GET openOrders."""
    market = market_if_named(ask)
    return [order_object(each) for each in await waiting_orders(ask, None if market is None else market.asset)]


async def cancel_all(ask: Ask) -> Any:
    """DELETE allOpenOrders: of one symbol, without those that have not fired yet."""
    market = market_of(ask)
    await end_all(ask, await waiting_orders(ask, market.asset))
    return ALL_CANCELLED


async def end_all(ask: Ask, found: Sequence[Shown]) -> None:
    if found:
        named = frozenset(each.id for each in found)
        await ask.exchange.do(CancelOrders(ask.account, named=named), ask.request_id)


async def waiting_orders(ask: Ask, asset: Asset | None, *, fire: bool = False) -> list[Shown]:
    """What waits: orders, or with `fire` what waits for a price to fire."""
    holdings = await ask.exchange.see(NetHoldingsOf(ask.account))
    return [each for each in waiting(holdings, ask.fapi, asset) if each.is_order is not fire]


def _pick(shown: Sequence[Shown], number: int | None, label: str | None) -> Shown | None:
    for each in shown:
        if (number is not None and each.order_id == number) or (number is None and label in (each.label, each.id)):
            return each
    return None


def _named(params: Params) -> tuple[int | None, str | None]:
    """By which number or which client id. The number goes first."""
    number = params.integer("orderId")
    label = None if number is not None else params.text("origClientOrderId")
    if number is None and label is None:
        raise missing("orderId")
    return number, label


def _batch(items: list[object] | None, name: str, most: int) -> list[object]:
    if items is None:
        raise missing(name)
    if not 1 <= len(items) <= most:
        raise FapiError(Code.BAD_BATCH_SIZE)
    return items


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    raise invalid("orderIdList")


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    raise invalid("origClientOrderIdList")


_SIGNED, _TRADE = Security.SIGNED, Security.TRADE
_ORDER = (
    "symbol side type:order_type quantity price? timeInForce? goodTillDate? reduceOnly? closePosition? "
    "newClientOrderId? newOrderRespType? positionSide? priceMatch?"
)
_NAMED = "symbol orderId? origClientOrderId?"
ROWS = (
    Row(POST, "/fapi/v1/order", 1, _TRADE, place, "Place an order", answers.ORDER, _ORDER),
    Row(POST, "/fapi/v1/order/test", 1, _TRADE, try_out, "Check an order and place none", answers.NO_FIELDS, _ORDER),
    Row(POST, "/fapi/v1/batchOrders", 5, _TRADE, place_batch, "Place up to 5 orders", answers.BATCH, "batchOrders"),
    Row(GET, "/fapi/v1/order", 1, _SIGNED, find, "An order, of any time", answers.ORDER, _NAMED),
    Row(
        PUT, "/fapi/v1/order", 1, _TRADE, modify, "Modify a limit order",
        answers.ORDER, f"{_NAMED} side quantity price",
    ),
    Row(DELETE, "/fapi/v1/order", 1, _TRADE, cancel, "Cancel an order", answers.ORDER, _NAMED),
    Row(
        DELETE, "/fapi/v1/batchOrders", 1, _TRADE, cancel_batch, "Cancel up to 10 orders",
        answers.BATCH, "symbol orderIdList? origClientOrderIdList?",
    ),
    Row(GET, "/fapi/v1/openOrder", 1, _SIGNED, find_open, "An order that waits", answers.ORDER, _NAMED),
    Row(GET, "/fapi/v1/openOrders", 1, _SIGNED, list_open, "All orders that wait", answers.ORDERS, "symbol?"),
    Row(
        DELETE, "/fapi/v1/allOpenOrders", 1, _TRADE, cancel_all, "Cancel all orders of a symbol",
        answers.DONE, "symbol",
    ),
)  # fmt: skip

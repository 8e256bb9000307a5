"""Orders that wait: placed, amended, cancelled, listed."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web
from msgspec import UNSET

from exness.core.commands import CancelOrder
from exness.core.events import (
    EndStatus,
    Event,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import AccountId, Asset, Instrument, OrderId, TradeId
from exness.core.money import format_scaled, format_usdc
from exness.core.rejects import Reject
from exness.core.rules import Rules
from exness.core.views import BalanceOf, Holdings, HoldingsOf
from exness.runtime.exchange import Exchange
from exness.runtime.ports.tables import HistoryTooLong
from exness.runtime.ports.tables import OrderRow as Row
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import iso, leverage_out
from exness.web.v1.models import Pagination
from exness.web.v1.named_bodies import amend_order, cancel_orders, named_in, order_named
from exness.web.v1.opening_bodies import place_order
from exness.web.v1.order_models import (
    AmendOrderBody,
    OpenOrdersAnswer,
    OrderAnswer,
    OrderCancelled,
    OrderFilled,
    OrderHistoryAnswer,
    OrderHistoryRow,
    OrderOpened,
    OrderPending,
    OrderRow,
    OrdersCancelled,
)
from exness.web.v1.outcomes import held, id_asked_for, instrument_of, records_of
from exness.web.v1.parse import of_asset, one_more, order_history_query
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import (
    OPPOSITE,
    exit_named,
    exit_row,
    opened,
    order_row,
    price_out,
    quantity_out,
    trade_shown,
    trailed,
)

Placed = OrderPending | OrderOpened | OrderFilled
Told = TypeVar("Told", OrderHistoryRow, OrderAnswer)
Fill = TradeOpened | TradeIncreased | TradeReduced | TradeClosed


async def create(request: web.Request) -> web.StreamResponse:
    """POST /order/create."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = place_order(await json_body(request), exchange.rules, account, exchange.ids)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    return answer(placed(await records_of(outcome, exchange, account), exchange.rules))


async def amend(request: web.Request) -> web.StreamResponse:
    """POST /order/amend: of an order, or of an exit that is one."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), AmendOrderBody)
    found = held(exchange, account, named.order_id)
    thing = found.trade or found.order
    has_quantity = thing is None or thing.net
    command = amend_order(named, account, instrument_of(exchange, found.asset), has_quantity=has_quantity)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    return answer(placed(await records_of(outcome, exchange, account, named.order_id), exchange.rules))


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /order/cancel."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    order_id = order_named(await json_body(request))
    outcome = await exchange.do(CancelOrder(account, order_id), request[REQUEST_STATE].request_id)
    (record,) = await records_of(outcome, exchange, account, order_id)
    event = record.event
    assert isinstance(event, OrderEnded | TradeChanged)
    released = event.released if isinstance(event, OrderEnded) else 0
    return answer(
        OrderCancelled(
            order_id=order_id,
            status=EndStatus.CANCELLED.value,
            released=format_usdc(released),
            balance=format_usdc(event.balance),
        )
    )


async def cancel_all(request: web.Request) -> web.StreamResponse:
    """POST /order/cancelAll."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = cancel_orders(await json_body(request), exchange.rules, account)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    records = await records_of(outcome, exchange, account)
    cancelled, balance = [], None
    for record in records:
        event = record.event
        assert isinstance(event, OrderEnded | TradeChanged)
        ended = event.order_id if isinstance(event, OrderEnded) else event.exit
        assert ended is not None
        cancelled.append(ended)
        balance = event.balance
    if balance is None:
        balance = (await exchange.see(BalanceOf(account))).free
    return answer(OrdersCancelled(cancelled=[*cancelled], balance=format_usdc(balance)))


async def list_open(request: web.Request) -> web.StreamResponse:
    """GET /order/open: what waits, in the order in which it was placed."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    asset = of_asset(request.query, exchange.rules)
    holdings = await exchange.see(HoldingsOf(account))
    rows = rows_of(holdings, exchange.rules, asset)
    charge_rows(request, len(rows))
    return answer(OpenOrdersAnswer(success=True, data=rows))


async def history(request: web.Request) -> web.StreamResponse:
    """GET /order/history: of those that have ended."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    query = order_history_query(account, request.query, exchange.rules)
    charge_rows(request, query.limit)
    try:
        rows, total = await exchange.orders(query if query.below is None else one_more(query))
    except HistoryTooLong as long:
        what = f"more than {long.most:,} orders would have to be looked at: ask for a smaller offset"
        raise InvalidRequest([FieldError("offset", what)]) from long
    more = query.offset + len(rows) < total if query.below is None else len(rows) > query.limit
    rows = rows[: query.limit]
    entries = await _entries(exchange, account, rows)
    return answer(
        OrderHistoryAnswer(
            success=True,
            data=[_history_row(OrderHistoryRow, row, exchange.rules, entries) for row in rows],
            pagination=Pagination(total, query.limit, query.offset, more, str(rows[-1].number) if more else UNSET),
        )
    )


async def one(request: web.Request) -> web.StreamResponse:
    """GET /order: one of any time."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    order_id = await id_asked_for(exchange, account, request.query)
    row = None if order_id is None else await exchange.order(account, OrderId(order_id))
    if row is None:
        raise ApiError(Reject.ORDER_NOT_FOUND)
    return answer(_history_row(OrderAnswer, row, exchange.rules, await _entries(exchange, account, [row])))


async def _entries(exchange: Exchange, account: AccountId, rows: Sequence[Row]) -> dict[TradeId, int]:
    """Of the trades that exits among these close."""
    entries: dict[TradeId, int] = {}
    for trade_id in {row.closes for row in rows if row.closes is not None and not row.net}:
        trade = await exchange.trade(account, trade_id)
        entries[trade_id] = 0 if trade is None else trade.entry
    return entries


def _history_row(kind: type[Told], row: Row, rules: Rules, entries: Mapping[TradeId, int]) -> Told:
    """Its asset need not be configured any more. `entries`: of the trades that exits close."""
    instrument = rules.instruments.get(row.asset) or Instrument(row.asset, row.decimals, 0)
    entry = None if row.closes is None else entries.get(row.closes, 0)

    def quantity(size: int, price: int) -> str | None:
        at = price if entry is None else entry
        return quantity_out(size, at, instrument, net=row.net) if size and (at or row.net) else None

    is_exit, size = row.closes is not None, row.quantity
    if not (is_exit or row.net):
        size = row.margin * row.leverage
    ended_at: Any = None if row.ended_at is None else iso(row.ended_at)
    return kind(
        order_id=row.order_id,
        client_order_id=row.client_order or UNSET,
        asset=row.asset,
        type=(OPPOSITE[row.side] if is_exit else row.side).value,
        kind="market" if row.kind is None else row.kind.value,
        margin=None if is_exit or row.net else format_usdc(row.margin),
        leverage=None if is_exit else leverage_out(row.leverage),
        quantity=quantity(size, row.limit or row.stop or row.price),
        limit_price=price_out(row.limit, instrument),
        stop_price=price_out(row.stop, instrument),
        expires_at=None if row.expires_at is None else iso(row.expires_at),
        reserved=format_usdc(row.reserved),
        take_profit=price_out(row.take_profit, instrument),
        stop_loss=price_out(row.stop_loss, instrument),
        trailing_stop=trailed(row.trailing, instrument),
        closes=row.closes or UNSET,
        created_at=iso(row.created_at),
        status="pending" if row.status is None else row.status.value,
        reason=row.reason or None,
        ended_at=ended_at,
        filled_quantity=quantity(row.filled, row.price) or quantity_out(0, 1, instrument, net=True),
        average_price=price_out(row.price or None, instrument),
    )


def rows_of(holdings: Holdings, rules: Rules, asset: Asset | None = None) -> list[OrderRow]:
    """Orders and exits that are orders, by when they were placed. Some hundreds at most: as many as are allowed."""
    rows = []
    for order in holdings.owner.orders.values():
        if asset in (None, order.asset):
            rows.append((order.number, order_row(OrderRow, order, rules.instruments[order.asset])))
    for trade in holdings.trades:
        for each in trade.exits if asset in (None, trade.asset) else ():
            level = None if each.id is None else holdings.levels.get(each.id)
            rows.append((each.number, exit_row(OrderRow, trade, each, rules.instruments[trade.asset], level)))
    return [row for _, row in sorted(rows, key=lambda numbered: numbered[0])]


# --- answers --------------------------------------------------------------------------------------------------------


def placed(records: list[Record], rules: Rules) -> Placed:
    """What is answered to what places or amends an order, from its records."""
    last = records[-1].event
    match last:
        case OrderPlaced(order=order) | OrderAmended(order=order):
            instrument = rules.instruments[order.asset]
            return order_row(OrderPending, order, instrument, balance=format_usdc(last.balance))
        case TradeChanged(trade=trade, exit=str(name)):
            balance = format_usdc(last.balance)
            return exit_row(
                OrderPending, trade, exit_named(trade, name), rules.instruments[trade.asset], balance=balance
            )
        case TradeOpened() if not last.trade.net:
            opened_: OrderOpened = opened(OrderOpened, last, rules)
            return opened_
        case _:
            return _filled(records, rules)


def _filled(records: list[Record], rules: Rules) -> OrderFilled:
    """A net order that was filled at once: at one price, by one record or two."""
    events = [record.event for record in records if isinstance(record.event, Fill)]
    last = events[-1]
    order_id: str | None
    trade = None if isinstance(last, TradeClosed) else last.trade
    if isinstance(last, TradeOpened):
        order_id, price = last.trade.id, last.trade.entry
    else:
        order_id, price = last.by, last.price
    assert order_id is not None, "an order did it"
    asset = last.asset if isinstance(last, TradeClosed) else last.trade.asset
    return OrderFilled(
        order_id=order_id,
        client_order_id=_client_order(records[0].event) or UNSET,
        price=format_scaled(price, rules.instruments[asset].decimals),
        commission=format_usdc(sum(event.fee for event in events)),
        pnl=format_usdc(sum(event.pnl for event in events if isinstance(event, TradeReduced | TradeClosed))),
        trade=None if trade is None else trade_shown(trade, rules),
        balance=format_usdc(last.balance),
    )


def _client_order(first: Event) -> str | None:
    match first:
        case TradeOpened(trade=trade):
            return trade.client_order
        case OrderAmended(order=order):
            return order.client_order
        case TradeIncreased() | TradeReduced() | TradeClosed():
            return None if first.asked is None else first.asked.client_order
        case _:
            raise AssertionError(f"no net order that is filled begins with {first}")

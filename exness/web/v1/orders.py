"""Orders that wait: placed, amended, cancelled, listed."""

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
from exness.core.instruments import Asset
from exness.core.money import format_scaled, format_usdc
from exness.core.rules import Rules
from exness.core.views import BalanceOf, Holdings, HoldingsOf
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.named_bodies import amend_order, cancel_orders, named_in, order_named
from exness.web.v1.opening_bodies import place_order
from exness.web.v1.order_models import (
    AmendOrderBody,
    OpenOrdersAnswer,
    OrderCancelled,
    OrderFilled,
    OrderOpened,
    OrderPending,
    OrderRow,
    OrdersCancelled,
)
from exness.web.v1.outcomes import held, instrument_of, records_of
from exness.web.v1.parse import of_asset
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import exit_named, exit_row, opened, order_row, trade_shown

Placed = OrderPending | OrderOpened | OrderFilled
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

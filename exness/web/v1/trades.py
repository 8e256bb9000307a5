"""Trades: create, close, open, history."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET

from exness.core import margin
from exness.core.commands import CloseTrade
from exness.core.events import TradeClosed, TradeOpened, TradeReduced
from exness.core.instruments import LEVERAGE_UNIT, Instrument, TradeId
from exness.core.line import net_unit
from exness.core.money import format_scaled, format_usdc
from exness.core.outcomes import Done
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from exness.core.views import BalanceOf, HoldingsOf
from exness.runtime.ports.tables import Analytics, HistoryTooLong, SortBy, TradeQuery, TradeRow
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.errors import ERRORS
from exness.web.v1.exits import instrument_named
from exness.web.v1.export import ROWS_A_PAGE, send_csv, wants_csv
from exness.web.v1.format import iso, leverage_out, percent_out
from exness.web.v1.holdings import rows_of
from exness.web.v1.models import MAX_LIMIT, Pagination
from exness.web.v1.named_bodies import asset_of, close_trade, named_in
from exness.web.v1.opening_bodies import create_order
from exness.web.v1.outcomes import id_asked_for, records_of
from exness.web.v1.parse import OpenQuery, cursor_of, format_asked, history_query, one_more, open_query
from exness.web.v1.refusals import refused
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import closed, opened, quantity_out
from exness.web.v1.trade_models import (
    AllClosedAnswer,
    AnalyticsAnswer,
    CloseAllBody,
    CloseTradeBody,
    HistoryAnswer,
    HistoryRow,
    NotClosed,
    TradeAnswer,
    TradeClosedAnswer,
    TradeCreated,
)

CLOSED_AT_ONCE = 50
"""Their records go to disk together; others have their turn between these and the next."""
Row = TypeVar("Row", bound=HistoryRow)


async def create(request: web.Request) -> web.StreamResponse:
    """POST /trade/create."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = create_order(await json_body(request), exchange.rules, account, exchange.ids)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    (record,) = await records_of(outcome, exchange, account)
    assert isinstance(record.event, TradeOpened)
    return answer(opened(TradeCreated, record.event, exchange.rules))


async def close(request: web.Request) -> web.StreamResponse:
    """POST /trade/close: all of it, or a part."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), CloseTradeBody)
    instrument = await instrument_named(exchange, account, named) if named.has_quantity else None
    command = close_trade(named, account, instrument)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    (record,) = await records_of(outcome, exchange, account, named.order_id)
    assert isinstance(record.event, TradeClosed | TradeReduced)
    return answer(closed(record.event, record.at, exchange.rules))


async def close_all(request: web.Request) -> web.StreamResponse:
    """POST /trade/closeAll: each as if by itself, some at a time, each at the price of its moment."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    asset = asset_of(await json_body(request), CloseAllBody, exchange.rules)
    trades = (await exchange.see(HoldingsOf(account, asset))).trades
    charge_rows(request, len(trades))
    done: list[TradeClosedAnswer] = []
    not_done: list[NotClosed] = []
    for first in range(0, len(trades), CLOSED_AT_ONCE):
        some = trades[first : first + CLOSED_AT_ONCE]
        request_id = request[REQUEST_STATE].request_id
        outcomes = await asyncio.gather(*(exchange.do(CloseTrade(account, each.id), request_id) for each in some))
        for trade, outcome in zip(some, outcomes, strict=True):
            match outcome:
                case Done([record]) if isinstance(record.event, TradeClosed):
                    done.append(closed(record.event, record.at, exchange.rules))
                case Refusal(reject) if reject is not Reject.TRADE_NOT_FOUND:  # else it has just ended otherwise
                    why = refused(outcome, exchange.rules)
                    not_done.append(NotClosed(trade.id, why.code, why.message or ERRORS[why.code][1]))
                case _:
                    pass
    balance = (await exchange.see(BalanceOf(account))).free
    return answer(AllClosedAnswer(success=True, closed=done, refused=not_done, balance=format_usdc(balance)))


async def one(request: web.Request) -> web.StreamResponse:
    """GET /trade: one of any time."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    trade_id = await id_asked_for(exchange, account, request.query)
    row = None if trade_id is None else await exchange.trade(account, TradeId(trade_id))
    if row is None:
        raise ApiError(Reject.TRADE_NOT_FOUND)
    return answer(_history_row(TradeAnswer, row, exchange.rules))


async def list_open(request: web.Request) -> web.StreamResponse:
    """GET /trade/open: all of one moment, and a page of it where one is asked for."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    query = open_query(request.query, exchange.rules) if request.query_string else OpenQuery()
    holdings = await exchange.see(HoldingsOf(account, query.asset))
    page, trades = query.page, holdings.trades
    shown = trades if page is None else trades[page.offset : page.offset + page.limit]
    charge_rows(request, len(shown))
    rows = await rows_of(holdings, shown, exchange.rules)
    if page is None:
        return answer({"success": True, "data": rows})
    pagination = Pagination(len(trades), page.limit, page.offset, has_more=page.offset + len(rows) < len(trades))
    return answer({"success": True, "data": rows, "pagination": pagination})


async def history(request: web.Request) -> web.StreamResponse:
    """GET /trade/history."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    query = history_query(account, request.query, exchange.rules)
    if wants_csv(request, format_asked(request.query)):
        return await _export(request, query)
    charge_rows(request, query.limit)
    try:
        rows, analytics = await exchange.trades(query if query.beyond is None else one_more(query))
    except HistoryTooLong as long:
        what = f"more than {long.most:,} trades would have to be looked at: narrow the span with fromDate and toDate"
        raise InvalidRequest([FieldError("fromDate", what)]) from long
    return answer(_history(query, rows, analytics, exchange.rules))


async def _export(request: web.Request, query: TradeQuery) -> web.StreamResponse:
    """All that match, in the order they were opened."""
    if query.sort_by is not SortBy.CREATED_AT or "limit" in request.query or query.offset:
        what = "as CSV all trades come, in the order createdAt, without limit and offset"
        raise InvalidRequest([FieldError("format", what)])
    charge_rows(request, MAX_LIMIT)
    exchange = services_of(request).exchange

    async def pages() -> AsyncIterator[list[Callable[[], HistoryRow]]]:
        at = query.beyond
        while True:
            page = msgspec.structs.replace(query, limit=ROWS_A_PAGE, beyond=at)
            rows, at = await exchange.walk(page)
            yield [partial(_history_row, HistoryRow, row, exchange.rules) for row in rows]
            if at is None:
                return

    return await send_csv(request, "trades", HistoryRow, pages())


# --- answers ------------------------------------------------------------------------------------------------------


def _history(query: TradeQuery, rows: list[TradeRow], sums: Analytics, rules: Rules) -> HistoryAnswer:
    more = query.offset + len(rows) < sums.total if query.beyond is None else len(rows) > query.limit
    rows = rows[: query.limit]
    goes_on = more and bool(rows) and query.sort_by is SortBy.CREATED_AT
    return HistoryAnswer(
        success=True,
        data=[_history_row(HistoryRow, row, rules) for row in rows],
        analytics=AnalyticsAnswer(
            total_trades=sums.total,
            open_trades=sums.open,
            closed_trades=sums.closed,
            profitable_trades=sums.profitable,
            unprofitable_trades=sums.unprofitable,
            liquidated_trades=sums.liquidated,
            total_pnl=format_usdc(sums.total_pnl),
        ),
        pagination=Pagination(
            total=sums.total,
            limit=query.limit,
            offset=query.offset,
            has_more=more,
            next_cursor=cursor_of(rows[-1].place) if goes_on else UNSET,
        ),
    )


def _entry_notional(row: TradeRow, instrument: Instrument) -> int:
    """Rounded up. Of a net position, at its average entry."""
    unit = net_unit(instrument.decimals, instrument.quantity_places) if row.net else None
    return -(-row.size // LEVERAGE_UNIT) if unit is None else -(-row.size * row.entry // unit)


def _history_row(kind: type[Row], row: TradeRow, rules: Rules) -> Row:
    """Its asset need not be configured any more."""
    decimals = row.decimals
    instrument = rules.instruments.get(row.asset) or Instrument(row.asset, decimals, 0)
    entry = format_scaled(row.entry, decimals)
    return kind(
        order_id=row.id,
        client_order_id=row.client_order or UNSET,
        asset=row.asset,
        type=row.side.value,
        margin=format_usdc(row.margin),
        leverage=leverage_out(row.leverage),
        entry_price=entry,
        liquidation_price=format_scaled(row.liquidation, decimals),
        open_price=entry,
        close_price=format_scaled(row.close_price, decimals) if row.close_price is not None else None,
        pnl=format_usdc(row.pnl) if row.pnl is not None else None,
        pnl_percentage=percent_out(margin.percent_of_margin(row.pnl, row.margin)) if row.pnl is not None else None,
        status="open" if row.closed_at is None else "closed",
        liquidated=row.liquidated,
        shortfall=format_usdc(row.shortfall),
        created_at=iso(row.opened_at),
        closed_at=iso(row.closed_at) if row.closed_at is not None else None,
        duration_seconds=(row.closed_at - row.opened_at) / 1_000_000 if row.closed_at is not None else None,
        net=row.net,
        quantity=quantity_out(row.size, row.entry, instrument, net=row.net),
        notional=format_usdc(_entry_notional(row, instrument)),
        commission=format_usdc(row.commission),
        funding=format_usdc(row.funding),
        realized_pnl=format_usdc(row.realized),
        close_reason=row.close_reason.value if row.close_reason is not None else None,
    )

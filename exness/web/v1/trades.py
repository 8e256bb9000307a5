"""Trades: create, close, open, history."""

from aiohttp import web
from msgspec import UNSET

from exness.core import margin
from exness.core.commands import CloseTrade
from exness.core.events import Record, TradeClosed, TradeOpened
from exness.core.instruments import AccountId, TradeId
from exness.core.money import format_scaled, format_usdc
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from exness.core.views import HoldingsOf
from exness.runtime.exchange import Exchange
from exness.runtime.ports.tables import Analytics, HistoryTooLong, TradeQuery, TradeRow
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.holdings import rows_of
from exness.web.v1.models import (
    AnalyticsAnswer,
    HistoryAnswer,
    HistoryRow,
    Pagination,
    TradeClosedAnswer,
    TradeCreated,
    iso,
    leverage_out,
    percent_out,
)
from exness.web.v1.parse import OpenQuery, close_order, create_order, history_query, open_query
from exness.web.v1.refusals import refused
from exness.web.v1.requests import json_body, signed_in


async def create(request: web.Request) -> web.StreamResponse:
    """POST /trade/create."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = create_order(await json_body(request), exchange.rules, account, exchange.ids)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    return answer(await _created(outcome, exchange))


async def close(request: web.Request) -> web.StreamResponse:
    """POST /trade/close."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    trade_id = close_order(await json_body(request))
    outcome = await exchange.do(CloseTrade(account, trade_id), request[REQUEST_STATE].request_id)
    match outcome:
        case Done([record]):
            assert isinstance(record.event, TradeClosed)
            return answer(_closed(record.event, record.at, exchange.rules))
        case Refusal(Reject.TRADE_NOT_FOUND):
            raise await _not_open(exchange, account, trade_id)
        case Refusal():
            raise refused(outcome, exchange.rules)
        case _:
            raise AssertionError(f"a close can't have {outcome!r}")


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
    charge_rows(request, query.limit)
    try:
        rows, analytics = await exchange.trades(query)
    except HistoryTooLong as long:
        what = f"more than {long.most:,} trades would have to be looked at: narrow the span with fromDate and toDate"
        raise InvalidRequest([FieldError("fromDate", what)]) from long
    return answer(_history(query, rows, analytics))


async def _not_open(exchange: Exchange, account: AccountId, trade_id: TradeId) -> ApiError:
    """Why there is nothing to close: it ended before, or it never was (or is somebody else's, which is the same)."""
    row = await exchange.trade(account, trade_id)
    if row is None or row.closed_at is None or row.close_price is None or row.pnl is None or row.returned is None:
        return ApiError(Reject.TRADE_NOT_FOUND)
    return ApiError(
        "trade_already_closed",
        details={
            "orderId": row.id,
            "closePrice": format_scaled(row.close_price, row.decimals),
            "pnl": format_usdc(row.pnl),
            "returned": format_usdc(row.returned),
            "liquidated": row.liquidated,
            "closedAt": iso(row.closed_at),
        },
    )


# --- answers ------------------------------------------------------------------------------------------------------


async def _created(outcome: Outcome, exchange: Exchange) -> TradeCreated:
    match outcome:
        case Done([record]):
            return _created_answer(record, exchange.rules)
        case Repeated(seen):
            return _created_answer(await exchange.record(seen.seq), exchange.rules)
        case Refusal():
            raise refused(outcome, exchange.rules)
        case _:
            raise AssertionError(f"an open can't have {outcome!r}")


def _created_answer(record: Record, rules: Rules) -> TradeCreated:
    event = record.event
    assert isinstance(event, TradeOpened)
    trade, balance = event.trade, event.balance
    decimals = rules.instruments[trade.asset].decimals
    return TradeCreated(
        success=True,
        order_id=trade.id,
        client_order_id=trade.client_order or UNSET,
        asset=trade.asset,
        type=trade.side.value,
        margin=format_usdc(trade.margin),
        leverage=leverage_out(trade.leverage),
        entry_price=format_scaled(trade.entry, decimals),
        liquidation_price=format_scaled(trade.liquidation, decimals),
        created_at=iso(trade.opened_at),
        balance=format_usdc(balance),
    )


def _closed(event: TradeClosed, at: int, rules: Rules) -> TradeClosedAnswer:
    return TradeClosedAnswer(
        success=True,
        order_id=event.trade_id,
        close_price=format_scaled(event.price, rules.instruments[event.asset].decimals),
        pnl=format_usdc(event.pnl),
        returned=format_usdc(event.returned),
        liquidated=False,
        closed_at=iso(at),
        balance=format_usdc(event.balance),
    )


def _history(query: TradeQuery, rows: list[TradeRow], sums: Analytics) -> HistoryAnswer:
    return HistoryAnswer(
        success=True,
        data=[_history_row(row) for row in rows],
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
            has_more=query.offset + len(rows) < sums.total,
        ),
    )


def _history_row(row: TradeRow) -> HistoryRow:
    decimals = row.decimals
    entry = format_scaled(row.entry, decimals)
    return HistoryRow(
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
    )

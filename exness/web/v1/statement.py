"""An account over time: what moved its money, and what it was worth."""

from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from exness.core.money import format_usdc
from exness.runtime.equity import StatementRow as Moved
from exness.runtime.ports.tables import HistoryTooLong, StatementQuery
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.export import ROWS_A_PAGE, send_csv, wants_csv
from exness.web.v1.format import iso
from exness.web.v1.models import MAX_LIMIT
from exness.web.v1.parse import equity_query, format_asked, statement_query
from exness.web.v1.requests import signed_in


class StatementRow(msgspec.Struct, frozen=True, rename="camel"):
    """`amount` moved, and `balance` is the free balance after it. `orderId` is the trade or order that it is of."""

    seq: int
    at: str
    reason: str
    amount: str
    balance: str
    order_id: str | UnsetType = UNSET
    asset: str | UnsetType = UNSET


class StatementAnswer(msgspec.Struct, frozen=True):
    """Newest first; rows of one record in their order. A page never ends within a record."""

    success: bool
    data: list[StatementRow]


class EquityRow(msgspec.Struct, frozen=True, rename="camel"):
    """At the end of a candle: `equity` is the sum of the others."""

    at: str
    equity: str
    balance: str
    locked: str
    reserved: str
    unrealized_pnl: str


class EquityAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[EquityRow]


async def statement(request: web.Request) -> web.StreamResponse:
    """GET /account/statement."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    query = statement_query(account, request.query, exchange.rules)
    if wants_csv(request, format_asked(request.query)):
        return await _export(request, query)
    charge_rows(request, query.limit)
    return answer(StatementAnswer(True, list(map(_shown, await exchange.statement(query)))))


async def _export(request: web.Request, query: StatementQuery) -> web.StreamResponse:
    """All that match, newest first."""
    if "limit" in request.query:
        raise InvalidRequest([FieldError("format", "as CSV all rows come, without a limit")])
    charge_rows(request, MAX_LIMIT)
    exchange = services_of(request).exchange

    async def pages() -> AsyncIterator[list[Callable[[], StatementRow]]]:
        page = msgspec.structs.replace(query, limit=ROWS_A_PAGE)
        while rows := await exchange.statement(page):
            yield [partial(_shown, row) for row in rows]
            page = msgspec.structs.replace(page, before=rows[-1].seq)

    return await send_csv(request, "statement", StatementRow, pages())


def _shown(row: Moved) -> StatementRow:
    return StatementRow(
        row.seq,
        iso(row.at),
        row.reason.value,
        format_usdc(row.amount),
        format_usdc(row.balance),
        row.order_id or UNSET,
        row.asset or UNSET,
    )


async def equity(request: web.Request) -> web.StreamResponse:
    """GET /account/equity."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    query = equity_query(request.query)
    charge_rows(request, query.limit)
    try:
        rows = await exchange.equity(account, query.start, query.end, query.interval, query.limit)
    except HistoryTooLong as long:
        raise ApiError("range_too_large", details={"most": long.most}) from long
    data = [
        EquityRow(
            iso(row.at),
            format_usdc(row.equity),
            format_usdc(row.balance),
            format_usdc(row.locked),
            format_usdc(row.reserved),
            format_usdc(row.unrealized),
        )
        for row in rows
    ]
    return answer(EquityAnswer(True, data))

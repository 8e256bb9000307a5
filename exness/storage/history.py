"""Trades and orders of all times, from the tables of main.db.

An account's trades lie in an index in the order they were opened. A page of all of them is read from there. For other
filters and orders they are looked through, up to LOOKED_AT of them; what would take more is refused.

What an account's trades add up to is kept in its row of `sums`. What is asked of all of them, of the open or of the
ended ones, liquidated or not, follows from that row; for any other filter the trades that match are summed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar

import msgspec

from exness.core.instruments import AccountId, OrderId, TradeId
from exness.runtime.ports.tables import (
    Analytics,
    ClosedTrade,
    HistoryTooLong,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    Place,
    RecordQuery,
    SortBy,
    Span,
    StatementQuery,
    TradeQuery,
    TradeRow,
)
from exness.storage import history_all, history_net, history_records
from exness.storage.asking import EARLIEST, LATEST, LOOKED_AT, Asking, Found, Values, answered, one
from exness.storage.database import Database
from exness.storage.history_rows import order_row, trade_row
from exness.storage.rows import Sums
from exness.storage.wide import joined, sum_of, summed

COLUMNS = """id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
    client_order_id, close_reason, close_price, pnl, returned, shortfall, closed_at, net, size, size_e18, commission,
    funding, realized, opened_seq"""

SUMS_OF = """
    SELECT opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_profitable,
        liquidated_pnl, liquidated_pnl_e18
    FROM sums WHERE account_id = ?"""

SPAN = """
    FROM trades INDEXED BY trades_of_account
    WHERE account_id = :account AND created_at BETWEEN :opened_from AND :opened_to"""

BEYOND = "AND (:seq IS NULL OR created_at <> :at OR opened_seq {than} :seq)"
"""With the time of the opening as the end of the span: those that come after one trade."""

IS_LONG = f"SELECT count(*) FROM (SELECT 1 {SPAN} LIMIT :most + 1) AS walked"  # of constants alone  # nosec B608

# One fixed text for all filters, so that SQLite prepares it once: a filter that is not asked for is NULL.
MATCHES = """
    (:is_open IS NULL OR (close_reason IS NULL) = :is_open)
    AND (:asset IS NULL OR asset = :asset)
    AND (:side IS NULL OR side = :side)
    AND (:profitable IS NULL OR (close_reason IS NOT NULL AND (realized > 0) = :profitable))
    AND (:liquidated IS NULL OR (close_reason = 'liquidation') = :liquidated)
    AND (:closed_from IS NULL OR closed_at >= :closed_from)
    AND (:closed_to IS NULL OR closed_at <= :closed_to)"""

SUMMED = f"""
    SELECT count(*), count(*) - count(close_reason), count(close_reason),
        count(CASE WHEN close_reason IS NOT NULL AND realized > 0 THEN 1 END),
        count(CASE WHEN close_reason IS NOT NULL AND realized <= 0 THEN 1 END),
        count(CASE WHEN close_reason = 'liquidation' THEN 1 END),
        {sum_of("CASE WHEN close_reason IS NULL THEN 0 ELSE realized END")}
    {SPAN} AND {MATCHES}"""

ORDER = {
    SortBy.CREATED_AT: "created_at {way}, opened_seq {way}",
    SortBy.CLOSED_AT: "closed_at {way} NULLS LAST, opened_seq {way}",
    SortBy.PNL: "CASE WHEN close_reason IS NOT NULL THEN realized END {way} NULLS LAST, opened_seq {way}",
    SortBy.MARGIN: "margin {way}, opened_seq {way}",
    SortBy.LEVERAGE: "leverage {way}, opened_seq {way}",
}


def _order(sort_by: SortBy, descending: bool) -> str:
    return "ORDER BY " + ORDER[sort_by].format(way="DESC" if descending else "ASC")


PAGES = {
    (
        sort_by,
        descending,
    ): f"SELECT {COLUMNS} {SPAN} AND {MATCHES} {_order(sort_by, descending)} LIMIT :limit OFFSET :offset"
    for sort_by, descending in product(SortBy, (False, True))
}
"""Every order a page can have, as a text of its own."""

WALKED = {
    descending: f"FROM (SELECT * {SPAN} {BEYOND.format(than='<' if descending else '>')} "  # nosec B608
    f"{_order(SortBy.CREATED_AT, descending)} LIMIT :most) AS walked"
    for descending in (False, True)
}
"""The next trades in the order of the index."""

FIRST_PAGES = {
    descending: f"SELECT {COLUMNS} {walked} WHERE {MATCHES} LIMIT :limit OFFSET :offset"  # nosec B608
    for descending, walked in WALKED.items()
}
"""In that order, which ends the walk with the page, or with the last trade that may be looked at."""

WALKS = {descending: f"SELECT {COLUMNS}, {MATCHES} {walked}" for descending, walked in WALKED.items()}  # nosec B608
"""All that are walked past; the last column says whether they match."""

ONE_TRADE = f"SELECT {COLUMNS} FROM trades WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608

_ORDER_COLUMNS = """id, account_id, asset, side, kind, net, margin, leverage, quantity, limit_price, stop_price,
    expires_at, reserved, take_profit, stop_loss, trailing, closes, client_order_id, label, number,
    coalesce(fired, 0), created_at, status, reason, ended_at, filled, price"""

ALL_OF_ORDERS = _ORDER_COLUMNS.replace("coalesce(fired, 0)", "fired")
NUMBER_OF_FIRED = [column.strip() for column in ALL_OF_ORDERS.split(",")].index("fired")

_OF_ACCOUNT = "FROM orders INDEXED BY orders_of_account WHERE account_id = :account"
_HAS_ENDED = "status IS NOT NULL AND (:asset IS NULL OR asset = :asset)"

ARE_MANY_ORDERS = f"SELECT count(*) FROM (SELECT 1 {_OF_ACCOUNT} LIMIT :most + 1) AS walked"  # of constants alone  # nosec B608
COUNTED_ORDERS = f"SELECT count(*) {_OF_ACCOUNT} AND {_HAS_ENDED}"  # of constants alone  # nosec B608
PAGE_OF_ORDERS = (
    f"SELECT {_ORDER_COLUMNS} FROM (SELECT * {_OF_ACCOUNT} ORDER BY number DESC LIMIT :most) AS walked "  # nosec B608
    f"WHERE {_HAS_ENDED} LIMIT :limit OFFSET :offset"
)
NEXT_ORDERS = (
    f"SELECT {_ORDER_COLUMNS} FROM (SELECT * {_OF_ACCOUNT} AND number < :below ORDER BY number DESC LIMIT :most) "  # nosec B608
    f"AS walked WHERE {_HAS_ENDED} LIMIT :limit"
)
ARE_MANY_BELOW = f"SELECT count(*) FROM (SELECT 1 {_OF_ACCOUNT} AND number < :below LIMIT :most + 1) AS walked"  # nosec B608
ONE_ORDER = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608
ENDED_ORDERS = "SELECT orders FROM sums WHERE account_id = ?"

T = TypeVar("T")
Answer = Callable[[Asking[Any]], Awaitable[Any]]


class TablesHistory:
    """Implements `ports.History`: `answer` puts a question to the database. `decimals` are those of every asset there
    ever was."""

    def __init__(self, answer: Answer, decimals: Mapping[str, int]) -> None:
        self._answer = answer
        self._decimals = decimals

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        rows, sums = await self._answer(_trades(query))
        return [trade_row(self._decimals, row) for row in rows], sums

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        found = await self._answer(_all(WALKS[query.descending], _parameters(query) | {"most": query.limit}))
        rows = [trade_row(self._decimals, row) for *row, matches in found if matches]
        if len(found) < query.limit:
            return rows, None
        *last, _ = found[-1]
        return rows, trade_row(self._decimals, last).place

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        rows = await self._answer(_all(ONE_TRADE, (trade_id, account)))
        return trade_row(self._decimals, rows[0]) if rows else None

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        rows, total = await self._answer(_orders(query))
        return [order_row(self._decimals, row) for row in rows], total

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        rows = await self._answer(_all(ONE_ORDER, (order_id, account)))
        return order_row(self._decimals, rows[0]) if rows else None

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        return [order_row(self._decimals, row) for row in await self._answer(_net_orders(query))]

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        rows = await self._answer(history_net.orders_named(account, list(ids), _ORDER_COLUMNS))
        return [order_row(self._decimals, row) for row in rows]

    async def picked(self, query: RecordQuery) -> list[int]:
        found: list[int] = await self._answer(history_records.picked(query))
        return found

    async def moves(self, query: StatementQuery) -> list[int]:
        found: list[int] = await self._answer(history_records.moves(query))
        return found

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        found: Span = await self._answer(history_records.span(account, start, end))
        return found

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        rows = await self._answer(_all(history_all.NEXT_TRADES, (after, limit)))
        return history_all.closed(rows), TradeId(rows[-1][0]) if len(rows) == limit else None

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        found: dict[AccountId, int] = await self._answer(history_all.deposited(list(accounts)))
        return found


class SqliteHistory(TablesHistory):
    """From main.db."""

    def __init__(self, reader: Database, decimals: Mapping[str, int]) -> None:
        def answer(asking: Asking[T]) -> Awaitable[T]:
            return reader.run(answered, asking)

        super().__init__(answer, decimals)


def _trades(query: TradeQuery) -> Asking[tuple[Found, Analytics]]:
    walk = _parameters(query)
    if query.beyond is not None:
        return (yield from _next_trades(query, walk))
    if sums_are_kept(query):
        found = of_kept(query, (yield from _kept(query.account)))
        wanted = min(query.limit, found.total - query.offset)
        if wanted <= 0:
            return [], found
        if query.sort_by is SortBy.CREATED_AT:
            rows = yield FIRST_PAGES[query.descending], walk | {"limit": wanted}
            if len(rows) < wanted:
                raise HistoryTooLong(LOOKED_AT)
            return rows, found
        yield from _refuse_long(walk)
    else:
        yield from _refuse_long(walk)
        found = yield from _summed(walk)
    rows = yield PAGES[query.sort_by, query.descending], walk
    return rows, found


def _next_trades(query: TradeQuery, walk: Values) -> Asking[tuple[Found, Analytics]]:
    """The sums are of all that match, so they look past the place from which the page goes on."""
    if sums_are_kept(query):
        found: Analytics = of_kept(query, (yield from _kept(query.account)))
    else:
        whole = _parameters(msgspec.structs.replace(query, beyond=None))
        yield from _refuse_long(whole)
        found = yield from _summed(whole)
    rows = yield FIRST_PAGES[query.descending], walk
    if len(rows) < query.limit:
        yield from _refuse_long(walk)
    return rows, found


def _parameters(query: TradeQuery) -> Values:
    beyond = query.beyond
    opened_from = EARLIEST if query.opened_from is None else query.opened_from
    opened_to = LATEST if query.opened_to is None else query.opened_to
    if beyond is not None and query.descending:
        opened_to = min(opened_to, beyond.opened_at)
    elif beyond is not None:
        opened_from = max(opened_from, beyond.opened_at)
    return {
        "account": query.account,
        "most": LOOKED_AT,
        "limit": query.limit,
        "offset": query.offset,
        "is_open": query.is_open,
        "asset": query.asset,
        "side": query.side.value if query.side is not None else None,
        "profitable": query.profitable,
        "liquidated": query.liquidated,
        "opened_from": opened_from,
        "opened_to": opened_to,
        "closed_from": query.closed_from,
        "closed_to": query.closed_to,
        "at": None if beyond is None else beyond.opened_at,
        "seq": None if beyond is None else beyond.seq,
    }


def _refuse_long(walk: Values) -> Asking[None]:
    if (yield from one(IS_LONG, walk)) > LOOKED_AT:
        raise HistoryTooLong(LOOKED_AT)


def sums_are_kept(query: TradeQuery) -> bool:
    """Whether an account's row in `sums` tells what the matches of this query sum up to."""
    times = (query.opened_from, query.opened_to, query.closed_from, query.closed_to)
    return all(each is None for each in (query.asset, query.side, query.profitable, *times))


def _kept(account: AccountId) -> Asking[Sums]:
    rows = yield SUMS_OF, (account,)
    if not rows:
        return Sums(account)
    opened, closed, profitable, won, won_e18, liquidated, some, lost, lost_e18 = rows[0]
    return Sums(account, opened, closed, profitable, joined(won, won_e18), liquidated, some, joined(lost, lost_e18))


def of_kept(query: TradeQuery, sums: Sums) -> Analytics:
    """Every trade is open, closed or liquidated: the sums of those kinds that the query takes."""
    still_open = sums.opened - sums.closed - sums.liquidated
    closed, profitable, won = sums.closed, sums.profitable, sums.closed_pnl
    liquidated, gained, lost = sums.liquidated, sums.liquidated_profitable, sums.liquidated_pnl
    if query.is_open is False or query.liquidated is not None:
        still_open = 0
    if query.is_open or query.liquidated:
        closed = profitable = won = 0
    if query.is_open or query.liquidated is False:
        liquidated = gained = lost = 0
    return Analytics(
        total=still_open + closed + liquidated,
        open=still_open,
        closed=closed + liquidated,
        profitable=profitable + gained,
        unprofitable=closed - profitable + liquidated - gained,
        liquidated=liquidated,
        total_pnl=won + lost,
    )


def _summed(walk: Values) -> Asking[Analytics]:
    rows = yield SUMMED, walk
    total, still_open, closed, profitable, unprofitable, liquidated, high, low = rows[0]
    return Analytics(total, still_open, closed, profitable, unprofitable, liquidated, summed(int(high), int(low)))


# --- orders ---------------------------------------------------------------------------------------------------------


def _orders(query: OrderQuery) -> Asking[tuple[Found, int]]:
    """How many have ended is kept; those of one asset are counted, if the account has not had too many."""
    walk: Values = {
        "account": query.account,
        "asset": query.asset,
        "most": LOOKED_AT,
        "limit": query.limit,
        "offset": query.offset,
        "below": query.below,
    }
    if query.asset is None:
        kept = yield ENDED_ORDERS, (query.account,)
        total: int = kept[0][0] if kept else 0
    elif (yield from one(ARE_MANY_ORDERS, walk)) > LOOKED_AT:
        raise HistoryTooLong(LOOKED_AT, "orders")
    else:
        total = yield from one(COUNTED_ORDERS, walk)
    if query.below is not None:
        rows = yield NEXT_ORDERS, walk
        if len(rows) < query.limit and (yield from one(ARE_MANY_BELOW, walk)) > LOOKED_AT:
            raise HistoryTooLong(LOOKED_AT, "orders")
        return rows, total
    rows = yield PAGE_OF_ORDERS, walk
    if len(rows) < min(query.limit, total - query.offset):
        raise HistoryTooLong(LOOKED_AT, "orders")
    return rows, total


def _all(statement: str, parameters: Values | tuple[object, ...]) -> Asking[Found]:
    rows = yield statement, parameters
    return rows


def _net_orders(query: NetOrderQuery) -> Asking[Found]:
    rows = yield from history_net.net_orders(query, ALL_OF_ORDERS, LOOKED_AT)
    return [(*row[:NUMBER_OF_FIRED], row[NUMBER_OF_FIRED] or 0, *row[NUMBER_OF_FIRED + 1 :]) for row in rows]

"""Trades and orders of all times, and which records moved money, from the tables of main.db.

An account's trades lie in an index in the order they were opened. A page of all of them is read from there. For other
filters and orders they are looked through, up to LOOKED_AT of them; what would take more is refused.

What an account's trades add up to is kept in its row of `sums`. What is asked of all of them, of the open or of the
ended ones, liquidated or not, follows from that row; for any other filter the trades that match are summed.

A statement's rows are in no table, as a record tells them alone: which records make a page is read from the account's
index of them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar

from exness.core.instruments import AccountId, OrderId, TradeId
from exness.core.trades import PLACES
from exness.runtime.ports.tables import (
    Analytics,
    HistoryTooLong,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    RecordQuery,
    SortBy,
    Span,
    StatementQuery,
    TradeQuery,
    TradeRow,
)
from exness.storage import history_net
from exness.storage.asking import Asking, Found, answered
from exness.storage.database import Database
from exness.storage.fold import BITS
from exness.storage.history_rows import order_row, trade_row
from exness.storage.rows import Sums
from exness.storage.wide import joined, sum_of, summed

LOOKED_AT = 50_000
"""Trades, orders or records that one question may look at: about a tenth of a second of the reading thread."""

MOST_CHANGES = 100_000
"""Of an account, within one span."""

COLUMNS = """id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
    client_order_id, close_reason, close_price, pnl, returned, shortfall, closed_at, net, size, size_e18, commission,
    funding, realized"""

SUMS_OF = """
    SELECT opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_profitable,
        liquidated_pnl, liquidated_pnl_e18
    FROM sums WHERE account_id = ?"""

SPAN = """
    FROM trades INDEXED BY trades_of_account
    WHERE account_id = :account AND created_at BETWEEN :opened_from AND :opened_to"""

IS_LONG = f"SELECT count(*) FROM (SELECT 1 {SPAN} LIMIT :most + 1) AS walked"  # of constants alone  # nosec B608

# One fixed text for all filters, so that SQLite prepares it once: a filter that is not asked for is NULL.
MATCHES = """
    (:is_open IS NULL OR (close_reason IS NULL) = :is_open)
    AND (:asset IS NULL OR asset = :asset)
    AND (:side IS NULL OR side = :side)
    AND (:profitable IS NULL OR (close_reason IS NOT NULL AND (realized > 0) = :profitable))
    AND (:liquidated IS NULL OR (close_reason = 'liquidation') = :liquidated)"""

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

FIRST_PAGES = {
    descending: (
        f"SELECT {COLUMNS} FROM (SELECT * {SPAN} {_order(SortBy.CREATED_AT, descending)} LIMIT :most) AS walked "  # nosec B608
        f"WHERE {MATCHES} LIMIT :limit OFFSET :offset"
    )
    for descending in (False, True)
}
"""In the order of the index, which ends the walk with the page, or with the last trade that may be looked at."""

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
ONE_ORDER = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608
ENDED_ORDERS = "SELECT orders FROM sums WHERE account_id = ?"

MOVES = """
    SELECT seq, reasons FROM
        (SELECT * FROM account_records WHERE account_id = :account AND seq < :before ORDER BY seq DESC LIMIT :most)
        AS walked
    WHERE (reasons & :wanted) <> 0 AND (:asset IS NULL OR asset = :asset)
    LIMIT :limit"""
IS_FAR = (
    "SELECT 1 FROM account_records WHERE account_id = :account AND seq < :before ORDER BY seq DESC LIMIT 1 OFFSET :most"
)

LAST_AT = "SELECT seq, at FROM account_records WHERE account_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
ARE_MANY_CHANGES = """
    SELECT count(*) FROM
        (SELECT 1 FROM account_records WHERE account_id = ? AND seq > ? AND seq <= ? LIMIT ?) AS walked"""
HELD_TRADES = """
    SELECT opened_seq, (SELECT max(seq) FROM account_records WHERE changes = opened_seq AND seq <= :seq)
    FROM trades INDEXED BY trades_of_account
    WHERE account_id = :account AND created_at <= :at AND opened_seq <= :seq
        AND (closed_seq IS NULL OR closed_seq > :seq)"""
BEFORE_TRADES = """
    SELECT count(*) FROM (
        SELECT 1 FROM trades INDEXED BY trades_of_account
        WHERE account_id = :account AND created_at <= :at LIMIT :most) AS walked"""
HELD_ORDERS = f"""
    SELECT number / {PLACES}, (SELECT max(seq) FROM account_records WHERE changes = number / {PLACES} AND seq <= :seq)
    {_OF_ACCOUNT} AND number < (:seq + 1) * {PLACES} AND closes IS NULL AND (status IS NULL OR ended_seq > :seq)"""  # nosec B608
BEFORE_ORDERS = f"""
    SELECT count(*) FROM (SELECT 1 {_OF_ACCOUNT} AND number < (:seq + 1) * {PLACES} LIMIT :most) AS walked"""  # nosec B608

Values = dict[str, str | int | None]
T = TypeVar("T")
Answer = Callable[[Asking[Any]], Awaitable[Any]]

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class TablesHistory:
    """Implements `ports.History`: `answer` puts a question to the database. `decimals` are those of every asset there
    ever was."""

    def __init__(self, answer: Answer, decimals: Mapping[str, int]) -> None:
        self._answer = answer
        self._decimals = decimals

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        rows, sums = await self._answer(_trades(query))
        return [trade_row(self._decimals, row) for row in rows], sums

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
        found: list[int] = await self._answer(_picked(query))
        return found

    async def moves(self, query: StatementQuery) -> list[int]:
        found: list[int] = await self._answer(_moves(query))
        return found

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        found: Span = await self._answer(_span(account, start, end))
        return found


class SqliteHistory(TablesHistory):
    """From main.db."""

    def __init__(self, reader: Database, decimals: Mapping[str, int]) -> None:
        def answer(asking: Asking[T]) -> Awaitable[T]:
            return reader.run(answered, asking)

        super().__init__(answer, decimals)


def _trades(query: TradeQuery) -> Asking[tuple[Found, Analytics]]:
    walk = _parameters(query)
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


def _parameters(query: TradeQuery) -> Values:
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
        "opened_from": _EARLIEST if query.opened_from is None else query.opened_from,
        "opened_to": _LATEST if query.opened_to is None else query.opened_to,
    }


def _refuse_long(walk: Values) -> Asking[None]:
    if (yield from _one(IS_LONG, walk)) > LOOKED_AT:
        raise HistoryTooLong(LOOKED_AT)


def sums_are_kept(query: TradeQuery) -> bool:
    """Whether an account's row in `sums` tells what the matches of this query sum up to."""
    others = (query.asset, query.side, query.profitable, query.opened_from, query.opened_to)
    return all(each is None for each in others)


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
    }
    if query.asset is None:
        kept = yield ENDED_ORDERS, (query.account,)
        total: int = kept[0][0] if kept else 0
    elif (yield from _one(ARE_MANY_ORDERS, walk)) > LOOKED_AT:
        raise HistoryTooLong(LOOKED_AT, "orders")
    else:
        total = yield from _one(COUNTED_ORDERS, walk)
    rows = yield PAGE_OF_ORDERS, walk
    if len(rows) < min(query.limit, total - query.offset):
        raise HistoryTooLong(LOOKED_AT, "orders")
    return rows, total


def _all(statement: str, parameters: tuple[object, ...]) -> Asking[Found]:
    rows = yield statement, parameters
    return rows


def _one(statement: str, parameters: Values | tuple[object, ...]) -> Asking[int]:
    """The number that a statement finds."""
    rows = yield statement, parameters
    return int(rows[0][0])


def _net_orders(query: NetOrderQuery) -> Asking[Found]:
    rows = yield from history_net.net_orders(query, ALL_OF_ORDERS, LOOKED_AT)
    return [(*row[:NUMBER_OF_FIRED], row[NUMBER_OF_FIRED] or 0, *row[NUMBER_OF_FIRED + 1 :]) for row in rows]


# --- records --------------------------------------------------------------------------------------------------------


def _moves(query: StatementQuery) -> Asking[list[int]]:
    """`reasons` tells how many rows of each record match."""
    wanted = sum(BITS.values()) if query.reason is None else BITS[query.reason]
    walk: Values = {
        "account": query.account,
        "before": _LATEST if query.before is None else query.before,
        "wanted": wanted,
        "asset": query.asset,
        "most": LOOKED_AT,
        "limit": query.limit,
    }
    seqs: list[int] = []
    rows = 0
    for seq, reasons in (yield MOVES, walk):
        seqs.append(seq)
        rows += (reasons & wanted).bit_count()
        if rows >= query.limit:
            return seqs
    if (yield IS_FAR, walk):
        raise HistoryTooLong(LOOKED_AT, "records")
    return seqs


def _picked(query: RecordQuery) -> Asking[list[int]]:
    account = query.account
    first = query.first if query.start is None else (yield from _last_at(account, query.start - 1)) + 1
    last = _LATEST if query.end is None else (yield from _last_at(account, query.end))
    return (yield from history_net.picked(query, max(first, query.first), last, LOOKED_AT))


def _span(account: AccountId, start: int, end: int) -> Asking[Span]:
    first = yield from _last_at(account, start)
    last = yield from _last_at(account, end)
    if (yield from _one(ARE_MANY_CHANGES, (account, first, last, MOST_CHANGES + 1))) > MOST_CHANGES:
        raise HistoryTooLong(MOST_CHANGES, "changes")
    walk: Values = {"account": account, "seq": first, "at": start, "most": MOST_CHANGES + 1}
    for before, what in ((BEFORE_TRADES, "trades"), (BEFORE_ORDERS, "orders")):
        if (yield from _one(before, walk)) > MOST_CHANGES:
            raise HistoryTooLong(MOST_CHANGES, what)
    trades = yield HELD_TRADES, walk
    orders = yield HELD_ORDERS, walk
    return Span(first, last, sorted(made if changed is None else changed for made, changed in trades + orders))


def _last_at(account: AccountId, at: int) -> Asking[int]:
    """The account's last record of this time or before; 0: there is none. Times never fall from record to record, so
    it is found by halving."""
    newest = yield LAST_AT, (account, _LATEST)
    found, low, high = 0, 1, newest[0][0] if newest else 0
    while low <= high:
        middle = (low + high) // 2
        rows = yield LAST_AT, (account, middle)
        if not rows or rows[0][1] <= at:
            found, low = (rows[0][0] if rows else found), middle + 1
        else:
            high = rows[0][0] - 1
    return found

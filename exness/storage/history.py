"""Trades of all times and candles, from the tables of main.db.

An account's trades are a chain from its newest to its first; each has a number, every 32nd is in an index. So a page of
all of them is found by its numbers, however long the history is; for other filters and orders the chain is walked.

What an account's trades sum up to is kept in its row of `balances`. What is asked of all of them, of the open or of the
ended ones, liquidated or not, follows from that row; for any other filter the trades that match are summed.
"""

import sqlite3
from itertools import product
from typing import Any

from exness.core.instruments import AccountId, Asset, OrderId, Side
from exness.runtime.candles import Candle, CandleBatch, CandleQuery
from exness.runtime.ports import Analytics, SortBy, TradeQuery, TradeRow
from exness.storage.candles import select_candles, select_newest
from exness.storage.database import Database, one_view
from exness.storage.wide import joined, sum_of, summed

COLUMNS = """id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
    client_order_id, status = 'liquidated', close_price, pnl, returned, shortfall, closed_at"""

KEPT = """
    SELECT newest, opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_pnl,
        liquidated_pnl_e18
    FROM balances WHERE account_id = :account"""

MILESTONE = """
    SELECT opened_seq FROM trades WHERE account_id = :account AND number % 32 = 0 AND number >= :highest
    ORDER BY number LIMIT 1"""
"""Where the way down to number :highest begins, at most 31 trades above it; if there is none, at the newest."""

CHAIN = """
    WITH RECURSIVE chain (seq) AS (
        SELECT :start
        UNION ALL
        SELECT previous FROM chain CROSS JOIN trades ON opened_seq = seq
        WHERE number > :lowest AND created_at >= :opened_from AND previous < seq
    )"""
"""From :start down to number :lowest, or to the first that is too old. Times go up with numbers. It goes
downwards only, so it ends whatever the file holds."""

# One fixed text for all filters, so that SQLite prepares it once: a filter that is not asked for is NULL.
MATCHES = """
    FROM chain CROSS JOIN trades ON opened_seq = seq
    WHERE number BETWEEN :lowest AND :highest AND created_at BETWEEN :opened_from AND :opened_to
        AND (:is_open IS NULL OR (status = 'open') = :is_open)
        AND (:asset IS NULL OR asset = :asset)
        AND (:side IS NULL OR side = :side)
        AND (:profitable IS NULL OR (pnl > 0) = :profitable)
        AND (:liquidated IS NULL OR (status <> 'open' AND (status = 'liquidated') = :liquidated))"""

SUMS = f"""
    {CHAIN}
    SELECT count(*), coalesce(sum(status = 'open'), 0), coalesce(sum(status <> 'open'), 0),
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl <= 0), 0), coalesce(sum(status = 'liquidated'), 0),
        {sum_of("pnl")}
    {MATCHES}"""

ORDER = {
    SortBy.CREATED_AT: "number {way}",
    SortBy.CLOSED_AT: "closed_at {way} NULLS LAST, opened_seq {way}",
    SortBy.PNL: "pnl {way} NULLS LAST, opened_seq {way}",
    SortBy.MARGIN: "margin {way}, opened_seq {way}",
    SortBy.LEVERAGE: "leverage {way}, opened_seq {way}",
}


def _in_order(sort_by: SortBy, descending: bool) -> str:
    """Newest first is how the chain goes: nothing to sort, and the walk ends with the page."""
    if sort_by is SortBy.CREATED_AT and descending:
        return ""
    return f"ORDER BY {ORDER[sort_by].format(way='DESC' if descending else 'ASC')}"


PAGES = {
    (sort_by, descending): f"""
    {CHAIN} SELECT {COLUMNS} {MATCHES} {_in_order(sort_by, descending)} LIMIT :limit OFFSET :offset"""
    for sort_by, descending in product(SortBy, (False, True))
}
"""Every order a page can have, as a text of its own."""

DECIMALS = "SELECT symbol, decimals FROM assets"

ONE_TRADE = f"SELECT {COLUMNS} FROM trades WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608

Parameters = dict[str, str | int | None]

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class SqliteHistory:
    """Implements `ports.History`."""

    def __init__(self, reader: Database) -> None:
        self._reader = reader

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        return await self._reader.run(_trades, query)

    async def trade(self, account: AccountId, order: OrderId) -> TradeRow | None:
        return await self._reader.run(_trade, account, order)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        return await self._reader.run(select_candles, query)

    async def newest_candles(self) -> CandleBatch:
        return await self._reader.run(select_newest)


def _trades(connection: sqlite3.Connection, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
    with one_view(connection):
        kept = connection.execute(KEPT, {"account": query.account}).fetchone()
        if kept is None or kept[0] is None:
            return [], Analytics()
        newest, *sums = kept
        walk = parameters_of(query, newest)
        found = _of_kept(query, *sums) if sums_are_kept(query) else _sums(connection, walk)
        rows = _page(connection, query, walk, found.total)
        decimals = dict(connection.execute(DECIMALS))  # a few rows: cheaper than a join over everything sorted
    return [_row(decimals, *row) for row in rows], found


def parameters_of(query: TradeQuery, newest: int) -> Parameters:
    """Of the whole chain and the query's filters."""
    return {
        "account": query.account,
        "start": newest,
        "lowest": 1,
        "highest": _LATEST,
        "is_open": query.is_open,
        "asset": query.asset,
        "side": query.side.value if query.side is not None else None,
        "profitable": query.profitable,
        "liquidated": query.liquidated,
        "opened_from": _EARLIEST if query.opened_from is None else query.opened_from,
        "opened_to": _LATEST if query.opened_to is None else query.opened_to,
    }


def _page(connection: sqlite3.Connection, query: TradeQuery, walk: Parameters, total: int) -> list[tuple[Any, ...]]:
    """The rows of a page. It asks for no more than there are, so that the walk ends with the last that matches."""
    limit, offset = min(query.limit, total - query.offset), query.offset
    if limit <= 0:
        return []
    if query.sort_by is SortBy.CREATED_AT and is_of_all(query):
        lowest = total - offset - limit + 1 if query.descending else offset + 1
        walk = walk | {"lowest": lowest, "highest": lowest + limit - 1}
        milestone = connection.execute(MILESTONE, walk).fetchone()
        if milestone is not None:
            walk["start"] = milestone[0]
        offset = 0
    statement = PAGES[query.sort_by, query.descending]
    return connection.execute(statement, walk | {"limit": limit, "offset": offset}).fetchall()


def sums_are_kept(query: TradeQuery) -> bool:
    """Whether an account's row in `balances` tells what the matches of this query sum up to."""
    others = (query.asset, query.side, query.profitable, query.opened_from, query.opened_to)
    return all(each is None for each in others)


def is_of_all(query: TradeQuery) -> bool:
    """Whether every trade of the account matches."""
    return sums_are_kept(query) and query.is_open is None and query.liquidated is None


def _of_kept(
    query: TradeQuery,
    opened: int,
    closed: int,
    profitable: int,
    closed_pnl: int,
    closed_pnl_e18: int,
    liquidated: int,
    liquidated_pnl: int,
    liquidated_pnl_e18: int,
) -> Analytics:
    """Every trade is open, closed or liquidated: the sums of those kinds that the query takes."""
    won, lost = joined(closed_pnl, closed_pnl_e18), joined(liquidated_pnl, liquidated_pnl_e18)
    still_open = opened - closed - liquidated
    if query.is_open is False or query.liquidated is not None:
        still_open = 0
    if query.is_open or query.liquidated:
        closed = profitable = won = 0
    if query.is_open or query.liquidated is False:
        liquidated = lost = 0
    return Analytics(
        total=still_open + closed + liquidated,
        open=still_open,
        closed=closed + liquidated,
        profitable=profitable,
        unprofitable=closed - profitable + liquidated,
        liquidated=liquidated,
        total_pnl=won + lost,
    )


def _sums(connection: sqlite3.Connection, walk: Parameters) -> Analytics:
    found: tuple[int, ...] = connection.execute(SUMS, walk).fetchone()
    total, still_open, closed, profitable, unprofitable, liquidated, high, low = found
    return Analytics(total, still_open, closed, profitable, unprofitable, liquidated, summed(high, low))


def _trade(connection: sqlite3.Connection, account: AccountId, order: OrderId) -> TradeRow | None:
    with one_view(connection):
        row = connection.execute(ONE_TRADE, (order, account)).fetchone()
        decimals = dict(connection.execute(DECIMALS))
    return _row(decimals, *row) if row is not None else None


def _row(
    decimals: dict[str, int],
    order: str,
    account: str,
    asset: str,
    side: str,
    margin: int,
    leverage: int,
    entry: int,
    liquidation: int,
    opened_at: int,
    client_order: str | None,
    liquidated: int,
    close_price: int | None,
    pnl: int | None,
    returned: int | None,
    shortfall: int,
    closed_at: int | None,
) -> TradeRow:
    """The order of the parameters is that of COLUMNS, after the decimals of every asset."""
    return TradeRow(
        order=OrderId(order),
        account=AccountId(account),
        asset=Asset(asset),
        side=Side(side),
        margin=margin,
        leverage=leverage,
        entry=entry,
        liquidation=liquidation,
        opened_at=opened_at,
        client_order=client_order,
        liquidated=bool(liquidated),
        close_price=close_price,
        pnl=pnl,
        returned=returned,
        shortfall=shortfall,
        closed_at=closed_at,
        decimals=decimals[asset],
    )

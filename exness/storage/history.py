"""Trades of all times, from the tables of main.db.

An account's trades lie in an index in the order they were opened. A page of all of them is read from there. For other
filters and orders they are looked through, up to LOOKED_AT of them; what would take more is refused.

What an account's trades add up to is kept in its row of `sums`. What is asked of all of them, of the open or of the
ended ones, liquidated or not, follows from that row; for any other filter the trades that match are summed.
"""

import sqlite3
from collections.abc import Mapping
from itertools import product
from typing import Any

from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.runtime.ports.tables import Analytics, HistoryTooLong, SortBy, TradeQuery, TradeRow
from exness.storage.database import Database, one_view
from exness.storage.rows import Sums
from exness.storage.wide import joined, sum_of, summed

LOOKED_AT = 50_000
"""Trades that one question may look at: about a tenth of a second of the reading thread."""

COLUMNS = """id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
    client_order_id, close_reason IS 'liquidation', close_price, pnl, returned, shortfall, closed_at"""

SUMS_OF = """
    SELECT opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_pnl, liquidated_pnl_e18
    FROM sums WHERE account_id = ?"""

SPAN = """
    FROM trades INDEXED BY trades_of_account
    WHERE account_id = :account AND created_at BETWEEN :opened_from AND :opened_to"""

IS_LONG = f"SELECT count(*) FROM (SELECT 1 {SPAN} LIMIT :most + 1)"  # of constants alone  # nosec B608

# One fixed text for all filters, so that SQLite prepares it once: a filter that is not asked for is NULL.
MATCHES = """
    (:is_open IS NULL OR (close_reason IS NULL) = :is_open)
    AND (:asset IS NULL OR asset = :asset)
    AND (:side IS NULL OR side = :side)
    AND (:profitable IS NULL OR (pnl > 0) = :profitable)
    AND (:liquidated IS NULL OR (close_reason = 'liquidation') = :liquidated)"""

SUMMED = f"""
    SELECT count(*), coalesce(sum(close_reason IS NULL), 0), count(close_reason),
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl <= 0), 0), coalesce(sum(close_reason = 'liquidation'), 0),
        {sum_of("pnl")}
    {SPAN} AND {MATCHES}"""

ORDER = {
    SortBy.CREATED_AT: "created_at {way}, opened_seq {way}",
    SortBy.CLOSED_AT: "closed_at {way} NULLS LAST, opened_seq {way}",
    SortBy.PNL: "pnl {way} NULLS LAST, opened_seq {way}",
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
        f"SELECT {COLUMNS} FROM (SELECT * {SPAN} {_order(SortBy.CREATED_AT, descending)} LIMIT :most) "  # nosec B608
        f"WHERE {MATCHES} LIMIT :limit OFFSET :offset"
    )
    for descending in (False, True)
}
"""In the order of the index, which ends the walk with the page, or with the last trade that may be looked at."""

ONE_TRADE = f"SELECT {COLUMNS} FROM trades WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608

Parameters = dict[str, str | int | None]

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class SqliteHistory:
    """Implements `ports.History`. `decimals` are those of every asset there ever was."""

    def __init__(self, reader: Database, decimals: Mapping[str, int]) -> None:
        self._reader = reader
        self._decimals = decimals

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        rows, sums = await self._reader.run(_trades, query)
        return [self._row(row) for row in rows], sums

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        row = await self._reader.run(_trade, account, trade_id)
        return None if row is None else self._row(row)

    def _row(self, row: tuple[Any, ...]) -> TradeRow:
        """From a row of COLUMNS."""
        trade_id, account, asset, side, margin, leverage, entry, liquidation, opened_at, client_order, *end = row
        liquidated, close_price, pnl, returned, shortfall, closed_at = end
        return TradeRow(
            id=TradeId(trade_id),
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
            decimals=self._decimals[asset],
        )


def _trades(connection: sqlite3.Connection, query: TradeQuery) -> tuple[list[tuple[Any, ...]], Analytics]:
    with one_view(connection):
        walk = _parameters(query)
        if sums_are_kept(query):
            found = of_kept(query, _kept(connection, query.account))
            wanted = min(query.limit, found.total - query.offset)
            if wanted <= 0:
                return [], found
            if query.sort_by is SortBy.CREATED_AT:
                rows = connection.execute(FIRST_PAGES[query.descending], walk | {"limit": wanted}).fetchall()
                if len(rows) < wanted:
                    raise HistoryTooLong(LOOKED_AT)
                return rows, found
            _refuse_long(connection, walk)
        else:
            _refuse_long(connection, walk)
            found = _summed(connection, walk)
        return connection.execute(PAGES[query.sort_by, query.descending], walk).fetchall(), found


def _parameters(query: TradeQuery) -> Parameters:
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


def _refuse_long(connection: sqlite3.Connection, walk: Parameters) -> None:
    if connection.execute(IS_LONG, walk).fetchone()[0] > LOOKED_AT:
        raise HistoryTooLong(LOOKED_AT)


def sums_are_kept(query: TradeQuery) -> bool:
    """Whether an account's row in `sums` tells what the matches of this query sum up to."""
    others = (query.asset, query.side, query.profitable, query.opened_from, query.opened_to)
    return all(each is None for each in others)


def _kept(connection: sqlite3.Connection, account: AccountId) -> Sums:
    row = connection.execute(SUMS_OF, (account,)).fetchone()
    if row is None:
        return Sums(account)
    opened, closed, profitable, won, won_e18, liquidated, lost, lost_e18 = row
    return Sums(account, opened, closed, profitable, joined(won, won_e18), liquidated, joined(lost, lost_e18))


def of_kept(query: TradeQuery, sums: Sums) -> Analytics:
    """Every trade is open, closed or liquidated: the sums of those kinds that the query takes."""
    still_open = sums.opened - sums.closed - sums.liquidated
    closed, profitable, won = sums.closed, sums.profitable, sums.closed_pnl
    liquidated, lost = sums.liquidated, sums.liquidated_pnl
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


def _summed(connection: sqlite3.Connection, walk: Parameters) -> Analytics:
    found: tuple[int, ...] = connection.execute(SUMMED, walk).fetchone()
    total, still_open, closed, profitable, unprofitable, liquidated, high, low = found
    return Analytics(total, still_open, closed, profitable, unprofitable, liquidated, summed(high, low))


def _trade(connection: sqlite3.Connection, account: AccountId, trade_id: TradeId) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(ONE_TRADE, (trade_id, account)).fetchone()
    return row

"""Trades of all times and candles, from the tables of main.db.

What an account's trades sum up to is kept in its row of `balances`. What is asked of all of them, of the open or of the
ended ones, liquidated or not, follows from that row; for any other filter the trades that match are summed.
"""

import sqlite3
from itertools import product

from exness.core.instruments import AccountId, Asset, OrderId, Side
from exness.runtime.candles import Candle, CandleBatch, CandleQuery
from exness.runtime.ports import Analytics, SortBy, TradeQuery, TradeRow
from exness.storage.candles import select_candles, select_newest
from exness.storage.database import Database, one_view

COLUMNS = """id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
    client_order_id, status = 'liquidated', close_price, pnl, returned, shortfall, closed_at"""

# One fixed text for all filters, so that SQLite prepares it once: a filter that is not asked for is NULL. The account
# and the times are always given: they are what the index trades_of_account is for.
MATCHES = """
    FROM trades
    WHERE account_id = :account AND created_at BETWEEN :opened_from AND :opened_to
        AND (:is_open IS NULL OR (status = 'open') = :is_open)
        AND (:asset IS NULL OR asset = :asset)
        AND (:side IS NULL OR side = :side)
        AND (:profitable IS NULL OR (pnl > 0) = :profitable)
        AND (:liquidated IS NULL OR (status <> 'open' AND (status = 'liquidated') = :liquidated))"""

SUMS = f"""
    SELECT count(*), coalesce(sum(status = 'open'), 0), coalesce(sum(status <> 'open'), 0),
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl <= 0), 0), coalesce(sum(status = 'liquidated'), 0),
        coalesce(sum(pnl), 0)
    {MATCHES}"""

KEPT_SUMS = """
    SELECT opened, closed, profitable, closed_pnl, liquidated, liquidated_pnl FROM balances
    WHERE account_id = :account"""

ORDER = {
    SortBy.CREATED_AT: "created_at {way}, opened_seq {way}",  # as the index lies: nothing to sort
    SortBy.CLOSED_AT: "closed_at {way} NULLS LAST, opened_seq {way}",
    SortBy.PNL: "pnl {way} NULLS LAST, opened_seq {way}",
    SortBy.MARGIN: "margin {way}, opened_seq {way}",
    SortBy.LEVERAGE: "leverage {way}, opened_seq {way}",
}

PAGES = {
    (sort_by, descending): f"""
    SELECT {COLUMNS} {MATCHES}
    ORDER BY {ORDER[sort_by].format(way="DESC" if descending else "ASC")} LIMIT :limit OFFSET :offset"""
    for sort_by, descending in product(SortBy, (False, True))
}
"""Every order a page can have, as a text of its own."""

DECIMALS = "SELECT symbol, decimals FROM assets"

ONE_TRADE = f"SELECT {COLUMNS} FROM trades WHERE id = ? AND account_id = ?"  # of constants alone  # nosec B608

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
    parameters: dict[str, str | int | None] = {
        "account": query.account,
        "is_open": query.is_open,
        "asset": query.asset,
        "side": query.side.value if query.side is not None else None,
        "profitable": query.profitable,
        "liquidated": query.liquidated,
        "opened_from": _EARLIEST if query.opened_from is None else query.opened_from,
        "opened_to": _LATEST if query.opened_to is None else query.opened_to,
        "limit": query.limit,
        "offset": query.offset,
    }
    with one_view(connection):
        page = connection.execute(PAGES[query.sort_by, query.descending], parameters).fetchall()
        sums = _kept_sums(connection, query) if sums_are_kept(query) else _sums(connection, parameters)
        decimals = dict(connection.execute(DECIMALS))  # a few rows: cheaper than a join over everything sorted
    return [_row(decimals, *row) for row in page], sums


def sums_are_kept(query: TradeQuery) -> bool:
    """Whether an account's row in `balances` tells what the matches of this query sum up to."""
    others = (query.asset, query.side, query.profitable, query.opened_from, query.opened_to)
    return all(each is None for each in others)


def _kept_sums(connection: sqlite3.Connection, query: TradeQuery) -> Analytics:
    """Every trade is open, closed or liquidated: the sums of those kinds that the query takes."""
    row = connection.execute(KEPT_SUMS, {"account": query.account}).fetchone()
    if row is None:
        return Analytics()
    opened, closed, profitable, closed_pnl, liquidated, liquidated_pnl = row
    still_open = opened - closed - liquidated
    if query.is_open is False or query.liquidated is not None:
        still_open = 0
    if query.is_open or query.liquidated:
        closed = profitable = closed_pnl = 0
    if query.is_open or query.liquidated is False:
        liquidated = liquidated_pnl = 0
    return Analytics(
        total=still_open + closed + liquidated,
        open=still_open,
        closed=closed + liquidated,
        profitable=profitable,
        unprofitable=closed - profitable + liquidated,
        liquidated=liquidated,
        total_pnl=closed_pnl + liquidated_pnl,
    )


def _sums(connection: sqlite3.Connection, parameters: dict[str, str | int | None]) -> Analytics:
    return Analytics(*connection.execute(SUMS, parameters).fetchone())


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

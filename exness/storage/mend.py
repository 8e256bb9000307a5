"""Writes a damaged newest record anew from the tables, which were written in the same transaction.

Nothing is guessed: a record is only taken when it has the checksum that the damaged one was written with, or, when that
is what was damaged, when it is the payload that is still there. This is for what follows a bad disk, so it may look at
much.
"""

import sqlite3
from collections.abc import Iterator

import msgspec

from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    Record,
    Trade,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import AccountId, Asset, OrderId, Side
from exness.runtime.ports import StorageError
from exness.storage.codec import Row, encode

SELECT_DAMAGED = "SELECT at, CAST(payload AS BLOB), CAST(request AS BLOB), checksum FROM journal WHERE seq = ?"

OPENED_USER = """
    SELECT users.id, email, deposited, created_at
    FROM users JOIN balances ON account_id = users.id WHERE opened_seq = ?"""

OPENED_TRADE = """
    SELECT id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at, opened_seq,
           client_order_id, balance_after, coalesce(fingerprint, '')
    FROM trades WHERE opened_seq = ?"""

CLIENT_ORDERS = """
    SELECT client_order_id FROM trades
    WHERE account_id = ? AND opened_seq < ? AND client_order_id IS NOT NULL ORDER BY opened_seq"""

CLOSED_TRADE = """
    SELECT id, trades.account_id, asset, close_price, margin, pnl, returned, free, closed_at
    FROM trades JOIN balances USING (account_id) WHERE closed_seq = ? AND status = 'closed'"""

LIQUIDATED_TRADE = """
    SELECT trade_id, account_id, asset, mark, bid, ask, margin, shortfall, free, at
    FROM liquidations JOIN balances USING (account_id) WHERE seq = ?"""

DEPOSITED = """
    WITH paid AS (
        SELECT payload ->> 'account' AS account_id, sum(coalesce(payload ->> 'amount', payload ->> 'deposit')) AS amount
        FROM journal WHERE seq < ? AND kind IN ('account_opened', 'deposited') GROUP BY 1
    )
    SELECT account_id, deposited - amount, free FROM balances JOIN paid USING (account_id) WHERE deposited > amount"""

REPLACE = "UPDATE journal SET at = ?, kind = ?, payload = ?, request = ?, checksum = ? WHERE seq = ?"


def mend(connection: sqlite3.Connection, seq: int) -> bool:
    """Write record `seq` anew, within the caller's transaction. False when the tables do not hold all of it."""
    damaged = connection.execute(SELECT_DAMAGED, (seq,)).fetchone()
    if damaged is None:
        return False
    at, payload, request, checksum = damaged
    for event, table_at in _candidates(connection, seq):
        for row in _rows(seq, event, {at, table_at}, request):
            if row[5] == checksum or row[3].encode() == payload:
                connection.execute(REPLACE, (*row[1:], seq))
                return True
    return False


def _rows(seq: int, event: Event, times: set[object], request: object) -> Iterator[Row]:
    """The rows this event could have been written as. What lost its type to damage is left out."""
    text = request.decode("utf-8", "replace") if isinstance(request, bytes) else ""
    for at in times:
        if isinstance(at, int):
            try:
                yield encode(Record(seq, at, event, text))
            except StorageError:
                continue


def _candidates(connection: sqlite3.Connection, seq: int) -> Iterator[tuple[Event, int | None]]:
    """The events that the tables say record `seq` may have been, with the time they know."""
    for account, email, deposited, at in connection.execute(OPENED_USER, (seq,)).fetchall():
        yield AccountOpened(AccountId(account), email, deposited), at
    for row in connection.execute(OPENED_TRADE, (seq,)).fetchall():
        yield from ((event, row[8]) for event in _opened(connection, row))
    for order, account, asset, *figures, at in connection.execute(CLOSED_TRADE, (seq,)).fetchall():
        yield TradeClosed(OrderId(order), AccountId(account), Asset(asset), *figures), at
    for order, account, asset, *figures, at in connection.execute(LIQUIDATED_TRADE, (seq,)).fetchall():
        yield TradeLiquidated(OrderId(order), AccountId(account), Asset(asset), *figures), at
    try:
        deposits = connection.execute(DEPOSITED, (seq,)).fetchall()
    except sqlite3.OperationalError:  # an earlier payload is no JSON: that is for the replay to find
        return
    for account, amount, free in deposits:
        yield Deposited(AccountId(account), amount, free), None


def _opened(connection: sqlite3.Connection, row: tuple[object, ...]) -> Iterator[TradeOpened]:
    """The opening as it was; but which client order id it pushed out of the window may be any earlier one, or none."""
    *fields, balance, fingerprint = row
    trade = msgspec.convert(dict(zip(Trade.__struct_fields__, fields, strict=True)), Trade)
    assert isinstance(balance, int)
    assert isinstance(fingerprint, str)
    assert isinstance(trade.side, Side)
    yield TradeOpened(trade, balance, fingerprint)
    if trade.client_order is not None:
        for (earlier,) in connection.execute(CLIENT_ORDERS, (trade.account, trade.seq)).fetchall():
            yield TradeOpened(trade, balance, fingerprint, (earlier,))

"""Writes a damaged newest record anew from the tables, which were written in the same transaction.

Nothing is guessed: a record is taken when it has the checksum that the damaged one was written with. Time and request
are then as they are stored, as the tables say, or as they are but for one bit. Else, if the payload is still there and
the tables know its time too, it was the checksum that was damaged (or the request, which changes nothing in the books).
This is for what follows a bad disk, so it may look at much.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, product
from typing import NamedTuple

import msgspec

from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    Record,
    StartedAfresh,
    Trade,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import AccountId, Asset, OrderId, Side
from exness.runtime.ports import StorageError
from exness.storage.codec import Row, encode
from exness.storage.wide import WIDE, joined, sum_of, summed

SELECT_DAMAGED = "SELECT at, CAST(payload AS BLOB), CAST(request AS BLOB), checksum FROM journal WHERE seq = ?"

OPENED_USER = f"""
    SELECT users.id, email, deposited + deposited_e18 * {WIDE}, created_at
    FROM users JOIN balances ON account_id = users.id WHERE opened_seq = ?"""  # of constants alone  # nosec B608

OPENED_TRADE = """
    SELECT id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at, opened_seq,
           client_order_id, balance_after, coalesce(fingerprint, '')
    FROM trades WHERE opened_seq = ?"""

CLIENT_ORDERS = """
    SELECT payload ->> '$.trade.client_order', coalesce(payload -> 'forgets', '[]') FROM journal
    WHERE seq < ? AND kind = 'trade_opened' AND payload ->> '$.trade.account' = ?
        AND payload ->> '$.trade.client_order' IS NOT NULL
        AND seq > (SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'started_afresh')
    ORDER BY seq"""

CLOSED_TRADE = """
    SELECT id, trades.account_id, asset, close_price, margin, pnl, returned, free, shortfall, closed_at
    FROM trades JOIN balances USING (account_id) WHERE closed_seq = ? AND status = 'closed'"""

LIQUIDATED_TRADE = """
    SELECT trade_id, account_id, asset, mark, bid, ask, margin, shortfall, free, at
    FROM liquidations JOIN balances USING (account_id) WHERE seq = ?"""

DEPOSITED = f"""
    WITH paid (account_id, high, low) AS (
        SELECT payload ->> 'account', {sum_of("coalesce(payload ->> 'amount', payload ->> 'deposit')")}
        FROM journal WHERE seq < ? AND kind IN ('account_opened', 'deposited')
            AND seq > (SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'started_afresh')
        GROUP BY 1
    )
    SELECT account_id, deposited, deposited_e18, high, low FROM balances JOIN paid USING (account_id)"""  # nosec B608

FREE = "SELECT free FROM balances WHERE account_id = ?"

ANY_TRADER = "SELECT 1 FROM users WHERE kind = 'trader' LIMIT 1"

REPLACE = "UPDATE journal SET at = ?, kind = ?, payload = ?, request = ?, checksum = ? WHERE seq = ?"


def mend(connection: sqlite3.Connection, seq: int) -> bool:
    """Write record `seq` anew, within the caller's transaction. False when the tables do not hold all of it."""
    damaged = connection.execute(SELECT_DAMAGED, (seq,)).fetchone()
    if damaged is None:
        return False
    try:
        row = _row_as_written(connection, seq, _Damaged(*damaged))
    except (sqlite3.OperationalError, msgspec.MsgspecError):
        return False  # an earlier payload is damaged too: that is for the replay to find
    if row is not None:
        connection.execute(REPLACE, (*row[1:], seq))
    return row is not None


class _Damaged(NamedTuple):
    """What is stored. Damage may have made a value one of another type."""

    at: object
    payload: object
    request: object
    checksum: object


def _row_as_written(connection: sqlite3.Connection, seq: int, damaged: _Damaged) -> Row | None:
    for event, table_at in _candidates(connection, seq):
        for row in _rows(seq, event, [damaged.at, table_at], [damaged.request]):
            if row[5] == damaged.checksum:
                return row
        if _payload_of(event) == damaged.payload:
            return _row_around_payload(seq, event, table_at, damaged)
    return None


def _row_around_payload(seq: int, event: Event, table_at: int | None, damaged: _Damaged) -> Row | None:
    """The row of an event whose payload is not what was damaged."""
    flipped_times = _rows(seq, event, _one_bit_off(damaged.at), [damaged.request])
    flipped_requests = _rows(seq, event, [damaged.at], _one_bit_off(damaged.request))
    for row in chain(flipped_times, flipped_requests):
        if row[5] == damaged.checksum:
            return row
    for row in _rows(seq, event, [damaged.at if table_at is None else table_at], [damaged.request]):
        if table_at is not None or damaged.checksum in _one_bit_off(row[5]):
            return row
    return None


def _rows(seq: int, event: Event, times: Iterable[object], requests: Iterable[object]) -> Iterator[Row]:
    """The rows this event could have been written as. What lost its type to damage is left out."""
    for at, request in product(times, requests):
        if isinstance(at, int) and isinstance(request, bytes):
            with suppress(StorageError):
                yield encode(Record(seq, at, event, request.decode("utf-8", "replace")))


def _payload_of(event: Event) -> bytes:
    return encode(Record(0, 0, event))[3].encode()


def _one_bit_off(value: object) -> Sequence[object]:
    """A number or a text with any one bit of it changed."""
    if isinstance(value, int):
        return [value ^ 1 << bit for bit in range(63)] + [value ^ -1 << 63]
    if isinstance(value, bytes):
        number, size = int.from_bytes(value), len(value)
        return [(number ^ 1 << bit).to_bytes(size) for bit in range(8 * size)]
    return []


def _candidates(connection: sqlite3.Connection, seq: int) -> Iterator[tuple[Event, int | None]]:
    """The events that the tables say record `seq` may have been, with the time they know."""
    if connection.execute(ANY_TRADER).fetchone() is None:
        yield StartedAfresh(), None
    for account, email, deposited, at in connection.execute(OPENED_USER, (seq,)).fetchall():
        yield AccountOpened(AccountId(account), email, deposited), at
    for row in connection.execute(OPENED_TRADE, (seq,)).fetchall():
        yield from ((event, row[8]) for event in _opened(connection, row))
    for order, account, asset, *figures, at in connection.execute(CLOSED_TRADE, (seq,)).fetchall():
        yield TradeClosed(OrderId(order), AccountId(account), Asset(asset), *figures), at
    for order, account, asset, *figures, at in connection.execute(LIQUIDATED_TRADE, (seq,)).fetchall():
        yield TradeLiquidated(OrderId(order), AccountId(account), Asset(asset), *figures), at
    for account, _, amount in paid_since(connection, seq):
        yield Deposited(account, amount, connection.execute(FREE, (account,)).fetchone()[0]), None


class Paid(NamedTuple):
    """What the tables say was paid into an account, beyond what the journal says had been before."""

    account: AccountId
    before: int
    amount: int


def paid_since(connection: sqlite3.Connection, seq: int) -> list[Paid]:
    """What was paid in by record `seq` and after it. It looks at the whole journal. Raises sqlite3.OperationalError
    when a payload there is damaged."""
    found = []
    for account, deposited, deposited_e18, high, low in connection.execute(DEPOSITED, (seq,)):
        before = summed(high, low)
        if (amount := joined(deposited, deposited_e18) - before) > 0:
            found.append(Paid(AccountId(account), before, amount))
    return found


def _opened(connection: sqlite3.Connection, row: tuple[object, ...]) -> Iterator[TradeOpened]:
    """The opening as it was; but how many client order ids it pushed out of the window is not known."""
    *fields, balance, fingerprint = row
    trade = msgspec.convert(dict(zip(Trade.__struct_fields__, fields, strict=True)), Trade)
    assert isinstance(balance, int)
    assert isinstance(fingerprint, str)
    assert isinstance(trade.side, Side)
    yield TradeOpened(trade, balance, fingerprint)
    if trade.client_order is not None:
        window = _window(connection, trade)
        for forgotten in range(1, len(window) + 1):
            yield TradeOpened(trade, balance, fingerprint, tuple(window[:forgotten]))


def _window(connection: sqlite3.Connection, trade: Trade) -> list[str]:
    """The client order ids that were remembered when this trade was opened, oldest first."""
    seen: dict[str, None] = {}
    for client_order, forgets in connection.execute(CLIENT_ORDERS, (trade.seq, trade.account)):
        for forgotten in msgspec.json.decode(forgets, type=list[str]):
            seen.pop(forgotten, None)
        seen[client_order] = None
    return list(seen)

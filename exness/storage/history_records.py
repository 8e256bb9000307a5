"""Which records moved an account's money, and what it held at a time, from its index of records in main.db.

A statement's rows are in no table, as a record tells them alone: which records make a page is read from that index.
"""

from exness.core.instruments import AccountId
from exness.core.trades import PLACES
from exness.runtime.ports.tables import HistoryTooLong, RecordQuery, Span, StatementQuery
from exness.storage import history_net
from exness.storage.asking import LATEST, LOOKED_AT, Asking, Values, one
from exness.storage.fold import BITS

MOST_CHANGES = 100_000
"""Of an account, within one span."""

_OF_ACCOUNT = "FROM orders INDEXED BY orders_of_account WHERE account_id = :account"

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


def moves(query: StatementQuery) -> Asking[list[int]]:
    """`reasons` tells how many rows of each record match."""
    wanted = sum(BITS.values()) if query.reason is None else BITS[query.reason]
    walk: Values = {
        "account": query.account,
        "before": LATEST if query.before is None else query.before,
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


def picked(query: RecordQuery) -> Asking[list[int]]:
    account = query.account
    first = query.first if query.start is None else (yield from _last_at(account, query.start - 1)) + 1
    last = LATEST if query.end is None else (yield from _last_at(account, query.end))
    return (yield from history_net.picked(query, max(first, query.first), last, LOOKED_AT))


def span(account: AccountId, start: int, end: int) -> Asking[Span]:
    first = yield from _last_at(account, start)
    last = yield from _last_at(account, end)
    if (yield from one(ARE_MANY_CHANGES, (account, first, last, MOST_CHANGES + 1))) > MOST_CHANGES:
        raise HistoryTooLong(MOST_CHANGES, "changes")
    walk: Values = {"account": account, "seq": first, "at": start, "most": MOST_CHANGES + 1}
    for before, what in ((BEFORE_TRADES, "trades"), (BEFORE_ORDERS, "orders")):
        if (yield from one(before, walk)) > MOST_CHANGES:
            raise HistoryTooLong(MOST_CHANGES, what)
    trades = yield HELD_TRADES, walk
    orders = yield HELD_ORDERS, walk
    return Span(first, last, sorted(made if changed is None else changed for made, changed in trades + orders))


def _last_at(account: AccountId, at: int) -> Asking[int]:
    """The account's last record of this time or before; 0: there is none. Times never fall from record to record, so
    it is found by halving."""
    newest = yield LAST_AT, (account, LATEST)
    found, low, high = 0, 1, newest[0][0] if newest else 0
    while low <= high:
        middle = (low + high) // 2
        rows = yield LAST_AT, (account, middle)
        if not rows or rows[0][1] <= at:
            found, low = (rows[0][0] if rows else found), middle + 1
        else:
            high = rows[0][0] - 1
    return found

"""Orders of net positions by their numbers, and an account's records by what they tell: see `history`.

What fires has two numbers: that of its placing, and of the record in which it fired, by which it is an order like any
other from then on. What waits for no price to fire has one.
"""

import msgspec

from exness.core.instruments import AccountId, OrderId
from exness.runtime.ports.tables import HistoryTooLong, NetOrderQuery, RecordQuery, Told
from exness.storage.asking import EARLIEST, LATEST, Asking, Found
from exness.storage.fold import BITS, TOLD

_FIRES = "(stop_price IS NOT NULL OR trailing IS NOT NULL)"
_SHOWN = f"CASE WHEN {_FIRES} THEN fired ELSE number END"
ONE_OF = "SELECT {columns} FROM orders WHERE id IN (SELECT value FROM json_each(?)) AND account_id = ?"
"""Of a JSON list of ids."""


def net_orders(query: NetOrderQuery, columns: str, most: int) -> Asking[Found]:
    """`columns` are of the table of orders. Raises HistoryTooLong."""
    walk: dict[str, str | int | None] = {
        "account": query.account,
        "asset": query.asset,
        "number": query.number,
        "label": query.label,
        "first": query.first,
        "start": EARLIEST if query.start is None else query.start,
        "end": LATEST if query.end is None else query.end,
        "limit": query.limit,
        "most": most,
    }
    number = "number" if query.fires else _SHOWN
    matches = (
        f"net = 1 AND (:asset IS NULL OR asset = :asset) AND {number} >= :first AND created_at BETWEEN :start AND :end"
        + (f" AND {_FIRES}" if query.fires else "")
    )
    if query.number is not None:
        rows = f"SELECT {columns} FROM orders WHERE number = :number OR fired = :number"  # nosec B608
        matches += f" AND account_id = :account AND {number} = :number"
    elif query.label is not None:
        rows = (
            f"SELECT {columns} FROM orders WHERE account_id = :account AND label = :label "  # nosec B608
            f"UNION SELECT {columns} FROM orders WHERE id = :label"
        )
        matches += " AND account_id = :account"
    else:
        rows = (
            f"SELECT {columns} FROM orders INDEXED BY orders_of_account WHERE account_id = :account "  # nosec B608
            f"ORDER BY number {'DESC' if query.newest else 'ASC'} LIMIT :most"
        )
    way = "DESC" if query.newest else "ASC"
    statement = f"SELECT * FROM ({rows}) AS walked WHERE {matches} ORDER BY {number} {way} LIMIT :limit"  # nosec B608
    found = yield statement, walk
    if len(found) < query.limit and query.number is None and query.label is None:
        far = "SELECT 1 FROM orders INDEXED BY orders_of_account WHERE account_id = ? LIMIT 1 OFFSET ?"
        if (yield far, (query.account, most)):
            raise HistoryTooLong(most, "orders")
    return found[::-1] if query.newest else found


def orders_named(account: AccountId, ids: list[OrderId], columns: str) -> Asking[Found]:
    rows = yield ONE_OF.format(columns=columns), (msgspec.json.encode(ids).decode(), account)
    return rows


def picked(query: RecordQuery, first: int, last: int, most: int) -> Asking[list[int]]:
    """`first` and `last` are the seqs that the times of the query come to. Raises HistoryTooLong."""
    told = sum(TOLD[each] for each in query.told)
    walk: dict[str, str | int | None] = {
        "account": query.account,
        "first": first,
        "last": last,
        "any": sum(BITS[each] for each in query.reasons),
        "all": told,
        "none": TOLD[Told.NET] if query.is_net is False else 0,
        "asset": query.asset,
        "most": most,
        "limit": query.limit,
    }
    way = "DESC" if query.newest else "ASC"
    within = "account_id = :account AND seq BETWEEN :first AND :last"
    statement = f"""
        SELECT seq FROM (SELECT * FROM account_records WHERE {within} ORDER BY seq {way} LIMIT :most) AS walked
        WHERE (:any = 0 OR (reasons & :any) <> 0) AND (reasons & :all) = :all AND (reasons & :none) = 0
            AND (:asset IS NULL OR asset = :asset)
        LIMIT :limit"""  # of constants alone  # nosec B608
    found = [seq for (seq,) in (yield statement, walk)]
    if len(found) < query.limit:
        far = f"SELECT 1 FROM account_records WHERE {within} LIMIT 1 OFFSET :most"  # nosec B608
        if (yield far, walk):
            raise HistoryTooLong(most, "records")
    return found[::-1] if query.newest else found

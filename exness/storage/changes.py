"""Changes of rows, and what many of them come to together, each row once: the same for every backend."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import add

import msgspec

from exness.storage import rows
from exness.storage.rows import BALANCES, ORDERS, SUMS, TABLE_OF, TRADES, Row, Table

Values = tuple[int | str | None, ...]


class Kind:
    """A kind of change: these columns of a row of `table` are set, or, with `adds`, added to, or, with `first`, set
    where they are NULL. Told from others by identity."""

    __slots__ = ("adds", "columns", "first", "table")

    def __init__(self, table: Table, *columns: str, adds: bool = False, first: bool = False) -> None:
        self.table = table
        self.columns = columns
        self.adds = adds
        self.first = first


class Change(msgspec.Struct, gc=False):
    """The row of `kind.table` whose key is `key` changes by `values`, one for each of the kind's columns."""

    kind: Kind
    key: str
    values: Values


class Clear(msgspec.Struct, gc=False):
    """All rows go, by record `seq`; see `rows.first_rows` for what is there then."""

    seq: int


Effect = Row | Change | Clear
"""A row is put as it is."""

PAID = Kind(BALANCES, "free", "locked", "deposited", adds=True)
COUNTED = Kind(
    SUMS,
    "opened",
    "closed",
    "profitable",
    "closed_pnl",
    "liquidated",
    "liquidated_profitable",
    "liquidated_pnl",
    adds=True,
)
ORDERS_COUNTED = Kind(SUMS, "orders", adds=True)
CHANGED = Kind(
    *(TRADES, "margin", "leverage", "entry_price", "liquidation_price", "size"),
    *("commission", "funding", "realized"),
)
ENDED = Kind(
    *(TRADES, "close_reason", "close_price", "close_bid", "close_ask", "pnl", "returned", "shortfall"),
    *("closed_at", "closed_seq", "commission", "realized"),
)
AMENDED = Kind(
    *(ORDERS, "kind", "margin", "leverage", "quantity", "limit_price", "stop_price", "expires_at", "reserved"),
    *("take_profit", "stop_loss", "trailing"),
)
FIRED = Kind(ORDERS, "fired", first=True)
ORDER_ENDED = Kind(ORDERS, "status", "reason", "ended_at", "ended_seq", "filled", "price")

KINDS = (PAID, COUNTED, ORDERS_COUNTED, CHANGED, ENDED, AMENDED, FIRED, ORDER_ENDED)
"""In the order in which those of a batch are applied: a trade ends after its last change."""


class Batch:
    """What many effects come to: rows to put by table, and changes by kind, each row once. By key, in the order they
    came. What is put is no longer changed: the changes are in it."""

    __slots__ = ("changes", "puts", "reset")

    def __init__(self) -> None:
        self.reset = 0
        """The record by which all rows go first; 0: none does."""
        self.puts: dict[Table, dict[object, Row]] = {table: {} for table in rows.TABLES}
        self.changes: defaultdict[Kind, dict[str, Values]] = defaultdict(dict)

    def take(self, effects: Iterable[Effect]) -> None:
        """One after the other. For every record there is: 3 us for that of a trade."""
        puts, changes = self.puts, self.changes
        for effect in effects:
            if isinstance(effect, Change):
                kind, key, values = effect.kind, effect.key, effect.values
                row = puts[kind.table].get(key)
                if row is not None:
                    apply(row, kind, values)
                    continue
                by_key = changes[kind]
                before = by_key.get(key) if kind.adds or kind.first else None
                if before is None:
                    by_key[key] = values
                elif kind.adds:
                    by_key[key] = tuple(map(add, before, values))
            elif isinstance(effect, Row):
                table = TABLE_OF[type(effect)]
                puts[table][getattr(effect, table.key)] = effect
            else:
                self._forget(effect)

    def in_order(self) -> Iterator[tuple[Kind, dict[str, Values]]]:
        """The changes, as they are to be applied."""
        return ((kind, self.changes[kind]) for kind in KINDS if kind in self.changes)

    def _forget(self, clear: Clear) -> None:
        """What came before is forgotten, within the batch too."""
        self.reset = clear.seq
        self.changes.clear()
        for put in self.puts.values():
            put.clear()
        self.take(rows.first_rows())


def apply(row: Row, kind: Kind, values: Values) -> None:
    """Change a row that is at hand."""
    for column, value in zip(kind.columns, values, strict=True):
        if kind.adds:
            setattr(row, column, getattr(row, column) + value)
        elif not kind.first or getattr(row, column) is None:
            setattr(row, column, value)

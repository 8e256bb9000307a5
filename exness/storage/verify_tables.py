"""Holds every row of the tables against the journal: the tables are made once more, elsewhere, and compared row by row.

What both make with the same fold could be wrong in both. So the balances, the open trades and the waiting orders are
also held against the state, to which the same records led another way, and the sums against the trades and orders.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from exness.core.state import Account, State
from exness.storage.archive import Archives
from exness.storage.fold_orders import exit_row, order_row
from exness.storage.history import SUMS_OF
from exness.storage.offline import DatabaseEmpty, open_offline
from exness.storage.rebuild import fill
from exness.storage.rows import HOUSE, ORDERS, TABLES, VERSION, Table
from exness.storage.tables import MAIN, select_watermark, stored_columns
from exness.storage.wide import joined, split, sum_of, summed

ADDED_UP = f"""
    SELECT account_id, count(*), total(close_reason <> 'liquidation'),
        total(close_reason <> 'liquidation' AND realized > 0),
        {sum_of("iif(close_reason <> 'liquidation', realized, 0)")},
        total(close_reason = 'liquidation'), total(close_reason = 'liquidation' AND realized > 0),
        {sum_of("iif(close_reason = 'liquidation', realized, 0)")}
    FROM trades GROUP BY account_id"""  # of constants alone  # nosec B608
ENDED_ORDERS = """
    SELECT account_id, orders, (SELECT count(status) FROM orders WHERE orders.account_id = sums.account_id) FROM sums"""
OPEN_TRADES = """
    SELECT opened_seq, id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
        client_order_id, net, size, size_e18, commission, funding, realized
    FROM trades WHERE close_reason IS NULL ORDER BY opened_seq"""
WAITING = f"SELECT {', '.join(ORDERS.columns)} FROM orders WHERE status IS NULL ORDER BY number"  # nosec B608
BALANCE = "SELECT free, free_e18, locked FROM balances WHERE account_id = ?"


class Difference(Exception):
    """The first thing that does not agree. `seq` is the record it was found at."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(f"at journal record {seq}: {what}")
        self.seq = seq


def equal(seq: int, what: str, found: object, expected: object) -> None:
    """Raises Difference unless they are."""
    if found != expected:
        raise Difference(seq, f"{what}: found {found}, expected {expected}")


class TableCheck:
    """`main` is None when there are no tables, or they are of another version: the next start makes them anew."""

    def __init__(self, journal: sqlite3.Connection, archives: Archives, main: sqlite3.Connection | None) -> None:
        self._journal = journal
        self._archives = archives
        self._main = main
        self._at = -1
        self.checked: int | None = None

    def begin(self, last_seq: int) -> None:
        if self._main is None:
            return
        self._at = select_watermark(self._main).seq
        if self._at > last_seq:
            raise Difference(last_seq, f"the tables are at record {self._at}, ahead of the journal")

    def check(self, state: State) -> None:
        """To be called with the state after every record: where the tables have come to, they are checked."""
        if self._main is None or state.seq != self._at:
            return
        with tempfile.TemporaryDirectory(prefix="exness-verify-") as folder:
            path = Path(folder) / "main.db"
            fill(self._journal, self._archives, path, self._at, lambda done, total: None)
            with closing(sqlite3.connect(path, isolation_level=None)) as expected:
                for table in TABLES:
                    self._compare(table, expected)
                equal(self._at, "watermark", select_watermark(self._main), select_watermark(expected))
        for account in state.account_list:
            self._check_balance(account.id, account.free, account.bound)
        self._check_sums()
        self._check_open(state)
        self._check_waiting(state)
        self._check_balance(HOUSE, state.house.total, 0)
        self.checked = self._at

    def _compare(self, table: Table, expected: sqlite3.Connection) -> None:
        assert self._main is not None
        columns = ", ".join(stored_columns(table))
        query = f"SELECT {columns} FROM {table.name} ORDER BY {', '.join(table.primary)}"  # names of ours  # nosec B608
        rows = (map(partial(_values, table), each.execute(query)) for each in (self._main, expected))
        for found, right in zip_longest(*rows):
            equal(self._at, f"a row of {table.name} ({', '.join(table.columns)})", found, right)

    def _check_sums(self) -> None:
        """Accounts without a trade have sums of 0, which the comparison has seen."""
        assert self._main is not None
        what = "opened, closed, profitable, its pnl, liquidated, profitable, its pnl"
        for account, *added in self._main.execute(ADDED_UP):
            opened, closed, gains, won, won_low, liquidated, gained, lost, lost_low = added
            row = self._main.execute(SUMS_OF, (account,)).fetchone()
            found = row and (*row[:3], joined(*row[3:5]), *row[5:7], joined(*row[7:]))
            right = opened, closed, gains, summed(won, won_low), liquidated, gained, summed(lost, lost_low)
            equal(self._at, f"sums of {account} ({what})", found, right)

        for account, kept, counted in self._main.execute(ENDED_ORDERS):
            equal(self._at, f"orders of {account} that have ended", kept, counted)

    def _check_open(self, state: State) -> None:
        assert self._main is not None
        trades = [trade for account in state.account_list for trade in account.trades.values()]
        expected = [
            (
                *(trade.seq, trade.id, trade.account, trade.asset, trade.side, trade.margin, trade.leverage),
                *(trade.entry, trade.liquidation, trade.opened_at, trade.client_order),
                *(trade.net, *split(trade.size), trade.commission, trade.funding, trade.realized),
            )
            for trade in sorted(trades, key=lambda trade: trade.seq)
        ]
        for found, right in zip_longest(self._main.execute(OPEN_TRADES), expected):
            equal(self._at, "an open trade", found, right)

    def _check_waiting(self, state: State) -> None:
        """What has fired was a stop-limit, and waits as a limit since: its row shows it as it was placed."""
        assert self._main is not None
        rows = (row for account in state.account_list for row in _waiting(account))
        waiting = sorted(rows, key=lambda row: row[0])
        for found, right in zip_longest(self._main.execute(WAITING), waiting):
            if found is not None and right is not None and found[_FIRED] is not None:
                found = tuple(
                    each if column in ("kind", "stop_price") else value
                    for column, value, each in zip(ORDERS.columns, found, right, strict=True)
                )
            equal(self._at, "an order that waits", found, right)

    def _check_balance(self, account: str, free: int, locked: int) -> None:
        assert self._main is not None
        row = self._main.execute(BALANCE, (account,)).fetchone()
        if row is not None:
            row = joined(row[0], row[1]), row[2]
        equal(self._at, f"balance of {account} (free, locked)", row, (free, locked))


_FIRED = ORDERS.columns.index("fired")


def _waiting(account: Account) -> Iterator[tuple[Any, ...]]:
    """Rows of an account's orders and of its exits that are orders."""
    for order in account.orders.values():
        row = order_row(order)
        row.fired = order.fired or None
        yield msgspec.structs.astuple(row)
    for trade in account.trades.values():
        for exit_ in trade.exits:
            assert exit_.order is not None
            row = exit_row(trade, exit_)
            row.fired = exit_.order.fired or None
            yield msgspec.structs.astuple(row)


def _values(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with each wide column as one number: how it is split depends on the order of additions."""
    if not table.wide:
        return row
    stored = iter(row)
    return tuple(
        joined(next(stored), next(stored)) if column in table.wide else next(stored) for column in table.columns
    )


@contextmanager
def tables_of(journal: sqlite3.Connection, archives: Archives, main_db: Path | None) -> Iterator[TableCheck]:
    """Of a journal and the main.db beside it, which need not be there."""
    with ExitStack() as stack:
        main = None
        if main_db is not None and main_db.exists():
            main = _opened(stack, main_db)
        yield TableCheck(journal, archives, main)


def _opened(stack: ExitStack, main_db: Path) -> sqlite3.Connection | None:
    try:
        main = stack.enter_context(open_offline(main_db, MAIN))
    except DatabaseEmpty:
        return None
    version: int = main.execute("PRAGMA user_version").fetchone()[0]
    return main if version == VERSION else None

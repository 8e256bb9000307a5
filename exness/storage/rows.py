"""The tables of main.db, a struct each: what a backend stores, and all that it makes its statements from.

Money is micro-USDC, prices are scaled by their asset's decimals, leverage is hundredths, times are microseconds since
the epoch, UTC. Whoever changes a struct, or what `fold` makes of an event, raises VERSION: the tables are then made
anew from the journal at the next start.
"""

from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import get_args, get_type_hints

import msgspec

from exness.core.instruments import AccountId

VERSION = 9
"""Of the tables together. Up to 5 main.db held the journal as well."""

HOUSE = AccountId("house")
"""The account that bears the other side of every trade, and gets what is paid for them: `free` of its row in `balances`
is all that the house has."""


class Row(msgspec.Struct, gc=False):
    """A row of any table."""


class User(Row):
    id: str
    email: str
    created_at: int
    opened_seq: int


class Balance(Row):
    """`locked` is the margin of open trades and the reserve of waiting orders, `deposited` all that was ever paid
    in."""

    account_id: str
    free: int = 0
    locked: int = 0
    deposited: int = 0


class Sums(Row):
    """What an account's trades sum up to, so that asking for it reads one row however many there are. `closed` are
    those that were not liquidated; `profitable` of these, and `liquidated_profitable` of the others, have realized more
    than 0, as a trade can by its parts and be liquidated at last."""

    account_id: str
    opened: int = 0
    closed: int = 0
    profitable: int = 0
    closed_pnl: int = 0
    liquidated: int = 0
    liquidated_profitable: int = 0
    liquidated_pnl: int = 0
    orders: int = 0
    """That have ended."""


class Trade(Row):
    """As it is, or was when its last part was closed; `commission`, `funding` and `realized` are the whole trade's.
    `balance_after` is the account's free balance once it was open, `fingerprint` what was asked along with
    `client_order_id`. From `close_reason` on: its end, NULL while it is open; `close_bid` and `close_ask` are the tick
    that liquidated it, NULL otherwise."""

    opened_seq: int
    id: str
    account_id: str
    asset: str
    side: str
    margin: int
    leverage: int
    entry_price: int
    liquidation_price: int
    created_at: int
    client_order_id: str | None
    fingerprint: str | None
    balance_after: int
    net: int
    size: int
    commission: int = 0
    funding: int = 0
    realized: int = 0
    close_reason: str | None = None
    close_price: int | None = None
    close_bid: int | None = None
    close_ask: int | None = None
    pnl: int | None = None
    returned: int | None = None
    shortfall: int = 0
    closed_at: int | None = None
    closed_seq: int | None = None


class Order(Row):
    """An order, or an exit that is one: as it was placed, or last amended. See `ports.OrderRow`; `trailing` is JSON.
    What only an ended one has is NULL while it waits. `kind` is NULL of a net order at the market, `fired` of what has
    not."""

    number: int
    id: str
    account_id: str
    asset: str
    side: str
    kind: str | None
    net: int
    margin: int
    leverage: int
    quantity: int
    limit_price: int | None
    stop_price: int | None
    expires_at: int | None
    reserved: int
    take_profit: int | None
    stop_loss: int | None
    trailing: str | None
    closes: str | None
    client_order_id: str | None
    label: str | None
    created_at: int
    fired: int | None = None
    status: str | None = None
    reason: str | None = None
    ended_at: int | None = None
    ended_seq: int | None = None
    filled: int = 0
    price: int = 0


class AccountRecord(Row):
    """That a journal record is of an account: by it, an account's records are found without reading the others'.

    `reasons` are those of the statement's rows that it makes, and what else it tells of, a bit each (see
    `fold.BITS` and `fold.TOLD`). The rows themselves are in
    no table: a record tells them alone. `changes` is the record that made the trade or order that this one changes,
    NULL where it makes or ends one.
    """

    account_id: str
    seq: int
    at: int
    reasons: int
    asset: str | None = None
    changes: int | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """`primary` are the columns of its primary key, `key` is the one that changes name a row by. A column in `wide` can
    outgrow 64 bits and is stored as two (see `wide`). Tables are told apart by identity."""

    name: str
    row: type[Row]
    primary: tuple[str, ...]
    key: str
    wide: frozenset[str] = frozenset()
    more: str = ""
    """SQL after the columns' types: further constraints and indexes."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__


USERS = Table("users", User, ("id",), "id")
BALANCES = Table("balances", Balance, ("account_id",), "account_id", frozenset({"free", "deposited"}))
SUMS = Table("sums", Sums, ("account_id",), "account_id", frozenset({"closed_pnl", "liquidated_pnl"}))
TRADES = Table(
    "trades",
    Trade,
    ("opened_seq",),
    "id",
    frozenset({"size"}),  # of 0.1.0, which had no ceilings
    more="CREATE UNIQUE INDEX trade_ids ON trades (id);\n"
    "CREATE INDEX trades_of_account ON trades (account_id, created_at)",
)
ORDERS = Table(
    "orders",
    Order,
    ("number",),
    "id",
    more="CREATE UNIQUE INDEX order_ids ON orders (id);\n"
    "CREATE INDEX orders_of_account ON orders (account_id, number);\n"
    "CREATE INDEX orders_fired ON orders (fired) WHERE fired IS NOT NULL;\n"
    "CREATE INDEX orders_labelled ON orders (account_id, label) WHERE label IS NOT NULL",
)
ACCOUNT_RECORDS = Table(
    "account_records",
    AccountRecord,
    ("account_id", "seq"),
    "seq",
    more="CREATE INDEX changes_of ON account_records (changes, seq) WHERE changes IS NOT NULL",
)

TABLES = (USERS, BALANCES, SUMS, TRADES, ORDERS, ACCOUNT_RECORDS)
TABLE_OF: dict[type[Row], Table] = {table.row: table for table in TABLES}


def first_rows() -> list[Row]:
    """What the tables hold before the first record, and after a reset."""
    return [Balance(HOUSE)]


def schema() -> str:
    """The statements that make the tables, and the follower's own row: up to where it has come."""
    house = f"INSERT INTO balances VALUES ('{HOUSE}', 0, 0, 0, 0, 0)"  # of a constant alone  # nosec B608
    return ";\n".join([*map(_create, TABLES), _WATERMARK, house]) + ";\n"


_WATERMARK = """CREATE TABLE watermark (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    seq      INTEGER NOT NULL, -- every record up to this one is in the tables, none after it
    checksum INTEGER NOT NULL, -- that record's own
    reset    INTEGER NOT NULL  -- the record that forgot all before it, 0 if there was none
) STRICT;
INSERT INTO watermark VALUES (1, 0, 0, 0)"""


def typed_columns(table: Table) -> list[tuple[str, type, bool]]:
    """Its stored columns, wide ones as two: name, int or str, and whether it may be NULL."""
    hints = get_type_hints(table.row)
    columns: list[tuple[str, type, bool]] = []
    for column in table.columns:
        types = get_args(hints[column]) or (hints[column],)
        columns.append((column, int if int in types else str, NoneType in types))
        if column in table.wide:
            columns.append((f"{column}_e18", int, False))
    return columns


def _create(table: Table) -> str:
    columns = [
        f"{column} {'INTEGER' if kind is int else 'TEXT'}{'' if optional else ' NOT NULL'}"
        for column, kind, optional in typed_columns(table)
    ]
    ending = "STRICT" if table.primary in (("opened_seq",), ("number",)) else "STRICT, WITHOUT ROWID"
    body = ", ".join([*columns, f"PRIMARY KEY ({', '.join(table.primary)})"])
    return f"CREATE TABLE {table.name} ({body}) {ending}" + (f";\n{table.more}" if table.more else "")

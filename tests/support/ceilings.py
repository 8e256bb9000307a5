"""The ceiling of every integer that is stored: each column, and each field of what is stored as a blob or as JSON.

Tests hold these tables against the schema and the structs, so that a new column without a ceiling fails, and the
figures of the wildest trading against these tables.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from exness.core import capture, events, plain, rates, state, trades
from exness.core.ceilings import MOST_HELD, MOST_PRICE, MOST_SIZE, STORED
from exness.core.instruments import LEVERAGE_UNIT
from exness.runtime import candles
from exness.runtime.clock import LAST_US
from exness.storage.wide import WIDE

Span = tuple[int, int]
"""The least and the most."""

SEQ: Span = (0, 2**48 - 1)
"""The core's indexes count 16 numbers to a record, up to it: 890 years of 10,000 a second."""
COUNT = SEQ
"""Of what records make: one each, at most."""
TIME: Span = (0, LAST_US)
SECOND: Span = (0, LAST_US // 1_000_000)
CRC: Span = (0, 2**32 - 1)
HELD: Span = (0, MOST_HELD)
MARGIN: Span = (1, MOST_HELD)
PNL: Span = (-MOST_HELD, MOST_HELD)
SHORTFALL: Span = (0, STORED)
LEVERAGE: Span = (LEVERAGE_UNIT, 100 * LEVERAGE_UNIT)
PRICE: Span = (1, MOST_PRICE)
LIQUIDATION: Span = (0, 2 * MOST_PRICE)
VOLUME: Span = (0, STORED)
LOW: Span = (1 - WIDE, WIDE - 1)
"""Of a sum in two columns: see `storage.wide`."""
HIGH: Span = (-COUNT[1] * (MOST_HELD // WIDE + 1), COUNT[1] * (MOST_HELD // WIDE + 1))
"""Every record adds so much to it at most."""
FLAG: Span = (0, 1)
DECIMALS: Span = (0, 12)
BYTES: Span = (0, 2**48)
"""SQLite's largest file."""

SIZE: Span = (1, MOST_SIZE)
SUM: Span = (-STORED, STORED)
NUMBER: Span = (0, 16 * SEQ[1] + 15)

_TRADE = {"margin": MARGIN, "leverage": LEVERAGE}

COLUMNS: dict[str, dict[str, dict[str, Span]]] = {
    "journal": {
        "journal": {"seq": SEQ, "at": TIME, "checksum": CRC, "version": (1, 99)},
        "assets": {"decimals": DECIMALS, "max_leverage": LEVERAGE},
        "archives": {"first": SEQ, "last": SEQ},
        "releases": {"number": COUNT, "at": TIME, "seq": SEQ},
    },
    "main": {
        "users": {"created_at": TIME, "opened_seq": SEQ},
        "balances": {"free": LOW, "free_e18": HIGH, "locked": HELD, "deposited": LOW, "deposited_e18": HIGH},
        "sums": {
            "opened": COUNT,
            "closed": COUNT,
            "profitable": COUNT,
            "closed_pnl": LOW,
            "closed_pnl_e18": HIGH,
            "liquidated": COUNT,
            "liquidated_profitable": COUNT,
            "liquidated_pnl": LOW,
            "liquidated_pnl_e18": HIGH,
            "orders": COUNT,
        },
        "trades": {
            **_TRADE,
            "opened_seq": SEQ,
            "entry_price": PRICE,
            "liquidation_price": LIQUIDATION,
            "created_at": TIME,
            "balance_after": HELD,
            "close_price": PRICE,
            "close_bid": PRICE,
            "close_ask": PRICE,
            "pnl": PNL,
            "returned": HELD,
            "shortfall": SHORTFALL,
            "closed_at": TIME,
            "closed_seq": SEQ,
            "net": FLAG,
            "size": LOW,
            "size_e18": HIGH,
            **dict.fromkeys(("commission", "funding", "realized"), SUM),
        },
        "orders": {
            **dict.fromkeys(("number", "fired"), NUMBER),
            "net": FLAG,
            **dict.fromkeys(("margin", "reserved"), HELD),
            "leverage": LEVERAGE,
            "quantity": (0, MOST_SIZE),
            **dict.fromkeys(("limit_price", "stop_price", "take_profit", "stop_loss"), PRICE),
            **dict.fromkeys(("expires_at", "created_at", "ended_at"), TIME),
            "ended_seq": SEQ,
            "filled": (0, STORED),  # what it reduces and what it opens, 2^62 each at most, and one of them less
            "price": (0, MOST_PRICE),
        },
        "account_records": {"seq": SEQ, "at": TIME, "reasons": (0, 255), "changes": SEQ},
        "watermark": {"one": (1, 1), "seq": SEQ, "checksum": CRC, "reset": SEQ},
    },
    "market": {
        "candles": {
            "start": SECOND,
            **dict.fromkeys(("open", "high", "low", "close"), PRICE),
            "volume": VOLUME,
            "trades": (0, MOST_PRICE),  # marks of ours, one each; or what a venue says, read from text
            "backfilled": FLAG,
        },
        "counted": {"at": TIME, "marks": (1, STORED)},  # one each
        "watermark": {"one": (1, 1), "seq": SEQ},
    },
    "snapshots": {
        "snapshots": {"seq": SEQ, "chunks": COUNT, "stored_bytes": BYTES, "checksum": CRC},
        "chunks": {"seq": SEQ, "n": COUNT, "checksum": CRC},
    },
    "auth": {
        "api_keys": {"id": (1, STORED), "created_at": TIME, "expires_at": TIME},  # one for each key that was made
        "links": {"id": (1, STORED), "created_at": TIME, "expires_at": TIME},  # one for each mail
        "issuer": {"one": (1, 1), "generation": (0, STORED), "oldest": (0, STORED)},  # one for each end of a session
        "ended": {"generation": (1, STORED), "until": TIME},
        "sessions": {  # one for each sign-in
            "n": (1, STORED),
            "generation": (0, STORED),
            "created_at": TIME,
            "expires_at": TIME,
        },
    },
}

PART: Span = (0, MOST_HELD)
"""Of a margin: a part of next to nothing can release none."""
_RATE = (-(10**8), 10**8)
_MONEY = {"returned": HELD, "balance": HELD, "shortfall": SHORTFALL, "fee": HELD, "covered": SHORTFALL, "pnl": PNL}

FIELDS: dict[type[msgspec.Struct], dict[str, Span]] = {
    events.Record: {"seq": SEQ, "at": TIME},
    trades.Trade: {
        **_TRADE,
        "entry": PRICE,
        "liquidation": (0, STORED),
        "opened_at": TIME,
        "seq": SEQ,
        "size": SIZE,
        "cost": (0, MOST_SIZE),
        "unit": (0, 10**5),
        **dict.fromkeys(("commission", "funding", "realized"), SUM),
    },
    trades.Exit: {"number": NUMBER, "price": (0, MOST_PRICE)},
    trades.ExitOrder: {
        "placed_at": TIME,
        "size": (0, MOST_SIZE),
        "limit": PRICE,
        "expires_at": TIME,
        "fired": NUMBER,
    },
    trades.Trailing: {"distance": PRICE, "percent": (1, 9_999), "activation": PRICE},
    trades.Order: {
        "number": NUMBER,
        "placed_at": TIME,
        "leverage": LEVERAGE,
        "margin": HELD,
        **dict.fromkeys(("quantity", "opens"), (0, MOST_SIZE)),
        "reserved": HELD,
        "unit": (0, 10**5),
        **dict.fromkeys(("limit", "stop", "take_profit", "stop_loss"), PRICE),
        "expires_at": TIME,
        "fired": NUMBER,
    },
    events.Asked: {"records": (1, 2)},
    events.AccountOpened: {"deposit": HELD},
    events.Deposited: {"amount": HELD, "balance": HELD},
    events.OrderPlaced: {"balance": HELD},
    events.OrderAmended: {"released": HELD, "balance": HELD},
    events.OrderTriggered: {"fired": NUMBER, "balance": HELD},
    events.OrderEnded: {
        "released": HELD,
        "balance": HELD,
        "filled": (0, MOST_SIZE),
        "price": (0, MOST_PRICE),
        "fired": NUMBER,
    },
    events.TradeOpened: {"balance": HELD, "fee": HELD},
    events.TradeIncreased: {"price": PRICE, "size": SIZE, "margin": MARGIN, "balance": HELD, "fee": HELD},
    events.TradeReduced: {"price": PRICE, "size": SIZE, "margin": PART, **_MONEY},
    events.TradeClosed: {
        "price": PRICE,
        "margin": MARGIN,
        **_MONEY,
        "bid": PRICE,
        "ask": PRICE,
        "forfeited": HELD,
        "stop_loss": PRICE,
        "filled": (0, MOST_SIZE),
        **dict.fromkeys(("commission_before", "realized_before"), SUM),
    },
    events.TradeChanged: {
        "balance": HELD,
        "amount": PNL,
        "paid": PNL,
        "price": (0, MOST_PRICE),
        "shortfall": SHORTFALL,
        "covered": SHORTFALL,
    },
    events.NetLeverageSet: {"leverage": LEVERAGE, "balance": HELD},
    events.TrailMoved: dict.fromkeys(("bid", "ask", "mark", "long", "short"), PRICE),
    events.RatesSet: {},
    events.ProfileSet: {},
    events.InsurancePaid: {"amount": HELD},
    events.ExchangeReset: {},
    rates.Rates: {
        **dict.fromkeys(("taker", "maker", "liquidation_fee"), _RATE),
        "min_margin": HELD,
        "funding_interval_s": SECOND,
        "funding_offset_s": SECOND,
        "funding_rate_short": _RATE,
    },
    plain.PlainAccount: {"opened_at": TIME, "free": HELD, "seq": SEQ},
    # Its sums over all accounts are text when they must be, which is a union and no integer.
    capture._PlainHeader: {"seq": SEQ, "at": TIME, "accounts": COUNT, "journal": (0, 2**32 - 1), "format": (1, 99)},
    state.SeenOrder: {"seq": SEQ, "last": SEQ},
    candles.Candle: {name: span for name, span in COLUMNS["market"]["candles"].items() if name != "backfilled"},
    candles.Counted: COLUMNS["market"]["counted"],
}
"""Of all that is written as JSON or msgpack, or goes into candles."""

EVENTS: tuple[type[msgspec.Struct], ...] = get_args(events.Event)


def integer_columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Those of each table of a database, as its schema has them."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    return {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "INTEGER"}
        for (table,) in tables
    }


def integer_fields(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct) if field.type in (int, int | None)}


def assert_columns_are_within(connection: sqlite3.Connection, database: str = "main") -> None:
    """Every figure that is stored there."""
    for table, spans in COLUMNS[database].items():
        for column, (least, most) in spans.items():
            beyond = connection.execute(
                f"SELECT {column} FROM {table} WHERE {column} NOT BETWEEN ? AND ?", (least, most)
            ).fetchall()
            assert not beyond, (table, column, beyond)
            kinds = connection.execute(f"SELECT DISTINCT typeof({column}) FROM {table}").fetchall()
            assert {kind for (kind,) in kinds} <= {"integer", "null"}, (table, column)


def assert_record_is_within(record: events.Record) -> None:
    """Every figure of a record, its event and the trade in it."""
    for struct in _structs(record):
        for field, (least, most) in FIELDS[type(struct)].items():
            value = getattr(struct, field)
            assert value is None or least <= value <= most, (field, struct)


def _structs(value: Any) -> Iterator[msgspec.Struct]:
    yield value
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        if isinstance(inner, msgspec.Struct):
            yield from _structs(inner)

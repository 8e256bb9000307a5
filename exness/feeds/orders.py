"""Scripted orders that ride along with a replay: a CSV file of who asks for what, and when.

    time,account,do,order,asset,type,margin,leverage,slippage,expectedPrice,stopLoss
    2024-08-05T00:00:00Z,ann@example.com,open,a1,SOL,long,100,10,,,150
    2024-08-05T01:30:00Z,ann@example.com,close,a1,,,,,,,

Columns may come in any order, those of OPTIONAL may be missing; which of them a `do` reads is in `order_rows`. `time`
is RFC 3339 (UTC without a zone) or microseconds since the epoch, and never before that of the line above. `order` is
the author's name for a trade, an order or an exit, unique per account: a close says which one it means. Ids are made
from these names, so that every run of a script makes the same trades. Whatever is wrong with a file is a ReplayError
that names the line and the column.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from exness.access.emails import AddressError, normalised
from exness.core.commands import Command
from exness.core.instruments import AccountId, Asset, Instrument
from exness.feeds.order_rows import DOINGS, BadRow, Row, id_of, of_account
from exness.feeds.recording import ReplayError
from exness.runtime.moments import parse_time, shown
from exness.runtime.texts import TextError, open_table

REQUIRED = ("time", "account", "do", "order", "asset", "type", "margin", "leverage")
SLIPPING = ("slippage", "expectedPrice")
OPTIONAL = (
    *SLIPPING,
    *("limitPrice", "stopPrice", "timeInForce", "expiresAt", "postOnly", "takeProfit", "stopLoss", "trailingStop"),
    *("of", "kind", "percent", "quantity", "amount", "reduceOnly", "closePosition"),
)
ORDERS_COLUMNS = REQUIRED + SLIPPING
"""The columns that a file of opens and closes has."""

_NAME = re.compile(r"[\x21-\x7e]{1,64}")

_email = lru_cache(maxsize=10_000)(normalised)
"""To check an address takes 50 us, and an account has many lines."""


class ScriptedOrder(msgspec.Struct, frozen=True, gc=False):
    """One line. `row` counts lines of orders from 1; what is `asked` is told whose account it is once that is known."""

    row: int
    time_us: int
    email: str
    do: str
    name: str
    asked: Command
    line: int = 0
    """Where in the file it is."""

    def command(self, account: AccountId) -> Command:
        return of_account(self.asked, account)

    @property
    def new_account(self) -> AccountId:
        """The id its account gets when this order is the first that is heard of it."""
        return AccountId(id_of("account", self.email))


def read_orders(path: Path, instruments: Sequence[Instrument]) -> Iterator[ScriptedOrder]:
    """The orders of a file, one at a time. Raises ReplayError at the first line that is not sound."""
    known = {each.asset: each for each in instruments}
    assets: dict[str, dict[str, Asset]] = {}
    try:
        with open_table(path) as table:
            try:
                columns = _columns(table.header)
                last_us = 0
                for row, fields in enumerate(table, 1):
                    order = _order(row, table.line, dict(zip(columns, fields, strict=True)), known, assets)
                    if order.time_us < last_us:
                        raise BadRow(f"time {fields[columns.index('time')]} is before that of the line above")
                    last_us = order.time_us
                    yield order
            except BadRow as wrong:
                raise TextError(str(wrong), max(1, table.line)) from wrong
    except TextError as wrong:
        raise ReplayError(wrong.about(f"orders file {path}")) from wrong


def check_orders(path: Path, instruments: Sequence[Instrument]) -> int:
    """Read the file to its end; how many orders it has. Raises ReplayError."""
    made: set[tuple[str, str]] = set()
    count = 0
    for order in read_orders(path, instruments):
        count = order.row
        name, names = (order.email, order.name), DOINGS[order.do].names
        where = f"orders file {path}, line {order.line}"
        if names == "new" and name in made:
            word = "opened" if order.do == "open" else "made"
            raise ReplayError(f"{where}: order {order.name} is {word} by {order.email} a second time")
        if names == "made" and name not in made:
            done = "is closed by" if order.do == "close" else f"({order.do}) is named by"
            raise ReplayError(f"{where}: order {order.name} {done} {order.email}, who has not opened it")
        if names == "new":
            made.add(name)
    return count


def _columns(header: Sequence[str]) -> list[str]:
    columns = list(header)
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in REQUIRED + OPTIONAL]
    if missing or unknown or len(set(columns)) != len(columns):
        given = f"{','.join(columns)[:120]!r}"
        raise BadRow(
            f"the header must be {','.join(ORDERS_COLUMNS)}, not {given}; the last two may be missing, and columns of "
            "docs/API.md, Replay, may be added"
        )
    return columns


def _order(
    row: int,
    line: int,
    fields: Mapping[str, str],
    known: Mapping[Asset, Instrument],
    assets: dict[str, dict[str, Asset]],
) -> ScriptedOrder:
    try:
        time_us = parse_time(fields["time"])
    except ValueError as wrong:
        raise BadRow(f"time {wrong}") from None
    try:
        email = _email(fields["account"])
    except AddressError as wrong:
        raise BadRow(f"account: {wrong}") from None
    do, name = fields["do"], fields["order"]
    doing = DOINGS.get(do)
    if doing is None:
        *others, last = DOINGS
        raise BadRow(f"do must be {', '.join(others)} or {last}, not {shown(do)}")
    if doing.names and not _NAME.fullmatch(name):
        raise BadRow("order must be a name of 1 to 64 letters, digits or signs")
    own = assets.setdefault(email, {})
    if do == "exit" and (of := fields.get("of", "")) in own:
        own[name] = own[of]
    elif do == "exit" and not fields.get("asset"):
        raise BadRow(f"of {shown(of)} is no trade that {email} has opened above")
    asked = doing.make(Row(email, name, fields, known, own))
    if doing.names == "new" and do != "exit":
        own[name] = Asset(fields["asset"])
    return ScriptedOrder(row, time_us, email, do, name, asked, line)

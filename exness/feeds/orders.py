"""Scripted orders that ride along with a replay: a CSV file of who opens and closes what, and when.

    time,account,do,order,asset,type,margin,leverage,slippage,expectedPrice
    2024-08-05T00:00:00Z,ann@example.com,open,a1,SOL,long,100,10,,
    2024-08-05T01:30:00Z,ann@example.com,close,a1,,,,,,

Columns may come in any order; `slippage` and `expectedPrice` may be missing. `time` is RFC 3339 (UTC without a zone) or
microseconds since the epoch, and never before that of the line above. `order` is the author's name for a trade, unique
per account: a close says which one it means. Ids are made from these names, so that every run of a script makes the
same trades. Whatever is wrong with a file is a ReplayError that names the line and the column.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from exness.access.emails import AddressError, normalised
from exness.core.commands import CloseTrade, Command, OpenTrade
from exness.core.instruments import LEVERAGE_DECIMALS, AccountId, Asset, Instrument, Side, TradeId
from exness.core.money import USDC_DECIMALS, AmountError, format_hundredths, parse_scaled
from exness.core.rejects import Figure, OutOfRange
from exness.core.rules import SLIPPAGE, out_of_range
from exness.feeds.ohlc import shown
from exness.feeds.recording import ReplayError
from exness.runtime.moments import parse_time
from exness.runtime.texts import TextError, open_table

REQUIRED = ("time", "account", "do", "order", "asset", "type", "margin", "leverage")
OPTIONAL = ("slippage", "expectedPrice")
ORDERS_COLUMNS = REQUIRED + OPTIONAL

_NAME = re.compile(r"[\x21-\x7e]{1,64}")
_WHOLE = re.compile(r"\d{1,5}", re.ASCII)
_SLIPPAGE = f"slippage must be a whole number from {SLIPPAGE.least} to {SLIPPAGE.most}, not {{}}"

_email = lru_cache(maxsize=10_000)(normalised)
"""To check an address takes 50 us, and an account has many lines."""


class ScriptedOrder(msgspec.Struct, frozen=True, gc=False):
    """One line. `row` counts lines of orders from 1; `command` is told whose account it is once that is known."""

    row: int
    time_us: int
    email: str
    name: str
    open: OpenTrade | None
    """None: close the trade of this name."""
    line: int = 0
    """Where in the file it is."""

    def command(self, account: AccountId) -> Command:
        trade_id = TradeId(_id("order", f"{self.email}/{self.name}"))
        if self.open is None:
            return CloseTrade(account, trade_id)
        return msgspec.structs.replace(self.open, account=account, trade_id=trade_id)

    @property
    def new_account(self) -> AccountId:
        """The id its account gets when this order is the first that is heard of it."""
        return AccountId(_id("account", self.email))


class _BadRow(ValueError):
    """What is wrong with a row; begins with the column's name."""


def read_orders(path: Path, instruments: Sequence[Instrument]) -> Iterator[ScriptedOrder]:
    """The orders of a file, one at a time. Raises ReplayError at the first line that is not sound."""
    known = {each.asset: each for each in instruments}
    try:
        with open_table(path) as table:
            try:
                columns = _columns(table.header)
                last_us = 0
                for row, fields in enumerate(table, 1):
                    order = _order(row, table.line, dict(zip(columns, fields, strict=True)), known)
                    if order.time_us < last_us:
                        raise _BadRow(f"time {fields[columns.index('time')]} is before that of the line above")
                    last_us = order.time_us
                    yield order
            except _BadRow as wrong:
                raise TextError(str(wrong), max(1, table.line)) from wrong
    except TextError as wrong:
        raise ReplayError(wrong.about(f"orders file {path}")) from wrong


def check_orders(path: Path, instruments: Sequence[Instrument]) -> int:
    """Read the file to its end; how many orders it has. Raises ReplayError."""
    opened: set[tuple[str, str]] = set()
    count = 0
    for order in read_orders(path, instruments):
        count = order.row
        name = (order.email, order.name)
        where = f"orders file {path}, line {order.line}"
        if order.open is not None and name in opened:
            raise ReplayError(f"{where}: order {order.name} is opened by {order.email} a second time")
        if order.open is None and name not in opened:
            raise ReplayError(f"{where}: order {order.name} is closed by {order.email}, who has not opened it")
        opened.add(name)
    return count


def _columns(header: Sequence[str]) -> list[str]:
    columns = list(header)
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in ORDERS_COLUMNS]
    if missing or unknown or len(set(columns)) != len(columns):
        given = f"{','.join(columns)[:120]!r}"
        raise _BadRow(f"the header must be {','.join(ORDERS_COLUMNS)}, not {given}; the last two may be missing")
    return columns


def _order(row: int, line: int, fields: Mapping[str, str], known: Mapping[Asset, Instrument]) -> ScriptedOrder:
    try:
        time_us = parse_time(fields["time"])
    except ValueError as wrong:
        raise _BadRow(f"time {wrong}") from None
    try:
        email = _email(fields["account"])
    except AddressError as wrong:
        raise _BadRow(f"account: {wrong}") from None
    name = fields["order"]
    _check(bool(_NAME.fullmatch(name)), "order must be a name of 1 to 64 letters, digits or signs")
    match fields["do"]:
        case "open":
            return ScriptedOrder(row, time_us, email, name, _open(name, fields, known), line)
        case "close":
            return ScriptedOrder(row, time_us, email, name, None, line)
        case other:
            raise _BadRow(f"do must be open or close, not {shown(other)}")


def _open(name: str, fields: Mapping[str, str], known: Mapping[Asset, Instrument]) -> OpenTrade:
    instrument = known.get(Asset(fields["asset"]))
    if instrument is None:
        raise _BadRow(f"asset {shown(fields['asset'])} is not a configured asset, which are {', '.join(known)}")
    _check(fields["type"] in ("long", "short"), f"type must be long or short, not {shown(fields['type'])}")
    margin = _amount(fields, "margin", USDC_DECIMALS)
    leverage = _amount(fields, "leverage", LEVERAGE_DECIMALS)
    slippage = _whole(fields.get("slippage", ""))
    expected = _amount(fields, "expectedPrice", instrument.decimals) if fields.get("expectedPrice") else None
    for wrong in out_of_range(instrument, margin, leverage, slippage, expected, name):
        raise _BadRow(_sentence(wrong, fields))
    return OpenTrade(
        account=AccountId(""),
        trade_id=TradeId(""),
        asset=instrument.asset,
        side=Side(fields["type"]),
        margin=margin,
        leverage=leverage,
        slippage=slippage,
        expected_price=expected,
        # So that an order which a restart meets again is answered as the first time, and opens no second trade.
        client_order=name,
    )


def _amount(fields: Mapping[str, str], column: str, decimals: int) -> int:
    try:
        return parse_scaled(fields[column], decimals)
    except AmountError as wrong:
        raise _BadRow(f"{column} {wrong}, not {shown(fields[column])}") from None


def _whole(slippage: str) -> int | None:
    _check(not slippage or _WHOLE.fullmatch(slippage) is not None, _SLIPPAGE.format(shown(slippage)))
    return int(slippage) if slippage else None


def _sentence(wrong: OutOfRange, fields: Mapping[str, str]) -> str:
    match wrong.figure:
        case Figure.LEVERAGE:
            return f"leverage must be {format_hundredths(wrong.least)} to {format_hundredths(wrong.most)}"
        case Figure.SLIPPAGE:
            return _SLIPPAGE.format(shown(fields["slippage"]))
        case Figure.EXPECTED_PRICE:
            return "expectedPrice must be above 0"
        case figure:
            return f"{figure} must be above 0"


def _check(is_fine: bool, problem: str) -> None:
    if not is_fine:
        raise _BadRow(problem)


def _id(kind: str, name: str) -> str:
    return hashlib.sha256(f"replay {kind} {name}".encode()).hexdigest()[:32]

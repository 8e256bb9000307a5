"""Scripted orders that ride along with a replay: a CSV file of who opens and closes what, and when.

    time,account,do,order,asset,type,margin,leverage,slippage,expectedPrice
    2024-08-05T00:00:00Z,ann@example.com,open,a1,SOL,long,100,10,,
    2024-08-05T01:30:00Z,ann@example.com,close,a1,,,,,,

Columns may come in any order; `slippage` and `expectedPrice` may be missing. `time` is ISO 8601 (UTC unless it says
otherwise) or microseconds since the epoch, and never before that of the line above. `order` is the author's name for a
trade, unique per account: a close says which one it means. Ids are made from these names, so that every run of a script
makes the same trades. Whatever is wrong with a file is a ReplayError that names the line.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from exness.core.commands import CloseTrade, Command, OpenTrade
from exness.core.instruments import AccountId, Asset, Instrument, OrderId, Side
from exness.core.money import USDC_DECIMALS, AmountError, parse_scaled
from exness.feeds.recording import ReplayError
from exness.runtime.moments import parse_time

REQUIRED = ("time", "account", "do", "order", "asset", "type", "margin", "leverage")
OPTIONAL = ("slippage", "expectedPrice")

_ACCOUNT = re.compile(r"[^\s,@]{1,64}@[^\s,@]{1,190}")
_NAME = re.compile(r"[\x21-\x7e]{1,64}")
_MAX_LINE = 1_000


class ScriptedOrder(msgspec.Struct, frozen=True, gc=False):
    """One line. `row` counts lines of orders from 1; `command` is told whose account it is once that is known."""

    row: int
    time_us: int
    email: str
    name: str
    open: OpenTrade | None
    """None: close the trade of this name."""

    def command(self, account: AccountId) -> Command:
        order = OrderId(_id("order", f"{self.email}/{self.name}"))
        if self.open is None:
            return CloseTrade(account, order)
        return msgspec.structs.replace(self.open, account=account, order=order)

    @property
    def new_account(self) -> AccountId:
        """The id its account gets when this order is the first that is heard of it."""
        return AccountId(_id("account", self.email))


class _BadLine(ValueError):
    """What is wrong with a line; completes "<file>, line <n>: ..."."""


def read_orders(path: Path, instruments: Sequence[Instrument]) -> Iterator[ScriptedOrder]:
    """The orders of a file, one at a time. Raises ReplayError at the first line that is not sound."""
    number, known = 1, {each.asset: each for each in instruments}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            columns = _columns(file.readline(_MAX_LINE))
            last_us, row = 0, 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if not line.strip():
                    continue
                row += 1
                order = _order(row, _fields(line, columns), known)
                if order.time_us < last_us:
                    raise _BadLine("the time is before that of the line above")
                last_us = order.time_us
                yield order
    except (_BadLine, AmountError) as wrong:
        raise ReplayError(f"orders file {path}, line {number}: {wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise ReplayError(f"orders file {path}, after line {number}: not UTF-8 text") from wrong
    except OSError as wrong:
        raise ReplayError(f"orders file {path} cannot be read: {wrong.strerror or wrong}") from wrong


def check_orders(path: Path, instruments: Sequence[Instrument]) -> int:
    """Read the file to its end; how many orders it has. Raises ReplayError."""
    opened: set[tuple[str, str]] = set()
    count = 0
    for order in read_orders(path, instruments):
        count = order.row
        name = (order.email, order.name)
        if order.open is not None and name in opened:
            raise ReplayError(f"orders file {path}, order {order.row}: {order.email} opens {order.name} twice")
        if order.open is None and name not in opened:
            raise ReplayError(f"orders file {path}, order {order.row}: {order.email} has not opened {order.name}")
        opened.add(name)
    return count


def _columns(header: str) -> list[str]:
    columns = next(csv.reader([header]), [])
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in REQUIRED + OPTIONAL]
    if missing or unknown or len(set(columns)) != len(columns):
        raise _BadLine(f"the header must be {','.join(REQUIRED + OPTIONAL)}; the last two may be missing")
    return columns


def _fields(line: str, columns: list[str]) -> dict[str, str]:
    try:
        fields = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise _BadLine(str(error)) from error
    if len(fields) != len(columns):
        raise _BadLine(f"has {len(fields)} fields instead of {len(columns)}")
    return dict(zip(columns, (field.strip() for field in fields), strict=True))


def _order(row: int, fields: Mapping[str, str], known: Mapping[Asset, Instrument]) -> ScriptedOrder:
    try:
        time_us = parse_time(fields["time"])
    except ValueError as wrong:
        raise _BadLine(f"time {wrong}") from None
    email, name = fields["account"].lower(), fields["order"]
    _check(bool(_ACCOUNT.fullmatch(email)), "account must be a mail address")
    _check(bool(_NAME.fullmatch(name)), "order must be a name of 1 to 64 letters, digits or signs")
    match fields["do"]:
        case "open":
            return ScriptedOrder(row, time_us, email, name, _open(name, fields, known))
        case "close":
            return ScriptedOrder(row, time_us, email, name, None)
        case _:
            raise _BadLine("do must be open or close")


def _open(name: str, fields: Mapping[str, str], known: Mapping[Asset, Instrument]) -> OpenTrade:
    instrument = known.get(Asset(fields["asset"]))
    if instrument is None:
        raise _BadLine(f"{fields['asset'][:40]!r} is not a configured asset")
    _check(fields["type"] in ("long", "short"), "type must be long or short")
    margin = parse_scaled(fields["margin"], USDC_DECIMALS)
    leverage = parse_scaled(fields["leverage"], 2)
    _check(margin > 0, "margin must be above 0")
    _check(100 <= leverage <= instrument.max_leverage, f"leverage must be 1 to {instrument.max_leverage / 100:g}")
    slippage, expected = fields.get("slippage", ""), fields.get("expectedPrice", "")
    _check(not slippage or (slippage.isdecimal() and 10 <= int(slippage) <= 10_000), "slippage must be 10 to 10000")
    return OpenTrade(
        account=AccountId(""),
        order=OrderId(""),
        asset=instrument.asset,
        side=Side(fields["type"]),
        margin=margin,
        leverage=leverage,
        slippage=int(slippage) if slippage else None,
        expected_price=parse_scaled(expected, instrument.decimals) if expected else None,
        # So that an order which a restart meets again is answered as the first time, and opens no second trade.
        client_order=name,
        fingerprint=",".join(f"{column}={fields.get(column, '')}" for column in (*REQUIRED[4:], *OPTIONAL)),
    )


def _check(is_fine: bool, problem: str) -> None:
    if not is_fine:
        raise _BadLine(problem)


def _id(kind: str, name: str) -> str:
    return hashlib.sha256(f"replay {kind} {name}".encode()).hexdigest()[:32]

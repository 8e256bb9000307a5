"""What a line of scripted orders asks for, by its `do`: the columns that it reads, and the command that they make.

A line reads only the columns of its `do`; what stands in the others is passed over, as it always was.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from exness.core.commands import (
    AddExit,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    ChangeLeverage,
    ChangeMargin,
    CloseTrade,
    Command,
    Deposit,
    NetOrder,
    OpenTrade,
    PlaceOrder,
    SetExits,
    SetNetLeverage,
    TimeInForce,
)
from exness.core.instruments import LEVERAGE_DECIMALS, AccountId, Asset, Instrument, OrderId, Side, TradeId
from exness.core.money import USDC_DECIMALS, AmountError, format_hundredths, parse_scaled
from exness.core.rejects import Figure, OutOfRange
from exness.core.rules import SLIPPAGE, out_of_range
from exness.core.trades import Kind, Trailing
from exness.runtime.moments import parse_time, shown

T = TypeVar("T")

REMOVES = "none"
"""In a column of exits and amend: what was set is removed."""
_WHOLE = re.compile(r"\d{1,5}", re.ASCII)
_SLIPPAGE = f"slippage must be a whole number from {SLIPPAGE.least} to {SLIPPAGE.most}, not {{}}"
_NOBODY = AccountId("")


class BadRow(ValueError):
    """What is wrong with a row; begins with the column's name."""


class Row(NamedTuple):
    """The fields of a line, and the instruments there are."""

    email: str
    name: str
    fields: Mapping[str, str]
    known: Mapping[Asset, Instrument]
    assets: Mapping[str, Asset]
    """Of each name that the account has used."""

    def text(self, column: str) -> str:
        return self.fields.get(column, "")

    def check(self, is_fine: bool, problem: str) -> None:
        if not is_fine:
            raise BadRow(problem)

    # --- what a column holds ---

    @property
    def instrument(self) -> Instrument:
        """That of the column, or of the order that the line names."""
        given = Asset(self.text("asset") or self.assets.get(self.name, ""))
        found = self.known.get(given)
        if found is None:
            raise BadRow(f"asset {shown(given)} is not a configured asset, which are {', '.join(self.known)}")
        return found

    def amount(self, column: str, decimals: int) -> int:
        try:
            return parse_scaled(self.text(column), decimals)
        except AmountError as wrong:
            raise BadRow(f"{column} {wrong}, not {shown(self.text(column))}") from None

    def given(self, column: str, read: Callable[[str], T]) -> T | None:
        return read(column) if self.text(column) else None

    def changed(self, column: str, read: Callable[[str], T]) -> Any:
        """What a column changes: nothing where it is empty."""
        if not self.text(column):
            return UNSET
        return None if self.text(column) == REMOVES else read(column)

    def usdc(self, column: str) -> int:
        return self.amount(column, USDC_DECIMALS)

    def leverage(self, column: str = "leverage") -> int:
        return self.amount(column, LEVERAGE_DECIMALS)

    def price(self, column: str) -> int:
        return self.amount(column, self.instrument.decimals)

    def quantity(self, column: str = "quantity") -> int:
        return self.amount(column, self.instrument.quantity_places)

    def percent(self, column: str = "percent") -> int:
        self.check(_WHOLE.fullmatch(self.text(column)) is not None, f"{column} must be a whole number")
        return int(self.text(column))

    def time(self, column: str) -> int:
        try:
            return parse_time(self.text(column))
        except ValueError as wrong:
            raise BadRow(f"{column} {wrong}") from None

    def one_of(self, column: str, words: Mapping[str, T]) -> T:
        text = self.text(column)
        self.check(text in words, f"{column} must be {' or '.join(words)}, not {shown(text)}")
        return words[text]

    def flag(self, column: str) -> bool:
        return bool(self.text(column)) and self.one_of(column, {"true": True, "false": False})

    def trailing(self, column: str) -> Trailing:
        """`2.5` is a distance, `150bp` hundredths of a percent; `@210` behind it is the price that activates it."""
        width, _, activation = self.text(column).partition("@")
        first = self._replace(fields={**self.fields, column: width.removesuffix("bp")})
        second = self._replace(fields={**self.fields, column: activation})
        at = second.given(column, second.price)
        if width.endswith("bp"):
            return Trailing(percent=first.percent(column), activation=at)
        return Trailing(distance=first.price(column), activation=at)

    @property
    def trade(self) -> TradeId:
        return TradeId(id_of("order", f"{self.email}/{self.name}"))

    @property
    def order(self) -> OrderId:
        return OrderId(self.trade)


SIDES = {"long": Side.LONG, "short": Side.SHORT}
TRADES = {"buy": Side.LONG, "sell": Side.SHORT}
EXITS = {kind.value: kind for kind in (Kind.TAKE_PROFIT, Kind.STOP_LOSS, Kind.LIMIT)}
TIMES = {each.value: each for each in TimeInForce}


def id_of(kind: str, name: str) -> str:
    return hashlib.sha256(f"replay {kind} {name}".encode()).hexdigest()[:32]


def _exits(row: Row) -> dict[str, Any]:
    return {
        "take_profit": row.given("takeProfit", row.price),
        "stop_loss": row.given("stopLoss", row.price),
        "trailing_stop": row.given("trailingStop", row.trailing),
    }


def _waits(row: Row) -> dict[str, Any]:
    return {
        "limit": row.given("limitPrice", row.price),
        "stop": row.given("stopPrice", row.price),
        "time_in_force": row.given("timeInForce", lambda column: row.one_of(column, TIMES)),
        "expires_at": row.given("expiresAt", row.time),
        "post_only": row.flag("postOnly"),
    }


def _part(row: Row) -> dict[str, Any]:
    return {
        "percent": row.given("percent", row.percent),
        "margin": row.given("amount", row.usdc),  # in the column margin an older file may have anything here
        "size": row.given("quantity", row.quantity),
    }


def _slips(row: Row) -> dict[str, Any]:
    text = row.text("slippage")
    row.check(not text or _WHOLE.fullmatch(text) is not None, _SLIPPAGE.format(shown(text)))
    return {"slippage": int(text) if text else None, "expected_price": row.given("expectedPrice", row.price)}


def _open(row: Row) -> OpenTrade:
    instrument, side = row.instrument, row.one_of("type", SIDES)
    margin, leverage, slips = row.usdc("margin"), row.leverage(), _slips(row)
    for wrong in out_of_range(instrument, margin, leverage, slips["slippage"], slips["expected_price"], row.name):
        raise BadRow(_sentence(wrong, row))
    # The name is the client order id, so that an order which a restart meets again is answered as the first time.
    return OpenTrade(
        _NOBODY, row.trade, instrument.asset, side, margin, leverage, client_order=row.name, **slips, **_exits(row)
    )


def _order(row: Row) -> PlaceOrder:
    instrument, side = row.instrument, row.one_of("type", SIDES)
    margin, leverage, waits = row.usdc("margin"), row.leverage(), _waits(row)
    row.check(not (waits["limit"] is waits["stop"] is None), "limitPrice or stopPrice must be given")
    return PlaceOrder(
        _NOBODY, row.order, instrument.asset, side, margin, leverage, client_order=row.name, **waits, **_exits(row)
    )


def _net(row: Row) -> NetOrder:
    asset, side = row.instrument.asset, row.one_of("type", TRADES)
    closes, quantity = row.flag("closePosition"), row.given("quantity", row.quantity)
    row.check(closes == (quantity is None), "quantity must be given, or closePosition, and not both")
    return NetOrder(
        _NOBODY,
        row.order,
        asset,
        side,
        quantity,
        closes,
        trailing_stop=row.given("trailingStop", row.trailing),
        kind=row.given("kind", lambda column: row.one_of(column, EXITS)),
        reduce_only=row.flag("reduceOnly"),
        client_order=row.name,
        **_waits(row),
        **_slips(row),
    )


def _amend(row: Row) -> AmendOrder:
    changes = {
        "limit": row.changed("limitPrice", row.price),
        "stop": row.changed("stopPrice", row.price),
        "expires_at": row.changed("expiresAt", row.time),
        "margin": row.changed("margin", row.usdc),
        "leverage": row.changed("leverage", row.leverage),
        "size": row.changed("quantity", row.quantity),
        "take_profit": row.changed("takeProfit", row.price),
        "stop_loss": row.changed("stopLoss", row.price),
        "trailing_stop": row.changed("trailingStop", row.trailing),
    }
    for column in ("margin", "leverage", "quantity"):
        row.check(row.text(column) != REMOVES, f"{column} can't be removed")
    return AmendOrder(_NOBODY, row.order, **changes)


def _set_exits(row: Row) -> SetExits:
    return SetExits(
        _NOBODY,
        row.trade,
        row.changed("takeProfit", row.price),
        row.changed("stopLoss", row.price),
        row.changed("trailingStop", row.trailing),
    )


def _exit(row: Row) -> AddExit:
    trade = TradeId(id_of("order", f"{row.email}/{row.text('of')}"))
    kind = row.one_of("kind", EXITS)
    price = row.price("limitPrice" if kind is Kind.LIMIT else "stopPrice")
    return AddExit(_NOBODY, trade, row.order, kind, price, client_order=row.name, **_part(row))


class Doing(NamedTuple):
    """A `do`: whether its name is a new one or one that was made, and the command that a line of it makes."""

    names: str
    """"new", "made" or "": it has none."""
    make: Callable[[Row], Command]


DOINGS: Mapping[str, Doing] = {
    "open": Doing("new", _open),
    "close": Doing("made", lambda row: CloseTrade(_NOBODY, row.trade, **_part(row))),
    "order": Doing("new", _order),
    "cancel": Doing("made", lambda row: CancelOrder(_NOBODY, row.order)),
    "cancel_all": Doing("", lambda row: CancelOrders(_NOBODY, row.instrument.asset if row.text("asset") else None)),
    "amend": Doing("made", _amend),
    "exits": Doing("made", _set_exits),
    "exit": Doing("new", _exit),
    "margin": Doing("made", lambda row: ChangeMargin(_NOBODY, row.trade, row.usdc("amount"))),
    "leverage": Doing("made", lambda row: ChangeLeverage(_NOBODY, row.trade, row.leverage())),
    "net": Doing("new", _net),
    "net_leverage": Doing("", lambda row: SetNetLeverage(_NOBODY, row.instrument.asset, row.leverage())),
    "deposit": Doing("", lambda row: Deposit(_NOBODY, row.usdc("amount"))),
}


def of_account(command: Command, account: AccountId) -> Command:
    """The command, told whose account it is."""
    return msgspec.structs.replace(command, account=account)


def _sentence(wrong: OutOfRange, row: Row) -> str:
    match wrong.figure:
        case Figure.LEVERAGE:
            return f"leverage must be {format_hundredths(wrong.least)} to {format_hundredths(wrong.most)}"
        case Figure.SLIPPAGE:
            return _SLIPPAGE.format(shown(row.text("slippage")))
        case Figure.EXPECTED_PRICE:
            return "expectedPrice must be above 0"
        case figure:
            return f"{figure} must be above 0"

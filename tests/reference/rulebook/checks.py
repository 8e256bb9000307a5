"""The guards that several commands share. Each raises what it refuses; those of one command stand in the order in
which the errors are listed."""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from tests.reference.rulebook import formulas
from tests.reference.rulebook.book import Book, Order, Price
from tests.reference.rulebook.commands import Refused, Trailing
from tests.reference.rulebook.formulas import Position

MOST_HELD = 2**63 - 1
MOST_PRICE = 10**18 - 1
MOST_SIZE = 2**62


def bad_request(field: str, *, wrong: bool) -> None:
    if wrong:
        raise Refused("bad_request", field=field)


def alternatives(*given: object, least: int = 1) -> None:
    """Of alternatives one, or none where that means something."""
    bad_request("alternatives", wrong=not least <= sum(each is not None for each in given) <= 1)


def price_fields(**given: int | None) -> None:
    for name, price in given.items():
        bad_request(name, wrong=price is not None and price <= 0)


def exit_fields(side: str, take_profit: int | None, stop_loss: int | None, trailing: Trailing | None) -> None:
    price_fields(take_profit=take_profit, stop_loss=stop_loss)
    if trailing is not None:
        alternatives(trailing.distance, trailing.percent)
        price_fields(distance=trailing.distance, activation=trailing.activation)
    if take_profit is not None and stop_loss is not None:
        wrong = stop_loss >= take_profit if side == "long" else stop_loss <= take_profit
        bad_request("stop_loss", wrong=wrong)


def expiry(tif: str | None, expires_at: int | None, at: int) -> None:
    bad_request("expires_at", wrong=(tif == "gtt") is not (expires_at is not None) and tif is not None)
    bad_request("expires_at", wrong=expires_at is not None and expires_at <= at)


def amount(figure: str, given: int | None, least: int, most: int) -> None:
    if given is not None and not least <= given <= most:
        raise Refused("amount_out_of_range", figure=figure, given=given, least=least, most=most)


def prices_in_range(trailing: Trailing | None = None, **given: int | None) -> None:
    for name, price in given.items():
        amount(name, price, 1, MOST_PRICE)
    if trailing is not None:
        amount("distance", trailing.distance, 1, MOST_PRICE)
        amount("percent", trailing.percent, 1, 9_999)
        amount("activation", trailing.activation, 1, MOST_PRICE)


def trade_amounts(book: Book, asset: str, margin: int, leverage: int) -> None:
    amount("margin", margin, 1, MOST_HELD)
    amount("leverage", leverage, 100, book.asset(asset).max_leverage)
    amount("size", margin * leverage, 1, MOST_SIZE)


def slippage_amounts(slippage: int | None, expected: int | None) -> None:
    amount("slippage", slippage, 10, 10_000)
    amount("expected_price", expected, 1, MOST_PRICE)


def not_due(book: Book, asset: str, position: Position, price: int, mark: int) -> int:
    """The liquidation price under the rates of now."""
    rates = book.rates(asset)
    liquidation = formulas.liquidation_price(position, rates)
    if formulas.is_due(position, rates, mark):
        raise Refused("would_liquidate", price=price, mark=mark, liquidation=liquidation)
    return liquidation


def slippage(price: int, allowed: int | None, expected: int | None, seen: int | None) -> None:
    expected = seen if expected is None else expected
    if allowed is None or expected is None:
        return
    if Fraction(abs(price - expected), expected) > Fraction(allowed, 10_000):
        raise Refused("slippage_exceeded", expected=expected, actual=price, allowed=allowed)


def is_reached(kind: str, side: str, level: int, price: int) -> bool:
    """Whether an exit of this kind, of a trade of this side, is due at this price. Touching is reaching."""
    upwards = (kind in ("take_profit", "limit")) is (side == "long")
    return price >= level if upwards else price <= level


def exits_not_due(side: str, price: int, levels: Iterable[tuple[str, int | None]]) -> None:
    for kind, level in levels:
        if level is not None and is_reached(kind, side, level, price):
            raise Refused("would_trigger", price=price, level=level)


def limits(
    book: Book,
    account: str,
    asset: str,
    *,
    added: Fraction,
    whole: Fraction,
    leverage: int,
    new_trades: int = 1,
    without: Order | None = None,
    freed: Fraction = Fraction(0),
) -> None:
    """`added` is the notional that would come, `whole` that of the position it would be part of, `freed` what the same
    command closes first, `without` the order that it would be filled from."""
    rules = book.rules
    mine = sum((each.position.entry_notional for each in book.trades_of(account)), Fraction(0)) - freed
    mine += sum((book.notional_of(each) for each in book.orders_of(account) if each is not without), Fraction(0))
    here = sum((each.position.entry_notional for each in book.trades.values() if each.asset == asset), Fraction(0))
    trades = len(book.trades_of(account)) + new_trades
    _within("max_open_trades_per_account", rules.max_open_trades, trades, new_trades > 0)
    _within("max_notional_per_account", rules.max_notional, mine + added)
    _within("max_open_interest_per_asset", rules.max_open_interest, here - freed + added)
    tier_leverage(book, asset, whole, leverage)


def tier_leverage(book: Book, asset: str, notional: Fraction, leverage: int) -> None:
    tier = formulas.tier_of(book.rates(asset), notional)
    most = None if tier is None else book.rates(asset).maintenance[tier].max_leverage
    if most is not None:
        _within("max_leverage", most, leverage)


def open_orders(book: Book, account: str) -> None:
    orders = len(book.orders_of(account)) + 1
    _within("max_open_orders_per_account", book.rules.max_open_orders, orders)


def more_exits(book: Book, named: int) -> None:
    _within("max_exits_per_trade", book.rules.max_exits_per_trade, named + 1)


def _within(limit: str, allowed: int, would_be: int | Fraction, matters: bool = True) -> None:
    if matters and would_be > allowed:
        raise Refused("position_limit", limit=limit, allowed=allowed, would_be=math.ceil(would_be))


def enough(required: int, available: int) -> None:
    if required > available:
        raise Refused("insufficient_margin", required=required, available=available)


def known(changes: Mapping[str, Any], *names: str) -> None:
    for name in changes:
        bad_request(name, wrong=name not in names)


def crosses(book: Book, price: Price, order: Order) -> bool:
    """Whether a limit that is not waiting for a stop would fill at this price."""
    if order.limit is None or order.stop is not None:
        return False
    at = book.opens_at(price, order.side)
    return at <= order.limit if order.side == "long" else at >= order.limit


def is_stopped(book: Book, price: Price, order: Order) -> bool:
    if order.stop is None:
        return False
    at = book.stops_at(price, order.side, opening=True)
    return at >= order.stop if order.side == "long" else at <= order.stop

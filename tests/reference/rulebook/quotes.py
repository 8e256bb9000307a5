"""A quote: the decision on the state as it is, not applied, and the figures that follow from it."""

import copy
import math
from fractions import Fraction
from typing import Any

from tests.reference.rulebook import formulas
from tests.reference.rulebook.commands import NetOrder, OpenTrade, PlaceOrder
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.formulas import Position
from tests.reference.rulebook.rules import AssetRules, Rates


def figures(position: Position, rates: Rates, price: int, mark: int, free: int, rate: int) -> dict[str, Any]:
    """Of a position that would be opened at this price, paying at `rate`; it is closed as a taker."""
    paid = formulas.fee(position.entry_notional, rate)
    needed = formulas.requirement(position, rates, price) + formulas.held(position, rates, price)
    return {
        "price": price,
        "notional": math.ceil(position.entry_notional),
        "margin": position.margin,
        "commission": paid,
        "required": position.margin + paid,
        "liquidation": formulas.liquidation_price(position, rates),
        "bankruptcy": formulas.bankruptcy_price(position),
        "break_even": formulas.break_even(position, rates.taker, paid),
        "close_commission": formulas.fee(position.notional(price), rates.taker),
        "requirement": math.ceil(needed),
        "is_due": formulas.is_due(position, rates, mark),
        "max_margin": formulas.most_margin(free, position.leverage, rate),
    }


def shown_quantity(position: Position, asset: AssetRules, price: int) -> int:
    """In units of the asset's quantity, rounded down."""
    if position.is_net:
        return position.size
    micro = position.entry_notional * 10 ** (asset.decimals + asset.quantity_decimals)
    return math.floor(micro / (10**6 * price))


def most_quantity(free: int, leverage: int, unit: int, price: int, rate: int) -> int:
    """The largest whose margin and fee are there."""

    def required(quantity: int) -> int:
        cost = quantity * price
        return formulas.initial_margin(cost, unit, leverage) + formulas.fee(Fraction(cost, unit), rate)

    least, most = 0, 1
    while required(most) <= free:
        most *= 2
    while most - least > 1:
        middle = (least + most) // 2
        if required(middle) <= free:
            least = middle
        else:
            most = middle
    return least


def quote(exchange: Exchange, command: OpenTrade | PlaceOrder | NetOrder, at: int) -> dict[str, Any]:
    """The refusal is a field. The figures of a net order are those of all of it, as if nothing were held; of
    figures that nothing can have there are none."""
    tried = copy.deepcopy(exchange)
    outcome = tried.execute(command, at)
    book = exchange.book
    price, asset = book.prices.get(command.asset), book.asset(command.asset)
    told: dict[str, Any] = {"refusal": outcome.refusal}
    nonsense = outcome.refusal is not None and outcome.refusal.code in ("bad_request", "amount_out_of_range")
    if price is None or nonsense or command.account not in book.accounts:
        return told
    free, rates = book.accounts[command.account].free, asset.rates
    side = {"buy": "long", "sell": "short"}.get(command.side, command.side)
    entry, rate, waits = book.opens_at(price, side), rates.taker, False
    if not isinstance(command, OpenTrade) and (command.limit, command.stop) != (None, None):
        limit = None if command.stop is not None else command.limit
        crosses = limit is not None and (entry <= limit if side == "long" else entry >= limit)
        waits = not crosses
    if waits and not isinstance(command, OpenTrade):
        entry, rate = command.limit or command.stop or entry, rates.dearer
    if isinstance(command, NetOrder):
        empty = Position(side, 0, 0, asset.net_unit, 0, book.net_leverage(command.account, command.asset), True)
        position = formulas.increased(empty, command.quantity or 1, entry)
        told["max_quantity"] = most_quantity(free, position.leverage, position.unit, entry, rate)
    else:
        position = formulas.trade_position(side, command.margin, command.leverage, entry)
    told |= figures(position, rates, entry, entry if waits else price.mark, free, rate)
    return told | {"quantity": shown_quantity(position, asset, entry), "balance": free}

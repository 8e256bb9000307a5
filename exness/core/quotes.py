"""What an order would come to: the decision on the state as it is, not applied, and the figures that follow from it."""

import msgspec

from exness.core import line as lines
from exness.core.commands import NetOrder, OpenTrade, PlaceOrder
from exness.core.decide import DECIDE
from exness.core.decide.guards import unit_of
from exness.core.decide.net import leverage_of
from exness.core.instruments import Side
from exness.core.line import Line
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at

Quotable = OpenTrade | PlaceOrder | NetOrder


class Figures(msgspec.Struct, frozen=True):
    """Prices of the asset, micro-USDC, and `size` as that of the line. Of a net order, as if nothing were held."""

    price: int
    line: Line
    commission: int
    liquidation: int
    bankruptcy: int
    break_even: int | None
    close_commission: int
    requirement: int
    most: int
    """Of margin, or of a net order of quantity, for which the free balance suffices."""


class Quoted(msgspec.Struct, frozen=True):
    """`figures` are None without a price, and where nothing would be opened."""

    seq: int
    balance: int
    refusal: Refusal | None
    figures: Figures | None


class QuoteOf(msgspec.Struct, frozen=True):
    """What would this command come to, which must have no client order id? Its account is there."""

    command: Quotable

    def answer(self, state: State, rules: Rules, at: int) -> Quoted:
        command = self.command
        decision = DECIDE[type(command)](state, rules, command, max(at, state.at))
        refusal = decision if isinstance(decision, Refusal) else None
        account = state.accounts[command.account]
        return Quoted(state.seq, account.free, refusal, _figures(state, rules, account, command))


def _figures(state: State, rules: Rules, account: Account, command: Quotable) -> Figures | None:
    price, instrument = state.price(command.asset), rules.instruments[command.asset]
    if price is None:
        return None
    rates = rules.rates_of(command.asset)
    entry, rate, dearer = opens_at(rules.execution, price, command.side), rates.taker, rates.taker
    if not isinstance(command, OpenTrade) and (command.limit is not None or command.stop is not None):
        dearer = rates.dearer
        if _waits(command, entry):
            entry, rate = command.limit or command.stop or entry, rates.dearer
    if isinstance(command, NetOrder):
        unit, leverage = unit_of(instrument), leverage_of(rules, account, command.asset)
        held = account.net(command.asset)
        quantity = command.quantity or (0 if held is None else held.size)
        if unit is None or not quantity:
            return None
        line = lines.net_line(command.side, quantity, entry, unit, leverage)
        most = _most_quantity(account.free, leverage, unit, entry, dearer)
    else:
        line = lines.trade_line(command.side, command.margin, command.leverage, entry)
        most = lines.max_margin(account.free, command.leverage, dearer)
    paid = lines.entry_fee(line, rate)
    return Figures(
        entry,
        line,
        paid,
        lines.liquidation_price(line, rates),
        lines.bankruptcy_price(line),
        lines.break_even_price(line, rates.taker, paid),
        lines.fee(line, entry, rates.taker),
        lines.requirement(line, rates, entry),
        most,
    )


def _waits(command: PlaceOrder | NetOrder, now: int) -> bool:
    """Whether it is no limit that this price satisfies."""
    if command.stop is not None or command.limit is None:
        return True
    return now > command.limit if command.side is Side.LONG else now < command.limit


def _most_quantity(free: int, leverage: int, unit: int, price: int, rate: int) -> int:
    """The largest whose margin and commission are there."""

    def is_there(quantity: int) -> bool:
        line = lines.net_line(Side.LONG, quantity, price, unit, leverage)
        return line.margin + lines.entry_fee(line, rate) <= free

    least, most = 0, 1
    while is_there(most):
        most *= 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if is_there(middle) else (least, middle)
    return least

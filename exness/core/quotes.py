"""What an order would come to: the decision on the state as it is, not applied, and the figures that follow from it."""

import msgspec

from exness.core.commands import NetOrder, OpenTrade, PlaceOrder
from exness.core.decide import DECIDE
from exness.core.decide.guards import unit_of
from exness.core.decide.net import leverage_of
from exness.core.instruments import LEVERAGE_UNIT, Instrument, Side
from exness.core.line import (
    Line,
    bankruptcy_price,
    break_even_price,
    entry_fee,
    entry_notional,
    fee,
    initial_margin,
    liquidation_price,
    max_margin,
    net_line,
    requirement,
    trade_line,
)
from exness.core.money import USDC_UNIT
from exness.core.rates import RATE_UNIT
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at

_LONG = Side.LONG
Quotable = OpenTrade | PlaceOrder | NetOrder


class Figures(msgspec.Struct, frozen=True):
    """Of all of the order, as if nothing were held, at `price`: what it would fill at now, or its own price if it would
    wait. Money is micro-USDC, `quantity` that of the asset, rounded down. `requirement` is what it must hold as it
    opens; `max_margin`, or of a net order `max_quantity`, what the free balance suffices for."""

    price: int
    quantity: int
    notional: int
    margin: int
    commission: int
    liquidation: int
    bankruptcy: int
    break_even: int | None
    close_commission: int
    requirement: int
    max_margin: int
    max_quantity: int | None

    @property
    def required(self) -> int:
        return self.margin + self.commission


class Quoted(msgspec.Struct, frozen=True):
    """`refusal` is what it would be refused with now, None: it would not be. There are no figures without an account or
    a price, and for what no order can have. `seq` is the account's last record, `newest` the last of all."""

    seq: int
    newest: int
    refusal: Refusal | None
    figures: Figures | None
    balance: int


class QuoteOf(msgspec.Struct, frozen=True):
    """What would this order come to?"""

    command: Quotable

    def answer(self, state: State, rules: Rules, at: int) -> Quoted:
        command = self.command
        decision = DECIDE[type(command)](state, rules, command, at)
        refusal = decision if isinstance(decision, Refusal) else None
        account = state.accounts.get(command.account)
        if account is None:
            return Quoted(0, state.seq, refusal, None, 0)
        return Quoted(account.seq, state.seq, refusal, _figures(state, rules, account, command), account.free)


def _figures(state: State, rules: Rules, account: Account, command: Quotable) -> Figures | None:
    price, instrument = state.price(command.asset), rules.instruments.get(command.asset)
    if price is None or instrument is None:
        return None
    rates = rules.rates_of(command.asset)
    entry, rate = opens_at(rules.execution, price, command.side), rates.taker
    own = _own_price(command, entry)
    if own is not None:
        entry, rate = own, rates.dearer
    line, leverage = _line(rules, account, instrument, command, entry)
    if line is None:
        return None
    is_net = isinstance(command, NetOrder)
    paid = entry_fee(line, rate)
    return Figures(
        price=entry,
        quantity=line.size if is_net else _quantity(line, instrument, entry),
        notional=entry_notional(line),
        margin=line.margin,
        commission=paid,
        liquidation=liquidation_price(line, rates),
        bankruptcy=bankruptcy_price(line),
        break_even=break_even_price(line, rates.taker, paid),
        close_commission=fee(line, entry, rates.taker),
        requirement=requirement(line, rates, entry),
        max_margin=max_margin(account.free, leverage, rate),
        max_quantity=_max_quantity(account.free, line.unit, entry, leverage, rate) if is_net else None,
    )


def _own_price(command: Quotable, entry: int) -> int | None:
    """The price of what would wait, were it taken or not. None: it would fill at `entry`, now."""
    if isinstance(command, OpenTrade):
        return None
    limit, stop = command.limit, command.stop
    if stop is None and limit is not None and (entry <= limit if command.side is _LONG else entry >= limit):
        return None
    return limit or stop


def _line(
    rules: Rules, account: Account, instrument: Instrument, command: Quotable, entry: int
) -> tuple[Line | None, int]:
    """The position of all of it, and its leverage; None for what no order can have."""
    if isinstance(command, NetOrder):
        unit, leverage = unit_of(instrument), leverage_of(rules, account, command.asset)
        held = account.net(command.asset)
        quantity = (0 if held is None else held.size) if command.quantity is None else command.quantity
        is_sound = unit is not None and quantity > 0
        return (net_line(command.side, quantity, entry, unit, leverage) if is_sound and unit else None), leverage
    is_sound = command.margin > 0 and command.leverage >= LEVERAGE_UNIT
    line = trade_line(command.side, command.margin, command.leverage, entry) if is_sound else None
    return line, max(command.leverage, LEVERAGE_UNIT)


def _quantity(line: Line, instrument: Instrument, price: int) -> int:
    """Of a trade, rounded down."""
    units: int = 10 ** (instrument.decimals + instrument.quantity_places)
    quantity: int = line.size * units // (LEVERAGE_UNIT * USDC_UNIT * price)
    return quantity


def _max_quantity(free: int, unit: int, price: int, leverage: int, rate: int) -> int:
    """The largest quantity whose margin and commission are there. Each is rounded up: together by less than 2."""

    per_unit = price * (LEVERAGE_UNIT * RATE_UNIT + leverage * rate)

    def without_rounding(money: int) -> int:
        return max(0, money * unit * leverage * RATE_UNIT // per_unit)

    least, most = without_rounding(free - 2), without_rounding(free) + 1
    while most - least > 1:
        middle = (least + most) // 2
        tried = Line(_LONG, middle, middle * price, unit, 0)
        if initial_margin(tried, leverage) + entry_fee(tried, rate) <= free:
            least = middle
        else:
            most = middle
    return least

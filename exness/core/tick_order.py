"""The order of one tick, as one table: what a price sets off, row by row, and which price each row looks at.

Between two ticks there is no path, so all that a tick sets off is of its one price. At this mark the margin is gone,
whatever else was wished: liquidation comes first. Protection comes before profit; what closes frees money and limits,
so new risk is last. Within a row the nearest price is first (what a path from the old price would meet first), then the
lowest number. What time brought, and the watermarks of trailing stops, come before all of it.
"""

from enum import Enum, IntEnum
from typing import Final, NamedTuple

from exness.core.instruments import Execution, Side, Trigger
from exness.core.price_index import FALLING, RISING, Direction
from exness.core.prices import Price
from exness.core.rules import Rules
from exness.core.trades import Exit, Kind, Order


class What(Enum):
    """What a row sets off."""

    LIQUIDATION = "liquidation"
    EXIT = "exit"
    ORDER = "order"


class Look(IntEnum):
    """Which price a row looks at."""

    MARK = 0
    SELL = 1
    """The one that a sale would be at."""
    BUY = 2
    STOP_SELL = 3
    """What stops look at that sell."""
    STOP_BUY = 4


class Row(NamedTuple):
    """`direction` is how a price moves that comes nearer."""

    what: What
    side: Side
    direction: Direction
    look: Look
    trails: bool = False


_LONG, _SHORT = Side.LONG, Side.SHORT

ROWS: Final = (
    Row(What.LIQUIDATION, _LONG, FALLING, Look.MARK),
    Row(What.LIQUIDATION, _SHORT, RISING, Look.MARK),
    Row(What.EXIT, _LONG, FALLING, Look.STOP_SELL),  # stop losses
    Row(What.EXIT, _SHORT, RISING, Look.STOP_BUY),
    Row(What.EXIT, _LONG, FALLING, Look.STOP_SELL, trails=True),
    Row(What.EXIT, _SHORT, RISING, Look.STOP_BUY, trails=True),
    Row(What.EXIT, _LONG, RISING, Look.STOP_SELL),  # take profits
    Row(What.EXIT, _SHORT, FALLING, Look.STOP_BUY),
    Row(What.EXIT, _LONG, RISING, Look.SELL),  # limit exits
    Row(What.EXIT, _SHORT, FALLING, Look.BUY),
    Row(What.ORDER, _LONG, FALLING, Look.BUY),  # limit orders
    Row(What.ORDER, _SHORT, RISING, Look.SELL),
    Row(What.ORDER, _LONG, RISING, Look.STOP_BUY),  # stop orders
    Row(What.ORDER, _SHORT, FALLING, Look.STOP_SELL),
)
"""The second of each pair is that of shorts, or of sales."""

TRAILING: Final = 4
LIQUIDATIONS: Final = range(2)
"""The rows of liquidations."""
EXIT_ROWS: Final = {Kind.STOP_LOSS: 2, Kind.TRAILING_STOP: TRAILING, Kind.TAKE_PROFIT: 6, Kind.LIMIT: 8}
ORDER_ROWS: Final = {Kind.LIMIT: 10, Kind.STOP: 12}
"""The first of the two rows of each kind."""

Looks = tuple[int, int, int, int, int]
"""The price of each Look."""


def row_of_exit(exit_: Exit, side: Side) -> int:
    """Where an exit of a trade of this side waits."""
    return EXIT_ROWS[exit_.kind] + (side is _SHORT)


def row_of_order(order: Order) -> int:
    """Where an order waits."""
    return ORDER_ROWS[Kind.LIMIT if order.stop is None else Kind.STOP] + (order.side is _SHORT)


def opens_at(execution: Execution, price: Price, side: Side) -> int:
    """What a trade of this side opens at. At the touch, a long buys at the ask, and a short sells at the bid."""
    if execution is Execution.MID:
        return price.mark
    return price.ask if side is _LONG else price.bid


def closes_at(execution: Execution, price: Price, side: Side) -> int:
    """What a trade of this side closes at, the other way about."""
    if execution is Execution.MID:
        return price.mark
    return price.bid if side is _LONG else price.ask


def stops_at(rules: Rules, price: Price, side: Side, *, opening: bool) -> int:
    """What a stop looks at: an order of this side, or an exit of a trade of this side."""
    if rules.trigger is Trigger.MARK:
        return price.mark
    return (opens_at if opening else closes_at)(rules.execution, price, side)


def looks_of(rules: Rules, price: Price) -> Looks:
    """What the rows of a tick look at."""
    mark = price.mark
    sell, buy = (mark, mark) if rules.execution is Execution.MID else (price.bid, price.ask)
    if rules.trigger is Trigger.MARK:
        return mark, sell, buy, mark, mark
    return mark, sell, buy, sell, buy


def exit_is_reached(kind: Kind, side: Side, level: int, price: int) -> bool:
    """Whether an exit of this kind, of a trade of this side, is set off by the price that it looks at. Touching is
    reaching."""
    return _is_reached(ROWS[EXIT_ROWS[kind] + (side is _SHORT)].direction, level, price)


def order_is_reached(order: Order, price: int) -> bool:
    """Whether an order is set off by the price that it looks at."""
    return _is_reached(ROWS[row_of_order(order)].direction, order.level, price)


def _is_reached(direction: Direction, level: int, price: int) -> bool:
    return direction * price >= direction * level

"""What an account holds: trades with their exits, and orders that wait. Values: they are replaced, never changed.

Two things wait. An order waits to open, an exit waits to close; an exit is part of its trade and ends with it. Units
are those of `commands`.

Beside its id, each has a number: 16 times the record that made it, plus its place in that record, 0 where there is one.
It orders what is equal otherwise. What fires has a second one, of the record in which it fired.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from exness.core.instruments import LEVERAGE_UNIT, AccountId, Asset, OrderId, Side, TradeId
from exness.core.line import Line

PLACES = 16
"""More than any record makes."""


class Kind(StrEnum):
    """What an order or an exit waits for."""

    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"


class Trailing(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How a trailing stop follows the best price: at a `distance` (of its asset's prices), or at so many `percent`
    (hundredths) of it; from now on, or once `activation` is reached."""

    distance: int | None = None
    percent: int | None = None
    activation: int | None = None


class ExitOrder(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an exit has that is an order of its own. It closes `size`, at most what is left; 0: all there is by then.
    `limit` is where it rests if the tick that reaches it is past that. It is a limit exit then, and `fired` its number
    of that record."""

    id: OrderId
    placed_at: int
    size: int = 0
    limit: int | None = None
    expires_at: int | None = None
    post_only: bool = False
    fired: int = 0
    client_order: str | None = None
    label: str | None = None


class Exit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Closes a trade, or a part of it. `price` sets it off; that of a trailing stop is its first watermark, 0 while its
    activation is not reached: how far it has come since is for its market to know."""

    kind: Kind
    number: int
    price: int
    trailing: Trailing | None = None
    order: ExitOrder | None = None

    @property
    def id(self) -> OrderId | None:
        return None if self.order is None else self.order.id

    @property
    def size(self) -> int:
        """What it closes; 0: all there is."""
        return 0 if self.order is None else self.order.size


class Trade(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An open trade. `seq` is the journal record that opened it; `liquidation` is the price that closes it.

    Its `size` is margin x leverage as it was opened, or what parts have left of that; that of a net position is a
    quantity. `cost` and `unit` are those of a net position, which has its average as `entry`, for show; of any other
    they are worked out (see `line`). `commission`, `funding` and `realized` are what it has paid and gained so far.
    """

    id: TradeId
    account: AccountId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    entry: int
    liquidation: int
    opened_at: int
    seq: int
    size: int
    client_order: str | None = None
    cost: int = 0
    unit: int = 0
    commission: int = 0
    funding: int = 0
    realized: int = 0
    take_profit: Exit | None = None
    stop_loss: Exit | None = None
    trailing_stop: Exit | None = None
    exits: tuple[Exit, ...] = ()
    """Those that are orders of their own."""

    @property
    def net(self) -> bool:
        """Whether it is its account's net position."""
        return self.unit != 0

    @property
    def line(self) -> Line:
        if self.unit:
            return Line(self.side, self.size, self.cost, self.unit, self.margin)
        return Line(self.side, self.size, self.size * self.entry, LEVERAGE_UNIT * self.entry, self.margin)

    @property
    def number(self) -> int:
        return self.seq * PLACES

    @property
    def has_exits(self) -> bool:
        return not (
            self.stop_loss is None and self.take_profit is None and self.trailing_stop is None and not self.exits
        )

    def all_exits(self) -> Iterator[Exit]:
        """Its own, then those that are orders."""
        for own in (self.take_profit, self.stop_loss, self.trailing_stop):
            if own is not None:
                yield own
        yield from self.exits


class Order(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Waits to open a trade, which will have its id, or, with a `quantity`, to change the account's net position.

    `limit` alone is a limit order, `stop` alone a stop order; of one with both, a stop that is reached by a tick past
    the limit makes a limit order, and `fired` is its number of that record. `reserved` is held back of the free
    balance for it. Of a net order, it covers `opens` of the quantity: what would have opened when it was placed.
    """

    id: OrderId
    account: AccountId
    asset: Asset
    side: Side
    number: int
    placed_at: int
    leverage: int
    margin: int = 0
    quantity: int = 0
    opens: int = 0
    reserved: int = 0
    unit: int = 0
    """As that of a net position."""
    limit: int | None = None
    stop: int | None = None
    expires_at: int | None = None
    post_only: bool = False
    fired: int = 0
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing_stop: Trailing | None = None
    client_order: str | None = None
    label: str | None = None

    @property
    def net(self) -> bool:
        return self.quantity != 0

    @property
    def kind(self) -> Kind:
        if self.stop is None:
            return Kind.LIMIT
        return Kind.STOP if self.limit is None else Kind.STOP_LIMIT

    @property
    def level(self) -> int:
        """The price it waits for: its stop, else its limit."""
        return _given(self.limit if self.stop is None else self.stop)

    @property
    def price(self) -> int:
        """The price it reserves for: its limit, else its stop."""
        return _given(self.stop if self.limit is None else self.limit)


def _given(price: int | None) -> int:
    assert price is not None, "an order waits for a price"
    return price

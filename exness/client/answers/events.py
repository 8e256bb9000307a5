"""What streams tell."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from exness.client.answers.dev import Clock
from exness.client.answers.form import Answer
from exness.client.answers.market import Kline, Price
from exness.client.answers.orders import OpenOrder
from exness.client.answers.trades import OpenTrade, Trade, TradeCreated


class _Closed(Answer, frozen=True, kw_only=True):
    """The end of a trade or of a part of it. `by` is the order or exit that did it, `forfeited` what was not given
    back."""

    order_id: str
    asset: str
    close_price: Decimal
    pnl: Decimal
    returned: Decimal
    liquidated: bool
    shortfall: Decimal
    closed_at: datetime
    balance: Decimal
    reason: str
    commission: Decimal
    forfeited: Decimal
    by: str | None = None


class TradeEnded(_Closed, frozen=True, kw_only=True):
    """What `closed` and `liquidated` tell; of a liquidation also its fee and the tick that did it."""

    liquidation_fee: Decimal | None = None
    mark: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


class TradeReduced(_Closed, frozen=True, kw_only=True):
    """A part of a trade was closed: `margin` and `quantity` are its, and `trade` is what stays."""

    margin: Decimal
    quantity: Decimal
    trade: Trade


class TradeIncreased(Answer, frozen=True, kw_only=True):
    """A net position has grown: `margin` and `quantity` were added at `price`, and `trade` is what it is now."""

    order_id: str
    asset: str
    by: str
    price: Decimal
    quantity: Decimal
    margin: Decimal
    commission: Decimal
    balance: Decimal
    trade: Trade


class TradeChanged(Answer, frozen=True, kw_only=True):
    """`why` is exits, triggered, margin, leverage or funding. `amount` went from the free balance to the margin, below
    0 back; `funding` was paid from the margin, below 0 received, and `shortfall` is what it did not suffice for."""

    order_id: str
    asset: str
    why: str
    amount: Decimal
    funding: Decimal
    shortfall: Decimal
    balance: Decimal
    trade: Trade


class OrderTriggered(Answer, frozen=True, kw_only=True):
    """A stop was reached by a price past its limit: from now on it waits as a limit."""

    order_id: str
    asset: str
    balance: Decimal


class OrderEnded(Answer, frozen=True, kw_only=True):
    """`status` is filled, cancelled, expired or refused; `average_price` is that of a fill."""

    order_id: str
    asset: str
    status: str
    reason: str | None
    released: Decimal
    average_price: Decimal | None
    balance: Decimal


class AccountState(Answer, frozen=True, kw_only=True):
    """What `account` tells, after each record that touched the account."""

    balance: Decimal
    locked_margin: Decimal
    reserved: Decimal
    open_trades: int


class Event(msgspec.Struct, frozen=True):
    """What a stream tells. `data` depends on channel and type, see DATA; of a type that is not known here it is what
    JSON holds."""

    channel: str
    seq: int
    at: datetime
    type: str
    data: Any


DATA: dict[tuple[str, str], Any] = {
    ("prices", "snapshot"): dict[str, Price],
    ("prices", "price"): Price,
    ("prices.", "snapshot"): Price,
    ("prices.", "price"): Price,
    ("candles.", "snapshot"): Kline | None,
    ("candles.", "candle"): Kline,
    ("clock", "snapshot"): Clock,
    ("clock", "clock"): Clock,
    ("trades", "snapshot"): list[OpenTrade],
    ("trades", "opened"): TradeCreated,
    ("trades", "closed"): TradeEnded,
    ("trades", "liquidated"): TradeEnded,
    ("trades", "reduced"): TradeReduced,
    ("trades", "increased"): TradeIncreased,
    ("trades", "changed"): TradeChanged,
    ("orders", "snapshot"): list[OpenOrder],
    ("orders", "placed"): OpenOrder,
    ("orders", "amended"): OpenOrder,
    ("orders", "triggered"): OrderTriggered,
    ("orders", "ended"): OrderEnded,
    ("account", "snapshot"): AccountState,
    ("account", "balance"): AccountState,
}
"""By the channel's name, up to its first dot, and type."""

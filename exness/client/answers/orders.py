"""Orders and exits that wait, net positions, and what an order would come to."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal

from exness.client.answers.form import Answer, Pagination
from exness.client.answers.trades import OpenTrade, Trade, TradeCreated, Trailed


class OpenOrder(Answer, frozen=True, kw_only=True):
    """An order that waits, or, with `closes`, an exit of that trade that is an order of its own. `type` is the
    direction that it trades in: the exit of a long sells, as a short does. An exit has no margin and no leverage of its
    own, and no quantity where it closes all there is by then."""

    order_id: str
    client_order_id: str | None = None
    asset: str
    type: str
    kind: str
    margin: Decimal | None
    leverage: Decimal | None
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    expires_at: datetime | None
    reserved: Decimal
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Trailed | None
    closes: str | None = None
    created_at: datetime


class OpenOrders(Answer, frozen=True, kw_only=True):
    data: list[OpenOrder]


class HistoryOrder(OpenOrder, frozen=True, kw_only=True):
    """`status` is filled, cancelled, expired or refused, `reason` why; `filled_quantity` was filled at
    `average_price`."""

    status: str
    reason: str | None
    ended_at: datetime
    filled_quantity: Decimal
    average_price: Decimal | None


class TheOrder(OpenOrder, frozen=True, kw_only=True):
    """An order of any time. While it waits `status` is pending and `ended_at` None."""

    status: str
    reason: str | None
    ended_at: datetime | None
    filled_quantity: Decimal
    average_price: Decimal | None


class OrderHistory(Answer, frozen=True, kw_only=True):
    data: list[HistoryOrder]
    pagination: Pagination


class OrderPending(OpenOrder, frozen=True, kw_only=True, tag_field="status", tag="pending"):
    """It waits."""

    status: ClassVar[Literal["pending"]] = "pending"
    balance: Decimal


class OrderOpened(TradeCreated, frozen=True, kw_only=True, tag_field="status", tag="open"):
    """It was filled at once: this is the trade."""

    status: ClassVar[Literal["open"]] = "open"


class OrderFilled(Answer, frozen=True, kw_only=True, tag_field="status", tag="filled"):
    """A net order that was filled at once. `commission` and `pnl` are of all that it did; `trade` is the position there
    is now, None when it is flat."""

    status: ClassVar[Literal["filled"]] = "filled"
    order_id: str
    client_order_id: str | None = None
    price: Decimal
    commission: Decimal
    pnl: Decimal
    trade: Trade | None
    balance: Decimal


class OrderCancelled(Answer, frozen=True, kw_only=True):
    """`released` and `balance` are None when the first answer was lost and this is told by a later one."""

    order_id: str
    status: str
    released: Decimal | None = None
    balance: Decimal | None = None


class OrdersCancelled(Answer, frozen=True, kw_only=True):
    """`cancelled` are their ids."""

    cancelled: list[str]
    balance: Decimal


class NetPosition(Answer, frozen=True, kw_only=True):
    """`leverage` is that of net positions in this asset; `trade` is the one that is open."""

    asset: str
    leverage: Decimal
    trade: OpenTrade | None


class NetPositions(Answer, frozen=True, kw_only=True):
    data: list[NetPosition]


class NetLeverageSet(Answer, frozen=True, kw_only=True):
    asset: str
    leverage: Decimal
    trade: Trade | None


class QuoteRefusal(Answer, frozen=True, kw_only=True):
    """As the order itself would be refused."""

    code: str
    message: str
    details: Any = None


class Quote(Answer, frozen=True, kw_only=True):
    """What an order would come to now. `required` is margin and commission, `requirement` what the position must hold
    at this price, `close_commission` that of closing it there; `max_margin`, and of a net order `max_quantity`, the
    most that the free balance suffices for. What a price is needed for is None while there is none."""

    price: Decimal | None
    quantity: Decimal | None
    notional: Decimal | None
    margin: Decimal | None
    commission: Decimal | None
    required: Decimal | None
    liquidation_price: Decimal | None
    bankruptcy_price: Decimal | None
    break_even_price: Decimal | None
    close_commission: Decimal | None
    requirement: Decimal | None
    max_margin: Decimal | None = None
    max_quantity: Decimal | None = None
    balance: Decimal
    refusal: QuoteRefusal | None = None

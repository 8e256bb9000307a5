"""What goes over the wire of orders, exits and net positions: bodies, queries, answers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exness.core.commands import TimeInForce
from exness.core.statement import Reason
from exness.runtime.candles import Interval
from exness.web.v1.models import (
    DATES,
    MAX_CANDLES,
    MAX_LIMIT,
    MAX_OFFSET,
    Amount,
    ClientOrder,
    Format,
    Leverage,
    OptionalAmount,
    Pagination,
    Slippage,
)
from exness.web.v1.trade_models import OpenedData, OpenTradeRow, TradeShown, Trailed, TrailingStop, Type

_TimeInForce = Annotated[str, Meta(extra_json_schema={"enum": [each.value for each in TimeInForce]})] | UnsetType | None
Expiry = (
    Annotated[str, Meta(description="A time of RFC 3339", extra_json_schema={"format": "date-time"})] | UnsetType | None
)
_ExitKind = Annotated[str, Meta(extra_json_schema={"enum": ["take_profit", "stop_loss", "limit"]})]
_NetExitKind = Annotated[str, Meta(extra_json_schema={"enum": ["take_profit", "stop_loss"]})]


# --- bodies -------------------------------------------------------------------------------------------------------


class CreateOrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /order/create. `limitPrice` alone is a limit order, `stopPrice` alone a stop order, both a stop-limit order.
    null of an optional field is the field left out."""

    asset: str
    type: Type
    margin: Amount
    leverage: Leverage
    limit_price: OptionalAmount = UNSET
    stop_price: OptionalAmount = UNSET
    time_in_force: _TimeInForce = UNSET
    expires_at: Expiry = UNSET
    post_only: bool | UnsetType | None = UNSET
    take_profit: OptionalAmount = UNSET
    stop_loss: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET


class AmendOrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /order/amend: what is left out stays, null removes. Of an exit or a net order `quantity`, of any other order
    `margin`, `leverage` and its exits."""

    order_id: str
    limit_price: OptionalAmount = UNSET
    stop_price: OptionalAmount = UNSET
    expires_at: Expiry = UNSET
    margin: OptionalAmount = UNSET
    leverage: OptionalAmount = UNSET
    quantity: OptionalAmount = UNSET
    take_profit: OptionalAmount = UNSET
    stop_loss: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET


class OrderIdBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /order/cancel."""

    order_id: str


class CancelAllBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /order/cancelAll."""

    asset: str | UnsetType | None = UNSET


class AddExitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/exit: over the part that one of `percent` (hundredths of a percent), `margin` (USDC) and, of a net
    position, `quantity` names."""

    order_id: str
    kind: _ExitKind
    price: Amount
    percent: OptionalAmount = UNSET
    margin: OptionalAmount = UNSET
    quantity: OptionalAmount = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET


class NetOrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /net/order: `quantity` of the asset, or `closePosition`. With `reduceOnly` or `closePosition` and a price it
    is an exit of the position; `kind` is then that of an exit with a `stopPrice`."""

    asset: str
    side: Annotated[str, Meta(extra_json_schema={"enum": ["buy", "sell"]})]
    quantity: OptionalAmount = UNSET
    close_position: bool | UnsetType | None = UNSET
    limit_price: OptionalAmount = UNSET
    stop_price: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET
    kind: _NetExitKind | UnsetType | None = UNSET
    reduce_only: bool | UnsetType | None = UNSET
    time_in_force: _TimeInForce = UNSET
    expires_at: Expiry = UNSET
    post_only: bool | UnsetType | None = UNSET
    slippage: Slippage = UNSET
    expected_price: OptionalAmount = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET


class NetLeverageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /net/leverage."""

    asset: str
    leverage: Leverage


class TradeQuoteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/quote: as /trade/create, or, with a price, as /order/create."""

    asset: str
    type: Type
    margin: Amount
    leverage: Leverage
    slippage: Slippage = UNSET
    expected_price: OptionalAmount = UNSET
    limit_price: OptionalAmount = UNSET
    stop_price: OptionalAmount = UNSET
    time_in_force: _TimeInForce = UNSET
    expires_at: Expiry = UNSET
    post_only: bool | UnsetType | None = UNSET
    take_profit: OptionalAmount = UNSET
    stop_loss: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET


# --- queries ------------------------------------------------------------------------------------------------------


class OpenOrdersQuery(msgspec.Struct, frozen=True):
    """GET /order/open and GET /net."""

    asset: str | UnsetType = UNSET


class OrderHistoryQuery(msgspec.Struct, frozen=True):
    """GET /order/history: those that have ended, newest first."""

    asset: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | UnsetType = UNSET
    cursor: (
        Annotated[
            str,
            Meta(description="`nextCursor` of the page before", extra_json_schema={"pattern": r"^\d{1,15}$"}),
        ]
        | UnsetType
    ) = UNSET


class StatementQuery(msgspec.Struct, frozen=True):
    """GET /account/statement. `before` is a `seq`, which is left out."""

    reason: Annotated[str, Meta(extra_json_schema={"enum": [each.value for each in Reason]})] | UnsetType = UNSET
    asset: str | UnsetType = UNSET
    before: Annotated[int, Meta(ge=0, le=2**53)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    format: Format | UnsetType = UNSET


class EquityQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /account/equity: at the ends of candles from `startTime` to `endTime`."""

    interval: Annotated[str, Meta(extra_json_schema={"enum": [each.value for each in Interval]})]
    start_time: Annotated[str, Meta(description=DATES)] | UnsetType = UNSET
    end_time: Annotated[str, Meta(description=DATES)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_CANDLES)] | UnsetType = UNSET


# --- answers ------------------------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that waits, or, with `closes`, an exit of that trade that is an order of its own. `type` is the
    direction that it trades in: the exit of a long sells, as a short does. An exit has no margin and no leverage of
    its own, and no quantity where it closes all there is by then."""

    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    kind: str
    margin: str | None
    leverage: int | float | None
    quantity: str | None
    limit_price: str | None
    stop_price: str | None
    expires_at: str | None
    reserved: str
    take_profit: str | None
    stop_loss: str | None
    trailing_stop: Trailed | None
    closes: str | UnsetType = UNSET
    created_at: str


class OrderHistoryRow(OrderRow, frozen=True, kw_only=True, rename="camel"):
    """`status` is filled, cancelled, expired or refused, `reason` why; `filledQuantity` was filled at
    `averagePrice`."""

    status: str
    reason: str | None
    ended_at: str
    filled_quantity: str
    average_price: str | None


class OrderAnswer(OrderRow, frozen=True, kw_only=True, rename="camel"):
    """GET /order: as a row of /order/history; while it waits, `status` is pending and `endedAt` null."""

    success: bool = True
    status: str
    reason: str | None
    ended_at: str | None
    filled_quantity: str
    average_price: str | None


class OrderHistoryAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[OrderHistoryRow]
    pagination: Pagination


class OpenOrdersAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[OrderRow]


class OrderPending(OrderRow, frozen=True, kw_only=True, rename="camel", tag_field="status", tag="pending"):
    """It waits."""

    success: bool = True
    balance: str


class OrderOpened(OpenedData, frozen=True, kw_only=True, rename="camel", tag_field="status", tag="open"):
    """It was filled at once: the trade, as /trade/create answers it."""

    success: bool = True


class OrderFilled(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="status", tag="filled"):
    """A net order that was filled at once. `commission` and `pnl` are of all that it did; `trade` is the position
    there is now, null when it is flat."""

    success: bool = True
    order_id: str
    client_order_id: str | UnsetType = UNSET
    price: str
    commission: str
    pnl: str
    trade: TradeShown | None
    balance: str


class ExitAdded(OrderRow, frozen=True, kw_only=True, rename="camel"):
    success: bool = True


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool = True
    order_id: str
    status: str
    released: str
    balance: str


class OrdersCancelled(msgspec.Struct, frozen=True, kw_only=True):
    success: bool = True
    cancelled: list[str]
    balance: str


class NetRow(msgspec.Struct, frozen=True):
    """`leverage` is that of the net positions in this asset; `trade` is the one that is open."""

    asset: str
    leverage: int | float
    trade: OpenTradeRow | None


class NetAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[NetRow]


class NetLeverageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    success: bool = True
    asset: str
    leverage: int | float
    trade: TradeShown | None


class QuoteRefusal(msgspec.Struct, frozen=True):
    """As the error that the order itself would be answered with."""

    code: str
    message: str
    details: Any | UnsetType = UNSET


class QuoteAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order would come to now. `required` is margin and commission, `requirement` what the position must hold
    at this price, `closeCommission` that of closing it there. `maxMargin`, and of a net order `maxQuantity`: the most
    that the free balance suffices for. What a price is needed for is null while there is none."""

    success: bool = True
    price: str | None
    quantity: str | None
    notional: str | None
    margin: str | None
    commission: str | None
    required: str | None
    liquidation_price: str | None
    bankruptcy_price: str | None
    break_even_price: str | None
    close_commission: str | None
    requirement: str | None
    max_margin: str | UnsetType | None = UNSET
    max_quantity: str | UnsetType | None = UNSET
    balance: str
    refusal: QuoteRefusal | UnsetType = UNSET

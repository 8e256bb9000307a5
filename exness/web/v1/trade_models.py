"""What goes over the wire of trades: bodies, queries, answers."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.core.instruments import Side
from exness.web.v1.models import (
    DATES,
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_OPEN,
    NULL,
    Amount,
    ClientOrder,
    Format,
    Leverage,
    OptionalAmount,
    Pagination,
    Slippage,
)

Type = Annotated[str, Meta(extra_json_schema={"enum": [side.value for side in Side]})]
OrderId = Annotated[str, Meta(max_length=64)]


# --- bodies -------------------------------------------------------------------------------------------------------


class TrailingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a trailing stop follows the best price: at a `distance` (USDC), or at so many `percent` (hundredths of a
    percent) of it; from now on, or once `activation` is reached."""

    distance: OptionalAmount = UNSET
    percent: OptionalAmount = UNSET
    activation: OptionalAmount = UNSET


def _object(kind: type[msgspec.Struct]) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    return {name: value for name, value in components[schema["$ref"]].items() if name != "title"}


TrailingStop = Annotated[Raw, Meta(extra_json_schema={"oneOf": [_object(TrailingBody), NULL]})] | UnsetType


class CreateTradeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/create. `margin` in USDC, `leverage` with up to two decimals, `slippage` in hundredths of a percent
    (100 = 1 %), prices in USDC. null of an optional field is the field left out."""

    asset: str
    type: Type
    margin: Amount
    leverage: Leverage
    slippage: Slippage = UNSET
    expected_price: OptionalAmount = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET
    take_profit: OptionalAmount = UNSET
    stop_loss: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET


class CloseTradeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/close: all of it, or the part that one of `percent` (hundredths of a percent), `margin` (USDC) and,
    of a net position, `quantity` names."""

    order_id: str
    percent: OptionalAmount = UNSET
    margin: OptionalAmount = UNSET
    quantity: OptionalAmount = UNSET
    client_order_id: ClientOrder | UnsetType | None = UNSET


class ExitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/exits: null removes one, what is left out stays."""

    order_id: str
    take_profit: OptionalAmount = UNSET
    stop_loss: OptionalAmount = UNSET
    trailing_stop: TrailingStop = UNSET


class MarginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/margin: add so many USDC from the free balance; below 0, take them."""

    order_id: str
    amount: Amount
    client_order_id: ClientOrder | UnsetType | None = UNSET


class LeverageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /trade/leverage."""

    order_id: str
    leverage: Leverage


# --- queries ------------------------------------------------------------------------------------------------------


class OpenTradesQuery(msgspec.Struct, frozen=True):
    """GET /trade/open. With `limit` or `offset` a page, oldest first, and `pagination`; else all."""

    asset: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_OPEN)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | UnsetType = UNSET


class OneQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /trade and GET /order: one of the two."""

    order_id: str | UnsetType = UNSET
    client_order_id: ClientOrder | UnsetType = UNSET


class CloseAllBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /trade/closeAll."""

    asset: str | UnsetType | None = UNSET


class HistoryQuery(msgspec.Struct, frozen=True, rename="camel"):
    """GET /trade/history."""

    status: Literal["open", "closed"] | UnsetType = UNSET
    asset: str | UnsetType = UNSET
    trade_type: Literal["long", "short"] | UnsetType = UNSET
    profitable: Literal["true", "false"] | UnsetType = UNSET
    liquidated: Literal["true", "false"] | UnsetType = UNSET
    from_date: Annotated[str, Meta(description=f"Trades that were opened then or later: {DATES}")] | UnsetType = UNSET
    to_date: (
        Annotated[str, Meta(description=f"Trades that were opened then or earlier: {DATES}; a date is all of its day")]
        | UnsetType
    ) = UNSET
    closed_from: Annotated[str, Meta(description=f"Trades that were closed then or later: {DATES}")] | UnsetType = UNSET
    closed_to: (
        Annotated[str, Meta(description=f"Trades that were closed then or earlier: {DATES}; a date is all of its day")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] | UnsetType = UNSET
    cursor: (
        Annotated[
            str,
            Meta(
                description="`nextCursor` of the page before, in the order createdAt",
                extra_json_schema={"pattern": r"^\d{1,17}-\d{1,15}$"},
            ),
        ]
        | UnsetType
    ) = UNSET
    sort_by: Literal["createdAt", "closedAt", "pnl", "margin", "leverage"] | UnsetType = UNSET
    sort_order: Literal["asc", "desc"] | UnsetType = UNSET
    format: Format | UnsetType = UNSET


# --- answers ------------------------------------------------------------------------------------------------------


class Trailed(msgspec.Struct, frozen=True, rename="camel"):
    """A trailing stop as it was set. `level` is what sets it off by now, null while it waits for its activation; only
    where open trades and orders are listed."""

    distance: str | UnsetType = UNSET
    percent: int | UnsetType = UNSET
    activation: str | UnsetType = UNSET
    level: str | UnsetType | None = UNSET


class Warned(msgspec.Struct, frozen=True):
    """What was done, and may not be what was meant."""

    code: str
    message: str


class LineShown(msgspec.Struct, frozen=True):
    """Integers as text. At a price X (in the asset's smallest unit) it has gained `(size x X - cost) / unit`
    micro-USDC, a short the opposite, rounded down, and never less than minus its margin."""

    size: str
    cost: str
    unit: str


class OpenTradeFixed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of an open trade no price changes. `net`: it is the net position in its asset. `commission`, `funding` and
    `realizedPnl` are sums so far, over parts that were closed."""

    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    margin: str
    leverage: int | float
    entry_price: str
    liquidation_price: str
    created_at: str
    net: bool
    quantity: str
    commission: str
    funding: str
    realized_pnl: str
    take_profit: str | None
    stop_loss: str | None
    line: LineShown


class TradeShown(OpenTradeFixed, frozen=True, kw_only=True, rename="camel"):
    """A trade as it is after something happened to it."""

    trailing_stop: Trailed | None


class OpenedData(TradeShown, frozen=True, kw_only=True, rename="camel"):
    """As the answer to /trade/create."""

    balance: str
    warnings: list[Warned] | UnsetType = UNSET


class TradeCreated(OpenedData, frozen=True, kw_only=True, rename="camel"):
    success: bool = True


class Remaining(msgspec.Struct, frozen=True, rename="camel"):
    """What stays of a trade after a part was closed."""

    margin: str
    quantity: str
    liquidation_price: str


class TradeClosedAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`pnl`, `returned` and `commission` are those of what was closed; `remaining` is null when that was all."""

    success: bool = True
    order_id: str
    close_price: str
    pnl: str
    returned: str
    liquidated: bool
    closed_at: str
    balance: str
    commission: str
    reason: str
    remaining: Remaining | None


class ExitsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool = True
    order_id: str
    take_profit: str | None
    stop_loss: str | None
    trailing_stop: Trailed | None
    liquidation_price: str
    warnings: list[Warned] | UnsetType = UNSET


class MarginAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`removable`: the margin that could be taken out at the mark of then."""

    success: bool = True
    order_id: str
    margin: str
    leverage: int | float
    liquidation_price: str
    removable: str
    balance: str


class OpenTradeNow(msgspec.Struct, frozen=True, rename="camel"):
    """How it stands."""

    mark_price: str | None
    unrealized_pnl: str | None
    unrealized_pnl_percentage: str | None
    close_pnl: str | None
    stale: bool
    notional: str | None
    trailing_stop: Trailed | None


class OpenTradeLasting(OpenTradeFixed, frozen=True, kw_only=True, rename="camel"):
    """What no price changes, and what the rates of now make of it."""

    break_even_price: str | None


class OpenTradeRow(OpenTradeLasting, frozen=True, kw_only=True, rename="camel"):
    """Both in one. `markPrice` and what follows from it are null while there is no price; `stale`: the price is old, or
    there is none. `closePnl` is the pnl of a close of now, null when it would be refused. `breakEvenPrice` is null
    where no price above 0 breaks even."""

    mark_price: str | None
    unrealized_pnl: str | None
    unrealized_pnl_percentage: str | None
    close_pnl: str | None
    stale: bool
    notional: str | None
    trailing_stop: Trailed | None


class OpenTradesAnswer(msgspec.Struct, frozen=True):
    """`pagination` is there when a page was asked for."""

    success: bool
    data: list[OpenTradeRow]
    pagination: Pagination | UnsetType = UNSET


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What only a closed trade has is null while it is open. `status` is open or closed, `liquidated` how it ended.
    `pnl` is that of its last part, `realizedPnl` of all."""

    order_id: str
    client_order_id: str | UnsetType = UNSET
    asset: str
    type: str
    margin: str
    leverage: int | float
    entry_price: str
    liquidation_price: str
    open_price: str
    close_price: str | None
    pnl: str | None
    pnl_percentage: str | None
    status: str
    liquidated: bool
    shortfall: str
    created_at: str
    closed_at: str | None
    duration_seconds: float | None
    net: bool
    quantity: str
    notional: str
    commission: str
    funding: str
    realized_pnl: str
    close_reason: str | None


class TradeAnswer(HistoryRow, frozen=True, kw_only=True, rename="camel"):
    """GET /trade: of a trade of any time, what /trade/history tells of it."""

    success: bool = True


class NotClosed(msgspec.Struct, frozen=True, rename="camel"):
    """A trade that stays open, and why."""

    order_id: str
    code: str
    message: str


class AllClosedAnswer(msgspec.Struct, frozen=True):
    """POST /trade/closeAll. `balance` is free, after it."""

    success: bool
    closed: list[TradeClosedAnswer]
    refused: list[NotClosed]
    balance: str


class AnalyticsAnswer(msgspec.Struct, frozen=True, rename="camel"):
    total_trades: int
    open_trades: int
    closed_trades: int
    profitable_trades: int
    unprofitable_trades: int
    liquidated_trades: int
    total_pnl: str


class HistoryAnswer(msgspec.Struct, frozen=True):
    success: bool
    data: list[HistoryRow]
    analytics: AnalyticsAnswer
    pagination: Pagination

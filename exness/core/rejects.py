"""Expected refusals, as values: a code and its figures, which are integers in the core's units and ids. What they are
called and how they are written elsewhere is for whoever answers.
"""

from enum import StrEnum

import msgspec

from exness.core.instruments import Asset, OrderId, TradeId
from exness.core.prices import PriceState
from exness.core.trades import Kind


class Reject(StrEnum):
    """Why a command was refused. Nothing changed."""

    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_NOT_FOUND = "account_not_found"
    CLIENT_ORDER_ID_CONFLICT = "client_order_id_conflict"
    PRICE_UNAVAILABLE = "price_unavailable"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    WOULD_LIQUIDATE = "would_liquidate"
    SLIPPAGE_EXCEEDED = "slippage_exceeded"
    POSITION_LIMIT = "position_limit"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    TRADE_NOT_FOUND = "trade_not_found"
    ORDER_NOT_FOUND = "order_not_found"
    INVALID_REQUEST = "invalid_request"
    WOULD_TAKE = "would_take"
    WOULD_REST = "would_rest"
    REDUCE_ONLY_REJECTED = "reduce_only_rejected"
    WOULD_TRIGGER = "would_trigger"
    AMOUNT_TOO_SMALL = "amount_too_small"
    MARGIN_TOO_LOW = "margin_too_low"


class Figure(StrEnum):
    """What can be out of range."""

    DEPOSIT = "deposit"
    AMOUNT = "amount"
    BALANCE = "balance"
    MARGIN = "margin"
    LEVERAGE = "leverage"
    SLIPPAGE = "slippage"
    EXPECTED_PRICE = "expected_price"
    CLIENT_ORDER = "client_order"
    SIZE = "size"
    QUANTITY = "quantity"
    COST = "cost"
    PERCENT = "percent"
    LIMIT = "limit"
    STOP = "stop"
    PRICE = "price"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    DISTANCE = "distance"
    TRAILING_PERCENT = "trailing_percent"
    ACTIVATION = "activation"


class Limit(StrEnum):
    """A setting that bounds what may be open."""

    OPEN_TRADES_PER_ACCOUNT = "max_open_trades_per_account"
    NOTIONAL_PER_ACCOUNT = "max_notional_per_account"
    OPEN_INTEREST_PER_ASSET = "max_open_interest_per_asset"
    OPEN_ORDERS_PER_ACCOUNT = "max_open_orders_per_account"
    EXITS_PER_TRADE = "max_exits_per_trade"
    TIER_LEVERAGE = "max_leverage"


class OutOfRange(msgspec.Struct, frozen=True):
    """AMOUNT_OUT_OF_RANGE: `given` is not from `least` to `most`, all in the unit of the figure. A price is one of
    `asset`."""

    figure: Figure
    given: int
    least: int
    most: int
    asset: Asset | None = None


class UsedBefore(msgspec.Struct, frozen=True):
    """CLIENT_ORDER_ID_CONFLICT: the id names `trade_id`, which was something else."""

    trade_id: TradeId | OrderId


class Wrong(msgspec.Struct, frozen=True):
    """INVALID_REQUEST: which field, and what completes the sentence `<field> must ...`."""

    field: str
    must: str


class NoPrice(msgspec.Struct, frozen=True):
    """PRICE_UNAVAILABLE: what the last price is good for, and its age in microseconds; None when there is none."""

    asset: Asset
    state: PriceState
    age_us: int | None = None


class DueAtOnce(msgspec.Struct, frozen=True):
    """WOULD_LIQUIDATE: opened at `price`, the trade would be liquidated by the `mark` that there is."""

    asset: Asset
    price: int
    mark: int
    liquidation: int


class Slipped(msgspec.Struct, frozen=True):
    """SLIPPAGE_EXCEEDED: prices of the asset; `allowed` in hundredths of a percent."""

    asset: Asset
    expected: int
    actual: int
    allowed: int


class OverLimit(msgspec.Struct, frozen=True):
    """POSITION_LIMIT: a number of trades, orders or exits, a leverage in hundredths, or micro-USDC; `would_be` is
    rounded up, as it is over."""

    limit: Limit
    allowed: int
    would_be: int


class Reached(msgspec.Struct, frozen=True):
    """WOULD_TRIGGER: `price` is what it looks at, and has reached its `level`. `kind` is that of the order or exit."""

    asset: Asset
    price: int
    level: int
    kind: Kind


class TooMuch(msgspec.Struct, frozen=True):
    """MARGIN_TOO_LOW: no more than `removable` micro-USDC can be taken."""

    removable: int


class TooLittle(msgspec.Struct, frozen=True):
    """INSUFFICIENT_MARGIN: micro-USDC."""

    required: int
    available: int


Figures = OutOfRange | UsedBefore | Wrong | NoPrice | DueAtOnce | Slipped | Reached | OverLimit | TooMuch | TooLittle


class Refusal(msgspec.Struct, frozen=True):
    """A Reject with the figures that its class of Figures names; the others have none."""

    reject: Reject
    figures: Figures | None = None

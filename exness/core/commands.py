"""What can be asked of the engine. A command asks; an event tells.

Money is micro-USDC, prices are scaled by their asset's decimals, leverage, slippage and percents are hundredths
(see `instruments`), rates are integers of 1e-8, times are microseconds since the epoch. Ids are made by the caller.

A `client_order` names a command: whoever repeats it is given its first answer. A `label` is only kept on the order, and
unique among the account's open orders and exits.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from exness.core.instruments import AccountId, Asset, Execution, LimitFill, OrderId, Side, TradeId, Trigger
from exness.core.rates import Rates
from exness.core.trades import Kind, Trailing


class TimeInForce(StrEnum):
    """How long an order may wait."""

    GTC = "gtc"
    """Until it is cancelled."""
    GTT = "gtt"
    """Until it expires."""
    IOC = "ioc"
    """Not at all."""


# --- accounts -----------------------------------------------------------------------------------------------------


class OpenAccount(msgspec.Struct, frozen=True, gc=False):
    """Make an account and pay its first deposit in. Refused: ACCOUNT_EXISTS, AMOUNT_OUT_OF_RANGE."""

    account: AccountId
    email: str
    deposit: int


class Deposit(msgspec.Struct, frozen=True, gc=False):
    """Pay money into an account. Refused: ACCOUNT_NOT_FOUND, AMOUNT_OUT_OF_RANGE."""

    account: AccountId
    amount: int


# --- trades -------------------------------------------------------------------------------------------------------


class OpenTrade(msgspec.Struct, frozen=True, gc=False):
    """Open a trade at the current price. Every figure is checked by the engine.

    `slippage` bounds how far the price may be from `expected_price`, which the trader saw, or without one from
    `seen_price`: that of when the command came in, which `Engine.seen` notes where it has to wait.
    """

    account: AccountId
    trade_id: TradeId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    slippage: int | None = None
    expected_price: int | None = None
    client_order: str | None = None
    seen_price: int | None = None
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing_stop: Trailing | None = None


class CloseTrade(msgspec.Struct, frozen=True, gc=False):
    """Close an open trade of this account at the current price, or the part that one of `percent`, `margin` and `size`
    names. Refused: TRADE_NOT_FOUND, PRICE_UNAVAILABLE, AMOUNT_TOO_SMALL."""

    account: AccountId
    trade_id: TradeId
    percent: int | None = None
    margin: int | None = None
    size: int | None = None
    client_order: str | None = None


class SetExits(msgspec.Struct, frozen=True, gc=False):
    """Set a trade's own exits anew: None removes one, UNSET leaves it as it is."""

    account: AccountId
    trade_id: TradeId
    take_profit: int | UnsetType | None = UNSET
    stop_loss: int | UnsetType | None = UNSET
    trailing_stop: Trailing | UnsetType | None = UNSET


class AddExit(msgspec.Struct, frozen=True, gc=False):
    """Add an exit that is an order of its own to a trade, over the part that one of `percent`, `margin` and `size`
    names."""

    account: AccountId
    trade_id: TradeId
    order_id: OrderId
    kind: Kind
    price: int
    percent: int | None = None
    margin: int | None = None
    size: int | None = None
    client_order: str | None = None


class ChangeMargin(msgspec.Struct, frozen=True, gc=False):
    """Add to a trade's margin from the free balance; below 0, take from it."""

    account: AccountId
    trade_id: TradeId
    amount: int
    client_order: str | None = None


class ChangeLeverage(msgspec.Struct, frozen=True, gc=False):
    """Lower a trade's leverage, which takes the margin that is missing, or raise it, which gives none back."""

    account: AccountId
    trade_id: TradeId
    leverage: int


# --- orders -------------------------------------------------------------------------------------------------------


class PlaceOrder(msgspec.Struct, frozen=True, gc=False):
    """Open a trade once a price is reached; a limit that the price of now satisfies opens it at once."""

    account: AccountId
    order_id: OrderId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    limit: int | None = None
    stop: int | None = None
    time_in_force: TimeInForce | None = None
    expires_at: int | None = None
    post_only: bool = False
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing_stop: Trailing | None = None
    client_order: str | None = None


class AmendOrder(msgspec.Struct, frozen=True, gc=False):
    """Change a waiting order, or an exit that is one: what is UNSET stays, None removes. `size` is that of an exit, or
    the quantity of a net order."""

    account: AccountId
    order_id: OrderId
    limit: int | UnsetType | None = UNSET
    stop: int | UnsetType | None = UNSET
    expires_at: int | UnsetType | None = UNSET
    margin: int | UnsetType = UNSET
    leverage: int | UnsetType = UNSET
    size: int | UnsetType = UNSET
    take_profit: int | UnsetType | None = UNSET
    stop_loss: int | UnsetType | None = UNSET
    trailing_stop: Trailing | UnsetType | None = UNSET


class CancelOrder(msgspec.Struct, frozen=True, gc=False):
    """End a waiting order, or an exit that is one. Refused: ORDER_NOT_FOUND."""

    account: AccountId
    order_id: OrderId


class CancelOrders(msgspec.Struct, frozen=True, gc=False):
    """All of them, those in one asset, or those that are named and still wait."""

    account: AccountId
    asset: Asset | None = None
    named: frozenset[OrderId] | None = None


class NetOrder(msgspec.Struct, frozen=True, gc=False):
    """Change the account's net position in an asset: at once, once a price is reached, or, with `reduce_only` or
    `close_position` and a price, by an exit of the position. Its `kind` is that of such an exit with a `stop`.

    `leaves_expired`: with IOC, leave an order that has expired where it would otherwise be refused.
    """

    account: AccountId
    order_id: OrderId
    asset: Asset
    side: Side
    quantity: int | None = None
    close_position: bool = False
    limit: int | None = None
    stop: int | None = None
    trailing_stop: Trailing | None = None
    kind: Kind | None = None
    reduce_only: bool = False
    time_in_force: TimeInForce | None = None
    expires_at: int | None = None
    post_only: bool = False
    slippage: int | None = None
    expected_price: int | None = None
    client_order: str | None = None
    label: str | None = None
    seen_price: int | None = None
    leaves_expired: bool = False


class SetNetLeverage(msgspec.Struct, frozen=True, gc=False):
    """Of the net positions of this account in an asset, one that is open included."""

    account: AccountId
    asset: Asset
    leverage: int


# --- the exchange -------------------------------------------------------------------------------------------------


class SetRates(msgspec.Struct, frozen=True):
    """Change some rates of an asset by hand: `changes` by the fields of `Rates`. Refused: INVALID_REQUEST."""

    asset: Asset
    changes: Mapping[str, Any]


class SetProfile(msgspec.Struct, frozen=True):
    """Change all rates by hand, and what goes with them."""

    profile: str
    execution: Execution
    trigger: Trigger
    limit_fill: LimitFill
    rates: Mapping[Asset, Rates]


class PayInsurance(msgspec.Struct, frozen=True, gc=False):
    """Pay money of the house into its insurance. Refused: AMOUNT_OUT_OF_RANGE."""

    amount: int


class Reset(msgspec.Struct, frozen=True, gc=False):
    """Forget every account, trade, order and price, as if nothing had happened, and pay so much into the insurance.
    Never refused."""

    insurance: int = 0


class PriceTick(msgspec.Struct, frozen=True, gc=False):
    """A new best bid and ask of one asset.

    `life_us` is how long, from the moment the engine takes it, this price may be traded on.

    `suspect` says that the venue shows a price too far away to be believed yet. Such a tick repeats the last accepted
    bid and ask: it sets nothing off and gives the price no new life, but until a tick without it nothing is opened.

    `volume` is what was traded since the asset's tick before, in hundred-millionths of the asset; 0 where unknown.
    `marks` is how many marks it stands for: itself, and those that were thinned out right before it. `funding` is the
    venue's newest rate of funding, which longs pay shorts; None where it says nothing of it. `position` is where the
    source was with it, where somebody goes on by that.
    """

    asset: Asset
    bid: int
    ask: int
    life_us: int
    suspect: bool = False
    volume: int = 0
    marks: int = 1
    funding: int | None = None
    position: str = ""


class PassTime(msgspec.Struct, frozen=True, gc=False):
    """Do what has become due by now: expiries and settlements, of the nearest time there is."""


AccountCommand = (
    OpenTrade
    | CloseTrade
    | SetExits
    | AddExit
    | ChangeMargin
    | ChangeLeverage
    | PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelOrders
    | NetOrder
    | SetNetLeverage
)
Command = AccountCommand | OpenAccount | Deposit | SetRates | SetProfile | PayInsurance | Reset | PriceTick | PassTime

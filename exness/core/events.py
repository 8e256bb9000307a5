"""What happened, in the past tense. Events are the truth: state and tables are made from them.

Units as in `commands`. Every event of an account carries its free balance after it, and what it changed whole, as it is
then: so the answer to a request can be given again, word for word, from its records alone. A fill is the end of its
order, then what it did.

A journal holds events of every release: whoever changes what a field means, or takes one away, adds the step that lifts
what is stored (`storage.upcasters`). A new field may do with a default only where that is the truth of all before it.
"""

from enum import StrEnum

import msgspec

from exness.core.instruments import AccountId, Asset, Execution, LimitFill, OrderId, Side, TradeId, Trigger
from exness.core.rates import Rates
from exness.core.trades import Order, Trade


class Asked(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a command asked for under a client order id, for repeats of it. `made` is the trade or order that came of
    it, `records` how many of those.

    `forgets` are client order ids that leave the account's window to make room for this one. The event names
    them, so that a replay forgets the same ones whatever the window is configured to by then.
    """

    client_order: str
    fingerprint: str
    made: TradeId | OrderId
    forgets: tuple[str, ...] = ()
    records: int = 1


# --- accounts -----------------------------------------------------------------------------------------------------


class AccountOpened(msgspec.Struct, frozen=True, gc=False, tag="account_opened"):
    account: AccountId
    email: str
    deposit: int

    @property
    def balance(self) -> int:
        return self.deposit


class Deposited(msgspec.Struct, frozen=True, gc=False, tag="deposited"):
    account: AccountId
    amount: int
    balance: int


# --- orders -------------------------------------------------------------------------------------------------------


class OrderPlaced(msgspec.Struct, frozen=True, gc=False, tag="order_placed", omit_defaults=True):
    """It waits, and `order.reserved` is held back for it."""

    order: Order
    balance: int
    asked: Asked | None = None

    @property
    def account(self) -> AccountId:
        return self.order.account


class OrderAmended(msgspec.Struct, frozen=True, gc=False, tag="order_amended"):
    """The order as it is now; `released` is what was reserved for it before."""

    order: Order
    released: int
    balance: int

    @property
    def account(self) -> AccountId:
        return self.order.account


class OrderTriggered(msgspec.Struct, frozen=True, gc=False, tag="order_triggered"):
    """A stop-limit order whose tick is past its limit: from now on it waits as a limit."""

    order_id: OrderId
    account: AccountId
    asset: Asset
    fired: int
    balance: int


class EndStatus(StrEnum):
    """How an order ends."""

    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"


class OrderEnded(msgspec.Struct, frozen=True, gc=False, tag="order_ended", omit_defaults=True):
    """The end of an order, for whatever reason: what was reserved for it is given back. What a fill does comes right
    after it: at `price`, of `filled` (the size of a trade, or a quantity). `fired` is its number if it fired, `net`
    whether it was of a net position."""

    order_id: OrderId
    account: AccountId
    asset: Asset
    status: EndStatus
    released: int
    balance: int
    reason: str = ""
    filled: int = 0
    price: int = 0
    fired: int = 0
    net: bool = False


# --- trades -------------------------------------------------------------------------------------------------------


class CloseReason(StrEnum):
    """What ended a trade, or a part of it."""

    USER = "user"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    EXIT = "exit"
    """A limit exit."""
    ORDER = "order"
    """A net order."""
    LIQUIDATION = "liquidation"


class TradeOpened(msgspec.Struct, frozen=True, gc=False, tag="trade_opened", omit_defaults=True):
    """`fee` is its commission. `fingerprint` and `forgets` are those of an `Asked`; empty where the trade's client
    order id was not used by the command that this is of. `placed` is a net order that was filled at once."""

    trade: Trade
    balance: int
    fingerprint: str = ""
    forgets: tuple[str, ...] = ()
    fee: int = 0
    placed: Order | None = None

    @property
    def account(self) -> AccountId:
        return self.trade.account


class TradeIncreased(msgspec.Struct, frozen=True, gc=False, tag="trade_increased", omit_defaults=True):
    """A fill has added `size` and `margin` to a net position: it is `trade` now."""

    trade: Trade
    by: OrderId
    price: int
    size: int
    margin: int
    balance: int
    fee: int = 0
    placed: Order | None = None
    asked: Asked | None = None

    @property
    def account(self) -> AccountId:
        return self.trade.account


class TradeReduced(msgspec.Struct, frozen=True, gc=False, tag="trade_reduced", omit_defaults=True):
    """A part of a trade is closed, and `trade` is what stays. `size`, `margin`, `pnl`, `fee`, `returned` and
    `shortfall` are the part's, as those of a TradeClosed; `by` is the order or exit that did it."""

    trade: Trade
    reason: CloseReason
    price: int
    size: int
    margin: int
    pnl: int
    returned: int
    balance: int
    shortfall: int = 0
    fee: int = 0
    covered: int = 0
    by: OrderId | None = None
    placed: Order | None = None
    asked: Asked | None = None

    @property
    def account(self) -> AccountId:
        return self.trade.account


class TradeClosed(msgspec.Struct, frozen=True, gc=False, tag="trade_closed", omit_defaults=True):
    """The end of a trade, for whatever reason: `returned = margin + pnl - fee - forfeited` goes back to the free
    balance. `pnl` is that of the formula, or what the account could hold if that is less (see `ceilings`), and never
    below `-margin`: `shortfall` is what the loss exceeded the margin by, of which the insurance has `covered` so much.

    `bid` and `ask` are the tick that liquidated it, whose mark is its price; None for any other reason. `by` is the
    order or exit that did it, and `filled` the size that this has closed. `stop_loss` is what a liquidation has passed
    over, `ended` the orders among its exits that have ended with it. `net` is the side of a net position, None of any
    other trade; of one, `filled` is there always. `commission_before` and `realized_before` are what the trade had paid
    and gained until then: so the event tells what the whole trade comes to.
    """

    trade_id: TradeId
    account: AccountId
    asset: Asset
    reason: CloseReason
    price: int
    margin: int
    pnl: int
    returned: int
    balance: int
    shortfall: int = 0
    bid: int | None = None
    ask: int | None = None
    fee: int = 0
    forfeited: int = 0
    covered: int = 0
    by: OrderId | None = None
    stop_loss: int | None = None
    ended: tuple[OrderId, ...] = ()
    placed: Order | None = None
    asked: Asked | None = None
    filled: int = 0
    commission_before: int = 0
    realized_before: int = 0
    net: Side | None = None

    @property
    def liquidated(self) -> bool:
        return self.reason is CloseReason.LIQUIDATION


class Why(StrEnum):
    """Why a trade has changed."""

    EXITS = "exits"
    TRIGGERED = "triggered"
    """An exit with a limit, whose tick is past that: from now on it waits as a limit."""
    MARGIN = "margin"
    LEVERAGE = "leverage"
    FUNDING = "funding"


class TradeChanged(msgspec.Struct, frozen=True, gc=False, tag="trade_changed", omit_defaults=True):
    """The trade as it is now. `amount` is what its margin has gained from the free balance, or lost to it. Funding is
    paid from the margin, below 0 received; `shortfall` is what the margin did not suffice for. `price` is the mark of
    funding, and of a change of margin or leverage; else 0.
    `exit` is the order among its exits that was added, amended or fired, or that has `ended` while the trade goes
    on."""

    trade: Trade
    why: Why
    balance: int
    amount: int = 0
    paid: int = 0
    price: int = 0
    shortfall: int = 0
    covered: int = 0
    exit: OrderId | None = None
    ended: EndStatus | None = None
    asked: Asked | None = None

    @property
    def account(self) -> AccountId:
        return self.trade.account


class NetLeverageSet(msgspec.Struct, frozen=True, gc=False, tag="net_leverage_set"):
    account: AccountId
    asset: Asset
    leverage: int
    balance: int


# --- the exchange -------------------------------------------------------------------------------------------------


class TrailMoved(msgspec.Struct, frozen=True, gc=False, tag="trail_moved"):
    """A tick has moved the watermark of trailing stops of this asset, or started one. `long` and `short` are what those
    of longs and of shorts looked at."""

    asset: Asset
    bid: int
    ask: int
    mark: int
    long: int
    short: int


class RatesSet(msgspec.Struct, frozen=True, tag="rates_set"):
    """By hand, until the next time or a reset."""

    asset: Asset
    rates: Rates


class ProfileSet(msgspec.Struct, frozen=True, tag="profile_set"):
    """The same of all rates and what goes with them."""

    profile: str
    execution: Execution
    trigger: Trigger
    limit_fill: LimitFill
    rates: dict[Asset, Rates]


class InsurancePaid(msgspec.Struct, frozen=True, gc=False, tag="insurance_paid"):
    """A deposit of the house, into its insurance."""

    amount: int


class ExchangeReset(msgspec.Struct, frozen=True, gc=False, tag="exchange_reset"):
    """Everything before it is forgotten: accounts, trades, orders, the house, prices, rates set by hand. Only `seq` and
    time go on."""


AccountEvent = (
    AccountOpened
    | Deposited
    | OrderPlaced
    | OrderAmended
    | OrderTriggered
    | OrderEnded
    | TradeOpened
    | TradeIncreased
    | TradeReduced
    | TradeClosed
    | TradeChanged
    | NetLeverageSet
)
"""What happens to one account: it names it, as `account`, and its free balance after it, as `balance`."""

Event = AccountEvent | TrailMoved | RatesSet | ProfileSet | InsurancePaid | ExchangeReset


class Record(msgspec.Struct, frozen=True, gc=False):
    """One journal record. `seq` counts from 1 without a hole; `at` is microseconds since the epoch, never falling.

    `cause` is what brought it about, and where its source goes on: `http:` and the id of a command, which never comes
    again, `replay:` and a row of the file of orders, `feed` for a tick. `request` is the X-Request-ID of whoever asked.
    """

    seq: int
    at: int
    event: Event
    request: str = ""
    cause: str = ""

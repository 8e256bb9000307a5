"""What happened, in the past tense. Events are the truth: state and tables are made from them.

Units as in `commands`. Every event that moves money carries the account's free balance after it, so the
answer to a request can be given again, word for word, from its record alone.
"""

from enum import StrEnum

import msgspec

from exness.core.instruments import AccountId, Asset, OrderId, Side


class Trade(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An open trade. `seq` is the journal record that opened it; `liquidation` is the price that closes it."""

    order: OrderId
    account: AccountId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    entry: int
    liquidation: int
    opened_at: int
    seq: int
    client_order: str | None = None


class AccountOpened(msgspec.Struct, frozen=True, gc=False, tag="account_opened"):
    account: AccountId
    email: str
    deposit: int


class Deposited(msgspec.Struct, frozen=True, gc=False, tag="deposited"):
    account: AccountId
    amount: int
    balance: int


class TradeOpened(msgspec.Struct, frozen=True, gc=False, tag="trade_opened", omit_defaults=True):
    """`fingerprint` is what was asked, for repeats of the same `client_order`.

    `forgets` are client order ids that leave the account's window to make room for this one. The event names
    them, so that a replay forgets the same ones whatever the window is configured to by then.
    """

    trade: Trade
    balance: int
    fingerprint: str = ""
    forgets: tuple[str, ...] = ()

    @property
    def account(self) -> AccountId:
        return self.trade.account


class TradeClosed(msgspec.Struct, frozen=True, gc=False, tag="trade_closed"):
    """Closed by its owner: `returned = margin + pnl` goes back to the free balance. `pnl` is that of the formula, or
    what the account could hold if that is less (see `ceilings`).

    At the touch the price can lie beyond the liquidation price: `shortfall` is what the loss exceeded the margin by.
    """

    order: OrderId
    account: AccountId
    asset: Asset
    price: int
    margin: int
    pnl: int
    returned: int
    balance: int
    shortfall: int = 0


class TradeLiquidated(msgspec.Struct, frozen=True, gc=False, tag="trade_liquidated"):
    """Closed by a tick at or through the liquidation price: the margin is lost, `shortfall` is what the loss exceeded
    it by. `bid`, `ask` and their `mark` are the tick that did it."""

    order: OrderId
    account: AccountId
    asset: Asset
    mark: int
    bid: int
    ask: int
    margin: int
    shortfall: int
    balance: int

    @property
    def pnl(self) -> int:
        """`-margin`: a liquidated trade loses exactly its margin."""
        return -self.margin


class StartedAfresh(msgspec.Struct, frozen=True, gc=False, tag="started_afresh"):
    """Everything before it is forgotten: accounts, trades, the house's pnl, prices. Only `seq` and time go on."""


Event = AccountOpened | Deposited | TradeOpened | TradeClosed | TradeLiquidated | StartedAfresh
TradeEvent = TradeOpened | TradeClosed | TradeLiquidated


class Record(msgspec.Struct, frozen=True, gc=False):
    """One journal record. `seq` counts from 1 without a hole; `at` is microseconds since the epoch, never falling.

    `request` is the X-Request-ID that asked for it, empty when nobody did.
    """

    seq: int
    at: int
    event: Event
    request: str = ""


class TradeStatus(StrEnum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"
    LIQUIDATED = "liquidated"


LIFE_CYCLE: dict[tuple[TradeStatus, type[TradeEvent]], TradeStatus] = {
    (TradeStatus.NEW, TradeOpened): TradeStatus.OPEN,
    (TradeStatus.OPEN, TradeClosed): TradeStatus.CLOSED,
    (TradeStatus.OPEN, TradeLiquidated): TradeStatus.LIQUIDATED,
}
"""A trade's whole life. What is not in the table does not happen: closed and liquidated are final."""


def next_status(status: TradeStatus, event: type[TradeEvent]) -> TradeStatus:
    """Where `event` takes a trade from `status`. What is not in the life-cycle is a bug: it stops the process."""
    following = LIFE_CYCLE.get((status, event))
    if following is None:
        raise AssertionError(f"a trade that is {status} can't have {event.__name__}")
    return following

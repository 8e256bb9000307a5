"""What happened, in the past tense. Events are the truth: state and tables are made from them.

Units as in `commands`. Every event that moves money carries the account's free balance after it, so the
answer to a request can be given again, word for word, from its record alone.

A journal holds events of every release: whoever changes what a field means, or takes one away, adds the step that lifts
what is stored (`storage.upcasters`). A new field may do with a default only where that is the truth of all before it.
"""

from enum import StrEnum

import msgspec

from exness.core.instruments import AccountId, Asset, Side, TradeId


class Trade(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An open trade. `seq` is the journal record that opened it; `liquidation` is the price that closes it."""

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
    client_order: str | None = None


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


class CloseReason(StrEnum):
    """What ended a trade."""

    USER = "user"
    LIQUIDATION = "liquidation"


class TradeClosed(msgspec.Struct, frozen=True, gc=False, tag="trade_closed", omit_defaults=True):
    """The end of a trade, for whatever reason: `returned = margin + pnl` goes back to the free balance. `pnl` is that
    of the formula, or what the account could hold if that is less (see `ceilings`), and never below `-margin`:
    `shortfall` is what the loss exceeded the margin by.

    `bid` and `ask` are the tick that set it off, None where its owner did. A liquidation is at their mark.
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

    @property
    def liquidated(self) -> bool:
        return self.reason is CloseReason.LIQUIDATION


class ExchangeReset(msgspec.Struct, frozen=True, gc=False, tag="exchange_reset"):
    """Everything before it is forgotten: accounts, trades, the house's pnl, prices. Only `seq` and time go on."""


AccountEvent = AccountOpened | Deposited | TradeOpened | TradeClosed
"""What happens to one account: it names it, as `account`, and its free balance after it, as `balance`."""

Event = AccountEvent | ExchangeReset


class Record(msgspec.Struct, frozen=True, gc=False):
    """One journal record. `seq` counts from 1 without a hole; `at` is microseconds since the epoch, never falling.

    `cause` is what brought it about and where its source goes on: `http:` and the id of the command, `replay:` and the
    row of the file; empty where nothing goes on from it. `request` is the X-Request-ID of whoever asked.
    """

    seq: int
    at: int
    event: Event
    request: str = ""
    cause: str = ""

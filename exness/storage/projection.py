"""Records -> rows of the tables. Pure.

Amounts come from what each event says happened, never from the balance it reports after it: so the tables add up
on their own, and `verify` can hold them against the state.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from exness.core.events import (
    AccountOpened,
    Deposited,
    Record,
    StartedAfresh,
    Trade,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import AccountId
from exness.storage.wide import split

HOUSE = AccountId("house")
"""The account that bears the other side of every trade. Its row in `balances` holds its pnl in `free` and `free_e18`,
its sums are 0."""

UserRow = tuple[str, str, int, int]
"""id, email, created_at, opened_seq"""

TradeRow = tuple[int, str, str, str, str, int, int, int, int, int, str | None, str | None, int, int, int | None]
"""opened_seq, id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
client_order_id, fingerprint, balance_after, how many of its account the batch has opened with it, the one before it in
the batch"""

EndRow = tuple[str, int, int, int, int, int, int, str]
"""status, close_price, pnl, returned, shortfall, closed_at, closed_seq, id"""

LiquidationRow = tuple[int, int, int, int, int, int, int, str]
"""mark, bid, ask, pnl, shortfall, at, seq, trade_id: the rest of the row is the trade's own"""

BalanceRow = tuple[str, int, int, int, int, int, int, int, int, int, int, int | None]
"""The fields of a Change but for `deposited`, in their order; each pnl is split in two (see `wide`)"""

PaidRow = tuple[str, int, int]
"""account_id, what was paid in, split in two"""


class Change(msgspec.Struct, gc=False):
    """By how much a batch changes an account's row in `balances`: its money, the sums of its history, and the newest of
    its trades if there is a new one. Together, a batch's pnls and deposits can be more than 64 bits hold."""

    account: str
    free: int = 0
    locked: int = 0
    deposited: int = 0
    opened: int = 0
    closed: int = 0
    profitable: int = 0
    closed_pnl: int = 0
    liquidated: int = 0
    liquidated_pnl: int = 0
    newest: int | None = None


class Rows:
    """What a batch of records writes, table by table, in the order in which it has to be written."""

    __slots__ = ("_changes", "afresh", "ended", "house_pnl", "liquidations", "opened", "users")

    def __init__(self, *, afresh: bool = False) -> None:
        self.afresh = afresh
        """All rows of accounts and trades go first."""
        self.users: list[UserRow] = []
        self.opened: list[TradeRow] = []
        self.ended: list[EndRow] = []
        self.liquidations: list[LiquidationRow] = []
        self.house_pnl = 0
        self._changes: dict[str, Change] = {}

    @property
    def balances(self) -> list[BalanceRow]:
        """One row per account the batch touched."""
        return [
            (
                change.account,
                change.free,
                change.locked,
                change.opened,
                change.closed,
                change.profitable,
                *split(change.closed_pnl),
                change.liquidated,
                *split(change.liquidated_pnl),
                change.newest,
            )
            for change in self._changes.values()
        ]

    @property
    def paid(self) -> list[PaidRow]:
        """One row per account that something was paid into."""
        return [(change.account, *split(change.deposited)) for change in self._changes.values() if change.deposited]

    def pay(self, account: str, free: int, locked: int, deposited: int) -> Change:
        """Returns the change of this account, for the sums."""
        change = self._changes.get(account)
        if change is None:
            change = self._changes[account] = Change(account)
        change.free += free
        change.locked += locked
        change.deposited += deposited
        return change


def project(records: Sequence[Record]) -> Rows:
    """What `records` write into the tables."""
    rows = Rows()
    for record in records:
        event = record.event
        match event:
            case TradeOpened():
                _open(rows, event.trade, event)
            case TradeClosed():
                _close(rows, record, event)
            case TradeLiquidated():
                _liquidate(rows, record, event)
            case AccountOpened():
                rows.users.append((event.account, event.email, record.at, record.seq))
                rows.pay(event.account, event.deposit, 0, event.deposit)
            case Deposited():
                rows.pay(event.account, event.amount, 0, event.amount)
            case StartedAfresh():
                rows = Rows(afresh=True)  # what the batch did before it is forgotten, too
            case _:
                assert_never(event)
    return rows


def _open(rows: Rows, trade: Trade, event: TradeOpened) -> None:
    change = rows.pay(trade.account, -trade.margin, trade.margin, 0)
    change.opened += 1
    rows.opened.append(
        (
            trade.seq,
            trade.order,
            trade.account,
            trade.asset,
            trade.side.value,
            trade.margin,
            trade.leverage,
            trade.entry,
            trade.liquidation,
            trade.opened_at,
            trade.client_order,
            event.fingerprint or None,
            event.balance,
            change.opened,
            change.newest,
        )
    )
    change.newest = trade.seq


def _close(rows: Rows, record: Record, event: TradeClosed) -> None:
    rows.ended.append(
        ("closed", event.price, event.pnl, event.returned, event.shortfall, record.at, record.seq, event.order)
    )
    change = rows.pay(event.account, event.returned, -event.margin, 0)
    change.closed += 1
    change.profitable += event.pnl > 0
    change.closed_pnl += event.pnl
    rows.house_pnl -= event.pnl


def _liquidate(rows: Rows, record: Record, event: TradeLiquidated) -> None:
    pnl = event.pnl
    rows.ended.append(("liquidated", event.mark, pnl, 0, event.shortfall, record.at, record.seq, event.order))
    rows.liquidations.append(
        (event.mark, event.bid, event.ask, pnl, event.shortfall, record.at, record.seq, event.order)
    )
    change = rows.pay(event.account, 0, -event.margin, 0)
    change.liquidated += 1
    change.liquidated_pnl += pnl
    rows.house_pnl -= pnl

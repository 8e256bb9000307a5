"""Records -> rows. Pure, and the same for every backend: `project` says what one record does, `gather` what many do
together, each row once.

Amounts come from what each event says happened, never from the balance it reports after it: so the tables add up on
their own, and `verify` can hold them against the state.
"""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

import msgspec

from exness.core.events import (
    AccountOpened,
    Deposited,
    ExchangeReset,
    Record,
    TradeClosed,
    TradeOpened,
)
from exness.storage import rows
from exness.storage.rows import BALANCES, HOUSE, SUMS, TABLE_OF, TRADES, Row, Table


class Change(msgspec.Struct, gc=False):
    """Of the row of `table` whose key is `key`, some columns are set and some added to."""

    table: Table
    key: str
    set: dict[str, int | str | None]
    add: dict[str, int]


class Clear(msgspec.Struct, gc=False):
    """All rows go; see `rows.first_rows` for what is there then."""


Effect = Row | Change | Clear
"""A row is put as it is."""

CLEAR: Final = Clear()


def project(record: Record) -> list[Effect]:
    """What one record does to the tables, in order."""
    event = record.event
    match event:
        case TradeOpened():
            return _opened(record, event)
        case TradeClosed():
            return _closed(record, event)
        case AccountOpened(account, email, deposit):
            return [
                rows.User(account, email, record.at, record.seq),
                rows.Balance(account, free=deposit, deposited=deposit),
                rows.Sums(account),
                rows.AccountRecord(account, record.seq),
            ]
        case Deposited(account, amount):
            return [
                Change(BALANCES, account, {}, {"free": amount, "locked": 0, "deposited": amount}),
                rows.AccountRecord(account, record.seq),
            ]
        case ExchangeReset():
            return [CLEAR]
        case _:
            assert_never(event)


def _pay(account: str, free: int, locked: int) -> Change:
    return Change(BALANCES, account, {}, {"free": free, "locked": locked, "deposited": 0})


_NO_SUMS = dict.fromkeys(("opened", "closed", "profitable", "closed_pnl", "liquidated", "liquidated_pnl"), 0)


def _sum(account: str, sums: dict[str, int]) -> Change:
    return Change(SUMS, account, {}, _NO_SUMS | sums)


def _opened(record: Record, event: TradeOpened) -> list[Effect]:
    trade = event.trade
    return [
        rows.Trade(
            opened_seq=trade.seq,
            id=trade.id,
            account_id=trade.account,
            asset=trade.asset,
            side=trade.side.value,
            margin=trade.margin,
            leverage=trade.leverage,
            entry_price=trade.entry,
            liquidation_price=trade.liquidation,
            created_at=trade.opened_at,
            client_order_id=trade.client_order,
            fingerprint=event.fingerprint or None,
            balance_after=event.balance,
        ),
        _pay(trade.account, -trade.margin, trade.margin),
        _sum(trade.account, {"opened": 1}),
        rows.AccountRecord(trade.account, record.seq),
    ]


def _closed(record: Record, event: TradeClosed) -> list[Effect]:
    account, pnl = event.account, event.pnl
    ended: dict[str, int | str | None] = {
        "close_reason": event.reason.value,
        "close_price": event.price,
        "close_bid": event.bid,
        "close_ask": event.ask,
        "pnl": pnl,
        "returned": event.returned,
        "shortfall": event.shortfall,
        "closed_at": record.at,
        "closed_seq": record.seq,
    }
    if event.liquidated:
        sums = {"liquidated": 1, "liquidated_pnl": pnl}
    else:
        sums = {"closed": 1, "profitable": int(pnl > 0), "closed_pnl": pnl}
    return [
        Change(TRADES, event.trade_id, ended, {}),
        _pay(account, event.returned, -event.margin),
        _pay(HOUSE, -pnl, 0),
        _sum(account, sums),
        rows.AccountRecord(account, record.seq),
    ]


class Batch:
    """What many effects come to: rows to put and rows to change, each once, by table."""

    __slots__ = ("changes", "clear", "puts")

    def __init__(self) -> None:
        self.clear = False
        """All rows go first."""
        self.puts: dict[Table, dict[object, Row]] = {}
        """By key, in the order they came."""
        self.changes: dict[Table, dict[object, Change]] = {}

    def _forget(self) -> None:
        """What came before is forgotten, within the batch too."""
        self.clear = True
        self.puts.clear()
        self.changes.clear()
        self.take(rows.first_rows())

    def take(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Row):
                table = TABLE_OF[type(effect)]
                self.puts.setdefault(table, {})[getattr(effect, table.key)] = effect
            elif isinstance(effect, Change):
                self._change(effect)
            else:
                self._forget()

    def _change(self, change: Change) -> None:
        put = self.puts.get(change.table, {}).get(change.key)
        if put is not None:
            apply(put, change)
            return
        changes = self.changes.setdefault(change.table, {})
        before = changes.get(change.key)
        if before is None:
            changes[change.key] = change
            return
        before.set.update(change.set)
        for column, amount in change.add.items():
            before.add[column] += amount


def apply(row: Row, change: Change) -> None:
    """Change a row that is at hand."""
    for column, value in change.set.items():
        setattr(row, column, value)
    for column, amount in change.add.items():
        setattr(row, column, getattr(row, column) + amount)


def gather(records: Sequence[Record]) -> Batch:
    """What these records do together."""
    batch = Batch()
    for record in records:
        batch.take(project(record))
    return batch

"""Records -> rows. Pure, and the same for every backend: `project` says what one record does, `gather` what many do
together, each row once.

Amounts come from what each event says happened, never from the balance it reports after it: so the tables add up on
their own, and `verify` can hold them against the state.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import add
from typing import assert_never

import msgspec

from exness.core.events import (
    AccountEvent,
    AccountOpened,
    Deposited,
    ExchangeReset,
    InsurancePaid,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    ProfileSet,
    RatesSet,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    TrailMoved,
)
from exness.core.statement import Reason, entries
from exness.core.trades import Trade
from exness.storage import rows
from exness.storage.rows import BALANCES, HOUSE, SUMS, TABLE_OF, TRADES, Row, Table

Values = tuple[int | str | None, ...]


class Kind:
    """A kind of change: these columns of a row of `table` are set, or, with `adds`, added to. Told from others by
    identity."""

    __slots__ = ("adds", "columns", "table")

    def __init__(self, table: Table, *columns: str, adds: bool) -> None:
        self.table = table
        self.columns = columns
        self.adds = adds


class Change(msgspec.Struct, gc=False):
    """The row of `kind.table` whose key is `key` changes by `values`, one for each of the kind's columns."""

    kind: Kind
    key: str
    values: Values


class Clear(msgspec.Struct, gc=False):
    """All rows go, by record `seq`; see `rows.first_rows` for what is there then."""

    seq: int


Effect = Row | Change | Clear
"""A row is put as it is."""

PAID = Kind(BALANCES, "free", "locked", "deposited", adds=True)
COUNTED = Kind(SUMS, "opened", "closed", "profitable", "closed_pnl", "liquidated", "liquidated_pnl", adds=True)
CHANGED = Kind(TRADES, "margin", "leverage", "entry_price", "liquidation_price", adds=False)
ENDED = Kind(
    *(TRADES, "close_reason", "close_price", "close_bid", "close_ask", "pnl", "returned", "shortfall"),
    *("closed_at", "closed_seq"),
    adds=False,
)


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
                Change(PAID, account, (amount, 0, amount)),
                rows.AccountRecord(account, record.seq),
            ]
        case ExchangeReset():
            return [Clear(record.seq)]
        case TradeReduced() | TradeIncreased() | TradeChanged():
            return [_changed(event.trade), *_moved(record, event)]
        case OrderPlaced() | OrderAmended() | OrderTriggered() | OrderEnded() | NetLeverageSet():
            return _moved(record, event)
        case InsurancePaid(amount):
            return [Change(PAID, HOUSE, (amount, 0, amount))]
        case TrailMoved() | RatesSet() | ProfileSet():
            return []
        case _:
            assert_never(event)


def _changed(trade: Trade) -> Change:
    """What a trade has become."""
    return Change(CHANGED, trade.id, (trade.margin, trade.leverage, trade.entry, trade.liquidation))


def _moved(record: Record, event: AccountEvent) -> list[Effect]:
    """What an event moves of its account's money."""
    moved: dict[Reason, int] = dict(entries(event))
    free = sum(moved.values())
    bound = -moved.get(Reason.MARGIN, 0) - moved.get(Reason.RESERVE, 0)
    return [
        _pay(event.account, free, bound),
        _pay(HOUSE, -free - bound, 0),
        rows.AccountRecord(event.account, record.seq),
    ]


def _pay(account: str, free: int, locked: int) -> Change:
    return Change(PAID, account, (free, locked, 0))


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
        _pay(trade.account, -trade.margin - event.fee, trade.margin),
        *([_pay(HOUSE, event.fee, 0)] if event.fee else []),
        Change(COUNTED, trade.account, (1, 0, 0, 0, 0, 0)),
        rows.AccountRecord(trade.account, record.seq),
    ]


def _closed(record: Record, event: TradeClosed) -> list[Effect]:
    account, pnl = event.account, event.pnl
    if event.liquidated:
        counted = (0, 0, 0, 0, 1, pnl)
    else:
        counted = (0, 1, int(pnl > 0), pnl, 0, 0)
    ended = (event.reason.value, event.price, event.bid, event.ask, pnl, event.returned, event.shortfall)
    return [
        Change(ENDED, event.trade_id, (*ended, record.at, record.seq)),
        _pay(account, event.returned, -event.margin),
        _pay(HOUSE, event.margin - event.returned, 0),
        Change(COUNTED, account, counted),
        rows.AccountRecord(account, record.seq),
    ]


class Batch:
    """What many effects come to: rows to put by table, and changes by kind, each row once. By key, in the order they
    came. What is put is no longer changed: the changes are in it."""

    __slots__ = ("changes", "puts", "reset")

    def __init__(self) -> None:
        self.reset = 0
        """The record by which all rows go first; 0: none does."""
        self.puts: dict[Table, dict[object, Row]] = {table: {} for table in rows.TABLES}
        self.changes: defaultdict[Kind, dict[str, Values]] = defaultdict(dict)

    def take(self, effects: Iterable[Effect]) -> None:
        """One after the other. For every record there is: 3 us for that of a trade."""
        puts, changes = self.puts, self.changes
        for effect in effects:
            if isinstance(effect, Change):
                kind, key, values = effect.kind, effect.key, effect.values
                row = puts[kind.table].get(key)
                if row is not None:
                    apply(row, kind, values)
                    continue
                by_key = changes[kind]
                before = by_key.get(key) if kind.adds else None
                by_key[key] = values if before is None else tuple(map(add, before, values))
            elif isinstance(effect, Row):
                table = TABLE_OF[type(effect)]
                puts[table][getattr(effect, table.key)] = effect
            else:
                self._forget(effect)

    def _forget(self, clear: Clear) -> None:
        """What came before is forgotten, within the batch too."""
        self.reset = clear.seq
        self.changes.clear()
        for put in self.puts.values():
            put.clear()
        self.take(rows.first_rows())


def apply(row: Row, kind: Kind, values: Values) -> None:
    """Change a row that is at hand."""
    for column, value in zip(kind.columns, values, strict=True):
        setattr(row, column, getattr(row, column) + value if kind.adds else value)


def gather(records: Sequence[Record]) -> Batch:
    """What these records do together."""
    batch = Batch()
    for record in records:
        batch.take(project(record))
    return batch

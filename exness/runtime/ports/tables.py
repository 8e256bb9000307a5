"""What the records add up to, and the questions to it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from exness.core.events import CloseReason, EndStatus, Record
from exness.core.instruments import AccountId, Asset, OrderId, Side, TradeId
from exness.core.statement import Reason
from exness.core.trades import Kind, Trailing


class Watermark(msgspec.Struct, frozen=True):
    """How far the tables have come: every record up to `seq` is in them and none after it. `checksum` is that record's,
    `reset` the last one that forgot all before it."""

    seq: int
    checksum: int
    reset: int


class Tables(Protocol):
    """What the records add up to, made from them after they are on disk. It can be made anew at any time."""

    async def write(self, records: Sequence[Record]) -> None:
        """Take the records that follow on the watermark, and move it, in one transaction. Raises StorageError."""
        ...

    async def watermark(self) -> Watermark: ...

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        """The seqs of an account's records after a seq, in order, at most `limit`, as far as the tables have come.
        Raises StorageError when what was after it has been forgotten."""
        ...


class SortBy(StrEnum):
    CREATED_AT = "createdAt"
    CLOSED_AT = "closedAt"
    PNL = "pnl"
    MARGIN = "margin"
    LEVERAGE = "leverage"


class Place(msgspec.Struct, frozen=True):
    """A trade's place among all of its account in the order they were opened: when, and by which record."""

    opened_at: int
    seq: int


class TradeQuery(msgspec.Struct, frozen=True):
    """Which of an account's trades. None means any. Times are microseconds, both ends included. `profitable` is
    `realized > 0`; it, `liquidated` and the times of closing leave open trades out. `beyond`: only those that come
    after that one in the order of opening, which must then be the order."""

    account: AccountId
    is_open: bool | None = None
    asset: Asset | None = None
    side: Side | None = None
    profitable: bool | None = None
    liquidated: bool | None = None
    opened_from: int | None = None
    opened_to: int | None = None
    closed_from: int | None = None
    closed_to: int | None = None
    limit: int = 50
    offset: int = 0
    sort_by: SortBy = SortBy.CREATED_AT
    descending: bool = True
    beyond: Place | None = None


class TradeRow(msgspec.Struct, frozen=True):
    """A trade as the tables hold it: as it is, or was when its last part was closed. What only a closed trade has is
    None while it is open; `shortfall` is then 0. `pnl`, `returned` and `shortfall` are the last part's, `commission`,
    `funding` and `realized` those of the whole trade so far. `decimals` are its asset's, which need not be configured
    any more."""

    id: TradeId
    account: AccountId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    entry: int
    liquidation: int
    opened_at: int
    client_order: str | None
    liquidated: bool
    close_price: int | None
    pnl: int | None
    returned: int | None
    shortfall: int
    closed_at: int | None
    decimals: int
    net: bool
    size: int
    commission: int
    funding: int
    realized: int
    close_reason: CloseReason | None
    seq: int
    """Of the record that opened it."""

    @property
    def place(self) -> Place:
        return Place(self.opened_at, self.seq)


class Analytics(msgspec.Struct, frozen=True):
    """Sums over everything a TradeQuery matches, not only its page. `total_pnl` is what closed trades have
    realized, in micro-USDC; `unprofitable` are the closed trades of which that is not above 0."""

    total: int = 0
    open: int = 0
    closed: int = 0
    profitable: int = 0
    unprofitable: int = 0
    liquidated: int = 0
    total_pnl: int = 0


class OrderQuery(msgspec.Struct, frozen=True):
    """Which of an account's orders that have ended. None means any. Newest first. `below`: only those whose number is
    less."""

    account: AccountId
    asset: Asset | None = None
    limit: int = 50
    offset: int = 0
    below: int | None = None


class OrderRow(msgspec.Struct, frozen=True):
    """An order, or an exit that is one, as the tables hold it: as it was placed or last amended.

    An exit `closes` a trade, whose side it has, and has no leverage (0); its `quantity` is the size that it closes, 0:
    all there is. That of an order is a quantity if it is `net`, else 0: its margin x leverage counts. A net order at
    the market has no `kind`. `filled` is the size of what it did, at `price`. `fired` is its number of the record in
    which it fired, 0 if it did not. What only an ended one has is None while it waits.
    """

    order_id: OrderId
    account: AccountId
    asset: Asset
    side: Side
    kind: Kind | None
    net: bool
    margin: int
    leverage: int
    quantity: int
    limit: int | None
    stop: int | None
    expires_at: int | None
    reserved: int
    take_profit: int | None
    stop_loss: int | None
    trailing: Trailing | None
    closes: TradeId | None
    client_order: str | None
    label: str | None
    number: int
    fired: int
    created_at: int
    status: EndStatus | None
    reason: str | None
    ended_at: int | None
    filled: int
    price: int
    decimals: int


class StatementQuery(msgspec.Struct, frozen=True):
    """Which rows of an account's statement: those of records before `before`. None means any."""

    account: AccountId
    reason: Reason | None = None
    asset: Asset | None = None
    before: int | None = None
    limit: int = 100


class Told(StrEnum):
    """What a record tells of, beside the reasons of its statement."""

    NET = "net"
    """A net position, or an order of one."""
    FILL = "fill"
    """A fill of an order of one, or its liquidation."""
    LIQUIDATION = "liquidation"
    """Its liquidation."""
    MARGIN_MOVED = "margin_moved"
    """Margin that was added to it or taken from it by hand."""


class RecordQuery(msgspec.Struct, frozen=True):
    """Which of an account's records: those of one of the `reasons` (empty: of any or none) that tell all of `told`, in
    an asset, within times and from a seq on, all ends included; the `limit` oldest of them, or newest. `is_net` False:
    of those that tell of no net position."""

    account: AccountId
    reasons: tuple[Reason, ...] = ()
    told: tuple[Told, ...] = ()
    is_net: bool | None = None
    asset: Asset | None = None
    start: int | None = None
    end: int | None = None
    first: int = 0
    limit: int = 100
    newest: bool = True


class NetOrderQuery(msgspec.Struct, frozen=True):
    """Which of an account's orders of net positions, waiting ones too. `fires`: those that wait for a price to fire, by
    the number of their placing; else all others, and of these what has fired, by the number of their firing. From a
    number and within times of placing (microseconds); the `limit` oldest of them, or newest."""

    account: AccountId
    fires: bool
    asset: Asset | None = None
    number: int | None = None
    """Exactly this one."""
    label: str | None = None
    """The id of the order is one of its labels."""
    first: int = 0
    start: int | None = None
    end: int | None = None
    limit: int = 500
    newest: bool = True


class Span(msgspec.Struct, frozen=True):
    """The records that an account's course over a span is worked out from.

    `first` is its last one at the start of it or earlier, `last` that at the end of it; 0: there is none. `held` are
    those that tell of what it held after `first`, trades and waiting orders: the newest of each.
    """

    first: int
    last: int
    held: list[int]


class ClosedTrade(msgspec.Struct, frozen=True, gc=False):
    """What a trade came to that record `seq` closed: `realized` is the whole trade's, in micro-USDC."""

    account: AccountId
    realized: int
    at: int
    seq: int


class History(Protocol):
    """Trades and orders of all times, and what moved an account's money, as far as the tables have come. Each raises
    HistoryTooLong when more than a bounded number of rows would have to be looked at."""

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        """One page and the sums over all matches, whatever they come `beyond`. Ties in the order are broken by when the
        trade was opened."""
        ...

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        """What matches among the next `limit` trades in the order they were opened, and the last of these: None when
        there are no more. It looks at no others, so whatever is asked it costs the same."""
        ...

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        """One trade of this account. Somebody else's is None, like one that does not exist."""
        ...

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        """One page of those that have ended, newest first by their numbers, and how many match."""
        ...

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        """One order of this account, which may wait. Somebody else's is None, like one that does not exist."""
        ...

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        """By their numbers, oldest first."""
        ...

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        """Those of this account that have these ids."""
        ...

    async def picked(self, query: RecordQuery) -> list[int]:
        """Seqs, oldest first."""
        ...

    async def moves(self, query: StatementQuery) -> list[int]:
        """The records, newest first, whose rows make the page: at least `limit` rows, if there are so many."""
        ...

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        """From `start` to `end`, in microseconds."""
        ...

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        """What has closed, of all accounts, among the `limit` trades that come next in the order of their ids, and the
        last of these: None when there are no more."""
        ...

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        """What was ever paid into each of these accounts, in micro-USDC."""
        ...


class HistoryTooLong(Exception):
    """More than `most` trades, orders or records would have to be looked at for an answer."""

    def __init__(self, most: int, what: str = "trades") -> None:
        super().__init__(f"more than {most} {what} would have to be looked at")
        self.most = most

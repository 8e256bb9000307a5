"""What the records add up to, and the questions to it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, Side, TradeId


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


class TradeQuery(msgspec.Struct, frozen=True):
    """Which of an account's trades. None means any. Times are microseconds and mean when the trade was opened, both
    ends included. `profitable` is `pnl > 0`; it and `liquidated` leave open trades out."""

    account: AccountId
    is_open: bool | None = None
    asset: Asset | None = None
    side: Side | None = None
    profitable: bool | None = None
    liquidated: bool | None = None
    opened_from: int | None = None
    opened_to: int | None = None
    limit: int = 50
    offset: int = 0
    sort_by: SortBy = SortBy.CREATED_AT
    descending: bool = True


class TradeRow(msgspec.Struct, frozen=True):
    """A trade as the tables hold it. What only a closed trade has is None while it is open; `shortfall` is then 0.
    `decimals` are its asset's, which need not be configured any more."""

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


class Analytics(msgspec.Struct, frozen=True):
    """Sums over everything a TradeQuery matches, not only its page. `total_pnl` is micro-USDC over closed trades;
    `unprofitable` are the closed trades with `pnl <= 0`."""

    total: int = 0
    open: int = 0
    closed: int = 0
    profitable: int = 0
    unprofitable: int = 0
    liquidated: int = 0
    total_pnl: int = 0


class History(Protocol):
    """Trades of all times, open and closed, as far as the tables have come."""

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        """One page and the sums over all matches. Ties in the order are broken by when the trade was opened.

        Raises HistoryTooLong when more than a bounded number of trades would have to be looked at."""
        ...

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        """One trade of this account. Somebody else's is None, like one that does not exist."""
        ...


class HistoryTooLong(Exception):
    """More than `most` trades would have to be looked at for an answer."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} trades would have to be looked at")
        self.most = most

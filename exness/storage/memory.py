"""Journal, history and snapshots in memory, with the behaviour of the SQLite ones. For tests and the simulator."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any

import msgspec

from exness.core.capture import Digest, Header
from exness.core.events import (
    AccountOpened,
    Deposited,
    Record,
    StartedAfresh,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import AccountId, Asset, Instrument, OrderId
from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.runtime.ports import (
    Analytics,
    JournalDamaged,
    SnapshotDamaged,
    SnapshotInfo,
    SortBy,
    StorageError,
    TradeQuery,
    TradeRow,
)
from exness.storage.codec import FINGERPRINTED, Row, decode, encode, fingerprint
from exness.storage.journal import RECORDS_PER_READ, check_row_of_seq


class MemoryJournal:
    """Implements `ports.Journal`.

    A test can stop the disk (`disk.clear()`: appends wait, unwritten, until `disk.set()`), make the next append fail
    (`failure`), or damage what is stored (`rows`).
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.candles: dict[tuple[Asset, Interval, int], Candle] = {}
        self.counted: dict[Asset, Counted] = {}
        self.disk = asyncio.Event()
        self.disk.set()
        self.failure: str | None = None
        self._failed = False

    async def append(self, records: Sequence[Record], candles: CandleBatch | None = None) -> None:
        if self._failed:
            raise StorageError("the journal takes no more records since a write failed: start again")
        try:
            check_row_of_seq(self._last, records)
            rows = [encode(record) for record in records]
            await self.disk.wait()
            if self.failure is not None:
                raise StorageError(self.failure)
        except StorageError:
            self._failed = True
            raise
        self.rows += rows
        if any(isinstance(record.event, StartedAfresh) for record in records):
            self.candles.clear()
            self.counted.clear()
        if candles is not None:
            self._keep(candles)

    def _keep(self, batch: CandleBatch) -> None:
        for candle in batch.candles:
            before = self.candles.get((candle.asset, candle.interval, candle.start))
            if before is None or before.backfilled or not candle.backfilled:
                self.candles[candle.asset, candle.interval, candle.start] = candle
        self.counted |= {counted.asset: counted for counted in batch.counted}

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        records: list[Record] = []
        try:
            for expected, row in enumerate(self.rows[after:], after + 1):
                if row[0] != expected:
                    raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
                records.append(_decode(row))
                if len(records) == RECORDS_PER_READ:
                    yield records
                    records = []
        except JournalDamaged as damage:
            if records:
                yield records
            raise damage from None
        if records:
            yield records

    async def record(self, seq: int) -> Record:
        return _decode(self.rows[seq - 1])

    async def last_seq(self) -> int:
        return self._last

    async def check(self, up_to: int) -> None:
        for expected, row in enumerate(self.rows[:up_to], 1):
            if row[0] != expected:
                raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
            _decode(row)

    async def fingerprint(self, seq: int) -> int:
        return fingerprint(row[5] for row in self.rows[max(0, seq - FINGERPRINTED) : seq])

    async def mend(self, seq: int) -> bool:
        """There are no tables to mend it from."""
        return False

    async def cut(self, seq: int) -> None:
        if seq != self._last:
            raise StorageError(f"only the newest journal record, {self._last}, can be cut, not {seq}")
        self.rows.pop()

    @property
    def _last(self) -> int:
        return self.rows[-1][0] if self.rows else 0


def _decode(row: Row) -> Record:
    seq, at, kind, payload, request, checksum = row
    return decode((seq, at, kind.encode(), payload.encode(), request.encode(), checksum))


class MemoryHistory:
    """Implements `ports.History` over a MemoryJournal. Each request reads on from where the one before it ended, and
    then looks at the trades of its account."""

    def __init__(self, journal: MemoryJournal, instruments: Mapping[Asset, Instrument]) -> None:
        self._journal = journal
        self._instruments = instruments
        self._read: list[Row] = []
        """What of the journal is in `_trades`."""
        self._trades: defaultdict[AccountId, dict[OrderId, TradeRow]] = defaultdict(dict)
        """Each account's, in the order they were opened."""

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        matches = [row for row in self._trades_of(query.account).values() if _matches(query, row)]
        ordered = _ordered(matches, query)
        return ordered[query.offset : query.offset + query.limit], _analytics(matches)

    async def trade(self, account: AccountId, order: OrderId) -> TradeRow | None:
        return self._trades_of(account).get(order)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        return query.choose([], self._candles(query.asset, query.interval))

    async def newest_candles(self) -> CandleBatch:
        counted = [self._journal.counted[asset] for asset in sorted(self._journal.counted)]
        newest = [self._own_newest(each.asset, interval) for each in counted for interval in Interval]
        return CandleBatch([candle for candle in newest if candle is not None], counted)

    def _candles(self, asset: Asset, interval: Interval) -> list[Candle]:
        """Copies, as who asks may let them grow."""
        stored = self._journal.candles
        return [copy(stored[key]) for key in sorted(stored) if key[:2] == (asset, interval)]

    def _own_newest(self, asset: Asset, interval: Interval) -> Candle | None:
        own = [candle for candle in self._candles(asset, interval) if not candle.backfilled]
        return own[-1] if own else None

    def _trades_of(self, account: AccountId) -> dict[OrderId, TradeRow]:
        """Every trade of this account as it is now."""
        rows = self._journal.rows
        if len(rows) < len(self._read) or (self._read and rows[len(self._read) - 1] is not self._read[-1]):
            self._read.clear()  # the newest record has been cut: from the first one again
            self._trades.clear()
        for row in rows[len(self._read) :]:
            self._take(_decode(row))
            self._read.append(row)
        return self._trades.get(account, {})

    def _take(self, record: Record) -> None:
        match record.event:
            case TradeOpened() as event:
                opened = _opened(event, self._instruments[event.trade.asset].decimals)
                self._trades[event.account][opened.order] = opened
            case TradeClosed() as event:
                mine = self._trades[event.account]
                mine[event.order] = _closed(mine[event.order], record, event)
            case TradeLiquidated() as event:
                mine = self._trades[event.account]
                mine[event.order] = _liquidated(mine[event.order], record, event)
            case AccountOpened() | Deposited():
                pass
            case StartedAfresh():
                self._trades.clear()


def _opened(event: TradeOpened, decimals: int) -> TradeRow:
    trade = event.trade
    return TradeRow(
        order=trade.order,
        account=trade.account,
        asset=trade.asset,
        side=trade.side,
        margin=trade.margin,
        leverage=trade.leverage,
        entry=trade.entry,
        liquidation=trade.liquidation,
        opened_at=trade.opened_at,
        client_order=trade.client_order,
        liquidated=False,
        close_price=None,
        pnl=None,
        returned=None,
        shortfall=0,
        closed_at=None,
        decimals=decimals,
    )


def _closed(row: TradeRow, record: Record, event: TradeClosed) -> TradeRow:
    return msgspec.structs.replace(
        row,
        close_price=event.price,
        pnl=event.pnl,
        returned=event.returned,
        shortfall=event.shortfall,
        closed_at=record.at,
    )


def _liquidated(row: TradeRow, record: Record, event: TradeLiquidated) -> TradeRow:
    return msgspec.structs.replace(
        row,
        liquidated=True,
        close_price=event.mark,
        pnl=event.pnl,
        returned=0,
        shortfall=event.shortfall,
        closed_at=record.at,
    )


def _matches(query: TradeQuery, row: TradeRow) -> bool:
    is_open = row.closed_at is None
    return (
        query.is_open in (None, is_open)
        and query.asset in (None, row.asset)
        and query.side in (None, row.side)
        and (query.profitable is None or (row.pnl is not None and (row.pnl > 0) == query.profitable))
        and (query.liquidated is None or (not is_open and row.liquidated == query.liquidated))
        and (query.opened_from is None or row.opened_at >= query.opened_from)
        and (query.opened_to is None or row.opened_at <= query.opened_to)
    )


_SORT_KEY: dict[SortBy, Callable[[TradeRow], int | None]] = {
    SortBy.CREATED_AT: lambda row: row.opened_at,
    SortBy.CLOSED_AT: lambda row: row.closed_at,
    SortBy.PNL: lambda row: row.pnl,
    SortBy.MARGIN: lambda row: row.margin,
    SortBy.LEVERAGE: lambda row: row.leverage,
}


def _ordered(rows: list[TradeRow], query: TradeQuery) -> list[TradeRow]:
    """`rows` come in the order they were opened, which breaks ties in the direction of the sort. None goes last."""
    key: Callable[[TradeRow], Any] = _SORT_KEY[query.sort_by]
    opened = rows[::-1] if query.descending else rows
    known = sorted((row for row in opened if key(row) is not None), key=key, reverse=query.descending)
    return known + [row for row in opened if key(row) is None]


def _analytics(rows: list[TradeRow]) -> Analytics:
    pnls = [row.pnl for row in rows if row.pnl is not None]
    return Analytics(
        total=len(rows),
        open=len(rows) - len(pnls),
        closed=len(pnls),
        profitable=sum(pnl > 0 for pnl in pnls),
        unprofitable=sum(pnl <= 0 for pnl in pnls),
        liquidated=sum(row.liquidated for row in rows),
        total_pnl=sum(pnls),
    )


class MemorySnapshot(msgspec.Struct):
    """A stored snapshot. `chunks` may be damaged by a test."""

    header: Header
    digest: str
    chunks: list[list[bytes]]

    @property
    def info(self) -> SnapshotInfo:
        stored_bytes = sum(len(account) for chunk in self.chunks for account in chunk)
        return SnapshotInfo(self.header.seq, self.header.at, self.digest, stored_bytes)


class MemorySnapshots:
    """Implements `ports.Snapshots`."""

    def __init__(self, kept: int = 10) -> None:
        self.stored: dict[int, MemorySnapshot] = {}
        self._kept = kept

    @asynccontextmanager
    async def draft(self, header: Header) -> AsyncIterator["MemoryDraft"]:
        yield MemoryDraft(self, header)

    async def infos(self) -> list[SnapshotInfo]:
        return [self.stored[seq].info for seq in sorted(self.stored, reverse=True)]

    async def header(self, seq: int) -> Header:
        return self._find(seq).header

    async def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        snapshot = self._find(seq)
        digest, count = Digest(snapshot.header), 0
        for accounts in snapshot.chunks:
            for account in accounts:
                digest.add(account)
            count += len(accounts)
            yield accounts
        if count != snapshot.header.accounts or digest.hex() != snapshot.digest:
            raise SnapshotDamaged(f"snapshot {seq} is damaged: its accounts do not match its digest")

    async def drop_from(self, seq: int) -> None:
        self.stored = {kept: snapshot for kept, snapshot in self.stored.items() if kept < seq}

    def keep(self, snapshot: MemorySnapshot) -> None:
        """Store a finished snapshot, drop the oldest beyond the number kept."""
        self.stored[snapshot.header.seq] = snapshot
        for seq in sorted(self.stored)[: -self._kept]:
            del self.stored[seq]

    def _find(self, seq: int) -> MemorySnapshot:
        snapshot = self.stored.get(seq)
        if snapshot is None:
            raise SnapshotDamaged(f"snapshot {seq} is not there")
        return snapshot


class MemoryDraft:
    """Implements `ports.SnapshotDraft`."""

    def __init__(self, snapshots: MemorySnapshots, header: Header) -> None:
        self._snapshots = snapshots
        self._header = header
        self._chunks: list[list[bytes]] = []

    async def add(self, accounts: Sequence[bytes]) -> None:
        if accounts:
            self._chunks.append(list(accounts))

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        digest = Digest(self._header)
        for accounts in self._chunks:
            for account in accounts:
                digest.add(account)
        header = msgspec.structs.replace(self._header, journal=journal)
        snapshot = MemorySnapshot(header, digest.hex(), self._chunks)
        self._snapshots.keep(snapshot)
        return snapshot.info

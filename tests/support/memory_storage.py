"""Journal, tables, candles and snapshots in memory, with the behaviour of the SQLite ones. For tests and the
simulator."""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any

import msgspec

from exness.core.capture import Digest, Header
from exness.core.events import CloseReason, EndStatus, Record
from exness.core.instruments import AccountId, Asset, OrderId, Side, TradeId
from exness.core.trades import PLACES, Kind, Trailing
from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Counted, Interval
from exness.runtime.listings import Listing
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo
from exness.runtime.ports.tables import (
    Analytics,
    ClosedTrade,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    Place,
    RecordQuery,
    SortBy,
    Span,
    StatementQuery,
    Told,
    TradeQuery,
    TradeRow,
    Watermark,
)
from exness.storage import rows
from exness.storage.changes import apply
from exness.storage.codec import FINGERPRINTED, Row, checksum_of, decode, encode, fingerprint
from exness.storage.fold import BITS, TOLD, gather
from exness.storage.journal import RECORDS_PER_READ, check_row_of_seq
from exness.storage.rows import Row as TableRow
from exness.storage.rows import Table
from tests.support.journal_rows import as_read


class MemoryJournal:
    """Implements `ports.Journal`.

    A test can stop the disk (`disk.clear()`: appends wait, unwritten, until `disk.set()`), make the next append fail
    (`failure`), or damage what is stored (`rows`).
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.disk = asyncio.Event()
        self.disk.set()
        self.failure: str | None = None
        self._failed = False

    async def append(self, records: Sequence[Record]) -> None:
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

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        records: list[Record] = []
        try:
            for expected, row in enumerate(self.rows[after:], after + 1):
                if row[0] != expected:
                    raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
                records.append(decode(as_read(row)))
                if len(records) == RECORDS_PER_READ:
                    yield records
                    records = []
        except JournalDamaged as damage:
            if records:
                yield records
            raise damage from None
        if records:
            yield records

    async def last_seq(self) -> int:
        return self._last

    async def check(self, up_to: int) -> None:
        for expected, row in enumerate(self.rows[:up_to], 1):
            if row[0] != expected:
                raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
            decode(as_read(row))

    async def fingerprint(self, seq: int) -> int:
        return fingerprint(row[5] for row in self.rows[max(0, seq - FINGERPRINTED) : seq])

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        for seq in seqs:
            if seq > len(self.rows):
                raise JournalDamaged(seq, "it is missing")
        return [decode(as_read(self.rows[seq - 1])) for seq in seqs]

    @property
    def _last(self) -> int:
        return self.rows[-1][0] if self.rows else 0


class MemoryTables:
    """Implements `ports.Tables` and `ports.History`, with the same fold as main.db. `rows` are by table and key."""

    def __init__(self, instruments: Mapping[Asset, Listing]) -> None:
        self.instruments = instruments
        self.mark = Watermark(0, 0, 0)
        self.rows: dict[Table, dict[object, TableRow]] = {}
        self._trades: defaultdict[str, list[rows.Trade]] = defaultdict(list)
        """Each account's, in the order they were opened."""
        self._records: defaultdict[str, list[rows.AccountRecord]] = defaultdict(list)
        self._orders: defaultdict[str, list[rows.Order]] = defaultdict(list)
        self._clear()
        self._put(rows.first_rows())

    async def write(self, records: Sequence[Record]) -> None:
        self.take(records)

    def take(self, records: Sequence[Record]) -> None:
        if records[0].seq != self.mark.seq + 1:
            raise StorageError(f"the tables are at record {self.mark.seq}, record {records[0].seq} does not follow")
        batch = gather(records)
        if batch.reset:
            self._clear()
        for puts in batch.puts.values():
            self._put(puts.values())
        for kind, changes in batch.in_order():
            for key, values in changes.items():
                apply(self.rows[kind.table][key], kind, values)
        self.mark = Watermark(records[-1].seq, checksum_of(records[-1]), batch.reset or self.mark.reset)

    async def watermark(self) -> Watermark:
        return self.mark

    async def records_of(self, account: AccountId, after: int, limit: int) -> list[int]:
        if self.mark.reset > after:
            raise StorageError("the exchange was reset since")
        seqs = [record.seq for record in self._records.get(account, ())]
        first = bisect_right(seqs, after)
        return seqs[first : first + limit]

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        """It looks at every trade of the account."""
        matches = [row for trade in self._trades.get(query.account, ()) if _matches(query, row := self._row(trade))]
        ordered = [row for row in _ordered(matches, query) if _comes(query, row)]
        return ordered[query.offset : query.offset + query.limit], _analytics(matches)

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        span = TradeQuery(query.account, opened_from=query.opened_from, opened_to=query.opened_to)
        trades = [row for trade in self._trades.get(query.account, ()) if _matches(span, row := self._row(trade))]
        walked = [row for row in _ordered(trades, query) if _comes(query, row)][: query.limit]
        place = walked[-1].place if len(walked) == query.limit else None
        return [row for row in walked if _matches(query, row)], place

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        trade = self.rows[rows.TRADES].get(trade_id)
        return self._row(trade) if isinstance(trade, rows.Trade) and trade.account_id == account else None

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        ended = [order for order in self._orders.get(query.account, ()) if order.status is not None]
        matches = [self._order_row(order) for order in ended if query.asset in (None, order.asset)][::-1]
        below = [row for row in matches if query.below is None or row.number < query.below]
        return below[query.offset : query.offset + query.limit], len(matches)

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        order = self.rows[rows.ORDERS].get(order_id)
        return self._order_row(order) if isinstance(order, rows.Order) and order.account_id == account else None

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        found = []
        for order in self._orders.get(query.account, ()):
            fires = order.stop_price is not None or order.trailing is not None
            number = order.number if query.fires or not fires else order.fired
            if not order.net or number is None or number < query.first or (query.fires and not fires):
                continue
            named = query.label in (None, order.label, order.id) and query.number in (None, number)
            start, end = query.start, query.end
            timely = (start is None or order.created_at >= start) and (end is None or order.created_at <= end)
            if named and timely and query.asset in (None, order.asset):
                found.append((number, self._order_row(order)))
        rows = [row for _, row in sorted(found, key=lambda each: each[0])]
        return rows[-query.limit :] if query.newest else rows[: query.limit]

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        return [self._order_row(order) for order in self._orders.get(account, ()) if order.id in ids]

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        trades = [trade for trades in self._trades.values() for trade in trades if trade.id > after]
        page = sorted(trades, key=lambda trade: trade.id)[:limit]
        closed = [
            ClosedTrade(AccountId(trade.account_id), trade.realized, trade.closed_at, trade.closed_seq)
            for trade in page
            if trade.closed_at is not None and trade.closed_seq is not None
        ]
        return closed, TradeId(page[-1].id) if len(page) == limit else None

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        found = {each: self.rows[rows.BALANCES].get(each) for each in accounts}
        return {each: row.deposited for each, row in found.items() if isinstance(row, rows.Balance)}

    async def picked(self, query: RecordQuery) -> list[int]:
        wanted, told = sum(BITS[each] for each in query.reasons), sum(TOLD[each] for each in query.told)
        none = TOLD[Told.NET] if query.is_net is False else 0
        seqs = [
            record.seq
            for record in self._records.get(query.account, [])
            if (not wanted or record.reasons & wanted)
            and record.reasons & told == told
            and not record.reasons & none
            and query.asset in (None, record.asset)
            and record.seq >= query.first
            and (query.start is None or record.at >= query.start)
            and (query.end is None or record.at <= query.end)
        ]
        return seqs[-query.limit :] if query.newest else seqs[: query.limit]

    async def moves(self, query: StatementQuery) -> list[int]:
        seqs, found = [], 0
        wanted = sum(BITS.values()) if query.reason is None else BITS[query.reason]
        for record in self._records.get(query.account, [])[::-1]:
            if (query.before is not None and record.seq >= query.before) or query.asset not in (None, record.asset):
                continue
            moved = (record.reasons & wanted).bit_count()
            if moved and found < query.limit:
                seqs.append(record.seq)
                found += moved
        return seqs

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        records = self._records.get(account, [])
        first = max((record.seq for record in records if record.at <= start), default=0)
        last = max((record.seq for record in records if record.at <= end), default=0)
        trades = [(trade.opened_seq, trade.closed_seq) for trade in self._trades.get(account, ())]
        orders = [
            (order.number // PLACES, order.ended_seq) for order in self._orders.get(account, ()) if order.closes is None
        ]
        held = [made for made, ended in trades + orders if made <= first and (ended is None or ended > first)]
        newest = [
            max((record.seq for record in records if record.changes == made and record.seq <= first), default=made)
            for made in held
        ]
        return Span(first, last, sorted(newest))

    def _clear(self) -> None:
        self.rows = {table: {} for table in rows.TABLES}
        self._trades.clear()
        self._records.clear()
        self._orders.clear()

    def _put(self, put: Iterable[TableRow]) -> None:
        for row in put:
            table = rows.TABLE_OF[type(row)]
            self.rows[table][getattr(row, table.key)] = row
            if isinstance(row, rows.Trade):
                self._trades[row.account_id].append(row)
            elif isinstance(row, rows.AccountRecord):
                self._records[row.account_id].append(row)
            elif isinstance(row, rows.Order):
                self._orders[row.account_id].append(row)

    def _row(self, trade: rows.Trade) -> TradeRow:
        return TradeRow(
            id=TradeId(trade.id),
            account=AccountId(trade.account_id),
            asset=Asset(trade.asset),
            side=Side(trade.side),
            margin=trade.margin,
            leverage=trade.leverage,
            entry=trade.entry_price,
            liquidation=trade.liquidation_price,
            opened_at=trade.created_at,
            client_order=trade.client_order_id,
            liquidated=trade.close_reason == "liquidation",
            close_price=trade.close_price,
            pnl=trade.pnl,
            returned=trade.returned,
            shortfall=trade.shortfall,
            closed_at=trade.closed_at,
            decimals=self.instruments[Asset(trade.asset)].decimals,
            net=bool(trade.net),
            size=trade.size,
            commission=trade.commission,
            funding=trade.funding,
            realized=trade.realized,
            close_reason=None if trade.close_reason is None else CloseReason(trade.close_reason),
            seq=trade.opened_seq,
        )

    def _order_row(self, order: rows.Order) -> OrderRow:
        return OrderRow(
            order_id=OrderId(order.id),
            account=AccountId(order.account_id),
            asset=Asset(order.asset),
            side=Side(order.side),
            kind=None if order.kind is None else Kind(order.kind),
            net=bool(order.net),
            margin=order.margin,
            leverage=order.leverage,
            quantity=order.quantity,
            limit=order.limit_price,
            stop=order.stop_price,
            expires_at=order.expires_at,
            reserved=order.reserved,
            take_profit=order.take_profit,
            stop_loss=order.stop_loss,
            trailing=None if order.trailing is None else msgspec.json.decode(order.trailing, type=Trailing),
            closes=None if order.closes is None else TradeId(order.closes),
            client_order=order.client_order_id,
            label=order.label,
            number=order.number,
            fired=order.fired or 0,
            created_at=order.created_at,
            status=None if order.status is None else EndStatus(order.status),
            reason=order.reason,
            ended_at=order.ended_at,
            filled=order.filled,
            price=order.price,
            decimals=self.instruments[Asset(order.asset)].decimals,
        )


class MemoryCandles:
    """Implements `ports.CandleStore`. With `failure` the next writes fail."""

    def __init__(self) -> None:
        self.stored: dict[tuple[Asset, Interval, int], Candle] = {}
        self.counted: dict[Asset, Counted] = {}
        self.seq = 0
        self.failure: str | None = None

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        if self.failure is not None:
            raise StorageError(self.failure)
        if forget:
            self.stored.clear()
            self.counted.clear()
        for candle in batch.candles:
            before = self.stored.get((candle.asset, candle.interval, candle.start))
            if before is None or before.backfilled or not candle.backfilled:
                self.stored[candle.asset, candle.interval, candle.start] = copy(candle)
        self.counted |= {counted.asset: counted for counted in batch.counted}
        self.seq = seq

    async def candles(self, query: CandleQuery) -> list[Candle]:
        return query.choose([], self._candles(query.asset, query.interval))

    async def newest_candles(self) -> CandleBatch:
        counted = [self.counted[asset] for asset in sorted(self.counted)]
        newest = [self._own_newest(each.asset, interval) for each in counted for interval in Interval]
        return CandleBatch([candle for candle in newest if candle is not None], counted)

    async def heard(self) -> int:
        return self.seq

    def _candles(self, asset: Asset, interval: Interval) -> list[Candle]:
        """Copies, as who asks may let them grow."""
        return [copy(self.stored[key]) for key in sorted(self.stored) if key[:2] == (asset, interval)]

    def _own_newest(self, asset: Asset, interval: Interval) -> Candle | None:
        own = [candle for candle in self._candles(asset, interval) if not candle.backfilled]
        return own[-1] if own else None


def _matches(query: TradeQuery, row: TradeRow) -> bool:
    is_open = row.closed_at is None
    return (
        query.is_open in (None, is_open)
        and query.asset in (None, row.asset)
        and query.side in (None, row.side)
        and (query.profitable is None or (not is_open and (row.realized > 0) == query.profitable))
        and (query.liquidated is None or (not is_open and row.liquidated == query.liquidated))
        and (query.opened_from is None or row.opened_at >= query.opened_from)
        and (query.opened_to is None or row.opened_at <= query.opened_to)
        and (query.closed_from is None or (row.closed_at is not None and row.closed_at >= query.closed_from))
        and (query.closed_to is None or (row.closed_at is not None and row.closed_at <= query.closed_to))
    )


def _comes(query: TradeQuery, row: TradeRow) -> bool:
    if query.beyond is None:
        return True
    here, there = (row.opened_at, row.seq), (query.beyond.opened_at, query.beyond.seq)
    return here < there if query.descending else here > there


_SORT_KEY: dict[SortBy, Callable[[TradeRow], int | None]] = {
    SortBy.CREATED_AT: lambda row: row.opened_at,
    SortBy.CLOSED_AT: lambda row: row.closed_at,
    SortBy.PNL: lambda row: None if row.closed_at is None else row.realized,
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
    pnls = [row.realized for row in rows if row.closed_at is not None]
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

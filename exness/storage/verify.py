"""Checks a whole data directory, offline, without changing it: nothing in it has to be believed.

One pass over the journal, from the first event. At every record: its checksum and place in the row, its arithmetic
worked out again, the state evolved and the books balanced. At every kept snapshot: its checksums, that it restores, and
that it is the state that the journal had led to by then (so snapshot + tail and the first event give the same). Where
the tables have come to: every row of them (see `verify_tables`). Memory grows with accounts and open trades, not with
the journal.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec

from exness.core.audit import audit
from exness.core.capture import Restorer, digest_of
from exness.core.events import (
    AccountEvent,
    AccountOpened,
    Deposited,
    ExchangeReset,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.evolve import evolve
from exness.core.instruments import AccountId, Asset, TradeId
from exness.core.line import Line, bankruptcy_price, is_reached, settle
from exness.core.margin import mark_price, most_pnl
from exness.core.state import State
from exness.core.statement import Reason, entries
from exness.core.trades import Trade
from exness.runtime.ports.journal import JournalDamaged
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.storage.archive import Archives, check_piece, last_archived, pieces_of, rows_after
from exness.storage.codec import FINGERPRINTED, check_row, decode, fingerprint
from exness.storage.database import SNAPSHOTS
from exness.storage.files import JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB, Progress
from exness.storage.journal_rows import LAST_SEQ, SELECT_CHECKSUMS
from exness.storage.offline import DatabaseEmpty, StoredSnapshot, open_journal, open_offline, stored_snapshots
from exness.storage.verify_tables import Difference, TableCheck, equal, tables_of

PROGRESS_EVERY = 5_000
RECORDS_AT_ONCE = 2_000


class Report(msgspec.Struct):
    """What was checked, and found to agree. Users, trades and liquidations are those since the exchange was last
    reset."""

    records: int = 0
    archived: int = 0
    """Records that may lie in archives."""
    snapshots: int = 0
    users: int = 0
    trades_opened: int = 0
    trades_closed: int = 0
    liquidations: int = 0
    liquidating_ticks: int = 0
    open_trades: int = 0
    deposits: int = 0
    digest: str = ""
    tables: int | None = None
    """The record up to which the tables hold what the journal leads to; None when there are none, or not yet."""


def verify_directory(data_dir: Path, progress: Progress) -> Report:
    """Check all of a data directory, also of one that an older version left. See `verify`."""
    journal_db, main_db, snapshots_db = (data_dir / name for name in (JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB))
    if not journal_db.exists() and main_db.exists():
        return verify(main_db, snapshots_db, progress)  # refused when it holds no journal
    return verify(journal_db, snapshots_db, progress, main_db=main_db)


def verify(journal_db: Path, snapshots_db: Path | None, progress: Progress, *, main_db: Path | None = None) -> Report:
    """Check a journal with its snapshots and its tables, as far as there are any.

    Raises Difference for the first thing that does not agree, StorageError when a file can't be read at all.
    """
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(journal_db))
        archives = stack.enter_context(closing(Archives(journal_db.parent)))
        snapshots: list[StoredSnapshot] = []
        if snapshots_db is not None and snapshots_db.exists():
            with suppress(DatabaseEmpty):  # a server that was killed when it had just made it
                snapshots = stored_snapshots(stack.enter_context(open_offline(snapshots_db, SNAPSHOTS)))
        check = _Check(journal, archives, snapshots, stack.enter_context(tables_of(journal, archives, main_db)))
        for piece in pieces_of(journal):
            check_piece(piece, journal_db.parent)
        try:
            return check.run(progress)
        except sqlite3.DatabaseError as error:
            raise Difference(check.state.seq + 1, f"the database can't be read further: {error}") from error


class _Check:
    def __init__(
        self, journal: sqlite3.Connection, archives: Archives, snapshots: list[StoredSnapshot], tables: TableCheck
    ) -> None:
        self.state = State()
        self.report = Report()
        self._journal = journal
        self._archives = archives
        self._last_seq = 0
        self._tables = tables
        self._snapshots = {stored.seq: stored for stored in snapshots}
        self._statements: dict[AccountId, _Statement] = {}
        self._tick: tuple[Asset, int, int] | None = None
        """Asset, time and mark of the tick whose liquidations are being read."""

    def run(self, progress: Progress) -> Report:
        self._last_seq = self._journal.execute(LAST_SEQ).fetchone()[0]
        for seq in self._snapshots:
            if seq > self._last_seq:
                raise Difference(self._last_seq, f"snapshot {seq} is ahead of the journal")
        self._tables.begin(self._last_seq)
        self._check_snapshot()
        self._tables.check(self.state)
        for record in self._records():
            self._check_record(record)
            if record.seq % PROGRESS_EVERY == 0:
                progress(record.seq, self._last_seq)
        self._end_tick()
        progress(self._last_seq, self._last_seq)
        self._audit()
        self.report.records = self.state.seq
        self.report.archived = last_archived(self._journal)
        self.report.open_trades = self.state.open_trades
        self.report.deposits = self.state.deposits
        self.report.tables = self._tables.checked
        self.report.digest = digest_of(self.state)
        return self.report

    def _records(self) -> Iterator[Record]:
        for row in rows_after(self._journal, self._archives, 0):
            if row[0] != self.state.seq + 1:
                raise Difference(self.state.seq + 1, f"the record is missing, the next one is {row[0]}")
            try:
                yield decode(row)
            except JournalDamaged as damage:
                raise Difference(damage.seq, str(damage)) from damage

    def _check_record(self, record: Record) -> None:
        if record.at < self.state.at:
            raise Difference(record.seq, f"its time {record.at} is before that of the record before, {self.state.at}")
        self._follow_tick(record)
        self._check_arithmetic(record)
        try:
            evolve(self.state, record)
        except (AssertionError, KeyError) as misfit:
            raise Difference(record.seq, f"it does not fit the state before it: {misfit}") from misfit
        if isinstance(record.event, AccountEvent):
            self._check_statement(record, record.event)
        self._tables.check(self.state)
        self._check_snapshot()

    def _check_statement(self, record: Record, event: AccountEvent) -> None:
        """All rows of an account's statement add up to its balance, those of margin to minus what is locked, those of
        reserve to minus what is reserved."""
        rows = self._statements.setdefault(event.account, _Statement())
        for reason, amount in entries(event):
            rows.free += amount
            if reason is Reason.MARGIN:
                rows.margin += amount
            elif reason is Reason.RESERVE:
                rows.reserve += amount
        account = self.state.accounts[event.account]
        _same(
            record,
            "the statement's rows (all, margin, reserve)",
            (rows.free, rows.margin, rows.reserve),
            (account.free, -account.locked, -account.reserved),
        )

    # --- arithmetic -----------------------------------------------------------------------------------------------

    def _check_arithmetic(self, record: Record) -> None:
        """Work the event's figures out again. What is of no account has none."""
        event = record.event
        if isinstance(event, ExchangeReset):
            self.report = Report(snapshots=self.report.snapshots)
            self._statements.clear()
        elif isinstance(event, AccountEvent):
            self._check_figures(record, event)

    def _check_figures(self, record: Record, event: AccountEvent) -> None:
        match event:
            case AccountOpened():
                self.report.users += 1
            case Deposited():
                _same(record, "positive amount", event.amount > 0, True)
            case TradeOpened(trade):
                self.report.trades_opened += 1
                _same(record, "opening record", (trade.seq, trade.opened_at), (record.seq, record.at))
                _check_trade(record, trade)
                _same(record, "ids forgotten for none", bool(event.forgets and not event.fingerprint), False)
                if not trade.net:
                    _same(record, "size", trade.size, trade.margin * trade.leverage)
            case TradeClosed():
                self._check_closed(record, event)
            case TradeReduced(trade):
                before = self._open_trade(record, trade.id, event.account)
                _check_trade(record, trade)
                left, part = trade.line, before.line
                part = Line(part.side, event.size, part.cost - left.cost, part.unit, event.margin)
                left = Line(
                    part.side, trade.size + event.size, before.line.cost, part.unit, trade.margin + event.margin
                )
                _same(record, "what stays and the part", left, before.line)
                self._check_end(record, event, part)
            case TradeIncreased(trade):
                before = self._open_trade(record, trade.id, event.account)
                _check_trade(record, trade)
                was, added = before.line, event.size * event.price
                grown = Line(was.side, was.size + event.size, was.cost + added, was.unit, was.margin + event.margin)
                _same(record, "what it has grown to", trade.line, grown)
            case TradeChanged(trade):
                before = self._open_trade(record, trade.id, event.account)
                _check_trade(record, trade)
                _same(record, "margin", trade.margin, before.margin + event.amount - event.paid)
                _same(record, "funding paid", trade.funding, before.funding + event.paid)
            case _:
                pass  # what it moves, the books hold against the state

    def _check_closed(self, record: Record, event: TradeClosed) -> None:
        trade = self._open_trade(record, event.trade_id, event.account)
        if event.liquidated:
            self.report.liquidations += 1
            self._check_due(record, event, trade)
        else:
            self.report.trades_closed += 1
        _same(record, "asset and margin", (event.asset, event.margin), (trade.asset, trade.margin))
        before = event.commission_before, event.realized_before
        _same(record, "commission and gains before", before, (trade.commission, trade.realized))
        _same(record, "filled", event.filled, 0 if event.by is None and not trade.net else trade.size)
        _same(record, "net", event.net, trade.side if trade.net else None)
        self._check_end(record, event, trade.line)

    def _check_end(self, record: Record, event: TradeClosed | TradeReduced, part: Line) -> None:
        """What the end of a part, or of a whole, comes to. Rates are not in the journal: a fee is believed."""
        end = settle(part, event.price)
        if event.pnl != end.pnl:  # more than the account can hold; versions before that ceiling paid all there was
            account = self.state.accounts[event.account]
            most = most_pnl(account.free, account.bound, part.margin)
            end = settle(part, event.price, most=most)
        kept = event.fee + (event.forfeited if isinstance(event, TradeClosed) else 0)
        _same(
            record,
            "pnl, returned and shortfall",
            (event.pnl, event.returned, event.shortfall),
            (end.pnl, end.returned - kept, end.shortfall),
        )

    def _check_due(self, record: Record, event: TradeClosed, trade: Trade) -> None:
        if event.bid is None or event.ask is None:
            raise Difference(record.seq, f"trade {trade.id} was liquidated without a tick")
        _same(record, "mark of bid and ask", event.price, mark_price(event.bid, event.ask))
        if not is_reached(trade.side, trade.liquidation, event.price):
            raise Difference(
                record.seq, f"trade {trade.id} was liquidated at {event.price}, before its price {trade.liquidation}"
            )

    def _open_trade(self, record: Record, trade_id: TradeId, account_id: AccountId) -> Trade:
        account = self.state.accounts.get(account_id)
        trade = account.trades.get(trade_id) if account is not None else None
        if trade is None:
            raise Difference(record.seq, f"trade {trade_id} is not open")
        return trade

    # --- ticks ----------------------------------------------------------------------------------------------------

    def _follow_tick(self, record: Record) -> None:
        """Liquidations of one tick follow each other; after the last of them nothing may be due at its mark."""
        event = record.event
        tick = None
        if isinstance(event, TradeClosed) and event.liquidated:
            tick = (event.asset, record.at, event.price)
        if tick != self._tick:
            self._end_tick()
            self._tick = tick
            self.report.liquidating_ticks += tick is not None

    def _end_tick(self) -> None:
        if self._tick is None:
            return
        asset, _, mark = self._tick
        market = self.state.markets[asset]
        overdue = market.first_liquidation(mark)
        if overdue is not None:
            raise Difference(self.state.seq, f"trade {overdue.id} was due at {mark} and was not liquidated")

    # --- snapshots ------------------------------------------------------------------------------------------------

    def _check_snapshot(self) -> None:
        """When there is a snapshot of the state reached now, it restores to just this state."""
        stored = self._snapshots.get(self.state.seq)
        if stored is None:
            return
        if _restored(stored) != (self.state.at, digest_of(self.state)):
            raise Difference(self.state.seq, f"snapshot {stored.seq} is not the state that the journal leads to")
        if stored.header().journal not in (None, self._fingerprint()):
            raise Difference(
                self.state.seq, f"snapshot {stored.seq} is of another journal: the records up to it differ"
            )
        self._audit()
        self.report.snapshots += 1

    def _fingerprint(self) -> int:
        """Of the records up to the state reached now."""
        seq = self.state.seq
        rows = self._journal.execute(SELECT_CHECKSUMS, (max(0, seq - FINGERPRINTED), seq))
        return fingerprint(checksum for (checksum,) in rows)

    def _audit(self) -> None:
        try:
            audit(self.state)
        except AssertionError as error:
            raise Difference(self.state.seq, str(error)) from error


class _Statement(msgspec.Struct):
    """Sums of an account's rows."""

    free: int = 0
    margin: int = 0
    reserve: int = 0


def replayed(journal: sqlite3.Connection, archives: Archives, seq: int, progress: Progress) -> tuple[int, str]:
    """Time and digest of the state that the records up to `seq` lead to, of a journal that may be written to meanwhile.
    Raises StorageError."""
    state = State()
    while state.seq < seq:
        rows = list(rows_after(journal, archives, state.seq, min(RECORDS_AT_ONCE, seq - state.seq)))
        if not rows:
            raise JournalDamaged(state.seq + 1, "it is missing")
        for row in rows:
            check_row(row, state.seq + 1)
            try:
                evolve(state, decode(row))
            except (AssertionError, KeyError) as misfit:
                raise JournalDamaged(row[0], f"it does not fit the state before it: {misfit}") from misfit
        progress(state.seq, seq)
    return state.at, digest_of(state)


def restored_of(stored: StoredSnapshot) -> tuple[int, str]:
    """Time and digest of what a snapshot restores to. Raises SnapshotDamaged."""
    try:
        return _restored(stored)
    except Difference as damage:
        raise SnapshotDamaged(str(damage)) from damage


def _restored(stored: StoredSnapshot) -> tuple[int, str]:
    """Time and digest of what a snapshot restores to. It raises Difference when there is damage."""
    try:
        restorer = Restorer(stored.header())
        for accounts in stored.accounts():
            for account in accounts:
                restorer.add(account)
        state = restorer.finish()
        audit(state)
        return state.at, digest_of(state)
    except (sqlite3.DatabaseError, SnapshotDamaged, msgspec.MsgspecError, ValueError, AssertionError) as damage:
        raise Difference(stored.seq, f"snapshot {stored.seq} does not restore: {damage}") from damage


def _check_trade(record: Record, trade: Trade) -> None:
    """Rates are not in the journal: they can only make a trade due before its margin is lost."""
    _same(record, "positive margin and size", (trade.margin > 0, trade.size > 0), (True, True))
    if not is_reached(trade.side, trade.liquidation, bankruptcy_price(trade.line)):
        raise Difference(
            record.seq,
            f"its liquidation price {trade.liquidation} is beyond {bankruptcy_price(trade.line)}, bankruptcy",
        )


def _same(record: Record, what: str, found: object, expected: object) -> None:
    equal(record.seq, what, found, expected)

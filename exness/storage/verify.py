"""Checks a whole data directory, offline, without changing it: nothing in it has to be believed.

One pass over the journal, from the first event. At every record: its checksum and place in the row, its arithmetic
worked out again, the state evolved and the books balanced, its rows in the tables. At every kept snapshot: its
checksums, that it restores, and that it is the state that the journal had led to by then (so snapshot + tail and the
first event give the same). At the end: balances, the sums of every account's history, and counts. Memory grows with
accounts and open trades, not with the journal.
"""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import assert_never

import msgspec

from exness.core import margin
from exness.core.capture import Restorer, digest_of
from exness.core.decide import close_of
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
from exness.core.evolve import evolve
from exness.core.instruments import Asset
from exness.core.state import State, audit
from exness.runtime.ports import JournalDamaged, SnapshotDamaged
from exness.storage.codec import FINGERPRINTED, decode, fingerprint
from exness.storage.database import MAIN, SNAPSHOTS
from exness.storage.journal import LAST_AFRESH, LAST_SEQ, SELECT_CHECKSUMS, SELECT_RECORDS
from exness.storage.offline import DatabaseEmpty, StoredSnapshot, open_offline, stored_snapshots
from exness.storage.projection import HOUSE
from exness.storage.wide import joined

PROGRESS_EVERY = 5_000

USERS = "SELECT id, email, created_at, opened_seq FROM users WHERE kind = 'trader' ORDER BY opened_seq"

TRADES = """
    SELECT opened_seq, id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at,
           client_order_id, coalesce(fingerprint, ''), balance_after
    FROM trades ORDER BY opened_seq"""

HALF_ENDED = """
    SELECT count(*) FROM trades
    WHERE status = 'open' AND (coalesce(close_price, pnl, returned, closed_at) IS NOT NULL OR shortfall <> 0)"""

BALANCE = "SELECT free, free_e18, locked, deposited, deposited_e18 FROM balances WHERE account_id = ?"

PLACES = "SELECT number, previous FROM trades ORDER BY opened_seq"

SUMS = """
    SELECT opened, closed, profitable, closed_pnl, closed_pnl_e18, liquidated, liquidated_pnl, liquidated_pnl_e18,
        newest
    FROM balances WHERE account_id = ?"""

SUMS_SINCE = 4
"""Schema version. A directory or a backup of an older one has no chains of trades yet, or no sums."""

WIDE_SINCE = 5
"""Schema version. Older ones have sums of 64 bits."""

Progress = Callable[[int, int], None]
"""Called with records done and records in all."""


class Difference(Exception):
    """The first thing that does not agree. `seq` is the record it was found at."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(f"at journal record {seq}: {what}")
        self.seq = seq


class Report(msgspec.Struct):
    """What was checked, and found to agree. Users, trades and liquidations are those since the exchange last started
    afresh."""

    records: int = 0
    snapshots: int = 0
    users: int = 0
    trades_opened: int = 0
    trades_closed: int = 0
    liquidations: int = 0
    liquidating_ticks: int = 0
    open_trades: int = 0
    deposits: int = 0
    digest: str = ""


def verify(main_db: Path, snapshots_db: Path | None, progress: Progress) -> Report:
    """Check a journal with its tables and, when there are any, its snapshots.

    Raises Difference for the first thing that does not agree, StorageError when a file can't be read at all.
    """
    with ExitStack() as stack:
        main = stack.enter_context(open_offline(main_db, MAIN))
        snapshots: list[StoredSnapshot] = []
        if snapshots_db is not None and snapshots_db.exists():
            with suppress(DatabaseEmpty):  # a server that was killed when it had just made it
                snapshots = stored_snapshots(stack.enter_context(open_offline(snapshots_db, SNAPSHOTS)))
        check = _Check(main, snapshots)
        try:
            return check.run(progress)
        except sqlite3.DatabaseError as error:
            raise Difference(check.state.seq + 1, f"the database can't be read further: {error}") from error


class _Check:
    def __init__(self, main: sqlite3.Connection, snapshots: list[StoredSnapshot]) -> None:
        self.state = State()
        self.report = Report()
        self._main = main
        self._last_seq = 0
        self._tables = _Tables(main)
        self._snapshots = {stored.seq: stored for stored in snapshots}
        self._tick: tuple[Asset, int, int] | None = None
        """Asset, time and mark of the tick whose liquidations are being read."""

    def run(self, progress: Progress) -> Report:
        self._last_seq = self._main.execute(LAST_SEQ).fetchone()[0]
        self._tables.begin()
        for seq in self._snapshots:
            if seq > self._last_seq:
                raise Difference(self._last_seq, f"snapshot {seq} is ahead of the journal")
        self._check_snapshot()
        for record in self._records():
            self._check_record(record)
            if record.seq % PROGRESS_EVERY == 0:
                progress(record.seq, self._last_seq)
        self._end_tick()
        progress(self._last_seq, self._last_seq)
        self._tables.check_end(self.state, self.report)
        self._audit()
        self.report.records = self.state.seq
        self.report.open_trades = self.state.open_trades
        self.report.deposits = self.state.deposits
        self.report.digest = digest_of(self.state)
        return self.report

    def _records(self) -> Iterator[Record]:
        for row in self._main.execute(SELECT_RECORDS, (0, -1)):
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
        trade = self._check_arithmetic(record)
        try:
            evolve(self.state, record)
        except (AssertionError, KeyError) as misfit:
            raise Difference(record.seq, f"it does not fit the state before it: {misfit}") from misfit
        self._tables.check(record, trade)
        self._check_snapshot()

    # --- arithmetic -----------------------------------------------------------------------------------------------

    def _check_arithmetic(self, record: Record) -> Trade | None:
        """Work the event's figures out again. Returns the trade it is about, as it was before."""
        event = record.event
        match event:
            case AccountOpened():
                self.report.users += 1
                return None
            case Deposited():
                _same(record, "positive amount", event.amount > 0, True)
                return None
            case TradeOpened():
                self.report.trades_opened += 1
                return self._check_opened(record, event.trade)
            case TradeClosed():
                self.report.trades_closed += 1
                return self._check_closed(record, event)
            case TradeLiquidated():
                self.report.liquidations += 1
                return self._check_liquidated(record, event)
            case StartedAfresh():
                self.report = Report(snapshots=self.report.snapshots)
                return None
            case _:
                assert_never(event)

    def _check_opened(self, record: Record, trade: Trade) -> Trade:
        liquidation = margin.liquidation_price(trade.side, trade.entry, trade.leverage)
        _same(record, "liquidation price", trade.liquidation, liquidation)
        _same(record, "opening record", (trade.seq, trade.opened_at), (record.seq, record.at))
        _same(record, "positive margin", trade.margin > 0, True)
        return trade

    def _check_closed(self, record: Record, event: TradeClosed) -> Trade:
        trade = self._open_trade(record, event)
        settled = margin.settle(trade, event.price)
        if event.pnl != settled.pnl:  # more than the account can hold; versions before that ceiling paid all there was
            settled = close_of(self.state.accounts[event.account], trade, event.price)
        _same(
            record,
            "asset, margin, pnl, returned and shortfall",
            (event.asset, event.margin, event.pnl, event.returned, event.shortfall),
            (trade.asset, trade.margin, settled.pnl, settled.returned, settled.shortfall),
        )
        return trade

    def _check_liquidated(self, record: Record, event: TradeLiquidated) -> Trade:
        trade = self._open_trade(record, event)
        _same(record, "mark of bid and ask", event.mark, margin.mark_price(event.bid, event.ask))
        if not margin.is_due(trade.side, trade.liquidation, event.mark):
            raise Difference(
                record.seq, f"trade {trade.order} was liquidated at {event.mark}, before its price {trade.liquidation}"
            )
        _same(
            record,
            "asset, margin and shortfall",
            (event.asset, event.margin, event.shortfall),
            (trade.asset, trade.margin, margin.settle(trade, event.mark).shortfall),
        )
        return trade

    def _open_trade(self, record: Record, event: TradeClosed | TradeLiquidated) -> Trade:
        account = self.state.accounts.get(event.account)
        trade = account.trades.get(event.order) if account is not None else None
        if trade is None:
            raise Difference(record.seq, f"trade {event.order} is not open")
        return trade

    # --- ticks ----------------------------------------------------------------------------------------------------

    def _follow_tick(self, record: Record) -> None:
        """Liquidations of one tick follow each other; after the last of them nothing may be due at its mark."""
        event = record.event
        tick = (event.asset, record.at, event.mark) if isinstance(event, TradeLiquidated) else None
        if tick != self._tick:
            self._end_tick()
            self._tick = tick
            self.report.liquidating_ticks += tick is not None

    def _end_tick(self) -> None:
        if self._tick is None:
            return
        asset, _, mark = self._tick
        market = self.state.markets[asset]
        overdue = market.longs.first_due(mark) or market.shorts.first_due(mark)
        if overdue is not None:
            raise Difference(self.state.seq, f"trade {overdue.order} was due at {mark} and was not liquidated")

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
        rows = self._main.execute(SELECT_CHECKSUMS, (max(0, seq - FINGERPRINTED), seq))
        return fingerprint(checksum for (checksum,) in rows)

    def _audit(self) -> None:
        try:
            audit(self.state)
        except AssertionError as error:
            raise Difference(self.state.seq, str(error)) from error


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


class _Sums(msgspec.Struct, gc=False):
    """What an account's trades sum up to, and the last of them, counted here."""

    opened: int = 0
    closed: int = 0
    profitable: int = 0
    closed_pnl: int = 0
    liquidated: int = 0
    liquidated_pnl: int = 0
    newest: int | None = None


class _Tables:
    """The tables, read along with the journal: rows are met in the order in which the records made them."""

    def __init__(self, main: sqlite3.Connection) -> None:
        self._main = main
        self._users, self._trades, self._places = main.cursor(), main.cursor(), main.cursor()
        self._has_sums = False
        self._balance, self._sums_of = BALANCE, SUMS
        self._deposited: Counter[str] = Counter()
        """By account; the state keeps the sum only."""
        self._sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        """By account; the state forgets trades that have ended."""
        self._from_seq = 0
        """The tables know nothing of records before this one."""

    def begin(self) -> None:
        self._from_seq = self._main.execute(LAST_AFRESH).fetchone()[0]
        self._users.execute(USERS)
        self._trades.execute(TRADES)
        version = self._main.execute("PRAGMA user_version").fetchone()[0]
        self._has_sums = version >= SUMS_SINCE
        self._balance, self._sums_of = (BALANCE, SUMS) if version >= WIDE_SINCE else (_narrow(BALANCE), _narrow(SUMS))
        if self._has_sums:
            self._places.execute(PLACES)

    def check(self, record: Record, trade: Trade | None) -> None:
        """The rows this record wrote. `trade` is the one it is about, as it was opened."""
        event = record.event
        if record.seq < self._from_seq:
            return
        match event:
            case AccountOpened():
                self._deposited[event.account] += event.deposit
                expected = (event.account, event.email, record.at, record.seq)
                _same(record, "row in users", self._users.fetchone(), expected)
            case TradeOpened(trade, balance, fingerprint):
                _same(record, "row in trades", self._trades.fetchone(), _opened_row(trade, fingerprint, balance))
                self._check_place(record, self._sums[trade.account])
            case TradeClosed():
                ended = ("closed", event.price, event.pnl, event.returned, event.shortfall, record.at, record.seq)
                _same(record, "end of its row in trades", self._end_of(event.order), ended)
                sums = self._sums[event.account]
                sums.closed += 1
                sums.profitable += event.pnl > 0
                sums.closed_pnl += event.pnl
            case TradeLiquidated():
                assert trade is not None
                ended = ("liquidated", event.mark, -event.margin, 0, event.shortfall, record.at, record.seq)
                _same(record, "end of its row in trades", self._end_of(event.order), ended)
                _same(
                    record,
                    "row in liquidations",
                    self._liquidation_of(event.order),
                    _liquidated_row(record, event, trade),
                )
                sums = self._sums[event.account]
                sums.liquidated += 1
                sums.liquidated_pnl -= event.margin
            case Deposited():
                self._deposited[event.account] += event.amount  # shows in the balances, at the end
            case StartedAfresh():
                pass  # its rows are gone, which shows at the end
            case _:
                assert_never(event)

    def check_end(self, state: State, report: Report) -> None:
        """Nothing is left over, and every balance is what the journal leads to."""
        for rows, table in ((self._users, "users"), (self._trades, "trades")):
            if (extra := rows.fetchone()) is not None:
                raise Difference(state.seq, f"{table} has a row that no record made: {extra}")
        ended = report.trades_closed + report.liquidations
        for what, query, expected in (
            ("users, with the house", "SELECT count(*) FROM users", report.users + 1),
            ("ended trades", "SELECT count(*) FROM trades WHERE status <> 'open'", ended),
            ("open trades that show an end", HALF_ENDED, 0),
            ("liquidations", "SELECT count(*) FROM liquidations", report.liquidations),
            ("balances", "SELECT count(*) FROM balances", report.users + 1),
        ):
            _equal(state.seq, what, self._main.execute(query).fetchone()[0], expected)
        for account in state.account_list:
            self._check_balance(state.seq, account.id, account.free, account.locked)
        self._check_balance(state.seq, HOUSE, state.house_pnl, 0)
        if self._has_sums:
            for name in (HOUSE, *state.accounts):
                self._check_sums(state.seq, name)

    def _check_place(self, record: Record, sums: _Sums) -> None:
        """That a trade just opened goes on where the chain of its account ended."""
        before, sums.newest = sums.newest, record.seq
        sums.opened += 1
        if self._has_sums:
            _same(record, "number and previous of its row in trades", self._places.fetchone(), (sums.opened, before))

    def _check_balance(self, seq: int, account: str, free: int, locked: int) -> None:
        row = self._main.execute(self._balance, (account,)).fetchone()
        if row is not None:
            held, held_e18, margins, paid, paid_e18 = row
            row = joined(held, held_e18), margins, joined(paid, paid_e18)
        _equal(seq, f"balance of {account} (free, locked, deposited)", row, (free, locked, self._deposited[account]))

    def _check_sums(self, seq: int, account: str) -> None:
        row = self._main.execute(self._sums_of, (account,)).fetchone()
        if row is not None:
            *counts, won, won_e18, liquidated, lost, lost_e18, newest = row
            row = *counts, joined(won, won_e18), liquidated, joined(lost, lost_e18), newest
        sums = self._sums.get(account, _Sums())
        what = f"sums of {account} in balances (opened, closed, profitable, closed pnl, liquidated, its pnl, newest)"
        _equal(seq, what, row, msgspec.structs.astuple(sums))

    def _end_of(self, order: str) -> object:
        return self._main.execute(
            "SELECT status, close_price, pnl, returned, shortfall, closed_at, closed_seq FROM trades WHERE id = ?",
            (order,),
        ).fetchone()

    def _liquidation_of(self, order: str) -> object:
        return self._main.execute(
            "SELECT account_id, asset, side, margin, entry_price, liquidation_price, mark, bid, ask, pnl, shortfall, "
            "at, seq FROM liquidations WHERE trade_id = ?",
            (order,),
        ).fetchone()


def _narrow(statement: str) -> str:
    """The same statement for tables without columns for what is over 64 bits."""
    return re.sub(r"\b\w+_e18\b", "0", statement)


def _opened_row(trade: Trade, fingerprint: str, balance: int) -> tuple[object, ...]:
    return (
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
        fingerprint,
        balance,
    )


def _liquidated_row(record: Record, event: TradeLiquidated, trade: Trade) -> tuple[object, ...]:
    return (
        trade.account,
        trade.asset,
        trade.side.value,
        trade.margin,
        trade.entry,
        trade.liquidation,
        event.mark,
        event.bid,
        event.ask,
        -event.margin,
        event.shortfall,
        record.at,
        record.seq,
    )


def _same(record: Record, what: str, found: object, expected: object) -> None:
    _equal(record.seq, what, found, expected)


def _equal(seq: int, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Difference(seq, f"{what}: found {found}, expected {expected}")

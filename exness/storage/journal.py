"""The journal and its tables in main.db: written together, read back whole, cut at the end when that is torn."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from exness.core.events import Record
from exness.runtime.candles import CandleBatch
from exness.runtime.ports import JournalDamaged, StorageError
from exness.storage.batch import execute_batch
from exness.storage.candles import write_candles
from exness.storage.codec import FINGERPRINTED, RawRow, check_row, decode, encode, fingerprint, whole_rows
from exness.storage.database import Database, DatabaseDamaged, explain, transaction
from exness.storage.mend import ANY_TRADER, mend, paid_since
from exness.storage.projection import HOUSE, Rows, project
from exness.storage.wide import WIDE, add, split, subtract

RECORDS_PER_READ = 2_000
RECORDS_PER_CHECK = 500
"""They fit into the processor's cache: 2,000 at once take a tenth longer."""

INSERT_RECORD = "INSERT INTO journal (seq, at, kind, payload, request, checksum) VALUES {rows}"

INSERT_USER = """
    INSERT INTO users (id, email, kind, created_at, opened_seq)
    SELECT column1, column2, 'trader', column3, column4 FROM (VALUES {rows})"""

INSERT_BALANCE = "INSERT INTO balances (account_id, free, locked, deposited) VALUES {rows}"

INSERT_TRADE = """
    INSERT INTO trades (opened_seq, id, account_id, asset, side, margin, leverage, entry_price, liquidation_price,
                        created_at, client_order_id, fingerprint, balance_after, number, previous)
    SELECT given.column1, given.column2, given.column3, given.column4, given.column5, given.column6, given.column7,
           given.column8, given.column9, given.column10, given.column11, given.column12, given.column13,
           opened + given.column14, coalesce(given.column15, newest)
    FROM (VALUES {rows}) AS given CROSS JOIN balances ON account_id = given.column3"""
"""Before CHANGE_BALANCE: `opened` and `newest` are as the batch found them."""

END_TRADE = """
    UPDATE trades
    SET status = ended.column1, close_price = ended.column2, pnl = ended.column3, returned = ended.column4,
        shortfall = ended.column5, closed_at = ended.column6, closed_seq = ended.column7
    FROM (VALUES {rows}) AS ended
    WHERE trades.id = ended.column8 AND trades.status = 'open'"""

INSERT_LIQUIDATION = """
    INSERT INTO liquidations (trade_id, account_id, asset, side, margin, entry_price, liquidation_price,
                              mark, bid, ask, pnl, shortfall, at, seq)
    SELECT id, account_id, asset, side, margin, entry_price, liquidation_price,
           given.column1, given.column2, given.column3, given.column4, given.column5, given.column6, given.column7
    FROM (VALUES {rows}) AS given CROSS JOIN trades ON trades.id = given.column8"""

CHANGE_BALANCE = f"""
    UPDATE balances
    SET free = free + change.column2, locked = locked + change.column3,
        opened = opened + change.column4, closed = closed + change.column5,
        profitable = profitable + change.column6,
        {add("closed_pnl", "change.column7", "change.column8")},
        liquidated = liquidated + change.column9,
        {add("liquidated_pnl", "change.column10", "change.column11")},
        newest = coalesce(change.column12, newest)
    FROM (VALUES {{rows}}) AS change WHERE balances.account_id = change.column1"""  # of constants alone  # nosec B608

PAY_IN = f"""
    UPDATE balances SET {add("deposited", "paid.column2", "paid.column3")}
    FROM (VALUES {{rows}}) AS paid WHERE balances.account_id = paid.column1"""  # of constants alone  # nosec B608

PAY_HOUSE = f"""
    UPDATE balances SET {add("free", "pnl.column1", "pnl.column2")}
    FROM (VALUES {{rows}}) AS pnl WHERE balances.account_id = '{HOUSE}'"""  # of constants alone  # nosec B608

LAST_AFRESH = "SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'started_afresh'"
"""The newest record that forgot everything before it, 0 when there is none: the tables begin after it."""

FORGET = (
    "DELETE FROM liquidations",
    "DELETE FROM trades",
    "DELETE FROM balances WHERE account_id <> :house",
    "DELETE FROM users WHERE id <> :house",
    "UPDATE balances SET free = 0, free_e18 = 0",
    "DELETE FROM candles",
    "DELETE FROM counted",
)
"""In this order, each with :house, whose row stays."""

LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM journal"

# Texts come as bytes: damaged ones need not be UTF-8.
SELECT_RECORDS = """
    SELECT seq, at, CAST(kind AS BLOB), CAST(payload AS BLOB), CAST(request AS BLOB), checksum
    FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"""


SELECT_CHECKSUMS = "SELECT checksum FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq"


class SqliteJournal:
    """Implements `ports.Journal`. One writer; readers come over a connection of their own."""

    def __init__(self, writer: Database, reader: Database, last_seq: int) -> None:
        self._writer = writer
        self._reader = reader
        self._last = last_seq
        self._failed = False

    async def append(self, records: Sequence[Record], candles: CandleBatch | None = None) -> None:
        """See `ports.Journal`. After a failure every further append is refused: what is on disk is then only known
        to whoever reads it again."""
        if records or candles is not None:
            await self._writer.run(self._append, records, candles)

    async def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        """See `ports.Journal`. Whole records before a damaged one are handed out first."""
        while True:
            chunk = await self._reader.run(_read_chunk, self._reader, after)
            if chunk.records:
                yield chunk.records
                after = chunk.records[-1].seq
            if chunk.damage is not None:
                raise chunk.damage
            if len(chunk.records) < RECORDS_PER_READ:
                return

    async def record(self, seq: int) -> Record:
        return await self._reader.run(_select_record, seq)

    async def last_seq(self) -> int:
        return await self._reader.run(select_last_seq)

    async def check(self, up_to: int) -> None:
        """See `ports.Journal`. About 1.3 us a record; payloads are not decoded."""
        after = 0
        while after < up_to:
            after = await self._reader.run(_check_chunk, self._reader, after, up_to)

    async def fingerprint(self, seq: int) -> int:
        """See `ports.Journal`. It takes a third of a millisecond."""
        rows = await self._reader.run(_select_all, SELECT_CHECKSUMS, (max(0, seq - FINGERPRINTED), seq))
        return fingerprint(checksum for (checksum,) in rows)

    async def mend(self, seq: int) -> bool:
        """See `ports.Journal`: the tables know what the newest record did."""
        return await self._writer.run(self._mend, seq)

    async def cut(self, seq: int) -> None:
        """See `ports.Journal`. The payload can't be trusted: the record's effect is found by its seq in the tables."""
        await self._writer.run(self._cut, seq)

    def _append(self, connection: sqlite3.Connection, records: Sequence[Record], candles: CandleBatch | None) -> None:
        if self._failed:
            raise StorageError(f"{self._writer.path} takes no more records since a write failed: start again")
        try:
            check_row_of_seq(self._last, records)
            rows = [encode(record) for record in records]
            tables = project(records)
            with transaction(connection):
                execute_batch(connection, INSERT_RECORD, rows)
                _write_tables(connection, tables)
                if candles is not None:
                    write_candles(connection, candles)
        except BaseException as error:
            self._failed = True
            if isinstance(error, OverflowError):
                what = f"records {records[0].seq} and on hold" if records else "candles hold"
                raise StorageError(f"{what} a number over 64 bits") from error
            raise
        if records:
            self._last = records[-1].seq

    def _mend(self, connection: sqlite3.Connection, seq: int) -> bool:
        if seq != self._last:
            raise StorageError(f"only the newest journal record, {self._last}, can be mended, not {seq}")
        with transaction(connection):
            return mend(connection, seq)

    def _cut(self, connection: sqlite3.Connection, seq: int) -> None:
        if seq != self._last:
            raise StorageError(f"only the newest journal record, {self._last}, can be cut, not {seq}")
        with transaction(connection):
            if is_afresh(connection):
                _undo_afresh(connection, seq)
            else:
                if not connection.execute(MADE_A_ROW, {"seq": seq}).fetchone()[0]:
                    _undo_deposit(connection, seq)
                for statement in UNDO:
                    connection.execute(statement, {"seq": seq, "house": HOUSE})
        self._last = seq - 1


def check_row_of_seq(last: int, records: Sequence[Record]) -> None:
    """A journal with a hole is never written."""
    for expected, record in enumerate(records, last + 1):
        if record.seq != expected:
            raise StorageError(f"record {record.seq} can't be written, the next one is {expected}")


def is_afresh(connection: sqlite3.Connection) -> bool:
    """Whether the newest record forgot everything: any other leaves an account behind."""
    return connection.execute(ANY_TRADER).fetchone() is None


def _undo_afresh(connection: sqlite3.Connection, seq: int) -> None:
    """What record `seq` has forgotten is in the journal before it: write those tables again. Raises JournalDamaged."""
    connection.execute("DELETE FROM journal WHERE seq = ?", (seq,))
    after = connection.execute(LAST_AFRESH).fetchone()[0]
    while rows := connection.execute(SELECT_RECORDS, (after, RECORDS_PER_READ)).fetchall():
        _write_tables(connection, project([decode(row) for row in rows]))
        after = rows[-1][0]


def _undo_deposit(connection: sqlite3.Connection, seq: int) -> None:
    for account, before, amount in paid_since(connection, seq):
        connection.execute(UNDO_DEPOSIT, (amount, *split(before), account))


def select_last_seq(connection: sqlite3.Connection) -> int:
    last: int = connection.execute(LAST_SEQ).fetchone()[0]
    return last


def _select_record(connection: sqlite3.Connection, seq: int) -> Record:
    row: RawRow = connection.execute(SELECT_RECORDS, (seq - 1, 1)).fetchone()
    check_row(row, seq)
    return decode(row)


def _select_all(connection: sqlite3.Connection, statement: str, parameters: tuple[int, ...]) -> list[tuple[int]]:
    return connection.execute(statement, parameters).fetchall()


def _write_tables(connection: sqlite3.Connection, rows: Rows) -> None:
    """Each statement must find the rows it changes; if not, tables and journal disagree and nothing is written."""
    if rows.afresh:
        _forget(connection)
    if rows.users:
        execute_batch(connection, INSERT_USER, rows.users)
        execute_batch(connection, INSERT_BALANCE, [(user[0], 0, 0, 0) for user in rows.users])
    if rows.opened:
        _change_all(connection, INSERT_TRADE, rows.opened, "a balance")
    if rows.ended:
        _change_all(connection, END_TRADE, rows.ended, "an open trade")
    if rows.liquidations:
        _change_all(connection, INSERT_LIQUIDATION, rows.liquidations, "a liquidated trade")
    if balances := rows.balances:
        _change_all(connection, CHANGE_BALANCE, balances, "a balance")
    if paid := rows.paid:
        _change_all(connection, PAY_IN, paid, "a balance")
    if rows.house_pnl:
        _change_all(connection, PAY_HOUSE, [split(rows.house_pnl)], "the house's balance")


def _forget(connection: sqlite3.Connection) -> None:
    for statement in FORGET:
        connection.execute(statement, {"house": HOUSE})


def _change_all(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]], what: str) -> None:
    if execute_batch(connection, statement, rows) != len(rows):
        raise StorageError(f"the tables lack {what} that the journal has: run verify, or restore a backup")


class _Chunk(NamedTuple):
    records: list[Record]
    damage: JournalDamaged | None


def _read_chunk(connection: sqlite3.Connection, reader: Database, after: int) -> _Chunk:
    """The next whole records, and what ends them early. Its work is done on the reader's thread."""
    records: list[Record] = []
    expected = after + 1
    try:
        for row in connection.execute(SELECT_RECORDS, (after, RECORDS_PER_READ)):
            if row[0] != expected:
                raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
            records.append(decode(row))
            expected += 1
    except JournalDamaged as damage:
        return _Chunk(records, damage)
    except sqlite3.DatabaseError as error:
        explained = explain(reader.path, error)
        if not isinstance(explained, DatabaseDamaged):
            raise
        return _Chunk(records, JournalDamaged(expected, str(explained)))
    return _Chunk(records, None)


def _check_chunk(connection: sqlite3.Connection, reader: Database, after: int, up_to: int) -> int:
    """Check the next records and return the last one's seq."""
    limit = min(RECORDS_PER_READ, up_to - after)
    if not _all_whole(connection, after, limit):
        _name_damage(connection, reader, after, limit)
    return after + limit


def _all_whole(connection: sqlite3.Connection, after: int, limit: int) -> bool:
    """Whether the next records are whole and all there."""
    found = after
    try:
        cursor = connection.execute(SELECT_RECORDS, (after, limit))
        while (rows := cursor.fetchmany(RECORDS_PER_CHECK)) and whole_rows(rows, found + 1):
            found += len(rows)
    except sqlite3.DatabaseError:
        return False
    return found == after + limit


def _name_damage(connection: sqlite3.Connection, reader: Database, after: int, limit: int) -> None:
    """Check the next records one by one. Raises JournalDamaged at the first that is not whole."""
    expected = after + 1
    try:
        for row in connection.execute(SELECT_RECORDS, (after, limit)):
            check_row(row, expected)
            expected += 1
    except sqlite3.DatabaseError as error:
        explained = explain(reader.path, error)
        if not isinstance(explained, DatabaseDamaged):
            raise
        raise JournalDamaged(expected, str(explained)) from error
    if expected <= after + limit:
        raise JournalDamaged(expected, "it is missing")


# The way back from the newest record. At most one row of `trades` or `users` bears its seq; when none does it was a
# deposit, and whose shows when the deposits in the journal are summed again. That takes a look at the whole journal,
# which is fine for what happens after a torn write only.

UNDO_OPENED = """
    UPDATE balances SET free = free + trade.margin, locked = locked - trade.margin, opened = opened - 1,
                        newest = trade.previous
    FROM trades AS trade WHERE trade.opened_seq = :seq AND balances.account_id = trade.account_id"""

UNDO_ENDED = """
    UPDATE balances SET free = free - trade.returned, locked = locked + trade.margin
    FROM trades AS trade WHERE trade.closed_seq = :seq AND balances.account_id = trade.account_id"""

UNDO_CLOSED_SUMS = f"""
    UPDATE balances SET closed = closed - 1, profitable = profitable - (trade.pnl > 0),
                        {subtract("closed_pnl", "trade.pnl")}
    FROM trades AS trade
    WHERE trade.closed_seq = :seq AND trade.status = 'closed' AND balances.account_id = trade.account_id"""  # nosec B608

UNDO_LIQUIDATED_SUMS = f"""
    UPDATE balances SET liquidated = liquidated - 1, {subtract("liquidated_pnl", "trade.pnl")}
    FROM trades AS trade
    WHERE trade.closed_seq = :seq AND trade.status = 'liquidated' AND balances.account_id = trade.account_id"""  # nosec B608

UNDO_HOUSE_PNL = f"""
    UPDATE balances SET {add("free", f"trade.pnl % {WIDE}", f"trade.pnl / {WIDE}")}
    FROM trades AS trade WHERE trade.closed_seq = :seq AND balances.account_id = :house"""  # nosec B608

REOPEN_TRADE = """
    UPDATE trades SET status = 'open', close_price = NULL, pnl = NULL, returned = NULL, shortfall = 0,
                      closed_at = NULL, closed_seq = NULL
    WHERE closed_seq = :seq"""

MADE_A_ROW = """
    SELECT EXISTS (SELECT 1 FROM trades WHERE opened_seq = :seq OR closed_seq = :seq)
        OR EXISTS (SELECT 1 FROM users WHERE opened_seq = :seq)"""

UNDO_DEPOSIT = "UPDATE balances SET free = free - ?, deposited = ?, deposited_e18 = ? WHERE account_id = ?"

UNDO = (
    UNDO_OPENED,
    UNDO_ENDED,
    UNDO_CLOSED_SUMS,
    UNDO_LIQUIDATED_SUMS,
    UNDO_HOUSE_PNL,
    "DELETE FROM liquidations WHERE seq = :seq",
    REOPEN_TRADE,
    "DELETE FROM trades WHERE opened_seq = :seq",
    "DELETE FROM balances WHERE account_id IN (SELECT id FROM users WHERE opened_seq = :seq)",
    "DELETE FROM users WHERE opened_seq = :seq",
    "DELETE FROM journal WHERE seq = :seq",
)
"""In this order, each with :seq and :house."""

"""Data directories made by the real engine, and what can befall them."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from exness.core.capture import decode_header, encode_header
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.state import State
from exness.runtime.ports.snapshots import Snapshots
from exness.storage.codec import Row, decode, encode
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB
from exness.storage.journal_rows import SELECT_RECORDS
from exness.storage.opened import Storage
from exness.storage.sqlite import open_storage
from exness.storage.verify import Report, verify_directory
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import batches, picture

REPLACE = (
    "REPLACE INTO journal (seq, at, kind, payload, request, checksum, version, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


async def make_directory(data_dir: Path, records: Sequence[Record], snapshots_at: Sequence[int] = ()) -> None:
    """A stopped exchange's databases with these records, and snapshots of the states after some of them."""
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        await write_all(storage, records)
        state = State()
        for record in records:
            evolve(state, record)
            if record.seq in snapshots_at:
                await save(storage.snapshots, state, await storage.journal.fingerprint(record.seq))


async def write_all(storage: Storage, records: Sequence[Record], seed: int = 0) -> None:
    """As a server does it: the tables follow."""
    for batch in batches(records, seed):
        await storage.journal.append(batch)
        await storage.tables.write(batch)


OLD_MAIN = """
PRAGMA application_id = 0x65786d6e;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, request TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE assets (
    symbol TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, decimals INTEGER NOT NULL, venue_symbol TEXT NOT NULL,
    image_url TEXT NOT NULL, max_leverage INTEGER NOT NULL
) STRICT;
CREATE TABLE trades (opened_seq INTEGER PRIMARY KEY) STRICT;
CREATE TABLE candles (
    asset TEXT NOT NULL REFERENCES assets (symbol), interval TEXT NOT NULL, start INTEGER NOT NULL,
    open INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL, close INTEGER NOT NULL,
    volume INTEGER NOT NULL, trades INTEGER NOT NULL, backfilled INTEGER NOT NULL,
    PRIMARY KEY (asset, interval, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE counted (
    asset TEXT PRIMARY KEY NOT NULL REFERENCES assets (symbol), at INTEGER NOT NULL, marks INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 5;
"""
"""A main.db of before journal.db, as far as anything of it is read."""


def old_row(record: Record) -> tuple[int, int, str, str, str, int]:
    """A record as 0.1.0 wrote it, read off its rows and not off our upcasters."""
    event = msgspec.to_builtins(record.event)
    kind = event["type"]
    if kind == "trade_opened":
        event["trade"] = {"order": event["trade"].pop("id"), **event["trade"]}
    elif kind == "trade_closed":
        event["order"] = event.pop("trade_id")
        event.setdefault("shortfall", 0)
        if event.pop("reason") == "liquidation":
            kind = event["type"] = "trade_liquidated"
            event["mark"] = event.pop("price")
            del event["pnl"], event["returned"]
    elif kind == "exchange_reset":
        kind = event["type"] = "started_afresh"
    payload = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    spelled = f"{record.seq} {record.at} {kind} {len(record.request.encode())} {record.request}{payload}"
    return record.seq, record.at, kind, payload, record.request, crc32(spelled.encode())


def make_older(data_dir: Path) -> None:
    """Turn a stopped exchange's directory into one that a version before journal.db left, with all of it in main.db."""
    old = data_dir / "old.db"
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.executescript(OLD_MAIN)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        with closing(sqlite3.connect(data_dir / JOURNAL_DB)) as journal:
            rows = [old_row(decode(row)) for row in journal.execute(SELECT_RECORDS, (0, -1))]
        connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", rows)
        for database, tables in ((JOURNAL_DB, ("assets",)), (MARKET_DB, ("candles", "counted"))):
            connection.execute("ATTACH DATABASE ? AS new", (str(data_dir / database),))
            for table in tables:
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")
            connection.execute("DETACH DATABASE new")
    if (data_dir / SNAPSHOTS_DB).exists():
        _untie_snapshots(data_dir)
    for database in (JOURNAL_DB, MARKET_DB, MAIN_DB):
        for file in data_dir.glob(f"{database}*"):
            file.unlink()
    old.rename(data_dir / MAIN_DB)


def _untie_snapshots(data_dir: Path) -> None:
    """Snapshots of 0.1.0 did not say which journal they are of."""
    with tampering(data_dir / SNAPSHOTS_DB) as connection:
        for seq, header, digest, chunks, size, _ in connection.execute("SELECT * FROM snapshots").fetchall():
            untied = encode_header(msgspec.structs.replace(decode_header(header), journal=None))
            checksum = crc32(b"%d %d %d %s %s" % (seq, chunks, size, digest.encode(), untied))
            connection.execute("UPDATE snapshots SET header = ?, checksum = ? WHERE seq = ?", (untied, checksum, seq))


def checked(data_dir: Path) -> Report:
    """What `verify` says of a directory."""
    return verify_directory(data_dir, lambda done, total: None)


async def save(snapshots: Snapshots, state: State, journal: int | None = None) -> None:
    header, chunks = picture(state)
    async with snapshots.draft(header) as draft:
        for accounts in chunks:
            await draft.add(accounts)
        await draft.commit(journal)


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that heeds neither foreign keys nor checks."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


def tamper(path: Path, statement: str, *parameters: object) -> None:
    """One statement that must change something."""
    with tampering(path) as connection:
        assert connection.execute(statement, parameters).rowcount != 0, f"nothing to tamper with: {statement}"


def flip_bit(value: Any, place: float) -> Any:
    """The value with one bit changed, at `place` of its length: 0 is its beginning, 1 its end."""
    if isinstance(value, int):
        return value ^ 1 << round(place * 40)
    data = bytearray(value.encode())
    data[min(int(place * len(data)), len(data) - 1)] ^= 1
    return data.decode()


def row_of(data_dir: Path, seq: int) -> Row:
    with tampering(data_dir / JOURNAL_DB) as connection:
        row: Row = connection.execute("SELECT * FROM journal WHERE seq = ?", (seq,)).fetchone()
    return row


def flip_in_record(data_dir: Path, seq: int, column: str, place: float = 0.5) -> None:
    """One bit of one column of a record."""
    columns = ("seq", "at", "kind", "payload", "request", "checksum", "version", "cause")
    value = row_of(data_dir, seq)[columns.index(column)]
    tamper(data_dir / JOURNAL_DB, f"UPDATE journal SET {column} = ? WHERE seq = ?", flip_bit(value, place), seq)


def forge(data_dir: Path, record: Record) -> None:
    """Put a record in the place of the one that is there, with the right checksum: damage that somebody meant."""
    tamper(data_dir / JOURNAL_DB, REPLACE, *encode(record))


def contents(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file: what is in it, how long it is and when it was changed."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

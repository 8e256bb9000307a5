"""Takes over a data directory of before journal.db, when main.db held journal, tables and candles together.

Its journal is copied to journal.db.part and its candles to market.db.part, in chunks; both are held against main.db,
and get their names. With journal.db there is no way back, and none is needed: main.db goes, and the tables are made
anew from the journal. Whenever it is killed, the next start goes on: before journal.db has its name, main.db is as it
was; from then on, journal.db has all of it.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import structlog

from exness.process.locks import flush
from exness.runtime.ports.journal import StorageError
from exness.storage.database import DatabaseRefused, Schema, explain, opened, prepare, transaction
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB, remove
from exness.storage.journal import JOURNAL
from exness.storage.journal_rows import LAST_SEQ
from exness.storage.market import MARKET
from exness.storage.offline import HAS_JOURNAL

_log = structlog.get_logger("exness.storage.takeover")

ROWS_AT_ONCE = 20_000
TELL_EVERY = 25
"""Steps."""

HAS_CANDLES = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'candles'"
COPY_RECORDS = """
    INSERT INTO journal ({columns}) SELECT {columns} FROM old.journal WHERE seq > ? ORDER BY seq LIMIT ?"""
OLD_COLUMNS = "SELECT group_concat(name, ', ') FROM pragma_table_info('journal', 'old')"
COPY_ASSETS = """
    INSERT OR REPLACE INTO assets (symbol, name, decimals, venue_symbol, image_url, max_leverage)
    SELECT symbol, name, decimals, venue_symbol, image_url, max_leverage FROM old.assets"""
CANDLE = "asset, interval, start, open, high, low, close, volume, trades, backfilled"
COPY_CANDLES = f"INSERT INTO candles ({CANDLE}) SELECT {CANDLE} FROM old.candles"  # of constants  # nosec B608
COPY_COUNTED = "INSERT INTO counted (asset, at, marks) SELECT asset, at, marks FROM old.counted"
PICTURE = "SELECT count(*), coalesce(max(seq), 0), coalesce(sum(checksum), 0), coalesce(sum(length(payload)), 0) FROM "


def holds_old_journal(main_db: Path) -> bool:
    """Whether main.db is one that holds the journal. One that can't be read is refused, unless there is a journal.db:
    then it holds tables, which can be made anew. Raises DatabaseRefused."""
    if not main_db.exists():
        return False
    try:
        with opened(main_db) as connection:
            return bool(connection.execute(HAS_JOURNAL).fetchone()[0])
    except sqlite3.Error as error:
        if main_db.with_name(JOURNAL_DB).exists():
            return False
        raise DatabaseRefused(str(explain(main_db, error))) from error


async def take_over(data_dir: Path) -> bool:
    """Whether there was something to take over; it is done then. Raises StorageError.

    When it is cancelled, it ends between two chunks.
    """
    if not holds_old_journal(data_dir / MAIN_DB):
        return False
    with closing(take_over_steps(data_dir)) as steps:
        number = 0
        while (step := await _next(steps)) is not None:
            number += 1
            if number % TELL_EVERY == 0:
                _log.info("an older data directory is taken over", done=step)
    _log.info("an older data directory was taken over; its tables are made anew")
    return True


async def _next(steps: Generator[str]) -> str | None:
    """The next step, in a thread; it is awaited even when the caller is cancelled."""
    stepping = asyncio.ensure_future(asyncio.to_thread(next, steps, None))
    try:
        return await asyncio.shield(stepping)
    except asyncio.CancelledError:
        await asyncio.wait((stepping,))
        raise


def take_over_steps(data_dir: Path) -> Generator[str]:
    """One step at a time, each named. Any of them may be the last one for now."""
    main_db, journal_db = data_dir / MAIN_DB, data_dir / JOURNAL_DB
    try:
        if not journal_db.exists():
            _refuse_full_disk(data_dir)
            yield from copy_steps(main_db, f"{main_db.absolute().as_uri()}?mode=rw", data_dir)
        else:
            _refuse_foreign(main_db, journal_db)
        yield "main.db can go"
        for step in remove(main_db):
            yield f"{step} has gone"
        flush(data_dir)
    except sqlite3.Error as error:
        raise DatabaseRefused(f"{data_dir} can't be taken over: {explain(main_db, error)}") from error
    except OSError as error:
        raise DatabaseRefused(f"{data_dir} can't be taken over: {error.strerror}") from error


def copy_steps(source: Path, uri: str, data_dir: Path) -> Iterator[str]:
    """Make journal.db and market.db of `source`, which is opened as `uri`: an older main.db, or a backup. Steps like
    those of `take_over_steps`; a copy that was begun is gone on with."""
    candles, journal = data_dir / f"{MARKET_DB}.part", data_dir / f"{JOURNAL_DB}.part"
    yield from _copy_records(source, uri, journal)
    if not (data_dir / MARKET_DB).exists():
        yield from _copy_candles(uri, candles)
        candles.rename(data_dir / MARKET_DB)
    flush(data_dir)
    yield "market.db is there"
    journal.rename(data_dir / JOURNAL_DB)
    flush(data_dir)
    yield "journal.db is there"


def _refuse_full_disk(data_dir: Path) -> None:
    """The journal is copied before main.db goes. What is copied is less than main.db."""
    needed = sum(file.stat().st_size for file in data_dir.glob(f"{MAIN_DB}*"))
    done = sum(file.stat().st_size for file in data_dir.glob("*.part*"))
    free = shutil.disk_usage(data_dir).free
    if free < needed - done:
        raise DatabaseRefused(
            f"{data_dir} is of an older version and is taken over at its first start, for which "
            f"{needed - done:,} bytes must be free there; {free:,} are: make room, then start again"
        )


def _copy_records(source: Path, uri: str, part: Path) -> Iterator[str]:
    with closing(_opened(part, JOURNAL, uri)) as connection:
        last_seq = connection.execute("SELECT coalesce(max(seq), 0) FROM old.journal").fetchone()[0]
        yield "journal.db.part is begun"
        copy = COPY_RECORDS.format(columns=connection.execute(OLD_COLUMNS).fetchone()[0])
        after = -1
        while (at := connection.execute(LAST_SEQ).fetchone()[0]) != after:
            after = at
            with transaction(connection):
                connection.execute(copy, (after, ROWS_AT_ONCE))
            yield f"{after:,} of {last_seq:,} records"
        with transaction(connection):
            connection.execute(COPY_ASSETS)
        pictures = {connection.execute(PICTURE + table).fetchone() for table in ("main.journal", "old.journal")}
        if len(pictures) > 1:
            connection.close()
            list(remove(part))
            raise StorageError(f"the copy {part} differs from {source}: start again, it is made anew")
        _finish(connection)
    flush(part)
    yield "all records are copied"


def _copy_candles(uri: str, part: Path) -> Iterator[str]:
    list(remove(part))
    with closing(_opened(part, MARKET, uri)) as connection:
        if connection.execute(HAS_CANDLES.replace("sqlite_schema", "old.sqlite_schema")).fetchone()[0]:
            with transaction(connection):
                connection.execute(COPY_CANDLES)
                connection.execute(COPY_COUNTED)
                connection.execute("UPDATE watermark SET seq = (SELECT coalesce(max(seq), 0) FROM old.journal)")
        yield "market.db.part is written"
        _finish(connection)
    flush(part)
    yield "all candles are copied"


def _opened(part: Path, schema: Schema, uri: str) -> sqlite3.Connection:
    """A copy that is begun or gone on with, and what is copied attached as `old`."""
    part.touch(mode=0o600)
    own = f"{part.absolute().as_uri()}?mode=rwc"
    connection = sqlite3.connect(own, uri=True, isolation_level=None, check_same_thread=False)
    try:
        prepare(connection, part, schema)
        connection.execute("ATTACH DATABASE ? AS old", (uri,))
    except BaseException:
        connection.close()
        raise
    return connection


def _finish(connection: sqlite3.Connection) -> None:
    """All of it in the one file, so that renaming that is enough."""
    connection.execute("DETACH DATABASE old")
    connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def _refuse_foreign(main_db: Path, journal_db: Path) -> None:
    """What main.db holds must be in journal.db already: else somebody has put it there since, and it is not touched."""
    with opened(main_db) as connection:
        connection.execute("ATTACH DATABASE ? AS new", (str(journal_db),))
        missing = connection.execute(
            "SELECT count(*) FROM (SELECT seq, checksum FROM main.journal ORDER BY seq DESC LIMIT 1000) AS old "
            "WHERE NOT EXISTS (SELECT 1 FROM new.journal AS kept WHERE kept.seq = old.seq AND "
            "kept.checksum = old.checksum)"
        ).fetchone()[0]
    if missing:
        raise DatabaseRefused(
            f"{main_db} holds a journal of an older version with records that {journal_db} has not: "
            "one of them is of another exchange; move that one away"
        )

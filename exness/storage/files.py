"""The files of a data directory, by name."""

from collections.abc import Callable, Iterator
from pathlib import Path

JOURNAL_DB = "journal.db"
"""The truth."""
MAIN_DB = "main.db"
"""Tables, made from the journal."""
MARKET_DB = "market.db"
"""Candles."""
SNAPSHOTS_DB = "snapshots.db"

EXCHANGE_DBS = (JOURNAL_DB, MAIN_DB, MARKET_DB, SNAPSHOTS_DB)

Progress = Callable[[int, int], None]
"""Called by what takes long: records (or pages) done, and all there are."""


def remove(path: Path) -> Iterator[str]:
    """Remove a database with its log, and name each file that has gone. The log first: SQLite would play one that is
    left behind into the next file of this name."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        file = path.with_name(f"{path.name}{suffix}")
        if file.exists():
            file.unlink()
            yield file.name


def set_aside(path: Path) -> Path:
    """Move a damaged database, with its log, out of the way. Returns where it is now. Not while it is open."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(f"{path.name}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside

"""One statement for many rows.

SQLite's Python module lets go of Python's lock and takes it again around every step of a statement. A row at a time
(`executemany`) makes the writing thread ask a busy loop for that lock once a row, and wait each time; many rows in one
statement make it ask once. Beside a loop that never idles 1000 records take 24 ms this way, 255 the other.

A statement is prepared for its number of rows and kept, so a large batch is cut into a few of ever the same sizes.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from exness.storage.database import transaction

ROWS = "{rows}"
"""Where a statement takes its rows: `(?, ?), (?, ?), ...`."""

MOST_ROWS = 512
"""In one statement. SQLite binds up to 32,766 values; a row of ours has at most 28."""
WHOLE = 64
"""Up to so many rows go into one statement of exactly their number; more are cut into 512, 256, 128, 64, the rest."""

LARGER = (MOST_ROWS, 256, 128)


def execute_batch(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    """Run `statement` (with `{rows}` in it) on all rows, in order. Returns how many rows of the table it changed."""
    changed, begin = 0, 0
    while begin < len(rows):
        chunk = rows[begin : begin + _size(len(rows) - begin)]
        values = [value for row in chunk for value in row]
        changed += connection.execute(_text(statement, len(chunk), len(chunk[0])), values).rowcount
        begin += len(chunk)
    return changed


def whole(connection: sqlite3.Connection, rows: Sequence[object]) -> AbstractContextManager[None]:
    """In it, `execute_batch` writes all of these rows or none: what is one statement needs no transaction around it,
    and so asks for Python's lock once instead of three times."""
    return nullcontext() if not rows or _size(len(rows)) == len(rows) else transaction(connection)


def _size(rows: int) -> int:
    """How many of these rows the next statement takes."""
    if rows <= WHOLE:
        return rows
    return next(size for size in (*LARGER, WHOLE) if size <= rows)


@cache
def _text(statement: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.replace(ROWS, ", ".join([row] * rows))

"""Questions to the tables, written once for every database.

A question is a generator: it yields a statement with its parameters, is sent the rows, and returns the answer. Who
runs it sees to it that all of its statements see one moment. Statements are in the SQL that SQLite and PostgreSQL
share.
"""

import sqlite3
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from exness.storage.database import one_view

T = TypeVar("T")

Parameters = Mapping[str, str | int | None] | tuple[object, ...]
"""Of a statement: by name (`:name`), or in order (`?`)."""

Found = list[tuple[Any, ...]]
Asking = Generator[tuple[str, Parameters], Found, T]


def answered(connection: sqlite3.Connection, asking: Asking[T]) -> T:
    """The answer, from SQLite. On the connection's thread."""
    with one_view(connection):
        rows: Found | None = None
        try:
            while True:
                statement, parameters = next(asking) if rows is None else asking.send(rows)
                rows = connection.execute(statement, parameters).fetchall()
        except StopIteration as end:
            answer: T = end.value
            return answer


Values = dict[str, str | int | None]
EARLIEST, LATEST = -(2**63), 2**63 - 1
LOOKED_AT = 50_000
"""Trades, orders or records that one question may look at: about a tenth of a second of the reading thread."""


def one(statement: str, parameters: Values | tuple[object, ...]) -> Asking[int]:
    """The number that a statement finds."""
    rows = yield statement, parameters
    return int(rows[0][0])

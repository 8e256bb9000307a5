"""Answers for storage/batch.py."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.storage.batch import LARGER, MOST_ROWS, WHOLE, _size, execute_batch, whole

INSERT = "INSERT INTO things (id, name) VALUES {rows}"
RENAME = "UPDATE things SET name = given.column2 FROM (VALUES {rows}) AS given WHERE things.id = given.column1"


@pytest.fixture
def things() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT")
    yield connection
    connection.close()


@pytest.mark.parametrize("rows", [0, 1, WHOLE, WHOLE + 1, 2 * WHOLE - 1, 300, MOST_ROWS, 3 * MOST_ROWS + 41])
def test_every_row_is_written_in_order(things: sqlite3.Connection, rows: int) -> None:
    given_rows = [(number, f"thing {number}") for number in range(rows)]
    assert execute_batch(things, INSERT, given_rows) == rows
    assert things.execute("SELECT id, name FROM things ORDER BY rowid").fetchall() == given_rows


def test_an_update_counts_the_rows_it_found(things: sqlite3.Connection) -> None:
    execute_batch(things, INSERT, [(number, f"thing {number}") for number in range(40)])
    assert execute_batch(things, RENAME, [(number, f"other {number}") for number in range(38, 75)]) == 2


def test_a_row_that_breaks_a_rule_is_refused(things: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        execute_batch(things, INSERT, [(1, "the same"), (2, "the same")])


@pytest.mark.parametrize("rows", [1, WHOLE, WHOLE + 1, 128, MOST_ROWS, MOST_ROWS + 1])
def test_a_batch_that_fails_at_its_last_row_leaves_nothing(things: sqlite3.Connection, rows: int) -> None:
    given_rows = [(number, f"thing {number}") for number in range(rows - 1)]
    with pytest.raises(sqlite3.IntegrityError), whole(things, range(rows)):
        execute_batch(things, INSERT, [*given_rows, (rows, None)])
    assert things.execute("SELECT count(*) FROM things").fetchone() == (0,)
    assert not things.in_transaction


@given(st.integers(min_value=1, max_value=5000))
def test_a_batch_is_cut_into_few_statements(rows: int) -> None:
    sizes = []
    while rows:
        sizes.append(_size(rows))
        rows -= sizes[-1]
    beside_the_largest = [size for size in sizes if size < MOST_ROWS]
    assert len(beside_the_largest) <= 4
    assert min(sizes) >= 1


def test_there_are_few_sizes() -> None:
    assert len({_size(rows) for rows in range(1, 5000)}) == WHOLE + len(LARGER)

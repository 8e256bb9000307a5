"""Rows of the journal without a database."""

from exness.storage.codec import RawRow, Row


def as_read(row: Row) -> RawRow:
    """A row as it comes back from the disk."""
    seq, at, kind, payload, request, stored, version, cause = row
    return seq, at, kind.encode(), payload.encode(), request.encode(), stored, version, cause.encode()

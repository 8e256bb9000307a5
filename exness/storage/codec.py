"""A Record as the row that stores it, and back.

The payload is the event as JSON with named fields, so that anyone can read a journal with nothing but SQLite. The
checksum covers the whole row: a record that is read back is the record that was written, or JournalDamaged.
"""

from collections.abc import Iterable
from zlib import crc32

import msgspec

from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    Record,
    StartedAfresh,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.runtime.ports.journal import JournalDamaged, StorageError

Row = tuple[int, int, str, str, str, int]
"""seq, at, kind, payload, request, checksum: the columns of the table `journal`."""

RawRow = tuple[int, int, bytes, bytes, bytes, int]
"""A row as it is read: its texts are bytes, since damaged text need not be UTF-8."""

KINDS: dict[type[Event], str] = {
    AccountOpened: "account_opened",
    Deposited: "deposited",
    TradeOpened: "trade_opened",
    TradeClosed: "trade_closed",
    TradeLiquidated: "trade_liquidated",
    StartedAfresh: "started_afresh",
}
"""What the column `kind` calls each event: its tag."""

FINGERPRINTED = 1_000
"""Records, up to one of them, whose checksums are its fingerprint."""

_KIND_BYTES = {kind.encode(): event_type for event_type, kind in KINDS.items()}
_SPELLED = b"%d %d %s %d %s%s"
"""What is summed: seq, at, kind, length of request, request, payload."""
_encode_event = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode


def encode(record: Record) -> Row:
    """The row of a record. Raises StorageError for what no row can hold: a number over 64 bits, broken text."""
    event = record.event
    kind = KINDS[type(event)]
    try:
        payload = _encode_event(event)
        request = record.request.encode()
    except (OverflowError, UnicodeEncodeError) as error:
        raise StorageError(f"record {record.seq} can't be stored: {error}") from error
    return (
        record.seq,
        record.at,
        kind,
        payload.decode(),
        record.request,
        checksum(record.seq, record.at, kind.encode(), payload, request),
    )


def decode(row: RawRow) -> Record:
    """The record of a row. Raises JournalDamaged unless every bit of it is as it was written."""
    seq, at, kind, payload, request, _ = row
    event_type = check_row(row, seq)
    try:
        event = _decode_event(payload)
        record = Record(seq, at, event, request.decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalDamaged(seq, f"its payload is no {kind.decode()}: {error}") from error
    if type(event) is not event_type:
        raise JournalDamaged(seq, f"its kind is {kind.decode()}, its payload is of another")
    return record


def check_row(row: RawRow, expected: int) -> type[Event]:
    """Hold a row against its place in the journal and its checksum; returns what it names. Raises JournalDamaged."""
    seq, at, kind, payload, request, stored = row
    if seq != expected:
        raise JournalDamaged(expected, f"it is missing, the next one there is {seq}")
    event_type = _check_kind(row)
    if checksum(seq, at, kind, payload, request) != stored:
        raise JournalDamaged(seq, "its checksum does not match")
    return event_type


def checksum(seq: int, at: int, kind: bytes, payload: bytes, request: bytes) -> int:
    """CRC-32 over all fields. The length of `request` is in it, so no two rows spell the same bytes."""
    return crc32(_SPELLED % (seq, at, kind, len(request), request, payload))


def fingerprint(checksums: Iterable[int]) -> int:
    """CRC-32 over the checksums of records that follow each other."""
    return crc32(b" ".join(b"%d" % checksum for checksum in checksums))


def _check_kind(row: RawRow) -> type[Event]:
    """The event type the row names. Also the place where a value that lost its type to damage is found."""
    seq, at, kind, payload, request, stored = row
    if not (type(at) is int and type(stored) is int and type(payload) is bytes and type(request) is bytes):
        raise JournalDamaged(seq, "a value has lost its type")
    event_type = _KIND_BYTES.get(kind)
    if event_type is None:
        raise JournalDamaged(seq, f"its kind {kind!r} is unknown")
    return event_type

"""A Record as the row that stores it, and back.

The payload is the event as JSON with named fields, so that anyone can read a journal with nothing but SQLite. The
checksum covers the whole row: a record that is read back is the record that was written, or JournalDamaged. What an
older release wrote is read as an event of today (see `upcasters`).
"""

from collections.abc import Iterable
from typing import get_args
from zlib import crc32

import msgspec

from exness.core.events import Event, Record
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.storage.upcasters import RETIRED, cause_of, lift, newest

Row = tuple[int, int, str, str, str, int, int, str]
"""seq, at, kind, payload, request, checksum, version, cause: the columns of the table `journal`."""

RawRow = tuple[int, int, bytes, bytes, bytes, int, int, bytes]
"""A row as it is read: its texts are bytes, since damaged text need not be UTF-8."""

KINDS: dict[type[Event], str] = {event: str(event.__struct_config__.tag) for event in get_args(Event)}
"""What the column `kind` calls each event: its tag."""

FINGERPRINTED = 1_000
"""Records, up to one of them, whose checksums are its fingerprint."""

_VERSIONS = {kind: newest(kind) for kind in (*KINDS.values(), *RETIRED)}
_TYPES = {kind: event for event, kind in KINDS.items()}
_KINDS = {kind.encode(): kind for kind in _VERSIONS}
_SPELLED = b"%d %d %s %d %s%s"
"""What is summed of a first version without a cause, as rows were once: seq, at, kind, length of request, request,
payload."""
_SPELLED_IN_FULL = b"%d %d %s.%d %d %s%d %s%s"
"""Of all others: seq, at, kind, version, length of cause, cause, length of request, request, payload."""
_encode_event = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode


def encode(record: Record) -> Row:
    """The row of a record. Raises StorageError for what no row can hold: a number over 64 bits, broken text."""
    event = record.event
    kind = KINDS[type(event)]
    version = _VERSIONS[kind]
    try:
        payload = _encode_event(event)
        request = record.request.encode()
        cause = record.cause.encode()
    except (OverflowError, UnicodeEncodeError) as error:
        raise StorageError(f"record {record.seq} can't be stored: {error}") from error
    return (
        record.seq,
        record.at,
        kind,
        payload.decode(),
        record.request,
        checksum(record.seq, record.at, kind.encode(), payload, request, version, cause),
        version,
        record.cause,
    )


def decode(row: RawRow) -> Record:
    """The record of a row. Raises JournalDamaged unless every bit of it is as it was written."""
    seq, at, _, payload, request, _, version, cause = row
    name = check_row(row, seq)
    try:
        if name in RETIRED or version != _VERSIONS[name]:
            lifted = lift(name, version, msgspec.json.decode(payload))
            event: Event = msgspec.convert(lifted, _TYPES[lifted["type"]])  # a union would be taken apart each time
        else:
            event = _decode_event(payload)
            if KINDS[type(event)] != name:
                raise JournalDamaged(seq, f"its kind is {name}, its payload is of another")
        asked = request.decode()
        return Record(seq, at, event, asked, cause.decode() or cause_of(name, asked))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise JournalDamaged(seq, f"its payload is no {name}: {error}") from error


def check_row(row: RawRow, expected: int) -> str:
    """Hold a row against its place in the journal and its checksum; returns its kind. Raises JournalDamaged."""
    seq, at, kind, payload, request, stored, version, cause = row
    if seq != expected:
        raise JournalDamaged(expected, f"it is missing, the next one there is {seq}")
    name = _check_kind(row)
    if checksum(seq, at, kind, payload, request, version, cause) != stored:
        raise JournalDamaged(seq, "its checksum does not match")
    return name


def checksum(seq: int, at: int, kind: bytes, payload: bytes, request: bytes, version: int, cause: bytes) -> int:
    """CRC-32 over all fields. Lengths are in it, and no kind has a point, so no two rows spell the same bytes."""
    if version == 1 and not cause:
        return crc32(_SPELLED % (seq, at, kind, len(request), request, payload))
    return crc32(_SPELLED_IN_FULL % (seq, at, kind, version, len(cause), cause, len(request), request, payload))


def checksum_of(record: Record) -> int:
    """Of the row that it would be written as today."""
    return encode(record)[5]


def fingerprint(checksums: Iterable[int]) -> int:
    """CRC-32 over the checksums of records that follow each other."""
    return crc32(b" ".join(b"%d" % checksum for checksum in checksums))


def _check_kind(row: RawRow) -> str:
    """What the row names. Also the place where a value that lost its type to damage is found."""
    seq, at, kind, payload, request, stored, version, cause = row
    whole = type(at) is int and type(stored) is int and type(version) is int
    if not (whole and type(payload) is bytes and type(request) is bytes and type(cause) is bytes):
        raise JournalDamaged(seq, "a value has lost its type")
    name = _KINDS.get(kind)
    if name is None:
        raise JournalDamaged(seq, f"its kind {kind!r} is unknown")
    if not 1 <= version <= _VERSIONS[name]:
        raise JournalDamaged(seq, f"its version {version} of {name} is unknown")
    return name

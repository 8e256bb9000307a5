"""Records as rows."""

import json
from typing import get_args

import pytest

from exness.core.events import Event
from exness.runtime.ports.journal import JournalDamaged
from exness.storage.codec import KINDS, RawRow, checksum, decode, encode
from tests.contracts.trading import random_trading
from tests.support.books import known_history
from tests.support.journal_rows import as_read


def raw_rows() -> list[RawRow]:
    return [as_read(encode(record)) for record in known_history().records]


def test_every_event_has_a_kind_and_it_is_its_tag() -> None:
    assert set(KINDS) == set(get_args(Event))
    for event_type, kind in KINDS.items():
        assert event_type.__struct_config__.tag == kind


def test_every_record_comes_back_as_it_was() -> None:
    for record in random_trading(1).records:
        assert decode(as_read(encode(record))) == record


def test_a_payload_is_json_with_names_that_speak_for_themselves() -> None:
    payloads = [json.loads(payload) for _, _, _, payload, *_ in map(encode, known_history().records)]
    assert payloads[0] == {
        "type": "account_opened",
        "account": "ann",
        "email": "ann@example.com",
        "deposit": 5000000000,
    }
    (opened,) = [payload for payload in payloads if "fingerprint" in payload]
    assert opened["fingerprint"] == "SOL|long|11500000|4099|None|None"
    assert opened["trade"]["liquidation"] == 195120761
    assert opened["trade"]["side"] == "long"


def test_any_changed_bit_of_any_column_is_found() -> None:
    for row in raw_rows():
        for column, value in enumerate(row):
            if column == 0:
                continue  # seq is the key: a change of it shows as a hole
            for changed in _flips(value):
                damaged = (*row[:column], changed, *row[column + 1 :])
                with pytest.raises(JournalDamaged) as damage:
                    decode(damaged)  # type: ignore[arg-type]
                assert damage.value.seq == row[0]


def _flips(value: object) -> list[object]:
    if isinstance(value, int):
        return [value ^ (1 << bit) for bit in range(0, 63, 7)]
    assert isinstance(value, bytes)
    return [value[:n] + bytes([value[n] ^ (1 << n % 8)]) + value[n + 1 :] for n in range(len(value))]


@pytest.mark.parametrize("value", [None, 1.5, "text", b"bytes"])
@pytest.mark.parametrize("column", [1, 2, 3, 4, 5, 6, 7])
def test_a_value_of_another_type_is_found(column: int, value: object) -> None:
    row = raw_rows()[0]
    with pytest.raises(JournalDamaged, match="record 1 is damaged"):
        decode((*row[:column], value, *row[column + 1 :]))  # type: ignore[arg-type]


def test_a_kind_of_the_future_is_named() -> None:
    with pytest.raises(JournalDamaged, match=r"its kind b'trade_split' is unknown"):
        decode(_signed(b"trade_split", b"{}"))


def test_a_payload_with_a_fitting_checksum_must_still_be_its_event() -> None:
    payload = raw_rows()[0][3]
    with pytest.raises(JournalDamaged, match="its payload is no deposited"):
        decode(_signed(b"deposited", b'{"type":"deposited"}'))
    with pytest.raises(JournalDamaged, match="its kind is deposited, its payload is of another"):
        decode(_signed(b"deposited", payload))


def test_no_two_rows_spell_the_same_bytes_for_the_checksum() -> None:
    rows = [
        (1, 2, b"deposited", b"ab", b"c", 1, b""),
        (1, 2, b"deposited", b"b", b"ca", 1, b""),
        (1, 2, b"deposited", b"ab", b"c", 2, b""),
        (1, 2, b"deposited", b"ab", b"", 1, b"c"),
        (1, 2, b"deposited", b"b", b"a", 1, b"c"),
        (1, 23, b"deposited", b"", b"", 1, b""),
        (12, 3, b"deposited", b"", b"", 1, b""),
        (1, 2, b"deposited", b"", b"", 31, b""),
        (1, 2, b"deposited", b"", b"", 3, b"1"),
    ]
    assert len({checksum(*row) for row in rows}) == len(rows)


def _signed(kind: bytes, payload: bytes) -> RawRow:
    return 1, 2, kind, payload, b"", checksum(1, 2, kind, payload, b"", 1, b""), 1, b""

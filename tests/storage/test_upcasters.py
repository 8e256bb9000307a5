"""What older releases wrote is read as events of today."""

from typing import get_args

import msgspec
import pytest

from exness.core.commands import Reset
from exness.core.events import CloseReason, Event, TradeClosed
from exness.runtime.ports.journal import JournalDamaged
from exness.storage.codec import RawRow, checksum, decode, encode
from exness.storage.upcasters import RETIRED, STEPS, newest
from tests.contracts.trading import random_trading
from tests.storage.damage import old_row
from tests.support.books import is_close, is_liquidation
from tests.support.journal_rows import as_read


def test_every_record_as_the_first_release_wrote_it_is_read_as_one_of_today() -> None:
    desk = random_trading(3)
    desk.do(Reset())
    seen = set()
    for record in desk.records:
        old = old_row(record)
        assert decode(as_read((*old, 1, ""))) == record
        seen.add(old[2])
    assert seen == {"account_opened", "deposited", "trade_opened", "trade_closed", *RETIRED}
    assert any(is_close(record.event) for record in desk.records)


@pytest.mark.parametrize(
    ("request_id", "cause", "read"),
    [
        ("replay:12", "", "replay:12"),
        ("replay:12:account", "", "replay:12:account"),
        ("my-order-7", "", ""),
        ("replay:12", "http:5b2e90c1a4f7-1", "http:5b2e90c1a4f7-1"),
    ],
)
def test_where_a_replay_of_an_older_release_was_is_read_as_the_cause(request_id: str, cause: str, read: str) -> None:
    record = msgspec.structs.replace(random_trading(3).records[0], request=request_id, cause=cause)
    again = decode(as_read(encode(record)))
    assert (again.request, again.cause) == (request_id, read)


def test_an_old_liquidation_is_a_close_at_the_mark_that_lost_the_margin() -> None:
    record = next(record for record in random_trading(3).records if is_liquidation(record.event))
    seq, at, kind, payload, request, stored = old_row(record)
    assert kind == "trade_liquidated"
    assert '"mark":' in payload
    assert '"pnl":' not in payload
    event = decode(as_read((seq, at, kind, payload, request, stored, 1, ""))).event
    assert isinstance(event, TradeClosed)
    assert (event.reason, event.pnl, event.returned) == (CloseReason.LIQUIDATION, -event.margin, 0)
    assert event.bid is not None


def test_a_version_of_the_future_is_named() -> None:
    row = next(encode(record) for record in random_trading(3).records if is_close(record.event))
    with pytest.raises(JournalDamaged, match="its version 3 of trade_closed is unknown"):
        decode(_signed(row[2], row[3], version=3))
    with pytest.raises(JournalDamaged, match="its version 0 of trade_closed is unknown"):
        decode(_signed(row[2], row[3], version=0))


def test_a_retired_kind_has_no_later_versions() -> None:
    with pytest.raises(JournalDamaged, match="its version 2 of started_afresh is unknown"):
        decode(_signed("started_afresh", '{"type":"started_afresh"}', version=2))


def test_an_old_payload_without_what_its_version_had_is_damage() -> None:
    with pytest.raises(JournalDamaged, match="its payload is no trade_opened"):
        decode(_signed("trade_opened", '{"type":"trade_opened","trade":{},"balance":1}', version=1))
    with pytest.raises(JournalDamaged, match="its payload is no trade_liquidated"):
        decode(_signed("trade_liquidated", "[]", version=1))


def test_what_is_written_is_of_the_newest_version_and_no_kind_is_both_written_and_retired() -> None:
    for record in random_trading(3).records:
        _, _, kind, _, _, _, version, _ = encode(record)
        assert version == newest(kind)
    written = {str(event.__struct_config__.tag) for event in get_args(Event)}
    assert not written & set(RETIRED)
    assert set(STEPS) <= written | set(RETIRED)
    for kind, version, _ in RETIRED.values():
        assert kind in written | set(RETIRED)
        assert 1 <= version <= newest(kind)


def _signed(kind: str, payload: str, version: int) -> RawRow:
    stored = checksum(1, 2, kind.encode(), payload.encode(), b"", version, b"")
    return as_read((1, 2, kind, payload, "", stored, version, ""))

"""What all Tables promise: what the records add up to, and how far they have come."""

import pytest

from exness.core.capture import digest_of
from exness.core.commands import Reset
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.tables import Watermark
from exness.storage.codec import encode
from tests.contracts.backends import Stored
from tests.contracts.trading import TRADERS, batches, random_trading
from tests.support.books import ANN, desk_with, known_history, open_account
from tests.support.states import replayed


async def test_the_watermark_is_the_last_record_with_its_checksum(stored: Stored) -> None:
    assert await stored.tables.watermark() == Watermark(0, 0, 0)
    records = known_history().records
    for batch in batches(records):
        await stored.tables.write(batch)
        last = batch[-1]
        assert await stored.tables.watermark() == Watermark(last.seq, encode(last)[5], 0)


@pytest.mark.parametrize("seqs", [(2, 3), (5, 6)], ids=["one before", "a hole"])
async def test_records_that_do_not_follow_are_refused_and_change_nothing(stored: Stored, seqs: tuple[int, int]) -> None:
    records = known_history().records
    await stored.tables.write(records[:3])
    with pytest.raises(StorageError, match="does not follow"):
        await stored.tables.write(records[seqs[0] - 1 : seqs[1]])
    assert (await stored.tables.watermark()).seq == 3
    await stored.tables.write(records[3:])
    assert (await stored.tables.watermark()).seq == len(records)


async def test_an_accounts_records_are_found_in_order_and_page_by_page(stored: Stored) -> None:
    desk = random_trading(5)
    await stored.fill(desk.records)
    for account in [*TRADERS, AccountId("nobody")]:
        own = [r.seq for r in desk.records if r.event.account == account]  # type: ignore[union-attr]
        assert await stored.tables.records_of(account, 0, 10_000) == own
        middle = own[len(own) // 2] if own else 0
        assert await stored.tables.records_of(account, middle, 3) == [seq for seq in own if seq > middle][:3]
    assert digest_of(replayed(desk.records)) == digest_of(desk.state)


async def test_what_was_forgotten_since_is_said_and_not_left_out(stored: Stored) -> None:
    desk = desk_with(ANN)
    desk.do(Reset())
    desk.do(open_account(ANN))
    await stored.fill(desk.records)
    reset = desk.state.seq - 1
    assert (await stored.tables.watermark()).reset == reset
    with pytest.raises(StorageError, match="reset since"):
        await stored.tables.records_of(ANN, reset - 1, 10)
    assert await stored.tables.records_of(ANN, reset, 10) == [reset + 1]

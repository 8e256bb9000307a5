"""What every Journal promises."""

import asyncio
from importlib.util import find_spec

import msgspec
import pytest

from exness.core.events import AccountOpened, Deposited, Record, TradeClosed, TradeOpened
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.storage.codec import encode, fingerprint
from exness.storage.journal import RECORDS_PER_READ
from tests.contracts.backends import Stored
from tests.contracts.trading import append_all, random_trading, read_all
from tests.support import memory_storage as memory_module
from tests.support.books import ANN, assert_books_balance, known_history
from tests.support.memory_storage import MemoryJournal

ALL_KINDS = {AccountOpened, Deposited, TradeOpened, TradeClosed}


async def test_what_is_appended_is_read_back_to_the_last_field(stored: Stored) -> None:
    desk = random_trading(1)
    assert {type(record.event) for record in desk.records} == ALL_KINDS
    await append_all(stored.journal, desk.records)
    assert await read_all(stored.journal) == desk.records
    assert await stored.journal.last_seq() == desk.state.seq
    assert_books_balance(desk.state)


async def test_an_empty_journal_reads_as_nothing(stored: Stored) -> None:
    assert await read_all(stored.journal) == []
    assert await stored.journal.last_seq() == 0
    await stored.journal.append([])
    assert await stored.journal.last_seq() == 0


async def test_reading_begins_after_the_seq_that_is_named(stored: Stored) -> None:
    records = known_history().records
    await append_all(stored.journal, records)
    for after in range(len(records) + 1):
        assert await read_all(stored.journal, after) == records[after:]


async def test_many_records_come_in_chunks_of_bounded_length(stored: Stored) -> None:
    opened = Record(1, 5, AccountOpened(ANN, "ann@example.com", 0))
    paid = [Record(seq, 5, Deposited(ANN, 1, seq - 1)) for seq in range(2, 2 * RECORDS_PER_READ + 2)]
    await stored.journal.append([opened, *paid])
    lengths = [len(chunk) async for chunk in stored.journal.read()]
    assert lengths == [RECORDS_PER_READ, RECORDS_PER_READ, 1]
    assert await read_all(stored.journal) == [opened, *paid]


@pytest.mark.parametrize("text", ["", "naïve 価格 \U0001f4b8", 'quote " slash \\ zero \x00 end', "5,7 "])
async def test_any_text_survives(stored: Stored, text: str) -> None:
    record = Record(1, 5, AccountOpened(AccountId("ann"), f"{text}@example.com", 7), request=text)
    await stored.journal.append([record])
    assert await read_all(stored.journal) == [record]


async def test_a_record_that_does_not_follow_the_last_is_refused_and_nothing_is_written(stored: Stored) -> None:
    records = known_history().records
    await stored.journal.append(records[:3])
    with pytest.raises(StorageError, match="record 5 can't be written, the next one is 4"):
        await stored.journal.append(records[4:6])
    assert await read_all(stored.journal) == records[:3]


async def test_a_hole_within_a_batch_is_refused_and_nothing_is_written(stored: Stored) -> None:
    records = known_history().records
    with pytest.raises(StorageError, match="record 3 can't be written, the next one is 2"):
        await stored.journal.append([records[0], records[2]])
    assert await read_all(stored.journal) == []


async def test_after_a_failed_write_every_further_one_is_refused(stored: Stored) -> None:
    records = known_history().records
    with pytest.raises(StorageError):
        await stored.journal.append(records[1:3])
    with pytest.raises(StorageError, match="takes no more records"):
        await stored.journal.append(records[:1])
    assert await read_all(stored.journal) == []


async def test_damage_names_its_record_and_comes_after_what_is_whole(stored: Stored) -> None:
    records = known_history().records
    await append_all(stored.journal, records)
    stored.damage_record(4)
    read: list[Record] = []

    async def read_on() -> None:
        async for chunk in stored.journal.read():
            read.extend(chunk)

    with pytest.raises(JournalDamaged, match="journal record 4 is damaged: its checksum does not match") as damage:
        await read_on()
    assert damage.value.seq == 4
    assert read == records[:3]
    assert await read_all(stored.journal, after=4) == records[4:]


async def test_a_lost_record_is_named(stored: Stored) -> None:
    records = known_history().records
    await append_all(stored.journal, records)
    stored.lose_record(4)
    with pytest.raises(JournalDamaged, match="journal record 4 is damaged: it is missing, the next one there is 5"):
        await read_all(stored.journal)
    with pytest.raises(JournalDamaged, match="journal record 4 is damaged"):
        await read_all(stored.journal, after=3)


async def test_a_journal_whose_beginning_is_lost_says_so(stored: Stored) -> None:
    await append_all(stored.journal, known_history().records)
    stored.lose_record(1)
    with pytest.raises(JournalDamaged, match="journal record 1 is damaged"):
        await read_all(stored.journal)


async def test_single_records_are_picked_by_their_numbers(stored: Stored) -> None:
    records = known_history().records
    await append_all(stored.journal, records)
    assert await stored.journal.pick([2, 5, 7]) == [records[1], records[4], records[6]]
    assert await stored.journal.pick([]) == []
    stored.damage_record(5)
    with pytest.raises(JournalDamaged) as damage:
        await stored.journal.pick([2, 5])
    assert damage.value.seq == 5


async def test_an_append_whose_caller_is_gone_is_whole_or_not_at_all(stored: Stored) -> None:
    records = known_history().records
    append = asyncio.create_task(stored.journal.append(records))
    await asyncio.sleep(0)
    append.cancel()
    await asyncio.gather(append, return_exceptions=True)
    assert await read_all(stored.journal) in ([], records)


async def test_a_fingerprint_is_of_all_the_newest_thousand_records_up_to_a_place(stored: Stored) -> None:
    records = random_trading(9).records
    await append_all(stored.journal, records)
    length = len(records)
    known = [await stored.journal.fingerprint(seq) for seq in range(1, length + 1)]
    assert len(set(known)) == length
    assert [await stored.journal.fingerprint(seq) for seq in (1, length)] == [known[0], known[-1]]
    assert known[length - 1] == fingerprint(encode(record)[5] for record in records)


async def test_journals_that_differ_in_one_record_differ_in_their_fingerprints_from_there_on(stored: Stored) -> None:
    other, records = MemoryJournal(), random_trading(9, steps=40).records
    place = len(records) // 2
    await append_all(stored.journal, records)
    await append_all(other, records)
    record = records[place - 1]
    other.rows[place - 1] = encode(msgspec.structs.replace(record, request="another"))
    for seq in range(1, len(records) + 1):
        same = await stored.journal.fingerprint(seq) == await other.fingerprint(seq)
        assert same == (seq < place)


async def test_a_fingerprint_costs_a_thousand_records_at_most(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("journal", "postgres.journal"):
        if "postgres" not in module or find_spec("asyncpg") is not None:
            monkeypatch.setattr(f"exness.storage.{module}.FINGERPRINTED", 3)
    monkeypatch.setattr(memory_module, "FINGERPRINTED", 3)
    records = random_trading(9, steps=40).records
    await append_all(stored.journal, records)
    checksums = [encode(record)[5] for record in records]
    assert await stored.journal.fingerprint(10) == fingerprint(checksums[7:10])
    assert await stored.journal.fingerprint(2) == fingerprint(checksums[:2])

"""What tests can do to the journal in memory."""

import asyncio

import pytest

from exness.runtime.ports.journal import StorageError
from tests.contracts.trading import read_all
from tests.support.books import known_history
from tests.support.memory_storage import MemoryJournal


async def test_an_append_waits_for_the_disk() -> None:
    journal, records = MemoryJournal(), known_history().records
    journal.disk.clear()
    append = asyncio.create_task(journal.append(records))
    await asyncio.sleep(0)
    assert not append.done()
    assert await journal.last_seq() == 0
    journal.disk.set()
    await append
    assert await read_all(journal) == records


async def test_an_append_fails_when_told_to_and_so_does_every_one_after_it() -> None:
    journal, records = MemoryJournal(), known_history().records
    await journal.append(records[:2])
    journal.failure = "the disk is full"
    with pytest.raises(StorageError, match="the disk is full"):
        await journal.append(records[2:3])
    journal.failure = None
    with pytest.raises(StorageError, match="takes no more records"):
        await journal.append(records[2:3])
    assert await read_all(journal) == records[:2]

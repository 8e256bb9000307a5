"""A disk that takes its time. Whoever would have to wait too long is told so, untouched; nobody is told "done" early;
prices go on liquidating; nothing grows without a bound; and when the disk is back, so is everything.

How it was seen to fail with its guards taken out (the guard, then the tests that failed):
- no bound in `Sequencer.submit`: the full inbox (nobody is refused, more wait than it may hold)
- `Writer.has_room` is always True: the full inbox, and the wait in it (the queue behind the engine grows on)
- `Writer.durable` does not wait, or `Writer._commit` wakes before it appends: the full inbox (answered early)
- `Sequencer._refuse_overdue` refuses nobody: the wait in the inbox (it has no end)
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exness.core.events import Record
from exness.storage.journal import SqliteJournal
from tests.support.app import Answer, App, Stores, assert_error, running_app
from tests.support.books import SOL
from tests.support.waiting import until

INBOX = 5
QUEUE = 3
REFUSED = 40


class SlowJournal:
    """A journal on a disk that does not answer while `disk` is cleared."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.disk = asyncio.Event()
        self.disk.set()
        self.writing = 0

    async def append(self, records: Sequence[Record]) -> None:
        self.writing += 1
        await self.disk.wait()
        await self._journal.append(records)

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


@asynccontextmanager
async def slow_app(data_dir: Path, inbox_wait_s: float = 60.0) -> AsyncIterator[tuple[App, SlowJournal]]:
    async with Stores.sqlite(data_dir) as stores:
        journal = SlowJournal(stores.journal)  # type: ignore[arg-type]
        slow = stores._replace(journal=journal)  # type: ignore[arg-type]
        async with running_app(slow, inbox_size=INBOX, writer_queue=QUEUE, inbox_wait_s=inbox_wait_s) as app:
            try:
                yield app, journal
            finally:
                journal.disk.set()


async def test_a_slow_disk_fills_the_inbox_and_then_callers_are_refused_untouched(tmp_path: Path) -> None:
    async with slow_app(tmp_path) as (app, journal):
        await app.quote_all()
        (ann,) = await app.known("ann")
        thin = await ann.create(margin="1", leverage=100)
        durable, journal.writing = app.writer.durable_seq, 0
        journal.disk.clear()

        def ask(requests: int) -> list[asyncio.Task[Answer]]:
            return [asyncio.create_task(ann.try_create(margin="1")) for _ in range(requests)]

        asked = ask(QUEUE)
        await until(lambda: app.writer.queued == QUEUE)
        asked += ask(INBOX)
        await until(lambda: len(app.sequencer.inbox) == INBOX)
        refused: list[Answer] = await asyncio.gather(*ask(REFUSED))
        for answer in refused:
            assert_error(answer, 503, "overloaded", retry=True)
        assert (len(app.sequencer.inbox), app.writer.queued) == (INBOX, QUEUE), "full, and not a request more"

        # Nothing is acknowledged early: what the engine has decided is not on disk, so nobody was told.
        assert (app.writer.durable_seq, journal.writing) == (durable, 1)
        assert app.state.seq > durable
        assert not any(task.done() for task in asked)

        # Ticks go on: this one liquidates while the disk stands still.
        checked = app.sequencer.ticks_checked
        await app.quote(SOL, "190")
        assert app.sequencer.ticks_checked > checked
        assert thin["orderId"] not in ann.account.trades
        for _ in range(50):
            await app.quote(SOL, "189")
        assert app.writer.queued == QUEUE + 1, "a tick adds what it liquidates, and no more"

        journal.disk.set()
        answers: list[Answer] = await asyncio.gather(*asked)
        assert [answer.status for answer in answers] == [200] * (QUEUE + INBOX)
        assert app.writer.durable_seq == app.state.seq
        await app.quote(SOL, "189")
        await ann.create(margin="1")
        assert app.sequencer.inbox.overloads == len(refused)


async def test_a_request_does_not_wait_longer_than_it_may(tmp_path: Path) -> None:
    async with slow_app(tmp_path, inbox_wait_s=0.2) as (app, journal):
        await app.quote_all()
        (ann,) = await app.known("ann")
        journal.disk.clear()
        decided = [asyncio.create_task(ann.try_create(margin="1")) for _ in range(QUEUE)]
        await until(lambda: app.writer.queued == QUEUE)
        waiting = [asyncio.create_task(ann.try_create(margin="1")) for _ in range(INBOX)]
        for answer in await asyncio.gather(*waiting):
            assert_error(answer, 503, "overloaded", retry=True)
        assert not any(task.done() for task in decided), "what was decided waits for the disk, however long"
        seq = app.state.seq
        journal.disk.set()
        assert [answer.status for answer in await asyncio.gather(*decided)] == [200] * QUEUE
        assert app.state.seq == seq, "what was refused never happened"


@pytest.mark.parametrize("caller", ["stays", "goes"])
async def test_a_balance_never_shows_what_is_not_on_disk(tmp_path: Path, caller: str) -> None:
    """A reader must not learn of a trade sooner than the one who made it."""
    async with slow_app(tmp_path) as (app, journal):
        await app.quote_all()
        (ann,) = await app.known("ann")
        journal.disk.clear()
        create = asyncio.create_task(ann.try_create(margin="100"))
        await until(lambda: app.writer.queued == 1)
        if caller == "goes":
            create.cancel()
        read = asyncio.create_task(ann.get("/balance/usd"))
        await until(lambda: app.writer.waiting == 2)
        for _ in range(20):
            await app.quote(SOL, "200")
        assert not read.done()
        journal.disk.set()
        assert (await read).body["usd"] == "4900.000000"
        await asyncio.gather(create, return_exceptions=True)

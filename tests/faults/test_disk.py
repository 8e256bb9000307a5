"""A disk that is full or fails in the middle of a commit. The process says why and stops; what was acknowledged is on
the disk, what is on the disk is whole, and with room again everything goes on.

The operating system itself refuses the write: RLIMIT_FSIZE set on the running process (an I/O error to SQLite), and a
file system of one megabyte (a full disk; only where this user may mount one).

How each was seen to fail with its guard taken out (the guard, then the tests that failed):
- `Writer.run` goes on after a failed append: the I/O error, after a failed write (no end; callers wait for ever)
- `Writer._commit` wakes before it appends: the I/O error (an acknowledged trade is gone)
- `SqliteJournal._failed` is never set: after a failed write (the next append is taken)
"""

import asyncio
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exness.core.events import AccountOpened, Record
from exness.core.instruments import AccountId
from exness.runtime.ports.journal import StorageError
from exness.storage.files import JOURNAL_DB
from tests.faults.trading import SNAPSHOTS_NEVER, TRADERS, WAIT_S, Body, Books, acknowledged, signed_in, verified
from tests.support.app import Stores, running_app
from tests.support.process import DidNotStart, Server

ROOM = 60_000
"""Bytes: some commits, not many."""


async def load_until_it_stops(server: Server, books: list[Books]) -> int:
    """Trade on every account at once until the process has ended by itself. Its exit code."""
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        for each in books * 2:
            tasks.create_task(each.trade_until_it_ends(server))
    async with asyncio.timeout(WAIT_S):
        return await server.wait()


def assert_it_said_why(server: Server, code: int, reason: str) -> None:
    assert code == 1
    assert server.errors[-1].startswith("exness: ")
    assert f"{JOURNAL_DB} can't be used, {reason}" in server.errors[-1]
    assert server.errors[-1].count("start again") == 1, "and what to do"
    assert not any("Traceback" in line for line in server.errors)


def assert_nobody_was_told_more_than_is_known(books: list[Books]) -> None:
    """Whose request was not taken was told so; whose commit failed was told that nobody knows, and to ask again."""
    for each in books:
        for answer in each.refused:
            assert_not_acknowledged(answer.status, answer.body)


def assert_not_acknowledged(status: int, body: Body) -> None:
    assert (status, body["code"]) in ((503, "shutting_down"), (500, "internal_error")), body
    if status == 500:
        assert "before it was certain that this is on disk; ask again after the restart" in body["message"]


async def assert_all_is_there_again(server: Server, books: list[Books], digest: str) -> None:
    assert server.banner("state") == digest
    for each in books:
        await each.assert_kept(server)
        each.refused.clear()
        assert (await each.create(server)).status == 200
    assert await server.stop() == 0
    await verified(server.data_dir)


async def test_an_io_error_in_a_commit_stops_the_process_and_loses_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with Server(data_dir, env=SNAPSHOTS_NEVER) as server:
        books = [await signed_in(server, f"user{number}") for number in range(TRADERS)]
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(load_until_it_stops(server, books))
            await acknowledged(books, 20)
            size = (data_dir / f"{JOURNAL_DB}-wal").stat().st_size + ROOM
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, size))
        assert_it_said_why(server, ended.result(), "the disk reports an error: check it, then start again")
        assert_nobody_was_told_more_than_is_known(books)
        digest = await verified(data_dir)
        await server.start()
        await assert_all_is_there_again(server, books, digest)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode != 0:
        pytest.skip("this user may mount no file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)


async def test_a_disk_that_fills_up_in_a_commit_stops_the_process_and_loses_nothing(small_disk: Path) -> None:
    data_dir = small_disk / "data"
    async with Server(data_dir, env=SNAPSHOTS_NEVER, cwd=small_disk.parent) as server:
        books = [await signed_in(server, f"user{number}") for number in range(TRADERS)]
        code = await load_until_it_stops(server, books)
        assert sum(each.acknowledged for each in books) > 0
        assert_it_said_why(server, code, "the disk is full: make room, then start again")
        assert_nobody_was_told_more_than_is_known(books)
        make_room(small_disk)
        digest = await verified(data_dir)
        await server.start()
        await assert_all_is_there_again(server, books, digest)


async def test_a_disk_without_room_for_a_start_is_named(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"\0" * 1_000_000)
    with pytest.raises(DidNotStart) as refusal:
        async with Server(small_disk / "data", cwd=small_disk.parent):
            pass
    assert refusal.value.code == 1
    (sentence,) = refusal.value.errors.splitlines()
    assert "No space left" in sentence or "the disk is full" in sentence or "disk reports an error" in sentence


def record_after(seq: int) -> Record:
    """A record that would be fine."""
    return Record(seq + 1, 2**60, AccountOpened(AccountId("late"), "late@example.com", 0))


async def test_after_a_failed_write_nothing_more_is_answered_and_nothing_more_is_written(tmp_path: Path) -> None:
    """In one process, with SQLite's own bound on a file: the failed commit is the last thing that happens."""
    async with (
        Stores.sqlite(tmp_path) as stores,
        running_app(stores, journal_fails="the disk is full: make room, then start again") as app,
    ):
        await app.quote_all()
        (ann,) = await app.known("ann")
        first = await ann.create(margin="1")

        def fill(connection: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
            connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

        await stores.journal._writer.run(fill)  # type: ignore[attr-defined]
        answers = await asyncio.gather(*(ann.try_create(margin="1", clientOrderId=f"{n}" * 60) for n in range(8)))
        while all(answer.status == 200 for answer in answers):
            answers = await asyncio.gather(
                *(ann.try_create(margin="0.01", clientOrderId=f"{app.state.seq}-{n}" + "x" * 50) for n in range(8))
            )
        refused = [answer for answer in answers if answer.status != 200]
        for answer in refused:
            assert_not_acknowledged(answer.status, answer.body)
        assert app.writer.halted
        assert app.writer.durable_seq < app.state.seq, "the state went ahead of the disk: it may not go on"
        late = await ann.try_create(margin="1")
        assert (late.status, late.code) == (503, "shutting_down")
        with pytest.raises(StorageError, match="takes no more records since a write failed"):
            await stores.journal.append([record_after(app.writer.durable_seq)])
        written, durable = await stores.journal.last_seq(), app.writer.durable_seq
        assert written == durable
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        assert app.state.seq == durable
        assert first["orderId"] in app.state.accounts[app.state.by_email["ann@example.com"]].trades
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create(margin="1")

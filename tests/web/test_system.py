"""web/system.py: alive, and ready or why not."""

import asyncio

import pytest

from exness.runtime.ports import StorageError
from tests.support.app import JSON, App, running_app, until
from tests.support.books import ETH

FEED = {"feed": "prices set by a test", "simulated": True}


async def test_a_live_process_is_healthy(app: App) -> None:
    answer = await app.get("/healthz")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, {"status": "ok", "version": "1.2.3"}, JSON)


async def test_with_fresh_prices_it_is_ready(app: App) -> None:
    answer = await app.get("/readyz")
    assert answer.status == 200
    assert answer.body == {"success": True, "ready": True, "reasons": [], "code": None, "message": None} | FEED


async def assert_not_ready(app: App, *reasons: str) -> None:
    answer = await app.get("/readyz")
    assert answer.status == 503
    assert answer.body == {
        "success": False,
        "ready": False,
        "reasons": list(reasons),
        "code": "not_ready",
        "message": "The exchange is not ready",
    } | FEED
    assert int(answer.headers["Retry-After"]) >= 1


async def test_before_the_first_prices_it_is_not_ready() -> None:
    async with running_app() as app:
        await app.quote(ETH, "3000")
        await assert_not_ready(app, "SOL has no fresh price", "BTC has no fresh price")


async def test_when_prices_are_old_it_is_no_longer_ready_and_healthy_all_the_same(app: App) -> None:
    app.let_prices_age()
    await app.quote(ETH, "3000")
    await assert_not_ready(app, "SOL has no fresh price", "BTC has no fresh price")
    assert (await app.get("/healthz")).status == 200
    await app.quote_all()
    assert (await app.get("/readyz")).status == 200


async def test_while_the_journal_is_behind_it_is_not_ready() -> None:
    async with running_app(writer_queue=1) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.hold_disk()
        creating = asyncio.create_task(ann.try_create())
        await until(lambda: app.writer.queued == 1)
        await assert_not_ready(app, "the journal is behind")
        app.release_disk()
        assert (await creating).status == 200
        assert (await app.get("/readyz")).status == 200


async def test_when_the_journal_has_failed_it_says_so() -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        async with running_app(writer_queue=1) as app:
            await app.quote_all()
            (ann,) = await app.known("ann")
            app.journal.failure = "the disk is full"
            await ann.try_create()
            await assert_not_ready(app, "the journal can't be written", "the journal is behind")

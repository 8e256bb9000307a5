"""web/v1/health.py: alive, and ready or why not."""

import asyncio

import msgspec
import pytest

from exness.web.v1 import health as system
from tests.support.app import JSON, App, running_app
from tests.support.books import ETH, SOL, tick
from tests.support.waiting import until

FEED = {"feed": "prices set by a test", "simulated": True, "connected": True}


def prices(sol: str = "live", eth: str = "live", btc: str = "live") -> dict[str, dict[str, str]]:
    return {"prices": {"SOL": sol, "ETH": eth, "BTC": btc}}


async def test_a_live_process_is_healthy(app: App) -> None:
    answer = await app.get("/healthz")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (
        200,
        {"status": "ok", "version": "1.2.3"},
        JSON,
    )


async def test_with_fresh_prices_it_is_ready(app: App) -> None:
    answer = await app.get("/readyz")
    assert answer.status == 200
    ready = {"success": True, "ready": True, "reasons": [], "code": None, "message": None}
    assert answer.body == ready | FEED | prices()


async def assert_not_ready(app: App, *reasons: str, **states: str) -> None:
    answer = await app.get("/readyz")
    assert answer.status == 503
    assert answer.body == {
        "success": False,
        "ready": False,
        "reasons": list(reasons),
        "code": "not_ready",
        "message": "The exchange is not ready",
    } | FEED | prices(**states)
    assert int(answer.headers["Retry-After"]) >= 1


async def test_before_the_first_prices_it_is_not_ready() -> None:
    async with running_app() as app:
        await app.quote(ETH, "3000")
        missing = ("SOL has no fresh price: down", "BTC has no fresh price: down")
        await assert_not_ready(app, *missing, sol="down", btc="down")


async def test_when_prices_are_old_it_is_no_longer_ready_and_healthy_all_the_same(app: App) -> None:
    app.let_prices_age()
    await app.quote(ETH, "3000")
    missing = ("SOL has no fresh price: stale", "BTC has no fresh price: stale")
    await assert_not_ready(app, *missing, sol="stale", btc="stale")
    assert (await app.get("/healthz")).status == 200
    await app.quote_all()
    assert (await app.get("/readyz")).status == 200


async def test_a_jump_that_is_not_confirmed_keeps_it_from_being_ready_until_it_is(app: App) -> None:
    app.sequencer.tick(msgspec.structs.replace(tick(SOL, "200"), life_us=0, suspect=True))
    await until(lambda: app.state.price_state(SOL, app.clock.now) == "suspect")
    await assert_not_ready(app, "SOL shows a jump that is not confirmed: suspect", sol="suspect")
    await app.quote(SOL, "300")
    assert (await app.get("/readyz")).status == 200


async def test_a_lost_feed_is_named_once_a_price_is_missing_and_not_before(app: App) -> None:
    vars(app.exchange.feed)["connected"] = False
    ready = await app.get("/readyz")
    assert (ready.status, ready.body["connected"]) == (200, False)
    app.let_prices_age()
    answer = await app.get("/readyz")
    assert answer.body["reasons"][0] == "the price feed is not connected"
    assert answer.body["prices"] == {"SOL": "stale", "ETH": "stale", "BTC": "stale"}


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
    async with running_app(writer_queue=1, journal_fails="the disk is full") as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.journal.failure = "the disk is full"
        await ann.try_create()
        await assert_not_ready(app, "the journal can't be written", "the journal is behind")


async def test_while_a_commit_is_stuck_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "STUCK_S", 0.0)
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.hold_disk()
        creating = asyncio.create_task(ann.create())
        await until(lambda: app.writer.stuck_s > 0, "for the commit to hang")
        await assert_not_ready(app, "the journal is stuck: its disk does not answer")
        app.release_disk()
        await creating
        assert (await app.get("/readyz")).status == 200


async def test_while_the_loop_lags_it_is_not_ready(app: App) -> None:
    app.services.loop.lag_s = system.LAGGING_S + 0.1
    await assert_not_ready(app, "the loop lags behind")

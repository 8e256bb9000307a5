"""A reset, for the stream and the candles: nothing of before is left, and nobody takes the new for the old."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exness.core.instruments import AccountId
from exness.runtime.ports.journal import StorageError
from exness.web.stream.protocol import CloseCode
from tests.support.app import Stores
from tests.support.waiting import until
from tests.web.dev_control import known, manual_app, set_price
from tests.web.streams import listening


async def test_who_listens_to_an_account_is_told_goodbye_and_who_listens_to_prices_stays() -> None:
    async with manual_app() as (app, _):
        await set_price(app, "SOL", "200")
        ann = await known(app)
        await ann.create()
        async with listening(app, ann) as private, listening(app) as public:
            await private.snapshot("trades")
            await public.snapshot("prices")
            assert (await app.post("/dev/reset", None)).status == 200
            assert await private.closed() == CloseCode.STARTED_AFRESH
            await set_price(app, "SOL", "150")
            price = await public.until(lambda frame: frame["type"] == "price" and frame["data"]["asset"] == "SOL")
            assert price["data"]["mark"] in ("150.000000", None)


async def test_nobody_resumes_across_a_reset() -> None:
    async with manual_app() as (app, _):
        await set_price(app, "SOL", "200")
        ann = await known(app)
        await ann.create()
        before = app.state.seq
        assert (await app.post("/dev/reset", None)).status == 200
        assert (await ann.get("/balance")).status == 200
        async with listening(app, ann) as client:
            await client.say("subscribe", channels=["trades"], resume=before)
            refused = await client.until(lambda frame: frame["type"] == "error")
            assert refused["data"]["code"] == "resume_impossible"
            assert (await client.next("trades", "snapshot"))["data"] == []


async def test_the_candles_of_before_are_gone_from_memory_and_disk(tmp_path: Path) -> None:
    query = "/klines?asset=SOL&interval=1m"
    async with Stores.sqlite(tmp_path) as stores:
        async with manual_app(stores=stores) as (app, feed):
            await set_price(app, "SOL", "200")
            await known(app)
            assert len((await app.get(query)).body) == 1
            assert (await app.post("/dev/reset", None)).status == 200
            assert (await app.get(query)).body == []
            feed.clock.pause()
            await set_price(app, "SOL", "150")
            (candle,) = (await app.get(query)).body
            assert (candle["open"], candle["high"], candle["trades"]) == ("150.000000", "150.000000", 1)
        stored = await stores.candles.newest_candles()
        assert {candle.high for candle in stored.candles} == {150_000_000}


async def test_who_resumes_while_a_reset_happens_is_told_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be told again is followed by a snapshot; here the account that it would show is gone by then."""
    async with manual_app() as (app, _):
        await set_price(app, "SOL", "200")
        ann = await known(app)
        before = app.state.seq
        await ann.create()
        reset, reads = asyncio.Event(), list[int]()

        async def broken(account: AccountId, after: int, limit: int) -> list[int]:
            reads.append(after)
            await reset.wait()
            raise StorageError("the disk is gone")

        async with listening(app, ann) as client:
            with monkeypatch.context() as patched, capture_logs() as logs:
                patched.setattr(app.stores.tables, "records_of", broken)
                await client.say("subscribe", channels=["trades"], resume=before)
                await until(lambda: reads == [before])
                app.hold_disk()
                resetting = asyncio.create_task(app.post("/dev/reset", None))
                await until(lambda: not app.state.accounts)
                reset.set()
                assert await client.closed() == CloseCode.STARTED_AFRESH
                app.release_disk()
                assert (await resetting).status == 200
            assert client.told("trades") == []
            assert [line["event"] for line in logs if line["log_level"] != "info"] == ["a stream could not be resumed"]

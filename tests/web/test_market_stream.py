"""web/market_stream.py over real WebSockets: what prices and candles tell, and what it costs to tell it to many."""

from exness.core.commands import PriceTick
from tests.support.app import App, running_app
from tests.support.books import BTC, ETH, SOL
from tests.web.streams import hub_of, listening


async def test_prices_begin_with_all_of_them_and_go_on_with_each_that_changes(app: App) -> None:
    async with listening(app) as client:
        snapshot = await client.snapshot("prices")
        assert snapshot["data"] == (await app.get("/prices")).body
        await app.quote(SOL, "201.5")
        price = await client.next("prices")
        assert (price["type"], price["data"]) == ("price", (await app.get("/prices/SOL")).body)
        assert price["seq"] > snapshot["seq"]
        await app.quote(BTC, "99999")
        assert (await client.next("prices"))["data"]["asset"] == "BTC"


async def test_one_assets_prices_are_its_own_only(app: App) -> None:
    async with listening(app) as client:
        snapshot = await client.snapshot("prices.SOL")
        assert snapshot["data"] == (await app.get("/prices/SOL")).body
        await app.quote(ETH, "3001")
        await app.quote(SOL, "202")
        assert (await client.next("prices.SOL"))["data"]["mark"] == "202.000000"
        await client.pong()
        assert {frame["channel"] for frame in client.frames} == {"control", "prices.SOL"}


async def test_a_suspect_price_and_one_that_only_aged_are_told_by_their_state(app: App) -> None:
    async with listening(app) as client:
        await client.snapshot("prices.SOL")
        app.sequencer.tick(PriceTick(SOL, 200_000_000, 200_000_000, 30_000_000, suspect=True))
        assert (await client.next("prices.SOL"))["data"]["state"] == "suspect"
        app.let_prices_age()
        stale = await client.next("prices.SOL")
        assert (stale["data"]["state"], stale["data"]["stale"]) == ("stale", True)


async def test_candles_grow_with_the_marks_and_a_suspect_tick_is_no_mark(app: App) -> None:
    async with listening(app) as client:
        channel = "candles.1m.SOL"
        snapshot = await client.snapshot(channel)
        assert (snapshot["data"]["open"], snapshot["data"]["trades"]) == ("200.000000", 1)
        app.sequencer.tick(PriceTick(SOL, 1, 1, 30_000_000, suspect=True))
        await app.quote(SOL, "190")
        candle = await client.next(channel, "candle")
        assert (candle["data"]["low"], candle["data"]["close"]) == ("190.000000", "190.000000")
        app.clock.advance(60)
        await app.quote(SOL, "210")
        following = (await client.next(channel, "candle"))["data"]
        assert (following["start"], following["open"]) == (candle["data"]["end"], "210.000000")
        assert [frame["data"]["trades"] for frame in client.told(channel)] == [2, 1]


async def test_a_candle_channel_without_a_mark_shows_null() -> None:
    async with running_app() as app, listening(app) as client:
        assert (await client.snapshot("candles.1d.BTC"))["data"] is None
        assert (await client.snapshot("prices.BTC"))["data"]["state"] == "down"


async def test_a_frame_is_encoded_once_however_many_listen(app: App) -> None:
    async with listening(app) as one, listening(app) as other, listening(app) as third:
        for client in (one, other, third):
            await client.snapshot("prices")
            await client.pong()
        before = hub_of(app).frames_made
        await app.quote(SOL, "201")
        for client in (one, other, third):
            assert (await client.next("prices"))["data"]["mark"] == "201.000000"
        assert hub_of(app).frames_made == before + 1

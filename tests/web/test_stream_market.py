"""web/stream/market.py over real WebSockets: what prices and candles tell, and what it costs to tell it to many."""

from exness.core.commands import PriceTick
from tests.support.app import App, running_app
from tests.support.books import BTC, ETH, SOL
from tests.web.dev_control import clock, entry, manual_app, run_script, set_price
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


# --- the clock --------------------------------------------------------------------------------------------------------


async def test_the_clock_is_told_whenever_a_hand_has_moved_it_and_never_by_itself() -> None:
    async with manual_app() as (app, _feed), listening(app) as client:
        snapshot = await client.snapshot("clock")
        told = (await app.get("/dev/clock")).body
        assert snapshot["data"] == {name: told[name] for name in ("now", "paused", "speed", "scriptLeft")}
        stepped = await clock(app, step=61)
        moved = await client.next("clock")
        assert (moved["type"], moved["at"], moved["data"]["now"]) == ("clock", stepped["now"], stepped["now"])
        assert moved["seq"] > snapshot["seq"]
        await clock(app, paused=False, speed="0.25")
        running = (await client.until(lambda frame: frame["data"].get("paused") is False))["data"]
        assert (running["speed"], running["scriptLeft"]) == (0.25, 0)
        await client.pong()
        before = len(client.told("clock"))
        await set_price(app, "SOL", "200")
        await client.pong()
        assert len(client.told("clock")) == before


async def test_the_clock_tells_how_many_scripted_prices_are_to_come_also_as_they_come() -> None:
    async with manual_app() as (app, _feed), listening(app) as client:
        await client.snapshot("clock")
        await run_script(app, entry(1), entry(2), entry(3))
        assert (await client.next("clock"))["data"]["scriptLeft"] == 3
        await clock(app, step=2)
        await client.until(lambda frame: frame["data"].get("scriptLeft") == 1)
        assert (await app.post("/dev/reset")).status == 200
        ended = (await client.until(lambda frame: frame["data"].get("scriptLeft") == 0))["data"]
        assert ended["paused"] is False


async def test_where_nobody_holds_the_clock_there_is_no_such_channel(app: App) -> None:
    async with listening(app) as client:
        refused = await client.error("subscribe", channels=["prices", "clock"])
        assert refused["code"] == "invalid_request"
        assert "'clock'" in refused["message"]

"""mockvenue/server.py: Backpack's public protocol as FORMATS-like figures, by a plain client."""

import asyncio
import json

import aiohttp
import pytest

from exness.mockvenue.candles import INTERVALS
from exness.mockvenue.faults import parse_fault
from tests.mockvenue.helpers import BTC, SOL, get, listening, quote_all, running_venue, tick
from tests.support.waiting import until

INVALID_STREAM = {"id": None, "error": {"code": 4006, "message": "Invalid stream"}}
AT_US = 1_769_850_902_123_456


async def test_a_subscription_is_not_acknowledged_and_brings_data_in_envelopes() -> None:
    async with running_venue(now_us=lambda: AT_US) as venue, listening(venue) as client:
        await client.ask("SUBSCRIBE", "bookTicker.SOL_USDC", "trade.SOL_USDC", "markPrice.SOL_USDC_PERP")
        await until(lambda: any(each.streams for each in venue.clients))
        venue.take(tick(SOL, 188.41))
        frames = [await client.hear() for _ in range(3)]
    by_stream = {frame["stream"]: frame["data"] for frame in frames}
    book, trade, mark = (by_stream[f"{kind}"] for kind in sorted(by_stream))
    assert all(frame.keys() == {"stream", "data"} for frame in frames)
    assert (book["e"], book["s"], book["b"], book["a"]) == ("bookTicker", "SOL_USDC", "188.391159", "188.428841")
    assert (book["E"], book["T"], type(book["u"])) == (AT_US, AT_US, str)
    assert (mark["e"], mark["q"], type(mark["t"]), type(mark["m"])) == ("trade", "1.50", int, bool)
    assert (trade["e"], trade["p"], trade["s"]) == ("markPrice", "188.41", "SOL_USDC_PERP")
    assert trade["n"] % (8 * 3_600_000) == 0


async def test_update_ids_and_trade_ids_grow_with_every_price() -> None:
    async with running_venue() as venue, listening(venue) as client:
        await client.ask("SUBSCRIBE", "bookTicker.BTC_USDC")
        await until(lambda: any(each.streams for each in venue.clients))
        for price in range(100, 150):
            venue.take(tick(BTC, price))
        ids = [int((await client.hear())["data"]["u"]) for _ in range(50)]
    assert ids == sorted(set(ids))


async def test_candles_stream_open_and_then_closed() -> None:
    now = AT_US

    async with running_venue(now_us=lambda: now) as venue, listening(venue) as client:
        await client.ask("SUBSCRIBE", "kline.1m.SOL_USDC")
        await until(lambda: any(each.streams for each in venue.clients))
        venue.take(tick(SOL, 200, spread=0))
        now += 60_000_000
        venue.take(tick(SOL, 210, spread=0))
        candles = [(await client.hear())["data"] for _ in range(3)]
    assert [(candle["o"], candle["c"], candle["X"], candle["n"]) for candle in candles] == [
        ("200.00", "200.00", False, 1),
        ("200.00", "200.00", True, 1),
        ("210.00", "210.00", False, 1),
    ]
    assert (candles[0]["t"], candles[0]["T"]) == ("2026-01-31T09:15:00", "2026-01-31T09:16:00")


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "bookTicker",
        "bookTicker.DOGE_USDC",
        "kline.7m.SOL_USDC",
        "kline.SOL_USDC",
        "markPrice.SOL_USDC",
        "x.SOL_USDC",
    ],
)
async def test_an_unknown_stream_is_refused_with_the_venues_own_frame_and_the_others_are_not(stream: str) -> None:
    async with running_venue() as venue, listening(venue) as client:
        await client.ask("SUBSCRIBE", stream, "bookTicker.SOL_USDC")
        assert await client.hear() == INVALID_STREAM
        venue.take(tick(SOL, 200))
        assert (await client.hear())["stream"] == "bookTicker.SOL_USDC"


async def test_who_unsubscribes_hears_no_more() -> None:
    async with running_venue() as venue, listening(venue) as client:
        await client.ask("SUBSCRIBE", "bookTicker.SOL_USDC", "bookTicker.BTC_USDC")
        await client.ask("UNSUBSCRIBE", "bookTicker.SOL_USDC")
        await until(lambda: any(each.streams == {"bookTicker.BTC_USDC"} for each in venue.clients))
        quote_all(venue)
        assert (await client.hear())["stream"] == "bookTicker.BTC_USDC"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"method":"SUBSCRIBE"}', '{"method":"DANCE","params":[]}', "[" * 9_999]
)
async def test_a_request_that_cannot_be_read_is_answered_and_the_connection_lives(text: str) -> None:
    async with running_venue() as venue, listening(venue) as client:
        await client.socket.send_str(text)
        assert (await client.hear())["error"]["code"] == 4000
        await client.ask("SUBSCRIBE", "nothing.X")
        assert await client.hear() == INVALID_STREAM


async def test_it_pings_and_cuts_off_who_never_answers() -> None:
    async with (
        running_venue(ping_interval_s=0.05, pong_timeout_s=0.1) as venue,
        aiohttp.ClientSession() as session,
        session.ws_connect(venue.ws_url, autoping=False) as socket,
    ):
        pinged = await socket.receive()
        assert pinged.type is aiohttp.WSMsgType.PING
        await socket.pong(pinged.data)
        await until(lambda: not venue.clients)


async def test_on_shutdown_it_says_close_and_comes_back_on_the_same_port() -> None:
    async with running_venue() as venue:
        async with listening(venue) as client:
            stopping = asyncio.create_task(venue.stop())
            message = await client.socket.receive()
            assert (message.type, client.socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
            await stopping
        port = venue.port
        await venue.start()
        assert venue.port == port
        assert await get(venue, "ping") == (200, "pong")


async def test_a_reader_that_stands_still_is_cut_off_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exness.mockvenue.client.FRAMES_WAITING", 50)
    async with running_venue() as venue, listening(venue) as slow, listening(venue) as quick:
        await quick.ask("SUBSCRIBE", "bookTicker.SOL_USDC")
        await slow.ask(
            "SUBSCRIBE", *(f"kline.{interval}.SOL_USDC{end}" for interval in INTERVALS for end in ("", "_PERP"))
        )
        await until(lambda: sum(bool(each.streams) for each in venue.clients) == 2)
        assert slow.socket._conn is not None
        transport = slow.socket._conn.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

        async def flood() -> None:
            while len(venue.clients) == 2:
                venue.take(tick(SOL, 200))
                await quick.hear()

        await asyncio.wait_for(flood(), 60)
        transport.abort()


async def test_rest_answers_as_the_venue_does() -> None:
    async with running_venue(now_us=lambda: AT_US) as venue:
        quote_all(venue)
        assert await get(venue, "ping") == (200, "pong")
        assert await get(venue, "time") == (200, str(AT_US // 1_000))
        assert (await get(venue, "status"))[1]["status"] == "Ok"
        assert [row["symbol"] for row in (await get(venue, "markets", marketType="PERP"))[1]] == [
            "SOL_USDC_PERP",
            "ETH_USDC_PERP",
            "BTC_USDC_PERP",
        ]
        assert len((await get(venue, "tickers"))[1]) == 6
        ticker = (await get(venue, "ticker", symbol="SOL_USDC"))[1]
        assert (ticker["symbol"], ticker["trades"], ticker["volume"]) == ("SOL_USDC", "1", "1.50")
        (mark,) = (await get(venue, "markPrices", symbol="BTC_USDC_PERP"))[1]
        assert (mark["markPrice"], mark["symbol"]) == ("100000.00", "BTC_USDC_PERP")
        depth = (await get(venue, "depth", symbol="SOL_USDC", limit="5"))[1]
        assert [float(price) for price, _ in depth["bids"]] == sorted(float(price) for price, _ in depth["bids"])
        assert (len(depth["bids"]), type(depth["lastUpdateId"]), depth["timestamp"]) == (5, str, AT_US)
        (candle,) = (await get(venue, "klines", symbol="SOL_USDC", interval="1h", startTime="0"))[1]
        assert (candle["start"], candle["end"]) == ("2026-01-31 09:00:00", "2026-01-31 10:00:00")


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("ticker", {}, 400, "INVALID_CLIENT_REQUEST"),
        ("ticker", {"symbol": "DOGE_USDC"}, 400, "INVALID_SYMBOL"),
        ("ticker", {"symbol": "SOL_USDC"}, 404, "RESOURCE_NOT_FOUND"),
        ("depth", {"symbol": "SOL_USDC", "limit": "7"}, 400, "INVALID_CLIENT_REQUEST"),
        ("klines", {"symbol": "SOL_USDC", "interval": "7m", "startTime": "0"}, 400, "INVALID_CLIENT_REQUEST"),
        ("klines", {"symbol": "SOL_USDC", "interval": "1m"}, 400, "INVALID_CLIENT_REQUEST"),
        ("klines", {"symbol": "SOL_USDC", "interval": "1m", "startTime": "x"}, 400, "INVALID_CLIENT_REQUEST"),
        ("order", {}, 404, "RESOURCE_NOT_FOUND"),
    ],
)
async def test_rest_refuses_in_the_venues_form(path: str, query: dict[str, str], status: int, code: str) -> None:
    async with running_venue() as venue:
        answered, body = await get(venue, path, **query)
    assert (answered, body["code"]) == (status, code)
    assert body.keys() == {"code", "message"}


async def test_before_the_first_price_there_are_no_candles_and_no_tickers() -> None:
    async with running_venue() as venue:
        assert await get(venue, "tickers") == (200, [])
        assert await get(venue, "klines", symbol="SOL_USDC", interval="1m", startTime="0") == (200, [])


async def test_the_same_frame_goes_to_all_who_listen_and_is_made_once() -> None:
    async with running_venue() as venue, listening(venue) as one, listening(venue) as other:
        for client in (one, other):
            await client.ask("SUBSCRIBE", "bookTicker.SOL_USDC")
        await until(lambda: sum(bool(each.streams) for each in venue.clients) == 2)
        venue.take(tick(SOL, 200))
        assert json.dumps(await one.hear()) == json.dumps(await other.hear())


def test_a_fault_is_read_with_its_frequency() -> None:
    assert (parse_fault("drop").every, parse_fault("drop:every=7").every) == (50, 7)
    for text in ("", "fire", "drop:every=0", "drop:every=x", "drop:often"):
        with pytest.raises(ValueError, match="fault"):
            parse_fault(text)

"""web/fapi/streams over real WebSockets: who is answered how, what each stream tells, and in which chain."""

from typing import Any

import aiohttp
import pytest

from exness.core.commands import PriceTick
from exness.web.fapi.streams.hub import BINANCE_HUB
from exness.web.fapi.streams.names import Names
from tests.binance.face import Bot
from tests.binance.streams import Json, socket
from tests.support.app import App
from tests.support.books import ETH, SECOND, SOL
from tests.support.waiting import until

PATHS = [f"{prefix}/{kind}" for prefix in ("", "/public", "/market", "/private") for kind in ("ws", "stream")]


# --- paths and requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_every_prefix_has_every_stream_and_only_stream_wraps(app: App, path: str) -> None:
    async with socket(app, path, origin="https://anywhere.example") as client:
        await client.follow("solusdc@bookTicker")
        first = await client.frame()
        if path.endswith("stream"):
            assert first.keys() == {"stream", "data"}
            assert first["stream"] == "solusdc@bookTicker"
            first = first["data"]
        assert (first["e"], first["b"]) == ("bookTicker", "200.000000")


@pytest.mark.parametrize(
    "path",
    [
        "/ws/solusdc@bookTicker/ethusdc@bookTicker/nothing",
        "/public/ws/solusdc@bookTicker/0/ethusdc@bookTicker",
        "/stream?streams=solusdc@bookTicker/ethusdc@bookTicker",
        "/market/stream?streams=ethusdc@bookTicker/solusdc@bookTicker/unknown@x",
    ],
)
async def test_a_path_names_streams_and_unknown_names_are_no_error(app: App, path: str) -> None:
    async with socket(app, path) as client:
        events = [(each.get("data") or each) for each in (await client.frame(), await client.frame())]
        assert {each["s"] for each in events} == {"SOLUSDC", "ETHUSDC"}
        listed = (await client.asked("LIST_SUBSCRIPTIONS"))["result"]
        assert {"solusdc@bookTicker", "ethusdc@bookTicker"} <= set(listed)


@pytest.mark.parametrize("path", ["/ws/", "/public/ws/0", "/ws/1?listenKey=abc", "/stream"])
async def test_a_path_that_names_no_stream_is_a_socket_that_tells_nothing(app: App, path: str) -> None:
    async with socket(app, path) as client:
        await app.quote(SOL, "201")
        await client.settled()
        assert len(client.frames) == 1


@pytest.mark.parametrize("given", [0, 7, -1, "3c5b1a0e-7a52-4d7e-9d6b-6ff4a3b8a1c2", None])
async def test_an_id_comes_back_as_it_was(app: App, given: object) -> None:
    async with socket(app) as client:
        await client.say(method="SUBSCRIBE", params=["solusdc@trade"], id=given)
        assert await client.frame() == {"result": None, "id": given}
        await client.say(method="LIST_SUBSCRIPTIONS", id=given)
        assert await client.frame() == {"result": ["solusdc@trade"], "id": given}
        await client.say(method="UNSUBSCRIBE", params=["solusdc@trade", "never@followed"], id=given)
        assert await client.frame() == {"result": None, "id": given}
        await client.say(method="LIST_SUBSCRIPTIONS", params=[], id=given)
        assert await client.frame() == {"result": [], "id": given}


@pytest.mark.parametrize(
    ("said", "code", "message_id"),
    [
        ("{", 3, None),
        ("[]", 2, None),
        ('{"id":4}', 2, 4),
        ('{"method":"DANCE","id":4}', 2, 4),
        ('{"method":"SUBSCRIBE","id":4}', 2, 4),
        ('{"method":"SUBSCRIBE","params":"x","id":4}', 2, 4),
        ('{"method":"SUBSCRIBE","params":[1],"id":4}', 2, 4),
        ('{"method":"SUBSCRIBE","params":[],"id":1.5}', 2, None),
        ('{"method":"SUBSCRIBE","params":[],"id":true}', 2, None),
    ],
)
async def test_what_is_not_understood_is_said_and_nothing_is_followed(
    app: App, said: str, code: int, message_id: int | None
) -> None:
    async with socket(app) as client:
        await client.socket.send_str(said)
        answer = await client.frame()
        assert (answer["error"]["code"], answer["id"]) == (code, message_id)
        assert answer["error"]["msg"]
        assert (await client.asked("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_too_many_streams_are_refused_whole(app: App) -> None:
    async with socket(app) as client:
        names = [f"x{number}" for number in range(201)]
        assert (await client.asked("SUBSCRIBE", *names))["error"]["code"] == 2
        assert (await client.asked("LIST_SUBSCRIPTIONS"))["result"] == []
        await client.follow(*names[:200])
    assert app.http is not None
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await app.http.ws_connect(f"{app.url}/ws/{'/'.join(names)}")


async def test_what_is_no_websocket_is_refused_in_binances_words(app: App) -> None:
    assert app.http is not None
    async with app.http.get(f"{app.url}/ws/x") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, -5000)


async def test_who_leaves_is_told_no_more_and_nothing_is_made_for_nobody(app: App) -> None:
    hub = app.runner.app[BINANCE_HUB]
    async with socket(app) as client:
        names = list(Names([("SOLUSDC", SOL)]))
        await client.follow(*names)
        await until(lambda: hub.market._channels.keys() == set(names))
        await client.asked("UNSUBSCRIBE", *names)
        made = hub.market.made
        await app.quote(SOL, "202")
        await client.settled()
        assert not hub.market._channels
        assert not hub.market._dirty
        assert not any(hub.market._by_asset.values())
        assert hub.market.made == made
        await client.follow("solusdc@depth")
    await until(lambda: not hub.subscribers)
    assert not hub.market._channels


async def test_an_event_is_made_once_for_all_who_follow(app: App) -> None:
    hub = app.runner.app[BINANCE_HUB]
    async with socket(app) as one, socket(app) as two, socket(app, "/stream") as three:
        for client in (one, two, three):
            await client.follow("solusdc@bookTicker")
            await client.frame()
        made = hub.market.made
        await app.quote(SOL, "201", "201.5")
        assert (await one.frame()) == (await two.frame()) == (await three.frame())["data"]
        assert hub.market.made == made + 1


# --- forms ----------------------------------------------------------------------------------------------------------

N, S, B = int, str, bool
K = dict.fromkeys("sioclhvqVQB", S) | dict.fromkeys("tTfLn", N) | {"x": B}
FORMS: dict[str, dict[str, Any]] = {
    "solusdc@bookTicker": {"e": S, "u": N, "E": N, "T": N, "s": S, "b": S, "B": S, "a": S, "A": S},
    "!bookTicker": {"e": S, "u": N, "E": N, "T": N, "s": S, "b": S, "B": S, "a": S, "A": S},
    "solusdc@aggTrade": {
        "e": S, "E": N, "s": S, "a": N, "p": S, "q": S, "nq": S, "f": N, "l": N, "T": N, "m": B,
    },
    "solusdc@trade": {"e": S, "E": N, "T": N, "s": S, "t": N, "p": S, "q": S, "X": S, "m": B},
    "solusdc@markPrice": {"e": S, "E": N, "s": S, "p": S, "ap": S, "i": S, "P": S, "r": S, "T": N},
    "solusdc@markPrice@1s": {"e": S, "E": N, "s": S, "p": S, "ap": S, "i": S, "P": S, "r": S, "T": N},
    "solusdc@kline_1m": {"e": S, "E": N, "s": S, "k": K},
    "solusdc@kline_1M": {"e": S, "E": N, "s": S, "k": K},
    "solusdc_perpetual@continuousKline_1m": {"e": S, "E": N, "ps": S, "ct": S, "k": K},
    **{
        f"solusdc@depth{levels}{speed}": {
            "e": S, "E": N, "T": N, "s": S, "U": N, "u": N, "pu": N, "b": list, "a": list,
        }
        for levels in ("", 5, 10, 20)
        for speed in ("", "@0ms", "@100ms", "@250ms", "@500ms")
    },
    "solusdc@ticker": {"e": S, "E": N} | dict.fromkeys("spPwcQohlvq", S) | dict.fromkeys("OCFLn", N),
    "solusdc@miniTicker": {"e": S, "E": N} | dict.fromkeys("scohlvq", S),
}  # fmt: skip


def assert_form(value: Json, form: dict[str, Any]) -> None:
    assert value.keys() == form.keys()
    for name, kind in form.items():
        if isinstance(kind, dict):
            assert_form(value[name], kind)
        else:
            assert type(value[name]) is kind, (name, value[name])


@pytest.mark.parametrize("name", FORMS)
async def test_an_event_has_every_field_by_its_type(app: App, name: str) -> None:
    async with socket(app) as client:
        await client.follow(name)
        await app.quote(SOL, "201", "201.5")
        event = await client.until(lambda frame: frame.get("s", frame.get("ps")) == "SOLUSDC")
        assert_form(event, FORMS[name])
        assert event["E"] == app.clock.now // 1000


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("!ticker@arr", "solusdc@ticker"),
        ("!miniTicker@arr", "solusdc@miniTicker"),
        ("!markPrice@arr", "solusdc@markPrice"),
        ("!markPrice@arr@1s", "solusdc@markPrice"),
    ],
)
async def test_streams_of_all_tell_lists(app: App, name: str, each: str) -> None:
    async with socket(app) as client:
        await client.follow(name)
        events = await client.frame()
        assert [event["s"] for event in events] == ["SOLUSDC", "ETHUSDC", "BTCUSDC"]
        for event in events:
            assert_form(event, FORMS[each])


async def test_a_list_of_tickers_has_those_that_changed(app: App) -> None:
    async with socket(app) as client:
        await client.follow("!miniTicker@arr")
        await client.frame()
        await app.quote(ETH, "3100")
        (event,) = await client.frame()
        assert (event["s"], event["c"], event["h"]) == ("ETHUSDC", "3100.000000", "3100.000000")


async def test_mark_prices_come_by_time_with_no_tick_at_all(app: App) -> None:
    async with socket(app) as client:
        await client.follow("solusdc@markPrice@1s")
        assert [(await client.next("markPriceUpdate"))["p"] for _ in range(2)] == ["200.000000"] * 2


# --- trades, klines, books -------------------------------------------------------------------------------------------


async def test_each_mark_is_a_trade_and_its_id_is_that_of_rest(app: App) -> None:
    async with socket(app, "/ws/solusdc@trade/solusdc@aggTrade") as client:
        await client.settled()
        app.clock.advance(5)
        await app.quote(SOL, "201")
        app.sequencer.tick(PriceTick(SOL, 1, 1, 30 * SECOND, suspect=True))
        app.sequencer.tick(PriceTick(SOL, 199_000_000, 199_000_000, 30 * SECOND, volume=250_000_000))
        one, two = await client.next("trade"), await client.next("trade")
        assert [(each["p"], each["q"], each["m"]) for each in (one, two)] == [
            ("201.000000", "0.001", False),
            ("199.000000", "2.500", True),
        ]
        assert two["t"] == one["t"] + 1
        last = (await app.get("/fapi/v1/aggTrades?symbol=SOLUSDC")).body[-1]
        assert (last["a"], last["p"], last["T"]) == (two["t"], "199.000000", two["T"])
        await client.until(lambda frame: frame.get("a") == two["t"])
        assert [frame["a"] for frame in client.frames if frame.get("e") == "aggTrade"] == [one["t"], two["t"]]


async def test_a_kline_ends_once_with_x_and_the_next_one_begins(app: App) -> None:
    names = ("solusdc@kline_1m", "solusdc@kline_3m")
    async with socket(app, "/ws/" + "/".join(names)) as client:
        first = (await client.next("kline"))["k"]
        assert (first["o"], first["n"], first["x"]) == ("200.000000", 1, False)
        await app.quote(SOL, "210")
        app.clock.advance(60)
        await app.quote(SOL, "190")
        ended = await client.until(lambda frame: frame["k"]["i"] == "1m" and frame["k"]["x"])
        assert (ended["k"]["t"], ended["k"]["c"], ended["k"]["n"]) == (first["t"], "210.000000", 2)
        grown = await client.until(lambda frame: frame["k"]["i"] == "1m" and frame["k"]["t"] > first["t"])
        assert (grown["k"]["t"], grown["k"]["o"], grown["k"]["x"]) == (first["t"] + 60_000, "190.000000", False)
        app.clock.advance(130)  # no mark falls into what comes
        flat = await client.until(lambda frame: frame["k"]["i"] == "1m" and frame["k"]["v"] == "0.000")
        assert (flat["k"]["o"], flat["k"]["x"], flat["k"]["n"]) == ("190.000000", True, 0)
        three = await client.until(lambda frame: frame["k"]["i"] == "3m" and frame["k"]["x"])
        assert (three["k"]["h"], three["k"]["l"], three["k"]["n"]) == ("210.000000", "190.000000", 3)
        told = [frame["k"] for frame in client.frames if "k" in frame and frame["k"]["i"] == "1m" and frame["k"]["x"]]
        assert [each["t"] for each in told] == [first["t"] + 60_000 * number for number in range(len(told))]


def applied(book: dict[str, dict[str, str]], event: Json) -> None:
    for side in ("b", "a"):
        for price, quantity in event[side]:
            if float(quantity):
                book[side][price] = quantity
            else:
                book[side].pop(price, None)


async def snapshot(app: App, limit: int = 1000) -> tuple[int, dict[str, dict[str, str]]]:
    body = (await app.get(f"/fapi/v1/depth?symbol=SOLUSDC&limit={limit}")).body
    return body["lastUpdateId"], {"b": dict(body["bids"]), "a": dict(body["asks"])}


@pytest.mark.parametrize("speed", ["", "@0ms", "@100ms", "@500ms"])
async def test_a_book_kept_by_the_chain_is_the_book(app: App, speed: str) -> None:
    async with socket(app, f"/ws/solusdc@depth{speed}") as client:
        await client.settled()
        for bid, ask in (("201", "201.5"), ("200.123456", "200.2"), ("1500", "1501"), ("200.5", "200.5")):
            await app.quote(SOL, bid, ask)
            update, book = await snapshot(app)
            await app.quote(SOL, "199.99", "200.01")  # while the snapshot is under way
            await app.quote(SOL, bid, ask)
            await app.quote(SOL, "200.7", "200.8")
            after, expected = await snapshot(app)
            last = None
            while last is None or last < after - 1:
                event = await client.next("depthUpdate")
                if event["u"] < update:
                    continue
                assert event["U"] <= update if last is None else event["pu"] == last
                assert event["U"] == event["pu"] + 1
                last = event["u"]
                applied(book, event)
            assert book == expected


async def test_a_slow_reader_of_a_chain_is_cut_and_not_skipped(app: App) -> None:
    hub = app.runner.app[BINANCE_HUB]
    async with socket(app, "/ws/solusdc@depth@0ms") as client:
        await client.settled()
        (subscriber,) = hub.subscribers
        subscriber._bound = 3
        subscriber._events.append(b"")  # the wire is full
        for number in range(3):
            made = hub.market.made
            await app.quote(SOL, f"20{number + 1}")
            await until(lambda made=made: hub.market.made > made)  # type: ignore[misc]
        async for message in client.socket:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert client.socket.close_code == 4008
    await until(lambda: not hub.subscribers)


async def test_a_liquidation_is_told_to_all_who_follow(app: App, ann: Bot) -> None:
    async with socket(app, "/ws/solusdc@forceOrder") as one, socket(app, "/ws/!forceOrder@arr") as other:
        await one.settled()
        await other.settled()
        await ann.order("BUY", "10")
        await app.quote(SOL, "150")
        event = await one.next("forceOrder")
        assert_form(event, {"e": S, "E": N, "o": dict.fromkeys("sSofqplz", S) | {"ap": S, "X": S, "T": N}})
        order = event["o"]
        assert (order["s"], order["S"], order["q"], order["z"]) == ("SOLUSDC", "SELL", "10.000", "10.000")
        assert (await other.next("forceOrder"))["o"] == order


async def test_one_who_says_nothing_is_pinged_and_an_empty_pong_will_do(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exness.web.fapi.streams.hub.SWEEP_S", 0.01)
    hub = app.runner.app[BINANCE_HUB]
    assert (hub.bounds.ping_interval_s, hub.bounds.ping_timeout_s) == (180, 600)
    async with socket(app, autoping=False) as client:
        (subscriber,) = hub.subscribers
        subscriber.heard_s -= 180
        await until(lambda: subscriber.pinged_s is not None)
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.PING
        await client.socket.pong()
        await until(lambda: subscriber.pinged_s is None)

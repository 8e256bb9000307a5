"""web/stream/socket.py and hub.py over real WebSockets: who is let in, as whom, what is refused, and when it ends.

What is told is in test_stream_market.py and test_stream_accounts.py.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exness.storage.auth import open_auth
from exness.web.http.browser_rules import BrowserRules
from exness.web.http.connection_limits import Bounds, Connections
from exness.web.services import StreamBounds
from exness.web.stream.protocol import CloseCode
from tests.support.app import App, Trader, assert_error, running_app, unchanged
from tests.support.books import SOL
from tests.support.lanes import examples
from tests.support.waiting import until
from tests.web.streams import Client, RawClient, hub_of, listening, orders

OURS = "http://localhost:3000"
HOUR_S = 3600


# --- whose it is --------------------------------------------------------------------------------------------------


async def test_without_a_session_ones_own_is_refused_and_the_connection_stays(app: App) -> None:
    async with listening(app) as client:
        for channels in (["trades"], ["account"], ["prices", "trades"]):
            assert (await client.error("subscribe", channels=channels))["code"] == "unauthorized"
        await client.snapshot("prices")
        assert {frame["channel"] for frame in client.frames} == {"control", "prices"}


async def test_a_session_is_brought_by_cookie_header_or_message(app: App, ann: Trader) -> None:
    async with listening(app, headers={"Cookie": f"authToken={ann.token}"}) as client:
        await client.snapshot("account")
    async with listening(app) as client:
        assert (await client.error("auth", token="no token"))["code"] == "unauthorized"
        answer = await client.asked("auth", token=ann.token, id=7)
        assert (answer["type"], answer["data"]["email"], answer["data"]["id"]) == ("authenticated", ann.email, 7)
        await client.snapshot("account")


async def test_the_first_subscription_of_a_new_user_opens_the_account(app: App) -> None:
    async with listening(app, app.trader("new")) as client:
        assert (await client.snapshot("account"))["data"]["balance"] == "5000.000000"


async def test_an_account_cannot_be_changed_while_its_events_are_listened_to(app: App, ann: Trader) -> None:
    bob = app.trader("bob")
    async with listening(app, ann) as client:
        await client.snapshot("trades")
        assert (await client.error("auth", token=bob.token))["code"] == "invalid_request"
        await ann.create()
        await client.next("trades", "opened")
        await client.asked("unsubscribe", channels=["trades"])
        assert (await client.asked("auth", token=bob.token))["type"] == "authenticated"
        await client.snapshot("trades")
        await ann.create()
        created = await bob.create()
        assert (await client.next("trades", "opened"))["data"]["orderId"] == created["orderId"]


# --- sessions that end --------------------------------------------------------------------------------------------


async def test_after_logout_nothing_more_comes(app: App, ann: Trader) -> None:
    other = app.trader("ann")  # another session of the same account
    async with listening(app, ann) as client, listening(app, other) as stays:
        for each in (client, stays):
            await each.subscribed("trades")
            await each.next("trades", "snapshot")
        assert (await ann.post("/logout", {})).status == 200
        created = await other.create()
        assert (await stays.next("trades"))["data"]["orderId"] == created["orderId"]
        assert await client.closed() == CloseCode.SESSION_ENDED
        assert client.told("trades") == []


async def test_a_session_that_expires_or_is_ended_elsewhere_ends_its_streams(app: App, ann: Trader) -> None:
    async with listening(app, ann) as client:
        await client.snapshot("trades")
        await app.revoke(ann.email)
        assert await client.closed() == CloseCode.SESSION_ENDED
    async with listening(app, app.trader("ann")) as client:
        await client.snapshot("trades")
        app.wall.advance(8 * 24 * HOUR_S)
        assert await client.closed() == CloseCode.SESSION_ENDED


async def test_an_event_after_the_end_of_a_session_is_not_told_even_before_anybody_has_looked(
    app: App, ann: Trader
) -> None:
    other = app.trader("ann")
    async with listening(app, ann) as client:
        await client.snapshot("trades")
        app.sessions.watchers.clear()  # nobody is told; only the event itself can find out
        session = app.sessions.check(ann.token)
        assert session is not None
        app.sessions.end(session.id)
        await other.create()
        assert await client.closed() == CloseCode.SESSION_ENDED
        assert client.told("trades") == []
        app.sessions.watchers.append(hub_of(app)._look.set)


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream does not look by itself for sessions that have ended."""
    monkeypatch.setattr("exness.web.stream.hub.SWEEP_S", 3600.0)


@pytest.mark.usefixtures("nobody_looks")
async def test_an_event_after_another_process_ended_the_session_is_not_told(tmp_path: Path) -> None:
    async with open_auth(tmp_path) as auth, running_app(auth=auth, revocations_look_s=0.0) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create(leverage=100)
        async with listening(app, ann) as client, open_auth(tmp_path) as elsewhere:
            await client.snapshot("trades")
            await app.revoke(ann.email, elsewhere)
            await app.quote(SOL, "100")  # which liquidates
            assert await client.closed() == CloseCode.SESSION_ENDED
            assert client.told("trades") == []


@pytest.mark.usefixtures("nobody_looks")
async def test_a_subscription_after_another_process_ended_the_session_shows_nothing(tmp_path: Path) -> None:
    async with open_auth(tmp_path) as auth, running_app(auth=auth, revocations_look_s=0.0) as app:
        (ann,) = await app.known("ann")
        async with listening(app, ann) as client, open_auth(tmp_path) as elsewhere:
            await client.pong()
            await app.revoke(ann.email, elsewhere)
            await client.say("subscribe", channels=["account"])
            assert await client.closed() == CloseCode.SESSION_ENDED
            assert [frame for frame in client.frames if frame["channel"] == "account"] == []


# --- the door -----------------------------------------------------------------------------------------------------


async def test_a_plain_request_is_told_to_upgrade(app: App) -> None:
    refused = await app.get("/stream")
    assert_error(refused, 426, "upgrade_required")
    assert refused.headers["Upgrade"] == "websocket"


@pytest.mark.parametrize(
    "changed", [{"Sec-WebSocket-Version": "1"}, {"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Key": "\xe4" * 8}]
)
async def test_a_bad_handshake_is_refused(app: App, changed: dict[str, str]) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert_error(await app.get("/stream", headers=headers | changed), 400, "invalid_request")


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://localhost:3001", ""])
async def test_a_foreign_page_cannot_use_the_cookie(origin: str) -> None:
    async with running_app(browser_rules=BrowserRules([OURS])) as app:
        (ann,) = await app.known("ann")
        headers = {"Cookie": f"authToken={ann.token}", "Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with listening(app, headers=headers):
                pass
        assert caught.value.status == 403
        assert app.services.security_log.counters["refused_forbidden_origin"] == 1
        async with listening(app, headers={"Origin": origin}) as client:  # without it there is nothing to steal
            await client.snapshot("prices")
            assert (await client.error("subscribe", channels=["trades"]))["code"] == "unauthorized"


async def test_our_own_pages_can_use_the_cookie() -> None:
    async with running_app(browser_rules=BrowserRules([OURS])) as app:
        (ann,) = await app.known("ann")
        for origin in (OURS, app.url):
            async with listening(app, headers={"Cookie": f"authToken={ann.token}", "Origin": origin}) as client:
                await client.snapshot("trades")


async def test_a_bad_token_is_refused_and_a_bad_cookie_is_none(app: App) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with listening(app, headers={"Authorization": "Bearer x"}):
            pass
    assert caught.value.status == 401
    async with listening(app, headers={"Cookie": "authToken=x"}) as client:
        await client.snapshot("prices")


# --- limits -------------------------------------------------------------------------------------------------------


async def test_one_reader_too_many_is_refused_and_a_place_that_is_left_can_be_taken() -> None:
    async with running_app(stream=StreamBounds(subscribers=2)) as app, listening(app):
        async with listening(app):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with listening(app):
                    pass
            assert caught.value.status == 503
        await until(lambda: len(hub_of(app).subscribers) == 1)
        async with listening(app) as client:
            await client.pong()


async def test_one_subscription_too_many_is_refused_as_a_whole() -> None:
    async with running_app(stream=StreamBounds(subscriptions=2)) as app:
        await app.quote_all()
        async with listening(app) as client:
            await client.snapshot("prices.SOL")
            refused = await client.error("subscribe", channels=["prices.SOL", "prices.ETH", "prices.BTC"], id="x")
            assert (refused["code"], refused["id"]) == ("too_many_subscriptions", "x")
            await client.subscribed("prices.SOL", "prices.ETH")  # one of them it has already
            await client.asked("unsubscribe", channels=["prices.SOL"])
            await client.subscribed("prices.BTC")


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    async with running_app(stream=StreamBounds(message_bytes=200)) as app, listening(app) as client:
        await client.socket.send_str('{"op":"ping"}'.ljust(200))
        assert (await client.next("control"))["type"] == "pong"
        await client.socket.send_str('{"op":"ping"}'.ljust(201))
        assert await client.closed() == CloseCode.TOO_BIG


async def test_too_many_messages_are_refused_and_then_end_the_connection() -> None:
    async with running_app(stream=StreamBounds(messages_per_s=5)) as app, listening(app) as client:
        for _ in range(40):  # at least 20 of them within one second
            await client.say("ping")
        assert await client.closed() == CloseCode.TOO_MANY_MESSAGES
        codes = {frame["data"].get("code") for frame in client.frames}
        assert codes == {None, "rate_limited"}


async def test_too_many_bad_messages_end_the_connection(app: App) -> None:
    async with listening(app) as client:
        for _ in range(21):
            await client.socket.send_str("what?")
        assert await client.closed() == CloseCode.BAD_MESSAGES
        assert {frame["data"]["code"] for frame in client.frames} == {"invalid_request"}


async def test_bad_messages_count_by_the_minute(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """One now and then, among many good ones, is no reason to let a client go."""
    loop = asyncio.get_running_loop()
    now_s = loop.time
    ahead_s = 0.0
    monkeypatch.setattr(loop, "time", lambda: now_s() + ahead_s)
    async with listening(app) as client:
        for _ in range(3):
            for _ in range(20):
                await client.socket.send_str("what?")
                assert (await client.next("control"))["data"]["code"] == "invalid_request"
                await client.pong()
            ahead_s += 60.1
        await client.error("subscribe", channels=["nonsense"])
        for _ in range(20):
            await client.say("auth", token="x")
        assert await client.closed() == CloseCode.BAD_MESSAGES


@pytest.mark.parametrize("text", ["ping", "pong"])
async def test_a_plain_text_keep_alive_gets_an_error_and_no_more(app: App, text: str) -> None:
    async with listening(app) as client:
        for _ in range(45):
            await client.socket.send_str(text)
            refused = await client.next("control")
            assert refused["data"] == {
                "code": "invalid_request",
                "message": 'A message must be a JSON object; for a pong say {"op": "ping"}',
            }
        await client.pong()


@pytest.mark.parametrize("offered", [["json"], ["v1", "json"], ["json", "json"]])
async def test_the_subprotocol_json_is_chosen_when_it_is_offered(app: App, offered: list[str]) -> None:
    async with listening(app, protocols=offered) as client:
        assert client.socket.protocol == "json"
        await client.pong()


async def test_without_an_offer_no_subprotocol_is_chosen(app: App) -> None:
    async with listening(app) as client:
        assert client.socket.protocol is None


@pytest.mark.parametrize("offered", [["xml"], ["JSON"], ["jsonp", "graphql-ws"]])
async def test_another_subprotocol_is_refused_with_the_one_that_there_is(app: App, offered: list[str]) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": ", ".join(offered),
    }
    refused = await app.get("/stream", headers=headers)
    assert_error(refused, 400, "invalid_request", "The stream speaks the subprotocol json: offer that one, or none")
    assert hub_of(app).subscribers == set()


async def test_a_subprotocol_may_stand_in_a_line_of_its_own(app: App) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2]))
    writer.write(
        b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: xml\r\nSec-WebSocket-Protocol: json\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Protocol: json\r\n" in head
    writer.close()


@pytest.mark.parametrize("payload", [b"", b"x" * 125, bytes(range(120))])
async def test_a_ping_of_the_protocol_is_answered_with_its_payload_amid_whatever(app: App, payload: bytes) -> None:
    client = await RawClient.connect(app)
    client.send(0x8A, b"unasked")
    client.send(0x01, b'{"op":')
    client.send(0x89, payload)
    client.send(0x80, b'"ping"}')
    assert await client.frame() == (0xA, payload)
    opcode, answer = await client.frame()
    assert (opcode, json.loads(answer)["type"]) == (0x1, "pong")
    client.close()


@pytest.mark.parametrize(
    ("first", "payload", "code"),
    [
        (0x81, b"\xff\xfe", 1007),
        (0xC1, b"{}", 1002),
        (0x83, b"", 1002),
        (0x80, b"", 1002),
        (0x89, b"x" * 126, 1002),
        (0x88, b"\x03", 1002),
        (0x88, b"\x03\xe8", 1000),
        (0x88, b"", None),
    ],
)
async def test_what_the_protocol_forbids_ends_the_stream_with_its_code(
    app: App, first: int, payload: bytes, code: int | None
) -> None:
    client = await RawClient.connect(app)
    client.send(first, payload)
    opcode, said = await client.frame()
    assert opcode == 0x8
    assert (int.from_bytes(said[:2], "big") or None) == (1000 if code is None else code)
    client.close()
    await until(lambda: not hub_of(app).subscribers)


async def test_a_silent_client_is_pinged_and_one_that_does_not_answer_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exness.web.stream.hub.SWEEP_S", 0.01)
    bounds = StreamBounds(ping_interval_s=0.01, ping_timeout_s=0.3)
    async with (
        running_app(stream=bounds) as app,
        listening(app) as answers,
        listening(app, autoping=False) as silent,
    ):
        answering = asyncio.create_task(answers.socket.receive())  # which answers pings, and returns nothing
        seen = [await silent.socket.receive(), await silent.socket.receive()]
        assert seen[0].type is aiohttp.WSMsgType.PING
        assert silent.socket.close_code == CloseCode.NO_PONG
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await answers.pong()


async def test_a_stream_outlives_the_time_that_an_idle_connection_has() -> None:
    async with running_app(connections=Connections(Bounds(idle_timeout_s=0.01, head_timeout_s=0.01))) as app:
        await app.quote_all()
        async with listening(app) as client:
            await client.snapshot("prices")
            started = asyncio.get_running_loop().time()
            await until(lambda: asyncio.get_running_loop().time() > started + 0.1)
            await app.quote(SOL, "201")
            assert (await client.next("prices"))["data"]["mark"] == "201.000000"
            assert len(app.services.connections) == 1, "it counts as a connection"


# --- messages -----------------------------------------------------------------------------------------------------


async def test_answers_bring_the_id_back_and_subscriptions_end(app: App) -> None:
    async with listening(app) as client:
        assert (await client.subscribed("prices", "prices", id="a"))["data"] == {
            "channels": ["prices"],
            "resumed": False,
            "id": "a",
        }
        gone = await client.asked("unsubscribe", channels=["prices", "trades"], id=2)
        assert (gone["type"], gone["data"]) == ("unsubscribed", {"channels": ["prices", "trades"], "id": 2})
        await app.quote(SOL, "205")
        pong = await client.asked("ping", id=3)
        assert (pong["type"], pong["data"]) == ("pong", {"id": 3})
        assert (await client.asked("ping", id=0))["data"] == {"id": 0}
        assert (await client.asked("ping", id=None))["data"] == {}
        await client.socket.send_str('\ufeff{"op": "ping", "id": 4}')  # a byte order mark that came along
        assert (await client.next("control"))["data"] == {"id": 4}
        assert client.told("prices") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"op":"shout"}',
        '{"op":"subscribe"}',
        '{"op":"subscribe","channels":[]}',
        '{"op":"subscribe","channels":"prices"}',
        '{"op":"subscribe","channels":[1]}',
        '{"op":"subscribe","channels":["prices."]}',
        '{"op":"subscribe","channels":["control"]}',
        '{"op":"subscribe","channels":["prices.sol"]}',
        '{"op":"subscribe","channels":["candles.2m.SOL"]}',
        '{"op":"subscribe","channels":["trades"],"resume":-1}',
        '{"op":"subscribe","channels":["trades"],"resume":1.5}',
        '{"op":"subscribe","channels":["trades"],"resume":1e400}',
        '{"op":"subscribe","channels":["trades"],"resume":99999999999999999999}',
        '{"op":"ping","more":1}',
        '{"op":"ping","id":[]}',
        '{"op":"auth"}',
        '{"op":"auth","token":null}',
        '{"op":"ping"',
        '{"op":"\\ud800"}',
        "[" * 8000,
    ],
)
async def test_what_is_no_message_is_refused_and_nothing_else_happens(app: App, text: str) -> None:
    async with listening(app) as client:
        await client.socket.send_str(text)
        answer = await client.next("control")
        assert (answer["type"], answer["data"]["code"]) == ("error", "invalid_request")
        assert (await client.pong())["type"] == "pong"


async def test_bytes_are_no_message(app: App) -> None:
    async with listening(app) as client:
        await client.socket.send_bytes(b'{"op":"ping"}')
        assert (await client.next("control"))["data"]["code"] == "invalid_request"


WORDS = st.sampled_from(
    ["op", "id", "channels", "token", "resume", "subscribe", "unsubscribe", "auth", "prices", "trades"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(VALUES | st.binary(max_size=50) | st.text(max_size=50), max_size=25))
def test_no_message_harms_the_server_or_another_reader(messages: list[Any]) -> None:
    async def scenario() -> None:
        async with running_app() as app:
            await app.quote_all()
            (ann,) = await app.known("ann")
            async with listening(app, ann) as other, listening(app) as client:
                await other.subscribed("prices.SOL", "trades")
                await other.next("trades", "snapshot")
                with unchanged(app):
                    for message in messages:
                        if client.socket.closed:
                            break
                        await send(client, message)
                    if len(messages) <= 20:  # more bad ones may end it
                        while (await client.pong())["type"] != "pong":
                            pass
                await app.quote(SOL, "222")
                assert (await other.next("prices.SOL"))["data"]["mark"] == "222.000000"
                await ann.create()
                assert (await other.next("trades"))["type"] == "opened"
                assert not any(task.done() for task in app.tasks)

    asyncio.run(scenario())


async def send(client: Client, message: Any) -> None:
    if isinstance(message, bytes):
        await client.socket.send_bytes(message)
    elif isinstance(message, str):
        await client.socket.send_str(message.encode("utf-8", "replace").decode())
    else:
        await client.socket.send_str(json.dumps(message))


# --- the hub's own life ------------------------------------------------------------------------------------------


async def test_nobody_listens_and_nothing_is_made(app: App) -> None:
    before = hub_of(app).frames_made
    await app.quote_all()
    (ann,) = await app.known("ann")
    await orders(ann, 3)
    await until(lambda: hub_of(app).accounts.routed == app.writer.durable_seq)
    assert hub_of(app).frames_made == before


async def test_the_stream_follows_the_exchange_only_while_somebody_listens(app: App, ann: Trader) -> None:
    for _ in range(2):
        assert app.parts.bus.subscribers == 0
        async with listening(app, ann) as client:
            await client.snapshot("trades")
            await ann.create()
            assert (await client.next("trades"))["type"] == "opened"
            assert app.parts.bus.subscribers == 1
        await until(lambda: not hub_of(app).subscribers)
        await ann.create()
        await until(lambda: app.parts.bus.subscribers == 0)


async def test_a_bug_in_the_hub_costs_its_readers_their_connection_and_the_exchange_nothing(
    app: App, ann: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = hub_of(app)
    async with listening(app, ann) as client:
        await client.snapshot("trades")
        with monkeypatch.context() as patched:
            patched.setattr("exness.web.stream.pool.RETRY_S", 0.0)
            patched.setattr("exness.web.v1.account_frames.AccountFrames.event", lambda *_: 1 / 0)
            await ann.create()
            assert await client.closed() == CloseCode.INTERNAL_ERROR
    async with listening(app, ann) as client:
        before = await client.snapshot("trades")
        await until(lambda: hub.accounts.routed >= before["seq"])
        await ann.create()
        assert (await client.next("trades"))["type"] == "opened"


async def test_stopping_says_goodbye_after_what_is_durable() -> None:
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        async with listening(app, ann) as client:
            await client.snapshot("trades")
            app.hold_disk()
            asking = [asyncio.create_task(ann.create(margin=1)) for _ in range(20)]
            await until(lambda: len(ann.account.trades) == 20)
            stopping = asyncio.create_task(hub_of(app).stop())
            await until(lambda: hub_of(app).stopping)
            app.release_disk()
            assert await client.closed() == CloseCode.GOING_AWAY
            created = {each["orderId"] for each in await asyncio.gather(*asking)}
            assert {frame["data"]["orderId"] for frame in client.told("trades")} == created
            await stopping
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with listening(app):
                    pass
            assert caught.value.status == 503

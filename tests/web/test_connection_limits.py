"""web/http/connection_limits.py: nobody takes all connections or streams, and newcomers go first when few are left."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.web.http.client_ip import LOOPBACK, ClientIps
from exness.web.http.connection_limits import FREE_TIMES, Bounds, Connections, Places
from exness.web.services import StreamBounds
from tests.support.app import App, Trader, assert_error, running_app
from tests.support.waiting import until
from tests.web.streams import hub_of, listening
from tests.web.test_limits import Line

# --- the rule -----------------------------------------------------------------------------------------------------


def take_all(places: Places, *greedy: str) -> dict[str, int]:
    """Each takes one in turn until none gets another."""
    held = dict.fromkeys(greedy, 0)
    while any(places.allows(who) for who in greedy):
        for who in greedy:
            if places.allows(who):
                places.take(who)
                held[who] += 1
    return held


@pytest.mark.parametrize(
    ("greedy", "each"), [(1, [667]), (2, [400, 400]), (3, [286, 286, 286]), (4, [223, 222, 222, 222])]
)
def test_those_who_take_all_they_can_get_leave_room_for_others(greedy: int, each: list[int]) -> None:
    places = Places(1000)
    assert list(take_all(places, *(f"greedy{number}" for number in range(greedy))).values()) == each
    assert places.allows("newcomer")


@given(st.integers(1, 200), st.one_of(st.none(), st.integers(1, 50)), st.lists(st.integers(0, 6), max_size=400))
def test_nobody_gets_another_place_beyond_the_rule_and_a_newcomer_always_does(
    size: int, most_each: int | None, steps: list[int]
) -> None:
    """Odd steps give back, if there is anything to give."""
    places, held = Places(size, most_each), dict.fromkeys("abcd", 0)
    for step in steps:
        who, free = "abcd"[step // 2], size - sum(held.values())
        if step % 2 and held[who]:
            places.give_back(who)
            held[who] -= 1
        elif not step % 2:
            allowed = held[who] < FREE_TIMES * free and held[who] < (most_each or size)
            assert places.allows(who) is allowed
            if allowed:
                places.take(who)
                held[who] += 1
        free = size - sum(held.values())
        assert (places.taken, places.full) == (size - free, free == 0)
        assert places.allows("newcomer") is (free > 0)


# --- connections --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def holding(app: App, number: int) -> AsyncIterator[None]:
    """So many connections of 127.0.0.1."""
    async with AsyncExitStack() as stack:
        before = len(app.services.connections)
        for _ in range(number):
            await stack.enter_async_context(Line.to(app))
        await until(lambda: len(app.services.connections) == before + number)
        yield


def from_address(address: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0), force_close=True))


async def test_one_address_can_not_take_every_connection() -> None:
    async with running_app(connections=Connections(Bounds(connections=9))) as app, holding(app, 6):
        async with Line.to(app) as seventh:
            assert (await seventh.rest()).startswith(b"HTTP/1.1 429 ")
        assert app.services.connections.security_log.counters["refused_connections_per_ip"] == 1
        async with from_address("127.0.0.2") as other, other.get(app.url + "/healthz") as response:
            assert response.status == 200


async def test_the_connections_of_a_trusted_proxy_only_count_as_a_whole() -> None:
    client_ips = ClientIps(LOOPBACK)
    connections = Connections(Bounds(connections=9, connections_per_ip=2), client_ips)
    async with running_app(connections=connections, client_ips=client_ips) as app, holding(app, 9):
        async with Line.to(app) as tenth:
            assert (await tenth.rest()).startswith(b"HTTP/1.1 429 ")
        assert connections.security_log.counters == {"refused_connections": 1}


# --- streams ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def streams(app: App, number: int, client: str, trader: Trader | None = None) -> AsyncIterator[None]:
    """So many, of a client IP behind our proxy."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(listening(app, trader, headers={"X-Forwarded-For": client}))
        yield


async def refused(app: App, client: str, trader: Trader | None = None) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with streams(app, 1, client, trader):
            pass
    return caught.value.status


def behind_a_proxy(subscribers: int) -> dict[str, Any]:
    return {"stream": StreamBounds(subscribers=subscribers), "client_ips": ClientIps(LOOPBACK)}


async def test_one_client_can_not_take_every_stream_behind_a_proxy_either() -> None:
    one, other = "203.0.113.3:51000", "203.0.113.4:51000"
    async with running_app(**behind_a_proxy(9)) as app, streams(app, 6, one):
        assert await refused(app, one) == 429
        assert app.services.security_log.counters["refused_rate_limited"] == 1
        async with streams(app, 2, other):
            assert await refused(app, other) == 429
            async with streams(app, 1, "203.0.113.5"):
                assert await refused(app, "203.0.113.6") == 503
        await until(lambda: len(hub_of(app).subscribers) == 6)
        async with streams(app, 1, other):
            pass


async def test_one_account_can_not_take_every_stream_from_many_addresses() -> None:
    async with running_app(**behind_a_proxy(9)) as app, AsyncExitStack() as stack:
        ann, bob = app.trader("ann"), app.trader("bob")
        for number in range(6):
            await stack.enter_async_context(streams(app, 1, f"203.0.113.{number}", ann))
        assert await refused(app, "203.0.113.99", ann) == 429
        assert len(hub_of(app).subscribers) == 6, "who is refused holds no place"
        await stack.enter_async_context(streams(app, 1, "203.0.113.99", bob))


async def test_who_signs_in_later_is_counted_for_the_account_too() -> None:
    async with running_app(**behind_a_proxy(4)) as app, AsyncExitStack() as stack:
        ann, bob = app.trader("ann"), app.trader("bob")
        clients = [
            await stack.enter_async_context(listening(app, headers={"X-Forwarded-For": f"203.0.113.{number}"}))
            for number in range(4)
        ]
        for client in clients[:3]:
            assert (await client.asked("auth", token=ann.token))["type"] == "authenticated"
        last, hub = clients[3], hub_of(app)
        assert (await last.error("auth", token=ann.token))["code"] == "rate_limited"
        assert (await last.error("subscribe", channels=["trades"]))["code"] == "unauthorized", "it is nobody's still"
        assert (await last.asked("auth", token=bob.token))["type"] == "authenticated"
        for client in clients[:2]:
            await client.socket.close()
        await until(lambda: len(hub.subscribers) == 2)
        assert (await last.asked("auth", token=ann.token))["type"] == "authenticated"
        assert sorted(reader.email for reader in hub.subscribers) == [ann.email, ann.email]


async def test_every_place_is_given_back() -> None:
    async with running_app(stream=StreamBounds(subscribers=4)) as app:
        ann, bob = app.trader("ann"), app.trader("bob")
        for _ in range(10):
            async with listening(app, ann) as client:
                await client.asked("auth", token=bob.token)
                await client.asked("auth", token=bob.token)
            await until(lambda: not hub_of(app).subscribers)
        hub = hub_of(app)
        assert (hub._by_client.taken, hub._by_account.taken) == (0, 0)
        assert not hub._by_client._held | hub._by_account._held


async def test_a_refused_stream_is_told_like_any_other_refusal() -> None:
    async with running_app(stream=StreamBounds(subscribers=1)) as app, listening(app):
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        answer = await app.get("/stream", headers=headers | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        assert_error(answer, 503, "overloaded", retry=True)

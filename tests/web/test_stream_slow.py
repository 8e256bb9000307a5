"""Readers that do not keep up, and very many of them: nobody waits for anybody."""

import asyncio
from typing import Any

import msgspec
import pytest

from exness.web.http.connection_limits import Bounds, Connections
from exness.web.services import StreamBounds
from exness.web.stream.protocol import CloseCode
from tests.support.app import App, running_app
from tests.support.books import SOL, tick
from tests.support.waiting import until
from tests.web.streams import Client, RawClient, hub_of, listening, narrow


async def quotes(app: App, count: int) -> None:
    """So many prices, each told before the next one comes: none is passed over but by who is slow."""
    for number in range(1, count + 1):
        before = hub_of(app).market.seq
        app.sequencer.tick(tick(SOL, f"{100 + number}"))
        await until(lambda: hub_of(app).market.seq > before)  # noqa: B023 - awaited here


async def test_prices_of_a_reader_that_does_not_read_are_conflated_to_the_newest() -> None:
    async with running_app() as app:
        await app.quote_all()
        slow = await RawClient.connect(app)
        async with listening(app) as quick:
            await quick.snapshot("prices.SOL")
            slow.say("subscribe", channels=["prices.SOL", "candles.1m.SOL"])
            await until(lambda: all(reader.market for reader in hub_of(app).subscribers))
            narrow(app)
            await quotes(app, 600)
            slow.say("ping")
            frames = list[dict[str, Any]]()
            while not frames or frames[-1]["data"].get("mark") != "700.000000":
                opcode, payload = await slow.frame()
                assert opcode == 1
                frames.append(msgspec.json.decode(payload))
            prices = [frame for frame in frames if frame["type"] == "price"]
            assert len(prices) < 300, "most were passed over"
            seqs = [frame["seq"] for frame in prices]
            assert seqs == sorted(set(seqs))
            last = await quick.until(lambda frame: frame["data"].get("mark") == "700.000000")
            assert last["seq"] == seqs[-1]
            assert len(quick.told("prices.SOL")) == 600, "who keeps up gets each"
        slow.close()


async def test_a_reader_with_too_many_events_waiting_is_closed_and_others_are_not() -> None:
    async with running_app(stream=StreamBounds(queue=20)) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        slow = await RawClient.connect(app, ann)
        async with listening(app, ann) as quick, listening(app, bob) as other:
            for client in (quick, other):
                await client.snapshot("trades")
            slow.say("subscribe", channels=["trades", "account"])
            await until(lambda: all(reader.private for reader in hub_of(app).subscribers))
            narrow(app)
            created = []
            while len(hub_of(app).subscribers) == 3:
                created.append((await ann.create(margin=1))["orderId"])
                assert len(created) < 1000, "it never fell behind"
            frames, code = await slow.rest()
            assert code == CloseCode.FELL_BEHIND
            told = [frame["data"]["orderId"] for frame in frames if frame["type"] == "opened"]
            assert told == created[: len(told)], "what it was told has no gap"
            assert len(told) < len(created)
            await quick.pong()
            assert [frame["data"]["orderId"] for frame in quick.told("trades")] == created
            await bob.create()
            await other.next("trades", "opened")
        last = max(frame["seq"] for frame in frames if frame["channel"] == "trades")
        async with listening(app, ann) as again:
            await again.subscribed("trades", resume=last)
            await again.pong()
            assert [frame["data"]["orderId"] for frame in again.told("trades")] == created[len(told) :]
        slow.close()


async def test_a_reader_that_reads_nothing_at_all_is_cut_off_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exness.web.stream.hub.SWEEP_S", 0.01)
    monkeypatch.setattr("exness.web.stream.connection.GOODBYE_S", 0.01)
    async with running_app() as app:
        await app.quote_all()
        slow = await RawClient.connect(app)
        slow.say("subscribe", channels=["prices.SOL"])
        await until(lambda: all(reader.market for reader in hub_of(app).subscribers))
        narrow(app)
        (reader,) = hub_of(app).subscribers
        while reader._wire.writable:
            await quotes(app, 10)
        assert len(app.services.connections) == 1
        hub_of(app).bounds = StreamBounds(ping_interval_s=0.01, ping_timeout_s=0.01)
        await until(lambda: len(app.services.connections) == 0)
        slow.close()


async def test_a_stop_does_not_wait_for_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exness.web.stream.hub.DRAIN_S", 0.05)
    monkeypatch.setattr("exness.web.stream.pool.DRAIN_S", 0.05)
    monkeypatch.setattr("exness.web.stream.connection.LAST_GOODBYE_S", 0.05)
    async with running_app(stream=StreamBounds(queue=100_000)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        slow = await RawClient.connect(app, ann)
        slow.say("subscribe", channels=["trades", "account"])
        await until(lambda: all(reader.private for reader in hub_of(app).subscribers))
        narrow(app)
        (reader,) = hub_of(app).subscribers
        while not reader.waiting:
            await ann.create(margin=1)
        await hub_of(app).stop()
        await until(lambda: not hub_of(app).subscribers)
        assert reader.close_code is CloseCode.GOING_AWAY
        slow.close()


@pytest.mark.slow
async def test_a_thousand_readers_all_get_every_price_and_their_own_events() -> None:
    async with running_app(connections=Connections(Bounds(connections_per_ip=2000))) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        clients: list[Client] = []
        async with asyncio.TaskGroup() as tasks:
            stop = asyncio.Event()
            for _ in range(1000):
                tasks.create_task(_stay(app, clients, stop))
            await until(lambda: len(clients) == 1000)
            made = hub_of(app).frames_made
            async with listening(app, ann) as hers:
                await hers.snapshot("trades")
                await quotes(app, 10)
                await ann.create()
                await hers.next("trades", "opened")
            await asyncio.gather(*(each.until(lambda frame: frame["data"]["mark"] == "110.000000") for each in clients))
            assert hub_of(app).frames_made == made + 10 + 3, "10 prices, and hers: subscribed, snapshot, opened"
            for client in clients:
                marks = [frame["data"]["mark"] for frame in client.told("prices.SOL")]
                assert marks[-1] == "110.000000"
                assert {frame["channel"] for frame in client.frames} == {"control", "prices.SOL"}
            stop.set()
        await until(lambda: not hub_of(app).subscribers)
        assert hub_of(app).market._listeners == {}


async def _stay(app: App, clients: list[Client], stop: asyncio.Event) -> None:
    async with listening(app) as client:
        await client.snapshot("prices.SOL")
        clients.append(client)
        await stop.wait()

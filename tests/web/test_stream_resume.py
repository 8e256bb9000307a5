"""Going on after a break: without a gap, or with the word that it can't be done. Also over a restart."""

import asyncio
from pathlib import Path

from exness.web.services import StreamBounds
from tests.support.app import App, Stores, Trader, running_app
from tests.support.exchange import SetClock
from tests.web.streams import Client, listening


def orders_told(client: Client) -> list[tuple[str, str]]:
    return [(frame["type"], frame["data"]["orderId"]) for frame in client.told("trades")]


async def round_trips(trader: Trader, count: int) -> list[tuple[str, str]]:
    """Open and close trades; what the stream must say of it."""
    told = []
    for _ in range(count):
        order_id = (await trader.create(margin=1))["orderId"]
        await trader.close(order_id)
        told += [("opened", order_id), ("closed", order_id)]
    return told


async def assert_impossible(app: App, trader: Trader, resume: int) -> None:
    async with listening(app, trader) as client:
        answer = await client.subscribed("trades", "account", resume=resume, id=1)
        assert answer["data"]["resumed"] is False
        error = await client.next("control")
        assert (error["type"], error["data"]["code"], error["data"]["id"]) == ("error", "resume_impossible", 1)
        assert (await client.next("trades"))["type"] == "snapshot"
        assert (await client.next("account"))["type"] == "snapshot"
        told = await round_trips(trader, 1)
        await client.pong()
        assert orders_told(client) == told


async def test_what_happened_in_the_break_is_told_and_then_what_happens(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    async with listening(app, ann) as client:
        await client.snapshot("trades")
        await round_trips(ann, 2)
        await client.pong()
        last = client.told("trades")[-1]["seq"]
    missed, _ = await asyncio.gather(round_trips(ann, 5), round_trips(bob, 5))
    async with listening(app, ann) as client:
        assert (await client.subscribed("trades", "account", resume=last))["data"]["resumed"] is True
        missed += await round_trips(ann, 2)
        await client.pong()
        assert orders_told(client) == missed
        assert {frame["type"] for frame in client.frames} == {"subscribed", "opened", "closed", "balance", "pong"}
        locked = [frame["data"]["lockedMargin"] for frame in client.told("account")]
        assert locked == ["1.000000", "0.000000"] * 7, "the balance as it was back then"


async def test_after_a_pong_one_may_go_on_however_long_nothing_of_ones_own_happened() -> None:
    async with running_app(stream=StreamBounds(resume_records=3)) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        async with listening(app, ann) as client:
            first = (await client.snapshot("trades"))["seq"]
            await round_trips(bob, 3)
            position = (await client.pong())["seq"]
            assert position == app.state.seq > first
        async with listening(app, ann) as early, listening(app, ann) as late:
            for client, resume in ((early, first), (late, position)):
                assert (await client.subscribed("trades", resume=resume))["data"]["resumed"] is True
            told = await round_trips(ann, 1)
            for client in (early, late):
                await client.pong()
                assert orders_told(client) == told
        await round_trips(bob, 2)
        async with listening(app, ann) as client:
            assert (await client.subscribed("trades", resume=first))["data"]["resumed"] is True
            await client.pong()
            assert orders_told(client) == told, "what others did counts for nothing"
        await round_trips(ann, 1)
        await assert_impossible(app, ann, first)


async def test_a_seq_of_the_future_can_not_be_gone_on_from(app: App, ann: Trader) -> None:
    await assert_impossible(app, ann, app.state.seq + 1)
    async with listening(app, ann) as client:
        assert (await client.subscribed("trades", resume=app.state.seq))["data"]["resumed"] is True


async def test_only_own_events_are_told_again(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    await round_trips(bob, 3)
    async with listening(app, ann) as client:
        await client.subscribed("trades", "account", resume=0)
        pong = await client.pong()
        assert client.told("trades") == []
        (balance,) = client.told("account")
        assert (balance["seq"], balance["data"]["balance"]) == (1, "5000.000000")
        assert pong["seq"] == app.state.seq


async def test_prices_of_a_resumed_subscription_begin_with_a_snapshot(app: App, ann: Trader) -> None:
    async with listening(app, ann) as client:
        await client.subscribed("trades", "prices", resume=app.state.seq)
        assert (await client.next("prices"))["type"] == "snapshot"


async def test_a_stream_goes_on_after_the_server_was_restarted(tmp_path: Path) -> None:
    clock = SetClock()
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, clock=clock) as app:
        await app.quote_all()
        ann = app.trader("ann")
        async with listening(app, ann) as client:
            last = (await client.snapshot("trades"))["seq"]
            told = await round_trips(ann, 1)
            await client.pong()
            assert orders_told(client) == told
            last = client.told("trades")[-1]["seq"]
        missed = await round_trips(ann, 3)
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, clock=clock) as app:
        await app.quote_all()
        ann = app.trader("ann")
        async with listening(app, ann) as client:
            assert (await client.subscribed("trades", "account", resume=last))["data"]["resumed"] is True
            missed += await round_trips(ann, 1)
            await client.pong()
            assert orders_told(client) == missed
            assert len(client.told("account")) == len(missed)

"""Our feed on the venue with every fault it has: what is counted, what is believed, and that it goes on."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from exness.core.commands import PriceTick
from exness.feeds.backpack import BackpackFeed
from exness.feeds.guard import Guard, GuardSettings, JumpRule
from exness.mockvenue.faults import BAD_FRAMES, FAULTS, Fault
from exness.mockvenue.server import Venue
from exness.runtime.clock import SystemClock
from tests.feeds.helpers import INSTRUMENTS, LIFE_US
from tests.mockvenue.helpers import BTC, ETH, SOL, kill, quote_all, running_venue, tick
from tests.support.app import App, assert_error, running_app
from tests.support.waiting import until

STREAMS = {f"bookTicker.{each.symbol}" for each in INSTRUMENTS}
JUMPS = {each.asset: JumpRule(2_000, 3) for each in INSTRUMENTS}


def make_feed(venue: Venue, life_us: int = LIFE_US, **options: Any) -> BackpackFeed:
    quick = {"backoff_initial_s": 0.001, "backoff_max_s": 0.02, "close_timeout_s": 0.1}
    guard = Guard(INSTRUMENTS, GuardSettings(1_000, JUMPS))
    return BackpackFeed(venue.ws_url, INSTRUMENTS, life_us, guard=guard, **(quick | options))


@asynccontextmanager
async def running(feed: BackpackFeed, emit: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run(emit))
    try:
        yield
        assert not task.done(), "the feed stopped"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def is_subscribed(venue: Venue) -> bool:
    return any(client.streams >= STREAMS for client in venue.clients)


@asynccontextmanager
async def on_venue(*faults: Fault, **options: Any) -> AsyncIterator[tuple[Venue, BackpackFeed, list[PriceTick]]]:
    async with running_venue(faults=faults) as venue:
        feed, heard = make_feed(venue, **options), list[PriceTick]()
        async with running(feed, heard.append):
            await until(lambda: is_subscribed(venue), "for the subscriptions")
            yield venue, feed, heard


def bids(heard: list[PriceTick]) -> list[int]:
    return [round(each.bid / 10**6) for each in heard]


async def test_every_bad_frame_is_counted_under_its_reason_and_moves_nothing() -> None:
    rounds = 2
    async with on_venue(Fault("malformed", 1)) as (venue, feed, heard):
        good = rounds * len(BAD_FRAMES)
        for _ in range(good):
            venue.take(tick(SOL, 200))
        await until(lambda: feed.counters["ticks"] == good, "for the good frames")
    expected = Counter({reason: 0 for _, reason, _ in BAD_FRAMES})
    for _, reason, _ in BAD_FRAMES:
        expected[reason] += rounds
    assert feed.counters == expected + Counter(ticks=good)
    assert {(each.bid, each.ask) for each in heard} == {(199_980_000, 200_020_000)}
    assert feed.connections == 1


async def test_a_repeated_frame_is_taken_once() -> None:
    async with on_venue(Fault("duplicate", 2)) as (venue, feed, heard):
        for price in range(100, 120):
            venue.take(tick(SOL, price, spread=0))
        await until(lambda: feed.counters.total() == 30)
    assert feed.counters == Counter(ticks=20, duplicate=10)
    assert bids(heard) == list(range(100, 120))


async def test_a_late_frame_is_dropped_and_never_takes_the_price_back() -> None:
    async with on_venue(Fault("reorder", 3)) as (venue, feed, heard):
        for price in range(100, 131):
            venue.take(tick(SOL, price, spread=0))
        await until(lambda: feed.counters.total() == 31)
    assert feed.counters == Counter(ticks=21, out_of_order=10)
    assert bids(heard) == [price for price in range(100, 131) if price % 3]


async def test_dropped_connections_are_made_again_and_the_price_goes_on() -> None:
    async with on_venue(Fault("drop", 5)) as (venue, feed, heard):
        for turn in range(1, 4):
            for price in range(100 + turn, 105 + turn):  # the fifth frame is the one that ends it
                venue.take(tick(SOL, price, spread=0))
            await until(lambda n=turn: venue.connections == n + 1 and is_subscribed(venue))  # type: ignore[misc]
    assert bids(heard) == [101, 102, 103, 104, 102, 103, 104, 105, 103, 104, 105, 106]
    assert feed.counters == Counter(ticks=12)


async def test_a_stalled_connection_is_noticed_by_pings_and_left() -> None:
    async with on_venue(Fault("stall", 3), ping_interval_s=0.05, ping_timeout_s=0.05) as (venue, feed, heard):
        for _ in range(3):
            venue.take(tick(SOL, 100))
        await until(lambda: feed.connections == 2 and is_subscribed(venue))
        venue.take(tick(SOL, 101))
        await until(lambda: len(heard) == 3)
    assert feed.counters == Counter(ticks=3)


def test_every_fault_is_tried_here() -> None:
    assert set(FAULTS) == {"drop", "stall", "malformed", "duplicate", "reorder"}


async def test_a_symbol_that_alone_is_silent_is_subscribed_to_again() -> None:
    async with on_venue(resubscribe_after_s=0.2) as (venue, feed, heard):
        quote_all(venue)
        await until(lambda: len(heard) == 3)
        for client in venue.clients:
            client.streams.discard("bookTicker.SOL_USDC")
        with capture_logs() as logs:
            while not feed.counters["resubscribed"] or not is_subscribed(venue):
                venue.take(tick(ETH, 3_000))
                venue.take(tick(BTC, 100_000))
                await asyncio.sleep(0.005)
        venue.take(tick(SOL, 201))
        await until(lambda: heard[-1].asset == SOL)
    assert feed.connections == 1
    assert feed.counters["resubscribed"] == 1
    assert [(entry["event"], entry["symbol"]) for entry in logs] == [("feed_symbol_silent", "SOL_USDC")]


async def test_when_all_are_silent_nobody_is_subscribed_to_again() -> None:
    async with on_venue(resubscribe_after_s=0.05) as (venue, feed, heard):
        quote_all(venue)
        await until(lambda: len(heard) == 3)
        # The silence itself is what is tested: four times as long as one symbol alone may be silent.
        await asyncio.sleep(0.2)
        assert feed.counters["resubscribed"] == 0


async def test_a_jump_at_the_venue_makes_the_price_suspect_until_it_is_confirmed_or_gone() -> None:
    async with on_venue() as (venue, feed, heard):
        with capture_logs() as logs:
            for price in (200, 100, 201, 100, 101, 99, 100, 100):
                venue.take(tick(SOL, price, spread=0))
            await until(lambda: len(heard) == 8)
    assert [(round(each.bid / 10**6), each.suspect) for each in heard] == [
        (200, False),
        (200, True),
        (201, False),
        (201, True),
        (201, True),
        (201, True),
        (100, False),
        (100, False),
    ]
    assert feed.counters == Counter(ticks=4, jump=4)
    assert [entry["event"] for entry in logs] == ["feed_price_suspect", "feed_price_believed"] * 2


async def test_after_a_reconnect_a_far_price_still_wants_confirmation() -> None:
    async with on_venue() as (venue, feed, heard):
        venue.take(tick(SOL, 200))
        await until(lambda: len(heard) == 1)
        venue.drop()
        await until(lambda: feed.connections == 2 and is_subscribed(venue))
        for _ in range(4):
            venue.take(tick(SOL, 100))
        await until(lambda: len(heard) == 5)
    assert [each.suspect for each in heard] == [False, True, True, True, False]


# --- the whole exchange on a venue --------------------------------------------------------------------------------

SHORT_LIFE_US = 400_000


@asynccontextmanager
async def exchange_on(venue: Venue, life_us: int = LIFE_US) -> AsyncIterator[tuple[App, BackpackFeed]]:
    async with running_app(clock=SystemClock()) as app:  # type: ignore[arg-type]
        feed = make_feed(venue, life_us)
        async with running(feed, app.sequencer.tick):
            await until(lambda: is_subscribed(venue))
            yield app, feed


async def shown(app: App, asset: str = "SOL") -> str:
    state: str = (await app.get(f"/prices/{asset}")).body["state"]
    return state


async def becomes(app: App, state: str) -> None:
    async def has_become() -> bool:
        return await shown(app) == state

    await until(has_become, state, pause_s=0.01)


async def test_a_venue_that_is_gone_for_longer_than_a_price_lives_stops_trading_and_liquidates_nobody() -> None:
    async with running_venue() as venue, exchange_on(venue, SHORT_LIFE_US) as (app, feed):
        assert await shown(app) == "down"
        (ann,) = await app.known("ann")
        assert_error(
            await ann.try_create(), 503, "price_unavailable", details={"asset": "SOL", "reason": "down"}, retry=True
        )
        quote_all(venue)
        await becomes(app, "live")
        long = await ann.create(leverage=50)
        await kill(venue)
        await becomes(app, "stale")
        for refused in (await ann.try_create(), await ann.try_close(long["orderId"])):
            assert (refused.status, refused.code, refused.details["reason"]) == (503, "price_unavailable", "stale")
        await until(lambda: not feed.connected)
        await venue.start()
        await until(lambda: feed.connected and is_subscribed(venue))
        assert await shown(app) == "stale", "to be connected is no price"
        # The first price after the outage is wrong by half: suspect, and the trade stays open.
        venue.take(tick(SOL, 100))
        await until(lambda: feed.counters["jump"] == 1)
        assert len(await ann.open_trades()) == 1
        venue.take(tick(SOL, 200.5))
        await becomes(app, "live")
        assert (await ann.close(long["orderId"]))["liquidated"] is False


async def test_a_confirmed_jump_liquidates_and_an_unconfirmed_one_does_not() -> None:
    async with running_venue() as venue, exchange_on(venue) as (app, feed):
        quote_all(venue)
        await becomes(app, "live")
        (ann,) = await app.known("ann")
        await ann.create(leverage=10)
        venue.take(tick(SOL, 120))
        await becomes(app, "suspect")
        refused = await ann.try_create()
        assert (refused.status, refused.details["reason"]) == (503, "suspect")
        assert len(await ann.open_trades()) == 1
        for _ in range(3):
            venue.take(tick(SOL, 120))
        await becomes(app, "live")
        assert await ann.open_trades() == []
        assert feed.counters == Counter(ticks=4, jump=3)


@pytest.mark.parametrize("kind", ["malformed", "duplicate", "reorder"])
async def test_a_venue_that_errs_all_the_time_still_brings_the_last_price(kind: str) -> None:
    async with running_venue(faults=[Fault(kind, 2)]) as venue, exchange_on(venue) as (app, feed):
        for price in range(200, 241):
            venue.take(tick(SOL, price, spread=0))
        await until(lambda: feed.counters["ticks"] >= 20)

        async def is_last() -> bool:
            return (await app.get("/prices/SOL")).body["mark"] == "240.000000"

        await until(is_last, pause_s=0.01)

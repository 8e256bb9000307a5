"""The live feed against a venue on this machine that speaks Backpack's protocol."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.feeds.backpack import Backoff, BackpackFeed
from exness.feeds.decode import MAX_FRAME_BYTES
from tests.feeds.helpers import INSTRUMENTS, LIFE_US
from tests.support.venue import Venue, book_ticker
from tests.support.waiting import WAIT_S, until

SYMBOLS = [each.symbol for each in INSTRUMENTS]


class Listener:
    """Collects what a feed emits and lets a test wait for it."""

    def __init__(self) -> None:
        self.ticks: list[PriceTick] = []

    def __call__(self, tick: PriceTick) -> None:
        self.ticks.append(tick)

    @property
    def sides(self) -> list[tuple[str, int, int]]:
        return [(tick.asset, tick.bid, tick.ask) for tick in self.ticks]

    async def wait(self, count: int) -> None:
        await until(lambda: len(self.ticks) >= count)


def make_feed(url: str, **settings: Any) -> BackpackFeed:
    quick: dict[str, Any] = {"backoff_initial_s": 0.001, "backoff_max_s": 0.02, "close_timeout_s": 0.1}
    return BackpackFeed(url, INSTRUMENTS, LIFE_US, **(quick | settings))


@asynccontextmanager
async def running(feed: BackpackFeed) -> AsyncIterator[Listener]:
    """The feed at work; an error of its own fails the test."""
    listener = Listener()
    task = asyncio.create_task(feed.run(listener))
    try:
        yield listener
        assert not task.done(), "the feed stopped"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def subscribed(**settings: Any) -> AsyncIterator[tuple[Venue, BackpackFeed, Listener]]:
    """A venue and a feed that is subscribed to all it wants."""
    async with Venue() as venue:
        feed = make_feed(venue.url, **settings)
        async with running(feed) as listener:
            await venue.wait_for_subscription(*SYMBOLS)
            yield venue, feed, listener


async def test_quotes_of_every_asset_arrive_as_exact_scaled_ticks() -> None:
    async with subscribed() as (venue, feed, listener):
        await venue.send_quote("SOL_USDC", bid="188.40", ask="188.42")
        await venue.send_quote("ETH_USDC", bid="2681.6200001", ask="2681.6300001")
        await venue.send_quote("BTC_USDC", bid="61800.1", ask="61800.1")
        await listener.wait(3)
    assert listener.ticks == [
        PriceTick(Asset("SOL"), 188_400_000, 188_420_000, LIFE_US),
        PriceTick(Asset("ETH"), 2_681_620_000, 2_681_630_001, LIFE_US),
        PriceTick(Asset("BTC"), 618_001_000, 618_001_000, LIFE_US),
    ]
    assert feed.counters == Counter(ticks=3)


async def test_it_asks_for_the_book_ticker_of_each_asset_and_nothing_else() -> None:
    async with subscribed() as (venue, feed, _):
        assert venue.subscriptions == [[f"bookTicker.{symbol}" for symbol in SYMBOLS]]
        assert all(json.loads(text).keys() == {"method", "params"} for text in venue.received)
        assert feed.connected


async def test_a_symbol_the_venue_does_not_know_costs_only_itself() -> None:
    async with Venue(symbols=["SOL_USDC", "BTC_USDC"]) as venue:
        feed = make_feed(venue.url)
        async with running(feed) as listener:
            await venue.wait_for_subscription("SOL_USDC", "BTC_USDC")
            await venue.send_quote("BTC_USDC", bid="61800", ask="61801")
            await listener.wait(1)
    assert feed.counters == Counter(ticks=1, venue_error=1)


BAD_FRAMES: list[tuple[str, bytes]] = [
    ("malformed", b""),
    ("malformed", b"{"),
    ("malformed", b"[]"),
    ("malformed", b"\xff\xfe"),
    ("malformed", b'{"stream":"bookTicker.SOL_USDC","data":"<payload>"}'),
    ("malformed", b'{"stream":"bookTicker.SOL_USDC","data":' + b"[" * 7_000 + b"]" * 7_000 + b"}"),
    ("oversized", b" " * (MAX_FRAME_BYTES + 1)),
    ("no_stream", b'{"result":null,"id":1}'),
    ("other_stream", b'{"stream":"trade.SOL_USDC","data":{"p":"1"}}'),
    ("venue_error", b'{"id":null,"error":{"code":4006,"message":"Invalid stream"}}'),
]

BAD_QUOTES: list[tuple[str, dict[str, Any]]] = [
    ("malformed", {"u": None}),
    ("malformed", {"b": 188.4}),
    ("symbol_mismatch", {"s": "ETH_USDC"}),
    ("one_sided", {"b": None}),
    ("one_sided", {"a": None}),
    ("not_a_number", {"b": "NaN"}),
    ("not_a_number", {"a": "1e3"}),
    ("out_of_range", {"a": "1" * 40}),
    ("not_positive", {"b": "0.00"}),
    ("not_positive", {"b": "-1"}),
    ("crossed", {"b": "188.421"}),
]


async def test_bad_messages_are_counted_and_neither_move_a_price_nor_stop_the_feed() -> None:
    async with subscribed() as (venue, feed, listener):
        for _, raw in BAD_FRAMES:
            await venue.send_raw(raw)
        for _, changed in BAD_QUOTES:
            await venue.send_quote("SOL_USDC", "188.40", "188.42", **changed)
        unknown = {"stream": "bookTicker.DOGE_USDC", "data": book_ticker("DOGE_USDC", "1", "2", 1)}
        await venue.send_raw(json.dumps(unknown))
        await venue.send_raw(json.dumps(unknown).encode(), text=False)
        await venue.send_quote("SOL_USDC", bid="190", ask="191")
        await listener.wait(1)
    expected = Counter(reason for reason, _ in [*BAD_FRAMES, *BAD_QUOTES]) + Counter(unknown_symbol=2, ticks=1)
    assert listener.sides == [("SOL", 190_000_000, 191_000_000)]
    assert feed.counters == expected
    assert feed.connections == 1


async def test_old_and_repeated_updates_are_dropped_for_each_symbol_by_itself() -> None:
    async with subscribed() as (venue, feed, listener):
        for symbol, bid, update_id in [
            ("SOL_USDC", "100", 10),
            ("SOL_USDC", "101", 12),
            ("SOL_USDC", "999", 11),
            ("SOL_USDC", "999", 12),
            ("ETH_USDC", "200", 5),
            ("SOL_USDC", "999", 2),
            ("SOL_USDC", "102", 100),
        ]:
            await venue.send_quote(symbol, bid=bid, ask="1000", update_id=update_id)
        await listener.wait(4)
    assert [bid // 10**6 for _, bid, _ in listener.sides] == [100, 101, 200, 102]
    assert feed.counters == Counter(ticks=4, out_of_order=2, duplicate=1)


async def test_a_bad_quote_does_not_hold_back_the_updates_after_it() -> None:
    async with subscribed() as (venue, _, listener):
        await venue.send_quote("SOL_USDC", bid="300", ask="200", update_id=50)
        await venue.send_quote("SOL_USDC", bid="100", ask="101", update_id=49)
        await listener.wait(1)
    assert listener.sides == [("SOL", 100_000_000, 101_000_000)]


async def test_a_dropped_connection_is_made_again_with_its_subscriptions() -> None:
    async with subscribed() as (venue, feed, listener):
        for turn in range(1, 4):
            await venue.send_quote("SOL_USDC", bid=f"{100 + turn}", ask="200")
            await listener.wait(turn)
            await venue.drop()
            await venue.wait_for_subscription(*SYMBOLS)
    assert [bid // 10**6 for _, bid, _ in listener.sides] == [101, 102, 103]
    assert venue.subscriptions == [[f"bookTicker.{symbol}" for symbol in SYMBOLS]] * 4
    assert feed.connections == 4


async def test_a_venue_that_says_goodbye_is_answered_and_joined_again() -> None:
    async with subscribed() as (venue, _, listener):
        await venue.close_gracefully()
        await venue.wait_for_subscription(*SYMBOLS)
        await venue.send_quote("SOL_USDC", bid="1", ask="2")
        await listener.wait(1)
    assert listener.sides == [("SOL", 1_000_000, 2_000_000)]


async def test_a_venue_that_was_away_for_many_attempts_is_found_again() -> None:
    async with subscribed() as (venue, feed, listener):
        await venue.stop()
        await until(lambda: not feed.connected)
        await refused(venue.port, 5)
        await venue.start()
        await venue.wait_for_subscription(*SYMBOLS)
        await venue.send_quote("BTC_USDC", bid="1", ask="2")
        await listener.wait(1)
    assert listener.sides == [("BTC", 10_000, 20_000)]


async def test_a_venue_that_is_not_there_at_first_is_found_when_it_comes() -> None:
    venue = Venue()
    await venue.start()
    await venue.stop()
    feed = make_feed(venue.url)
    async with running(feed):
        await refused(venue.port, 3)
        assert not feed.connected
        await venue.start()
        await venue.wait_for_subscription(*SYMBOLS)
    await venue.stop()


async def refused(port: int, attempts: int) -> None:
    """Stand at the port in the venue's place and send so many callers away, with something that is no WebSocket."""
    callers = 0

    async def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal callers
        callers += 1
        writer.write(b"\x00 no such thing \xff\r\n\r\n" if callers % 2 else b"HTTP/1.1 404 Not Found\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(turn_away, "127.0.0.1", port):
        await until(lambda: callers >= attempts)


async def test_a_venue_that_restarted_may_count_its_updates_from_the_beginning() -> None:
    async with subscribed() as (venue, feed, listener):
        await venue.send_quote("SOL_USDC", bid="100", ask="101", update_id=5_000)
        await listener.wait(1)
        await venue.drop()
        await venue.wait_for_subscription(*SYMBOLS)
        await venue.send_quote("SOL_USDC", bid="102", ask="103", update_id=1)
        await listener.wait(2)
    assert feed.counters == Counter(ticks=2)


async def test_a_dead_socket_is_noticed_though_nothing_closes_it() -> None:
    async with subscribed(ping_interval_s=0.05, ping_timeout_s=0.05) as (venue, feed, listener):
        venue.freeze()
        await until(lambda: venue.subscriptions[1:] == [[f"bookTicker.{symbol}" for symbol in SYMBOLS]])
        await venue.send_quote("SOL_USDC", bid="1", ask="2")
        await listener.wait(1)
    assert feed.connections == 2


async def test_a_quiet_market_is_no_dead_socket() -> None:
    async with subscribed(ping_interval_s=0.01, ping_timeout_s=2.0) as (venue, feed, listener):
        # The silence itself is what is tested: twenty pings long.
        await asyncio.sleep(0.2)
        await venue.send_quote("SOL_USDC", bid="1", ask="2")
        await listener.wait(1)
    assert feed.connections == 1


async def test_a_frame_too_large_for_the_socket_costs_the_connection_but_not_the_feed() -> None:
    async with subscribed() as (venue, _, listener):
        await venue.send_raw(b"x" * (17 * MAX_FRAME_BYTES))
        await venue.wait_for_connections(2)
        await venue.wait_for_subscription(*SYMBOLS)
        await until(lambda: venue.connected == 1)
        await venue.send_quote("SOL_USDC", bid="1", ask="2")
        await listener.wait(1)


async def test_a_burst_keeps_its_order_and_lets_others_run() -> None:
    async with subscribed() as (venue, feed, listener):
        for bid in range(1, 2_001):
            await venue.send_quote("SOL_USDC", bid=str(bid), ask="9999")
        await listener.wait(2_000)
    assert [bid // 10**6 for _, bid, _ in listener.sides] == list(range(1, 2_001))
    assert feed.counters == Counter(ticks=2_000)


async def test_an_outage_is_logged_once_and_not_for_every_attempt() -> None:
    with capture_logs() as logs:
        async with subscribed() as (venue, _, _listener):
            await venue.stop()
            await refused(venue.port, 6)
            await venue.start()
            await venue.wait_for_subscription(*SYMBOLS)
    assert [entry["event"] for entry in logs] == ["feed_connected", "feed_disconnected", "feed_connected"]


async def test_error_frames_are_logged_once_each_and_a_flood_of_them_is_bounded() -> None:
    with capture_logs() as logs:
        async with subscribed() as (venue, feed, _):
            for number in range(40):
                await venue.send_error(4006, "Invalid stream")
                await venue.send_error(number, "again")
            await until(lambda: feed.counters["venue_error"] == 80)
    said = [entry["said"] for entry in logs if entry["event"] == "feed_venue_error"]
    assert said == ["4006 Invalid stream", "0 again", "1 again", "2 again", "3 again"]


async def test_cancelling_closes_the_connection() -> None:
    async with Venue() as venue:
        feed = make_feed(venue.url)
        async with running(feed):
            await venue.wait_for_subscription(*SYMBOLS)
        assert not feed.connected
        await until(lambda: venue.connected == 0)


async def test_an_error_of_ours_is_not_taken_for_one_of_the_venue() -> None:
    def broken(_: PriceTick) -> None:
        raise OSError("ours")

    async with Venue() as venue:
        task = asyncio.create_task(make_feed(venue.url).run(broken))
        await venue.wait_for_subscription(*SYMBOLS)
        await venue.send_quote("SOL_USDC", bid="1", ask="2")
        with pytest.raises(OSError, match="ours"):
            await asyncio.wait_for(task, WAIT_S)


def test_backoff_doubles_up_to_its_maximum_and_starts_again_after_success() -> None:
    backoff = Backoff(1, 5, chance=lambda: 0.5)
    assert [backoff.next_delay_s() for _ in range(5)] == [0.75, 1.5, 3.0, 3.75, 3.75]
    backoff.reset()
    assert backoff.next_delay_s() == 0.75


def test_chance_takes_at_most_half_of_the_wait() -> None:
    assert Backoff(4, 8, chance=lambda: 0.0).next_delay_s() == 2
    assert 3.9 < Backoff(4, 8, chance=lambda: 0.999).next_delay_s() < 4


@pytest.mark.parametrize(("initial_s", "max_s"), [(0, 1), (-1, 1), (2, 1)])
def test_a_backoff_that_would_not_wait_is_refused(initial_s: float, max_s: float) -> None:
    with pytest.raises(ValueError, match="backoff"):
        Backoff(initial_s, max_s)


@pytest.mark.parametrize("url", ["", "http://x", "ws://", "ws://host:99999", "ws://host:0", "wss://host/#part", "host"])
def test_an_address_that_is_no_websocket_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="feed url"):
        BackpackFeed(url, INSTRUMENTS, LIFE_US)


def test_it_says_where_its_prices_come_from() -> None:
    feed = BackpackFeed("wss://ws.backpack.exchange", INSTRUMENTS, LIFE_US)
    assert feed.describe() == "live prices from wss://ws.backpack.exchange: SOL_USDC, ETH_USDC, BTC_USDC"
    assert not feed.simulated

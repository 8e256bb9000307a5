"""feeds/backfill.py against the venue of this project, and against answers that are none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from exness.feeds import backfill
from exness.feeds.backfill import ATTEMPTS, Backfill, Span, _Kline, read_klines
from exness.runtime.candles import Candle, CandleBook, Interval
from tests.feeds.helpers import INSTRUMENTS
from tests.mockvenue.helpers import SOL, running_venue, tick

(SOLANA,) = [each for each in INSTRUMENTS if each.asset == SOL]
NOW_S = 1_769_850_902
MINUTE = 1_769_850_900
"""2026-01-31T09:15:00Z"""


async def fetched(url: str, candles: int = 10, now_s: int = NOW_S) -> tuple[list[Candle], Backfill]:
    found: list[Candle] = []
    fetching = Backfill(url, [SOLANA], candles, wait_s=0.001, timeout_s=2.0)
    await fetching.run(now_s, found.extend)
    return found, fetching


async def test_candles_that_have_ended_come_marked_and_no_more_than_asked_for() -> None:
    now_us = [(NOW_S - 240) * 1_000_000]
    async with running_venue(now_us=lambda: now_us[0]) as venue:
        for price in (200.0, 210.0, 190.0, 205.0, 300.0):
            venue.take(tick(SOL, price))
            now_us[0] += 60 * 1_000_000
        now_us[0] -= 60 * 1_000_000
        found, fetching = await fetched(venue.url, candles=3)
    minutes = [each for each in found if each.interval is Interval.M1]
    assert [each.start for each in minutes] == [MINUTE - 180, MINUTE - 120, MINUTE - 60]
    assert [round(each.close / 10**6) for each in minutes] == [210, 190, 205]
    assert all(each.backfilled and each.asset == SOL for each in found)
    assert {(each.volume, each.trades) for each in minutes} == {(150_000_000, 1)}
    assert all(each.start + each.interval.seconds <= NOW_S for each in found), "the running one is ours"
    assert fetching.failed == 0


@asynccontextmanager
async def answering(answer: Callable[[], web.Response]) -> AsyncIterator[tuple[str, list[Any]]]:
    asked: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return answer()

    app = web.Application()
    app.router.add_get("/api/v1/klines", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        lambda: web.Response(text="no JSON"),
        lambda: web.Response(text='{"code": "TOO_MANY_REQUESTS"}'),
        lambda: web.Response(body=b"[" + b" " * 2_000_000 + b"]"),
    ],
    ids=["500", "redirect", "no JSON", "an error", "too long"],
)
async def test_what_is_no_answer_is_asked_for_again_and_then_left_out(answer: Callable[[], web.Response]) -> None:
    async with answering(answer) as (url, asked):
        found, fetching = await fetched(url)
    assert (found, fetching.failed) == ([], len(Interval))
    assert len(asked) == ATTEMPTS * len(Interval)


async def test_a_venue_that_recovers_is_heard() -> None:
    answers = [web.Response(status=503), web.Response(text="[]")]
    async with answering(lambda: answers.pop(0) if len(answers) > 1 else web.Response(text="[]")) as (url, asked):
        _, fetching = await fetched(url)
    assert fetching.failed == 0
    assert len(asked) == len(Interval) + 1
    assert asked[0] == {
        "symbol": "SOL_USDC",
        "interval": "1m",
        "startTime": str(MINUTE - 600),
        "endTime": str(MINUTE - 1),
    }


async def test_a_venue_that_is_not_there_stops_nothing() -> None:
    found, fetching = await fetched("http://127.0.0.1:1")
    assert (found, fetching.failed) == ([], len(Interval))


async def test_an_answer_that_never_ends_is_given_up() -> None:
    asked: list[asyncio.Task[Any]] = []

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        asked.append(task)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        fetching = Backfill(url, [SOLANA], 1, wait_s=0.001, timeout_s=0.01)
        await fetching.run(NOW_S, lambda candles: None)
        await asyncio.gather(*asked)
    assert fetching.failed == len(Interval)


GOOD = {
    "start": "2026-01-31 09:14:00",
    "open": "2",
    "high": "4",
    "low": "1",
    "close": "3",
    "volume": "1.5",
    "trades": "7",
}


@pytest.mark.parametrize(
    "changed",
    [
        {"open": None},
        {"high": "2.9"},
        {"low": "2.1"},
        {"low": "0"},
        {"low": "-1"},
        {"close": "NaN"},
        {"high": "2.999999"},
        {"low": "0.0000004"},
        {"start": "2026-01-31 09:14:00.5"},
        {"start": "2026-W05-6 09:14:00"},
        {"close": "1e400"},
        {"volume": "-1"},
        {"volume": "lots"},
        {"trades": "1.5"},
        {"start": "2026-01-31 09:14:01"},
        {"start": "yesterday"},
        {"start": "2026-01-31 09:15:00"},
        {"start": "2026-01-31 09:04:00"},
    ],
)
def test_what_is_no_candle_of_the_span_is_left_out(changed: dict[str, str | None]) -> None:
    span = Span(MINUTE - 600, MINUTE)
    good = Candle(
        SOL, Interval.M1, MINUTE - 60, 2 * 10**6, 4 * 10**6, 10**6, 3 * 10**6, 150_000_000, 7, backfilled=True
    )
    assert read_klines([_Kline(**GOOD)], SOLANA, Interval.M1, span) == [good]
    assert read_klines([_Kline(**(GOOD | changed))], SOLANA, Interval.M1, span) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "prices"),
    [
        ({"close": "3.0000001"}, (2_000_000, 4_000_000, 1_000_000, 3_000_000)),
        ({"close": "3.0000005", "open": "2.00000049"}, (2_000_000, 4_000_000, 1_000_000, 3_000_001)),
        ({"high": "2.9999999999999996"}, (2_000_000, 3_000_000, 1_000_000, 3_000_000)),
        ({"high": "2.9999994", "close": "2.9999996"}, (2_000_000, 3_000_000, 1_000_000, 3_000_000)),
        ({"low": "2.0000000000000004"}, (2_000_000, 4_000_000, 2_000_000, 3_000_000)),
    ],
)
def test_prices_finer_than_the_asset_are_rounded_and_high_and_low_stay_the_ends(
    changed: dict[str, str], prices: tuple[int, int, int, int]
) -> None:
    (candle,) = read_klines([_Kline(**(GOOD | changed))], SOLANA, Interval.M1, Span(MINUTE - 600, MINUTE))
    assert (candle.open, candle.high, candle.low, candle.close) == prices


@pytest.mark.parametrize("volume", ["92233720368.54775808", "1e13", "1e40"])
def test_a_volume_beyond_the_range_is_the_largest_there_is_and_the_candle_is_kept(volume: str) -> None:
    (candle,) = read_klines([_Kline(**GOOD | {"volume": volume})], SOLANA, Interval.M1, Span(MINUTE - 600, MINUTE))
    assert candle.volume == 2**63 - 1


def test_the_book_has_them_written_once() -> None:
    book, candle = CandleBook(), Candle(SOL, Interval.M1, 0, 1, 1, 1, 1, backfilled=True)
    book.backfill([candle])
    batch = book.take_dirty()
    assert batch is not None
    assert (batch.candles, batch.counted) == ([candle], [])
    assert book.take_dirty() is None


def test_an_answer_of_a_thousand_candles_fits() -> None:
    assert backfill.MAX_ANSWER_BYTES > 1000 * 400

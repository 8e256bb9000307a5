"""web/v1/market.py: GET /klines, which needs no session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from exness.runtime.candles import Candle, CandleBatch, CandleQuery, Interval
from exness.web.v1.models import kline_row
from tests.support.app import App, Stores, assert_error, bad, running_app
from tests.support.books import BTC, DECIMALS, ETH, SECOND, SOL, START, tick
from tests.support.waiting import until

INTERVALS = "1m, 5m, 15m, 1h, 4h, 1d"
MINUTE = 1_769_850_900
"""2026-01-31T09:15:00Z, the minute of START."""


async def klines(app: App, query: str) -> Any:
    answer = await app.get(f"/klines?{query}")
    assert answer.status == 200, answer
    return answer.body


async def mark(app: App, price: str, at_us: int, volume: int = 0) -> None:
    """One tick of SOL, checked at that time."""
    app.clock.now, checked = at_us, app.sequencer.ticks_checked
    app.sequencer.tick(replace(tick(SOL, price), volume=volume))
    await until(lambda: app.sequencer.ticks_checked > checked)


async def test_the_running_candle_is_told_as_decimal_text_with_all_decimals() -> None:
    async with running_app() as app:
        for second, price in enumerate(("200", "203.5", "198", "201.000001")):
            await mark(app, price, START + second * SECOND, volume=150_000_000)
        assert await klines(app, "asset=SOL&interval=1m") == [
            {
                "start": "2026-01-31T09:15:00.000000Z",
                "end": "2026-01-31T09:16:00.000000Z",
                "open": "200.000000",
                "high": "203.500000",
                "low": "198.000000",
                "close": "201.000001",
                "volume": "6.00000000",
                "trades": 4,
            }
        ]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2026-01-31T09:15", "2026-01-31T09:16"),
        ("5m", "2026-01-31T09:15", "2026-01-31T09:20"),
        ("15m", "2026-01-31T09:15", "2026-01-31T09:30"),
        ("1h", "2026-01-31T09:00", "2026-01-31T10:00"),
        ("4h", "2026-01-31T08:00", "2026-01-31T12:00"),
        ("1d", "2026-01-31T00:00", "2026-02-01T00:00"),
    ],
)
async def test_every_interval_is_kept(app: App, interval: str, start: str, end: str) -> None:
    (candle,) = await klines(app, f"asset=BTC&interval={interval}")
    assert (candle["start"], candle["end"]) == (f"{start}:00.000000Z", f"{end}:00.000000Z")
    assert (candle["open"], candle["close"], candle["trades"]) == ("100000.0000", "100000.0000", 1)


async def test_a_minute_without_a_mark_has_no_candle() -> None:
    async with running_app() as app:
        await mark(app, "200", START)
        await mark(app, "201", START + 180 * SECOND)
        starts = [candle["start"][11:16] for candle in await klines(app, "asset=SOL&interval=1m")]
        assert starts == ["09:15", "09:18"]
        assert await klines(app, "asset=ETH&interval=1m") == []


@asynccontextmanager
async def stored(data_dir: Path | None, candles: list[Candle]) -> AsyncIterator[Stores]:
    if data_dir is None:
        stores = Stores.memory()
        await stores.candles.write(CandleBatch(candles, []), 0)
        yield stores
        return
    async with Stores.sqlite(data_dir) as stores:
        await stores.candles.write(CandleBatch(candles, []), 0)
        yield stores


def minutes(count: int) -> list[Candle]:
    """The last of them is the one before that of START; each closes at its number."""
    first = MINUTE - count * 60
    return [Candle(SOL, Interval.M1, first + n * 60, 1, 10**9, 1, n, trades=1) for n in range(count)]


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_what_is_stored_and_what_is_running_come_as_one_list(tmp_path: Path, backend: str) -> None:
    backing = stored(tmp_path if backend == "sqlite" else None, minutes(600))
    async with backing as stores, running_app(stores) as app:
        await mark(app, "200", START)

        async def closes(query: str) -> list[int | str]:
            rows = await klines(app, f"asset=SOL&interval=1m&{query}")
            assert rows == sorted(rows, key=lambda row: row["start"]), "oldest first"
            return [round(float(row["close"]) * 10**6) for row in rows]

        running = 200 * 10**6
        assert await closes("limit=1") == [running]
        assert await closes("limit=3") == [598, 599, running]
        assert await closes("") == [*range(101, 600), running], "500 when no limit is given"
        assert await closes("limit=1000") == [*range(600), running]
        first = MINUTE - 600 * 60
        assert await closes(f"startTime={first}&limit=2") == [0, 1]
        assert await closes(f"startTime={first + 1}&limit=2") == [1, 2]
        assert await closes(f"startTime={MINUTE - 60}") == [599, running]
        assert await closes(f"startTime={MINUTE}") == [running]
        assert await closes(f"startTime={MINUTE + 1}") == []
        assert await closes(f"endTime={MINUTE}&limit=2") == [598, 599]
        assert await closes(f"endTime={MINUTE + 1}&limit=2") == [599, running]
        assert await closes(f"startTime={first}&endTime={first + 120}") == [0, 1]
        assert await closes(f"startTime={MINUTE}&endTime={MINUTE}") == []
        assert await closes("endTime=0") == []


async def test_a_finished_candle_is_whole_before_and_after_it_is_written(tmp_path: Path) -> None:
    """The table holds an older state of it until then."""
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        await mark(app, "200", START)
        await until_stored(app, MINUTE, 1)
        await mark(app, "201", START + SECOND)
        await mark(app, "202", START + 60 * SECOND)
        told = await klines(app, "asset=SOL&interval=1m")
        assert [(row["close"], row["trades"]) for row in told] == [("201.000000", 2), ("202.000000", 1)]
        await until_stored(app, MINUTE + 60, 1)
        assert await klines(app, "asset=SOL&interval=1m") == told
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        assert await klines(app, "asset=SOL&interval=1m") == told


async def until_stored(app: App, start: int, trades: int) -> None:
    """Until this minute's candle is on disk with so many marks."""
    query = CandleQuery(SOL, Interval.M1, start, start + 1)

    async def is_stored() -> bool:
        return [each.trades for each in await app.stores.candles.candles(query)] == [trades]

    await until(is_stored)


async def test_a_restart_goes_on_with_the_running_candle(tmp_path: Path) -> None:
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        await mark(app, "200", START)
        await mark(app, "190", START + SECOND)
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        await mark(app, "210", START + 2 * SECOND)
        (candle,) = await klines(app, "asset=SOL&interval=1h")
        figures = [candle[name] for name in ("open", "high", "low", "close", "trades")]
        assert figures == ["200.000000", "210.000000", "190.000000", "210.000000", 3]


async def test_backfilled_is_told_only_where_it_is_so() -> None:
    candle = Candle(SOL, Interval.M1, MINUTE, 1, 1, 1, 1, backfilled=True)
    assert kline_row(candle, DECIMALS[SOL]).backfilled is True
    assert kline_row(replace(candle, backfilled=False), DECIMALS[SOL]).backfilled is UNSET
    async with stored(None, [replace(candle, start=MINUTE - 60)]) as stores, running_app(stores) as app:
        await mark(app, "200", START)
        told = await klines(app, "asset=SOL&interval=1m")
        assert [row.get("backfilled") for row in told] == [True, None]


SECONDS = "must be a whole number of seconds since 1970-01-01 UTC, from 0 to 253402300799"


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("interval=1m", "asset", "asset is required"),
        ("asset=SOL", "interval", "interval is required"),
        ("asset=DOGE&interval=1m", "asset", "Invalid asset. Supported assets are SOL, ETH, BTC"),
        ("asset=sol&interval=1m", "asset", "Invalid asset. Supported assets are SOL, ETH, BTC"),
        ("asset=SOL&interval=2m", "interval", f"interval must be one of {INTERVALS}"),
        ("asset=SOL&interval=", "interval", f"interval must be one of {INTERVALS}"),
        ("asset=SOL&interval=1m&limit=0", "limit", "limit must be a whole number from 1 to 1000"),
        ("asset=SOL&interval=1m&limit=1001", "limit", "limit must be a whole number from 1 to 1000"),
        ("asset=SOL&interval=1m&limit=ten", "limit", "limit must be a whole number from 1 to 1000"),
        *(
            (f"asset=SOL&interval=1m&{name}={value}", name, f"{name} {SECONDS}{hint}")
            for name in ("startTime", "endTime")
            for value, hint in (
                ("-1", ""),
                ("1.5", ""),
                ("1e9", ""),
                ("", ""),
                ("1769850902.5", ""),
                ("2026-01-31", ", not 2026-01-31, which is 1769817600"),
                ("2026-01-31T09:15:02Z", ", not 2026-01-31T09:15:02Z, which is 1769850902"),
                ("1767225600000", ", not 1767225600000, which looks like milliseconds"),
                ("1767225600000000", ", not 1767225600000000, which looks like microseconds"),
                ("1767225600000000000", ", not 1767225600000000000, which looks like nanoseconds"),
            )
        ),
    ],
)
async def test_a_bad_parameter_is_named(app: App, query: str, field: str, message: str) -> None:
    answer = await app.get(f"/klines?{query}")
    assert_error(answer, 400, "invalid_request", message, details=bad(field, message))


async def test_several_bad_parameters_come_in_order_malformed_first(app: App) -> None:
    answer = await app.get("/klines?asset=DOGE&limit=0&startTime=x&symbol=SOL")
    assert_error(answer, 400, "invalid_request", details=answer.details)
    assert [each["field"] for each in answer.details] == ["symbol", "interval", "asset", "startTime", "limit"]
    assert (
        answer.message
        == "symbol is not a known parameter; known are asset, interval, startTime, endTime, limit, format"
    )


async def test_when_too_many_reads_wait_it_says_so_at_once() -> None:
    async with running_app(read_queue=0) as app:
        assert_error(await app.get("/klines?asset=SOL&interval=1m"), 503, "overloaded", retry=True)


async def test_every_asset_has_its_own_decimals(app: App) -> None:
    for asset, price in ((SOL, "200.000000"), (ETH, "3000.000000"), (BTC, "100000.0000")):
        (candle,) = await klines(app, f"asset={asset}&interval=1d")
        assert candle["low"] == price


# --- the day ----------------------------------------------------------------------------------------------------------


async def test_the_ticker_adds_up_the_marks_of_the_day_and_follows_the_newest() -> None:
    async with running_app() as app:
        for second, price in enumerate(("200", "203.5", "150", "190")):
            await mark(app, price, START + second * SECOND)
        (row,) = (await app.get("/ticker?asset=SOL")).body["data"]
        assert row == {
            "asset": "SOL",
            "open": "200.000000",
            "high": "203.500000",
            "low": "150.000000",
            "last": "190.000000",
            "change": "-10.000000",
            "changePercent": "-5.000",
            "trades": 4,
            "openTime": "2026-01-30T09:20:00.000000Z",
            "closeTime": row["closeTime"],
        }
        assert row["closeTime"].startswith("2026-01-31T09:15:")
        await mark(app, "205", START + 2 * 3600 * SECOND)
        (later,) = (await app.get("/ticker?asset=SOL")).body["data"]
        assert (later["open"], later["high"], later["last"], later["changePercent"]) == (
            "200.000000", "205.000000", "205.000000", "2.500",
        )  # fmt: skip
        await mark(app, "50", START + 25 * 3600 * SECOND)
        (next_day,) = (await app.get("/ticker")).body["data"]
        assert (next_day["open"], next_day["high"], next_day["low"]) == ("205.000000", "205.000000", "50.000000")


async def test_an_asset_without_a_price_has_no_ticker_and_one_that_there_is_not_is_named() -> None:
    async with running_app() as app:
        assert (await app.get("/ticker")).body == {"success": True, "data": []}
        await app.quote(BTC, "100000")
        assert [row["asset"] for row in (await app.get("/ticker")).body["data"]] == ["BTC"]
        assert (await app.get("/ticker?asset=SOL")).body["data"] == []
        message = "Invalid asset. Supported assets are SOL, ETH, BTC"
        assert_error(
            await app.get("/ticker?asset=DOGE"), 400, "invalid_request", message, details=bad("asset", message)
        )


async def test_after_a_restart_there_is_no_ticker_before_the_first_price_as_the_candles_may_not_have_had_the_last(
    tmp_path: Path,
) -> None:
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        await mark(app, "200", START)
        await mark(app, "190", START + SECOND)
        clock = app.clock
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, clock=clock) as app:
        assert (await app.get("/klines?asset=SOL&interval=1m")).body != []
        assert (await app.get("/ticker?asset=SOL")).body["data"] == []
        await mark(app, "195", START + 2 * SECOND)
        (row,) = (await app.get("/ticker?asset=SOL")).body["data"]
        assert (row["open"], row["high"], row["low"], row["last"]) == (
            "200.000000", "200.000000", "190.000000", "195.000000",
        )  # fmt: skip

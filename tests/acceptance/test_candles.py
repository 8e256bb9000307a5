"""Candles through the real process: a recording whose replay is killed and goes on gives those of one that is not, and
both give what the ticks say. And a running minute of a live exchange goes on after a `kill -9`."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.mockvenue.server import Venue
from exness.runtime.candles import Candle, Interval
from exness.storage.files import JOURNAL_DB, MAIN_DB, MARKET_DB
from tests.contracts.backends import with_own_connection
from tests.mockvenue.helpers import quote_all, running_venue
from tests.support.candles import LENGTHS, Key, straight
from tests.support.process import UNLIMITED, Server, finished
from tests.support.recorded import DECIMALS, candle_ticks, decimal_text, read_candles, recorded

INTERVAL_S = 300
WAIT_S = 60
FROM_S, TO_S = 1_722_772_800, 1_722_902_400
"""2024-08-04 12:00 to 2024-08-06 00:00 UTC."""

SPEED = "50000"
"""Slow enough to be killed in between; with orders, any speed is on the recording's time."""

KILLED_AT = (0.2, 0.35, 0.6)
"""Shares of the recording's time, at which the process is killed."""

ORDERS = "time,account,do,order,asset,type,margin,leverage"
CANDLES = "SELECT asset, interval, start, open, high, low, close, volume, trades FROM candles WHERE NOT backfilled"
LIQUIDATIONS = "SELECT asset, closed_at, close_price FROM trades WHERE close_reason = 'liquidation'"
JOURNALED = "SELECT seq FROM journal WHERE kind = 'trade_closed' AND json_extract(payload, '$.reason') = 'liquidation'"
"""Whoever is killed leaves tables that are behind."""


def recordings() -> list[Path]:
    return [recorded(f"candles5m_{asset}_2024-08-crash.csv.gz") for asset in DECIMALS]


def recorded_ticks() -> Iterator[tuple[PriceTick, int]]:
    """Every tick of the window, each with a quarter of its candle's volume."""
    for asset, file in zip(DECIMALS, recordings(), strict=True):
        candles = [each for each in read_candles(file) if FROM_S <= each.start_s < TO_S]
        for number, tick in enumerate(candle_ticks(asset, candles, INTERVAL_S)):
            volume = int(Fraction(candles[number // 4].volume) * 10**8) // 4
            yield PriceTick(Asset(asset), tick.bid, tick.ask, 1, volume=volume), tick.time_us


def write_orders(folder: Path) -> Path:
    """Two accounts open a long and a short every quarter of an hour, of which many are liquidated."""
    rows = [ORDERS]
    for number, at_s in enumerate(range(FROM_S + 600, TO_S, 900)):
        for account, side in (("ann", "long"), ("bob", "short")):
            asset = list(DECIMALS)[number % 3]
            rows.append(
                f"{at_s * 1_000_000:016d},{account}@example.com,open,o{number},{asset},{side},1,{20 + number % 80}"
            )
    path = folder / "orders.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def stored(server: Server) -> dict[Key, Candle]:
    rows: list[Any] = with_own_connection(server.data_dir / MARKET_DB, CANDLES)
    candles = [Candle(Asset(asset), Interval(interval), *figures) for asset, interval, *figures in rows]
    return {(each.asset, each.interval, each.start): each for each in candles}


def assert_liquidations_lie_within(server: Server, candles: dict[Key, Candle]) -> int:
    """The candle of a tick that liquidated somebody is there, and holds its mark."""
    rows: list[Any] = with_own_connection(server.data_dir / MAIN_DB, LIQUIDATIONS)
    for asset, at, mark in rows:
        for name, length in LENGTHS.items():
            candle = candles[Asset(asset), Interval(name), at // 1_000_000 // length * length]
            assert candle.low <= mark <= candle.high
    return len(rows)


async def test_a_killed_replay_has_every_tick_in_its_candles_once(tmp_path: Path) -> None:
    expected = straight(recorded_ticks())
    flags = ["--replay", *map(str, recordings()), "--speed", SPEED, "--orders", str(write_orders(tmp_path))]
    flags += ["--from", iso_s(FROM_S), "--to", iso_s(TO_S)]

    whole = Server(tmp_path / "whole", *flags)
    async with whole:
        await replayed_to(whole, TO_S - 1)
        assert await whole.stop() == 0, whole.errors
    assert stored(whole) == expected

    killed, found = Server(tmp_path / "killed", *flags, env=UNLIMITED), []
    async with killed:
        for share in KILLED_AT:
            await replayed_to(killed, FROM_S + round((TO_S - FROM_S) * share))
            killed.kill()
            await killed.wait()
            found.append(len(with_own_connection(killed.data_dir / JOURNAL_DB, JOURNALED)))
            await killed.start()
        await replayed_to(killed, TO_S - 1)
        for asset, decimals in DECIMALS.items():
            await assert_served(killed, expected, Asset(asset), decimals)
        assert await killed.stop() == 0, killed.errors
    assert stored(killed) == expected
    assert assert_liquidations_lie_within(killed, expected) > 20
    assert 0 < found[0] <= found[-1], "it was killed while it liquidated"
    done = await finished("verify", "--data-dir", str(killed.data_dir), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")


async def replayed_to(server: Server, at_s: int) -> None:
    """Until BTC, ETH and SOL have a price of that time, or of one later."""
    async with asyncio.timeout(WAIT_S):
        while True:
            prices = (await server.get("/prices")).body.values()
            if all(price["at"] is not None and price["at"] >= iso_s(at_s) for price in prices):
                return
            await asyncio.sleep(0.01)


def iso_s(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


async def assert_served(server: Server, expected: dict[Key, Candle], asset: Asset, decimals: int) -> None:
    """Page by page through all of them."""
    for interval in Interval:
        rows: list[Any] = []
        start = 0
        while page := (await klines(server, f"asset={asset}&interval={interval.value}&startTime={start}&limit=1000")):
            rows += page
            start = int(datetime.fromisoformat(page[-1]["end"]).timestamp())
        wanted = [candle for key, candle in sorted(expected.items()) if key[:2] == (asset, interval)]
        assert [(row["start"][:19], row["close"], row["high"], row["trades"]) for row in rows] == [
            (iso_s(each.start), decimal_text(each.close, decimals), decimal_text(each.high, decimals), each.trades)
            for each in wanted
        ]


async def klines(server: Server, query: str) -> Any:
    answer = await server.get(f"/klines?{query}")
    assert answer.status == 200, answer.body
    return answer.body


async def test_a_running_hour_goes_on_after_a_kill(tmp_path: Path) -> None:
    """All of what the first life had written is in the candles of the second, and not twice."""
    server = Server(tmp_path / "data", env={"EXNESS_FEED_TICKS_PER_S": "50"})
    async with server:
        async with asyncio.timeout(WAIT_S):
            while not with_own_connection(server.data_dir / MARKET_DB, "SELECT 1 FROM candles WHERE trades > 20"):
                await server.get("/healthz")
        server.kill()
        await server.wait()
        before = stored(server)
        await server.start()
        for key, candle in before.items():
            asset, interval, start = key
            query = f"asset={asset}&interval={interval.value}&startTime={start}&endTime={start + 1}"
            (row,) = await klines(server, query)
            decimals = DECIMALS[asset]
            assert row["open"] == decimal_text(candle.open, decimals)
            assert Fraction(row["high"]) >= Fraction(decimal_text(candle.high, decimals))
            assert Fraction(row["low"]) <= Fraction(decimal_text(candle.low, decimals))
            assert row["trades"] >= candle.trades
        assert await server.stop() == 0, server.errors
    for name in DECIMALS:
        in_days = sum(each.trades for key, each in stored(server).items() if key[:2] == (name, Interval.D1))
        in_minutes = sum(each.trades for key, each in stored(server).items() if key[:2] == (name, Interval.M1))
        assert in_days == in_minutes, "every mark is in each interval once"


async def test_a_recording_that_is_older_than_the_candles_is_refused(tmp_path: Path) -> None:
    """Its ticks would pass for counted ones."""
    recording = tmp_path / "quotes.csv"
    recording.write_text("timestamp_us,symbol,bid,ask\n1700000000000000,SOL_USDC,200,201\n")
    async with Server(tmp_path / "data") as server:
        assert await server.stop() == 0
    flags = ("--replay", str(recording), "--speed", "max", "--port", "0", "--data-dir", str(tmp_path / "data"))
    done = await finished("serve", *flags, cwd=tmp_path)
    assert (done.code, done.output) == (1, "")
    assert "a replay at its own time needs a data directory of its own" in done.errors


async def test_history_from_before_the_start_comes_from_the_venue_when_asked_for(tmp_path: Path) -> None:
    """Marked as such, beside our own, and by default not at all."""
    an_hour_ago_us = time.time_ns() // 1_000 - 3_600_000_000
    now_us = [an_hour_ago_us]
    async with running_venue(now_us=lambda: now_us[0]) as venue:
        for _ in range(61):
            quote_all(venue)
            now_us[0] += 60_000_000
        now_us[0] = time.time_ns() // 1_000
        flags = ("--feed", "backpack", "--feed-url", venue.ws_url)
        async with Server(tmp_path / "plain", *flags) as server:
            assert await backfilled(venue, server, {None}) == {None}
            assert await server.stop() == 0, server.errors
        asked = {"EXNESS_FEED_BACKFILL_URL": venue.url, "EXNESS_FEED_BACKFILL_CANDLES": "30"}
        async with Server(tmp_path / "asked", *flags, env=asked) as server:
            assert await backfilled(venue, server, {None, True}) == {None, True}
            rows = await klines(server, "asset=SOL&interval=1m&limit=1000")
            assert sum("backfilled" in row for row in rows) == 30
            assert await server.stop() == 0, server.errors


async def test_history_is_asked_for_up_to_the_venues_now_however_far_ahead_ours_was_stepped(tmp_path: Path) -> None:
    """Else its candle of now, which still grows, would be taken for one that has ended."""
    async with Server(tmp_path / "data", "--feed", "manual", "--dev-control") as server:
        token = await server.token("ann@example.com")
        assert (await server.post("/dev/clock", body={"step": 2 * 86_400})).status == 200
        assert (await server.get("/balance", token)).status == 200
        assert await server.stop() == 0
    now_us = [time.time_ns() // 1_000 - 600_000_000]
    async with running_venue(now_us=lambda: now_us[0]) as venue:
        for _ in range(10):
            quote_all(venue)
            now_us[0] += 60_000_000
        now_us[0] = time.time_ns() // 1_000
        quote_all(venue)  # its newest candles have just begun
        flags = ("--feed", "backpack", "--feed-url", venue.ws_url)
        asked = {"EXNESS_FEED_BACKFILL_URL": venue.url, "EXNESS_FEED_BACKFILL_CANDLES": "200"}
        async with Server(tmp_path / "data", *flags, env=asked) as server:
            await backfilled(venue, server, {None, True})
            rows = await klines(server, "asset=SOL&interval=1d&limit=1000")
            today = f"{datetime.fromtimestamp(now_us[0] // 1_000_000, UTC):%Y-%m-%d}"
            theirs = [row["start"] for row in rows if row.get("backfilled")]
            assert not [start for start in theirs if start.startswith(today)], theirs
            assert await server.stop() == 0, server.errors


async def backfilled(venue: Venue, server: Server, wanted: set[bool | None]) -> set[bool | None]:
    """What the candles of minutes say of themselves, once there are such as are wanted. Meanwhile the venue quotes."""
    async with asyncio.timeout(WAIT_S):
        while True:
            quote_all(venue)
            await asyncio.sleep(0.01)
            found = {row.get("backfilled") for row in await klines(server, "asset=SOL&interval=1m")}
            if found >= wanted:
                return found

"""`--feed replay` end to end: files cut by the test, with a long silence after the first price in which to trade."""

import random
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from tests.acceptance.desk import last_unmistakable, open_all, random_position, sign_in, until_mark
from tests.acceptance.reckoning import (
    Position,
    Reckoning,
    assert_as_reckoned,
    assert_history_as_reckoned,
    count_of,
    micro,
    opened_seqs,
)
from tests.support.process import Server
from tests.support.recorded import (
    CANDLE_HEADER,
    DECIMALS,
    QUOTE_HEADER,
    Candle,
    Tick,
    candle_ticks,
    decimal_text,
    read_candles,
    recorded,
)

SPEED = 20_000
"""Recorded seconds per second: 12 hours last 2 s."""

SILENCE_S = 6 * SPEED
"""Between the first price and the next: 6 s to open all trades in."""

INTERVAL_S = 300
CRASH_FROM_S, CRASH_TO_S = 1_722_808_800, 1_722_852_000
"""2024-08-04 22:00 to 2024-08-05 10:00 UTC."""

HAND_FROM_S = 1_700_000_100
INITIAL = "1000000"
TRADES = 240


async def test_a_replayed_crash_liquidates_exactly_what_fractions_say(tmp_path: Path) -> None:
    files, ticks = list[Path](), list[Tick]()
    for asset in DECIMALS:
        candles = read_candles(recorded(f"candles5m_{asset}_2024-08-crash.csv.gz"))
        crash = [each for each in candles if CRASH_FROM_S <= each.start_s < CRASH_TO_S]
        files.append(write_candles(tmp_path, asset, [silent(crash[0]), *crash]))
        ticks += candle_ticks(asset, [silent(crash[0]), *crash], INTERVAL_S)
    reckoning = await replayed(tmp_path, files, sorted(ticks), seed=1)
    assert len(reckoning.liquidated) >= 50


async def test_handmade_candles_and_quotes_replay_together(tmp_path: Path) -> None:
    """Candles of one asset, quotes of the two others, in one run."""
    candles = list(falling_candles(random.Random(7)))
    candles = [silent(candles[0]), *candles]
    quotes = list(falling_quotes(random.Random(8)))
    files = [write_candles(tmp_path, "SOL", candles), write_quotes(tmp_path, quotes)]
    reckoning = await replayed(tmp_path, files, sorted([*candle_ticks("SOL", candles, INTERVAL_S), *quotes]), seed=2)
    assert {each.asset for each in reckoning.liquidated} == set(DECIMALS)
    assert {each.side for each in reckoning.liquidated} == {"long", "short"}


async def replayed(folder: Path, files: list[Path], ticks: list[Tick], seed: int) -> Reckoning:
    """Serve the files, open trades at the first prices, wait for the last one, compare everything."""
    chance, started = random.Random(seed), time.monotonic()
    flags = ["--feed", "replay", "--replay", *map(str, files), "--speed", str(SPEED)]
    server = Server(folder / "data", *flags, env={"EXNESS_TRADING_INITIAL_BALANCE": INITIAL})
    first = [next(tick for tick in ticks if tick.asset == asset) for asset in DECIMALS]
    after_silence = next(i for i, tick in enumerate(ticks) if tick.time_us > first[0].time_us + INTERVAL_S * 1_000_000)
    assert last_unmistakable(ticks, after_silence, len(ticks) - 1) == len(ticks) - 1, "the end must be recognisable"
    tokens = await sign_in(server, 3)  # before the start: the recording does not wait
    async with server:
        await until_mark(server, *first)
        positions = [random_position(chance, list(tokens), number) for number in range(TRADES)]
        await open_all(server, tokens, positions)
        await until_mark(server, *first)  # still: they were all opened at these prices
        await until_mark(server, ticks[-1])
        reckoning = reckon(ticks, after_silence, positions, opened_seqs(server.data_dir))
        await assert_history_as_reckoned(server, reckoning, tokens)
        assert "REPLAYED" in server.banner("feed")
        await assert_last_price_is_traded_on(server, tokens[positions[0].user], ticks)
        assert await server.stop() == 0, server.errors
    assert_as_reckoned(reckoning, server.data_dir)
    print(f"seed {seed}: {count_of(reckoning, ticks)}, {time.monotonic() - started:.1f} s")
    return reckoning


def reckon(ticks: list[Tick], first_end: int, positions: list[Position], seqs: dict[str, int]) -> Reckoning:
    reckoning = Reckoning(micro(INITIAL))
    for tick in ticks[:first_end]:
        reckoning.tick(tick)
    for position in positions:
        position.opened_seq = seqs[position.order]
    reckoning.open(positions)
    for tick in ticks[first_end:]:
        reckoning.tick(tick)
    return reckoning


async def assert_last_price_is_traded_on(server: Server, token: str, ticks: list[Tick]) -> None:
    """The recording has ended; its last price lives on for the configured time."""
    last = ticks[-1]
    body = {"asset": last.asset, "type": "long", "margin": 1, "leverage": 2}
    created = await server.post("/trade/create", token, body)
    assert (created.status, created.body["entryPrice"]) == (200, decimal_text(last.mark, DECIMALS[last.asset]))
    closed = await server.post("/trade/close", token, {"orderId": created.body["orderId"]})
    assert (closed.status, closed.body["pnl"]) == (200, "0.000000")


def silent(first: Candle) -> Candle:
    """A candle in which nothing moves, long before the first: its four ticks are one price."""
    price = first.open
    return Candle(first.start_s - SILENCE_S - INTERVAL_S, price, price, price, price, "0")


def write_candles(folder: Path, asset: str, candles: list[Candle]) -> Path:
    path = folder / f"candles5m_{asset}_cut.csv"
    rows = [CANDLE_HEADER, *(",".join(map(str, candle)) for candle in candles)]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_quotes(folder: Path, quotes: list[Tick]) -> Path:
    path = folder / "quotes_cut.csv"
    rows = [QUOTE_HEADER]
    for tick in quotes:
        bid, ask = (decimal_text(price, DECIMALS[tick.asset]) for price in (tick.bid, tick.ask))
        rows.append(f"{tick.time_us},{tick.asset}_USDC,{bid},{ask}")
    path.write_text("\n".join(rows) + "\n")
    return path


def falling_candles(chance: random.Random) -> Iterator[Candle]:
    """An hour up by a fifth, then three hours down by a half, with wicks."""
    price = Fraction(150)
    for number in range(48):
        close = price * (1 + Fraction(chance.randint(0, 300) if number < 12 else -chance.randint(0, 400), 10_000))
        high = max(price, close) * (1 + Fraction(chance.randint(0, 50), 10_000))
        low = min(price, close) * (1 - Fraction(chance.randint(0, 50), 10_000))
        open_, top, bottom, end = map(two_decimals, (price, high, low, close))
        yield Candle(HAND_FROM_S + number * INTERVAL_S, open_, top, bottom, end, "1")
        price = Fraction(two_decimals(close))


def falling_quotes(chance: random.Random) -> Iterator[Tick]:
    """A quote of ETH and of BTC far ahead of the rest, then one a minute, with odd spreads."""
    marks = {"ETH": 3_000_000_000, "BTC": 600_000_000}
    start_us = HAND_FROM_S * 1_000_000
    for number in range(-1, 240):
        at = start_us + number * 60_000_000 if number >= 0 else start_us - (SILENCE_S + INTERVAL_S) * 1_000_000
        for asset in ("BTC", "ETH"):
            yield Tick(at, asset, marks[asset], marks[asset] + chance.randint(0, 9))
            marks[asset] += marks[asset] * (chance.randint(0, 60) if number < 60 else -chance.randint(0, 60)) // 10_000


def two_decimals(price: Fraction) -> str:
    return decimal_text(int(price * 100), 2)

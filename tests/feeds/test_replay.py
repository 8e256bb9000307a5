"""When recorded ticks are emitted, and how long they may be traded on."""

import asyncio
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from exness.core.commands import PriceTick
from exness.feeds.guard import Guard
from exness.feeds.recording import CANDLE_HEADER, QUOTE_HEADER, ReplayError
from exness.feeds.replay import ReplayFeed
from tests.feeds.helpers import INSTRUMENTS, LIFE_US, T0_US, HeldPacer, since_t0
from tests.feeds.ticks import all_ticks
from tests.support.recorded import recorded
from tests.support.waiting import until

SLACK_US = 5_000_000


def write(folder: Path, name: str, header: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{since_t0(line)}\n" for line in (header, *rows)))
    return path


def quotes(folder: Path, *times_us: int) -> Path:
    """SOL at so many microseconds after T0, with the bids 1, 2, 3, ..."""
    rows = (f"{T0_US + at},SOL_USDC,{n},1000" for n, at in enumerate(times_us, 1))
    return write(folder, "quotes.csv", QUOTE_HEADER, *rows)


class Played:
    """A replay played to its end by a held clock."""

    def __init__(self, pacer: HeldPacer | None = None, cost_s: float = 0.0) -> None:
        self.pacer = pacer or HeldPacer()
        self.ticks: list[PriceTick] = []
        self.times: list[float] = []
        self._cost_s = cost_s

    def emit(self, tick: PriceTick) -> None:
        self.ticks.append(tick)
        self.times.append(round(self.pacer.at - 1_000.0, 6))
        self.pacer.at += self._cost_s

    async def play(self, *files: Path, speed: float = 1.0, life_us: int = LIFE_US) -> ReplayFeed:
        feed = ReplayFeed(files, INSTRUMENTS, life_us, speed, pacer=self.pacer)
        await feed.run(self.emit)
        return feed


def test_a_recorded_price_beyond_the_largest_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    """Half the spread above a candle's high, and more digits than a price has."""
    top = "999999999999.999999"
    candles = write(tmp_path, "candles1m_SOL_x.csv", CANDLE_HEADER, f"1700000040,1,{top},1,1,0", "1700000100,2,2,2,2,0")
    feed = ReplayFeed([candles], INSTRUMENTS, LIFE_US, guard=Guard(INSTRUMENTS), pacer=HeldPacer())
    with pytest.raises(ReplayError, match=f"line 2: high {re.escape(top)} is out of range at the 6 decimals of SOL"):
        feed.check()


@pytest.mark.parametrize("speed", [0.5, 1, 60, 1_000])
async def test_each_tick_is_due_at_its_share_of_the_recordings_time(tmp_path: Path, speed: float) -> None:
    played = Played()
    await played.play(quotes(tmp_path, 5_000_000, 5_000_000, 6_500_000, 65_000_000, 3_605_000_000), speed=speed)
    assert played.times == pytest.approx([0, 0, 1.5 / speed, 60 / speed, 3_600 / speed], abs=1e-5)
    assert [tick.bid // 10**6 for tick in played.ticks] == [1, 2, 3, 4, 5]


async def test_the_time_that_handling_takes_does_not_add_up(tmp_path: Path) -> None:
    played = Played(cost_s=0.4)
    await played.play(quotes(tmp_path, *range(0, 20_000_000, 1_000_000)))
    assert played.times == pytest.approx(list(range(20)), abs=1e-5)


async def test_a_replay_that_is_behind_leaves_nothing_out_and_catches_up(tmp_path: Path) -> None:
    played = Played(cost_s=0.1)
    await played.play(quotes(tmp_path, *range(0, 100_000, 1_000), 20_000_000))
    assert [tick.bid // 10**6 for tick in played.ticks] == list(range(1, 102))
    assert played.times[99] == pytest.approx(9.9, abs=1e-5)
    assert played.times[100] == pytest.approx(20, abs=1e-5)


@pytest.mark.parametrize("speed", [1e9, math.inf])
async def test_a_replay_that_is_always_behind_gives_way_every_hundred_ticks(tmp_path: Path, speed: float) -> None:
    played = Played(cost_s=0.001)
    await played.play(quotes(tmp_path, *range(1_000)), speed=speed)
    assert len(played.ticks) == 1_000
    assert len(played.pacer.naps) == 9
    assert max(played.pacer.naps) <= 0


async def test_when_the_recording_ends_the_feed_returns_and_says_so(tmp_path: Path) -> None:
    feed = ReplayFeed([quotes(tmp_path, 1, 2, 3)], INSTRUMENTS, LIFE_US, pacer=HeldPacer())
    assert not feed.ended
    await feed.run(lambda _: None)
    assert feed.ended
    assert feed.counters == Counter(ticks=3)


async def test_a_cancelled_replay_has_not_ended(tmp_path: Path) -> None:
    heard: list[PriceTick] = []
    feed = ReplayFeed([quotes(tmp_path, 0, 3_600_000_000)], INSTRUMENTS, LIFE_US)
    task = asyncio.create_task(feed.run(heard.append))
    await until(lambda: bool(heard))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(heard) == 1
    assert not feed.ended


@pytest.mark.parametrize(
    ("name", "speed", "life_us", "expected_us"),
    [
        ("candles1m_SOL_x.csv", 1, LIFE_US, LIFE_US),
        ("candles1m_SOL_x.csv", 1, 10_000_000, 20_000_000 + SLACK_US),
        ("candles5m_SOL_x.csv", 1, LIFE_US, 100_000_000 + SLACK_US),
        ("candles5m_SOL_x.csv", 0.5, LIFE_US, 200_000_000 + SLACK_US),
        ("candles5m_SOL_x.csv", 3, LIFE_US, 33_333_334 + SLACK_US),
        ("candles5m_SOL_x.csv", 60, LIFE_US, LIFE_US),
        ("candles5m_SOL_x.csv", math.inf, LIFE_US, LIFE_US),
    ],
)
async def test_a_candles_ticks_live_until_the_next_is_due_but_never_less_than_configured(
    tmp_path: Path, name: str, speed: float, life_us: int, expected_us: int
) -> None:
    played = Played()
    await played.play(write(tmp_path, name, CANDLE_HEADER, "0,1,1,1,1,1"), speed=speed, life_us=life_us)
    assert {tick.life_us for tick in played.ticks} == {expected_us}


@pytest.mark.parametrize(("speed", "expected_us"), [(1, LIFE_US), (60, LIFE_US), (0.5, 2 * LIFE_US)])
async def test_a_quote_lives_as_long_as_configured_in_the_recordings_time(
    tmp_path: Path, speed: float, expected_us: int
) -> None:
    played = Played()
    await played.play(quotes(tmp_path, 1, 2), speed=speed)
    assert {tick.life_us for tick in played.ticks} == {expected_us}


def stale_for_s(played: Played) -> float:
    """How long, from first tick to last, the price was older than its life."""
    ends = [at + tick.life_us / 1e6 for at, tick in zip(played.times, played.ticks, strict=True)]
    return sum(max(0.0, after - end) for after, end in zip(played.times[1:], ends, strict=False))


@pytest.mark.parametrize("length", ["1m", "5m", "1h"])
@pytest.mark.parametrize("speed", [0.25, 1, 7])
async def test_a_recordings_own_cadence_never_makes_its_prices_stale(tmp_path: Path, length: str, speed: float) -> None:
    step_s = {"1m": 60, "5m": 300, "1h": 3_600}[length]
    rows = [f"{number * step_s},1,1,1,1,1" for number in range(5)]
    played = Played()
    await played.play(write(tmp_path, f"candles{length}_SOL_x.csv", CANDLE_HEADER, *rows), speed=speed)
    assert stale_for_s(played) == 0


async def test_a_hole_in_a_recording_makes_its_prices_stale(tmp_path: Path) -> None:
    played = Played()
    await played.play(write(tmp_path, "candles5m_SOL_x.csv", CANDLE_HEADER, "0,1,1,1,1,1", "600,1,1,1,1,1"))
    assert stale_for_s(played) == pytest.approx(300 - 105, abs=0.001)


async def test_iter_ticks_and_run_give_the_same(tmp_path: Path) -> None:
    candles = write(tmp_path, "candles1m_BTC_x.csv", CANDLE_HEADER, "0,1,2,1,2,1", "60,2,3,1,1,1")
    files = [candles, quotes(tmp_path, 5, 20_000_000)]
    played = Played()
    feed = await played.play(*files)
    assert [(tick.asset, tick.bid, tick.ask) for tick in played.ticks] == [tick[1:] for tick in all_ticks(feed)]
    assert [(tick[0] - T0_US) / 1e6 for tick in all_ticks(feed)] == pytest.approx(played.times, abs=1e-5)
    assert len(played.ticks) == 10


def test_check_accepts_sound_files_and_may_be_repeated(tmp_path: Path) -> None:
    feed = ReplayFeed([quotes(tmp_path, 1, 2, 3)], INSTRUMENTS, LIFE_US)
    feed.check()
    feed.check()
    assert feed.counters == Counter()


def test_check_finds_the_last_line_of_the_last_file(tmp_path: Path) -> None:
    good = quotes(tmp_path, 1, 2, 3)
    bad = write(tmp_path, "candles1m_BTC_x.csv", CANDLE_HEADER, "0,1,1,1,1,1", "60,1,1,1,1,1", "120,1,1,1,9,1")
    with pytest.raises(ReplayError, match=r"candles1m_BTC_x\.csv, line 4: high 1 is below close 9"):
        ReplayFeed([good, bad], INSTRUMENTS, LIFE_US).check()


async def test_a_file_that_broke_after_the_check_stops_the_replay_with_the_same_sentence(tmp_path: Path) -> None:
    path = quotes(tmp_path, 1, 2)
    heard: list[PriceTick] = []
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, pacer=HeldPacer())
    feed.check()
    with path.open("a") as file:
        file.write("broken\n")
    with pytest.raises(ReplayError, match="line 4"):
        await feed.run(heard.append)
    assert 1 <= len(heard) <= 2
    assert not feed.ended


def test_no_files_are_refused() -> None:
    with pytest.raises(ReplayError, match="at least one file"):
        ReplayFeed([], INSTRUMENTS, LIFE_US)


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ReplayError, match="speed must be above 0"):
        ReplayFeed([quotes(tmp_path, 1)], INSTRUMENTS, LIFE_US, speed)


def test_it_says_what_it_replays_and_how_fast(tmp_path: Path) -> None:
    feed = ReplayFeed([quotes(tmp_path, 1)], INSTRUMENTS, LIFE_US, 60)
    assert feed.describe() == "REPLAYED prices at 60x from quotes.csv"
    assert feed.simulated


@pytest.mark.slow
async def test_the_recorded_crash_plays_to_its_end_and_its_prices_are_never_stale() -> None:
    files = [recorded(f"candles5m_{asset}_2024-08-crash.csv.gz") for asset in ("BTC", "ETH", "SOL")]
    played = Played()
    feed = await played.play(*files)
    assert feed.counters == Counter(ticks=3 * 4 * 3_168)
    assert played.times[-1] == pytest.approx(3_168 * 300, abs=0.001)
    for asset in ("BTC", "ETH", "SOL"):
        one = Played()
        pairs = [pair for pair in zip(played.times, played.ticks, strict=True) if pair[1].asset == asset]
        one.times, one.ticks = [at for at, _ in pairs], [tick for _, tick in pairs]
        assert stale_for_s(one) == 0

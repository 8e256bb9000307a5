"""feeds/replay.py beside its pace: parts, loops, progress, orders that ride along, and the recording's own time."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exness.core.capture import digest_of
from exness.core.commands import Command, PriceTick
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import Record, TradeOpened
from exness.core.evolve import evolve
from exness.core.instruments import Asset
from exness.core.prices import PriceState
from exness.core.rejects import NoPrice, Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.views import Question
from exness.feeds.guard import Guard, GuardSettings, JumpRule
from exness.feeds.recording import CANDLE_HEADER, QUOTE_HEADER, ReplayError
from exness.feeds.replay import ReplayFeed, ReplayOptions, Resume, resume_after
from exness.runtime.ports.prices import V
from tests.feeds.helpers import INSTRUMENTS, LIFE_US, SOL, T0_US, HeldPacer, since_t0
from tests.support.books import assert_books_balance, is_liquidation

SECOND = 1_000_000
ORDERS_HEADER = "time,account,do,order,asset,type,margin,leverage,slippage,expectedPrice"
BALANCE = 5_000 * SECOND


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{since_t0(line)}\n" for line in lines))
    return path


def quotes(folder: Path, *rows: tuple[int, str]) -> Path:
    """(second after T0, price) of SOL, without a spread."""
    lines = (f"{T0_US + second * SECOND},SOL_USDC,{price},{price}" for second, price in rows)
    return write(folder, "quotes.csv", QUOTE_HEADER, *lines)


def at(second: int) -> str:
    """`time` of an order so many seconds after T0."""
    return str(T0_US + second * SECOND)


def orders(folder: Path, *lines: str) -> Path:
    return write(folder, "orders.csv", ORDERS_HEADER, *lines)


class Cut(Exception):
    """The power is gone."""


class Desk:
    """An engine as a Stage, with its journal; it can lose its power after so many records."""

    def __init__(self, records: Sequence[Record] = (), power: int | None = None) -> None:
        self.engine = Engine(Rules({each.asset: each for each in INSTRUMENTS}), State())
        self.records = list(records)
        for record in records:
            evolve(self.engine.state, record)
        self.power = power
        self.outcomes: list[tuple[int, Outcome]] = []
        self.seen_again: list[tuple[Asset, int]] = []

    @property
    def state(self) -> State:
        return self.engine.state

    @property
    def resume(self) -> Resume:
        return resume_after(self.state.at, self.records[-1].request) if self.records else Resume()

    def passed_over(self, tick: PriceTick, at: int) -> None:
        self.seen_again.append((tick.asset, at))

    def look(self, question: Question[V]) -> V:
        return question.answer(self.state, self.engine.rules, self.state.at)

    async def perform(self, command: Command, at: int, request: str = "", *, again: bool = False) -> Outcome:
        if self.power is not None and len(self.records) >= self.power:
            raise Cut
        outcome = self.engine.execute(command, at, request)
        if isinstance(outcome, Done):
            self.records += outcome.records
        if not isinstance(command, PriceTick):
            self.outcomes.append(((at - T0_US) // SECOND, outcome))
        return outcome


async def play(desk: Desk, files: Sequence[Path], speed: float = math.inf, **options: Any) -> ReplayFeed:
    guard = options.pop("guard", None)
    settings = ReplayOptions(initial_balance=BALANCE, **options)
    feed = ReplayFeed(files, INSTRUMENTS, LIFE_US, speed, settings, guard=guard, pacer=HeldPacer())
    feed.check()
    await feed.play(desk, desk.resume)
    assert_books_balance(desk.state)
    return feed


# --- parts, loops, progress ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin_s", "end_s", "prices"),
    [(None, None, [1, 2, 3, 4]), (20, None, [2, 3, 4]), (None, 30, [1, 2]), (20, 40, [2, 3]), (11, 21, [2])],
)
async def test_a_part_is_played_from_its_begin_until_just_before_its_end(
    tmp_path: Path, begin_s: int | None, end_s: int | None, prices: list[int]
) -> None:
    options = ReplayOptions(begin_us=begin_s and T0_US + begin_s * SECOND, end_us=end_s and T0_US + end_s * SECOND)
    path = quotes(tmp_path, (10, "1"), (20, "2"), (30, "3"), (40, "4"))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 60, options, pacer=HeldPacer())
    heard: list[PriceTick] = []
    await feed.run(heard.append)
    assert [tick.bid // 10**6 for tick in heard] == prices
    assert [tick[2] // 10**6 for tick in feed.iter_ticks()] == prices


def test_a_part_without_a_tick_is_refused_before_anything_starts(tmp_path: Path) -> None:
    options = ReplayOptions(begin_us=T0_US + 21 * SECOND, end_us=T0_US + 30 * SECOND)
    feed = ReplayFeed([quotes(tmp_path, (20, "2"), (30, "3"))], INSTRUMENTS, LIFE_US, 1, options)
    with pytest.raises(ReplayError, match="nothing to replay between --from and --to"):
        feed.check()


class Enough(Exception):
    pass


async def test_a_loop_begins_again_and_its_pace_and_time_go_on(tmp_path: Path) -> None:
    pacer, heard = HeldPacer(), list[tuple[float, int]]()

    def emit(tick: PriceTick) -> None:
        heard.append((round(pacer.at - 1_000, 3), tick.bid // 10**6))
        if len(heard) == 6:
            raise Enough

    path = quotes(tmp_path, (10, "1"), (14, "2"))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 1, ReplayOptions(loop=True), pacer=pacer)
    with pytest.raises(Enough):
        await feed.run(emit)
    assert heard == [(0, 1), (4, 2), (5, 1), (9, 2), (10, 1), (14, 2)]
    assert "now at 2024-08-05T00:00:24Z" in feed.describe()


async def test_it_says_how_far_it_is_in_the_recordings_time(tmp_path: Path) -> None:
    pacer = HeldPacer()
    path = quotes(tmp_path, *((second, "1") for second in range(0, 101, 10)))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 2, pacer=pacer)
    feed.check()
    said: list[str] = []
    with capture_logs() as logs:
        await feed.run(lambda _: said.append(feed.describe()))
    assert said[5] == "REPLAYED prices at 2x from quotes.csv, now at 2024-08-05T00:00:50Z (50 %)"
    assert feed.describe() == "REPLAYED prices at 2x from quotes.csv, ended"
    progress = [(entry["at"], entry["done"]) for entry in logs if entry["event"] == "replay_progress"]
    assert progress[:2] == [("2024-08-05T00:00:20Z", "20 %"), ("2024-08-05T00:00:40Z", "40 %")]


async def test_a_guard_refuses_what_is_unsound_in_a_recording_too_and_counts_it(tmp_path: Path) -> None:
    path = write(tmp_path, "quotes.csv", QUOTE_HEADER, "1,SOL_USDC,100,100", "2,SOL_USDC,100,150", "3,SOL_USDC,9,9")
    guard = Guard(INSTRUMENTS, GuardSettings(max_spread=1_000))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 60, guard=guard, pacer=HeldPacer())
    heard: list[PriceTick] = []
    await feed.run(heard.append)
    assert [tick.bid // 10**6 for tick in heard] == [100, 9]
    assert feed.counters == Counter(ticks=2, spread_too_wide=1)


def test_only_full_speed_or_orders_make_the_recordings_time_the_exchanges(tmp_path: Path) -> None:
    path = quotes(tmp_path, (1, "1"))
    assert not ReplayFeed([path], INSTRUMENTS, LIFE_US, 60).owns_time
    assert ReplayFeed([path], INSTRUMENTS, LIFE_US, math.inf).owns_time
    assert ReplayFeed([path], INSTRUMENTS, LIFE_US, 60, ReplayOptions(orders=path)).owns_time


def test_data_of_a_later_time_is_refused(tmp_path: Path) -> None:
    feed = ReplayFeed([quotes(tmp_path, (10, "1"), (20, "1"))], INSTRUMENTS, LIFE_US, math.inf)
    feed.check()
    feed.refuse_newer(T0_US + 20 * SECOND)
    with pytest.raises(ReplayError, match="needs a data directory of its own"):
        feed.refuse_newer(T0_US + 20 * SECOND + 1)


def test_orders_can_not_loop(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="can't loop"):
        ReplayFeed([tmp_path], INSTRUMENTS, LIFE_US, 1, ReplayOptions(loop=True, orders=tmp_path))


# --- orders and the recording's time ------------------------------------------------------------------------------


async def test_orders_are_made_at_their_time_between_the_ticks(tmp_path: Path) -> None:
    desk = Desk()
    path = quotes(tmp_path, (0, "100"), (10, "110"), (20, "120"), (30, "130"))
    script = orders(
        tmp_path,
        "2024-08-05T00:00:05Z,ann@example.com,open,a,SOL,long,100,2,,",
        "2024-08-05T00:00:10Z,Bob@Example.com,open,b,SOL,short,50,1,,",
        "2024-08-05T00:00:25Z,ann@example.com,close,a,,,,,,",
    )
    feed = await play(desk, [path], orders=script)
    opened = [(each.at, each.event.trade) for each in desk.records if isinstance(each.event, TradeOpened)]
    assert [((at_us - T0_US) // SECOND, trade.entry // 10**6) for at_us, trade in opened] == [(5, 100), (10, 110)]
    assert desk.records[-1].event.price == 120_000_000  # type: ignore[union-attr]
    assert {account.email: account.free for account in desk.state.account_list} == {
        "ann@example.com": BALANCE + 40 * SECOND,
        "bob@example.com": BALANCE - 50 * SECOND,
    }
    assert (feed.orders_done, feed.orders_refused, feed.counters["ticks"]) == (3, 0, 4)


async def test_an_order_of_a_ticks_own_moment_comes_after_it_and_one_after_the_last_tick_is_made(
    tmp_path: Path,
) -> None:
    desk = Desk()
    path = quotes(tmp_path, (10, "100"), (20, "200"))
    script = orders(
        tmp_path, f"{at(20)},ann@example.com,open,a,SOL,long,1,1,,", f"{at(21)},ann@example.com,open,b,SOL,long,1,1,,"
    )
    await play(desk, [path], orders=script)
    assert [each.event.trade.entry // 10**6 for each in desk.records[1:]] == [200, 200]  # type: ignore[union-attr]


async def test_the_clock_is_the_recordings(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watching(Desk):
        async def perform(self, command: Command, at: int, request: str = "", *, again: bool = False) -> Outcome:
            seen.append((feed.clock.now_us() - T0_US) // SECOND)
            return await super().perform(command, at, request)

    path = quotes(tmp_path, (100, "1"), (200, "1"), (300, "1"))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, math.inf, pacer=HeldPacer())
    await feed.play(Watching(), Resume())
    assert seen == [100, 200, 300]


async def test_a_candles_cadence_does_not_make_prices_stale_and_a_hole_does(tmp_path: Path) -> None:
    desk = Desk()
    rows = (CANDLE_HEADER, "0,100,100,100,100,1", "300,100,100,100,100,1", "1200,100,100,100,100,1")
    path = write(tmp_path, "candles5m_SOL_x.csv", *rows)
    times = (99, 199, 299, 399, 599, 650, 700, 1_199, 1_200)
    script = orders(tmp_path, *(f"{at(second)},ann@example.com,open,o{second},SOL,long,1,1,," for second in times))
    await play(desk, [path], orders=script)
    refused = [at for at, outcome in desk.outcomes if isinstance(outcome, Refusal)]
    assert refused == [700, 1_199]
    reasons = [outcome.figures for _, outcome in desk.outcomes if isinstance(outcome, Refusal)]
    assert [each.state for each in reasons if isinstance(each, NoPrice)] == [PriceState.STALE] * 2


async def test_a_refused_order_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    desk = Desk()
    script = orders(
        tmp_path,
        f"{at(1)},ann@example.com,open,a,ETH,long,1,1,,",
        f"{at(2)},ann@example.com,open,b,SOL,long,99999,1,,",
        f"{at(3)},ann@example.com,close,b,,,,,,",
    )
    feed = await play(desk, [quotes(tmp_path, (0, "100"), (5, "100"))], orders=script)
    rejects = [outcome.reject for _, outcome in desk.outcomes if isinstance(outcome, Refusal)]
    assert rejects == [Reject.PRICE_UNAVAILABLE, Reject.INSUFFICIENT_MARGIN, Reject.TRADE_NOT_FOUND]
    assert (feed.orders_done, feed.orders_refused, len(desk.records)) == (0, 3, 1)


BAD_LINES: list[tuple[str, str]] = [
    ("2024-08-05T00:00:01Z,ann@example.com,open,a,SOL,long,1,1,", "has 9 fields instead of 10"),
    ("yesterday,ann@example.com,open,a,SOL,long,1,1,,", "time must be a date like 2024-08-05 or a time like"),
    ("2024-08-05,x,open,a,SOL,long,1,1,,", "account: this is no mail address like you@example.com"),
    ("2024-08-05,ann@example.com,buy,a,SOL,long,1,1,,", "do must be open or close"),
    ("2024-08-05,ann@example.com,open,,SOL,long,1,1,,", "order must be a name"),
    (
        "2024-08-05,ann@example.com,open,a,DOGE,long,1,1,,",
        "asset 'DOGE' is not a configured asset, which are SOL, ETH, BTC",
    ),
    ("2024-08-05,ann@example.com,open,a,SOL,up,1,1,,", "type must be long or short"),
    ("2024-08-05,ann@example.com,open,a,SOL,long,0,1,,", "margin must be above 0"),
    ("2024-08-05,ann@example.com,open,a,SOL,long,1.0000001,1,,", "margin can have at most 6 decimals, not '1.0000001'"),
    ("2024-08-05,ann@example.com,open,a,SOL,long,1,101,,", "leverage must be 1 to 100"),
    ("2024-08-05,ann@example.com,open,a,SOL,long,1,1,5,", "slippage must be a whole number from 10 to 10000, not '5'"),
    ('2024-08-05,ann@example.com,open,a,SOL,long,1,"1,,', "is no row of CSV"),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_a_bad_line_is_named_before_anything_starts(tmp_path: Path, line: str, problem: str) -> None:
    script = orders(tmp_path, "2024-08-05,ann@example.com,open,first,SOL,long,1,1,,", line)
    feed = ReplayFeed([quotes(tmp_path, (1, "1"))], INSTRUMENTS, LIFE_US, 1, ReplayOptions(orders=script))
    with pytest.raises(ReplayError, match=r"orders\.csv, line 3: ") as error:
        feed.check()
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["2024-08-06,ann@example.com,open,a,SOL,long,1,1,,", "2024-08-05,ann@example.com,open,b,SOL,long,1,1,,"],
            "before that of the line",
        ),
        (
            ["2024-08-05,ann@example.com,open,a,SOL,long,1,1,,"] * 2,
            "line 3: order a is opened by ann@example.com a second time",
        ),
        (
            ["2024-08-05,ann@example.com,close,a,,,,,,"],
            "line 2: order a is closed by ann@example.com, who has not opened it",
        ),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(tmp_path: Path, lines: list[str], problem: str) -> None:
    script = orders(tmp_path, *lines)
    feed = ReplayFeed([quotes(tmp_path, (1, "1"))], INSTRUMENTS, LIFE_US, 1, ReplayOptions(orders=script))
    with pytest.raises(ReplayError, match=problem):
        feed.check()


# --- the same state, always ---------------------------------------------------------------------------------------


def market_and_script(folder: Path) -> tuple[list[Path], Path]:
    """Two hours of falling and rising SOL and ETH with a hole in them, and orders that it liquidates."""
    lines = []
    for number in range(240):
        second, sol = number * 30 + (600 if number > 120 else 0), 100 + 20 * abs((number % 60) - 30) / 30
        lines += [f"{T0_US + second * SECOND},SOL_USDC,{sol:.2f},{sol + 0.01:.2f}"]
        lines += [f"{T0_US + second * SECOND},ETH_USDC,{sol * 20:.2f},{sol * 20 + 0.5:.2f}"]
    recording = write(folder, "quotes.csv", QUOTE_HEADER, *sorted(lines, key=lambda line: int(line.split(",")[0])))
    rows, open_trades = list[str](), list[Any]()
    for number in range(300):
        when, who = at(number * 25), f"t{number % 7}@example.com"
        if number % 3 == 2:
            name, owner = open_trades.pop(0)
            rows.append(f"{when},{owner},close,{name},,,,,,")
            continue
        asset, side = ("SOL", "ETH")[number % 2], ("long", "short")[number % 5 % 2]
        rows.append(f"{when},{who},open,o{number},{asset},{side},{20 + number},{(1, 10, 50)[number % 3]},,")
        open_trades.append((f"o{number}", who))
    return [recording], orders(folder, *rows)


async def test_every_run_ends_in_the_same_state_at_any_speed(tmp_path: Path) -> None:
    files, script = market_and_script(tmp_path)
    digests, liquidated = set(), 0
    for speed in (60, 60, math.inf, math.inf, 0.5):
        desk = Desk()
        feed = await play(desk, files, speed, orders=script)
        digests.add((digest_of(desk.state), desk.state.at, feed.liquidations, feed.orders_done, feed.orders_refused))
        liquidated = sum(is_liquidation(record.event) for record in desk.records)
    assert len(digests) == 1
    assert liquidated > 20


@pytest.mark.slow
async def test_a_run_that_is_cut_anywhere_goes_on_to_the_same_state(tmp_path: Path) -> None:
    files, script = market_and_script(tmp_path)
    whole = Desk()
    await play(whole, files, orders=script)
    for cut in range(1, len(whole.records), 7):
        first = Desk(power=cut)
        with pytest.raises(Cut):
            await play(first, files, orders=script)
        # What a crash leaves is what was on disk: here every record up to the cut, wherever that is.
        second = Desk(first.records[:cut])
        await play(second, files, orders=script)
        assert digest_of(second.state) == digest_of(whole.state), f"cut after record {cut}"
        assert second.records == whole.records, f"cut after record {cut}"


async def test_a_run_that_had_ended_adds_nothing_when_it_is_started_again(tmp_path: Path) -> None:
    files, script = market_and_script(tmp_path)
    first = Desk()
    await play(first, files, orders=script)
    second = Desk(first.records)
    await play(second, files, orders=script)
    assert second.records == first.records


async def test_a_suspicion_outlives_a_restart_of_the_replay(tmp_path: Path) -> None:
    """With jumps guarded, what the guard had seen before the cut it has seen after it."""
    path = quotes(tmp_path, (0, "100"), (1, "100"), (2, "10"), (3, "10"), (4, "10"), (5, "10"))
    script = orders(
        tmp_path,
        f"{at(1)},ann@example.com,open,a,SOL,short,10,1,,",
        f"{at(3)},ann@example.com,close,a,,,,,,",
        f"{at(3)},ann@example.com,open,b,SOL,long,10,1,,",
        f"{at(5)},ann@example.com,open,c,SOL,long,10,1,,",
    )

    def guard() -> Guard:
        return Guard(INSTRUMENTS, GuardSettings(jumps={SOL.asset: JumpRule(2_000, 3)}))

    whole = Desk()
    feed = await play(whole, [path], orders=script, guard=guard())
    assert (feed.orders_done, feed.orders_refused, feed.counters["jump"]) == (3, 1, 3)
    for cut in range(1, len(whole.records)):
        second = Desk(whole.records[:cut])
        await play(second, [path], orders=script, guard=guard())
        assert second.records == whole.records

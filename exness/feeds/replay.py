"""Recorded prices at their own pace, at a multiple of it, or as fast as it goes.

Promises: ticks in the recording's order and none left out but what the guard refuses, counted; the loop gets its turn
also when the replay is behind. A recording's own cadence does not make its prices stale, a hole in it does. What the
files mean is for `recording` to say, what rides along for `orders`.

There are two ways to play. `run` plays on the wall's time: tick k at start + (t_k - t_0) / speed, without drift. `play`
plays on the recording's time: each tick and order is executed at the time it was recorded, the exchange's clock shows
that time, and so every run ends in the same state, at any speed. That is the way when the speed is `max` (`math.inf`)
or orders ride along: the recording then owns the time.

A run that was killed goes on where it was: what the journal has is passed over (`Resume`), the rest is executed as it
would have been.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import structlog

from exness.core.commands import OpenAccount, PriceTick
from exness.core.instruments import Asset
from exness.core.outcomes import Done
from exness.core.views import AccountOf
from exness.feeds.decode import Quote
from exness.feeds.guard import Guard, Verdict, pass_on
from exness.feeds.orders import ScriptedOrder, check_orders, read_orders
from exness.feeds.pacing import Pacer
from exness.feeds.recording import RecordedTick, ReplayError
from exness.feeds.union import Union
from exness.runtime.listings import Listing
from exness.runtime.moments import show_moment
from exness.runtime.ports.prices import EngineDriver, LastRecord

__all__ = ["RecordingClock", "ReplayError", "ReplayFeed", "ReplayOptions", "Resume", "resume_after"]

PROGRESS_EVERY_S = 10.0

LONGEST_WAIT_S = 86_400
"""Seconds of real time with nothing to emit: more is a hole in the recording, or a time that is wrong, until it is said
to be meant."""

_LATENESS_US = 5_000_000
"""Added to the life of a tick whose successor has a known time: that one may be handled late on a busy machine."""

_LOOP_PAUSE_US = 1_000_000
"""From the last tick of one round to the first of the next, where the recording has no cadence."""

_TICKS_BEFORE_YIELD = 100
_ORDER_REQUEST = re.compile(r"replay:(\d{1,18})(:account)?", re.ASCII)

_log = structlog.get_logger("exness.feeds.replay")


class RecordingClock:
    """Implements `ports.Clock`: the time of what is being replayed. It never goes back."""

    def __init__(self) -> None:
        self._now_us = 0

    def now_us(self) -> int:
        return self._now_us

    def advance(self, to_us: int) -> None:
        self._now_us = max(self._now_us, to_us)


class ReplayOptions(msgspec.Struct, frozen=True):
    """What is played beside all of it once. `begin_us` is included, `end_us` is not; None means the recording's own."""

    begin_us: int | None = None
    end_us: int | None = None
    loop: bool = False
    allow_gaps: bool = False
    """Whether a wait of more than LONGEST_WAIT_S between two ticks or orders is meant."""
    orders: Path | None = None
    initial_balance: int = 0
    """Micro-USDC for an account that an order is the first to name."""


class Resume(msgspec.Struct, frozen=True):
    """How far an earlier run came: the time of its last record, and the row of the last order that is done. Orders
    before that time are done, whatever the row. `counted_us`: of marks before it no candle needs to hear again."""

    at_us: int = 0
    row: int = 0
    counted_us: int = 0


def resume_after(at_us: int, request: str) -> Resume:
    """Where to go on after the journal's last record, of time `at_us` and made by `request`.

    A liquidation comes of a tick, and ticks of a moment come before its orders: none of those is done then.
    """
    named = _ORDER_REQUEST.fullmatch(request)
    if named is None:
        return Resume(at_us)
    row = int(named[1])
    return Resume(at_us, row - 1 if named[2] else row)


class _Span(msgspec.Struct):
    """First and last moment of the recording, and how long the pause is after which a loop begins again."""

    first_us: int
    last_us: int
    pause_us: int

    @property
    def round_us(self) -> int:
        return self.last_us - self.first_us + self.pause_us


class ReplayFeed:
    """Recorded files, merged by time and symbol: a Conductor where it owns the time, else a PriceFeed."""

    simulated = True
    connected = True

    def __init__(
        self,
        files: Sequence[Path],
        instruments: Sequence[Listing],
        life_us: int,
        speed: float = 1.0,
        options: ReplayOptions | None = None,
        *,
        guard: Guard | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        """`life_us`: how long a price may be traded on at least. `speed`: recorded seconds per second; `math.inf`
        is as fast as it goes. Reads nothing yet. Raises ReplayError for what can't be played that way."""
        options = options or ReplayOptions()
        if not files:
            raise ReplayError("a replay needs at least one file")
        if not speed > 0:
            raise ReplayError(f"the replay speed must be above 0, not {speed}")
        if options.loop and options.orders is not None:
            raise ReplayError("a replay with orders can't loop: each order is made once")
        self.counters: Counter[str] = Counter()
        self.ended = False
        """True once every tick of the recording has been emitted."""
        self.owns_time = math.isinf(speed) or options.orders is not None
        """Whether the exchange is to go by the recording's time, `clock`; else it is the wall's."""
        self.clock = RecordingClock()
        self.orders_done = 0
        self.orders_refused = 0
        self.liquidations = 0
        self._driver: EngineDriver | None = None
        self._files = [Path(file) for file in files]
        self._instruments = list(instruments)
        self._union = Union(self._files, self._instruments)
        self._repeated = 0
        self._life_us = life_us
        self._speed = speed
        self._options = options
        self._guard = guard
        self._pacer = pacer or Pacer()
        self._span: _Span | None = None
        self._index = 0
        self._at_us: int | None = None
        self._said_s = self._pacer.now()

    def summary(self) -> str:
        """What has been played, once it has ended."""
        orders = f", {self.orders_done} orders done and {self.orders_refused} refused" if self._options.orders else ""
        liquidations = f", {self.liquidations} liquidations" if self.owns_time else ""
        return f"{self.counters['ticks']} ticks{orders}{liquidations}"

    def describe(self) -> str:
        speed = "full speed" if math.isinf(self._speed) else f"{self._speed:g}x"
        text = f"REPLAYED prices at {speed} from {', '.join(file.name for file in self._files)}"
        if self._repeated:
            text += f" ({self._repeated} rows that two files have are played once)"
        if self.ended:
            return f"{text}, ended"
        if self._at_us is None:
            return text
        return f"{text}, now at {show_moment(self._at_us)}{self._share()}"

    def check(self) -> None:
        """Read every file to its end. Raises ReplayError for the first line that cannot be replayed, when there is
        nothing between `begin_us` and `end_us`, and for a wait of more than LONGEST_WAIT_S that nobody allowed.

        Takes about 1 s per 100,000 candles: call it from a thread.
        """
        if self._options.orders is not None:
            check_orders(self._options.orders, self._instruments)
        first_us, last_us, before_us, pause_us = None, 0, None, _LOOP_PAUSE_US
        longest_us = math.inf if self._options.allow_gaps else LONGEST_WAIT_S * 1_000_000 * self._speed
        with closing(self._union.ticks()) as ticks:
            for item in self._items(ticks):
                if before_us is not None and item.time_us - before_us > longest_us:
                    raise self._gap(before_us, item)
                before_us = item.time_us
                if isinstance(item, RecordedTick):
                    first_us = item.time_us if first_us is None else first_us
                    last_us = item.time_us
                    if item.gap_us is not None and item.gap_us > pause_us:
                        pause_us = item.gap_us
        if first_us is None:
            raise ReplayError("there is nothing to replay between --from and --to: the recording has no tick there")
        self._span = _Span(first_us, last_us, pause_us)
        self._note_repeated()

    def refuse_newer(self, at_us: int) -> None:
        """Raise ReplayError when the exchange is already past the recording's time: `at_us` is its last record's."""
        if not self.owns_time or self._span is None or self._options.loop or at_us <= self._span.last_us:
            return
        end = show_moment(self._span.last_us)
        raise ReplayError(
            f"the data directory is of {show_moment(at_us)}, and the recording ends at {end}: "
            f"a replay at its own time needs a data directory of its own"
        )

    def iter_ticks(self) -> Iterator[tuple[int, Asset, int, int]]:
        """(microseconds since the epoch, asset, bid, ask) of every tick in order; bid and ask scaled."""
        for tick in self._once():
            yield tick.time_us, tick.asset, tick.bid, tick.ask

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Emit, on the wall's time, until the recording ends. Raises ReplayError if a file is broken: `check` first."""
        self.ended = False
        with closing(self._rounds()) as ticks:
            await self._emit(ticks, emit)
        self.ended = True

    def hold(self, driver: EngineDriver) -> None:
        """The engine that `conduct` plays to."""
        self._driver = driver

    async def conduct(self, last: LastRecord) -> None:
        """`play`, from after the journal's last record."""
        assert self._driver is not None, "hold comes first"
        resume = resume_after(last.at, last.request)
        await self.play(self._driver, msgspec.structs.replace(resume, counted_us=last.counted))

    async def play(self, driver: EngineDriver, resume: Resume) -> None:
        """Play ticks and orders on the recording's time, from where `resume` says, until it ends.

        Raises ReplayError like `run`, and Halted when the exchange has stopped.
        """
        self.ended = False
        with closing(self._rounds(min(resume.at_us, resume.counted_us))) as ticks:
            await _Performance(self, driver, self.clock, resume).play(_with_orders(ticks, self._orders(resume)))
        self.ended = True

    def pace(self, start_s: float, since_start_us: int) -> float:
        """Seconds to wait for what is due so long after the start, in the recording's time."""
        return start_s + since_start_us / 1e6 / self._speed - self._pacer.now()

    async def sleep(self, seconds: float) -> None:
        await self._pacer.sleep(seconds)

    def now_s(self) -> float:
        return self._pacer.now()

    def judge(self, tick: RecordedTick, life_us: int) -> Verdict:
        """A tick as the guard sees it; without a guard everything is as it should be."""
        if self._guard is None:
            return Verdict(PriceTick(tick.asset, tick.bid, tick.ask, life_us, volume=tick.volume))
        self._index += 1  # a recording has no update ids, and comes in order
        return self._guard.take(Quote(tick.symbol, tick.bid, tick.ask, self._index, tick.time_us), life_us, tick.volume)

    def life_in_recording(self, tick: RecordedTick) -> int:
        """Microseconds of recorded time: the configured life, or until the asset's next tick if that is longer."""
        return max(self._life_us, tick.gap_us or 0)

    def note_progress(self, time_us: int) -> None:
        """Remember where we are, and say so every now and then."""
        self._at_us = time_us
        now_s = self._pacer.now()
        if now_s - self._said_s >= PROGRESS_EVERY_S:
            self._said_s = now_s
            _log.info(
                "replay_progress", at=show_moment(time_us), done=self._share().strip(" ()") or "?", **self.counters
            )

    def initial_balance(self) -> int:
        return self._options.initial_balance

    async def _emit(self, ticks: Iterator[RecordedTick], emit: Callable[[PriceTick], None]) -> None:
        start_s, first_us = self._pacer.now(), None
        in_a_row = 0
        for tick in ticks:
            if first_us is None:
                first_us = tick.time_us
            wait_s = self.pace(start_s, tick.time_us - first_us)
            if wait_s > 0 or in_a_row >= _TICKS_BEFORE_YIELD:
                await self._pacer.sleep(wait_s)
                in_a_row = 0
            in_a_row += 1
            self.note_progress(tick.time_us)
            pass_on(self.judge(tick, self._life_of(tick)), self.counters, emit)

    def _life_of(self, tick: RecordedTick) -> int:
        """Microseconds of real time: the configured life, or until the asset's next tick is due if that is longer."""
        if tick.gap_us is None:
            return max(self._life_us, math.ceil(self._life_us / self._speed))
        return max(self._life_us, math.ceil(tick.gap_us / self._speed) + _LATENESS_US)

    def _once(self) -> Iterator[RecordedTick]:
        with closing(self._union.ticks()) as ticks:
            for tick in ticks:
                if self._options.end_us is not None and tick.time_us >= self._options.end_us:
                    return
                if self._is_in_window(tick):
                    yield tick

    def _rounds(self, from_us: int = 0) -> Generator[RecordedTick, None, None]:
        """The recording, once or for ever. A round's times follow on those of the one before. Rounds that end before
        `from_us` are passed over."""
        shift_us = 0
        if self._options.loop and self._span is not None and from_us > self._span.last_us:
            shift_us = (from_us - self._span.first_us) // self._span.round_us * self._span.round_us
        while True:
            first_us, last_us, pause_us = None, 0, _LOOP_PAUSE_US
            for tick in self._once():
                first_us = tick.time_us if first_us is None else first_us
                last_us, pause_us = tick.time_us, max(pause_us, tick.gap_us or 0)
                yield msgspec.structs.replace(tick, time_us=tick.time_us + shift_us) if shift_us else tick
            if not self._options.loop or first_us is None:
                return
            shift_us += last_us - first_us + pause_us

    def _orders(self, resume: Resume) -> Iterator[ScriptedOrder]:
        """What is still to do, within the window."""
        if self._options.orders is None:
            return
        for order in read_orders(self._options.orders, self._instruments):
            is_done = order.row <= resume.row or order.time_us < resume.at_us
            if self._is_in_window(order) and not is_done:
                yield order

    def _is_in_window(self, item: RecordedTick | ScriptedOrder) -> bool:
        begin_us, end_us = self._options.begin_us, self._options.end_us
        return (begin_us is None or item.time_us >= begin_us) and (end_us is None or item.time_us < end_us)

    def _items(self, ticks: Iterator[RecordedTick]) -> Iterator[RecordedTick | ScriptedOrder]:
        """All that is played once, of all the recording's ticks."""
        if self._options.begin_us is not None or self._options.end_us is not None:
            ticks = filter(self._is_in_window, ticks)
        return ticks if self._options.orders is None else _with_orders(ticks, self._orders(Resume()))

    def _gap(self, last_us: int, item: RecordedTick | ScriptedOrder) -> ReplayError:
        if isinstance(item, RecordedTick):
            path, line = self._union.row_of(item)
            where = f"replay file {path}, line {line}"
        else:
            where = f"orders file {self._options.orders}, line {item.line}"
        days = (item.time_us - last_us) / 86_400e6
        return ReplayError(
            f"{where}: before {show_moment(item.time_us)} nothing happens for {days:.1f} days, since "
            f"{show_moment(last_us)}: at speed {self._speed:g} that is a wait of {days / self._speed:.1f} days; choose "
            "another --speed, a part with --from and --to, or allow it with --allow-gaps (feed.allow_gaps)"
        )

    def _note_repeated(self) -> None:
        for path, rows in self._union.repeated.items():
            _log.warning("replay_rows_repeated", file=str(path), rows=rows, played="once")
        self._repeated = self._union.repeated.total()

    def _share(self) -> str:
        if self._span is None or self._at_us is None or self._options.loop:
            return ""
        length_us = max(1, self._span.last_us - self._span.first_us)
        return f" ({min(100, (self._at_us - self._span.first_us) * 100 // length_us)} %)"


class _Performance:
    """One way through a recording on its own time."""

    def __init__(self, feed: ReplayFeed, driver: EngineDriver, clock: RecordingClock, resume: Resume) -> None:
        self._feed = feed
        self._driver = driver
        self._clock = clock
        self._resume = resume
        self._latest: dict[Asset, list[tuple[int, PriceTick]]] = {}
        """Ticks that an earlier run has seen: the newest of each asset, and the suspicion after it if there was one."""

    async def play(self, items: Iterator[RecordedTick | ScriptedOrder]) -> None:
        start_s, first_us, caught_up, in_a_row = self._feed.now_s(), 0, False, 0
        for item in items:
            if isinstance(item, RecordedTick) and item.time_us < self._resume.at_us:
                self._pass_over(item)
                continue
            if not caught_up:
                caught_up, start_s, first_us = True, self._feed.now_s(), item.time_us
                await self._catch_up()
            wait_s = self._feed.pace(start_s, item.time_us - first_us)
            in_a_row += 1
            if wait_s > 0 or in_a_row >= _TICKS_BEFORE_YIELD:
                await self._feed.sleep(wait_s)
                in_a_row = 0
            self._clock.advance(item.time_us)
            self._feed.note_progress(item.time_us)
            if isinstance(item, RecordedTick):
                await self._tick(item)
            else:
                await self._order(item)
        if not caught_up:
            await self._catch_up()

    def _pass_over(self, tick: RecordedTick) -> None:
        """An earlier run has executed it. The guard sees it all the same, and the newest price is still needed."""
        verdict = self._feed.judge(tick, self._feed.life_in_recording(tick))
        if verdict.tick is None:
            return
        self._driver.passed_over(verdict.tick, tick.time_us)
        if verdict.tick.suspect:
            self._latest[tick.asset].append((tick.time_us, verdict.tick))
        else:
            self._latest[tick.asset] = [(tick.time_us, verdict.tick)]

    async def _catch_up(self) -> None:
        """Prices are not journaled: give the engine those that held when the earlier run ended, each for the rest of
        its life. They set nothing off, for every trade that is still open has survived them or came after them."""
        at_us = self._resume.at_us
        self._clock.advance(at_us)
        for ticks in self._latest.values():
            for time_us, tick in ticks:
                left_us = tick.life_us - (at_us - time_us)
                outcome = await self._driver.perform(msgspec.structs.replace(tick, life_us=left_us), at_us, again=True)
                assert outcome == Done([]), "a price that was seen sets nothing off"

    async def _tick(self, tick: RecordedTick) -> None:
        verdict = self._feed.judge(tick, self._feed.life_in_recording(tick))
        self._feed.counters[verdict.reason or "ticks"] += 1
        if verdict.tick is not None:
            outcome = await self._driver.perform(verdict.tick, tick.time_us)
            assert isinstance(outcome, Done), "a tick is never refused"
            self._feed.liquidations += len(outcome.records)

    async def _order(self, order: ScriptedOrder) -> None:
        request = f"replay:{order.row}"
        account = self._driver.look(AccountOf(order.email)).account
        if account is None:
            account = order.new_account
            opening = OpenAccount(account, order.email, self._feed.initial_balance())
            await self._driver.perform(opening, order.time_us, f"{request}:account")
        outcome = await self._driver.perform(order.command(account), order.time_us, request)
        self._feed.orders_done += isinstance(outcome, Done)
        self._feed.orders_refused += not isinstance(outcome, Done)


def _with_orders(
    ticks: Iterator[RecordedTick], orders: Iterator[ScriptedOrder]
) -> Iterator[RecordedTick | ScriptedOrder]:
    """Both by time. The ticks of a moment come before its orders; orders after the last tick are still made."""
    order = next(orders, None)
    for tick in ticks:
        while order is not None and order.time_us < tick.time_us:
            yield order
            order = next(orders, None)
        yield tick
    while order is not None:
        yield order
        order = next(orders, None)

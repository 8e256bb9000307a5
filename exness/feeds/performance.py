"""A recording on its own time: each tick and order is executed at the time it was recorded.

The exchange's clock shows that time, so every run ends in the same state, at any speed. A run that was killed goes on
where it was: what the journal has is passed over (`Resume`), the rest is executed as it would have been.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from exness.core.commands import OpenAccount, PassTime, PriceTick
from exness.core.instruments import Asset
from exness.core.outcomes import Done
from exness.core.views import AccountOf
from exness.feeds.guard import Verdict
from exness.feeds.liquidations import liquidations_in
from exness.feeds.orders import ScriptedOrder
from exness.feeds.pacing import Pace
from exness.feeds.recording import RecordedTick
from exness.runtime.ports.prices import EngineDriver

_ORDER_CAUSE = re.compile(r"replay:(\d{1,18})(:account)?", re.ASCII)


class RecordingClock:
    """Implements `ports.Clock`: the time of what is being replayed. It never goes back."""

    def __init__(self) -> None:
        self._now_us = 0

    def now_us(self) -> int:
        return self._now_us

    def advance(self, to_us: int) -> None:
        self._now_us = max(self._now_us, to_us)

    def seconds_until(self, at_us: int) -> None:
        """The recording brings what is due."""


class Resume(msgspec.Struct, frozen=True):
    """How far an earlier run came: the time of its last record, and the row of the last order that is done. Orders
    before that time are done, whatever the row; ticks before `ticks_us` are. `counted_us`: of marks before it no candle
    needs to hear again."""

    at_us: int = 0
    row: int = 0
    counted_us: int = 0
    ticks_us: int = 0


def resume_after(at_us: int, cause: str) -> Resume:
    """Where to go on after the journal's last record, of time `at_us` and brought about by `cause`.

    What time brings comes first in a moment, then its ticks, then its orders. So what no order has brought about tells
    that none of them is done, and what an order has, that all the ticks are.
    """
    named = _ORDER_CAUSE.fullmatch(cause)
    if named is None:
        return Resume(at_us, ticks_us=at_us)
    row = int(named[1])
    return Resume(at_us, row - 1 if named[2] else row, ticks_us=at_us + 1)


class Tally(msgspec.Struct):
    """What came of what was played."""

    orders_done: int = 0
    orders_refused: int = 0
    liquidations: int = 0


class Performance:
    """One way through a recording on its own time."""

    def __init__(
        self,
        driver: EngineDriver,
        clock: RecordingClock,
        resume: Resume,
        pace: Pace,
        *,
        judge: Callable[[RecordedTick], Verdict],
        note_progress: Callable[[int], None],
        initial_balance: int,
        counters: Counter[str],
        tally: Tally,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._resume = resume
        self._pace = pace
        self._judge = judge
        self._note_progress = note_progress
        self._initial_balance = initial_balance
        self._counters = counters
        self._tally = tally
        self._latest: dict[Asset, list[tuple[int, PriceTick]]] = {}
        """Ticks that an earlier run has seen: the newest of each asset, and the suspicion after it if there was one."""

    async def play(self, items: Iterator[RecordedTick | ScriptedOrder]) -> None:
        caught_up = False
        for item in items:
            if isinstance(item, RecordedTick) and item.time_us < self._resume.ticks_us:
                self._pass_over(item)
                continue
            if not caught_up:
                caught_up = True
                await self._catch_up()
            await self._pass_time(item.time_us)
            await self._pace.reach(item.time_us)
            self._clock.advance(item.time_us)
            self._note_progress(item.time_us)
            if isinstance(item, RecordedTick):
                await self._tick(item)
            else:
                await self._order(item)
        if not caught_up:
            await self._catch_up()

    async def _pass_time(self, until_us: int) -> None:
        """Have done what time brings by then, at its pace."""
        while (due := self._driver.next_due) is not None and due <= until_us:
            await self._pace.reach(due)
            self._clock.advance(due)
            await self._perform(PassTime(), until_us)

    async def _perform(self, command: PassTime | PriceTick, at_us: int) -> None:
        outcome = await self._driver.perform(command, at_us)
        assert isinstance(outcome, Done), "a tick is never refused"
        self._tally.liquidations += await liquidations_in(outcome.records)

    def _pass_over(self, tick: RecordedTick) -> None:
        """An earlier run has executed it. The guard sees it all the same, and the newest price is still needed."""
        verdict = self._judge(tick)
        if verdict.tick is None:
            return
        self._driver.passed_over(verdict.tick, tick.time_us)
        if verdict.tick.suspect:
            self._latest[tick.asset].append((tick.time_us, verdict.tick))
        else:
            self._latest[tick.asset] = [(tick.time_us, verdict.tick)]

    async def _catch_up(self) -> None:
        """Prices are not journaled: give the engine those that held when the earlier run ended, each for the rest of
        its life. They set nothing off again."""
        at_us = self._resume.at_us
        self._clock.advance(at_us)
        for ticks in self._latest.values():
            for time_us, tick in ticks:
                left_us = tick.life_us - (at_us - time_us)
                await self._driver.perform(msgspec.structs.replace(tick, life_us=left_us), at_us, again=True)

    async def _tick(self, tick: RecordedTick) -> None:
        verdict = self._judge(tick)
        self._counters[verdict.reason or "ticks"] += 1
        if verdict.tick is not None:
            await self._perform(verdict.tick, tick.time_us)

    async def _order(self, order: ScriptedOrder) -> None:
        cause = f"replay:{order.row}"
        account = self._driver.look(AccountOf(order.email)).account
        if account is None:
            account = order.new_account
            opening = OpenAccount(account, order.email, self._initial_balance)
            await self._driver.perform(opening, order.time_us, f"{cause}:account")
        outcome = await self._driver.perform(order.command(account), order.time_us, cause)
        self._tally.orders_done += isinstance(outcome, Done)
        self._tally.orders_refused += not isinstance(outcome, Done)

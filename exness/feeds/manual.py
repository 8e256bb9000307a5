"""Prices and engine time by hand, for tests: what is not set does not move.

Promises: nothing but what is asked changes a price; what is asked is done one after the other, each price with all that
it sets off before the next; scripted prices come in order, at their own times, also on the way of a step. Prices are
taken as they are given: no guard asks whether they jump or how wide they are. They live as long as any other, in engine
time, so one that is held does not age.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from exness.core.commands import PassTime, PriceTick
from exness.core.instruments import Asset
from exness.core.outcomes import Done
from exness.core.sums import NewestRecord
from exness.core.views import PriceOf
from exness.feeds.liquidations import liquidations_in
from exness.runtime.clock import LAST_US, SPEED_UNIT, ManualClock
from exness.runtime.ports.prices import EngineDriver, LastRecord, OutOfTime, PriceMoved, ScriptedPrice
from exness.runtime.writer import Halted

_IN_A_ROW = 50
"""Scripted prices before the loop gets a turn."""
_SHORTEST_SLEEP_S = 0.001
_NONE = LastRecord()


class ManualFeed:
    """A Conductor, and the ManualControl of it."""

    simulated = True
    connected = True

    def __init__(self, life_us: int) -> None:
        """`life_us`: how long a price may be traded on."""
        self.counters: Counter[str] = Counter()
        self.clock = ManualClock()
        self.watchers: list[Callable[[], None]] = []
        self._life_us = life_us
        self._driver: EngineDriver | None = None
        self._script: deque[tuple[int, PriceTick]] = deque()
        """Times and ticks to come."""
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()

    def describe(self) -> str:
        return "MANUAL prices, set through /api/v1/dev: no real market"

    def hold(self, driver: EngineDriver) -> None:
        """The engine whose prices and time these are; no time of it comes again."""
        self._driver = driver
        self.clock.advance_to(driver.look(NewestRecord()).at)

    async def conduct(self, last: LastRecord = _NONE) -> None:
        """Set scripted prices as the clock comes to them, until cancelled or the exchange stops. There is nothing to go
        on with: no script outlives its process."""
        with suppress(Halted):  # the writer has said why
            while True:
                await self._until_next()
                async with self._one_at_a_time:
                    await self._play(self.clock.now_us())

    # --- control --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        return self.clock.now_us()

    @property
    def paused(self) -> bool:
        return self.clock.paused

    @property
    def speed(self) -> int:
        return self.clock.speed

    @property
    def script_left(self) -> int:
        return len(self._script)

    async def set_price(self, asset: Asset, bid: int, ask: int) -> PriceMoved:
        """See `ports.ManualControl`."""
        async with self._one_at_a_time:
            await self._play(self.clock.now_us())
            at = self.clock.now_us()
            return self._moved(at, await self._set(PriceTick(asset, bid, ask, self._life_us), at), 0)

    async def run_script(self, prices: Sequence[ScriptedPrice]) -> PriceMoved:
        """See `ports.ManualControl`."""
        async with self._one_at_a_time:
            start = self.clock.now_us()
            if prices and start + prices[-1].offset > LAST_US:
                raise OutOfTime
            self._script = deque(
                (start + price.offset, PriceTick(price.asset, price.mid, price.mid, self._life_us)) for price in prices
            )
            self._changed.set()
            moved = await self._play(start)
            self._tell()
            return moved

    async def set_clock(self, paused: bool | None, speed: int | None, step_us: int) -> PriceMoved:
        """See `ports.ManualControl`."""
        async with self._one_at_a_time:
            if self.clock.now_us() + step_us > LAST_US:
                raise OutOfTime
            self._run_clock(paused, speed)
            until = self.clock.now_us() + step_us
            moved = await self._play(until)
            self.clock.advance_to(until)
            self._clock_changed()
            return PriceMoved(self.clock.now_us(), moved.seq, moved.liquidated, moved.scripted)

    async def reset(self) -> None:
        """See `ports.ManualControl`."""
        async with self._one_at_a_time:
            self._script.clear()
            self._run_clock(paused=False, speed=SPEED_UNIT)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _run_clock(self, paused: bool | None, speed: int | None) -> None:
        if speed is not None:
            self.clock.run_at(speed)
        if paused is not None:
            (self.clock.pause if paused else self.clock.resume)()
        self._clock_changed()

    def _clock_changed(self) -> None:
        self._changed.set()
        if self._driver is not None:
            self._driver.clock_changed()
        self._tell()

    def _tell(self) -> None:
        for watcher in self.watchers:
            watcher()

    async def _until_next(self) -> None:
        self._changed.clear()
        wait_s = self.clock.seconds_until(self._script[0][0]) if self._script else None
        with suppress(TimeoutError):
            async with asyncio.timeout(None if wait_s is None else max(wait_s, _SHORTEST_SLEEP_S)):
                await self._changed.wait()

    async def _play(self, until: int) -> PriceMoved:
        """Set every scripted price that is due by `until`, and have done what time brings, each at its time; the clock
        goes along."""
        liquidated = scripted = turns = 0
        while (at := self._next(until)) is not None:
            self.clock.advance_to(at)
            if self._is_due(at):
                liquidated += await self._perform(PassTime(), min(until, self._script[0][0] if self._script else until))
            else:
                liquidated += await self._set_scripted(*self._script[0])
                scripted += 1
            turns += 1
            if turns % _IN_A_ROW == 0:
                await asyncio.sleep(0)
        return self._moved(self.clock.now_us(), liquidated, scripted)

    def _is_due(self, until: int) -> bool:
        """Whether time brings something by then."""
        assert self._driver is not None, "hold comes first"
        due = self._driver.next_due
        return due is not None and due <= until

    def _next(self, until: int) -> int | None:
        """When the next thing is due, by then."""
        assert self._driver is not None, "hold comes first"
        times = [self._script[0][0]] if self._script else []
        times += [self._driver.next_due] if self._driver.next_due is not None else []
        return min((at for at in times if at <= until), default=None)

    async def _set_scripted(self, at: int, tick: PriceTick) -> int:
        try:
            liquidated = await self._set(tick, at)
        except asyncio.CancelledError:  # while the disk is slow: it is left to be set; or half way: it will be done
            if self._is_taken(tick, at):
                self._script.popleft()
            raise
        self._script.popleft()
        self._tell()
        return liquidated

    async def _set(self, tick: PriceTick, at: int) -> int:
        """Have a price checked with all that it sets off; how many trades it liquidated."""
        liquidated = await self._perform(tick, at)
        self.counters["ticks"] += 1
        return liquidated

    async def _perform(self, command: PriceTick | PassTime, at: int) -> int:
        assert self._driver is not None, "hold comes first"
        outcome = await self._driver.perform(command, at)
        assert isinstance(outcome, Done), "a tick is never refused"
        return await liquidations_in(outcome.records)

    def _is_taken(self, tick: PriceTick, at: int) -> bool:
        """Whether the engine has begun with a price, which is then done to its end."""
        assert self._driver is not None, "hold comes first"
        price = self._driver.look(PriceOf(tick.asset)).quote.price
        return price is not None and (price.bid, price.ask, price.at) == (tick.bid, tick.ask, at)

    def _moved(self, at: int, liquidated: int, scripted: int) -> PriceMoved:
        assert self._driver is not None, "hold comes first"
        return PriceMoved(at, self._driver.look(NewestRecord()).seq, liquidated, scripted)

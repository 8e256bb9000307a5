"""Prices over the wire: the poller publishes what its source brings, every other process reads that one stream, in
one order.

Each asset's newest price also stands in a key that lives for 30 seconds, for whoever looks from outside.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from exness.core.commands import PriceTick
from exness.core.instruments import Asset, Instrument
from exness.core.margin import mark_price
from exness.core.money import format_scaled
from exness.runtime.ports.clock import Clock
from exness.runtime.ports.prices import PriceSource
from exness.spread.keys import Keys
from exness.spread.link import Link, woken
from exness.spread.streams import START, Entry, Streams, Wire, WireLost, going_on
from exness.spread.wire import SourceState, Ticks, garbled_is_passed_over, pack, read_ticks

SIGN_S = 1.0
LIFE_S = 30.0
"""Of a price in its key."""
KEPT = 100_000
"""Entries of the stream: at 100 ticks a second more than a quarter of an hour."""
MOST_WAITING = 10_000
"""Ticks that wait for the wire; beyond it the oldest go."""
LATE_US = 100_000
"""A tick that comes later than this has less of its life left."""
SILENT_S = 5.0
READ_AT_ONCE = 500
FIRST_PRICES = 300


class Publisher:
    """The poller's side."""

    def __init__(
        self, wire: Wire, keys: Keys, source: PriceSource, clock: Clock, assets: Mapping[Asset, Instrument]
    ) -> None:
        self._keys = keys
        self._source = source
        self._clock = clock
        self._assets = assets
        self._waiting: list[tuple[int, PriceTick]] = []
        """With the time at which each came."""
        self._wake = asyncio.Event()
        self.link = Link(wire, "prices")
        self.published = 0
        self.dropped = 0

    def emit(self, tick: PriceTick) -> None:
        """Take a tick of the source. Never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            del self._waiting[0]
        self._waiting.append((self._clock.now_us(), tick))
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Raises WireRefused."""
        await self.link.run(self._publish)

    async def _publish(self, streams: Streams) -> None:
        signed_s, loop = 0.0, asyncio.get_running_loop()
        while True:
            signs = loop.time() - signed_s >= SIGN_S
            if signs or self._waiting:
                waiting, self._waiting = self._waiting, []
                source = self._state() if signs else None
                signed_s = loop.time() if signs else signed_s
                now_us = self._clock.now_us()
                ticks = [msgspec.structs.replace(tick, life_us=life_left(tick, now_us - at)) for at, tick in waiting]
                told = Ticks(now_us, ticks, source)
                try:
                    await streams.send([Entry(self._keys.prices, pack(told), KEPT)])
                except WireLost:  # a price twice does no harm, a lost one may
                    self._waiting = (waiting + self._waiting)[-MOST_WAITING:]
                    raise
                self.published += len(ticks)
                for tick in {tick.asset: tick for tick in ticks if not tick.suspect}.values():
                    await streams.put(self._keys.price(tick.asset), self._shown(tick, told.at), LIFE_S)
                continue
            await woken(self._wake, SIGN_S)

    def _state(self) -> SourceState:
        source = self._source
        return SourceState(source.simulated, source.connected, source.describe(), dict(source.counters))

    def _shown(self, tick: PriceTick, at: int) -> bytes:
        decimals = self._assets[tick.asset].decimals
        mark = mark_price(tick.bid, tick.ask)
        prices = {
            "asset": tick.asset,
            "price": format_scaled(mark, decimals),
            "bid": format_scaled(tick.bid, decimals),
            "ask": format_scaled(tick.ask, decimals),
            "timestamp": at // 1000,
        }
        return msgspec.json.encode(prices)


class PriceReader:
    """Everybody else's side, and what they tell of the source (it is a PriceSource). `take_tick` hears each tick with
    its time. It goes on at `position`; without one it begins with the newest."""

    def __init__(
        self, keys: Keys, take_tick: Callable[[PriceTick, int], None], clock: Clock, position: str = ""
    ) -> None:
        self._keys = keys
        self._take_tick = take_tick
        self._clock = clock
        self._begun = bool(position)
        self.position = position or START
        self.simulated = False
        self.counters: Counter[str] = Counter()
        self._state: SourceState | None = None
        self._heard_s = 0.0

    @property
    def connected(self) -> bool:
        """The poller gives signs of life, and has a way to the source."""
        is_heard = time.monotonic() - self._heard_s < SILENT_S
        return self._state is not None and self._state.connected and is_heard

    def describe(self) -> str:
        return "none has been heard of yet" if self._state is None else self._state.description

    async def run(self, wire: Wire) -> None:
        """For who reads nothing else, until cancelled. Raises WireRefused."""
        await Link(wire, "prices").run(self._follow)

    async def _follow(self, streams: Streams) -> None:
        await self.begin(streams)
        while True:
            found = await streams.read({self._keys.prices: self.position}, SIGN_S, READ_AT_ONCE)
            for entry, payload in found.get(self._keys.prices, ()):
                self.take(entry, payload)

    async def begin(self, streams: Streams) -> None:
        """On a new connection."""
        newest = await streams.newest(self._keys.prices, FIRST_PRICES)
        if self._begun:
            self.position = going_on(self.position, newest)
            return
        for entry, payload in newest:
            self.take(entry, payload)

    def take(self, entry: str, payload: bytes) -> None:
        self.position = entry
        with garbled_is_passed_over("prices"):
            self._take(entry, read_ticks(payload))

    def _take(self, entry: str, told: Ticks) -> None:
        self._begun = True
        self._heard_s = time.monotonic()
        if told.source is not None:
            self._state, self.simulated = told.source, told.source.simulated
            self.counters = Counter(told.source.counters)
        late = self._clock.now_us() - told.at if told.ticks else 0
        for tick in told.ticks:
            life_us = 0 if late > tick.life_us else tick.life_us
            self._take_tick(msgspec.structs.replace(tick, life_us=life_us, position=entry), told.at)


def life_left(tick: PriceTick, late_us: int) -> int:
    """Of one that comes so late."""
    return tick.life_us if late_us <= LATE_US else max(0, tick.life_us - late_us)

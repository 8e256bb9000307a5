"""Who listens to prices, candles and the clock on /stream, and how a tick reaches all of them.

The sequencer tells of every tick, one task makes a frame for each channel with a listener and hands the same bytes to
all, some subscribers a turn. Ticks that come meanwhile are told by their newest.
"""

import asyncio

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.views import AllPrices, PriceOf
from exness.runtime.candles import Interval
from exness.runtime.clock import shown_speed
from exness.runtime.exchange import Exchange
from exness.runtime.ports.prices import ManualControl
from exness.web.stream.encoding import ShownPrice, StreamEncoder
from exness.web.stream.protocol import CLOCK, PRICES, ClockData, candles_of, market_channels, prices_of
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Slot, Subscriber


class MarketStream:
    """The channels of prices and candles, and of the clock where `control` holds it. Nothing is made for a channel that
    nobody listens to."""

    def __init__(self, exchange: Exchange, encoder: StreamEncoder, control: ManualControl | None = None) -> None:
        self.seq = 0
        """Grows with every asset that is told of; since the process began, not the journal's."""
        self._exchange = exchange
        self._rules = exchange.rules
        self._encoder = encoder
        self._channels = market_channels(exchange.rules)
        self._listeners: dict[str, dict[Subscriber, None]] = {}
        self._moved: dict[Asset, int] = {}
        """Assets with news, and when theirs happened."""
        self._grown: set[Asset] = set()
        """Those of them whose candles have grown."""
        self._told: dict[Asset, str] = {}
        """The state in which each price was told last."""
        self._ticked = asyncio.Event()
        self._control = control
        self._clock_moved = False
        if control is not None:
            control.watchers.append(self._watch_clock)

    def is_channel(self, name: str) -> bool:
        return name in self._channels or name == PRICES or (name == CLOCK and self._control is not None)

    # --- listening ------------------------------------------------------------------------------------------------

    def listen(self, subscriber: Subscriber, channel: str) -> None:
        """Count a subscriber in and show it what there is; whatever moves after that is told."""
        subscriber.market[channel] = self.seq
        self._listeners.setdefault(channel, {})[subscriber] = None
        at = self._exchange.clock.now_us()
        subscriber.put(self._encoder.frame(channel, self.seq, at, "snapshot", self._shown(channel)))

    def leave(self, subscriber: Subscriber, channel: str) -> None:
        """Count a subscriber out. A channel that it does not listen to is passed over."""
        listeners = self._listeners.get(channel, {})
        listeners.pop(subscriber, None)
        if not listeners:
            self._listeners.pop(channel, None)

    def _shown(self, channel: str) -> object:
        """What a channel shows now."""
        if channel == PRICES:
            return {asset: self._price(asset) for asset in self._rules.instruments}
        if channel == CLOCK:
            return self._clock()
        asset, interval = self._channels[channel]
        return self._price(asset) if interval is None else self._candle(asset, interval)

    def _price(self, asset: Asset) -> ShownPrice:
        answer = self._encoder.price(asset, self._exchange.look(PriceOf(asset)).quote, self._rules)
        self._told[asset] = answer.state
        return answer

    def _candle(self, asset: Asset, interval: Interval) -> object:
        candle = self._exchange.candle(asset, interval)
        return None if candle is None else self._encoder.candle(candle, self._rules.instruments[asset].decimals)

    def _clock(self) -> ClockData:
        control = self._control
        assert control is not None, "there is no such channel"
        now = self._encoder.time(control.now_us())
        return ClockData(now, control.paused, shown_speed(control.speed), control.script_left)

    # --- what moves -----------------------------------------------------------------------------------------------

    def _watch_clock(self) -> None:
        if CLOCK in self._listeners:
            self._clock_moved = True
            self._ticked.set()

    def watch(self, tick: PriceTick, at: int) -> None:
        """A tick was checked (a `Sequencer` watcher). A suspect one changes a price's state, and no candle."""
        if not self._listeners:
            return
        self._moved[tick.asset] = at
        if not tick.suspect:
            self._grown.add(tick.asset)
        self._ticked.set()

    def tell_aged_prices(self) -> None:
        """Tell of prices that nothing but time has changed. Somebody calls this now and then."""
        if not self._listeners:
            return
        prices = self._exchange.look(AllPrices())
        for asset, told in self._told.items():
            if prices.quotes[asset].state.value != told:
                self._moved.setdefault(asset, prices.at)
                self._ticked.set()

    async def publish(self) -> None:
        """Tell what has moved, as long as something moves. As long as that took, everything else goes first then: with
        very many subscribers and ticks, prices are told less often, and trading does not wait."""
        loop = asyncio.get_running_loop()
        while True:
            await self._ticked.wait()
            self._ticked.clear()
            began_s = loop.time()
            for channel, frames in self._news().items():
                await self._broadcast(channel, frames)
            await asyncio.sleep(loop.time() - began_s)

    def _news(self) -> dict[str, list[tuple[Slot, bytes]]]:
        """A frame for every channel that has a listener and news, all of them from one moment."""
        moved, grown = self._moved, self._grown
        self._moved, self._grown = {}, set()
        news: dict[str, list[tuple[Slot, bytes]]] = {}
        for asset, at in moved.items():
            if asset not in self._rules.instruments:
                continue
            self.seq += 1
            price = self._price(asset)
            for channel in (PRICES, prices_of(asset)):
                if channel in self._listeners:
                    frame = self._encoder.frame(channel, self.seq, at, "price", price)
                    news.setdefault(channel, []).append(((channel, asset), frame))
            for interval in Interval if asset in grown else ():
                channel = candles_of(asset, interval)
                if channel in self._listeners:
                    frame = self._encoder.frame(channel, self.seq, at, "candle", self._candle(asset, interval))
                    news[channel] = [((channel, asset), frame)]
        if self._clock_moved and CLOCK in self._listeners:
            self.seq += 1
            frame = self._encoder.frame(CLOCK, self.seq, self._exchange.clock.now_us(), CLOCK, self._clock())
            news[CLOCK] = [((CLOCK, ""), frame)]
        self._clock_moved = False
        return news

    async def _broadcast(self, channel: str, frames: list[tuple[Slot, bytes]]) -> None:
        """Hand frames to every listener whose snapshot was before them."""
        seq = self.seq
        whole = b"".join(frame for _, frame in frames)
        listeners = tuple(self._listeners.get(channel, ()))
        for number, subscriber in enumerate(listeners, 1):
            if subscriber.market.get(channel, seq) < seq:
                subscriber.offer(frames, whole)
            if number % SUBSCRIBERS_PER_TURN == 0:
                await asyncio.sleep(0)

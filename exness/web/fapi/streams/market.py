"""Who follows which stream of the market, and how a tick reaches all of them.

The sequencer tells of every tick; one task makes the events of each stream that somebody follows, each as often as its
name says, and hands the same bytes to all who do. What nobody follows costs nothing.
"""

import asyncio
import contextlib

import structlog

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import NotTaken
from exness.runtime.ports.journal import StorageError
from exness.web.fapi.market.handlers import MarketData
from exness.web.fapi.streams.events import Channel, Events, Told
from exness.web.fapi.streams.growing import GrowingBar
from exness.web.fapi.streams.messages import encode, wrapped
from exness.web.fapi.streams.names import Kind, Names
from exness.web.services import Fapi
from exness.web.stream.protocol import text_frame
from exness.web.stream.subscriber import SUBSCRIBERS_PER_TURN, Slot, Subscriber

_log = structlog.get_logger("exness.web.fapi.streams.market")
_OF_BOOKS = frozenset({Kind.BOOK_TICKER, Kind.DEPTH, Kind.PARTIAL_DEPTH})
_OF_TRADES = frozenset({Kind.AGG_TRADE, Kind.TRADE})
_NOT_SHOWN = _OF_TRADES | {Kind.DEPTH, Kind.FORCE_ORDER}
"""Streams that say nothing at the beginning: they tell of what happens, not of what there is."""

GATHER_S = 0.001
"""Assets tick one right after the other: who waits so long tells of all of them in one write."""

Frames = list[tuple[Slot, bytes]]


class MarketStreams:
    """The market's streams of one server."""

    def __init__(self, exchange: Exchange, fapi: Fapi, data: MarketData) -> None:
        self.made = 0
        """Events, so far."""
        self._exchange = exchange
        self._events = Events(exchange, fapi, data)
        self._names = Names((market.symbol, market.asset) for market in fapi.markets.values())
        self._channels: dict[str, Channel] = {}
        self._by_asset: dict[Asset, dict[Channel, None]] = {asset: {} for asset in self._events.assets}
        self._dirty: dict[Channel, None] = {}
        """Those with something to tell, and those that are looked at by time."""
        self._woken = asyncio.Event()
        self.liquidations = self._events.liquidations
        self.liquidations.moved = self._liquidated

    def is_stream(self, name: str) -> bool:
        return self._names.topic(name) is not None

    # --- following ------------------------------------------------------------------------------------------------

    async def listen(self, subscriber: Subscriber, name: str, *, is_wrapped: bool) -> None:
        """Count a subscriber in, and tell it what there is, where a stream has something to show."""
        channel = self._channels.get(name) or self._begin(name)
        (channel.wrapped if is_wrapped else channel.plain)[subscriber] = None
        if channel.topic.kind in _NOT_SHOWN:
            return
        try:
            told = await self._events.first_of(channel)
        except (NotTaken, StorageError):  # it is told of with the next news
            return
        for each in told:
            payload = encode(each.data)
            subscriber.put(wrapped(name, payload) if is_wrapped else text_frame(payload))

    def _begin(self, name: str) -> Channel:
        topic = self._names.topic(name)
        assert topic is not None, "it is asked before"
        growing = None
        if topic.interval is not None and topic.asset is not None:
            growing = GrowingBar(self._exchange, topic.asset, topic.interval)
        channel = self._channels[name] = Channel(topic, growing)
        for asset in self._events.assets if topic.asset is None else (topic.asset,):
            if topic.kind is not Kind.FORCE_ORDER:
                self._by_asset[asset][channel] = None
        if topic.kind is Kind.DEPTH:
            self._events.follow_book(channel, followed=True)
        elif topic.kind is Kind.FORCE_ORDER:
            self.liquidations.want(followed=True)
        if topic.timed:
            channel.due_s = asyncio.get_running_loop().time() + topic.period_s
            self._dirty[channel] = None
            self._woken.set()
        return channel

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """Count a subscriber out. A stream that it does not follow is passed over."""
        channel = self._channels.get(name)
        if channel is None:
            return
        channel.plain.pop(subscriber, None)
        channel.wrapped.pop(subscriber, None)
        if channel.is_followed:
            return
        del self._channels[name]
        self._dirty.pop(channel, None)
        for channels in self._by_asset.values():
            channels.pop(channel, None)
        if channel.topic.kind is Kind.DEPTH:
            self._events.follow_book(channel, followed=False)
        elif channel.topic.kind is Kind.FORCE_ORDER:
            followed = any(each.topic.kind is Kind.FORCE_ORDER for each in self._channels.values())
            self.liquidations.want(followed=followed)

    # --- what moves -----------------------------------------------------------------------------------------------

    def watch(self, tick: PriceTick, at: int) -> None:
        """A tick was checked (a `Sequencer` watcher), and candles have counted it. A suspect one is no news."""
        channels = self._by_asset.get(tick.asset)
        if not channels or tick.suspect:
            return
        trade = None
        for channel in channels:
            if channel.growing is not None:
                if channel.is_begun:
                    channel.growing.watch()
                continue  # it is looked at by time
            if channel.topic.kind in _OF_TRADES:
                trade = trade or self._events.print_of(tick, at)
                channel.prints.append(trade)
            channel.moved.add(tick.asset)
            self._dirty[channel] = None
        self._woken.set()

    def _liquidated(self, asset: Asset) -> None:
        for channel in self._channels.values():
            if channel.topic.kind is Kind.FORCE_ORDER and channel.topic.asset in (None, asset):
                channel.moved.add(asset)
                self._dirty[channel] = None
        self._woken.set()

    async def publish(self) -> None:
        """Tell what has moved, as long as something moves. As long as that took, everything else goes first then."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wait()
            await asyncio.sleep(GATHER_S)
            began_s = loop.time()
            self._observe()
            for channel in list(self._dirty):
                if channel.due_s <= began_s or self._is_full(channel):
                    await self._tell(channel)
            await asyncio.sleep(loop.time() - began_s)

    async def _wait(self) -> None:
        """Until a tick comes, or a channel is due."""
        due_s = min((channel.due_s for channel in self._dirty), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due_s):
                await self._woken.wait()
        self._woken.clear()

    def _observe(self) -> None:
        """Books look at what has moved, so that no event of a slow chain misses a state that another one has told."""
        for asset in {asset for channel in self._dirty if channel.topic.kind in _OF_BOOKS for asset in channel.moved}:
            self._events.observe(asset)

    def _is_full(self, channel: Channel) -> bool:
        return channel.is_followed and channel.topic.kind is Kind.DEPTH and self._events.book_is_full(channel)

    async def _tell(self, channel: Channel) -> None:
        if not channel.is_followed:
            return
        self._dirty.pop(channel, None)
        channel.due_s = asyncio.get_running_loop().time() + channel.topic.period_s
        if channel.topic.timed:
            self._dirty[channel] = None
        try:
            told = await self._events.of(channel)
        except (NotTaken, StorageError) as error:
            _log.warning("a stream could not be told of", stream=channel.topic.name, why=repr(error))
            return
        if told:
            await self._broadcast(channel, told)

    async def _broadcast(self, channel: Channel, told: list[Told]) -> None:
        """Hand events to all who follow."""
        name = channel.topic.name
        payloads = [((name, each.slot), encode(each.data)) for each in told]
        self.made += len(payloads)
        plain = [(slot, text_frame(payload)) for slot, payload in payloads] if channel.plain else []
        marked = [(slot, wrapped(name, payload)) for slot, payload in payloads] if channel.wrapped else []
        must_come = any(each.must_come for each in told)
        for readers, frames in ((channel.plain, plain), (channel.wrapped, marked)):
            whole = b"".join(frame for _, frame in frames)
            for number, subscriber in enumerate(tuple(readers), 1):
                if name in subscriber.market:
                    _hand(subscriber, frames, whole, must_come=must_come)
                if number % SUBSCRIBERS_PER_TURN == 0:
                    await asyncio.sleep(0)


def _hand(subscriber: Subscriber, frames: Frames, whole: bytes, *, must_come: bool) -> None:
    if not must_come:
        subscriber.offer(frames, whole)
        return
    for _, frame in frames:
        subscriber.put(frame)

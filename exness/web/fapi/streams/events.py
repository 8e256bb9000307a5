"""What each kind of stream has to tell, from the state of now: made once, whoever follows."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price
from exness.core.market_views import FundingOf
from exness.core.prices import Price
from exness.core.views import PriceOf
from exness.runtime.candles import Interval
from exness.runtime.day import Bar, Day, lot
from exness.runtime.exchange import Exchange
from exness.web.fapi.market.handlers import MarketData
from exness.web.fapi.market.tape import Print, first_and_last, trade_id
from exness.web.fapi.market.texts import Texts, percent, rate, value
from exness.web.fapi.streams import messages
from exness.web.fapi.streams.growing import GrowingBar
from exness.web.fapi.streams.liquidations import Liquidations
from exness.web.fapi.streams.messages import ContinuousKline, Kline, KlineData
from exness.web.fapi.streams.names import Kind, Topic
from exness.web.services import Fapi
from exness.web.stream.subscriber import Subscriber

MOST_PRINTS = 10_000
"""Trades that may wait to be told of; then the oldest are left out."""


class Told(NamedTuple):
    """One event. What `must_come` is sent to all, however slow; of others the newest of a `slot` is enough."""

    slot: str
    data: object
    must_come: bool = False


class Channel:
    """A stream that somebody follows."""

    def __init__(self, topic: Topic, growing: GrowingBar | None) -> None:
        self.topic = topic
        self.plain: dict[Subscriber, None] = {}
        self.wrapped: dict[Subscriber, None] = {}
        self.due_s = 0.0
        self.growing = growing
        self.is_begun = growing is None
        self.moved: set[Asset] = set()
        """Of what it tells, the assets with news."""
        self.prints: deque[Print] = deque(maxlen=MOST_PRINTS)
        self.seen: dict[Asset, object] = {}
        """What was told last, where the same is not told twice."""

    @property
    def is_followed(self) -> bool:
        return bool(self.plain or self.wrapped)


class Events:
    """Makes the events of one server's channels."""

    def __init__(self, exchange: Exchange, fapi: Fapi, data: MarketData) -> None:
        self.liquidations = Liquidations(exchange)
        self._exchange = exchange
        self._data = data
        self._markets = {market.asset: market for market in fapi.markets.values()}
        self._texts = {asset: Texts(market.instrument) for asset, market in self._markets.items()}
        self._marks: dict[Asset, int] = {}

    @property
    def assets(self) -> Iterable[Asset]:
        return self._markets

    def print_of(self, tick: PriceTick, at: int) -> Print:
        """The trade that a tick is. It has been counted."""
        mark, before = mark_price(tick.bid, tick.ask), self._marks.get(tick.asset, 0)
        self._marks[tick.asset] = mark
        minute = self._exchange.candle(tick.asset, Interval.M1)
        start, number = (minute.start, minute.trades) if minute is not None else (0, 1)
        volume = max(tick.volume, lot(self._markets[tick.asset].instrument))
        return Print(trade_id(start, number), mark, volume, at, mark < before)

    def observe(self, asset: Asset) -> None:
        """Have the book look at the price of now."""
        self._data.books.of(asset).observe(self._price(asset))

    def follow_book(self, channel: Channel, *, followed: bool) -> None:
        asset = channel.topic.asset
        assert asset is not None, "a book is of one asset"
        book = self._data.books.of(asset)
        if followed:
            book.observe(self._price(asset))
            book.follow(channel.topic.name)
        else:
            book.leave(channel.topic.name)

    def book_is_full(self, channel: Channel) -> bool:
        """More has changed than should wait."""
        asset = channel.topic.asset
        return asset is not None and self._data.books.of(asset).is_full(channel.topic.name)

    async def first_of(self, channel: Channel) -> list[Told]:
        """What a channel shows of now, to who has just come. Raises like `of`."""
        first = Channel(channel.topic, None)
        first.moved = set(self._markets)
        if channel.growing is None:
            return await self.of(first)
        await self._begin(channel)
        first.growing = channel.growing
        return self._kline_of_now(first)

    async def of(self, channel: Channel) -> list[Told]:
        """What a channel has to tell of the assets in `moved`. Raises NotTaken, StorageError."""
        topic, moved = channel.topic, channel.moved
        channel.moved = set()
        match topic.kind:
            case Kind.AGG_TRADE | Kind.TRADE:
                return self._trades(channel)
            case Kind.DEPTH:
                return self._depth(channel)
            case Kind.KLINE | Kind.CONTINUOUS_KLINE:
                return await self._klines(channel)
            case Kind.FORCE_ORDER:
                return await self._liquidations(channel, moved)
            case _:
                pass
        assets = [asset for asset in self._markets if asset in moved or topic.timed]
        if topic.asset is not None:
            assets = [topic.asset]
        found = [(asset, event) for asset in assets if (event := await self._one(channel, asset)) is not None]
        if topic.in_list:
            return [Told("", [event for _, event in found])] if found else []
        return [Told(asset, event) for asset, event in found]

    async def _one(self, channel: Channel, asset: Asset) -> object | None:
        topic = channel.topic
        if topic.kind in (Kind.TICKER, Kind.MINI_TICKER):
            day = await self._data.days.of(asset)
            return None if day is None else self._ticker(topic, asset, day)
        price = self._price(asset)
        if price is None:
            return None
        match topic.kind:
            case Kind.MARK_PRICE:
                return self._mark(asset, price)
            case Kind.PARTIAL_DEPTH:
                return self._partial_depth(channel, asset, price)
            case _:
                return self._book_ticker(channel, asset, price)

    def _price(self, asset: Asset) -> Price | None:
        return self._exchange.look(PriceOf(asset)).quote.price

    def _now_ms(self) -> int:
        return self._exchange.clock.now_us() // 1000

    # --- books ----------------------------------------------------------------------------------------------------

    def _is_news(self, channel: Channel, asset: Asset, update: int) -> bool:
        if channel.seen.get(asset) == update:
            return False
        channel.seen[asset] = update
        return True

    def _book_ticker(self, channel: Channel, asset: Asset, price: Price) -> object | None:
        book, texts = self._data.books.of(asset), self._texts[asset]
        book.observe(price)
        if not self._is_news(channel, asset, book.update):
            return None
        return messages.BookTicker(
            E=self._now_ms(),
            u=book.update,
            T=price.at // 1000,
            s=self._markets[asset].symbol,
            b=texts.price(price.bid),
            B=texts.waiting(price.bid),
            a=texts.price(price.ask),
            A=texts.waiting(price.ask),
        )

    def _partial_depth(self, channel: Channel, asset: Asset, price: Price) -> object | None:
        book, texts, levels = self._data.books.of(asset), self._texts[asset], channel.topic.levels
        before = channel.seen.get(asset)
        ladder = book.observe(price)
        if ladder is None or not self._is_news(channel, asset, book.update):
            return None
        told = before if isinstance(before, int) else book.update - 2
        bids, asks = texts.bids(ladder, levels), texts.asks(ladder, levels)
        symbol = self._markets[asset].symbol
        return messages.DepthUpdate(self._now_ms(), price.at // 1000, symbol, told + 1, book.update, told, bids, asks)

    def _depth(self, channel: Channel) -> list[Told]:
        asset = channel.topic.asset
        assert asset is not None, "a book is of one asset"
        book, texts, price = self._data.books.of(asset), self._texts[asset], self._price(asset)
        book.observe(price)
        event = book.take(channel.topic.name)
        if event is None or price is None:
            return []
        data = messages.DepthUpdate(
            E=self._now_ms(),
            T=price.at // 1000,
            s=self._markets[asset].symbol,
            U=event.first,
            u=event.last,
            pu=event.before,
            b=texts.changes(event.bids, bids=True, ladder=event.ladder),
            a=texts.changes(event.asks, bids=False, ladder=event.ladder),
        )
        return [Told(asset, data, must_come=True)]

    # --- trades ---------------------------------------------------------------------------------------------------

    def _trades(self, channel: Channel) -> list[Told]:
        asset = channel.topic.asset
        assert asset is not None, "trades are of one asset"
        prints, channel.prints = channel.prints, deque(maxlen=MOST_PRINTS)
        make = self._agg_trade if channel.topic.kind is Kind.AGG_TRADE else self._trade
        return [Told(asset, make(asset, each), must_come=True) for each in prints]

    def _agg_trade(self, asset: Asset, each: Print) -> object:
        texts = self._texts[asset]
        amount, symbol, at = texts.volume(each.volume), self._markets[asset].symbol, each.at // 1000
        price = texts.price(each.price)
        return messages.AggTrade(
            self._now_ms(), symbol, each.id, price, amount, amount, each.id, each.id, at, each.buyer_made
        )

    def _trade(self, asset: Asset, each: Print) -> object:
        texts, symbol, at = self._texts[asset], self._markets[asset].symbol, each.at // 1000
        price, amount = texts.price(each.price), texts.volume(each.volume)
        return messages.Trade(self._now_ms(), at, symbol, each.id, price, amount, "MARKET", each.buyer_made)

    async def _liquidations(self, channel: Channel, moved: set[Asset]) -> list[Told]:
        told = []
        for asset in moved:
            seq, found = await self.liquidations.newest(self._markets[asset])
            if found is not None and self._is_news(channel, asset, seq):
                told.append(Told(asset, messages.ForceOrder(self._now_ms(), found), must_come=True))
        return told

    # --- figures --------------------------------------------------------------------------------------------------

    def _mark(self, asset: Asset, price: Price) -> object:
        funding = self._exchange.look(FundingOf(asset))
        mark, symbol = self._texts[asset].price(price.mark), self._markets[asset].symbol
        next_at = (funding.next_at or 0) // 1000
        return messages.MarkPrice(self._now_ms(), symbol, mark, mark, mark, mark, rate(funding.rate), next_at)

    def _ticker(self, topic: Topic, asset: Asset, day: Day) -> object:
        texts, bar, symbol = self._texts[asset], day.bar, self._markets[asset].symbol
        close, opened, high, low = map(texts.price, (bar.close, bar.open, bar.high, bar.low))
        volume, worth = texts.volume(bar.volume), value(bar.value)
        first_id, last_id = first_and_last(day)
        if topic.kind is Kind.MINI_TICKER:
            return messages.MiniTicker(self._now_ms(), symbol, close, opened, high, low, volume, worth)
        return messages.Ticker(
            E=self._now_ms(),
            s=symbol,
            p=texts.price(day.change),
            P=percent(day.change_percent),
            w=texts.price(day.average(self._markets[asset].instrument.decimals)),
            c=close,
            Q=texts.volume(day.last_volume),
            o=opened,
            h=high,
            l=low,
            v=volume,
            q=worth,
            O=bar.start * 1000,
            C=day.at // 1000,
            F=first_id,
            L=last_id,
            n=bar.trades,
        )

    async def _begin(self, channel: Channel) -> None:
        if channel.growing is not None and not channel.is_begun:
            await channel.growing.begin()
            channel.is_begun = True

    async def _klines(self, channel: Channel) -> list[Told]:
        """Those that have ended, then the one of now."""
        await self._begin(channel)
        now, growing, asset = self._kline_of_now(channel), channel.growing, channel.topic.asset
        told = []
        while growing is not None and asset is not None and growing.ended:
            told.append(Told(asset, self._kline(channel.topic, asset, growing.ended.popleft(), ended=True), True))
        return told + now

    def _kline_of_now(self, channel: Channel) -> list[Told]:
        growing, asset = channel.growing, channel.topic.asset
        assert growing is not None, "it has a bar"
        assert asset is not None, "a bar is of one asset"
        bar = growing.now(self._exchange.clock.now_us() // 1_000_000)
        if bar is None or channel.seen.get(asset) == bar:
            return []
        channel.seen[asset] = bar
        return [Told(asset, self._kline(channel.topic, asset, bar))]

    def _kline(self, topic: Topic, asset: Asset, bar: Bar, *, ended: bool = False) -> object:
        market = self._markets[asset]
        row = self._texts[asset].kline(bar)
        start, opened, high, low, close, volume, end, worth, trades, bought, paid, nothing = row
        first = trade_id(bar.start, 1)
        data = KlineData(
            t=start,
            T=end,
            s=market.symbol,
            i=str(topic.interval),
            f=first,
            L=first + max(1, trades) - 1,
            o=opened,
            c=close,
            h=high,
            l=low,
            v=volume,
            n=trades,
            x=ended,
            q=worth,
            V=bought,
            Q=paid,
            B=nothing,
        )
        if topic.kind is Kind.KLINE:
            return Kline(self._now_ms(), market.symbol, data)
        return ContinuousKline(self._now_ms(), market.symbol, "PERPETUAL", data)

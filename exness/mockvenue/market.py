"""What the venue knows of its markets, and how Backpack says it: one asset's book, trades, candles and figures.

Pure but for seeded dice: prices come as ticks, times as arguments (microseconds). Trades, sizes and depth are made up
around the price: they are plausible and repeat for the same seed, but nobody traded them. Each asset is two markets,
spot and perpetual, at one price.
"""

import random
from collections import deque
from datetime import UTC, datetime
from typing import Any

from exness.core.commands import PriceTick
from exness.core.instruments import VOLUME_DECIMALS
from exness.core.margin import mark_price
from exness.core.money import format_scaled
from exness.mockvenue.candles import INTERVALS, Candle, Candles
from exness.runtime.listings import Listing

SPOT, PERP = "SPOT", "PERP"
PERP_ENDING = "_PERP"
CURRENCY = "USDC"

LEVELS = 200
"""Prices a side of the book."""
TRADES_KEPT = 1_000

_DAY_S = 86_400
_FUNDING_S = 8 * 3_600
_FUNDING_RATE = "0.0000125"
_LISTED = "2024-01-21T06:34:54.691858"

Json = dict[str, Any]


class Market:
    """One asset. `symbols` maps each of its two names to the type of market that it is."""

    def __init__(self, instrument: Listing, seed: int = 0) -> None:
        self.instrument = instrument
        self.symbols = {instrument.symbol: SPOT, instrument.symbol + PERP_ENDING: PERP}
        self.candles = Candles()
        self.tick: PriceTick | None = None
        self.update_id = 1_000_000_000
        self.trades: deque[Json] = deque(maxlen=TRADES_KEPT)
        self._trade_id = 8_000_000
        self._sizes = ("0", "0")
        self._at_us = 0
        self._dice = random.Random(f"{seed}/{instrument.asset}/venue")  # to repeat, no secret  # nosec B311

    def take(self, tick: PriceTick, at_us: int) -> list[tuple[str, Candle]]:
        """A new best bid and ask, and a trade at one of them; the candles that it closed."""
        self.tick, self._at_us = tick, at_us
        self.update_id += 1 + self._dice.getrandbits(3)
        self._sizes = (self._size(), self._size())
        taker_sold = bool(self._dice.getrandbits(1))
        price = tick.bid if taker_sold else tick.ask
        quantity = tick.volume or 1 + self._dice.getrandbits(28)
        self._trade_id += 1
        self.trades.append(
            {
                "id": self._trade_id,
                "price": self._text(price),
                "quantity": volume_text(quantity),
                "quoteQuantity": self._quote_text(price * quantity),
                "timestamp": at_us // 1_000,
                "isBuyerMaker": taker_sold,
            }
        )
        return self.candles.trade(at_us // 1_000_000, price, quantity)

    # --- streams: the `data` of a frame ---------------------------------------------------------------------------

    def book_ticker(self, symbol: str, now_us: int) -> Json:
        assert self.tick is not None
        return {
            "A": self._sizes[0],
            "B": self._sizes[1],
            "E": now_us,
            "T": self._at_us,
            "a": self._text(self.tick.ask),
            "b": self._text(self.tick.bid),
            "e": "bookTicker",
            "s": symbol,
            "u": str(self.update_id),
        }

    def trade(self, symbol: str, now_us: int) -> Json:
        last = self.trades[-1]
        return {
            "E": now_us,
            "T": self._at_us,
            "a": str(self.update_id),
            "b": str(self.update_id - 1),
            "e": "trade",
            "m": last["isBuyerMaker"],
            "p": last["price"],
            "q": last["quantity"],
            "s": symbol,
            "t": last["id"],
        }

    def kline(self, symbol: str, candle: Candle, now_us: int, *, closed: bool) -> Json:
        return {
            "E": now_us,
            "T": _stamp(candle.end_s, "T"),
            "X": closed,
            "c": self._text(candle.close),
            "e": "kline",
            "h": self._text(candle.high),
            "l": self._text(candle.low),
            "n": candle.trades,
            "o": self._text(candle.open),
            "s": symbol,
            "t": _stamp(candle.start_s, "T"),
            "v": volume_text(candle.volume),
        }

    def mark(self, symbol: str, now_us: int) -> Json:
        figures = self.mark_prices(symbol, now_us)
        return {
            "E": now_us,
            "T": self._at_us,
            "e": "markPrice",
            "f": figures["fundingRate"],
            "i": figures["indexPrice"],
            "n": figures["nextFundingTimestamp"],
            "p": figures["markPrice"],
            "s": symbol,
        }

    def ticker_stream(self, symbol: str, now_us: int) -> Json:
        figures = self.ticker(symbol, now_us)
        return {
            "E": now_us,
            "V": figures["quoteVolume"],
            "c": figures["lastPrice"],
            "e": "ticker",
            "h": figures["high"],
            "l": figures["low"],
            "n": int(figures["trades"]),
            "o": figures["firstPrice"],
            "s": symbol,
            "v": figures["volume"],
        }

    # --- REST -----------------------------------------------------------------------------------------------------

    def ticker(self, symbol: str, now_us: int) -> Json:
        """Of the last 24 hours. There must have been a price."""
        now_s = now_us // 1_000_000
        day = self.candles.between("1m", now_s - _DAY_S, now_s) or self.candles.between("1d", 0, now_s)
        first, last = day[0].open, day[-1].close
        return {
            "symbol": symbol,
            "firstPrice": self._text(first),
            "lastPrice": self._text(last),
            "priceChange": self._text(last - first),
            "priceChangePercent": format_scaled((last - first) * 1_000_000 // first, 6),
            "high": self._text(max(candle.high for candle in day)),
            "low": self._text(min(candle.low for candle in day)),
            "volume": volume_text(sum(candle.volume for candle in day)),
            "quoteVolume": self._quote_text(sum(candle.quote_volume for candle in day)),
            "trades": str(sum(candle.trades for candle in day)),
        }

    def klines(self, interval: str, from_s: int, to_s: int) -> list[Json]:
        return [
            {
                "start": _stamp(candle.start_s, " "),
                "end": _stamp(candle.end_s, " "),
                "open": self._text(candle.open),
                "high": self._text(candle.high),
                "low": self._text(candle.low),
                "close": self._text(candle.close),
                "volume": volume_text(candle.volume),
                "quoteVolume": self._quote_text(candle.quote_volume),
                "trades": str(candle.trades),
            }
            for candle in self.candles.between(interval, from_s, to_s)
        ]

    def depth(self, levels: int, now_us: int) -> Json:
        """Both sides in ascending order of price, as the venue sends them: the best bid comes last."""
        assert self.tick is not None
        bid, ask = self.tick.bid, self.tick.ask
        step = max(1, mark_price(bid, ask) // 20_000)
        bids = [bid - step * level for level in range(levels) if bid > step * level]
        asks = [ask + step * level for level in range(levels)]
        return {
            "asks": [[self._text(price), _made_up_size(price)] for price in asks],
            "bids": [[self._text(price), _made_up_size(price)] for price in reversed(bids)],
            "lastUpdateId": str(self.update_id),
            "timestamp": now_us,
        }

    def mark_prices(self, symbol: str, now_us: int) -> Json:
        assert self.tick is not None
        mark = mark_price(self.tick.bid, self.tick.ask)
        next_s = (now_us // 1_000_000 // _FUNDING_S + 1) * _FUNDING_S
        return {
            "symbol": symbol,
            "markPrice": self._text(mark),
            "indexPrice": self._text(mark + mark // 20_000),
            "fundingRate": _FUNDING_RATE,
            "nextFundingTimestamp": next_s * 1_000,
        }

    def listing(self, symbol: str) -> Json:
        """The row of /markets."""
        is_perp = self.symbols[symbol] == PERP
        smallest = format_scaled(1, self.instrument.decimals)
        price_filter = {
            "tickSize": smallest,
            "minPrice": smallest,
            "maxPrice": None,
            "minMultiplier": "0.75",
            "maxMultiplier": "1.25",
            "minImpactMultiplier": "0.97",
            "maxImpactMultiplier": "1.03",
            "meanMarkPriceBand": {"minMultiplier": "0.9", "maxMultiplier": "1.1"},
            "meanPremiumBand": {"tolerancePct": "0.05"} if is_perp else None,
        }
        return {
            "symbol": symbol,
            "baseSymbol": self.instrument.asset,
            "quoteSymbol": CURRENCY,
            "marketType": self.symbols[symbol],
            "filters": {
                "price": price_filter,
                "quantity": {"minQuantity": "0.00000001", "maxQuantity": None, "stepSize": "0.00000001"},
            },
            "imfFunction": {"type": "sqrt", "base": "0.02", "factor": "0.0001275"} if is_perp else None,
            "mmfFunction": {"type": "sqrt", "base": "0.0125", "factor": "0.0000765"} if is_perp else None,
            "fundingInterval": _FUNDING_S * 1_000,
            "fundingRateLowerBound": "-100" if is_perp else None,
            "fundingRateUpperBound": "100" if is_perp else None,
            "openInterestLimit": "4000000" if is_perp else "0",
            "orderBookState": "Open",
            "createdAt": _LISTED,
            "visible": True,
        }

    def _size(self) -> str:
        return volume_text((1 + self._dice.getrandbits(16)) * 10**6)

    def _text(self, price: int) -> str:
        return plain(format_scaled(price, self.instrument.decimals))

    def _quote_text(self, product: int) -> str:
        """Price x volume as text, with six decimals."""
        return format_scaled(product // 10 ** (self.instrument.decimals + VOLUME_DECIMALS - 6), 6)


def stream_exists(market: Market, kind: str, interval: str, symbol: str) -> bool:
    """Whether the venue has such a stream of one of this market's symbols."""
    if kind == "kline":
        return interval in INTERVALS
    if interval:
        return False
    return kind in ("bookTicker", "trade", "ticker") or (kind == "markPrice" and market.symbols[symbol] == PERP)


def volume_text(volume: int) -> str:
    return plain(format_scaled(volume, VOLUME_DECIMALS))


def plain(text: str) -> str:
    """Without zeros that say nothing, but with two decimals at least: 188.4 is `188.40`."""
    whole, point, decimals = text.partition(".")
    return f"{whole}{point}{decimals.rstrip('0').ljust(min(2, len(decimals)), '0')}"


def _made_up_size(price: int) -> str:
    """The same for the same price, so that a book which does not move looks it."""
    return volume_text((1 + price * 2_654_435_761 % 4_096) * 10**6)


def _stamp(at_s: int, between: str) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S")

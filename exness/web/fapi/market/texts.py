"""Figures as both faces of the market data show them: prices with all decimals of their asset, quantities with those
of its quantities, values and rates with eight."""

import msgspec

from exness.core.instruments import VOLUME_DECIMALS, Instrument
from exness.core.money import format_scaled
from exness.core.rates import RATE_DECIMALS
from exness.runtime.day import Bar
from exness.web.fapi.market.ladder import Ladder, quantity_at

VALUE_DECIMALS = 8
PERCENT_DECIMALS = 3

Level = tuple[str, str]
"""Price and quantity."""
KlineRow = tuple[int, str, str, str, str, str, int, str, int, str, str, str]


class Texts(msgspec.Struct, frozen=True, gc=False):
    """Of one asset."""

    instrument: Instrument

    def price(self, price: int) -> str:
        return format_scaled(price, self.instrument.decimals)

    def quantity(self, quantity: int) -> str:
        """Scaled by the quantity's decimals."""
        return format_scaled(quantity, self.instrument.quantity_places)

    def volume(self, volume: int) -> str:
        """Of hundred-millionths of the asset, rounded down."""
        places = self.instrument.quantity_places
        if places <= VOLUME_DECIMALS:
            return format_scaled(volume // int(10 ** (VOLUME_DECIMALS - places)), places)
        return format_scaled(volume, VOLUME_DECIMALS)

    def value(self, volume: int, price: int) -> str:
        """What a volume comes to at a price."""
        return value(volume * price // int(10**self.instrument.decimals))

    def bids(self, ladder: Ladder, levels: int) -> list[Level]:
        return [self._level(price) for price in ladder.bids(levels)]

    def asks(self, ladder: Ladder, levels: int) -> list[Level]:
        return [self._level(price) for price in ladder.asks(levels)]

    def changes(self, prices: list[int], *, bids: bool, ladder: Ladder) -> list[Level]:
        """Levels as they are now; 0 for those that are gone."""
        has, nothing = (ladder.has_bid if bids else ladder.has_ask), self.quantity(0)
        return [self._level(price) if has(price) else (self.price(price), nothing) for price in prices]

    def waiting(self, price: int) -> str:
        """What waits at a level of the book."""
        return self.quantity(quantity_at(price, self.instrument))

    def _level(self, price: int) -> Level:
        return self.price(price), self.waiting(price)

    def kline(self, bar: Bar) -> KlineRow:
        """With its volume; half of that is said to be bought by takers."""
        return (
            bar.start * 1000,
            self.price(bar.open),
            self.price(bar.high),
            self.price(bar.low),
            self.price(bar.close),
            self.volume(bar.volume),
            bar.end * 1000 - 1,
            value(bar.value),
            bar.trades,
            self.volume(bar.volume // 2),
            value(bar.value // 2),
            "0",
        )

    def mark_kline(self, bar: Bar) -> KlineRow:
        """Of a price that nothing is traded at."""
        prices = self.price(bar.open), self.price(bar.high), self.price(bar.low), self.price(bar.close)
        return (bar.start * 1000, *prices, "0", bar.end * 1000 - 1, "0", bar.trades, "0", "0", "0")


def premium_kline(bar: Bar) -> KlineRow:
    """Of the premium: mark and index are one price here."""
    none = rate(0)
    return (bar.start * 1000, none, none, none, none, "0", bar.end * 1000 - 1, "0", bar.trades, "0", "0", "0")


def value(hundred_millionths: int) -> str:
    """Of the quote."""
    return format_scaled(hundred_millionths, VALUE_DECIMALS)


def rate(rate_scaled: int) -> str:
    return format_scaled(rate_scaled, RATE_DECIMALS)


def percent(thousandths: int) -> str:
    return format_scaled(thousandths, PERCENT_DECIMALS)

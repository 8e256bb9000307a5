"""Prices as they are told."""

from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.core.views import Prices, Quote
from exness.web.http.response import encode
from exness.web.v1.models import price_answer


class PriceCache:
    """What /prices answers, encoded once for each change: between two ticks everybody is told the same."""

    def __init__(self) -> None:
        self._shown: dict[Asset, Quote] = {}
        self._body = b""

    def body(self, prices: Prices, rules: Rules) -> bytes:
        """Every asset's price, by asset, as JSON."""
        if prices.quotes != self._shown:
            self._body = encode({asset: price_answer(asset, quote, rules) for asset, quote in prices.quotes.items()})
            self._shown = prices.quotes
        return self._body

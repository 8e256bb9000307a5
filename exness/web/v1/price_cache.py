"""Prices as they are told."""

from exness.core.instruments import Asset
from exness.core.state import Price, PriceState
from exness.runtime.exchange import Exchange
from exness.web.http.response import encode
from exness.web.v1.models import PriceAnswer, price_answer


class PriceCache:
    """What /prices answers, encoded once for each change: between two ticks everybody is told the same."""

    def __init__(self) -> None:
        self._shown: list[tuple[Price | None, PriceState]] = []
        self._body = b""

    def body(self, exchange: Exchange) -> bytes:
        """Every asset's price, by asset, as JSON."""
        state, now = exchange.state, exchange.clock.now_us()
        assets = exchange.rules.instruments
        shown = [(state.price(asset), state.price_state(asset, now)) for asset in assets]
        if shown != self._shown:
            self._body = encode({asset: show_price(exchange, asset, now) for asset in assets})
            self._shown = shown
        return self._body


def show_price(exchange: Exchange, asset: Asset, now: int) -> PriceAnswer:
    """One asset's price and what it is good for at `now` (microseconds)."""
    decimals, state = exchange.rules.instruments[asset].decimals, exchange.state
    return price_answer(asset, decimals, state.price(asset), state.price_state(asset, now))

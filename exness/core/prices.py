"""The price of an asset, and what it is good for."""

from enum import StrEnum

import msgspec


class PriceState(StrEnum):
    """What a price is good for. Shown by its value, on refusals too."""

    LIVE = "live"
    """Trades open and close at it."""
    SUSPECT = "suspect"
    """The venue shows another one far away, which is not confirmed: trades close at the last accepted, none opens."""
    STALE = "stale"
    """Older than its life: no trade opens or closes."""
    DOWN = "down"
    """There has been none since the start: no trade opens or closes."""


class Price(msgspec.Struct, frozen=True, gc=False):
    """The latest accepted tick of an asset. It may be traded on up to and including `fresh_until` (microseconds)."""

    bid: int
    ask: int
    mark: int
    at: int
    fresh_until: int
    suspect: bool = False


def state_of(price: Price | None, at: int) -> PriceState:
    """What a price is good for at `at`."""
    if price is None:
        return PriceState.DOWN
    if at > price.fresh_until:
        return PriceState.STALE
    return PriceState.SUSPECT if price.suspect else PriceState.LIVE

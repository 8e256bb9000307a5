"""Watermarks of trailing stops: one event moves all of an asset that a price betters."""

from exness.core.events import TrailMoved
from exness.core.instruments import Asset
from exness.core.market import Market
from exness.core.prices import Price
from exness.core.tick_order import ROWS, TRAILING, Looks


def trail_moved(asset: Asset, market: Market, price: Price, looks: Looks) -> TrailMoved | None:
    """What this price does to the watermarks of an asset; None: nothing."""
    long, short = looks[ROWS[TRAILING].look], looks[ROWS[TRAILING + 1].look]
    if not (market.trail_moves(0, long) or market.trail_moves(1, short)):
        return None
    return TrailMoved(asset, price.bid, price.ask, price.mark, long, short)

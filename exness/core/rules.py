"""What makes a command acceptable: the configured rules, and the bounds of every figure that is asked for.

Each bound stands here once. `decide` holds every command against them, so that no dialect, replay or test gets past; a
reader that wants to name all that is wrong with an order at once asks `out_of_range`, and words it as it likes.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from exness.core.ceilings import MOST_HELD, MOST_PRICE, MOST_SIZE
from exness.core.instruments import LEVERAGE_UNIT, SLIPPAGE_UNIT, Asset, Execution, Instrument, LimitFill, Trigger
from exness.core.rates import FREE, FundingSource, Rates
from exness.core.rejects import Figure, OutOfRange


class Bounds(NamedTuple):
    """Least and most, both included."""

    least: int
    most: int


FIRST_DEPOSIT: Final = Bounds(0, MOST_HELD)
DEPOSIT: Final = Bounds(1, MOST_HELD)
HELD: Final = Bounds(0, MOST_HELD)
"""Of one account: free balance and locked margins together."""
MARGIN: Final = Bounds(1, MOST_HELD)
LEVERAGE: Final = Bounds(LEVERAGE_UNIT, 100 * LEVERAGE_UNIT)
"""Of any asset; an instrument may allow less."""
SLIPPAGE: Final = Bounds(10, SLIPPAGE_UNIT)
PRICE: Final = Bounds(1, MOST_PRICE)
CLIENT_ORDER: Final = Bounds(1, 64)
"""Characters, all of them printable ASCII."""
SIZE: Final = Bounds(1, MOST_SIZE)
"""Of a trade, hundredths of micro-USDC; of a net position, a quantity."""
COST: Final = Bounds(1, MOST_SIZE)
"""Of a net position: quantity x price."""
PERCENT: Final = Bounds(1, 10_000)
"""Of a trade."""
TRAILING_PERCENT: Final = Bounds(1, 9_999)
"""Of a watermark."""


class Rules(msgspec.Struct, frozen=True):
    """What the exchange is configured to: tradable assets, limits and rates.

    `max_notional_per_account` and `max_open_interest_per_asset` are micro-USDC; `net_leverage` is what net positions
    have, in hundredths, where nothing else was set.
    """

    instruments: Mapping[Asset, Instrument]
    execution: Execution = Execution.MID
    max_open_trades_per_account: int = 1000
    max_notional_per_account: int = 10_000_000_000_000
    max_open_interest_per_asset: int = 1_000_000_000_000_000
    client_order_ids_per_account: int = 1000
    max_open_orders_per_account: int = 200
    max_exits_per_trade: int = 10
    net_leverage: int = 2000
    trigger: Trigger = Trigger.SIDE
    limit_fill: LimitFill = LimitFill.BETTER
    rates: Mapping[Asset, Rates] = {}
    funding_rows: Mapping[Asset, Sequence[tuple[int, int, int]]] = {}
    """Where rates have a schedule: from when, what longs and what shorts pay; by time."""

    def rates_of(self, asset: Asset) -> Rates:
        return self.rates.get(asset, FREE)

    def funding_of(self, asset: Asset, at: int, newest: int) -> tuple[int, int]:
        """What longs and what shorts pay at a settlement time, by weight 1. `newest` is the venue's rate."""
        rates = self.rates_of(asset)
        if rates.fixed_funding is not None:
            return rates.fixed_funding
        if rates.funding_rate is FundingSource.FEED:
            return newest, -newest
        rows = self.funding_rows.get(asset, ())
        row = bisect_right(rows, at, key=itemgetter(0))
        return rows[row - 1][1:] if row else (0, 0)


def out_of_range(
    instrument: Instrument | None,
    margin: int | None,
    leverage: int | None,
    slippage: int | None,
    expected_price: int | None,
    client_order: str | None,
) -> list[OutOfRange]:
    """The figures of an order that no order can have, in the order of these parameters. None is a figure that is not
    given, and never wrong. Of a client order id, its length is told."""
    found = []
    if margin is not None and not MARGIN.least <= margin <= MARGIN.most:
        found.append(OutOfRange(Figure.MARGIN, margin, *MARGIN))
    most_leverage = LEVERAGE.most if instrument is None else instrument.max_leverage
    if leverage is not None and not LEVERAGE.least <= leverage <= most_leverage:
        found.append(OutOfRange(Figure.LEVERAGE, leverage, LEVERAGE.least, most_leverage))
    if slippage is not None and not SLIPPAGE.least <= slippage <= SLIPPAGE.most:
        found.append(OutOfRange(Figure.SLIPPAGE, slippage, *SLIPPAGE))
    if expected_price is not None and not PRICE.least <= expected_price <= PRICE.most:
        asset = None if instrument is None else instrument.asset
        found.append(OutOfRange(Figure.EXPECTED_PRICE, expected_price, *PRICE, asset))
    if client_order is not None and not is_client_order(client_order):
        found.append(OutOfRange(Figure.CLIENT_ORDER, len(client_order), *CLIENT_ORDER))
    return found


def is_client_order(text: str) -> bool:
    return CLIENT_ORDER.least <= len(text) <= CLIENT_ORDER.most and text.isascii() and text.isprintable()

"""What the routes and the stream show of an account at one moment, written down piece by piece while the loop turns.

Two figures stand beside each other and may differ: `unrealizedPnl` is at the mark, as liquidation is; `closePnl` is
what a close of now would pay.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw

from exness.core import line as lines
from exness.core import margin
from exness.core.instruments import Instrument
from exness.core.money import format_scaled, format_usdc
from exness.core.rates import FREE
from exness.core.rules import Rules
from exness.core.trades import Trade
from exness.core.views import Holdings, Standing
from exness.web.http.response import encode
from exness.web.v1.format import percent_out
from exness.web.v1.shown import break_even, fixed, price_out, trailed_exit
from exness.web.v1.trade_models import OpenTradeLasting, OpenTradeNow

ROWS_PER_TURN = 100
"""Rows written before the loop gets a turn, 3 us each. A thousand trades and more may be open."""


class Totals(msgspec.Struct, frozen=True):
    """Sums over open trades, in micro-USDC. `unrealized` and `notional` are None while one of them has no price at all,
    `close_pnl` while one of them can't be closed. `stale`: one of them has a price that is old, or none."""

    unrealized: int | None = 0
    close_pnl: int | None = 0
    stale: bool = False
    notional: int | None = 0


async def rows_of(holdings: Holdings, trades: Sequence[Trade], rules: Rules) -> list[Raw]:
    """The JSON of an OpenTradeRow for each of these trades; the loop turns between some and the next."""
    rows: list[Raw] = []
    async for some in _pieces(trades):
        rows += [row_of(trade, holdings.standing(trade), holdings, rules) for trade in some]
    return rows


async def totals_of(holdings: Holdings) -> Totals:
    """Sums over all trades; the loop turns as in `rows_of`."""
    unrealized: int | None = 0
    close_pnl: int | None = 0
    notional: int | None = 0
    stale = False
    async for some in _pieces(holdings.trades):
        for trade in some:
            now = holdings.standing(trade)
            stale = stale or now.stale
            unrealized = None if unrealized is None or now.unrealized is None else unrealized + now.unrealized
            close_pnl = None if close_pnl is None or now.close_pnl is None else close_pnl + now.close_pnl
            notional = None if notional is None or now.mark is None else notional + lines.notional(trade.line, now.mark)
    return Totals(unrealized, close_pnl, stale, notional)


def row_of(trade: Trade, now: Standing, holdings: Holdings, rules: Rules) -> Raw:
    """What no price changes is encoded once, and all of it stays while the trade stands as it did: whoever asks more
    often than prices move gets the same bytes."""
    instrument = rules.instruments[trade.asset]
    rate = holdings.rates.get(trade.asset, FREE).taker
    written = _written(trade, instrument.decimals, instrument.quantity_places, rate)
    level = holdings.levels.get(trade.id)
    if written.now != now or written.level != level:
        written.row = Raw(written.lasting + encode(_moving(trade, now, level, instrument))[1:])
        written.now, written.level = now, level
    return written.row


def _moving(trade: Trade, now: Standing, level: int | None, instrument: Instrument) -> OpenTradeNow:
    own = trade.trailing_stop
    trailing = None if own is None else trailed_exit(own, instrument, level)
    if now.mark is None or now.unrealized is None:
        return OpenTradeNow(None, None, None, None, True, None, trailing)
    return OpenTradeNow(
        mark_price=format_scaled(now.mark, instrument.decimals),
        unrealized_pnl=format_usdc(now.unrealized),
        unrealized_pnl_percentage=percent_out(margin.percent_of_margin(now.unrealized, trade.margin)),
        close_pnl=format_usdc(now.close_pnl) if now.close_pnl is not None else None,
        stale=now.stale,
        notional=format_usdc(lines.notional(trade.line, now.mark)),
        trailing_stop=trailing,
    )


async def _pieces(trades: Sequence[Trade]) -> AsyncIterator[Sequence[Trade]]:
    """With a turn of the loop between two of them."""
    for first in range(0, len(trades), ROWS_PER_TURN):
        if first:
            await asyncio.sleep(0)
        yield trades[first : first + ROWS_PER_TURN]


class _Written(msgspec.Struct):
    """A row: what no price changes, up to the comma before the rest, and the whole as it was written last."""

    lasting: bytes
    now: Standing | None = None
    level: int | None = None
    row: Raw = Raw()


@lru_cache(maxsize=10_000)
def _written(trade: Trade, decimals: int, places: int, rate: int) -> _Written:
    instrument = Instrument(trade.asset, decimals, 0, quantity_decimals=places)
    shown = fixed(OpenTradeLasting, trade, instrument, break_even_price=price_out(break_even(trade, rate), instrument))
    return _Written(encode(shown)[:-1] + b",")

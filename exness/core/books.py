"""The sums over open trades: of their account, of their markets and of the whole, counted in and out in one place."""

from collections.abc import Sequence

from exness.core.events import Trade
from exness.core.instruments import Side
from exness.core.margin import notional
from exness.core.state import Account, State

_LONG = Side.LONG  # to look it up for every trade would take 80 ns each


def lock(state: State, account: Account, trades: Sequence[Trade], sign: int = 1) -> None:
    """Count margins and notionals of the account's `trades` in (`sign` 1) or out (-1). Where their market lists them
    is not changed."""
    locked = total = 0
    markets = state.markets
    for trade in trades:
        margin = sign * trade.margin
        worth = notional(margin, trade.leverage)
        market = markets.get(trade.asset) or state.market(trade.asset)
        market.open_interest += worth
        market.exposure += worth if trade.side is _LONG else -worth
        locked += margin
        total += worth
    account.locked += locked
    account.notional += total
    state.locked += locked
    state.open_trades += sign * len(trades)

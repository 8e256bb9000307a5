"""The largest figures there are. What the core lets through fits every place that it is written to.

All that is stored one figure at a time (a column, a field of an event, of an account in a snapshot) is a 64-bit
integer. Each such figure is bounded by a ceiling of this module, or counts records or microseconds:

- an account's free balance, locked margins and reserves never come to more than `MOST_HELD` together: a deposit beyond
  it is refused, and a profit ends there (`margin.most_pnl`). So a trade can always be closed. Each of the three, a
  margin, what a close returns and a deposit is at most that;
- a pnl lies between `-margin` and `MOST_HELD`; a shortfall, which moves no money, saturates at `STORED`;
- a price is at most `MOST_PRICE`. The liquidation price of a short is at most twice its entry.

Sums over an account's whole history, and over all accounts, have no ceiling: nothing that one trader does is refused
for what others did, or for what he did long ago. Where they are stored they are two integers, or text.
"""

from exness.core.money import MAX_SCALED

STORED = 2**63 - 1
"""The largest integer that SQLite holds."""

MOST_HELD = STORED
"""Micro-USDC of one account: free balance, locked margins and reserves together."""

MOST_SIZE: int = 2**62
"""The size of a trade or a net position, and the cost of a net position."""

MOST_PRICE = MAX_SCALED
"""In the smallest unit of the asset's price. All that is read from text ends there as well."""

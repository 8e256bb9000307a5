"""What an account has, what moved it, and what it was worth."""

from datetime import datetime
from decimal import Decimal

from exness.client.answers.form import Answer


class Ranked(Answer, frozen=True, kw_only=True):
    """A row of the leaderboard. `roi` is what the profit is of all deposits, None without one."""

    rank: int
    name: str
    profit: Decimal
    roi: Decimal | None
    trades: int


class Leaderboard(Answer, frozen=True, kw_only=True):
    """`since` is when the period began, None of all there ever was; `own` is one's own row, None without a rank."""

    period: str
    since: datetime | None
    accounts: int
    data: list[Ranked]
    own: Ranked | None


class AssetBalance(Answer, frozen=True, kw_only=True):
    """In integer minor units, as the exchange tells it; `amount` in the asset itself."""

    balance: int
    decimals: int

    @property
    def amount(self) -> Decimal:
        return Decimal(self.balance).scaleb(-self.decimals)


class UsdBalance(Answer, frozen=True, kw_only=True):
    """`usd` is what `balance` says in minor units."""

    balance: int
    decimals: int
    usd: Decimal


class Account(Answer, frozen=True, kw_only=True):
    """`balance` is free, `reserved` waits with orders. What prices decide is None while an asset with open trades has
    none; `leverage`, of the equity, also where that is not above 0."""

    email: str
    balance: Decimal
    locked_margin: Decimal
    reserved: Decimal
    unrealized_pnl: Decimal | None
    close_pnl: Decimal | None
    equity: Decimal | None
    stale: bool
    open_trades: int
    notional: Decimal | None
    leverage: Decimal | None


class StatementRow(Answer, frozen=True, kw_only=True):
    """`amount` moved, and `balance` is the free balance after it. `order_id` is the trade or order that it is of."""

    seq: int
    at: datetime
    reason: str
    amount: Decimal
    balance: Decimal
    order_id: str | None = None
    asset: str | None = None


class Statement(Answer, frozen=True, kw_only=True):
    data: list[StatementRow]


class EquityRow(Answer, frozen=True, kw_only=True):
    """At the end of a candle: `equity` is the sum of the others."""

    at: datetime
    equity: Decimal
    balance: Decimal
    locked: Decimal
    reserved: Decimal
    unrealized_pnl: Decimal


class Equity(Answer, frozen=True, kw_only=True):
    data: list[EquityRow]

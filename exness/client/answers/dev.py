"""Dev control."""

from datetime import datetime
from decimal import Decimal

import msgspec

from exness.client.answers.form import Answer
from exness.client.answers.market import AssetRates


class PriceSet(Answer, frozen=True, kw_only=True):
    """`liquidated`: how many trades this price closed."""

    asset: str
    bid: Decimal
    ask: Decimal
    mark: Decimal
    at: datetime
    liquidated: int


class ScriptSet(Answer, frozen=True, kw_only=True):
    """`scripted` prices are set by now, `left` are to come, `replaced` of an earlier script are not."""

    at: datetime
    scripted: int
    left: int
    replaced: int
    liquidated: int


class Clock(Answer, frozen=True, kw_only=True):
    """`now` is the exchange's own time, `speed` a multiple of real time."""

    now: datetime
    paused: bool
    speed: Decimal
    script_left: int


class ClockSet(Clock, frozen=True, kw_only=True):
    """`scripted` prices were set on the way, and closed `liquidated` trades."""

    scripted: int
    liquidated: int


class Deposited(Answer, frozen=True, kw_only=True):
    email: str
    amount: Decimal
    balance: Decimal
    at: datetime


class Books(Answer, frozen=True, kw_only=True):
    """Sums over all accounts, and what the house has. `balanced`: all but `deposits` come to `deposits`, to the last
    unit."""

    seq: int
    accounts: int
    open_trades: int
    free: Decimal
    locked: Decimal
    reserved: Decimal
    house_pnl: Decimal
    commission: Decimal
    funding: Decimal
    insurance: Decimal
    deposits: Decimal
    balanced: bool


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes wrong on request; see Faults in docs/API.md. `seen` and `struck` are counts that the exchange tells."""

    on: str
    do: str
    email: str | None = None
    nth: int | None = None
    every: int | None = None
    share: float | None = None
    seed: int | None = None
    times: int | None = None
    delay_s: float | None = None
    status: int | None = None
    seen: int = 0
    struck: int = 0


class Faults(Answer, frozen=True, kw_only=True):
    rules: list[FaultRule]


class Reset(Answer, frozen=True, kw_only=True):
    """`seq` is the record by which everything before is forgotten."""

    seq: int
    at: datetime


class AssetRatesSet(Answer, frozen=True, kw_only=True):
    asset: str
    rates: AssetRates


class House(Answer, frozen=True, kw_only=True):
    """The accounts of the house, and the shortfall that the insurance has not covered."""

    pnl: Decimal
    commission: Decimal
    funding: Decimal
    insurance: Decimal
    shortfall: Decimal

"""What is configured: rates, assets, limits, profiles. Nothing here is read from a file; it is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

R = 10**8
"""One, as a rate."""

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Tier:
    """Of maintenance: begins above `floor` (micro-USDC of notional)."""

    floor: int
    rate: int
    max_leverage: int | None = None


@dataclass(frozen=True)
class Rates:
    """`funding` is a schedule of (from when it holds, what longs pay, what shorts pay); a settlement takes the newest
    row at or before its time. Without one, `funding_rate` and `funding_rate_short` hold always; "feed" is the venue's
    newest rate, which longs pay shorts."""

    taker: int = 0
    maker: int = 0
    maintenance: tuple[Tier, ...] = ()
    maintenance_basis: str = "mark"
    hold_close_fee: bool = False
    min_margin: int = 0
    liquidation_fee: int = 0
    residual: str = "forfeit"
    funding_interval: int = 0
    funding_offset: int = 0
    funding_rate: int | str = 0
    funding_rate_short: int | None = None
    funding_weekdays: tuple[int, ...] = (1,) * 7
    funding: tuple[tuple[int, int, int], ...] = ()

    @property
    def dearer(self) -> int:
        return max(self.taker, self.maker)

    def funding_at(self, due: int, newest: int = 0) -> tuple[int, int]:
        """What longs and what shorts pay at this time, the day's factor included. `newest` is the venue's rate."""
        long, short = self.funding_rate, self.funding_rate_short
        if isinstance(long, str):
            long, short = newest, -newest
        short = -long if short is None else short
        for since, scheduled_long, scheduled_short in self.funding:
            if since <= due:
                long, short = scheduled_long, scheduled_short
        weight = self.funding_weekdays[(due // DAY_US + 3) % 7]  # the first of January 1970 was a Thursday
        return long * weight, short * weight


@dataclass(frozen=True)
class AssetRules:
    decimals: int
    quantity_decimals: int
    max_leverage: int = 10_000
    rates: Rates = Rates()

    @property
    def net_unit(self) -> int:
        power = self.decimals + self.quantity_decimals - 6
        assert 0 <= power <= 5, "this asset has no net positions"
        return int(10**power)


@dataclass(frozen=True)
class Profile:
    """What a profile sets at once."""

    rates: Mapping[str, Rates]
    execution: str = "mid"
    trigger: str = "side"
    limit_fill: str = "better"


@dataclass(frozen=True)
class Rules:
    """`client_order_ids` bounds an account's window of those; the notionals are micro-USDC."""

    assets: Mapping[str, AssetRules]
    execution: str = "mid"
    trigger: str = "side"
    limit_fill: str = "better"
    net_leverage: int = 2_000
    max_open_trades: int = 1_000
    max_notional: int = 10_000_000_000_000
    max_open_interest: int = 1_000_000_000_000_000
    max_open_orders: int = 200
    max_exits_per_trade: int = 10
    client_order_ids: int = 1_000
    profiles: Mapping[str, Profile] = field(default_factory=dict)

"""What venues charge, as data: each value with where it is from, and of when.

A profile sets what it names; whatever is really given elsewhere goes over it. Not modelled: partial and backstop
liquidation; GMX's price impact, funding, borrowing and 0.04 % for balancing trades; Backpack's size term and cross
margin; that Exness settles at 21:00 in summer.
"""

from collections.abc import Mapping
from typing import NamedTuple

from exness.core.instruments import LEVERAGE_UNIT, Execution, LimitFill, Trigger
from exness.core.money import USDC_UNIT, parse_scaled
from exness.core.rates import RATE_DECIMALS, Basis, FundingSource, Residual, Tier

Path = tuple[str, ...]
"""Of a setting: ("trading", "execution"), ("rates", "taker") for all assets, ("rates", "BTC", "maintenance") for
one."""


class Source(NamedTuple):
    """Where a value is from. `date` is "" where the source bears none."""

    name: str
    date: str = ""
    is_sure: bool = True


class Sourced(NamedTuple):
    """A value, as its setting has it, and its source."""

    value: object
    source: Source


_PAGES = Source("a stored copy of the venue's public pages")
_UNSURE = Source("a stored copy of the venue's public pages", is_sure=False)
_OURS = Source("chosen by us")
_BINANCE_FEES = Source("Binance's fee table, at second hand", "2025")
_BINANCE_TIERS = Source("freqtrade's file of Binance's leverage tiers, USDC pairs", "2024-10-24")
_BINANCE_LIQUIDATION = Source("a sample of Binance's exchangeInfo; others have 1.2 and 1.75 %", is_sure=False)
_HYPERLIQUID_FEES = Source("Hyperliquid's fee pages", "2025/26")
_HYPERLIQUID_TIERS = Source("Hyperliquid's documentation, margin tiers")
_GMX = Source("the configuration of gmx-synthetics at a5c0c88", "2026-03-13")
_BACKPACK_FEES = Source("Backpack's VIP page")
_BACKPACK_MAINTENANCE = Source("ccxt's sample of a market of Backpack, SOL", is_sure=False)
_BACKPACK_LIQUIDATION = Source("apis.io, at second hand", is_sure=False)
_BACKPACK_FUNDING = Source("Backpack EU's FAQ")
_EXNESS_STOP_OUT = Source("get.exness.help, article 6173903134620")
_EXNESS_SWAP = Source("get.exness.help, article 360014709151")
_EXNESS_SWAP_RATE = Source("get.exness.help, article 360014709151: most crypto there is swap-free", is_sure=False)

_HOUR_S = 3_600
_K, _M = 1_000, 1_000_000


def _percent(text: str) -> int:
    return parse_scaled(text, RATE_DECIMALS - 2)


def _tiers(*rows: tuple[int, str, int]) -> tuple[Tier, ...]:
    """Of floor in USDC, rate in percent, largest leverage."""
    return tuple(Tier(floor * USDC_UNIT, _percent(rate), leverage * LEVERAGE_UNIT) for floor, rate, leverage in rows)


_EXNESS: Mapping[Path, Sourced] = {
    ("trading", "execution"): Sourced(Execution.TOUCH, _PAGES),
    ("trading", "trigger"): Sourced(Trigger.SIDE, _PAGES),
    ("trading", "limit_fill"): Sourced(LimitFill.BETTER, _PAGES),
    ("rates", "taker"): Sourced(0, _PAGES),
    ("rates", "maker"): Sourced(0, _PAGES),
    ("rates", "maintenance"): Sourced((), _EXNESS_STOP_OUT),
    ("rates", "liquidation_fee"): Sourced(0, _PAGES),
    ("rates", "residual"): Sourced(Residual.FORFEIT, _OURS),
    ("rates", "funding_interval_s"): Sourced(24 * _HOUR_S, _EXNESS_SWAP),
    ("rates", "funding_offset_s"): Sourced(22 * _HOUR_S, _EXNESS_SWAP),
    ("rates", "funding_weekdays"): Sourced((1, 1, 1, 1, 3, 0, 0), _EXNESS_SWAP),
    ("rates", "funding_rate"): Sourced(0, _EXNESS_SWAP_RATE),
}
_BINANCE: Mapping[Path, Sourced] = {
    ("trading", "execution"): Sourced(Execution.TOUCH, _PAGES),
    ("trading", "trigger"): Sourced(Trigger.SIDE, _PAGES),
    ("trading", "limit_fill"): Sourced(LimitFill.LIMIT, _PAGES),
    ("rates", "taker"): Sourced(_percent("0.05"), _BINANCE_FEES),
    ("rates", "maker"): Sourced(_percent("0.02"), _BINANCE_FEES),
    ("rates", "liquidation_fee"): Sourced(_percent("1.25"), _BINANCE_LIQUIDATION),
    ("rates", "residual"): Sourced(Residual.RETURN, _PAGES),
    ("rates", "funding_interval_s"): Sourced(8 * _HOUR_S, _PAGES),
    ("rates", "funding_rate"): Sourced(_percent("0.01"), _PAGES),
    ("rates", "BTC", "maintenance"): Sourced(
        _tiers(
            (0, "0.4", 125),
            (50 * _K, "0.5", 100),
            (500 * _K, "1", 50),
            (10 * _M, "2.5", 20),
            (80 * _M, "5", 10),
            (150 * _M, "10", 5),
        ),
        _BINANCE_TIERS,
    ),
    ("rates", "ETH", "maintenance"): Sourced(
        _tiers(
            (0, "0.4", 125),
            (50 * _K, "0.5", 100),
            (500 * _K, "0.65", 75),
            (1 * _M, "1", 50),
            (5 * _M, "2", 20),
            (50 * _M, "5", 10),
        ),
        _BINANCE_TIERS,
    ),
    ("rates", "SOL", "maintenance"): Sourced(
        _tiers(
            (0, "0.5", 100),
            (10 * _K, "0.65", 75),
            (50 * _K, "1", 50),
            (200 * _K, "1.2", 40),
            (500 * _K, "2", 25),
            (1 * _M, "2.5", 20),
            (2 * _M, "5", 10),
            (5 * _M, "10", 5),
        ),
        _BINANCE_TIERS,
    ),
}
_HYPERLIQUID: Mapping[Path, Sourced] = {
    ("trading", "execution"): Sourced(Execution.TOUCH, _PAGES),
    ("trading", "trigger"): Sourced(Trigger.MARK, _PAGES),
    ("trading", "limit_fill"): Sourced(LimitFill.LIMIT, _PAGES),
    ("rates", "taker"): Sourced(_percent("0.045"), _HYPERLIQUID_FEES),
    ("rates", "maker"): Sourced(_percent("0.015"), _HYPERLIQUID_FEES),
    ("rates", "liquidation_fee"): Sourced(0, _PAGES),
    ("rates", "residual"): Sourced(Residual.RETURN, _PAGES),
    ("rates", "funding_interval_s"): Sourced(_HOUR_S, _PAGES),
    ("rates", "funding_rate"): Sourced(_percent("0.00125"), _PAGES),
    ("rates", "BTC", "maintenance"): Sourced(_tiers((0, "1.25", 40), (150 * _M, "2.5", 20)), _HYPERLIQUID_TIERS),
    ("rates", "ETH", "maintenance"): Sourced(_tiers((0, "2", 25), (100 * _M, "3.333333", 15)), _HYPERLIQUID_TIERS),
    ("rates", "SOL", "maintenance"): Sourced(_tiers((0, "2.5", 20), (70 * _M, "5", 10)), _HYPERLIQUID_TIERS),
}
_GMX_RATES: Mapping[Path, Sourced] = {
    ("trading", "execution"): Sourced(Execution.TOUCH, _PAGES),
    ("trading", "trigger"): Sourced(Trigger.MARK, _PAGES),
    ("trading", "limit_fill"): Sourced(LimitFill.BETTER, _PAGES),
    ("rates", "taker"): Sourced(_percent("0.06"), _GMX),
    ("rates", "maker"): Sourced(_percent("0.06"), _GMX),
    ("rates", "maintenance"): Sourced((Tier(0, _percent("0.5")),), _GMX),
    ("rates", "maintenance_basis"): Sourced(Basis.ENTRY, _GMX),
    ("rates", "hold_close_fee"): Sourced(True, _GMX),
    ("rates", "min_margin"): Sourced(USDC_UNIT, _GMX),
    ("rates", "liquidation_fee"): Sourced(_percent("0.20"), _GMX),
    ("rates", "residual"): Sourced(Residual.RETURN, _PAGES),
    ("rates", "funding_interval_s"): Sourced(0, _OURS),
}
_BACKPACK: Mapping[Path, Sourced] = {
    ("trading", "execution"): Sourced(Execution.TOUCH, _PAGES),
    ("trading", "trigger"): Sourced(Trigger.MARK, _UNSURE),
    ("trading", "limit_fill"): Sourced(LimitFill.LIMIT, _PAGES),
    ("rates", "taker"): Sourced(_percent("0.05"), _BACKPACK_FEES),
    ("rates", "maker"): Sourced(_percent("0.02"), _BACKPACK_FEES),
    ("rates", "maintenance"): Sourced((Tier(0, _percent("1.25")),), _BACKPACK_MAINTENANCE),
    ("rates", "liquidation_fee"): Sourced(_percent("1"), _BACKPACK_LIQUIDATION),
    ("rates", "residual"): Sourced(Residual.RETURN, _PAGES),
    ("rates", "funding_interval_s"): Sourced(8 * _HOUR_S, _BACKPACK_FUNDING),
    ("rates", "funding_rate"): Sourced(FundingSource.FEED, _BACKPACK_FUNDING),
}

PROFILES: Mapping[str, Mapping[Path, Sourced]] = {
    "exness": _EXNESS,
    "binance": _BINANCE,
    "hyperliquid": _HYPERLIQUID,
    "gmx": _GMX_RATES,
    "backpack": _BACKPACK,
}
"""By name. `exness` is the venue of that name."""

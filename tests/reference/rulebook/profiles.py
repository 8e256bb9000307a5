"""What the venues charge: the table of the rule book's section 6, written down from it alone."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.reference.rulebook.rules import Profile, R, Rates, Tier

USDC = 10**6
HOUR = 3_600_000_000
K, M = 1_000, 1_000_000


def _percent(text: str) -> int:
    rate = Fraction(text) / 100 * R
    assert rate.denominator == 1, text
    return int(rate)


def _tiers(text: str) -> tuple[Tier, ...]:
    """From the rule book's own notation: floor: rate in percent, largest leverage."""
    tiers = []
    for tier in text.split(" · "):
        floor, rest = tier.split(": ")
        rate, leverage = rest.split(", ")
        unit = {"k": K, "M": M}.get(floor[-1], 1)
        tiers.append(Tier(int(floor.rstrip("kM")) * unit * USDC, _percent(rate), int(leverage) * 100))
    return tuple(tiers)


BINANCE = {
    "BTC": "0: 0.4, 125 · 50k: 0.5, 100 · 500k: 1, 50 · 10M: 2.5, 20 · 80M: 5, 10 · 150M: 10, 5",
    "ETH": "0: 0.4, 125 · 50k: 0.5, 100 · 500k: 0.65, 75 · 1M: 1, 50 · 5M: 2, 20 · 50M: 5, 10",
    "SOL": "0: 0.5, 100 · 10k: 0.65, 75 · 50k: 1, 50 · 200k: 1.2, 40 · 500k: 2, 25 · 1M: 2.5, 20 · 2M: 5, 10 · "
    "5M: 10, 5",
}
HYPERLIQUID = {
    "BTC": "0: 1.25, 40 · 150M: 2.5, 20",
    "ETH": "0: 2, 25 · 100M: 3.333333, 15",
    "SOL": "0: 2.5, 20 · 70M: 5, 10",
}


def _profile(
    execution: str,
    trigger: str,
    limit_fill: str,
    tiers: dict[str, str] | None = None,
    assets: tuple[str, ...] = ("BTC", "ETH", "SOL"),
    **rates: Any,
) -> Profile:
    of_all = Rates(**rates)
    per_asset = {
        asset: replace(of_all, maintenance=_tiers(tiers[asset])) if tiers and asset in tiers else of_all
        for asset in assets
    }
    return Profile(per_asset, execution, trigger, limit_fill)


def venues(*assets: str) -> dict[str, Profile]:
    """The five profiles, for these assets."""
    return {
        "exness": _profile(
            *("touch", "side", "better"),
            assets=assets,
            funding_interval=24 * HOUR,
            funding_offset=22 * HOUR,
            funding_weekdays=(1, 1, 1, 1, 3, 0, 0),
        ),
        "binance": _profile(
            *("touch", "side", "limit", BINANCE, assets),
            taker=_percent("0.05"),
            maker=_percent("0.02"),
            liquidation_fee=_percent("1.25"),
            residual="return",
            funding_interval=8 * HOUR,
            funding_rate=_percent("0.01"),
        ),
        "hyperliquid": _profile(
            *("touch", "mark", "limit", HYPERLIQUID, assets),
            taker=_percent("0.045"),
            maker=_percent("0.015"),
            residual="return",
            funding_interval=HOUR,
            funding_rate=_percent("0.00125"),
        ),
        "gmx": _profile(
            *("touch", "mark", "better"),
            assets=assets,
            taker=_percent("0.06"),
            maker=_percent("0.06"),
            maintenance=(Tier(0, _percent("0.5")),),
            maintenance_basis="entry",
            hold_close_fee=True,
            min_margin=USDC,
            liquidation_fee=_percent("0.20"),
            residual="return",
        ),
        "backpack": _profile(
            *("touch", "mark", "limit"),
            assets=assets,
            taker=_percent("0.05"),
            maker=_percent("0.02"),
            maintenance=(Tier(0, _percent("1.25")),),
            liquidation_fee=_percent("1"),
            residual="return",
            funding_interval=8 * HOUR,
            funding_rate="feed",
        ),
    }

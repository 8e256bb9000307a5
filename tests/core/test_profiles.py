"""core/profiles.py: every profile is valid, tells where each value is from, and liquidates where the venue would."""

from fractions import Fraction
from typing import Any

import pytest

from exness.core import line as lines_of
from exness.core.line import trade_line
from exness.core.profiles import PROFILES, Sourced
from exness.core.rates import Basis, FundingSource, Rates, Residual, problems
from tests.reference.engine_peer import rates_of as of_the_reckoning
from tests.reference.rulebook.profiles import venues
from tests.support.books import LONG, SHORT
from tests.support.formulas import FORMULAS, first_whole

TRADING = [("trading", key) for key in ("execution", "trigger", "limit_fill")]
USDC = 10**6


def rates_of(profile: str, asset: str) -> Rates:
    of_all = {path[1]: each.value for path, each in PROFILES[profile].items() if path[0] == "rates" and len(path) == 2}
    of_one = {path[2]: each.value for path, each in PROFILES[profile].items() if path[:2] == ("rates", asset)}
    fields: dict[str, Any] = {**of_all, **of_one}
    return Rates(**fields)


def test_the_profiles_are_five() -> None:
    assert list(PROFILES) == ["exness", "binance", "hyperliquid", "gmx", "backpack"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_valid_for_every_asset_and_has_a_source_for_every_value(profile: str) -> None:
    for asset in ("BTC", "ETH", "SOL", "DOGE"):
        rates = rates_of(profile, asset)
        assert list(problems(rates)) == []
        assert set(TRADING) <= set(PROFILES[profile])
    assert {type(each) for each in PROFILES[profile].values()} == {Sourced}
    assert all(each.source.name for each in PROFILES[profile].values())


@pytest.mark.parametrize("asset", ["BTC", "ETH", "SOL"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_the_one_of_the_rule_book(profile: str, asset: str) -> None:
    """Whose table the reckoning has for itself."""
    table = venues("BTC", "ETH", "SOL")[profile]
    assert rates_of(profile, asset) == of_the_reckoning(table.rates[asset])
    looks = {key: PROFILES[profile]["trading", key].value for _, key in TRADING}
    assert looks == {"execution": table.execution, "trigger": table.trigger, "limit_fill": table.limit_fill}


def test_what_is_unsure_is_marked_so() -> None:
    unsure = {
        (name, path[-1]) for name, table in PROFILES.items() for path, each in table.items() if not each.source.is_sure
    }
    assert unsure == {
        ("exness", "funding_rate"),
        ("binance", "liquidation_fee"),
        ("backpack", "trigger"),
        ("backpack", "maintenance"),
        ("backpack", "liquidation_fee"),
    }


def test_the_leverage_of_a_position_is_bound_by_its_tier() -> None:
    assert [rates_of("binance", "SOL").max_leverage(usdc * USDC, 1) for usdc in (1, 10_000, 10_001, 6_000_000)] == [
        10_000,
        10_000,
        7_500,
        500,
    ]
    assert rates_of("hyperliquid", "ETH").max_leverage(100_000_001 * USDC, 1) == 1_500
    assert rates_of("gmx", "BTC").max_leverage(10**20, 1) is None


def test_funding_is_settled_as_the_venue_does() -> None:
    rates = {name: rates_of(name, "BTC") for name in PROFILES}
    assert {name: each.funding_interval_s for name, each in rates.items()} == {
        "exness": 86_400,
        "binance": 28_800,
        "hyperliquid": 3_600,
        "gmx": 0,
        "backpack": 28_800,
    }
    assert (rates["binance"].fixed_funding, rates["hyperliquid"].fixed_funding) == ((10_000, -10_000), (1_250, -1_250))
    assert rates["backpack"].funding_rate is FundingSource.FEED
    assert rates["exness"].next_settlement(0) == 22 * 3_600 * 10**6


# One liquidation each, by the venue's own formula. 1,000 USDC at 10x and an entry of 100,000 everywhere.

ENTRY = 1_000_000_000
"""100,000 at 4 decimals."""


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_liquidates_where_the_venues_own_formula_says(profile: str) -> None:
    """The sources are named with the formulas; the same through `serve` is in tests/acceptance."""
    rates, size = rates_of(profile, "BTC"), Fraction(1, 10)
    for sign, side in ((1, LONG), (-1, SHORT)):
        published = FORMULAS[profile](sign, Fraction(1_000), size, Fraction(100_000))
        line = trade_line(side, 1_000 * USDC, 1_000, ENTRY)
        assert lines_of.liquidation_price(line, rates) == first_whole(sign, published, 4)


def test_what_a_liquidation_leaves_is_the_traders_but_at_exness() -> None:
    residuals = {name: rates_of(name, "BTC").residual for name in PROFILES}
    assert {name for name, each in residuals.items() if each is Residual.FORFEIT} == {"exness"}
    assert {name for name in PROFILES if rates_of(name, "BTC").maintenance_basis is Basis.ENTRY} == {"gmx"}

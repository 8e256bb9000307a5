"""The settings of rates and profiles: what goes over what, and what is refused at start by name."""

from pathlib import Path

import pytest

from exness.config import Config, ConfigError, UsageError, load, resolve
from exness.config.texts import effective_file, effective_table
from exness.core.instruments import Execution, LimitFill, Trigger
from exness.core.profiles import PROFILES
from exness.core.rates import Basis, FundingSource, Rates, Residual, Tier

SHIPPED = Path(__file__).parents[2] / "config.toml"
A_RATE = "a rate from 0 to below 1 with at most 8 decimals (0.0005 is 0.05 %)"
MAINTENANCE = (
    "a rate from 0 to below 1, or a list of tiers like { floor = 50000, rate = 0.005, max_leverage = 100 } "
    "(max_leverage may be left out)"
)
TIERS = (Tier(0, 400_000, 12_500), Tier(50_000_000_000, 500_000))
TIERS_TOML = '[{ floor = 0, rate = 0.004, max_leverage = 125 }, { floor = "50000", rate = "0.005" }]'


def from_file(text: str, flags: dict[str, object] | None = None) -> Config:
    Path("config.toml").write_text(text, encoding="utf-8")
    return load(Path("config.toml"), {}, flags or {})


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_file(text)
    return str(caught.value)


def test_everything_is_free_unless_it_is_said_otherwise() -> None:
    config = load(SHIPPED, {}, {})
    assert config.asset_rates == {asset: Rates() for asset in ("SOL", "ETH", "BTC")}
    assert (config.rates.insurance, config.rates.funding_file) == (0, None)


def test_what_is_said_of_an_asset_goes_over_what_is_said_of_all() -> None:
    config = from_file(
        "[rates]\ntaker = 0.0005\nmaker = '0.0002'\nmaintenance = 0.005\nmin_margin = 1.5\n"
        f"[rates.SOL]\nmaker = 0\nmaintenance = {TIERS_TOML}\nhold_close_fee = true\n"
    )
    of_all = Rates(taker=50_000, maker=20_000, maintenance=(Tier(0, 500_000),), min_margin=1_500_000)
    of_sol = Rates(taker=50_000, maintenance=TIERS, min_margin=1_500_000, hold_close_fee=True)
    assert config.asset_rates == {"SOL": of_sol, "ETH": of_all, "BTC": of_all}


def test_every_key_is_read_to_its_unit() -> None:
    config = from_file(
        "[rates]\nmaintenance_basis = 'entry'\nliquidation_fee = 0.0125\nresidual = 'return'\n"
        "funding_interval_s = 28800\n"
        "funding_offset_s = 79200\nfunding_rate = -0.0001\nfunding_rate_short = 0.00000001\n"
        "funding_weekdays = [1, 1, 1, 1, 3, 0, 0]\ninsurance = 12.5\nfunding_file = 'funding.csv'\n"
    )
    assert config.asset_rates["BTC"] == Rates(
        maintenance_basis=Basis.ENTRY,
        liquidation_fee=1_250_000,
        residual=Residual.RETURN,
        funding_interval_s=28_800,
        funding_offset_s=79_200,
        funding_rate=-10_000,
        funding_rate_short=1,
        funding_weekdays=(1, 1, 1, 1, 3, 0, 0),
    )
    assert (config.rates.insurance, config.rates.funding_file) == (12_500_000, Path("funding.csv"))


def test_the_environment_sets_rates_of_all_and_of_one_tiers_included() -> None:
    warnings: list[str] = []
    environ = {
        "EXNESS_RATES_TAKER": "0.0005",
        "EXNESS_RATES_SOL_MAINTENANCE": TIERS_TOML,
        "EXNESS_RATES_ETH_FUNDING_RATE": "feed",
        "EXNESS_RATES_ETH_FUNDING_WEEKDAYS": "1,1,1,1,1,0,0",
    }
    config = load(None, environ, {}, warnings.append)
    assert config.asset_rates == {
        "SOL": Rates(taker=50_000, maintenance=TIERS),
        "ETH": Rates(taker=50_000, funding_rate=FundingSource.FEED, funding_weekdays=(1, 1, 1, 1, 1, 0, 0)),
        "BTC": Rates(taker=50_000),
    }
    assert warnings == []


def test_a_variable_of_rates_of_no_asset_is_ignored_with_a_warning() -> None:
    warnings: list[str] = []
    assert load(None, {"EXNESS_RATES_DOGE_TAKER": "0.1"}, {}, warnings.append) == Config()
    (warning,) = warnings
    assert warning.startswith("EXNESS_RATES_DOGE_TAKER is ignored: there is no asset DOGE")
    added = {"NAME": "Dogecoin", "SYMBOL": "DOGE_USDC", "DECIMALS": "8"}
    environ = {f"EXNESS_ASSETS_DOGE_{key}": value for key, value in added.items()}
    config = load(None, {**environ, "EXNESS_RATES_DOGE_TAKER": "0.1"}, {}, warnings.append)
    assert config.asset_rates["DOGE"] == Rates(taker=10_000_000)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rates.taker = 1", f"config.toml: rates.taker must be {A_RATE}, not 1"),
        ("rates.SOL.maker = -0.1", f"config.toml: rates.SOL.maker must be {A_RATE}, not -0.1"),
        ("rates.taker = 0.000000001", f"config.toml: rates.taker must be {A_RATE}, not 0.000000001"),
        ("rates.taker = true", f"config.toml: rates.taker must be {A_RATE}, not true"),
        ("rates.maintenance = 1.0", f"config.toml: rates.maintenance must be {MAINTENANCE}, not 1.0"),
        ("rates.maintenance = { floor = 1 }", f"config.toml: rates.maintenance must be {MAINTENANCE}, not a section"),
        (
            "rates.maintenance = [{ floor = 0, rate = 1 }]",
            f"config.toml: rates.maintenance must be {MAINTENANCE}, not [a section]",
        ),
        (
            "rates.maintenance = [{ floor = 0 }]",
            f"config.toml: rates.maintenance must be {MAINTENANCE}, not [a section]",
        ),
        (
            "rates.maintenance = [{ floor = 0, rate = 0, cap = 1 }]",
            f"config.toml: rates.maintenance must be {MAINTENANCE}, not [a section]",
        ),
        (
            "rates.maintenance = [{ floor = 0, rate = 0.1 }, { floor = 0, rate = 0.2 }]",
            "rates.maintenance must have tiers whose floors rise",
        ),
        (
            "rates.SOL.maintenance = [{ floor = 0, rate = 0.2 }, { floor = 1, rate = 0.1 }]",
            "rates.SOL.maintenance must have tiers whose rates do not fall",
        ),
        (
            "rates = { taker = 0.5, hold_close_fee = true, maintenance = 0.5 }",
            "rates.maintenance must stay below 1 in every tier, the taker fee included where hold_close_fee is on",
        ),
        (
            "rates = { taker = 0.5, maintenance = 0.5, BTC = { hold_close_fee = true } }",
            "rates.BTC.maintenance must stay below 1 in every tier, the taker fee included where hold_close_fee is on",
        ),
        (
            "rates.funding_weekdays = [1, 1]",
            "config.toml: rates.funding_weekdays must be a list of seven integers from 0 to 100, Monday first, "
            "not [1, 1]",
        ),
        (
            "rates = { funding_rate = 'feed', funding_rate_short = 0.1 }",
            "rates.funding_rate_short must be left out where funding_rate is feed",
        ),
        (
            "rates.ETH.funding_rate = 'schedule'",
            'rates.funding_file must name a file when rates.ETH.funding_rate is "schedule"',
        ),
        ("rates.DOGE.taker = 0", "rates.DOGE must be the section of an asset: there is no [assets.DOGE]"),
        ("rates.SOL = 5", "config.toml: rates.SOL must be a section [rates.SOL] with keys, not 5"),
        (
            "assets.SOL.quantity_decimals = 6",
            "assets.SOL.quantity_decimals and its decimals must together be from 6 to 11",
        ),
    ],
)
def test_rates_that_cannot_hold_are_refused_by_their_full_name(text: str, problem: str) -> None:
    assert error_of(text) == problem


def test_a_section_of_rates_has_the_name_of_an_asset() -> None:
    assert error_of("[rates.sol]\ntaker = 0").startswith("config.toml: unknown setting rates.sol, the nearest is")
    assert error_of("[rates.USDC]\ntaker = 0") == (
        "config.toml: USDC is the currency of every account and cannot be an asset"
    )


@pytest.mark.parametrize("key", ["insurance", "funding_file"])
def test_an_asset_has_no_insurance_and_no_file_of_its_own(key: str) -> None:
    assert error_of(f"rates.SOL.{key} = 1").startswith(f"config.toml: unknown setting rates.SOL.{key}, the nearest is")


@pytest.mark.parametrize("text", ["[{ floor = 0, rate = 0.1 }]\nx = 1", "[", "[" * 10_000, "[" * 200, "[1]", "[] []"])
def test_tiers_in_the_environment_are_one_value_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(None, {"EXNESS_RATES_MAINTENANCE": text}, {})
    assert str(refused.value).startswith(f"EXNESS_RATES_MAINTENANCE: rates.maintenance must be {MAINTENANCE}, not ")
    assert len(str(refused.value)) < 400


# Profiles


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_starts_with_the_shipped_file_and_is_printed_so_that_it_reads_the_same(profile: str) -> None:
    resolved = resolve(SHIPPED, {}, {"trading.profile": profile})
    config = resolved.config
    for path, sourced in PROFILES[profile].items():
        if path[0] == "trading":
            assert getattr(config.trading, path[1]) == sourced.value
        elif len(path) == 3:
            assert getattr(config.asset_rates[path[1]], path[2]) == sourced.value
        else:
            assert getattr(config.rates, path[1]) == sourced.value
        assert resolved.origins[path] == f"profile {profile}"
    assert f"profile {profile}" in effective_table(resolved)
    Path("read.toml").write_text(effective_file(resolved), encoding="utf-8")
    assert load(Path("read.toml"), {}, {}) == config


def test_a_key_that_is_really_given_goes_over_the_profile_wherever_it_is_given() -> None:
    Path("config.toml").write_text(
        "[trading]\nexecution = 'mid'\n[rates]\ntaker = 0\n[rates.ETH]\nmaintenance = 0.01\n", encoding="utf-8"
    )
    environ = {"EXNESS_RATES_LIQUIDATION_FEE": "0.002", "EXNESS_RATES_SOL_MAKER": "0"}
    config = load(None, environ, {"trading.profile": "binance"})
    assert (config.trading.execution, config.trading.trigger) == (Execution.MID, Trigger.SIDE)
    assert config.trading.limit_fill is LimitFill.LIMIT
    btc, eth, sol = (config.asset_rates[asset] for asset in ("BTC", "ETH", "SOL"))
    assert {(each.taker, each.liquidation_fee) for each in (btc, eth, sol)} == {(0, 200_000)}
    assert (btc.maker, eth.maker, sol.maker) == (20_000, 20_000, 0)
    assert eth.maintenance == (Tier(0, 1_000_000),)
    assert (len(btc.maintenance), len(sol.maintenance)) == (6, 8)


def test_a_key_that_is_given_for_all_assets_goes_over_what_the_profile_says_of_one() -> None:
    config = from_file("rates.maintenance = 0.01", {"trading.profile": "hyperliquid"})
    assert {each.maintenance for each in config.asset_rates.values()} == {(Tier(0, 1_000_000),)}


def test_a_profile_says_nothing_of_assets_that_are_not_there_and_little_of_others() -> None:
    config = from_file(
        "[assets.BTC]\nenabled = false\n[assets.DOGE]\nname = 'D'\ndecimals = 8\nsymbol = 'DOGE_USDC'\n",
        {"trading.profile": "binance"},
    )
    assert list(config.asset_rates) == ["SOL", "ETH", "DOGE"]
    assert (config.asset_rates["DOGE"].taker, config.asset_rates["DOGE"].maintenance) == (50_000, ())


def test_a_profile_there_is_none_of_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        load(None, {}, {"trading.profile": "ftx"})
    names = '"exness", "binance", "hyperliquid", "gmx" or "backpack", or "" for none'
    assert str(refused.value) == f'command line: trading.profile must be {names}, not "ftx"'


# Quantities of net positions


@pytest.mark.parametrize(("decimals", "quantity_decimals"), [(0, 9), (4, 5), (6, 3), (9, 0), (11, 0), (12, None)])
def test_quantities_have_9_less_the_decimals_of_the_price_unless_it_is_said(
    decimals: int, quantity_decimals: int | None
) -> None:
    config = from_file(f"[assets.DOGE]\nname = 'D'\ndecimals = {decimals}\nsymbol = 'D_USDC'\n")
    assert config.assets["DOGE"].net_quantity_decimals == quantity_decimals
    assert [config.assets[asset].net_quantity_decimals for asset in ("SOL", "ETH", "BTC")] == [3, 4, 5]


def test_quantity_decimals_can_be_given_and_left_to_the_price() -> None:
    config = from_file("assets.SOL.quantity_decimals = 5\nassets.ETH.quantity_decimals = ''\n")
    assert [config.assets[asset].net_quantity_decimals for asset in ("SOL", "ETH", "BTC")] == [5, 3, 5]

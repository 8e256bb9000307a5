"""The settings of assets, and which settings do not fit together."""

from pathlib import Path

import pytest

from exness.app.build import make_fapi
from exness.config import ConfigError, UsageError, load
from exness.config.schema import DEFAULT_ASSETS, AssetConfig
from exness.core.instruments import Asset
from tests.config.loading import error_of, from_env, from_file

NEW_ASSET = "a new asset must have the keys name, decimals and symbol"


def test_instruments_come_in_a_fixed_order_and_new_ones_behind() -> None:
    config = from_file(
        "[assets.DOGE]\nname = 'Dogecoin'\ndecimals = 8\nsymbol = 'DOGE_USDC'\n[assets.BTC]\nmax_leverage = 50\n"
        "[assets.ADA]\nname = 'Cardano'\ndecimals = 5\nsymbol = 'ADA_USDC'\nmax_leverage = 20.5\n"
    )
    instruments = config.instruments()
    assert list(instruments) == ["SOL", "ETH", "BTC", "DOGE", "ADA"]
    found = [(i.asset, i.name, i.decimals, i.symbol, i.image_url, i.max_leverage) for i in instruments.values()]
    assert found[2:] == [
        ("BTC", "Bitcoin", 4, "BTC_USDC", DEFAULT_ASSETS["BTC"].image_url, 5000),
        ("DOGE", "Dogecoin", 8, "DOGE_USDC", "", 10000),
        ("ADA", "Cardano", 5, "ADA_USDC", "", 2050),
    ]


def test_a_disabled_asset_is_gone() -> None:
    assert list(from_env(EXNESS_ASSETS_ETH_ENABLED="false").instruments()) == ["SOL", "BTC"]


def test_an_asset_can_be_added_by_the_environment_alone() -> None:
    config = from_env(
        EXNESS_ASSETS_DOGE_NAME="Dogecoin", EXNESS_ASSETS_DOGE_DECIMALS="8", EXNESS_ASSETS_DOGE_SYMBOL="DOGE_USDC"
    )
    assert config.assets["DOGE"] == AssetConfig("Dogecoin", 8, "DOGE_USDC")


def test_the_defaults_stay_as_they_are_when_a_file_changes_an_asset() -> None:
    before = dict(DEFAULT_ASSETS)
    from_file("assets.SOL.name = 'Other'\nassets.ETH.enabled = false\n")
    assert before == DEFAULT_ASSETS
    assert load(None, {}, {}).assets["SOL"].name == "Other"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("assets.DOGE.decimals = 8", f"assets.DOGE.name is missing; {NEW_ASSET}"),
        ("[assets.DOGE]", f"assets.DOGE.name is missing; {NEW_ASSET}"),
        ("[assets.DOGE]\nname = 'D'\ndecimals = 8", f"assets.DOGE.symbol is missing; {NEW_ASSET}"),
        (
            "assets.ETH.symbol = 'SOL_USDC'",
            'assets.ETH.symbol must be different from assets.SOL.symbol, not "SOL_USDC" for both',
        ),
        (
            "[assets]\nSOL.enabled = false\nETH.enabled = false\nBTC.enabled = false",
            "at least one asset must stay enabled under [assets]",
        ),
        ("feed.source = 'replay'", 'feed.replay_files must name at least one file when feed.source is "replay"'),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, problem: str) -> None:
    assert error_of(lambda: from_file(text)) == problem


@pytest.mark.parametrize(
    ("flags", "kind"),
    [({}, ConfigError), ({"feed.source": "manual"}, UsageError), ({"feed.source": None}, ConfigError)],
)
def test_a_manual_feed_wants_dev_control(flags: dict[str, object], kind: type[ConfigError]) -> None:
    env = {"EXNESS_FEED_SOURCE": "manual"}
    with pytest.raises(ConfigError, match=r"dev\.control = true") as refused:
        load(None, env, flags)
    assert type(refused.value) is kind
    assert load(None, env | {"EXNESS_DEV_CONTROL": "true"}, flags).feed.source == "manual"


def test_a_disabled_asset_needs_no_symbol_of_its_own() -> None:
    config = from_file("[assets.OLD]\nenabled = false\n[assets.ETH]\nenabled = false\nsymbol = 'SOL_USDC'\n")
    assert list(config.assets) == ["SOL", "BTC"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[fapi]\nquote = "usdt"', "fapi.quote must be 1 to 10 uppercase letters and digits like USDC"),
        ("[assets.BTC]\nfapi_tick = 0", "assets.BTC.fapi_tick must be a step greater than 0"),
        (
            "[assets.BTC]\nfapi_tick = 0.00001",
            "assets.BTC.fapi_tick must have at most 4 decimals, as its own figures have",
        ),
        ("[assets.BTC]\nfapi_step = 0.000001", "assets.BTC.fapi_step must have at most 5 decimals"),
    ],
)
def test_steps_of_the_binance_face_are_whole_steps_of_the_asset(text: str, problem: str) -> None:
    Path("config.toml").write_text(text)
    assert problem in error_of(lambda: load(None, {}, {}))


def test_the_binance_face_has_the_steps_of_the_asset_unless_it_is_given_some() -> None:
    Path("config.toml").write_text(
        '[fapi]\nquote = "USDT"\n[assets.BTC]\nfapi_tick = 0.1\nfapi_step = 0.001\nfapi_notional = 100'
    )
    face = make_fapi(load(None, {}, {}))
    assert face is not None
    assert {each.symbol: (each.tick, each.step, each.least_notional) for each in face.markets.values()} == {
        "SOLUSDT": (1, 1, 5_000_000),
        "ETHUSDT": (1, 1, 5_000_000),
        "BTCUSDT": (1000, 100, 100_000_000),
    }
    assert face.symbol(Asset("BTC")) == "BTCUSDT"
    assert make_fapi(load(None, {"EXNESS_FAPI_ENABLED": "false"}, {})) is None

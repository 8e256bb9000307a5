"""The environment is everybody's: which variables are settings, and that no other can keep us from starting."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.config import Config, ConfigError, UsageError, load
from exness.config.schema import DEFAULT_ASSETS, ROWS, SECTIONS, AssetConfig
from exness.config.sources import MOST_WARNINGS
from tests.support.lanes import examples
from tests.support.shipped import with_keys_of_profiles

REFUSED_BY_EVERY_RULE = "\0"
SHIPPED = tomllib.loads(with_keys_of_profiles((Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")))
LINKS = ["tcp://10.0.0.5:8002", "udp://10.0.0.5:53", "sctp://10.0.0.5:7", "tcp://[2001:db8::5]:8002"]

KEYS = [(section, key) for section in SECTIONS for key in ROWS[section]]
KEYS += [(f"assets.{asset}", key) for asset in DEFAULT_ASSETS for key in ROWS["assets"]]
VARIABLES = {f"EXNESS_{section.replace('.', '_')}_{key}".upper(): f"{section}.{key}" for section, key in KEYS}


def loaded(environ: dict[str, str], flags: dict[str, object] | None = None) -> tuple[Config, list[str]]:
    warnings: list[str] = []
    return load(None, environ, flags or {}, warnings.append), warnings


def default_of(name: str) -> Any:
    """As the shipped file has it, which holds every key at its default."""
    found: Any = SHIPPED
    for part in name.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_variable_of_every_key_is_read(variable: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded({variable: REFUSED_BY_EVERY_RULE})
    assert type(refused.value) is ConfigError
    assert str(refused.value).startswith(f"{variable}: {VARIABLES[variable]} must be ")


@pytest.mark.parametrize("variable", VARIABLES)
def test_what_a_container_runtime_writes_into_the_variable_of_a_key_is_ignored(variable: str) -> None:
    for link in LINKS:
        config, warnings = loaded({variable: link})
        assert config == Config()
        assert warnings == [
            f"{variable} is ignored: its value is what a container runtime writes for a service of that name"
        ]


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_bad_value_is_no_error_where_a_flag_or_the_environment_gives_a_good_one(variable: str) -> None:
    name = VARIABLES[variable]
    good = default_of(name)
    as_text = (
        ",".join(map(str, good))
        if isinstance(good, list)
        else str(good).lower()
        if isinstance(good, bool)
        else str(good)
    )
    good = str(good) if isinstance(good, float) else good  # a share is read exactly, from its text
    assert loaded({variable: REFUSED_BY_EVERY_RULE}, {name: good}) == (Config(), [])
    Path("config.toml").write_text(f'{name} = "\\u0000"\n', encoding="utf-8")
    assert loaded({variable: as_text}) == (Config(), [])
    assert loaded({}, {name: good}) == (Config(), [])
    assert loaded({variable: REFUSED_BY_EVERY_RULE}, {name: good}) == (Config(), [])
    with pytest.raises(ConfigError, match=r"^config\.toml: "):
        loaded({})
    with pytest.raises(UsageError, match=r"^command line: "):
        loaded({variable: as_text}, {name: REFUSED_BY_EVERY_RULE})


def written_by_container_runtimes(service: str) -> dict[str, str]:
    """What Kubernetes and Docker's links put into the environment for a service of this name."""
    name = service.upper().replace("-", "_")
    family = {
        f"{name}_SERVICE_HOST": "10.0.0.5",
        f"{name}_SERVICE_PORT": "8002",
        f"{name}_SERVICE_PORT_HTTP": "8002",
        f"{name}_PORT": "tcp://10.0.0.5:8002",
        f"{name}_NAME": f"/web/{service}",
        f"{name}_ENV_PORT": "8002",
        f"{name}_ENV_NAME": "theirs",
        f"{name}_ENV_HOST": "0.0.0.0",
    }
    for protocol in ("TCP", "UDP"):
        port = f"{name}_PORT_8002_{protocol}"
        family |= {
            port: f"{protocol.lower()}://10.0.0.5:8002",
            f"{port}_PROTO": protocol.lower(),
            f"{port}_PORT": "8002",
            f"{port}_ADDR": "10.0.0.5",
            f"{port}_START": f"{protocol.lower()}://10.0.0.5:8002",
        }
    return family


SERVICES = ["exness", *(f"exness-{name}" for name in ROWS), "exness-server-port", "exness-feed-url"]
SERVICES += [f"exness-assets-{name}" for name in ("sol", "doge", "sol-name", "doge-env")]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_any_name_of_ours_changes_nothing(service: str) -> None:
    config, warnings = loaded(written_by_container_runtimes(service))
    assert config == Config()
    assert 1 <= len(warnings) <= MOST_WARNINGS + 1


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("EXNESS_PORT", "EXNESS_SERVER_PORT"),
        ("EXNESS_HOST", "EXNESS_SERVER_HOST"),
        ("EXNESS_DATA_DIR", "EXNESS_STORAGE_DATA_DIR"),
        ("EXNESS_SECRET", "EXNESS_AUTH_SECRET"),
        ("EXNESS_SERVICE_HOST", "EXNESS_SERVER_HOST"),
        ("EXNESS_SERVER_PROT", "EXNESS_SERVER_PORT"),
        ("EXNESS_SEVRER_PORT", "EXNESS_SERVER_PORT"),
        ("EXNESS_LOGLEVEL", "EXNESS_LOG_LEVEL"),
        ("EXNESS_ENGINE_INBOX_SISE", "EXNESS_ENGINE_INBOX_SIZE"),
        ("EXNESS_ASSETS_SOL_MAXLEVERAGE", "EXNESS_ASSETS_SOL_MAX_LEVERAGE"),
        ("EXNESS_ASSETS_sol_DECIMALS", "EXNESS_ASSETS_SOL_DECIMALS"),
    ],
)
def test_a_name_that_is_no_setting_is_told_of_with_the_nearest_that_is(variable: str, nearest: str) -> None:
    config, warnings = loaded({variable: "s3cret"})
    assert config == Config()
    assert warnings == [f"{variable} is no setting and is ignored; the nearest is {nearest}"]


@pytest.mark.parametrize(
    "variable", ["EXNESS_TOKEN", "EXNESS_URL", "EXNESS_", "EXNESS_SERVER", "EXNESS_ASSETS", "EXNESS_ASSETS_SOL"]
)
def test_a_name_of_somebody_elses_is_told_of_once_and_ignored(variable: str) -> None:
    config, (warning,) = loaded({variable: "s3cret"})
    assert config == Config()
    assert warning.startswith(f"{variable} is no setting and is ignored; the nearest is EXNESS_")
    assert warning.split()[-1] in VARIABLES


def test_names_of_others_beside_ours_are_not_looked_at() -> None:
    assert loaded({"EXNESSY": "x", "exness_server_port": "x", "HOME": "/", "PORT": "x"}) == (Config(), [])


def test_an_asset_that_only_the_environment_names_needs_all_that_an_asset_needs() -> None:
    doge = {"EXNESS_ASSETS_DOGE_NAME": "Dogecoin", "EXNESS_ASSETS_DOGE_SYMBOL": "DOGE_USDC"}
    config, warnings = loaded(doge)
    assert config == Config()
    assert warnings == [
        f"{variable} is ignored: there is no asset DOGE, and a new one must have the keys name, decimals, symbol"
        for variable in doge
    ]
    config, warnings = loaded(doge | {"EXNESS_ASSETS_DOGE_DECIMALS": "8"})
    assert (config.assets["DOGE"], warnings) == (AssetConfig("Dogecoin", 8, "DOGE_USDC"), [])
    Path("config.toml").write_text("[assets.DOGE]\ndecimals = 8\n", encoding="utf-8")
    config, warnings = loaded(doge)
    assert (config.assets["DOGE"], warnings) == (AssetConfig("Dogecoin", 8, "DOGE_USDC"), [])


PIECES = [
    "SERVER",
    "PORT",
    "ASSETS",
    "SOL",
    "DOGE",
    "USDC",
    "NAME",
    "SERVICE",
    "TCP",
    "8002",
    "",
    "_",
    "é",
    "\n",
    "\udc80",
]
NAMES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("_".join),
    st.text(st.characters(exclude_characters="\0=", codec=None), max_size=30),
    st.just("A" * 200_000),
)


@examples(60)
@given(st.sets(NAMES, max_size=40), st.sampled_from([*LINKS, "", "s3cret", "/a/b"]))
def test_no_name_that_is_no_setting_keeps_anything_from_starting(names: set[str], value: str) -> None:
    environ = {f"EXNESS_{name}": value for name in names if f"EXNESS_{name}".upper() not in VARIABLES}
    config, warnings = loaded(environ)
    assert config == Config()
    assert len(warnings) == min(len(environ), MOST_WARNINGS + 1)
    for warning in warnings:
        assert len(warning) < 300
        assert warning.isprintable()
        assert "s3cret" not in warning

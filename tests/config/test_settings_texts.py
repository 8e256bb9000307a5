"""Settings as text: what is printed agrees with the definitions, is read again as the same, and shows no secret."""

import argparse
import inspect
from pathlib import Path

import pytest

from exness.config import Config, ConfigError, UsageError, load, resolve
from exness.config.definition import _docstrings, explanations
from exness.config.flags import Help, add_flags, flags_of
from exness.config.kinds import BOOLEAN, ListOf
from exness.config.load import MOST_PROBLEMS
from exness.config.schema import ROWS, ServerConfig
from exness.config.texts import default_file, effective_file, effective_table, markdown

ROOT = Path(__file__).parents[2]

ODD = """
[server]
host = "a\\"b\\\\c é"
trusted_proxies = ["10.0.0.0/8", "::1"]
public_url = "https://É.example/x/"
production = true
[storage]
data_dir = "/tmp/\\u007f\\n"
snapshot_interval_s = 1e-7
[feed]
seed = 123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890
max_spread = 0.0001
speed = "max"
replay_from = 2024-08-05T06:00:00.000015Z
replay_files = ["a,b.csv"]
orders = "~/orders.csv"
[trading]
initial_balance = 123456789012.345678
execution = "touch"
max_notional_per_account = 0.000001
[rates]
taker = 0.0005
maintenance = [{ floor = 0, rate = "0.004", max_leverage = 125 }, { floor = 50_000.5, rate = 0.005 }]
funding_rate = -0.0001
funding_rate_short = 0.0002
[rates.SOL]
maintenance = 0.00000001
funding_rate = "feed"
funding_rate_short = ""
[assets.SOL]
max_leverage = 40.9
[assets.ETH]
enabled = false
[assets.DOGE]
name = "Doge [coin] # 1"
decimals = 8
symbol = "DOGE_USDC"
[assets.OLD]
enabled = false
"""
"""Values that are easily written wrong."""


def read(text: str) -> Config:
    Path("read.toml").write_text(text, encoding="utf-8")
    return load(Path("read.toml"), {}, {})


# What the project ships


def test_the_shipped_config_toml_is_what_the_definitions_say() -> None:
    assert (ROOT / "config.toml").read_text(encoding="utf-8") == default_file() + "\n", "run `make settings`"


def test_the_documented_settings_are_what_the_definitions_say() -> None:
    assert (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8") == markdown() + "\n", "run `make settings`"


def test_every_setting_is_explained_in_sentences() -> None:
    abouts = {f"{section}.{key}": row.about for section, rows in ROWS.items() for key, row in rows.items()}
    assert [name for name, about in abouts.items() if not about.endswith(".")] == []


def test_every_row_of_the_table_of_settings_has_its_four_cells() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(rows) for rows in ROWS.values())
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_without_its_source_a_setting_has_no_explanation_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_source(module: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "getsource", no_source)
    _docstrings.cache_clear()
    try:
        assert explanations(ServerConfig) == {}
    finally:
        _docstrings.cache_clear()


# What a process prints


def test_the_printed_settings_read_again_are_the_same() -> None:
    Path("mine.toml").write_text(ODD, encoding="utf-8")
    resolved = resolve(Path("mine.toml"), {}, {})
    assert list(resolved.config.assets) == ["SOL", "BTC", "DOGE"]
    assert read(effective_file(resolved)) == resolved.config
    assert resolve(Path("read.toml"), {}, {}).tables == resolved.tables, "disabled assets are there too"


def test_each_printed_setting_says_where_it_comes_from() -> None:
    Path("config.toml").write_text("[server]\nport = 1\nmax_connections = 2\nhost = 'h'\n", encoding="utf-8")
    environ = {"EXNESS_SERVER_PORT": "2", "EXNESS_SERVER_MAX_CONNECTIONS": "3", "EXNESS_ASSETS_ETH_ENABLED": "false"}
    resolved = resolve(None, environ, {"server.port": "4", "feed.seed": None})
    expected = [
        ("server.port", "4", "command line"),
        ("server.max_connections", "3", "EXNESS_SERVER_MAX_CONNECTIONS"),
        ("server.host", '"h"', "config.toml"),
        ("assets.ETH.enabled", "false", "EXNESS_ASSETS_ETH_ENABLED"),
        ("feed.seed", "0", "default"),
    ]
    lines = effective_file(resolved).splitlines()
    rows = [line.split(maxsplit=2) for line in effective_table(resolved).splitlines()]
    assert len(rows) == sum(len(table) for table in resolved.tables.values())
    for name, value, origin in expected:
        assert f"{name.split('.')[-1]} = {value}  # {origin}" in lines
        assert [name, value, origin] in rows
    origins = {line.partition("  # ")[2] for line in lines} - {""}
    assert origins == {"default", "config.toml", "command line", *environ} - {"EXNESS_SERVER_PORT"}


def test_a_file_with_a_strange_name_does_not_break_the_printed_settings() -> None:
    path = Path("a\nport = 9.toml")
    path.write_text("[server]\nport = 8\n", encoding="utf-8")
    resolved = resolve(path, {}, {})
    assert read(effective_file(resolved)) == resolved.config
    assert len(effective_table(resolved).splitlines()) == sum(len(table) for table in resolved.tables.values())


def test_no_secret_is_printed() -> None:
    secrets = {
        "EXNESS_AUTH_SECRET": "s3cret" * 6,
        "EXNESS_AUTH_PREVIOUS_SECRET": "s3cret" * 7,
        "EXNESS_AUTH_RESEND_API_KEY": "s3cret",
        "EXNESS_AUTH_SMTP_URL": "smtp://u:s3cret@h",
    }
    resolved = resolve(None, secrets, {})
    assert "s3cret" not in effective_table(resolved)
    printed = effective_file(resolved)
    assert "s3cret" not in printed
    assert [line for line in printed.splitlines() if "<hidden>" in line] == [
        f"# {variable.removeprefix('EXNESS_AUTH_').lower()} = <hidden>  # {variable}" for variable in secrets
    ]
    assert read(printed) == Config(), "a hidden value is not taken for one"


# All at once


def test_all_bad_settings_are_reported_at_once() -> None:
    Path("config.toml").write_text(
        "port = 1\n[server]\nprot = 1\nport = 'x'\n[log]\nlevel = 'loud'\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as refused:
        load(None, {"EXNESS_LOG_FORMAT": "xml", "EXNESS_SERVER_PORT": "8002"}, {})
    title, *problems = str(refused.value).split("\n  ")
    assert title == "4 settings cannot be used:"
    starts = ["config.toml: unknown setting port,", "config.toml: unknown setting server.prot,"]
    starts += ["config.toml: log.level must be ", "EXNESS_LOG_FORMAT: log.format must be "]
    assert [problem[: len(start)] for problem, start in zip(problems, starts, strict=True)] == starts
    assert type(refused.value) is ConfigError


def test_a_bad_flag_among_bad_settings_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"^2 settings cannot be used:\n  EXNESS_LOG_FORMAT: .*\n  command line: .*"):
        load(None, {"EXNESS_LOG_FORMAT": "xml"}, {"server.port": "x"})


@pytest.mark.parametrize("line", ["a{} = 1\n", "server.a{} = 1\n", "assets.A{}.decimals = 1\n"])
def test_the_number_of_reported_settings_has_a_bound(line: str) -> None:
    Path("config.toml").write_text("".join(line.format(number) for number in range(10_000)), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(None, {}, {})
    title, *problems = str(refused.value).split("\n  ")
    assert (title, len(problems)) == ("20 settings or more cannot be used:", MOST_PROBLEMS)


def test_all_that_does_not_fit_together_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read("feed.source = 'replay'\nassets.ETH.symbol = 'SOL_USDC'\nassets.DOGE.decimals = 8\n")
    title, *problems = str(refused.value).split("\n  ")
    assert title == "3 settings cannot be used:"
    assert [problem.split()[0] for problem in problems] == [
        "assets.ETH.symbol",
        "assets.DOGE.name",
        "feed.replay_files",
    ]


# Flags

FLAGS = {f"{section}.{key}": row for section, rows in ROWS.items() for key, row in rows.items() if row.flag}


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_sets_its_setting_and_explains_it(name: str) -> None:
    row = FLAGS[name]
    assert row.flag is not None
    parser = argparse.ArgumentParser(formatter_class=Help)
    add_flags(parser)
    value = row.kind.write(row.default).strip('"[]') or (row.kind.choices or ["2024-08-05"])[-1]
    given = [row.flag.name] if row.kind is BOOLEAN else [row.flag.name, value]
    flags = {each: value for each, value in flags_of(parser.parse_args(given)).items() if value is not None}
    expected: object = True if row.kind is BOOLEAN else [value] if isinstance(row.kind, ListOf) else value
    assert flags == {name: expected}
    resolved = resolve(None, {}, flags)
    given_by = {path: where for path, where in resolved.origins.items() if not where.startswith("profile ")}
    assert given_by == {tuple(name.split(".")): "command line"}
    told = " ".join(parser.format_help().split())
    assert row.flag.name in told
    assert row.about.split(". ")[0].removesuffix(".")[1:20] in told


def test_a_flag_that_is_not_given_says_nothing() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, "server.port")
    assert set(flags_of(parser.parse_args([])).values()) == {None}
    with pytest.raises(SystemExit):
        parser.parse_args(["--host", "x"])

"""Settings: what is read from where, and every way in which they can be wrong."""

import gzip
import ipaddress
import itertools
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exness.app.build import make_fapi
from exness.config import Config, ConfigError, UsageError, load
from exness.config.kinds import scaled
from exness.config.schema import DEFAULT_ASSETS, ROWS, SECTIONS, AssetConfig
from exness.core.instruments import Asset, Execution
from tests.support.shipped import with_keys_of_profiles

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config.toml"

SERVER_KEYS = (
    "host, port, frontend_url, allowed_origins, trusted_proxies, metrics_networks, public_url, max_body_bytes, "
    "max_connections, header_timeout_s, body_timeout_s, idle_timeout_s, shutdown_timeout_s, production, plain_http"
)
ENGINE_KEYS = "inbox_size, inbox_wait_s, tick_queue_per_asset, slice_commands, slice_liquidations, subscriber_queue"
SECTION_NAMES = (
    "server, storage, engine, feed, trading, rates, auth, limits, stream, fapi, leaderboard, dev, deploy, log, assets"
)
AMOUNT = "an amount of USDC from 0 to 1000000000000 with at most 6 decimals"
LIMIT = "an amount of USDC greater than 0 and up to 1000000000000 with at most 6 decimals"
HTTP_URL = "a URL that begins with http:// or https://"
PAGE_URL = HTTP_URL + ' and names no user, or "" for our own page'
BASE_URL = HTTP_URL + ' and has no user, query or fragment, or "" for none'
ORIGINS = "a list in which each item is an origin like http://localhost:3000, without a path, a user or a wildcard"
NETWORKS = "a list in which each item is an IP address or a network like 10.0.0.0/8"
UP_TO_A_DAY = "a number greater than 0 and at most 86400"
MAIL_ADDRESS = "a mail address like no-reply@example.com or Name <no-reply@example.com>"
RATE = 'a rate like "100/second" or "20/minute;500/hour"'
LEVERAGE = "a leverage from 1 to 100 with at most 2 decimals"
NEW_ASSET = "a new asset must have the keys name, decimals and symbol"
ASSET_NAME = "an asset's name must be 1 to 10 uppercase letters and digits like [assets.SOL]"
ASSET_KEYS = (
    "name, decimals, symbol, image_url, max_leverage, quantity_decimals, jump_share, jump_confirmations, volatility, "
    "enabled, fapi_tick, fapi_step, fapi_notional"
)
NO_TOML = "the config file is not valid TOML"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths stand in the messages, and no config.toml is around unless a test writes one."""
    monkeypatch.chdir(tmp_path)


def from_file(text: str) -> Config:
    Path("config.toml").write_text(text, encoding="utf-8")
    return load(Path("config.toml"), {}, {})


def from_env(**variables: str) -> Config:
    return load(None, variables, {})


def value_at(config: Config, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    return str(caught.value)


# Sources


def test_without_any_source_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Config()


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    assert load(SHIPPED, {}, {}) == Config()
    Path("whole.toml").write_text(with_keys_of_profiles(SHIPPED.read_text(encoding="utf-8")), encoding="utf-8")
    assert load(Path("whole.toml"), {}, {}) == Config()


def test_the_shipped_file_has_every_key_and_explains_it() -> None:
    text = with_keys_of_profiles(SHIPPED.read_text(encoding="utf-8"))
    parsed = tomllib.loads(text)
    assets = parsed.pop("assets")
    assert {section: list(table) for section, table in parsed.items()} == {
        section: list(struct.__struct_fields__) for section, struct in SECTIONS.items()
    }
    assert {name: list(table) for name, table in assets.items()} == {
        name: list(AssetConfig.__struct_fields__) for name in DEFAULT_ASSETS
    }
    lines = text.split("[assets.ETH]")[0].splitlines()
    keys_and_lines_above = [(line, above) for above, line in itertools.pairwise(lines) if re.match(r"\w+ = ", line)]
    assert len(keys_and_lines_above) == sum(len(rules) for rules in ROWS.values())
    assert [line for line, above in keys_and_lines_above if not above.startswith("#")] == []


def test_every_key_has_a_rule() -> None:
    structs: dict[str, type[msgspec.Struct]] = {**SECTIONS, "assets": AssetConfig}
    assert {section: tuple(rules) for section, rules in ROWS.items()} == {
        section: struct.__struct_fields__ for section, struct in structs.items()
    }


def test_without_a_path_config_toml_of_the_folder_is_read() -> None:
    Path("config.toml").write_text("[server]\nport = 9000\n")
    assert load(None, {}, {}).server.port == 9000


def test_the_environment_goes_before_the_file_and_flags_before_both() -> None:
    Path("my.toml").write_text("[server]\nport = 1\nmax_body_bytes = 1\nhost = 'file'\n")
    environ = {"EXNESS_SERVER_PORT": "2", "EXNESS_SERVER_MAX_BODY_BYTES": "2", "HOME": "/", "EXNESSY": "x"}
    server = load(Path("my.toml"), environ, {"server.port": 3, "server.host": None}).server
    assert (server.port, server.max_body_bytes, server.host) == (3, 2, "file")


def test_a_bad_value_that_a_later_source_replaces_is_not_read() -> None:
    Path("config.toml").write_text("[server]\nport = true\n")
    assert load(None, {"EXNESS_SERVER_PORT": "2"}, {}).server.port == 2
    assert load(None, {"EXNESS_SERVER_PORT": "http"}, {"server.port": 3}).server.port == 3
    message = error_of(lambda: load(None, {"EXNESS_SERVER_PORT": "http"}, {}))
    assert message == 'EXNESS_SERVER_PORT: server.port must be an integer from 0 to 65535, not "http"'
    message = error_of(lambda: load(None, {}, {}))
    assert message == "config.toml: server.port must be an integer from 0 to 65535, not true"


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    assert from_file("\ufeff[server]\nport = 9000\n").server.port == 9000


def test_an_empty_section_changes_nothing() -> None:
    assert from_file("[server]\n[assets]\n[assets.SOL]\n") == Config()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().server.port = 1  # type: ignore[misc]


# Values


@pytest.mark.parametrize(
    ("name", "toml", "text", "expected"),
    [
        ("server.port", "0", "0", 0),
        ("server.port", "65_535", " 65535 ", 65535),
        ("server.production", "true", "TRUE", True),
        (
            "server.allowed_origins",
            '["https://A.example", "http://b:1"]',
            "https://A.example, http://b:1",
            ("https://a.example", "http://b:1"),
        ),
        ("server.allowed_origins", "[]", "", ()),
        ("server.allowed_origins", '["https://a:443/"]', "https://a:443/", ("https://a",)),
        ("server.frontend_url", '"http://localhost:3000"', "http://localhost:3000", "http://localhost:3000"),
        ("server.frontend_url", '"https://É.example/#/ü"', "https://É.example/#/ü", "https://xn--9ca.example/#/%C3%BC"),
        (
            "server.public_url",
            '"HTTPS://Example.com:443/exness/"',
            "HTTPS://Example.com:443/exness/",
            "https://example.com/exness",
        ),
        ("server.public_url", '"http://h/"', "http://h/", "http://h"),
        ("server.public_url", '""', "", ""),
        (
            "server.trusted_proxies",
            '["10.0.0.0/8", "::1"]',
            "10.0.0.0/8,::1",
            (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")),
        ),
        ("storage.data_dir", '"/var/lib/exness"', "/var/lib/exness", Path("/var/lib/exness")),
        ("storage.acknowledge", '"memory"', "memory", "memory"),
        ("storage.snapshot_interval_s", "5", "5", 5.0),
        ("storage.snapshot_interval_s", "1_0.5", "10.5", 10.5),
        ("storage.snapshot_interval_s", "1e1", "1e1", 10.0),
        ("feed.replay_files", '["a.jsonl", "b, c"]', None, (Path("a.jsonl"), Path("b, c"))),
        ("feed.replay_files", '["a", "b"]', "a,b", (Path("a"), Path("b"))),
        ("trading.initial_balance", "0", "0", 0),
        ("trading.initial_balance", "12", "12", 12_000_000),
        ("trading.initial_balance", "12.5", "12.5", 12_500_000),
        ("trading.initial_balance", '"12.50"', "12.50", 12_500_000),
        ("trading.initial_balance", "5e3", "5e3", 5_000_000_000),
        ("trading.initial_balance", "123456789012.345678", "123456789012.345678", 123_456_789_012_345_678),
        ("trading.initial_balance", "1_000.000_001", "1000.000001", 1_000_000_001),
        ("trading.max_notional_per_account", "0.000001", "0.000001", 1),
        ("trading.max_open_interest_per_asset", "1_000_000_000_000", "1e12", 10**18),
        ("trading.execution", '"touch"', "touch", Execution.TOUCH),
        ("auth.secret", f'"{"k" * 32}"', "k" * 32, "k" * 32),
        (
            "auth.smtp_url",
            '"smtps://u:p@mail.example:465"',
            "smtps://u:p@mail.example:465",
            "smtps://u:p@mail.example:465",
        ),
        ("auth.mail_from", '"a@b.example"', "a@b.example", "a@b.example"),
        ("limits.read_per_ip", '"20/minute;500/hour"', "20/minute;500/hour", "20/minute;500/hour"),
    ],
)
def test_a_value_is_read_alike_from_file_environment_and_flag(
    name: str, toml: str, text: str | None, expected: object
) -> None:
    section, key = name.split(".")
    read = [from_file(f"[{section}]\n{key} = {toml}\n")]
    if text is not None:
        read += [load(None, {f"EXNESS_{section}_{key}".upper(): text}, {}), load(None, {}, {name: text})]
    for config in read:
        value = value_at(config, name)
        assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("server.port", 0, 0),
        ("feed.speed", 2.5, 2.5),
        ("storage.data_dir", Path("elsewhere"), Path("elsewhere")),
        ("feed.replay_files", [Path("a,b"), "c"], (Path("a,b"), Path("c"))),
    ],
)
def test_a_flag_may_be_of_the_keys_own_type(name: str, value: object, expected: object) -> None:
    assert value_at(load(None, {}, {name: value}), name) == expected


@pytest.mark.parametrize(
    ("leverage", "expected"), [("1", 100), ("40.99", 4099), ('"40.9"', 4090), ("100.00", 10000), ("5e1", 5000)]
)
def test_max_leverage_is_read_to_hundredths(leverage: str, expected: int) -> None:
    assert from_file(f"[assets.SOL]\nmax_leverage = {leverage}\n").assets["SOL"].max_leverage == expected


@pytest.mark.parametrize(
    ("text", "decimals", "expected"), [("0.1", 1, 1), ("-1.5", 2, -150), ("0001", 0, 1), ("1e-2", 2, 1)]
)
def test_scaling_is_exact(text: str, decimals: int, expected: int) -> None:
    assert scaled(text, decimals) == expected


def test_a_home_folder_is_understood() -> None:
    assert from_env(EXNESS_STORAGE_DATA_DIR="~/exness").storage.data_dir == Path.home() / "exness"


# Refused values


@pytest.mark.parametrize(
    ("key", "value", "allowed", "shown"),
    [
        ("engine.inbox_size", '"many"', "an integer from 1 to 1000000000", '"many"'),
        ("engine.inbox_size", '"5"', "an integer from 1 to 1000000000", '"5"'),
        ("engine.inbox_size", "0", "an integer from 1 to 1000000000", "0"),
        ("engine.inbox_size", "true", "an integer from 1 to 1000000000", "true"),
        ("engine.inbox_size", "5.0", "an integer from 1 to 1000000000", "5.0"),
        ("engine.inbox_size", "[]", "an integer from 1 to 1000000000", "[]"),
        ("engine.inbox_size.x", "1", "an integer from 1 to 1000000000", "a section"),
        ("engine.inbox_size", "2026-01-31", "an integer from 1 to 1000000000", "2026-01-31"),
        ("engine.tick_queue_per_asset", "2", "an integer from 3 to 1000000000", "2"),
        ("server.port", "65536", "an integer from 0 to 65535", "65536"),
        ("server.port", "-1", "an integer from 0 to 65535", "-1"),
        ("server.port", f"0x{'f' * 5000}", "an integer from 0 to 65535", "a very large number"),
        ("server.production", "1", "true or false", "1"),
        ("server.production", '"true"', "true or false", '"true"'),
        ("server.host", '""', "a host name or IP address", '""'),
        ("server.host", "1.5", "a host name or IP address", "1.5"),
        ("server.host", '"a\\nb"', "a host name or IP address", '"a\\nb"'),
        ("server.frontend_url", '"localhost"', PAGE_URL, '"localhost"'),
        ("server.frontend_url", '"http://[::1"', PAGE_URL, '"http://[::1"'),
        ("server.frontend_url", '"http://h:99999"', PAGE_URL, '"http://h:99999"'),
        ("server.frontend_url", '"http://u@h"', PAGE_URL, '"http://u@h"'),
        ("server.public_url", '"http://h/?a=1"', BASE_URL, '"http://h/?a=1"'),
        ("server.public_url", '"http://h?"', BASE_URL, '"http://h?"'),
        ("server.public_url", '"h"', BASE_URL, '"h"'),
        ("server.allowed_origins", '"http://a"', ORIGINS, '"http://a"'),
        ("server.allowed_origins", '["http://a/b"]', ORIGINS, '["http://a/b"]'),
        ("server.allowed_origins", '["*"]', ORIGINS, '["*"]'),
        ("server.trusted_proxies", '["10.0.0.1/8"]', NETWORKS, '["10.0.0.1/8"]'),
        ("server.trusted_proxies", "[1]", NETWORKS, "[1]"),
        ("storage.data_dir", '""', "a path", '""'),
        ("storage.acknowledge", '"never"', '"durable" or "memory"', '"never"'),
        ("storage.snapshot_interval_s", "0", UP_TO_A_DAY, "0"),
        ("storage.snapshot_interval_s", "-1.5", UP_TO_A_DAY, "-1.5"),
        ("storage.snapshot_interval_s", "nan", UP_TO_A_DAY, "nan"),
        ("storage.snapshot_interval_s", "inf", UP_TO_A_DAY, "inf"),
        ("storage.snapshot_interval_s", "false", UP_TO_A_DAY, "false"),
        ("storage.snapshot_interval_s", '"20"', UP_TO_A_DAY, '"20"'),
        ("storage.snapshot_interval_s", "86400.5", UP_TO_A_DAY, "86400.5"),
        ("feed.speed", "1e-999", 'a number greater than 0, or "max"', "1e-999"),
        ("feed.speed", "1e999", 'a number greater than 0, or "max"', "1e999"),
        ("feed.speed", f"0x{'f' * 5000}", 'a number greater than 0, or "max"', "a very large number"),
        ("auth.link_minutes", "1441", "an integer from 1 to 1440", "1441"),
        ("feed.source", '"binance"', '"simulated", "backpack", "replay" or "manual"', '"binance"'),
        ("feed.url", '"https://ws.example"', "a URL that begins with ws:// or wss://", '"https://ws.example"'),
        ("feed.seed", "-1", "an integer of at least 0", "-1"),
        ("feed.ticks_per_s", "1001", "a number greater than 0 and at most 1000", "1001"),
        ("trading.initial_balance", "-1", AMOUNT, "-1"),
        ("trading.initial_balance", "0.0000001", AMOUNT, "0.0000001"),
        ("trading.initial_balance", "1.0000000", AMOUNT, "1.0000000"),
        ("trading.initial_balance", "1e-7", AMOUNT, "1e-7"),
        ("trading.initial_balance", "1e13", AMOUNT, "1e13"),
        ("trading.initial_balance", "1e99999999", AMOUNT, "1e99999999"),
        ("trading.initial_balance", "nan", AMOUNT, "nan"),
        ("trading.initial_balance", "-inf", AMOUNT, "-inf"),
        ("trading.initial_balance", "true", AMOUNT, "true"),
        ("trading.initial_balance", '"5,000"', AMOUNT, '"5,000"'),
        ("trading.initial_balance", '"٥"', AMOUNT, '"٥"'),
        ("trading.max_notional_per_account", "0", LIMIT, "0"),
        ("trading.max_open_interest_per_asset", '""', LIMIT, '""'),
        ("trading.execution", '"MID"', '"mid" or "touch"', '"MID"'),
        ("auth.session_days", "0", "an integer from 1 to 3650", "0"),
        ("auth.mail_from", '"nobody"', MAIL_ADDRESS, '"nobody"'),
        ("limits.trade_per_ip", '"fast"', RATE, '"fast"'),
        ("limits.trade_per_ip", '"0/second"', RATE, '"0/second"'),
        ("limits.trade_per_ip", '""', RATE, '""'),
        ("log.level", '"loud"', '"debug", "info", "warning" or "error"', '"loud"'),
        ("log.level", f'"{"x" * 100}"', '"debug", "info", "warning" or "error"', f'"{"x" * 59}...'),
        ("assets.SOL.decimals", "13", "an integer from 0 to 12", "13"),
        ("assets.SOL.max_leverage", "100.01", LEVERAGE, "100.01"),
        ("assets.SOL.max_leverage", "1.005", LEVERAGE, "1.005"),
        ("assets.SOL.name", '" "', "a name on one line", '" "'),
        ("assets.SOL.image_url", '"logo.png"', HTTP_URL + ', or "" for none', '"logo.png"'),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_the_keys_full_name(
    key: str, value: str, allowed: str, shown: str
) -> None:
    message = error_of(lambda: from_file(f"{key} = {value}\n"))
    assert message == f"config.toml: {key.removesuffix('.x')} must be {allowed}, not {shown}"


COUNTS = [
    (f"{section}.{key}", int(bounds[1]))
    for section, rows in ROWS.items()
    for key, row in rows.items()
    if section != "assets" and (bounds := re.fullmatch(r"an integer from \d+ to (\d+)", row.kind.allowed))
]
SUMS = ["trading.initial_balance", "trading.max_notional_per_account", "trading.max_open_interest_per_asset"]


@pytest.mark.parametrize(("name", "most"), [*COUNTS, *((name, 10**12) for name in SUMS)])
@pytest.mark.parametrize("beyond", [1, 2**31, 2**63, 10**40])
def test_every_number_has_a_ceiling_and_is_refused_above_it(name: str, most: int, beyond: int) -> None:
    """Not where it would overflow later: in SQLite, in the system, in a library."""
    assert value_at(from_file(f"{name} = {most}"), name) in (most, most * 10**6)
    message = error_of(lambda: from_file(f"{name} = {most + beyond}"))
    assert re.fullmatch(rf"config.toml: {name} must be an .* to {most}( with at most 6 decimals)?, not .*", message)


def test_a_seed_is_no_count_and_has_no_end() -> None:
    assert from_file(f"feed.seed = {10**40}").feed.seed == 10**40


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("EXNESS_ENGINE_INBOX_SIZE", "many", 'engine.inbox_size must be an integer from 1 to 1000000000, not "many"'),
        ("EXNESS_ENGINE_INBOX_SIZE", "", 'engine.inbox_size must be an integer from 1 to 1000000000, not ""'),
        ("EXNESS_ENGINE_INBOX_SIZE", "1_000", 'engine.inbox_size must be an integer from 1 to 1000000000, not "1_000"'),
        ("EXNESS_SERVER_PRODUCTION", "yes", 'server.production must be true or false, not "yes"'),
        ("EXNESS_FEED_SPEED", "nan", 'feed.speed must be a number greater than 0, or "max", not "nan"'),
        ("EXNESS_TRADING_INITIAL_BALANCE", "1e-7", f'trading.initial_balance must be {AMOUNT}, not "1e-7"'),
        ("EXNESS_ASSETS_SOL_DECIMALS", "-1", 'assets.SOL.decimals must be an integer from 0 to 12, not "-1"'),
    ],
)
def test_an_error_in_the_environment_names_the_variable(variable: str, value: str, problem: str) -> None:
    assert error_of(lambda: load(None, {variable: value}, {})) == f"{variable}: {problem}"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("server.port", 65536, "server.port must be an integer from 0 to 65535, not 65536"),
        ("server.port", "http", 'server.port must be an integer from 0 to 65535, not "http"'),
        ("trading.initial_balance", 0.1, f"trading.initial_balance must be {AMOUNT}, not 0.1"),
        ("server.prot", 1, f"unknown setting server.prot, the nearest is port; the keys of [server] are {SERVER_KEYS}"),
    ],
)
def test_an_error_in_a_flag_says_that_it_is_on_the_command_line(name: str, value: object, problem: str) -> None:
    assert error_of(lambda: load(None, {}, {name: value})) == f"command line: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "engine.inbox_sise = 1",
            f"unknown setting engine.inbox_sise, the nearest is inbox_size; the keys of [engine] are {ENGINE_KEYS}",
        ),
        ("[engin]\ninbox_size = 1", f"unknown section engin, the nearest is engine; the sections are {SECTION_NAMES}"),
        ("[engin]", f"unknown section engin, the nearest is engine; the sections are {SECTION_NAMES}"),
        (
            "port = 1",
            f"unknown setting port, the nearest is server.port; settings stand in the sections {SECTION_NAMES}",
        ),
        (
            '"po\\nrt" = 1',
            f'unknown setting "po\\nrt", the nearest is server.port; settings stand in the sections {SECTION_NAMES}',
        ),
        ('["dev\\n"]', f'unknown section "dev\\n", the nearest is dev; the sections are {SECTION_NAMES}'),
        ("server = 5", "server must be a section [server] with keys, not 5"),
        ("assets = 5", "assets must be a section [assets] with keys, not 5"),
        ('assets.SOL = "x"', 'assets.SOL must be a section [assets.SOL] with keys, not "x"'),
        ("[[server]]\nport = 1", "server must be a section [server] with keys, not [a section]"),
        (
            "assets.SOL.symbl = 1",
            f"unknown setting assets.SOL.symbl, the nearest is symbol; the keys of [assets.SOL] are {ASSET_KEYS}",
        ),
        ("[assets.sol]", f'{ASSET_NAME}, not "sol"'),
        ("assets.ABCDEFGHIJK.decimals = 1", f'{ASSET_NAME}, not "ABCDEFGHIJK"'),
        ("assets.USDC.decimals = 1", "USDC is the currency of every account and cannot be an asset"),
    ],
)
def test_an_unknown_or_misplaced_setting_is_refused_with_what_there_is(text: str, problem: str) -> None:
    assert error_of(lambda: from_file(text)) == f"config.toml: {problem}"


# The file itself


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"port 8002", f"{NO_TOML} (Expected '=' after a key in a key/value pair (at line 1, column 6))"),
        (b"[server]\nport = 1\nport = 2\n", f"{NO_TOML} (Cannot overwrite a value (at line 3, column 9))"),
        (b"a = " + b"[" * 100_000, f"{NO_TOML} (nested too deeply)"),
        (b"[server]\nhost = '\xff'", "the config file is not UTF-8 text (byte 0xff at line 2, column 9)"),
        (b"\xef\xbb\xbf#\r\n# \xc3\xa4\r\xff", "the config file is not UTF-8 text (byte 0xff at line 3, column 1)"),
        ("[server]".encode("utf-16"), "the config file is not UTF-8 text: it is UTF-16"),
        (gzip.compress(b"[server]", mtime=0), "the config file is not UTF-8 text: it is a gzip file"),
        (b"#" * (2**20 + 1), "the config file is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_in_one_sentence(content: bytes, problem: str) -> None:
    Path("config.toml").write_bytes(content)
    assert error_of(lambda: load(None, {}, {})) == f"config.toml: {problem}"


def test_a_number_too_long_to_be_read_is_one_sentence_too() -> None:
    message = error_of(lambda: from_file(f"server.port = {'9' * 5000}"))
    assert message.startswith(f"config.toml: {NO_TOML} (Exceeds the limit")
    assert "\n" not in message


def test_a_missing_file_is_refused_when_it_was_asked_for() -> None:
    assert error_of(lambda: load(Path("my.toml"), {}, {})) == "my.toml: there is no such config file"


def test_a_folder_is_no_config_file() -> None:
    Path("my.toml").mkdir()
    message = error_of(lambda: load(Path("my.toml"), {}, {}))
    assert message == "my.toml: the config file cannot be read (Is a directory)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused() -> None:
    Path("config.toml").touch(mode=0)
    message = error_of(lambda: load(None, {}, {}))
    assert message == "config.toml: the config file cannot be read (Permission denied)"


# Assets


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


# Secrets


def test_secrets_do_not_show_in_a_repr() -> None:
    config = from_env(
        EXNESS_AUTH_SECRET="s3cret" * 6,
        EXNESS_AUTH_PREVIOUS_SECRET="s3cret" * 7,
        EXNESS_AUTH_RESEND_API_KEY="re_123",
        EXNESS_AUTH_SMTP_URL="smtp://u:pass@h",
    )
    for shown in (repr(config), str(config.auth)):
        assert not any(secret in shown for secret in ("s3cret", "re_123", "pass"))
    assert repr(config.auth) == (
        "AuthConfig(secret=<hidden>, previous_secret=<hidden>, session_days=7, link_minutes=5, "
        "resend_api_key=<hidden>, smtp_url=<hidden>, mail_from='exness <no-reply@localhost>', session_cache=10000)"
    )


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        (
            "EXNESS_AUTH_SECRET",
            "s3cret",
            'auth.secret must be text of at least 32 characters, or "" to have one made at first start',
        ),
        ("EXNESS_AUTH_RESEND_API_KEY", "s3cret\n", "auth.resend_api_key must be text on one line"),
        (
            "EXNESS_AUTH_SMTP_URL",
            "http://u:s3cret@h",
            'auth.smtp_url must be a URL that begins with smtp:// or smtps://, or "" for none',
        ),
    ],
)
def test_a_refused_secret_does_not_show_in_the_error(variable: str, value: str, problem: str) -> None:
    assert error_of(lambda: load(None, {variable: value}, {})) == f"{variable}: {problem}"


def test_every_section_is_frozen() -> None:
    structs: list[type[msgspec.Struct]] = [Config, AssetConfig, *SECTIONS.values()]
    assert all(struct.__struct_config__.frozen for struct in structs)


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

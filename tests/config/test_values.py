"""Values of settings: how each is read, and every way in which one can be wrong."""

import ipaddress
import re
from pathlib import Path

import pytest

from exness.config import load
from exness.config.kinds import scaled
from exness.config.schema import ROWS
from exness.core.instruments import Execution
from tests.config.loading import error_of, from_env, from_file, value_at

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
ASSET_NAME = "an asset's name must be 1 to 10 uppercase letters and digits like [assets.SOL]"
ASSET_KEYS = (
    "name, decimals, symbol, image_url, max_leverage, quantity_decimals, jump_share, jump_confirmations, volatility, "
    "enabled, fapi_tick, fapi_step, fapi_notional"
)


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

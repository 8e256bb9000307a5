"""Where settings come from: what goes before what, and a file that is none."""

import gzip
import itertools
import os
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from exness.config import Config, load
from exness.config.schema import DEFAULT_ASSETS, ROWS, SECTIONS, AssetConfig
from tests.config.loading import error_of, from_file
from tests.support.shipped import with_keys_of_profiles

SHIPPED = Path(__file__).parents[2] / "config.toml"
NO_TOML = "the config file is not valid TOML"


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


def test_every_section_is_frozen() -> None:
    structs: list[type[msgspec.Struct]] = [Config, AssetConfig, *SECTIONS.values()]
    assert all(struct.__struct_config__.frozen for struct in structs)


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

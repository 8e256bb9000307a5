"""From the settings to a feed with its guard, script and options."""

import math
from pathlib import Path

import pytest

from exness.app.build import make_guard, make_source
from exness.config import Config, ConfigError, load
from exness.feeds.decode import Quote, Reason
from exness.feeds.guard import Guard
from exness.feeds.recording import QUOTE_HEADER
from exness.feeds.replay import ReplayFeed
from exness.feeds.simulated import SimulatedFeed
from tests.feeds.helpers import T0_US
from tests.feeds.ticks import all_ticks


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reasons(guard: Guard, *prices: int, spread: int = 0) -> list[Reason | None]:
    quotes = (Quote("SOL_USDC", price, price + spread, number, 0) for number, price in enumerate(prices))
    return [guard.take(quote, 1).reason for quote in quotes]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"feed.source": "backpack"}, [None, *[Reason.JUMP] * 3, None]),
        ({"feed.source": "simulated"}, [None] * 5),
        ({"feed.source": "simulated", "feed.jump_guard": "all"}, [None, *[Reason.JUMP] * 3, None]),
        ({"feed.source": "backpack", "assets.SOL.jump_share": "0"}, [None] * 5),
        ({"feed.source": "backpack", "assets.SOL.jump_confirmations": "1"}, [None, Reason.JUMP, None, None, None]),
        ({"feed.source": "backpack", "assets.ETH.jump_share": "0"}, [None, *[Reason.JUMP] * 3, None]),
    ],
)
def test_jumps_of_a_live_venue_want_confirmation_and_others_when_told_so(
    flags: dict[str, str], expected: list[Reason | None]
) -> None:
    assert reasons(make_guard(load(None, {}, flags)), 1000, 500, 500, 500, 500) == expected


def test_the_widest_spread_is_a_setting_of_every_feed() -> None:
    assert reasons(make_guard(load(None, {}, {})), 100_000, spread=11_000) == [Reason.SPREAD_TOO_WIDE]
    assert reasons(make_guard(load(None, {}, {"feed.max_spread": "0"})), 100_000, spread=11_000) == [None]


def test_a_scenario_and_each_assets_volatility_reach_the_simulated_feed() -> None:
    feed = make_source(load(None, {}, {"feed.scenario": "crash", "assets.SOL.volatility": "2.5"})).feed
    assert isinstance(feed, SimulatedFeed)
    assert feed.describe() == "SIMULATED prices, scenario crash, a random walk with seed 0: no real market"


def test_full_speed_is_a_word(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[feed]\nspeed = "max"\n')
    assert load(None, {}, {}).feed.speed == math.inf
    assert load(None, {"EXNESS_FEED_SPEED": "2"}, {}).feed.speed == 2
    assert load(None, {"EXNESS_FEED_SPEED": "2"}, {"feed.speed": "max"}).feed.speed == math.inf


def test_the_options_of_a_replay_reach_it(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text(f"{QUOTE_HEADER}\n{T0_US},SOL_USDC,1,1\n{T0_US + 20},SOL_USDC,2,2\n")
    flags = {
        "feed.source": "replay",
        "feed.replay_files": ["q.csv"],
        "feed.replay_from": "2024-08-05T00:00:00.000015Z",
        "feed.speed": "max",
        "feed.loop": True,
    }
    source = make_source(load(None, {}, flags))
    feed = source.conductor
    assert isinstance(feed, ReplayFeed)
    assert (source.feed, source.recording, source.control) == (None, feed, None), "it owns the time"
    assert [tick[0] for tick in all_ticks(feed)] == [T0_US + 20]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("feed.scenario", "storm", '"stale", "crossed" or "flapping"'),
        ("feed.max_spread", "1.1", "a share from 0 to 1 with at most 4 decimals"),
        ("feed.jump_guard", "never", '"live" or "all"'),
        (
            "feed.replay_from",
            "noon",
            "a time from 2005-01-01 to 2100-01-01 like 2024-08-05T06:00:00Z, or in microseconds",
        ),
        ("assets.SOL.jump_share", "0.00001", "a share from 0 to 1 with at most 4 decimals"),
        ("assets.SOL.volatility", "-1", "a factor from 0 to 100 with at most 2 decimals"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {}, {name: value})
    assert f"{name} must be " in str(error.value)
    assert allowed in str(error.value)


def given(source: str, key: str, text: str) -> Config:
    """The settings when `source` says `text` of a key of [feed]."""
    if source == "file":
        Path("config.toml").write_text(f'[feed]\n{key} = "{text}"\n')
        return load(None, {}, {})
    if source == "environment":
        return load(None, {f"EXNESS_FEED_{key.upper()}": text}, {})
    return load(None, {}, {f"feed.{key}": text})


SOURCES = ["file", "environment", "flag"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", ["replay_from", "replay_to"])
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1722816120000", ", which looks like milliseconds"),
        ("1722816120", ", which looks like seconds"),
        ("1722816120000000000", ", which looks like nanoseconds"),
        ("28713602", ", which looks like minutes"),
        ("20240805", ", which looks like a date without dashes"),
        ("1722816120.0", ", which looks like seconds"),
        ("172281612", ""),
        ("-1722816120000000", ""),
        ("1e15", ""),
        ("2024-W32-1", ""),
        ("1970-01-20T22:33:36Z", ""),
        ("2200-01-01", ""),
    ],
)
def test_a_time_of_another_unit_is_refused_wherever_it_stands(source: str, key: str, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        given(source, key, text)
    assert str(error.value).endswith(
        f"feed.{key} must be a time from 2005-01-01 to 2100-01-01 like 2024-08-05T06:00:00Z, "
        f'or in microseconds since the epoch, or "" for none, not "{text}"{hint}'
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("text", ["2024-08-05", "2024-08-05T00:00:00", "2024-08-05t02:00:00+02:00", str(T0_US)])
def test_a_time_of_ours_is_read_wherever_it_stands(source: str, text: str) -> None:
    assert given(source, "replay_from", text).feed.replay_from == T0_US


@pytest.mark.parametrize(
    "literal", ["2024-08-05", "2024-08-05T00:00:00Z", "2024-08-05T00:00:00", "2024-08-05 02:00:00+02:00", str(T0_US)]
)
def test_a_time_in_the_file_may_be_one_of_toml(literal: str) -> None:
    Path("config.toml").write_text(f"[feed]\nreplay_from = {literal}\n")
    assert load(None, {}, {}).feed.replay_from == T0_US


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ("1722816120", "1722816120, which looks like seconds"),
        ("1970-01-01", "1970-01-01"),
        ("07:32:00", "07:32:00"),
        ("1.7e15", "1.7e15"),
        ("true", "true"),
        ("[2024-08-05]", "[2024-08-05]"),
        (f"1{'0' * 4000}", "a very large number"),
    ],
)
def test_what_is_no_time_of_ours_in_the_file_is_refused(literal: str, shown: str) -> None:
    Path("config.toml").write_text(f"[feed]\nreplay_from = {literal}\n")
    with pytest.raises(ConfigError, match="must be a time from 2005-01-01 to 2100-01-01") as error:
        load(None, {}, {})
    assert str(error.value).endswith(f", not {shown}")

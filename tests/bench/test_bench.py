"""The harness itself: its arithmetic, its table, and every row once, so small that its figures mean nothing."""

from pathlib import Path

import msgspec
import pytest

from tests.bench.conditions import conditions
from tests.bench.figures import Figure, Round, figure, latencies_us, percentile, timed, unavailable
from tests.bench.http import http_figures
from tests.bench.roles import NAMES as ROLES
from tests.bench.rows import GROUPS, change, judged, row_of, value_of
from tests.bench.run import MEASURES, PREVIOUS, Report, main, measure, read, rounded, write
from tests.bench.running import Settings
from tests.bench.soak import GROWTH_BYTES, Minute, grown, soak
from tests.bench.table import number, table

TINY = Settings(
    rounds=1,
    seconds=0.1,
    read_seconds=0.1,
    connections=(1, 4),
    pairs=200,
    sizes=(200, 400),
    ticks=300,
    liquidations=(1, 5),
    frames=300,
    stream_seconds=0.8,
    cascades=2,
    clients=4,
    reconnect_rounds=1,
    cascade_trades=400,
    cascade_rounds=1,
    funded_trades=300,
    funding_rounds=1,
    cost_connections=4,
    spread_batches=2,
    snapshot_rounds=1,
    snapshot_trades=200,
    events=1_500,
    recovery_rounds=1,
    memory_trades=500,
    memory_accounts=500,
    memory_rounds=1,
    day_s=400,
    day_pairs=96,
    csv_trades=300,
    csv_rounds=1,
    fixture_tests=5,
    client_requests=10,
    pin=False,
)


# --- percentiles, ratios, medians -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_are_not_above(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_the_median_of_two_is_the_lower_one_and_of_one_that_one() -> None:
    assert (percentile([7, 3], 0.5), percentile([5], 0.99)) == (3, 5)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError):
        percentile([], 0.5)
    assert latencies_us([]) == {"n": 0}


def test_latencies_are_told_in_microseconds() -> None:
    shares = latencies_us([1_000, 2_000, 4_000_000])
    assert shares == {"n": 3, "p50": 2.0, "p99": 4000.0, "p99.9": 4000.0, "max": 4000.0}


def test_a_baseline_that_was_kept_from_its_core_is_told() -> None:
    """Seen when others used the machine: the load was starved, the baseline waited for it, and 0.2 became 0.6."""

    def side(server_cores: float) -> dict[str, float]:
        return {"rate": 1.0, "p50": 1.0, "p99": 1.0, "p99.9": 1.0, "cpu_us": 1.0, "server_cores": server_cores}

    idle, busy = [side(0.6)], [side(0.98)]
    rate, tail, cpu = http_figures("trades.64", {"exness": busy, "baseline": idle}, 64)
    assert (rate.doubtful, tail.doubtful, cpu.doubtful) == (True, True, False)
    assert "60%" in rate.note
    assert judged(rate) is None
    assert "?" in table([rate], {}).splitlines()[2].split()
    assert not any(each.doubtful for each in http_figures("trades.64", {"exness": busy, "baseline": busy}, 64))
    one_connection = http_figures("trades.1", {"exness": idle, "baseline": idle}, 1)
    assert not any(each.doubtful for each in one_connection), "one connection leaves any server idle"


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """The machine was half as fast in the second round, for both: that moves no ratio."""
    rounds = [Round(80.0, 100.0), Round(40.0, 50.0), Round(90.0, 100.0)]
    made = figure("trades.64.rate", "req/s", rounds, size=1)
    assert (made.measured, made.baseline, made.ratio) == (80.0, 100.0, 0.8)
    assert (made.low, made.high) == (0.8, 0.9)
    assert made.details == {"size": 1}


def test_without_a_baseline_the_spread_is_of_what_was_measured() -> None:
    made = figure("engine.pairs", "pairs/s", [Round(3.0), Round(1.0), Round(2.0)])
    assert (made.measured, made.baseline, made.ratio, made.low, made.high) == (2.0, None, None, 1.0, 3.0)


def test_a_baseline_of_nothing_has_no_ratio() -> None:
    assert Round(1.0, 0.0).ratio is None


# --- reach and change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rounds", "met"),
    [
        ("trades.64.rate", [Round(70.0, 100.0)], True),
        ("trades.64.rate", [Round(69.0, 100.0)], False),
        ("trades.64.p99", [Round(2.1, 1.0)], False),
        ("trades.16.rate", [Round(1.0, 100.0)], None),
        ("engine.pairs", [Round(60_000.0)], True),
        ("engine.pairs", [Round(59_999.0)], False),
        ("stream.p99_ms", [Round(20.0)], True),
        ("ticks.1000000", [Round(151.0, 100.0)], False),
        ("liquidations.10000", [Round(12.0, 10.0)], True),
        ("liquidations.10000", [Round(12.1, 10.0)], False),
        ("stall.100000", [Round(104.0, 100.0), Round(9.0, 1.0), Round(5.0, 1.0)], True),
        ("stall.100000", [Round(7.0, 1.0)], False),
        ("stall.1000000", [Round(7.0, 1.0)], True),
    ],
)
def test_a_figure_is_judged_by_its_reach(name: str, rounds: list[Round], met: bool | None) -> None:
    assert judged(figure(name, "", rounds)) is met


def test_what_could_not_be_measured_is_not_judged() -> None:
    missing = unavailable("stream.p99", "ms", "not there")
    assert (judged(missing), value_of(missing, "added"), change(missing, missing)) == (None, None, None)


def test_change_is_of_the_ratio_where_there_is_one() -> None:
    before = figure("reads.prices.rate", "req/s", [Round(50.0, 100.0)])
    slower_machine = figure("reads.prices.rate", "req/s", [Round(30.0, 50.0)])
    assert change(slower_machine, before) == pytest.approx(0.2)
    assert change(slower_machine, None) is None
    alone = figure("engine.pairs", "pairs/s", [Round(50.0)])
    assert change(figure("engine.pairs", "pairs/s", [Round(45.0)]), alone) == pytest.approx(-0.1)


def test_a_name_of_no_row_is_refused() -> None:
    for name in ("nothing", "ticks", "ticks.1.2", "prices.64.rate"):
        with pytest.raises((KeyError, ValueError)):
            row_of(name)


# --- table and files ------------------------------------------------------------------------------------------------


def test_settings_are_the_same_when_they_come_back_from_a_file() -> None:
    known = conditions(TINY)
    assert msgspec.json.decode(msgspec.json.encode(known)) == known


def test_the_table_shows_reach_and_change_and_says_what_is_missing() -> None:
    figures = [
        figure("trades.64.rate", "req/s", [Round(7_000.0, 10_000.0), Round(8_000.0, 10_000.0)]),
        figure("ticks.1000000", "ns", [Round(300.0, 100.0)]),
        unavailable("stream.p99", "ms", "there is no stream"),
    ]
    before = {"ticks.1000000": figure("ticks.1000000", "ns", [Round(200.0, 100.0)])}
    timed(figures[0], [{"p50": 500.0, "p99": 1_500.0, "p99.9": 20_000.0}], [{"p50": 1.0, "p99": 2.0, "p99.9": 3.0}])
    head, rule, trades, ticks, stream, empty, note = table(figures, before).splitlines()
    assert head.split()[:9] == [
        "figure",
        "measured",
        "against",
        "baseline",
        "ratio",
        "spread",
        "reach",
        "met",
        "change",
    ]
    assert set(rule) == {"-", " "}
    assert "7,500 req/s" in trades
    assert "0.75x  0.70..0.80  >= 0.7x  yes" in trades
    assert "0.50 / 1.50 / 20.0" in trades
    assert ticks.endswith("<= 1.5x   NO  +50% worse")
    assert stream.endswith("<= 5x")
    assert " - " in stream
    assert (empty, note) == ("", "tick to liquidation p99, HTTP saturated: there is no stream")


@pytest.mark.parametrize(
    ("value", "text"), [(12_345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (-0.5, "-0.50")]
)
def test_numbers_keep_three_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    report = Report({"commit": "abc"}, [figure("feed", "ticks/s", [Round(1 / 3, 3.0)], shed=0)], {"day": "why"})
    write(report, tmp_path / "report.json")
    back = read(tmp_path / "report.json")
    assert back == msgspec.convert(rounded(msgspec.to_builtins(report)), Report)
    assert back.figures[0].measured == 0.333333
    assert read(tmp_path / "none.json") is None


def test_the_kept_report_is_one_of_these_rows() -> None:
    kept = read(PREVIOUS)
    if kept is not None:
        assert all(row_of(each.name) for each in kept.figures)


def test_every_group_is_measured_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert tuple(capsys.readouterr().out.split()) == GROUPS == tuple(MEASURES)


# --- the rows -------------------------------------------------------------------------------------------------------

EXPECTED = {
    "trades": {f"trades.{connections}.{what}" for connections in (1, 4) for what in ("rate", "p99", "cpu")}
    | {"trades.1.p50", "trades.tables"},
    "reads": {f"reads.{name}.{what}" for name in ("balance", "open", "prices") for what in ("rate", "p99", "cpu")},
    "before": {"before.cpu"},
    "rates": {"rates.speed"},
    "spread": {"spread.journal", "spread.http", "spread.cpu", *ROLES},
    "engine": {"engine.pairs"},
    "ticks": {"ticks.200", "ticks.400", "liquidations.1", "liquidations.5"},
    "exits": {"quiet.200", "quiet.400", "fired.1", "fired.5"},
    "feed": {"feed"},
    "stream": {"stream.p99", "stream.p99_ms"},
    "fapi": {"fapi.rate"},
    "tickers": {"tickers.p99_ms"},
    "reconnect": {"reconnect.served", "reconnect.orders"},
    "cascade": {"cascade.durable", "cascade.hold"},
    "funding": {"funding.settled", "funding.hold"},
    "stall": {"stall.200", "stall.400"},
    "recovery": {"recovery.snapshot", "recovery.replay"},
    "start": {"start.cold"},
    "memory": {"memory.trade", "memory.exits", "memory.account"},
    "day": {"day.memory", "day.bytes", "day.pairs"},
    "csv": {"csv.rows", "csv.hold", "csv.memory"},
    "testing": {"fixture.p50", "fixture.p99", "client"},
}


SLOW = set(GROUPS) - {"engine", "ticks", "exits", "feed", "stream"}
"""They start several processes."""


@pytest.mark.parametrize(
    "group", [pytest.param(group, marks=pytest.mark.slow if group in SLOW else ()) for group in GROUPS]
)
async def test_a_group_measures_its_rows(group: str) -> None:
    report = await measure([group], TINY)
    assert report.errors == {}
    assert {each.name for each in report.figures} == EXPECTED[group]
    for each in report.figures:
        assert each.note or (each.measured is not None and each.measured == each.measured), each
    assert table(report.figures, {each.name: each for each in report.figures})


async def test_a_group_that_fails_is_named_and_the_others_go_on() -> None:
    broken = msgspec.structs.replace(TINY, liquidations=(10**6,))
    report = await measure(["ticks", "engine"], broken)
    assert set(report.errors) == {"ticks"}
    assert [each.name for each in report.figures] == ["engine.pairs"]


# --- the soak -------------------------------------------------------------------------------------------------------


def minute(rss_bytes: int) -> Minute:
    return Minute(1.0, 1.0, 1.0, 0, rss_bytes, 0, 0.0, 0.0, 0.0, 0.0, 0, 0)


def test_memory_may_grow_up_to_its_bound() -> None:
    assert grown([minute(10**8), minute(10**9), minute(10**8 + GROWTH_BYTES)]) == []
    assert grown([minute(10**8), minute(10**8 + GROWTH_BYTES + 1)]) == ["memory grew from 100.0 to 130.0 MB"]


@pytest.mark.slow
async def test_a_short_soak_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert await soak(minutes=1 / 60, interval_s=1.0, settings=TINY, peak_s=0.3) == 0
    assert "all was well" in capsys.readouterr().out


def test_figures_survive_json() -> None:
    made = figure("feed", "ticks/s", [Round(1.0, 2.0)])
    assert msgspec.json.decode(msgspec.json.encode(made), type=Figure) == made

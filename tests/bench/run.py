"""Measures the chosen rows, prints the table, writes it as JSON."""

import argparse
import asyncio
import importlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.conditions import conditions
from tests.bench.figures import Figure
from tests.bench.rows import GROUPS, judged
from tests.bench.running import QUICK, Progress, Settings, keep_off_the_server
from tests.bench.table import table

PREVIOUS = Path(__file__).with_name("previous.json")

QUIET_LOAD = 0.35
"""Load average per core before the run above which others were at work."""

Measure = Callable[[Settings, Progress], Awaitable[list[Figure]]]

MEASURES: dict[str, str] = {
    "trades": "http:measure_trades",
    "reads": "http:measure_reads",
    "before": "costs:measure_before",
    "rates": "costs:measure_rates",
    "spread": "spread:measure_spread",
    "engine": "engine:measure_pairs",
    "ticks": "engine:measure_ticks",
    "exits": "exits:measure_exits",
    "feed": "feed:measure_feed",
    "stream": "stream:measure_stream",
    "fapi": "fapi:measure_fapi",
    "tickers": "tickers:measure_tickers",
    "reconnect": "reconnect:measure_reconnect",
    "cascade": "cascade:measure_cascade",
    "funding": "funding:measure_funding",
    "stall": "snapshot:measure_stall",
    "recovery": "recovery:measure_recovery",
    "start": "cold:measure_cold",
    "memory": "memory:measure_memory",
    "day": "day:measure_day",
    "csv": "export:measure_csv",
    "testing": "testing:measure_testing",
}
"""Where each group is measured. Imported when it is its turn."""


class Report(msgspec.Struct):
    """What is written as JSON."""

    conditions: dict[str, Any]
    figures: list[Figure]
    errors: dict[str, str] = {}
    """By group: why it could not be measured."""


def main(arguments: Sequence[str]) -> int:
    """0 when everything chosen was measured, however it compares with its reach; else 1."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(GROUPS))
        return 0
    settings = _settings(options)
    report = asyncio.run(measure(options.only or [group for group in GROUPS if group in MEASURES], settings))
    before = read(options.compare or PREVIOUS)
    print(table(report.figures, {figure.name: figure for figure in before.figures} if before else {}))
    print(_summary(report, before))
    for path in [options.json] if options.json else []:
        write(report, path)
    if options.keep:
        write(report, PREVIOUS)
    return 1 if report.errors else 0


async def measure(groups: Sequence[str], settings: Settings) -> Report:
    """One group after the other. One that fails is named, and the others go on."""
    report = Report(conditions(settings), [])
    keep_off_the_server(settings)
    progress, started = Progress(len(groups)), time.monotonic()
    for group in groups:
        progress.say(f"{group} ...")
        try:
            report.figures += await _function(group)(settings, progress)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the run fails at the end
            report.errors[group] = f"{type(error).__name__}: {error}"
            progress.say(f"{group} failed: {report.errors[group]}")
        progress.step()
    progress.close()
    report.conditions["seconds"] = round(time.monotonic() - started)
    report.conditions["load_average_after"] = [round(value, 2) for value in os.getloadavg()]
    return report


def _function(group: str) -> Measure:
    module, _, function = MEASURES[group].partition(":")
    measure_group: Measure = getattr(importlib.import_module(f"tests.bench.{module}"), function)
    return measure_group


def read(path: Path) -> Report | None:
    """An earlier run, or None when there is none. Raises msgspec.DecodeError for a file that is none."""
    return msgspec.json.decode(path.read_bytes(), type=Report) if path.exists() else None


def write(report: Report, path: Path) -> None:
    """As JSON, indented, so that a change of it can be read."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rounded(msgspec.to_builtins(report))), indent=1) + b"\n")


def rounded(value: Any) -> Any:
    """With six digits that matter in every float: more are noise, and make the file long."""
    match value:
        case float():
            return float(f"{value:.6g}")
        case dict():
            return {key: rounded(each) for key, each in value.items()}
        case list():
            return [rounded(each) for each in value]
        case _:
            return value


def _summary(report: Report, before: Report | None) -> str:
    met = [judged(figure) for figure in report.figures]
    known = report.conditions
    lines = [
        "",
        f"{met.count(True)} of {met.count(True) + met.count(False)} reached; measured {known['started']} "
        f"on {known['cores']} cores ({known['cpu']}), python {known['python']}, commit {known['commit'][:10]}, "
        f"load average {known['load_average'][0]} before, {known['load_average_after'][0]} after; {known['seconds']} s",
    ]
    if before is not None:
        other = "" if before.conditions["settings"] == known["settings"] else ", WITH OTHER SETTINGS"
        then = before.conditions
        lines.append(f"change: against {then['started']}, commit {then['commit'][:10]}{other}")
    if known["load_average"][0] > QUIET_LOAD * known["cores"]:
        lines.append("THE MACHINE WAS NOT IDLE: what is held against a baseline over HTTP suffers most, see the notes")
    lines += [f"NOT MEASURED {group}: {why}" for group, why in report.errors.items()]
    return "\n".join(lines)


def _settings(options: argparse.Namespace) -> Settings:
    settings = QUICK if options.quick else Settings()
    if options.rounds is not None:
        settings = msgspec.structs.replace(settings, rounds=options.rounds)
    if options.before is not None:
        settings = msgspec.structs.replace(settings, before=options.before)
    return msgspec.structs.replace(settings, pin=not options.no_pin)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure exness; see docs/BENCHMARKS.md."
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="ROW", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: about two minutes")
    parser.add_argument("--rounds", type=int, help="interleaved rounds of the rows over HTTP, the engine and the feed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--compare", type=Path, metavar="FILE", help=f"print the change against it ({PREVIOUS.name})")
    parser.add_argument("--keep", action="store_true", help=f"write the result to tests/bench/{PREVIOUS.name}")
    parser.add_argument("--before", metavar="COMMIT", help="what the row `before` is held against")
    parser.add_argument("--no-pin", action="store_true", help="let the system choose cores for server and load")
    parser.add_argument("--list", action="store_true", help="print the names for --only")
    return parser

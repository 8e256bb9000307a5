"""The simulator on the command line: many seeds at once, or one of them again.

    python -m tests.simulation --seeds 1000 --first 0     exit 0 when every promise held
    python -m tests.simulation --seed 42 --trace          one seed, with everything that happens in it

A seed that fails is printed with the shortest history it shrinks to.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import monotonic
from typing import TextIO

import msgspec

from tests.simulation.actions import History, make_history
from tests.simulation.paths import PATHS, never_reached
from tests.simulation.shrink import shrink
from tests.simulation.stories import OF_A_STORY, tell_seed
from tests.simulation.watch import Broken
from tests.simulation.world import LENGTH, simulate, simulate_seed

BAR_WIDTH = 30


class Result(msgspec.Struct):
    """What one seed came to, the world and the story of it; `broken` and `why` when a promise did not hold."""

    seed: int
    counters: Counter[str]
    virtual_s: float = 0.0
    broken: str = ""
    why: str = ""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, options.length, options.trace, options.shrink_s)
    return _many(options.first, options.seeds, options.length, options.jobs, options.shrink_s)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation.")
    parser.add_argument("--seed", type=int, help="repeat this one seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: print everything that happens")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--length", type=int, default=LENGTH, help="actions in a history (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--shrink-s", type=float, default=60.0, help="seconds to shrink a failure for (%(default)s)")
    return parser


def _one(seed: int, length: int, trace: bool, shrink_s: float) -> int:
    try:
        report = simulate_seed(seed, length, print if trace else lambda line: None)
        counters = report.counters + tell_seed(seed)
    except Broken as broken:
        _explain(Result(seed, Counter(), broken=broken.what, why=str(broken)), length, shrink_s)
        return 1
    _print_counters(counters)
    print(f"seed {seed}: every promise held; {report.virtual_s:.3f} virtual seconds, trace {report.fingerprint}")
    return 0


def _many(first: int, seeds: int, length: int, jobs: int, shrink_s: float) -> int:
    started = monotonic()
    counters, virtual_s, failed = Counter[str](), 0.0, list[Result]()
    for result in _with_bar(_results(range(first, first + seeds), length, jobs), seeds):
        counters += result.counters
        virtual_s += result.virtual_s
        if result.broken:
            failed.append(result)
            break
    _print_counters(counters)
    print(
        f"{counters['histories']} seeds from {first}: {counters['events']:,} events, {counters['ticks']:,} ticks, "
        f"{counters['commands']:,} commands, {counters['crashes'] + counters['crashes in recovery']:,} crashes, "
        f"{virtual_s / 3600:,.1f} virtual hours in {monotonic() - started:.1f} s"
    )
    for path in never_reached(counters):
        print(f"never reached: {path}")
    for result in failed:
        _explain(result, length, shrink_s)
    return 1 if failed else 0


def _results(seeds: Iterable[int], length: int, jobs: int) -> Iterator[Result]:
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(partial(run_one, length=length), seeds, chunksize=4)


def run_one(seed: int, length: int) -> Result:
    try:
        report = simulate_seed(seed, length)
        counters = report.counters + tell_seed(seed)
    except Broken as broken:
        return Result(seed, Counter(), broken=broken.what, why=str(broken))
    except BaseException as error:
        error.add_note(f"simulating seed {seed}")
        raise
    return Result(seed, counters, report.virtual_s)


def _explain(result: Result, length: int, shrink_s: float) -> None:
    """The failing seed and the shortest history found."""
    print(f"\nseed {result.seed} FAILED: {result.why}")
    if result.broken == OF_A_STORY:
        print(f"again: make sim SEED={result.seed}")
        return
    print("shrinking ...", file=sys.stderr)
    history = shrink(make_history(result.seed, length), result.broken, shrink_s)
    print(f"the shortest history found has {len(history.actions)} actions:")
    print(f"  {_bounds(history)}")
    for number, action in enumerate(history.actions, 1):
        print(f"  {number:>3}  {action}")
    print(f"which ends with: {_ending(history)}")
    print(f"again: make sim SEED={result.seed}")


def _bounds(history: History) -> str:
    """The limits, without what is the same in all histories."""
    limits = msgspec.structs.asdict(history.bounds)
    limits |= msgspec.structs.asdict(limits.pop("rules"))
    del limits["instruments"]
    return ", ".join(f"{name} {limit}" for name, limit in limits.items())


def _ending(history: History) -> str:
    try:
        simulate(history)
    except Broken as broken:
        return str(broken)
    return "nothing: it no longer fails"


def _print_counters(counters: Counter[str]) -> None:
    names = [*PATHS, *sorted(set(counters) - set(PATHS) - {"histories"})]
    for name in names:
        print(f"{counters[name]:>12,}  {name}")


def _with_bar(results: Iterable[Result], total: int, to: TextIO = sys.stderr) -> Iterator[Result]:
    """Pass results on and show how far they are, and how long the rest will take."""
    started, live = monotonic(), to.isatty()
    for done, result in enumerate(results, 1):
        elapsed = monotonic() - started
        if live or done == total or done % max(1, total // 10) == 0:
            bar = "#" * (BAR_WIDTH * done // total)
            left_s = elapsed / done * (total - done)
            text = f"[{bar:<{BAR_WIDTH}}] {done}/{total} seeds, {elapsed:.0f} s, {left_s:.0f} s left "
            print(f"\r{text}" if live else text, end="" if live and done < total else "\n", file=to, flush=True)
        yield result

"""`make crash ROUNDS=1000`: the long run of tests/crash/orders.py and, in every other directory, of
tests/crash/rounds.py, with a progress bar and what it counted."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from tests.crash.archives import ArchiveRounds
from tests.crash.orders import OrderRounds
from tests.crash.rounds import Failed, Rounds

ROUNDS_PER_DIRECTORY = 20
"""Then an empty one, so that what a round checks stays small."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--archive", action="store_true", help="archive the journal meanwhile, and kill that as well")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"{options.rounds} rounds of kill -9, seed {seed}", flush=True)
    started = time.monotonic()
    counts: Counter[str] = Counter()
    failures = Counter({"lost": 0, "duplicated": 0, "half-applied": 0, "changed": 0, "unexpected": 0})
    with tqdm(total=options.rounds, unit=" rounds", file=sys.stderr, mininterval=5) as bar:
        for block in range(0, options.rounds, ROUNDS_PER_DIRECTORY):
            rounds = min(ROUNDS_PER_DIRECTORY, options.rounds - block)
            with tempfile.TemporaryDirectory(prefix="exness-crash-") as folder:
                of_everything = block // ROUNDS_PER_DIRECTORY % 2 == 0
                rounds_of = ArchiveRounds if options.archive else OrderRounds if of_everything else Rounds
                run = rounds_of(Path(folder) / "data", seed + block)
                try:
                    asyncio.run(run.run(rounds))
                except* Failed as group:
                    for failure in _each(group):
                        failures[failure.kind] += 1
                        print(f"in rounds {block} to {block + rounds}, seed {seed + block}: {failure}", flush=True)
                counts += run.counts
                bar.update(rounds)
    for what, count in (counts + Counter()).items():
        print(f"  {what:<24} {count:>10,}")
    for kind, count in failures.items():
        print(f"  {kind:<24} {count:>10,}")
    print(f"  {'seconds':<24} {time.monotonic() - started:>10,.0f}")
    return 1 if failures.total() else 0


def _each(group: BaseExceptionGroup[Failed]) -> list[Failed]:
    found: list[Failed] = []
    for failure in group.exceptions:
        found += _each(failure) if isinstance(failure, BaseExceptionGroup) else [failure]
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Kill whatever there is, at random and under load, and hold afterwards what was acknowledged against what is there.

    python -m tests.spread.rounds --rounds 200 [--slow]     # --slow: every commit takes 20 ms more

Two servers, two engines, a processor, a poller; users who trade and listen on both servers. A round is one fault:
`kill -9` of an engine, a server, the processor, the poller or Redis; a Redis that forgets; an engine that is paused
while its shard is taken; every session of PostgreSQL cut. Who has ended is started again, as a supervisor would.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import structlog
from tqdm import tqdm

from tests.spread.deployment import Deployment
from tests.spread.load import Load
from tests.spread.servers import CUT_THE_ENGINE, SLOW, settings
from tests.support.postgres import Postgres, a_cluster
from tests.support.process import finished
from tests.support.redis import RedisServer, a_redis

PROCESSES = ("engine1", "engine2", "processor", "poller", "server1", "server2")
PER_BLOCK = 20
"""Rounds with one set of users; then everything is checked, and verified."""
ANSWERS = 15
"""Acknowledgements between two faults, and after each before it counts as survived."""


class Rounds:
    def __init__(self, folder: Path, postgres: Postgres, redis: RedisServer, seed: int, *, slow: bool) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._postgres = postgres
        self._redis = redis
        self._slow = slow
        self._deployment = Deployment(folder, postgres, redis, "rounds")
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self.counts: Counter[str] = Counter()
        self.silences: defaultdict[str, list[float]] = defaultdict(list)

    async def run(self, rounds: int, seed: int, bar: Any) -> None:
        supervising: asyncio.Task[None] | None = None
        try:
            for name in PROCESSES:
                self._begin(name)
            for name in ("server1", "server2"):
                await self._starting[name]
            if self._slow:
                self._postgres.sql(SLOW.format("rounds"))
            supervising = asyncio.create_task(self._supervise())
            load = Load(self._deployment, ("server1", "server2"), users=6, seed=seed)
            async with load:
                for _ in range(rounds):
                    await load.more(ANSWERS)
                    kind, fault = self._chance.choice(list(self._faults().items()))
                    began = time.monotonic()
                    await fault()
                    self.counts[kind] += 1
                    await load.more(1)
                    self.silences[kind].append(time.monotonic() - began)
                    await load.more(ANSWERS)
                    bar.update(1)
                await load.settle()
                self.counts.update(await load.check(self._deployment["server1"]))
                assert self._deployment.silent_of_secrets()
        finally:
            self._stopping = True
            if supervising is not None:
                supervising.cancel()
            for task in self._starting.values():
                task.cancel()
            await asyncio.gather(*self._starting.values(), return_exceptions=True)
            await self._deployment.end()
        env = settings(self._postgres, "rounds")
        verified = await finished("verify", "--data-dir", str(self._folder / "elsewhere"), env=env, cwd=self._folder)
        assert verified.code == 0, verified.errors

    def _faults(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "engine killed": self._kill_engine,
            "engine paused and overtaken": self._pause_engine,
            "server killed": lambda: self._kill(self._chance.choice(("server1", "server2"))),
            "processor killed": lambda: self._kill("processor"),
            "poller killed": lambda: self._kill("poller"),
            "Redis killed": self._kill_redis,
            "Redis forgets": self._forget,
            "sessions cut": self._cut,
        }

    async def _kill(self, name: str) -> None:
        if self._deployment[name].running:
            self._deployment[name].kill()

    async def _kill_engine(self) -> None:
        await self._kill(self._active())

    async def _pause_engine(self) -> None:
        old = self._deployment[self._active()]
        if not old.running:
            return
        pid = old.pid
        os.kill(pid, signal.SIGSTOP)
        self._postgres.sql(CUT_THE_ENGINE)
        asyncio.get_running_loop().call_later(self._chance.uniform(0.2, 2), _go_on, pid)

    async def _kill_redis(self) -> None:
        self._redis.kill()
        self._redis.start()

    async def _forget(self) -> None:
        self._redis.command("FLUSHALL")

    async def _cut(self) -> None:
        self._postgres.cut_sessions()

    def _active(self) -> str:
        """The engine whose port is open."""
        for name in ("engine1", "engine2"):
            task = self._starting[name]
            if task.done() and self._deployment[name].running:
                return name
        return "engine1"

    def _begin(self, name: str) -> None:
        self._starting[name] = asyncio.create_task(self._start(name))

    async def _start(self, name: str) -> None:
        """Again and again: a spare may be cut off before it has taken over."""
        process = self._deployment.processes.get(name)
        if process is None:
            process = self._deployment.made(name)
            await process.open()
        while True:
            try:
                await process.start()
                return
            except Exception:  # noqa: BLE001 - it is started again, as a supervisor would
                await asyncio.sleep(0.05)

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            for name, task in list(self._starting.items()):
                if task.done() and not self._deployment[name].running and not self._stopping:
                    await self._deployment[name].wait()
                    self.counts["started again"] += 1
                    self._begin(name)


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.spread.rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(f"{options.rounds} rounds, seed {options.seed}{', slow commits' if options.slow else ''}", flush=True)
    counts: Counter[str] = Counter()
    silences: defaultdict[str, list[float]] = defaultdict(list)
    began = time.monotonic()
    with tqdm(total=options.rounds, unit=" rounds", file=sys.stderr, mininterval=5) as bar:
        for block in range(0, options.rounds, PER_BLOCK):
            seed = options.seed + block
            with a_cluster() as postgres, a_redis() as redis, tempfile.TemporaryDirectory(prefix="exness-") as folder:
                rounds = Rounds(Path(folder), postgres, redis, seed, slow=options.slow)
                asyncio.run(rounds.run(min(PER_BLOCK, options.rounds - block), seed, bar))
            counts += rounds.counts
            for kind, each in rounds.silences.items():
                silences[kind] += each
    for what, count in counts.items():
        print(f"  {what:<30} {count:>10,}")
    print("  lost, doubled, wrong, untold            0")
    for kind, each in silences.items():
        print(f"  {kind + ', silence':<40} median {median(each):.2f} s, worst {max(each):.2f} s")
    print(f"  {'seconds':<30} {time.monotonic() - began:>10,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Rows of an exchange on PostgreSQL, held against the same on SQLite: the journal alone, and over HTTP.

PostgreSQL is one of the bench's own, with its folder on the same disk as SQLite's. It may use every core, as the system
likes; the exchange and the load keep to theirs.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exness.core.events import Record
from exness.core.instruments import Asset
from exness.runtime.listings import Listing
from exness.runtime.ports.journal import Journal
from exness.storage.sqlite import open_storage
from tests.bench.books import engine_with, opening
from tests.bench.costs import Contender, compare
from tests.bench.figures import Figure, Round, figure, unavailable
from tests.bench.roles import NAMES, measure_roles
from tests.bench.running import Progress, Settings, in_child, started_on
from tests.support.postgres import Postgres, a_cluster, why_missing
from tests.support.process import ROOT

BATCH = 100
SECRET = "only-for-the-bench-and-long-enough-for-a-signing-secret"


async def measure_spread(settings: Settings, progress: Progress) -> list[Figure]:
    """Nothing, with the reason, where there is no PostgreSQL."""
    why = why_missing()
    if why is not None:
        return [unavailable(name, "", why) for name in ("spread.journal", "spread.http", "spread.cpu", *NAMES)]
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder, cluster() as postgres:
        progress.say(f"spread: {settings.rounds} rounds of {settings.spread_batches} batches of {BATCH}")
        rates = await in_child(
            settings,
            __name__,
            "journal_rates",
            url=postgres.url,
            folder=folder,
            rounds=settings.rounds,
            batches=settings.spread_batches,
        )
        journal = figure("spread.journal", "rows/s", [Round(ours, theirs) for ours, theirs in rates])
        env = {"EXNESS_DEPLOY_DATABASE": postgres.url, "EXNESS_AUTH_SECRET": SECRET, "EXNESS_DEPLOY_NAME": "over_http"}
        ours, theirs = await compare(settings, progress, "spread", Contender(ROOT, env), Contender(ROOT))
        roles = await measure_roles(settings, progress, postgres)
    pairs = list(zip(ours, theirs, strict=True))
    http = figure("spread.http", "req/s", [Round(a["rate"], b["rate"]) for a, b in pairs], ours=ours, theirs=theirs)
    cpu = figure("spread.cpu", "us", [Round(a["cpu_us"], b["cpu_us"]) for a, b in pairs])
    return [journal, http, cpu, *roles]


@contextmanager
def cluster() -> Iterator[Postgres]:
    """On the disk, and on every core."""
    everywhere = set(range(os.cpu_count() or 1)) if hasattr(os, "sched_setaffinity") else set[int]()
    with started_on(everywhere), a_cluster(on_disk=True) as postgres:
        yield postgres


# --- in a process of its own ----------------------------------------------------------------------------------------


def journal_rates(url: str, folder: str, rounds: int, batches: int) -> list[tuple[float, float]]:
    """Rows a second of PostgreSQL and of SQLite, round by round."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_journal_rates(url, Path(folder) / "journal", rounds, batches))


async def _journal_rates(url: str, data_dir: Path, rounds: int, batches: int) -> list[tuple[float, float]]:
    from exness.storage.postgres import storage as postgres  # needs asyncpg
    from exness.storage.postgres.session import Address

    wanted = rounds * batches * BATCH
    records = list(opening(engine_with(0), wanted))[:wanted]
    listings: dict[Asset, Listing] = {}
    rates = []
    async with (
        open_storage(data_dir, listings) as files,
        postgres.open_storage(Address(url, "alone"), listings) as opened,
    ):
        for number in range(rounds):
            part = records[number * batches * BATCH : (number + 1) * batches * BATCH]
            both = [await rate(journal, part) for journal in (opened.storage.journal, files.journal)]
            rates.append((both[0], both[1]))
    return rates


async def rate(journal: Journal, records: Sequence[Record]) -> float:
    """Rows a second, one commit at a time."""
    began = time.perf_counter()
    for place in range(0, len(records), BATCH):
        await journal.append(records[place : place + BATCH])
    return len(records) / (time.perf_counter() - began)

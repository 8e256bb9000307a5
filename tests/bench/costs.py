"""Rows of what a create and a close cost over HTTP in processor time: beside an earlier commit, and with all that can
be charged and added beside nothing of it.

Two real processes in turn, each with its own data, on the same prices and the same cores, under the same load. What a
process spent is the system's own account, which hardly depends on who else is on the machine.
"""

import asyncio
import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import Figure, Round, figure, unavailable
from tests.bench.http import ORDER, Side, first_prices, one, trade_plan
from tests.bench.running import Load, Progress, Settings, exness, load_generator, quoting, tokens
from tests.support.process import ROOT, Server
from tests.support.venue import Venue

EVERYTHING = {
    "EXNESS_RATES_TAKER": "0.0005",
    "EXNESS_RATES_MAKER": "0.0002",
    "EXNESS_RATES_MAINTENANCE": "[{floor=0, rate=0.004}, {floor=50000, rate=0.005}, {floor=500000, rate=0.01}]",
}
"""Commission, and maintenance in three tiers."""
WITH_EXITS = f'{ORDER[:-1]},"takeProfit":"240.5","stopLoss":"170.25"}}'


class Contender(NamedTuple):
    """One of the two that are compared: its code, its settings, what it is asked for."""

    code: Path
    settings: Mapping[str, str] = {}
    order: str = ORDER


Measured = dict[str, float]


async def measure_before(settings: Settings, progress: Progress) -> list[Figure]:
    """Against the commit that `--before` names."""
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
        why = await asyncio.to_thread(take_out, settings.before, Path(folder))
        if why:
            return [unavailable("before.cpu", "us", why)]
        now, then = await compare(settings, progress, "before", Contender(ROOT), Contender(Path(folder)))
    rounds = [Round(ours["cpu_us"], theirs["cpu_us"]) for ours, theirs in zip(now, then, strict=True)]
    return [figure("before.cpu", "us", rounds, exness=now, before=then, commit=settings.before)]


async def measure_rates(settings: Settings, progress: Progress) -> list[Figure]:
    """With commission, maintenance and two exits, against without. The speed is requests a second of processor time."""
    with_all, without = await compare(
        settings, progress, "rates", Contender(ROOT, EVERYTHING, WITH_EXITS), Contender(ROOT)
    )
    pairs = zip(with_all, without, strict=True)
    rounds = [Round(1e6 / ours["cpu_us"], 1e6 / theirs["cpu_us"]) for ours, theirs in pairs]
    return [figure("rates.speed", "req/s", rounds, with_all=with_all, without=without)]


def take_out(commit: str, folder: Path) -> str:
    """The code of a commit into a folder. Returns why there is none, or nothing."""
    git = shutil.which("git")
    if git is None:
        return "there is no git"
    command = [git, "archive", "--format=zip", commit, "exness"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        return f"commit {commit[:10]} is not here: name one with --before"
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)
    return ""


async def compare(
    settings: Settings, progress: Progress, name: str, ours: Contender, theirs: Contender
) -> tuple[list[Measured], list[Measured]]:
    """What `one` told of both, round by round; who goes first alternates."""
    with tempfile.TemporaryDirectory(prefix="exness-bench-") as place:
        folder = Path(place)
        async with (
            Venue() as venue,
            exness(settings, folder / "ours" / "data", venue, ours.settings, ours.code) as here,
            exness(settings, folder / "theirs" / "data", venue, theirs.settings, theirs.code) as there,
            load_generator(settings, folder) as load,
            quoting(venue, settings.quotes_per_s),
        ):
            both = [
                await Ready.of(settings, load, venue, server, contender)
                for server, contender in ((here, ours), (there, theirs))
            ]
            done: tuple[list[Measured], list[Measured]] = ([], [])
            for number in range(settings.rounds):
                for each in (0, 1) if number % 2 else (1, 0):
                    done[each].append(await both[each].round())
                progress.say(
                    f"{name}: round {number + 1}/{settings.rounds}: {done[0][-1]['cpu_us']:.1f} us a request beside "
                    f"{done[1][-1]['cpu_us']:.1f}"
                )
    return done


class Ready(NamedTuple):
    """A contender that runs, and the load for it."""

    settings: Settings
    load: Load
    side: Side
    tokens: list[str]
    order: str

    @classmethod
    async def of(cls, settings: Settings, load: Load, venue: Venue, server: Server, contender: Contender) -> "Ready":
        traders = await tokens(server.data_dir, settings.cost_connections, env=contender.settings)
        await first_prices(venue, server)
        for token in traders:
            await server.get("/balance", token)
        side = Side("exness", int(server.url.rpartition(":")[2]), server.pid)
        return cls(settings, load, side, traders, contender.order)

    async def round(self) -> Measured:
        plan = trade_plan(self.settings, self.tokens, self.settings.cost_connections, self.order)
        return await one(self.load, self.side, plan)

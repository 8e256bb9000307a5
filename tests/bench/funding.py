"""Rows of a settlement of funding: every open trade of an asset pays at one moment.

Engine and journal are measured alone, in processor time: deciding, encoding and committing in one transaction, beside
as many deposits, the smallest records there are. Then the shipped exchange with its storage on disk settles, and a
probe that is due every millisecond tells the longest hold of its loop.
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from exness.app import entry
from exness.core.commands import ChangeMargin, Command, Deposit, PassTime
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.rates import Rates
from exness.core.rules import Rules
from tests.bench.books import TRADES_PER_ACCOUNT, account_id, do, longs, order_id, wide_rules
from tests.bench.cascade import SOL, TABLES_S, Probe, journal_alone, running, shipped
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child
from tests.support.waiting import until

WEEK_S = 604_800
DUE_S = 1_800
"""From the first record to the settlement."""
RATE = 10_000
"""0.01 %, of 1e-8."""


async def measure_funding(settings: Settings, progress: Progress) -> list[Figure]:
    """Each round in processes of its own."""
    alone, together = [], []
    for number in range(settings.funding_rounds):
        with tempfile.TemporaryDirectory(prefix="exness-bench-") as folder:
            arguments = {"trades": settings.funded_trades, "folder": folder, "ours_first": number % 2 == 0}
            alone.append(await in_child(settings, __name__, "settled_alone", **arguments))
            together.append(await in_child(settings, __name__, "settled", **arguments))
        progress.say(
            f"funding: {settings.funded_trades:,} trades take {alone[-1]['settled_s']:.2f} s of processor time, as "
            f"many deposits {alone[-1]['deposits_s']:.2f}; longest hold {together[-1]['hold_ms']:.1f} ms"
        )
    rounds = [Round(each["settled_s"], each["deposits_s"]) for each in alone]
    return [
        figure("funding.settled", "s", rounds, rounds_of=alone),
        figure("funding.hold", "ms", [Round(each["hold_ms"]) for each in together], rounds_of=together),
    ]


# --- in a process of their own --------------------------------------------------------------------------------------


def rules_due(first_at: int) -> Rules:
    """Funding is due once, so long after the first record, and then for a week not again."""
    due_s = first_at // 1_000_000 + DUE_S
    rates = Rates(funding_interval_s=WEEK_S, funding_offset_s=due_s % WEEK_S, funding_rate=RATE)
    return msgspec.structs.replace(wide_rules(), rates={SOL: rates})


def settled_alone(trades: int, folder: str, ours_first: bool) -> dict[str, float]:
    """Seconds of processor time of a settlement, of as many deposits, and of as many changes of a margin by hand."""
    first_at = time.time_ns() // 1000 - 2 * DUE_S * 1_000_000
    rules = rules_due(first_at)
    engine = Engine(rules, longs(trades, rules, first_at)[0].state)  # what is due counts from now
    due = engine.state.due.next_due
    assert due is not None
    accounts = range(trades)
    commands: dict[str, list[Command]] = {
        "settled_s": [PassTime()],
        "deposits_s": [Deposit(account_id(number // TRADES_PER_ACCOUNT), 1_000_000) for number in accounts],
        "margins_s": [
            ChangeMargin(account_id(number // TRADES_PER_ACCOUNT), order_id(number), 10_000) for number in accounts
        ],
    }
    gc.collect()
    gc.freeze()
    if not ours_first:
        commands["settled_s"] = commands.pop("settled_s")
    return {
        name: _alone(engine, some, due if name == "settled_s" else 0, trades, Path(folder) / name)
        for name, some in commands.items()
    }


def _alone(engine: Engine, commands: list[Command], at: int, expected: int, place: Path) -> float:
    with journal_alone(place) as commit:
        began = time.process_time()
        records = [record for command in commands for record in do(engine, command, at)]
        commit(records)
        spent = time.process_time() - began
    assert len(records) == expected
    return spent


def settled(trades: int, folder: str, ours_first: bool) -> dict[str, float]:
    """`hold_ms` until the settlement was durable, `hold_after_ms` until the tables had it too."""
    sys.setswitchinterval(entry.SWITCH_INTERVAL_S)
    first_at = time.time_ns() // 1000 - 2 * DUE_S * 1_000_000
    engine, history = longs(trades, rules_due(first_at), first_at)
    gc.collect()
    gc.freeze()
    due_s = rules_due(first_at).rates[SOL].funding_offset_s
    environ = {
        "EXNESS_RATES_FUNDING_INTERVAL_S": str(WEEK_S),
        "EXNESS_RATES_FUNDING_OFFSET_S": str(due_s),
        "EXNESS_RATES_FUNDING_RATE": "0.0001",
    }
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_settled(engine, history, Path(folder) / "settled", environ))


async def _settled(engine: Engine, history: list[Record], place: Path, environ: dict[str, str]) -> dict[str, float]:
    """It has been due for a while, so it comes as soon as the exchange runs."""
    async with shipped(engine, history, place, environ) as parts:
        history.clear()
        trades, first, probe = engine.state.open_trades, engine.state.seq, Probe(parts)
        probing = asyncio.create_task(probe.run())
        await asyncio.sleep(0.1)
        probe.take()
        began = time.perf_counter()
        async with running(parts):
            await parts.writer.durable(first + trades)
            durable_s, (hold_s, hold_cpu_s, reads) = time.perf_counter() - began, probe.take()
            assert parts.writer.commits == 1, f"one transaction, not {parts.writer.commits}"
            await until(
                lambda: parts.projector.seq == first + trades, "for the tables", within_s=TABLES_S, pause_s=0.01
            )
        hold_after_s, hold_after_cpu_s, _ = probe.take()
        probing.cancel()
    return {
        "durable_s": durable_s,
        "hold_ms": hold_s * 1000,
        "hold_cpu_ms": hold_cpu_s * 1000,
        "reads": reads,
        "hold_after_ms": hold_after_s * 1000,
        "hold_after_cpu_ms": hold_after_cpu_s * 1000,
    }

"""How long a start takes with very many open trades, and how long a snapshot of them holds the loop. Not a test:

    python -m tests.acceptance.measure_recovery [TRADES] [--per-account N]

Builds a data directory through the real engine and storage, starts the real process on it with and without its
snapshot, then takes a snapshot in this process while traders go on and a probe measures the loop's lag.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from exness.app import build as assembly
from exness.config import Config, load
from exness.core.commands import CloseTrade, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import Record, TradeOpened
from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.core.outcomes import Done
from exness.core.state import State
from exness.runtime.assembly import Parts
from exness.runtime.exchange import Exchange
from exness.runtime.recovery import recover
from exness.runtime.snapshots import Snapshotter
from exness.runtime.writer import Writer
from exness.storage.opened import Storage
from exness.storage.sqlite import open_storage
from tests.bench.snapshot import lag_while
from tests.support.process import Recovered, Server

DEPOSIT = 50_000_000_000
BATCH = 20_000
REPEATS = 5
TRADERS = 16
LIFE_US = 3_600_000_000

# What the simulated feed draws prices to, so that a start liquidates none of the trades (at most 5x).
PRICES = {Asset("SOL"): 175_000_000, Asset("ETH"): 3_000_000_000, Asset("BTC"): 800_000_000}


async def main(trades: int, per_account: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        config = load(None, {}, {"storage.data_dir": data_dir})
        await build(config, trades, per_account)
        await report_starts(data_dir, "from its snapshot")
        for part in data_dir.glob("snapshots.db*"):
            part.unlink()
        await report_starts(data_dir, "by replaying the whole journal")
        await report_snapshot(config)


async def build(config: Config, trades: int, per_account: int) -> None:
    """Accounts and open trades in main.db, and one snapshot of all of it."""
    started = time.monotonic()
    engine = Engine(assembly.make_rules(config), State())
    async with open_storage(config.storage.data_dir, config.instruments()) as storage:
        batch: list[Record] = []
        for record in history(engine, trades, per_account):
            batch.append(record)
            if len(batch) == BATCH:
                await storage.journal.append(batch)
                await storage.tables.write(batch)
                batch = []
        await storage.journal.append(batch)
        await storage.tables.write(batch)
        writer = Writer(storage.journal, durable_seq=engine.state.seq, bound=1, batch=1)
        info = await Snapshotter(engine.state, writer, storage.snapshots, 1.0, 0).take()
    assert info is not None
    size = (config.storage.data_dir / "main.db").stat().st_size
    print(
        f"{engine.state.open_trades} open trades of {len(engine.state.account_list)} accounts, "
        f"{engine.state.seq} events (main.db {size / 1e6:.1f} MB, snapshot {info.stored_bytes / 1e6:.1f} MB), "
        f"built in {time.monotonic() - started:.1f} s"
    )


def history(engine: Engine, trades: int, per_account: int) -> Iterator[Record]:
    """The records of opening them all."""
    chance, at = random.Random(1), 1_769_850_902_000_000
    for asset, price in PRICES.items():
        engine.execute(PriceTick(asset, price - 1000, price + 1000, LIFE_US), at)
    account = AccountId("")
    for number in range(trades):
        at += 37
        if number % per_account == 0:
            account = AccountId(f"a{number // per_account:032}")
            yield from _records(engine, OpenAccount(account, f"{account}@example.com", DEPOSIT), at)
        yield from _records(engine, random_order(chance, account, number), at)


def random_order(chance: random.Random, account: AccountId, number: int) -> OpenTrade:
    return OpenTrade(
        account=account,
        trade_id=TradeId(f"{number:032x}"),
        asset=chance.choice(tuple(PRICES)),
        side=chance.choice((Side.LONG, Side.SHORT)),
        margin=chance.randint(1_000_000, 20_000_000),
        leverage=chance.randint(100, 500),
        client_order=f"client-{number}" if number % 4 == 0 else None,
    )


def _records(engine: Engine, command: OpenAccount | OpenTrade, at: int) -> list[Record]:
    outcome = engine.execute(command, at)
    assert isinstance(outcome, Done), outcome
    return outcome.records


async def report_starts(data_dir: Path, how: str) -> None:
    """The real process, killed each time so that it leaves no snapshot of its own."""
    times, recovered = list[float](), list[Recovered]()
    for _ in range(REPEATS):
        started = time.monotonic()
        async with Server(data_dir) as server:
            times.append(time.monotonic() - started)
            recovered.append(server.recovered)
            server.kill()
    last = recovered[-1]
    print(
        f"start {how} (snapshot {last.snapshot} + {last.replayed} events, {last.open_trades} open): "
        f"process start to `listening on` median {statistics.median(times):.2f} s (worst {max(times):.2f}), "
        f"of it recovery {statistics.median(each.seconds for each in recovered):.2f} s"
    )


async def report_snapshot(config: Config) -> None:
    """Snapshots while traders open and close, and while nothing else happens."""
    async with open_storage(config.storage.data_dir, config.instruments()) as storage:
        recovered = await recover(storage.journal, storage.snapshots)
        parts = assembly.make_parts(config, storage, recovered, assembly.make_source(config))
        for asset, price in PRICES.items():
            parts.sequencer.tick(PriceTick(asset, price - 1000, price + 1000, LIFE_US))
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(parts.writer.run())
            sequencing = tasks.create_task(parts.sequencer.run())
            await measure_holds(parts, recovered.state, storage, recovered.snapshot_seq)
            parts.sequencer.close()
            await sequencing
            parts.writer.close()
            await writing


async def measure_holds(parts: Parts, state: State, storage: Storage, snapshot_seq: int) -> None:
    snapshotter = parts.snapshotter(storage.snapshots, 1.0, snapshot_seq)
    accounts = [account.id for account in state.account_list]
    done = asyncio.Event()
    commands = [0]
    async with asyncio.TaskGroup() as traders:
        for number in range(TRADERS):
            traders.create_task(trade(parts.exchange, accounts, number, commands, done))
        await asyncio.sleep(0.5)  # warm
        before = await lag_while(lambda: asyncio.sleep(1.0))
        for _ in range(REPEATS):
            count, started = commands[0], time.monotonic()
            lag = await lag_while(snapshotter.take)
            seconds, stats = time.monotonic() - started, snapshotter.stats
            print(
                f"snapshot of {state.open_trades} open trades under load: {seconds:.2f} s, longest step "
                f"{stats.longest_step_s * 1000:.2f} ms; the loop's worst lag {lag * 1000:.1f} ms "
                f"(without a snapshot {before * 1000:.1f} ms), "
                f"{(commands[0] - count) / seconds:.0f} commands/s meanwhile"
            )
        done.set()


async def trade(
    exchange: Exchange, accounts: Sequence[AccountId], number: int, commands: list[int], done: asyncio.Event
) -> None:
    """Opens and closes, each durable before the next, of one account and another."""
    chance = random.Random(number)
    while not done.is_set():
        account = chance.choice(accounts)
        order = random_order(chance, account, 0)
        opened = await exchange.do(
            OpenTrade(account, TradeId(exchange.ids.new()), order.asset, order.side, 1_000_000, order.leverage)
        )
        assert isinstance(opened, Done), opened
        event = opened.records[0].event
        assert isinstance(event, TradeOpened)
        await exchange.do(CloseTrade(account, event.trade.id))
        commands[0] += 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trades", nargs="?", type=int, default=100_000)
    parser.add_argument("--per-account", type=int, default=100, help="trades of one account, at most 999")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(options.trades, options.per_account))

"""How long verify takes and how much memory it needs: python -m tests.storage.measure_verify [--events N] [--dir DIR]

Builds a directory with the real engine (accounts that trade, open trades that come and go, ticks that liquidate,
client order ids, ten snapshots) and runs `exness verify` on it in a process of its own.
"""

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from exness.core.commands import CloseTrade, Command, OpenTrade, PriceTick
from exness.core.engine import Done
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, TradeId
from exness.storage.files import MAIN_DB
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS
from tests.storage.damage import save
from tests.support.books import BTC, ETH, LONG, PRICE_LIFE, SHORT, SOL, START, make_engine, make_rules, open_account

ACCOUNTS = 1_000
OPEN_TRADES = 10_000
REMEMBERED = 20
"""Client order ids per account: few, so that the state stops growing long before the journal does."""
BATCH = 5_000
SNAPSHOTS = 10
PRICES = {SOL: 200_000_000, ETH: 3_000_000_000, BTC: 1_000_000_000}
MEBI = 1024 * 1024


class Market:
    """Random trading at a steady size: about OPEN_TRADES open."""

    def __init__(self, seed: int) -> None:
        self.engine = make_engine(make_rules(client_order_ids=REMEMBERED))
        self._random = random.Random(seed)
        self._prices = dict(PRICES)
        self._orders: list[tuple[AccountId, TradeId]] = []
        self._number = 0

    def records(self) -> Iterator[list[Record]]:
        """What each command brought about, without an end."""
        for number in range(ACCOUNTS):
            yield self._do(open_account(AccountId(f"account-{number}"), "1000000"))
        while True:
            self._number += 1
            if self._number % 50 == 1:
                for asset in self._prices:
                    yield self._do(self._tick(asset))
            yield self._do(self._trade())

    def _do(self, command: Command) -> list[Record]:
        records: list[Record] = []
        outcome = self.engine.execute(command, START + self._number * 300)
        while isinstance(outcome, Done):
            records += outcome.records
            if not outcome.more:
                break
            outcome = self.engine.execute(command, START + self._number * 300)
        return records

    def _tick(self, asset: Asset) -> PriceTick:
        wander = self._random.choice((-40, -3, -1, 0, 1, 3, 40))
        price = self._prices[asset] * (10_000 + wander) // 10_000
        self._prices[asset] = price = min(max(price, PRICES[asset] // 2), PRICES[asset] * 2)
        return PriceTick(asset, price - 50, price + 50, PRICE_LIFE)

    def _trade(self) -> Command:
        if len(self._orders) > OPEN_TRADES:
            place = self._random.randrange(len(self._orders))
            self._orders[place], self._orders[-1] = self._orders[-1], self._orders[place]
            return CloseTrade(*self._orders.pop())
        account = AccountId(f"account-{self._random.randrange(ACCOUNTS)}")
        order = TradeId(f"{self._random.getrandbits(128):032x}")
        self._orders.append((account, order))
        client_order = f"client-{self._number}" if self._number % 3 == 0 else None
        return OpenTrade(
            account=account,
            trade_id=order,
            asset=self._random.choice((SOL, ETH, BTC)),
            side=self._random.choice((LONG, SHORT)),
            margin=self._random.randrange(1_000_000, 20_000_000),
            leverage=self._random.choice((100, 500, 1000, 4099, 10_000)),
            slippage=None,
            expected_price=None,
            client_order=client_order,
        )


async def build(data_dir: Path, events: int) -> None:
    market = Market(seed=1)
    async with open_storage(data_dir, INSTRUMENTS, snapshots_kept=SNAPSHOTS) as storage:
        batch: list[Record] = []
        written, next_snapshot = 0, events // SNAPSHOTS
        with tqdm(total=events, unit=" events", mininterval=5) as bar:
            for records in market.records():
                batch += records[: events - written - len(batch)]
                done = written + len(batch) >= events
                if len(batch) < BATCH and not done:
                    continue
                await storage.journal.append(batch)
                written += len(batch)
                bar.update(len(batch))
                batch = []
                if written == market.engine.state.seq and written >= next_snapshot:
                    await save(storage.snapshots, market.engine.state)
                    next_snapshot += events // SNAPSHOTS
                if done:
                    break
    state = market.engine.state
    print(
        f"{written:,} events, {len(state.account_list):,} accounts, {state.open_trades:,} open trades, "
        f"{sum(len(account.seen) for account in state.account_list):,} client order ids"
    )


def measure(data_dir: Path) -> int:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "exness", "verify", "--data-dir", str(data_dir)], check=False)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"main.db {(data_dir / MAIN_DB).stat().st_size / MEBI:,.0f} MiB")
    print(f"verify: {seconds:.1f} s, peak {peak / MEBI:.0f} MiB")
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storage.measure_verify", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, help="where to build it, kept afterwards (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="exness-verify-") as folder:
        data_dir = options.dir or Path(folder) / "data"
        if not (data_dir / MAIN_DB).exists():
            asyncio.run(build(data_dir, options.events))
        return measure(data_dir)


if __name__ == "__main__":
    sys.exit(main())

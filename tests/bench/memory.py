"""Rows of memory: what an open trade and an idle account take, by the resident memory of a process that holds many."""

import gc
import random

from exness.core.commands import OpenAccount
from tests.bench.books import DEPOSIT, TRADES_PER_ACCOUNT, account_id, do, exits_on, order, wander, wide_rules
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child, rss_bytes
from tests.support.books import make_engine


async def measure_memory(settings: Settings, progress: Progress) -> list[Figure]:
    """Each round in a process of its own: freed memory is seldom given back."""
    figures: list[Figure] = []
    for name, function, count in (
        ("memory.trade", "bytes_per_trade", settings.memory_trades),
        ("memory.exits", "bytes_per_trade_with_exits", settings.memory_trades),
        ("memory.account", "bytes_per_account", settings.memory_accounts),
    ):
        progress.say(f"memory: {function.replace('_', ' ')}, of {count:,}")
        rounds = []
        for number in range(settings.memory_rounds):
            without = figures[0].rounds[number].measured if name == "memory.exits" else None
            rounds.append(Round(await in_child(settings, __name__, function, count=count), without))
        figures.append(figure(name, "B", rounds, of=count))
    return figures


# --- in a process of their own --------------------------------------------------------------------------------------


def bytes_per_trade_with_exits(count: int) -> float:
    """The same of a trade with a take profit and a stop loss."""
    return bytes_per_trade(count, with_exits=True)


def bytes_per_trade(count: int, *, with_exits: bool = False) -> float:
    """Of an open trade without a client order id, with all that finds it; the accounts are there before."""
    engine, chance = make_engine(wide_rules()), random.Random(4)
    accounts = -(-count // TRADES_PER_ACCOUNT)
    wander(engine, 0)
    for number in range(accounts):
        do(engine, OpenAccount(account_id(number), f"{number}@example.com", DEPOSIT))
    before = _settled()
    for number in range(count):
        opens = order(chance, account_id(number % accounts), number)
        do(engine, exits_on(opens, chance) if with_exits else opens)
    return (_settled() - before) / count


def bytes_per_account(count: int) -> float:
    """Of an account that has its first deposit and has never traded."""
    engine = make_engine(wide_rules())
    before = _settled()
    for number in range(count):
        do(engine, OpenAccount(account_id(number), f"trader-{number}@example.com", DEPOSIT))
    return (_settled() - before) / count


def _settled() -> int:
    gc.collect()
    return rss_bytes()

"""Rows of the engine alone: the pure core on one core, no loop, no disk.

Commands are made before the clock runs. What was built is frozen out of the garbage collector's sight, which stays on.
"""

import gc
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

from exness.core.commands import CloseTrade, Command, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.instruments import Asset, Side
from exness.core.outcomes import Done
from exness.core.state import State
from exness.core.trades import Trade
from tests.bench.books import LIFE_US, PRICES, account_id, do, engine_with, order, tick, wander
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child

SOL = Asset("SOL")
BACKGROUND_TRADES = 1_000
GROUPS_OF = {1: 500, 100: 20}
"""How many ticks that liquidate so many there are in a round, and as many runs of closes; 2 for any other number."""
WAVER = (-400, -100, 0, 100, 400)
"""Millionths that a tick which liquidates nothing lies off."""


async def measure_pairs(settings: Settings, progress: Progress) -> list[Figure]:
    """Open and close, one after the other."""
    progress.say(f"engine: {settings.rounds} rounds of {settings.pairs:,} pairs")
    rates = await in_child(settings, __name__, "pairs", count=settings.pairs, rounds=settings.rounds)
    return [figure("engine.pairs", "pairs/s", [Round(rate) for rate in rates])]


async def measure_ticks(settings: Settings, progress: Progress) -> list[Figure]:
    """Ticks that liquidate nothing, and ticks that liquidate, with few and with very many open trades."""
    progress.say(f"ticks: building engines with {', '.join(f'{size:,}' for size in settings.sizes)} open trades")
    done = await in_child(
        settings,
        __name__,
        "ticks",
        sizes=settings.sizes,
        count=settings.ticks,
        rounds=settings.rounds,
        liquidations=settings.liquidations,
    )
    fewest = done["idle"][0]
    figures = [
        figure(f"ticks.{size}", "ns", [Round(now, few) for now, few in zip(values, fewest, strict=True)])
        for size, values in zip(settings.sizes, done["idle"], strict=True)
    ]
    for k, values in zip(settings.liquidations, done["liquidating"], strict=True):
        rounds = [Round(ticking, closing) for ticking, closing in values]
        figures.append(figure(f"liquidations.{k}", "ns each", rounds, open_trades=max(settings.sizes)))
    return figures


# --- in a process of their own --------------------------------------------------------------------------------------


def pairs(count: int, rounds: int) -> list[float]:
    """Pairs a second of each round."""
    engine, chance = engine_with(BACKGROUND_TRADES), random.Random(2)
    accounts, rates = len(engine.state.account_list), []
    for _ in range(rounds):
        commands = list[Command]()
        for number in range(count):
            opens = order(chance, account_id(number % accounts), 10**12 + number)
            commands += [opens, CloseTrade(opens.account, opens.trade_id)]
        freeze()
        rates.append(count / seconds_of(engine, commands))
    return rates


def ticks(sizes: Sequence[int], count: int, rounds: int, liquidations: Sequence[int]) -> dict[str, Any]:
    """Nanoseconds: `idle[size][round]` a tick, `liquidating[k][round]` a liquidated trade and a closed one."""
    engines = [engine_with(size) for size in sizes]
    freeze()
    idle: list[list[float]] = [[] for _ in sizes]
    commands = [tick(asset, WAVER[number % len(WAVER)]) for number in range(count // 3) for asset in PRICES]
    for engine in engines:
        seconds_of(engine, commands)  # warm
    for number in range(rounds):
        in_turn = list(zip(idle, engines, strict=True))
        for values, engine in in_turn if number % 2 else in_turn[::-1]:
            values.append(seconds_of(engine, commands) / len(commands) * 1e9)
    liquidating = [[liquidate(engines[-1], k) for _ in range(rounds)] for k in liquidations]
    return {"idle": idle, "liquidating": liquidating}


def seconds_of(engine: Engine, commands: Sequence[Command]) -> float:
    """How long they take, one after the other. None may be refused."""
    execute, at = engine.execute, engine.state.at + 1
    began = time.perf_counter()
    for command in commands:
        outcome = execute(command, at)
        if type(outcome) is not Done:
            raise AssertionError(outcome)
    return time.perf_counter() - began


def liquidate(engine: Engine, k: int) -> tuple[float, float]:
    """Nanoseconds a trade when one tick liquidates k, and when k are closed one by one; medians over groups, in turn.

    The groups are the longs nearest to liquidation, in order; they are opened again at the end.
    """
    groups = groups_of(engine.state, k)
    ticking: list[float] = []
    closing: list[float] = []
    for number, group in enumerate(groups):
        if number % 2 == 0:
            before = engine.state.open_trades
            spent = tick_ns(engine, PriceTick(SOL, group[-1].liquidation, group[-1].liquidation, LIFE_US))
            ticking.append(spent / (before - engine.state.open_trades))
        else:
            closes = [CloseTrade(trade.account, trade.id) for trade in group]
            closing.append(seconds_of(engine, closes) * 1e9 / k)
    for group in groups:
        for number, trade in enumerate(group):
            do(engine, tick(SOL, number * 7919 % 1000 - 500))  # so that few have the same liquidation price
            do(engine, OpenTrade(trade.account, trade.id, SOL, trade.side, trade.margin, trade.leverage))
    wander(engine, 0)
    return statistics.median(ticking), statistics.median(closing)


def groups_of(state: State, k: int) -> list[list[Trade]]:
    """Groups of k longs, nearest to liquidation first, each of another price; an even number of groups."""
    longs = {
        trade.liquidation: trade
        for account in state.account_list
        for trade in account.trades.values()
        if trade.asset == SOL and trade.side is Side.LONG
    }
    nearest = [longs[price] for price in sorted(longs, reverse=True)]
    groups = min(GROUPS_OF.get(k, 2), len(nearest) // (2 * k))
    if not groups:
        raise ValueError(f"{len(nearest)} longs are too few to liquidate {k} and close {k}")
    return [nearest[k * number : k * (number + 1)] for number in range(2 * groups)]


def tick_ns(engine: Engine, command: PriceTick) -> int:
    """One tick, with all its steps."""
    began = time.perf_counter_ns()
    engine.execute(command, engine.state.at + 1)
    return time.perf_counter_ns() - began


def freeze() -> None:
    """What there is, is out of the garbage collector's sight from now on."""
    gc.collect()
    gc.freeze()

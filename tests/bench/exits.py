"""Rows of the engine alone with all that can wait: trades with exits, trailing stops and orders.

Every trade has a stop loss and a take profit, the longs, half of them, a trailing stop too, and there is an order that
waits for each five trades. Nothing of it is near to the price but the stop losses.
"""

import random
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from exness.core.commands import CloseTrade, OpenTrade, PlaceOrder, PriceTick
from exness.core.engine import Engine
from exness.core.instruments import Asset, OrderId, Side
from exness.core.state import State
from exness.core.trades import Trade, Trailing
from tests.bench.books import (
    LIFE_US,
    PRICES,
    SIDES,
    TRADES_PER_ACCOUNT,
    account_id,
    do,
    exits_on,
    opening,
    order_id,
    tick,
    wander,
    wide_rules,
)
from tests.bench.engine import GROUPS_OF, WAVER, freeze, seconds_of, tick_ns
from tests.bench.figures import Figure, Round, figure
from tests.bench.running import Progress, Settings, in_child
from tests.support.books import make_engine

SOL = Asset("SOL")
TRADES_AN_ORDER = 5


async def measure_exits(settings: Settings, progress: Progress) -> list[Figure]:
    """Ticks that set nothing off, with few and with very many that wait, and ticks that set stop losses off."""
    sizes = sorted({settings.sizes[0], settings.sizes[-1]})
    progress.say(f"exits: building engines with {', '.join(f'{size:,}' for size in sizes)} open trades and their exits")
    done = await in_child(
        settings,
        __name__,
        "exits",
        sizes=sizes,
        count=settings.ticks,
        rounds=settings.rounds,
        fired=settings.liquidations,
    )
    fewest = done["quiet"][0]
    figures = [
        figure(f"quiet.{size}", "ns", [Round(now, few) for now, few in zip(values, fewest, strict=True)])
        for size, values in zip(sizes, done["quiet"], strict=True)
    ]
    for k, values in zip(settings.liquidations, done["fired"], strict=True):
        rounds = [Round(ticking, closing) for ticking, closing in values]
        figures.append(figure(f"fired.{k}", "ns each", rounds, open_trades=sizes[-1]))
    return figures


# --- in a process of their own --------------------------------------------------------------------------------------


def exits(sizes: Sequence[int], count: int, rounds: int, fired: Sequence[int]) -> dict[str, Any]:
    """Nanoseconds: `quiet[size][round]` a tick, `fired[k][round]` a trade that its stop loss closes and one closed."""
    engines = [engine_with_exits(size) for size in sizes]
    freeze()
    quiet: list[list[float]] = [[] for _ in sizes]
    commands = [tick(asset, WAVER[number % len(WAVER)]) for number in range(count // 3) for asset in PRICES]
    for engine in engines:
        seconds_of(engine, commands)  # warm, and no watermark moves any more
    for number in range(rounds):
        in_turn = list(zip(quiet, engines, strict=True))
        for values, engine in in_turn if number % 2 else in_turn[::-1]:
            seq = engine.state.seq
            values.append(seconds_of(engine, commands) / len(commands) * 1e9)
            assert engine.state.seq == seq, "something was set off"
    return {"quiet": quiet, "fired": [[fire(engines[-1], k) for _ in range(rounds)] for k in fired]}


def engine_with_exits(trades: int) -> Engine:
    """So many trades, and a fifth as many orders."""
    rules = msgspec.structs.replace(wide_rules(), max_open_orders_per_account=10**9)
    engine, chance = make_engine(rules), random.Random(3)
    for _ in opening(engine, trades, and_more=lambda opens: _all_exits(opens, chance)):
        pass
    for number in range(trades // TRADES_AN_ORDER):
        account = account_id(number * TRADES_AN_ORDER // TRADES_PER_ACCOUNT)
        asset, side = chance.choice(tuple(PRICES)), chance.choice(SIDES)
        away, price = chance.randint(200_000, 500_000), PRICES[asset]
        is_stop = number % 2 == 1
        level = price + (1 if (side is Side.LONG) is is_stop else -1) * price * away // 1_000_000
        waits = PlaceOrder(account, OrderId(f"{number:032x}"), asset, side, 1_000_000, 500, limit=level)
        do(engine, msgspec.structs.replace(waits, limit=None, stop=level) if is_stop else waits)
    return engine


def _all_exits(opens: OpenTrade, chance: random.Random) -> OpenTrade:
    opens = exits_on(opens, chance)
    if opens.side is not Side.LONG:
        return opens
    millionths = chance.randint(200_000, 400_000)
    if millionths % 2:
        trailing = Trailing(distance=PRICES[opens.asset] * millionths // 1_000_000)
    else:
        trailing = Trailing(percent=millionths // 100)
    return msgspec.structs.replace(opens, trailing_stop=trailing)


def fire(engine: Engine, k: int) -> tuple[float, float]:
    """Nanoseconds a trade when one tick sets off k stop losses, and when k such trades are closed one by one; medians
    over groups, in turn.

    The groups are the longs whose stop losses are nearest, in order; they are opened again at the end.
    """
    groups = groups_of(engine.state, k)
    ticking: list[float] = []
    closing: list[float] = []
    for number, group in enumerate(groups):
        if number % 2 == 0:
            before = engine.state.open_trades
            level = level_of(group[-1])
            spent = tick_ns(engine, PriceTick(SOL, level, level, LIFE_US))
            ticking.append(spent / (before - engine.state.open_trades))
        else:
            closes = [CloseTrade(trade.account, trade.id) for trade in group]
            closing.append(seconds_of(engine, closes) * 1e9 / k)
    wander(engine, 0)
    chance = random.Random(k)
    for number, trade in enumerate(trade for group in groups for trade in group):
        opens = OpenTrade(trade.account, order_id(10**15 + engine.state.seq), SOL, trade.side, trade.margin, 500)
        do(engine, tick(SOL, number * 7919 % 800 - 400))
        do(engine, _all_exits(opens, chance))
    wander(engine, 0)
    return statistics.median(ticking), statistics.median(closing)


def level_of(trade: Trade) -> int:
    """Of its stop loss."""
    assert trade.stop_loss is not None
    return trade.stop_loss.price


def groups_of(state: State, k: int) -> list[list[Trade]]:
    """Groups of k longs, nearest to their stop losses first, each of another level; an even number of groups."""
    longs = {
        level_of(trade): trade
        for account in state.account_list
        for trade in account.trades.values()
        if trade.asset == SOL and trade.side is Side.LONG
    }
    nearest = [longs[price] for price in sorted(longs, reverse=True)]
    groups = min(GROUPS_OF.get(k, 2), len(nearest) // (2 * k))
    if not groups:
        raise ValueError(f"{len(nearest)} longs are too few to set off {k} and close {k}")
    return [nearest[k * number : k * (number + 1)] for number in range(2 * groups)]

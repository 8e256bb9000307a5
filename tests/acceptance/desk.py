"""Many traders at one real server: random orders, sent at once."""

import asyncio
import random
from fractions import Fraction
from typing import Any

from tests.acceptance.reckoning import Position, usdc
from tests.support.process import Answer, Server
from tests.support.recorded import DECIMALS, Tick
from tests.support.waiting import until

WAIT_S = 30.0
AT_ONCE = 64
"""Requests in flight."""


def user(number: int) -> str:
    return f"trader{number}@example.com"


async def sign_in(server: Server, count: int) -> dict[str, str]:
    """Tokens by address. Works before the server has started, too."""
    users = [user(number) for number in range(count)]
    return dict(zip(users, await asyncio.gather(*map(server.token, users)), strict=True))


def random_position(chance: random.Random, users: list[str], index: int) -> Position:
    """Mixed user, asset, side, margin and leverage, the latter more often low, and often with two decimals."""
    reach = chance.choice((500, 2_500, 10_000))
    hundredths = chance.randint(100, reach)
    if chance.random() < 0.4:
        hundredths = max(100, hundredths // 100 * 100)
    return Position(
        user=users[index % len(users)],
        asset=chance.choice(tuple(DECIMALS)),
        side=chance.choice(("long", "short")),
        margin=chance.randint(1_000_000, 40_000_000),
        leverage=Fraction(hundredths, 100),
    )


def order_body(position: Position) -> dict[str, Any]:
    leverage = float(position.leverage)
    return {
        "asset": position.asset,
        "type": position.side,
        "margin": usdc(position.margin),
        "leverage": int(leverage) if leverage.is_integer() else leverage,
    }


async def open_all(server: Server, tokens: dict[str, str], positions: list[Position]) -> None:
    """Open them, many at once. Every one must be accepted."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one(position: Position) -> None:
        async with gate:
            answer = await server.post("/trade/create", tokens[position.user], order_body(position))
        assert answer.status == 200, answer.body
        position.order = answer.body["orderId"]

    await asyncio.gather(*map(open_one, positions))


async def close_all(server: Server, tokens: dict[str, str], positions: list[Position]) -> list[Answer]:
    """Ask to close them; some may have been liquidated."""
    asks = (server.post("/trade/close", tokens[each.user], {"orderId": each.order}) for each in positions)
    return await asyncio.gather(*asks)


async def until_mark(server: Server, *ticks: Tick) -> None:
    """Wait until /prices shows exactly these ticks."""
    wanted = {tick.asset: str(tick.mark) for tick in ticks}

    async def are_shown() -> bool:
        prices = (await server.get("/prices")).body
        return all(prices[asset]["price"] == mark for asset, mark in wanted.items())

    await until(are_shown, wanted, within_s=WAIT_S, pause_s=0.005)


def last_unmistakable(ticks: list[Tick], first: int, end: int) -> int:
    """The index, `end` or shortly before, of a tick whose mark is not found at its asset among those from `first` on:
    once it is shown, it has come, and so has everything before it."""
    for index in range(end, first, -1):
        tick = ticks[index]
        if all(each.mark != tick.mark for each in ticks[first:index] if each.asset == tick.asset):
            return index
    raise AssertionError("every price of this stretch was there before")

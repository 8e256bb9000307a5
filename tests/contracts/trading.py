"""Histories for the stores to hold, made by the real engine."""

import random
from collections.abc import Iterator, Sequence

from exness.core.capture import Capture, Header
from exness.core.commands import CloseTrade, OpenTrade, PriceTick
from exness.core.engine import Done
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, TradeId
from exness.core.state import State
from exness.runtime.ports.journal import Journal
from tests.support.books import (
    BTC,
    ETH,
    LONG,
    PRICE_LIFE,
    SHORT,
    SOL,
    Desk,
    deposit,
    open_account,
)

TRADERS = [AccountId(f"trader-{number}") for number in range(6)]
_PRICES = {SOL: 200_000_000, ETH: 3_000_000_000, BTC: 1_000_000_000}


def random_trading(seed: int, steps: int = 300, desk: Desk | None = None) -> Desk:
    """A desk after `steps` random commands of a few traders: round amounts (so that figures tie), jumping prices (so
    that much is liquidated, with shortfalls), client order ids, several commands at one time, request ids.

    `desk`: one to go on with, on which there is no account yet.
    """
    rng = random.Random(seed)
    desk = desk or Desk()
    prices = dict(_PRICES)
    for trader in TRADERS[:3]:
        desk.do(open_account(trader))
    for asset in prices:
        _tick(rng, desk, prices, asset)
    for step in range(steps):
        desk.at += rng.choice((0, 0, 1, 250_000))
        accounts = desk.state.account_list
        trader = rng.choice(accounts).id
        what = rng.random()
        if what < 0.02 and len(accounts) < len(TRADERS):
            desk.do(open_account(TRADERS[len(accounts)], rng.choice(("5000", "0"))))
        elif what < 0.05:
            desk.do(deposit(trader, rng.choice(("1", "250.000001"))))
        elif what < 0.50:
            _ask(desk, _random_order(rng, trader, step), f"request-{step}")
        elif what < 0.65:
            if trades := list(desk.state.accounts[trader].trades):
                _ask(desk, CloseTrade(trader, rng.choice(trades)), f"request-{step}")
        else:
            _tick(rng, desk, prices, rng.choice(list(prices)))
    return desk


def _random_order(rng: random.Random, trader: AccountId, step: int) -> OpenTrade:
    client_order = f"mine-{step}" if rng.random() < 0.3 else None
    return OpenTrade(
        account=trader,
        trade_id=TradeId(f"{rng.getrandbits(64):016x}"),
        asset=rng.choice((SOL, ETH, BTC)),
        side=rng.choice((LONG, SHORT)),
        margin=rng.choice((1_000_000, 25_000_000, 100_000_000, rng.randrange(1, 10**9))),
        leverage=rng.choice((100, 1000, 4099, 10_000)),
        client_order=client_order,
    )


def _tick(rng: random.Random, desk: Desk, prices: dict[Asset, int], asset: Asset) -> None:
    prices[asset] = max(1000, int(prices[asset] * rng.choice((0.93, 0.99, 0.999, 1, 1.001, 1.01, 1.07))))
    spread = rng.randrange(0, prices[asset] // 1000)
    desk.do(PriceTick(asset, prices[asset], prices[asset] + spread, PRICE_LIFE * 10_000))


def _ask(desk: Desk, command: OpenTrade | CloseTrade, request: str) -> None:
    """Refusals are part of trading."""
    outcome = desk.engine.execute(command, desk.at, request)
    if isinstance(outcome, Done):
        desk.records += outcome.records


def batches(records: Sequence[Record], seed: int = 0) -> Iterator[list[Record]]:
    """The records in batches of random size, as a busy and an idle exchange would commit them."""
    rng = random.Random(seed)
    start = 0
    while start < len(records):
        size = rng.choice((1, 2, 7, 50))
        yield list(records[start : start + size])
        start += size


async def append_all(journal: Journal, records: Sequence[Record]) -> None:
    for batch in batches(records):
        await journal.append(batch)


async def read_all(journal: Journal, after: int = 0) -> list[Record]:
    return [record async for chunk in journal.read(after) for record in chunk]


def picture(state: State, budget: int = 5) -> tuple[Header, list[list[bytes]]]:
    """The plain form of a state, in small chunks."""
    chunks = []
    with Capture(state) as capture:
        while accounts := capture.take(budget):
            chunks.append(accounts)
    return capture.header, chunks

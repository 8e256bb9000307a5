"""Engines with very many open trades, built through the engine itself."""

import random
from collections.abc import Callable, Iterator

import msgspec

from exness.core.commands import Command, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.core.outcomes import Done
from exness.core.rules import Rules
from tests.support.books import START, make_engine, make_rules

PRICES = {Asset("SOL"): 200_000_000, Asset("ETH"): 3_000_000_000, Asset("BTC"): 1_000_000_000}
LIFE_US = 10**15
"""Microseconds a price lives: longer than any measurement."""

DEPOSIT = 10**13
TRADES_PER_ACCOUNT = 100
SIDES = (Side.LONG, Side.SHORT)
MARGIN = (1_000_000, 20_000_000)
LEVERAGE = (150, 1000)
"""Hundredths: the nearest liquidation is a tenth of the price away, which no tick of a measurement reaches unmeant."""


def wide_rules() -> Rules:
    """Limits that no measurement meets."""
    return msgspec.structs.replace(
        make_rules(),
        max_open_trades_per_account=10**9,
        max_notional_per_account=10**30,
        max_open_interest_per_asset=10**30,
    )


def engine_with(trades: int, per_account: int = TRADES_PER_ACCOUNT, rules: Rules | None = None) -> Engine:
    """An engine with so many open trades, over all assets and both sides, their liquidation prices spread."""
    engine = make_engine(rules or wide_rules())
    for _ in opening(engine, trades, per_account):
        pass
    return engine


def opening(
    engine: Engine,
    trades: int,
    per_account: int = TRADES_PER_ACCOUNT,
    and_more: Callable[[OpenTrade], OpenTrade] = lambda opens: opens,
) -> Iterator[Record]:
    """Opens them in an empty engine, and the records of it. The prices end where `PRICES` has them. `and_more`: what is
    asked for beside."""
    chance, account = random.Random(1), AccountId("")
    for number in range(trades):
        if number % per_account == 0:
            wander(engine, chance.randint(-500, 500))
            account = account_id(number // per_account)
            yield from do(engine, OpenAccount(account, f"{account}@example.com", DEPOSIT))
        yield from do(engine, and_more(order(chance, account, number)))
    wander(engine, 0)


def wander(engine: Engine, millionths: int) -> None:
    """Every price at so much from where `PRICES` has it."""
    for asset in PRICES:
        do(engine, tick(asset, millionths))


def tick(asset: Asset, millionths: int) -> PriceTick:
    price = PRICES[asset] + PRICES[asset] * millionths // 1_000_000
    return PriceTick(asset, price - 1000, price + 1000, LIFE_US)


def order(chance: random.Random, account: AccountId, number: int) -> OpenTrade:
    return OpenTrade(
        account=account,
        trade_id=order_id(number),
        asset=chance.choice(tuple(PRICES)),
        side=chance.choice(SIDES),
        margin=chance.randint(*MARGIN),
        leverage=chance.randint(*LEVERAGE),
    )


def exits_on(opens: OpenTrade, chance: random.Random) -> OpenTrade:
    """With a stop loss 2 to 6 % and a take profit 10 to 50 % away from `PRICES`, and so before any liquidation."""
    price, sign = PRICES[opens.asset], 1 if opens.side is Side.LONG else -1
    return msgspec.structs.replace(
        opens,
        stop_loss=price - sign * chance.randint(price // 50, price * 3 // 50),
        take_profit=price + sign * chance.randint(price // 10, price // 2),
    )


def longs(trades: int, rules: Rules | None = None, at: int = 0) -> tuple[Engine, list[Record]]:
    """An engine with so many longs of SOL, none nearer to its liquidation than a tenth of the price, and its records.
    `at`: of all of them."""
    engine, sol = make_engine(rules or wide_rules()), Asset("SOL")
    do(engine, tick(sol, 0), at)
    records: list[Record] = []
    for number in range(trades):
        account = account_id(number // TRADES_PER_ACCOUNT)
        if number % TRADES_PER_ACCOUNT == 0:
            records += do(engine, OpenAccount(account, f"{account}@example.com", DEPOSIT), at)
        leverage = 500 + number * 7919 % 500
        records += do(engine, OpenTrade(account, order_id(number), sol, Side.LONG, 10_000_000, leverage), at)
    return engine, records


def account_id(number: int) -> AccountId:
    """As long as a real one."""
    return AccountId(f"a{number:031}")


def order_id(number: int) -> TradeId:
    """As long as a real one."""
    return TradeId(f"{number:032x}")


def do(engine: Engine, command: Command, at: int = 0) -> list[Record]:
    """Executes it; it must not be refused."""
    outcome = engine.execute(command, at or max(engine.state.at + 1, START))
    assert isinstance(outcome, Done), outcome
    return outcome.records

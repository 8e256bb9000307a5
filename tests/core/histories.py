"""Random histories for property tests: what traders and prices do, as a list of commands with their times."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Done, Engine
from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, Execution, Side, TradeId
from exness.core.rules import Rules
from tests.support.books import BTC, PRICE_LIFE, SECOND, SOL, START, make_rules

History = list[tuple[Command, int]]

ASSETS = (SOL, BTC)
ACCOUNTS = tuple(map(AccountId, ("ann", "bob", "cid")))
DEPOSITS = (5_000_000_000, 100_000_000, 0)
"""The first two accounts are there from the beginning; the third comes when a step opens it."""

_who = st.sampled_from((0, 0, 0, 0, 0, 1, 1, 1, 2))
_margins = st.integers(1, 2_000) | st.integers(1_000_000, 300_000_000) | st.just(100_000_000)
_leverages = st.sampled_from((100, 101, 150, 1_000, 4_099, 10_000)) | st.integers(100, 10_000)
_percents = st.integers(97, 103) | st.integers(85, 115) | st.integers(40, 200)

_open_steps = st.tuples(
    st.just("open"),
    _who,
    st.sampled_from(ASSETS),
    st.sampled_from(Side),
    _margins,
    _leverages,
    st.one_of(st.none(), st.none(), st.none(), st.tuples(st.integers(10, 300), st.integers(95, 105))),
    st.one_of(st.none(), st.none(), st.tuples(st.sampled_from("abc"), st.sampled_from("xxy"))),
)
_tick_steps = st.tuples(
    st.just("tick"), st.sampled_from(ASSETS), _percents, st.integers(0, 3), st.sampled_from((0, 0, 1, 3, 40))
)
_close_steps = st.tuples(st.just("close"), st.integers(0, 5), st.sampled_from((False, False, False, True)))
_deposit_steps = st.tuples(st.just("deposit"), _who, st.integers(1, 200_000_000))
_account_steps = st.tuples(st.just("account"), _who)
_wait_steps = st.tuples(
    st.just("wait"), st.sampled_from((1, SECOND, 5 * SECOND, PRICE_LIFE, PRICE_LIFE + 1, -5 * SECOND))
)

# Weighed by hand: most of what happens is trading.
_steps = st.sampled_from(
    9 * [_open_steps] + 5 * [_tick_steps] + 3 * [_close_steps] + [_deposit_steps, _account_steps, _wait_steps]
).flatmap(lambda steps: steps)


def histories(max_steps: int = 40) -> st.SearchStrategy[History]:
    """Two accounts and a price for each asset, then up to `max_steps` of anything, refusals and old times included.

    Prices are around 97 units, so that every rounding shows, or around 200 000 000, as SOL has them.
    """
    # Left alone, Hypothesis keeps lists short; a market needs a crowd.
    steps = st.lists(_steps, max_size=8) | st.lists(_steps, min_size=max_steps // 2, max_size=max_steps)
    return st.builds(_commands, st.sampled_from((97, 10_007, 200_000_000)), steps)


def all_rules() -> st.SearchStrategy[Rules]:
    """Rules so wide that money alone limits, and rules so narrow that every limit is met."""
    return st.builds(
        make_rules,
        execution=st.sampled_from(Execution),
        max_open_trades=st.sampled_from((1000, 3)),
        max_notional=st.sampled_from(("10000000", "2500")),
        max_open_interest=st.sampled_from(("1000000000", "3000")),
        client_order_ids=st.sampled_from((1000, 2, 1)),
    )


def play(engine: Engine, history: Iterable[tuple[Command, int]]) -> list[Record]:
    """All records of a history, each tick done with all its steps."""
    records = []
    for command, at in history:
        while isinstance(outcome := engine.execute(command, at), Done):
            records += outcome.records
            if not outcome.more:
                break
    return records


def _commands(scale: int, steps: list[tuple[Any, ...]]) -> History:
    at, orders = START, list[OpenTrade]()
    history: History = [(_account(0), at), (_account(1), at)]
    history += [(PriceTick(asset, scale, scale, PRICE_LIFE), at) for asset in ASSETS]
    for kind, *rest in steps:
        match kind:
            case "wait":
                at += rest[0]
            case "account":
                history.append((_account(rest[0]), at))
            case "deposit":
                history.append((Deposit(ACCOUNTS[rest[0]], rest[1]), at))
            case "tick":
                history.append((_tick(scale, *rest), at))
            case "open":
                orders.append(_open(scale, len(orders), *rest))
                history.append((orders[-1], at))
            case "close" if orders:
                back, by_a_stranger = rest
                order = orders[-1 - back % len(orders)]
                account = ACCOUNTS[(ACCOUNTS.index(order.account) + by_a_stranger) % 2]
                history.append((CloseTrade(account, order.trade_id), at))
    return history


def _account(who: int) -> OpenAccount:
    return OpenAccount(ACCOUNTS[who], f"{ACCOUNTS[who]}@example.com", DEPOSITS[who])


def _tick(scale: int, asset: Asset, percent: int, units: int, spread: int) -> PriceTick:
    bid = scale * percent // 100 + units
    return PriceTick(asset, bid, bid + spread * scale // 100, PRICE_LIFE)


def _open(
    scale: int,
    number: int,
    who: int,
    asset: Asset,
    side: Side,
    margin: int,
    leverage: int,
    slippage: tuple[int, int] | None,
    client_order: tuple[str, str] | None,
) -> OpenTrade:
    return OpenTrade(
        account=ACCOUNTS[who],
        trade_id=TradeId(f"o-{number}"),
        asset=asset,
        side=side,
        margin=margin,
        leverage=leverage,
        slippage=slippage and slippage[0],
        expected_price=slippage and scale * slippage[1] // 100,
        client_order=client_order and client_order[0],
    )

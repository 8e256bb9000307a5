"""With every rate 0 and every option off, the rule book is what the engine has done since before it: the same events,
figures and refusals for the same commands.
"""

from typing import Any

from hypothesis import given

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Done, Engine, Outcome
from exness.core.events import AccountOpened, Deposited, Event, TradeClosed, TradeLiquidated, TradeOpened
from exness.core.outcomes import Repeated
from exness.core.rules import Rules
from exness.core.state import State
from tests.core.histories import History, all_rules, histories
from tests.reference.rulebook import commands as c
from tests.reference.rulebook import rules as r
from tests.reference.rulebook.exchange import Exchange
from tests.support.lanes import examples

Told = dict[str, Any]


def rules_of(rules: Rules) -> r.Rules:
    assets = {str(asset): r.AssetRules(it.decimals, 3, it.max_leverage) for asset, it in rules.instruments.items()}
    return r.Rules(
        assets,
        execution=rules.execution.value,
        max_open_trades=rules.max_open_trades_per_account,
        max_notional=rules.max_notional_per_account,
        max_open_interest=rules.max_open_interest_per_asset,
        client_order_ids=rules.client_order_ids_per_account,
    )


def command_of(it: Command) -> c.Command:
    match it:
        case OpenAccount():
            return c.OpenAccount(it.account, it.email, it.deposit)
        case Deposit():
            return c.Deposit(it.account, it.amount)
        case OpenTrade():
            return c.OpenTrade(
                it.account,
                it.order,
                it.asset,
                it.side.value,
                it.margin,
                it.leverage,
                it.slippage,
                it.expected_price,
                it.seen_price,
                client_order=it.client_order,
            )
        case CloseTrade():
            return c.CloseTrade(it.account, it.order)
        case PriceTick():
            return c.PriceTick(it.asset, it.bid, it.ask, it.life_us, it.suspect)
        case _:
            raise AssertionError(f"no history has {it}")


def told(it: Event) -> Told:
    """In the rule book's words."""
    match it:
        case AccountOpened():
            return {"event": "account_opened", "account": it.account, "amount": it.deposit}
        case Deposited():
            return {"event": "deposited", "account": it.account, "amount": it.amount, "balance": it.balance}
        case TradeOpened():
            trade = it.trade
            return {
                "event": "trade_opened",
                "order": trade.order,
                "side": trade.side.value,
                "price": trade.entry,
                "margin": trade.margin,
                "leverage": trade.leverage,
                "size": trade.margin * trade.leverage,
                "fee": 0,
                "liquidation": trade.liquidation,
                "balance": it.balance,
            }
        case TradeClosed():
            return {
                "event": "trade_closed",
                "order": it.order,
                "price": it.price,
                "margin": it.margin,
                "pnl": it.pnl,
                "fee": 0,
                "returned": it.returned,
                "shortfall": it.shortfall,
                "covered": 0,
                "reason": "user",
                "balance": it.balance,
            }
        case TradeLiquidated():
            return {
                "event": "trade_liquidated",
                "order": it.order,
                "mark": it.mark,
                "bid": it.bid,
                "ask": it.ask,
                "margin": it.margin,
                "pnl": it.pnl,
                "fee": 0,
                "returned": 0,
                "forfeited": 0,
                "shortfall": it.shortfall,
                "balance": it.balance,
            }
        case _:
            raise AssertionError(f"no history has {it}")


def all_of(engine: Engine, command: Command, at: int) -> tuple[list[Told], Outcome]:
    events: list[Told] = []
    while isinstance(outcome := engine.execute(command, at), Done):
        events += [{**told(each.event), "seq": each.seq, "at": each.at} for each in outcome.records]
        if not outcome.more:
            break
    return events, outcome


@examples(100)
@given(all_rules(), histories())
def test_rates_of_nothing_are_the_engine_of_today(rules: Rules, history: History) -> None:
    engine, twin = Engine(rules, State()), Exchange(rules_of(rules), checked=True)
    at = 0
    for command, asked_at in history:
        at = max(at, asked_at)  # as the sequencer's clock has it
        predicted = twin.execute(command_of(command), at)
        events, outcome = all_of(engine, command, at)
        assert len(events) == len(predicted.events)
        for real, expected in zip(events, predicted.events, strict=True):
            assert real == {name: expected[name] for name in real}
        if isinstance(outcome, Repeated):
            assert predicted.repeated == (outcome.seen.seq, outcome.seen.seq)
        elif not isinstance(outcome, Done):
            assert predicted.refusal is not None
            assert predicted.refusal.code == outcome.reject.value
        else:
            assert predicted.refusal is None
            assert predicted.repeated is None

"""Accounts, and what is set by hand."""

from msgspec.structs import replace

from exness.core.commands import Deposit, OpenAccount, PayInsurance, Reset, SetProfile, SetRates
from exness.core.decide.guards import out_of_range, wrong
from exness.core.decide.trails import trail_moved
from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    ExchangeReset,
    InsurancePaid,
    ProfileSet,
    RatesSet,
)
from exness.core.rates import problems
from exness.core.rejects import Figure, Refusal, Reject
from exness.core.rules import DEPOSIT, FIRST_DEPOSIT, HELD, Rules
from exness.core.state import State
from exness.core.tick_order import looks_of


def decide_account(state: State, rules: Rules, command: OpenAccount, at: int) -> list[Event] | Refusal:
    if command.email in state.by_email or command.account in state.accounts:
        return Refusal(Reject.ACCOUNT_EXISTS)
    return out_of_range(Figure.DEPOSIT, command.deposit, FIRST_DEPOSIT) or [
        AccountOpened(command.account, command.email, command.deposit)
    ]


def decide_deposit(state: State, rules: Rules, command: Deposit, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    would_hold = account.free + account.bound + command.amount
    refusal = out_of_range(Figure.AMOUNT, command.amount, DEPOSIT) or out_of_range(Figure.BALANCE, would_hold, HELD)
    return refusal or [Deposited(account.id, command.amount, account.free + command.amount)]


def decide_rates(state: State, rules: Rules, command: SetRates, at: int) -> list[Event] | Refusal:
    if command.asset not in rules.instruments:
        return wrong("asset", "be a configured one")
    rates = replace(rules.rates_of(command.asset), **command.changes)
    for problem in problems(rates):
        return wrong(problem.key, problem.must)
    return [RatesSet(command.asset, rates)]


def decide_profile(state: State, rules: Rules, command: SetProfile, at: int) -> list[Event] | Refusal:
    c = command
    for rates in c.rates.values():
        for problem in problems(rates):
            return wrong(problem.key, problem.must)
    events: list[Event] = [ProfileSet(c.profile, c.execution, c.trigger, c.limit_fill, dict(c.rates))]
    later = replace(rules, execution=c.execution, trigger=c.trigger)
    for asset, market in sorted(state.markets.items()):  # stops look at another price from now on
        price = market.price
        moved = None if price is None else trail_moved(asset, market, price, looks_of(later, price))
        if moved is not None:
            events.append(moved)
    return events


def decide_insurance(state: State, rules: Rules, command: PayInsurance, at: int) -> list[Event] | Refusal:
    return out_of_range(Figure.AMOUNT, command.amount, DEPOSIT) or [InsurancePaid(command.amount)]


def decide_reset(state: State, rules: Rules, command: Reset, at: int) -> list[Event] | Refusal:
    return [ExchangeReset(), InsurancePaid(command.insurance)] if command.insurance else [ExchangeReset()]

"""The door: one command at a time, each with its time."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.reference.rulebook import checks, exits, nets, orders, parts, ticks
from tests.reference.rulebook import commands as c
from tests.reference.rulebook.book import Account, Book, House, Used
from tests.reference.rulebook.commands import Command, Outcome, Refused
from tests.reference.rulebook.rules import Rules


class Exchange:
    """`start` is the time before its first record: what was due up to then is not made up. `checked` has the books
    checked at every record."""

    def __init__(self, rules: Rules, start: int = 0, *, checked: bool = False) -> None:
        self.book = Book(rules, checked=checked)
        self.book.at = start

    def execute(self, command: Command, at: int) -> Outcome:
        """What came of it. What time brings comes first, also before a command that is refused."""
        book = self.book
        book.events = []
        ticks.pass_time(book, max(at, book.at))
        first = book.seq + 1
        try:
            used = self._used(command)
            if used is not None:
                return Outcome(book.events, repeated=(used.first, used.last))
            HANDLERS[type(command)](book, command)
        except Refused as refusal:
            return Outcome(book.events, refusal)
        self._remember(command, first)
        return Outcome(book.events)

    def _used(self, command: Command) -> Used | None:
        """What came of this command before."""
        client_order = getattr(command, "client_order", None)
        account = self.book.accounts.get(getattr(command, "account", ""))
        if client_order is None or account is None or client_order not in account.used:
            return None
        used = account.used[client_order]
        if _asked(used.asked) != _asked(command):
            self._refuse_what_is_wrong_in_itself(command)
            raise Refused("client_order_id_conflict", order=getattr(used.asked, "order", None))
        return used

    def _refuse_what_is_wrong_in_itself(self, command: Command) -> None:
        """Of what opens something: all else that can be wrong so is what it names, which is looked for first."""
        if not isinstance(command, c.OpenTrade | c.PlaceOrder | c.NetOrder):
            return
        try:
            HANDLERS[type(command)](copy.deepcopy(self.book), command)
        except Refused as refusal:
            if refusal.code == "bad_request":
                raise

    def _remember(self, command: Command, first: int) -> None:
        client_order = getattr(command, "client_order", None)
        if client_order is None:
            return
        used = self.book.accounts[getattr(command, "account", "")].used
        used[client_order] = Used(command, first, self.book.seq)
        while len(used) > self.book.rules.client_order_ids:
            del used[next(iter(used))]


def _asked(command: Command) -> Command:
    """The call and its body: ids that are made for it, and the price of when it came in, are no part of that."""
    made: dict[str, Any] = {}
    if isinstance(command, c.OpenTrade | c.PlaceOrder | c.NetOrder):
        made["order"] = ""
    if isinstance(command, c.OpenTrade | c.NetOrder):
        made["seen_price"] = None
    if isinstance(command, c.AddExit):
        made["exit"] = ""
    return replace(command, **made)


def _open_account(book: Book, command: c.OpenAccount) -> None:
    taken = any(command.email == each.email for each in book.accounts.values())
    if command.account in book.accounts or taken:
        raise Refused("account_exists")
    book.accounts[command.account] = Account(command.account, command.email, command.deposit)
    book.house.deposits += command.deposit
    told = {"account": command.account, "email": command.email, "amount": command.deposit, "balance": command.deposit}
    book.tell("account_opened", **told)


def _deposit(book: Book, command: c.Deposit) -> None:
    account = book.account(command.account)
    checks.amount("amount", command.amount, 1, checks.MOST_HELD)
    held = account.free + book.locked(account.id) + book.reserved(account.id) + command.amount
    checks.amount("balance", held, 0, checks.MOST_HELD)
    account.free += command.amount
    book.house.deposits += command.amount
    book.tell("deposited", account=account.id, amount=command.amount, balance=account.free)


def _deposit_house(book: Book, command: c.DepositHouse) -> None:
    book.house.insurance += command.amount
    book.house.deposits += command.amount
    book.tell("house_deposited", amount=command.amount)


def _set_rates(book: Book, command: c.SetRates) -> None:
    book.set_rates(command.asset, replace(book.rates(command.asset), **command.changes))
    book.tell("rates_set", asset=command.asset, changes=dict(command.changes))


def _set_profile(book: Book, command: c.SetProfile) -> None:
    profile = book.rules.profiles[command.profile]
    for asset, rates in profile.rates.items():
        book.set_rates(asset, rates)
    book.rules = replace(
        book.rules, execution=profile.execution, trigger=profile.trigger, limit_fill=profile.limit_fill
    )
    book.tell("profile_set", profile=command.profile)
    for asset in sorted(book.prices):  # stops look at another price from now on
        ticks.move_watermarks(book, asset, book.prices[asset])


def _start_afresh(book: Book, command: c.StartAfresh) -> None:
    book.accounts, book.trades, book.orders, book.prices, book.house = {}, {}, {}, {}, House()
    book.rules, book.venue_funding = book.configured, {}
    book.tell("started_afresh")
    if command.house:
        _deposit_house(book, c.DepositHouse(command.house))


def _pass_time(book: Book, command: c.PassTime) -> None:
    """Done already, as before any command."""


HANDLERS: dict[type[Command], Callable[[Book, Any], None]] = {
    c.OpenAccount: _open_account,
    c.Deposit: _deposit,
    c.DepositHouse: _deposit_house,
    c.OpenTrade: orders.open_trade,
    c.PlaceOrder: orders.place_order,
    c.AmendOrder: orders.amend_order,
    c.CancelOrder: orders.cancel_order,
    c.CancelOrders: orders.cancel_orders,
    c.SetExits: exits.set_exits,
    c.AddExit: exits.add_exit,
    c.CloseTrade: parts.close_trade,
    c.ChangeMargin: parts.change_margin,
    c.ChangeLeverage: parts.change_leverage,
    c.NetOrder: nets.net_order,
    c.SetNetLeverage: parts.set_net_leverage,
    c.PriceTick: ticks.tick,
    c.PassTime: _pass_time,
    c.SetRates: _set_rates,
    c.SetProfile: _set_profile,
    c.StartAfresh: _start_afresh,
}

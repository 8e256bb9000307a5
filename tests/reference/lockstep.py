"""The reckoning and something else that is told the same story: every event, every refusal and the whole state must be
the same after each command.

A peer speaks the reckoning's words: what an engine says is translated by whoever writes its peer.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from random import Random
from typing import Any, Protocol

from tests.reference.choices import START
from tests.reference.rulebook.book import Account, Book, Exit, Order, Trade
from tests.reference.rulebook.commands import Command, Outcome
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.rules import Rules
from tests.reference.stories import Writer

Picture = dict[str, Any]


class Peer(Protocol):
    def execute(self, command: Command, at: int) -> Outcome:
        """All of it, where it takes several steps."""

    def picture(self) -> Picture:
        """Its state, as `picture_of` shows the reckoning's."""


class Twin:
    """The reckoning itself, as a peer."""

    def __init__(self, rules: Rules, start: int) -> None:
        self.exchange = Exchange(rules, start)

    def execute(self, command: Command, at: int) -> Outcome:
        return self.exchange.execute(command, at)

    def picture(self) -> Picture:
        return picture_of(self.exchange.book)


def picture_of(book: Book) -> Picture:
    return {
        "seq": book.seq,
        "at": book.at,
        "accounts": {each.id: _account(book, each) for each in book.accounts.values()},
        "trades": {each.id: _trade(each) for each in book.trades.values()},
        "orders": {each.id: _order(each) for each in book.orders.values()},
        "house": asdict(book.house),
        "prices": {asset: asdict(price) for asset, price in book.prices.items()},
    }


def _account(book: Book, account: Account) -> Picture:
    return {
        "free": account.free,
        "locked": book.locked(account.id),
        "reserved": book.reserved(account.id),
        "net_leverage": dict(account.net_leverage),
        "used": {name: (used.first, used.last) for name, used in account.used.items()},
    }


def _trade(trade: Trade) -> Picture:
    shown = {name: value for name, value in vars(trade).items() if name not in ("position", "priced", "exits")}
    exits = sorted(trade.exits, key=lambda each: (each.number, each.kind))
    return {**shown, **asdict(trade.position), "exits": [_exit(trade, each) for each in exits]}


def _exit(trade: Trade, it: Exit) -> Picture:
    return {**vars(it), "level": it.level(trade.side)}


def _order(order: Order) -> Picture:
    return {**vars(order), "kind": order.kind}


def tell(peer: Peer, told: Iterable[tuple[Command, int, Outcome]], twin: Exchange) -> None:
    """Fails at the first command that comes to something else."""
    for command, at, predicted in told:
        real = peer.execute(command, at)
        assert real.refusal == predicted.refusal, f"{command}: {real.refusal}, it must be {predicted.refusal}"
        assert real.repeated == predicted.repeated, command
        for theirs, ours in zip(real.events, predicted.events, strict=False):
            assert theirs == ours, f"{command}\n{_difference(theirs, ours)}"
        assert len(real.events) == len(predicted.events), command
        shown, expected = peer.picture(), picture_of(twin.book)
        assert shown == expected, f"{command}\n{_difference(shown, expected)}"


def _difference(real: Picture, expected: Picture) -> str:
    both = sorted(real.keys() | expected.keys())
    return "\n".join(
        f"{key}: {real.get(key)}, it must be {expected.get(key)}" for key in both if real.get(key) != expected.get(key)
    )


def run(seed: int, length: int, peer: Callable[[Rules, int], Peer]) -> None:
    """One seeded story, told to both."""
    writer = Writer(Random(seed))
    tell(peer(writer.story.rules, START), writer.write(length), writer.exchange)

"""The properties of the rule book that hold for every story, looked at after each command. Anything that has a `Book`
can be watched: the reckoning itself, or a peer's state that is shown as one.
"""

from copy import copy

from tests.reference.rulebook import ticks
from tests.reference.rulebook.book import Book, Exit, Order, opposite
from tests.reference.rulebook.checks import is_reached
from tests.reference.rulebook.commands import Command, Event, Outcome, PriceTick


class Watch:
    """`before` what a command does, then `after` it."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.funding = 0
        self.settled: set[tuple[str, int]] = set()
        self.orders: dict[str, Order] = {}
        self.exits: dict[tuple[str, str | None, str], tuple[str, Exit]] = {}
        self.levels: dict[int, int] = {}
        self.before()

    def before(self) -> None:
        trades = self.book.trades.values()
        self.orders = {each.id: copy(each) for each in self.book.orders.values()}
        self.exits = {
            (trade.id, each.id, each.kind): (trade.side, copy(each)) for trade in trades for each in trade.exits
        }
        self.levels = {
            each.number * 3 + place: level
            for trade in trades
            for place, each in enumerate(trade.exits)
            if each.trailing is not None and (level := each.level(trade.side)) is not None
        }

    def after(self, command: Command, outcome: Outcome) -> None:
        self._numbers(outcome.events)
        self._funding(outcome.events)
        self._nothing_overdue()
        self._trailing_levels()
        if isinstance(command, PriceTick) and not command.suspect and outcome.refusal is None:
            ticks.nothing_is_due(self.book, command.asset)
            self._fills(command.asset, outcome.events)
        self.before()

    def _numbers(self, events: list[Event]) -> None:
        """Records are numbered without a hole, and time never falls."""
        assert [each["seq"] for each in events] == list(range(self.book.seq - len(events) + 1, self.book.seq + 1))
        assert [each["at"] for each in events] == sorted(each["at"] for each in events)

    def _funding(self, events: list[Event]) -> None:
        """All that was paid, less what was received, is the house's; nobody pays twice for one time."""
        for event in events:
            if event["event"] == "started_afresh":
                self.funding = 0
            if event["event"] == "trade_changed" and event["why"] == "funding":
                self.funding += event["paid"]
                assert (event["order"], event["at"]) not in self.settled
                self.settled.add((event["order"], event["at"]))
        assert self.book.house.funding == self.funding

    def _nothing_overdue(self) -> None:
        expiries = [each.expires_at for each in self.book.orders.values()]
        expiries += [each.expires_at for trade in self.book.trades.values() for each in trade.exits]
        assert all(each is None or each > self.book.at for each in expiries)

    def _trailing_levels(self) -> None:
        """None moves back, for as long as it is the same exit."""
        for trade in self.book.trades.values():
            for place, each in enumerate(trade.exits):
                before, now = self.levels.get(each.number * 3 + place), each.level(trade.side)
                if each.trailing is not None and before is not None:
                    assert now is not None
                    assert now >= before if trade.side == "long" else now <= before

    def _fills(self, asset: str, events: list[Event]) -> None:
        """No limit fills worse than its price, no stop before it is reached."""
        for event in events:
            if event["event"] == "order_ended" and event["status"] == "filled":
                self._filled(asset, self.orders[event["order"]], events)
            if event["event"] in ("trade_closed", "trade_reduced") and event["reason"] != "order":
                self._exited(asset, event)

    def _filled(self, asset: str, order: Order, events: list[Event]) -> None:
        price = self.book.prices[asset]
        fills = [
            each["price"]
            for each in events
            if each["event"] in ("trade_opened", "trade_increased", "trade_closed", "trade_reduced")
            and order.id in (each["order"], each.get("by"))
        ]
        assert fills
        if order.limit is not None:
            assert all(each <= order.limit if order.side == "long" else each >= order.limit for each in fills)
        if order.stop is not None:
            looked_at = self.book.stops_at(price, order.side, opening=True)
            assert looked_at >= order.stop if order.side == "long" else looked_at <= order.stop

    def _exited(self, asset: str, event: Event) -> None:
        price = self.book.prices[asset]
        side, it = self._exit_of(event)
        if event["reason"] == "exit":
            limit = it.price if it.kind == "limit" else it.limit
            assert limit is not None
            assert event["price"] >= limit if side == "long" else event["price"] <= limit
        elif it.trailing is None:
            assert it.price is not None
            looked_at = self.book.stops_at(price, opposite(side), opening=True)
            assert is_reached(it.kind, side, it.price, looked_at)

    def _exit_of(self, event: Event) -> tuple[str, Exit]:
        found = [
            value
            for (trade, name, kind), value in self.exits.items()
            if trade == event["order"] and name == event["by"] and (name is not None or kind == event["reason"])
        ]
        assert len(found) == 1, event
        return found[0]

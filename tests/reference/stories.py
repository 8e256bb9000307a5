"""Random stories of the whole rule book: rules, then commands with their times, written along a reckoning that knows
what is there, so that ids mean something and prices lie where levels are.

One writer for both: `random.Random(seed)` for a seeded run, and Hypothesis's own random for a property (`writers()`),
which makes a failing story smaller.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.reference.choices import ACCOUNTS, LIFE, RATES, SECOND, VENUES, Choices, Story
from tests.reference.choices import START as START
from tests.reference.rulebook import commands as c
from tests.reference.rulebook.book import Exit, Order
from tests.reference.rulebook.commands import Command, Outcome


def _tick(w: Choices) -> Command:
    asset = w.asset()
    mark = w.near(asset) if w.rng.random() < (0.05 if w.theme.is_calm else 0.4) else w.moved(asset)
    spread = w.rng.choice((0, 0, 0, 1, mark // 200, mark // 20, mark // 5))
    w.at += w.rng.choice((0, 0, SECOND // 3, SECOND, 5 * SECOND))
    suspect = w.rng.random() < 0.02
    funding = w.rng.choice((0, 1, 10_000, 3_000_000, -2_000_000)) if w.rng.random() < 0.2 else None
    return c.PriceTick(asset, max(1, mark - spread // 2), max(1, mark + spread - spread // 2), LIFE, suspect, funding)


def _time(w: Choices) -> Command:
    w.at += w.rng.choice((1, SECOND, 8 * SECOND, 8 * SECOND, 20 * SECOND, 90 * SECOND, -SECOND))
    if w.rng.random() < 0.3:
        w.at = w.rare_settlement() or w.at
    return c.PassTime()


def _open(w: Choices) -> Command:
    asset, side = w.asset(), w.side()
    return c.OpenTrade(
        account=w.who(),
        order=w.new_id(),
        asset=asset,
        side=side,
        margin=w.margin(),
        leverage=w.leverage(),
        client_order=w.client_order(),
        **w.slipping(asset),
        **w.exits(asset, side, 0.3),
    )


def _order(w: Choices) -> Command:
    asset, side = w.asset(), w.side()
    return c.PlaceOrder(
        account=w.who(),
        order=w.new_id(),
        asset=asset,
        side=side,
        margin=w.margin(),
        leverage=w.leverage(),
        client_order=w.client_order(),
        **w.waiting(asset, side),
        **w.exits(asset, side, 0.2),
    )


def _net(w: Choices) -> Command:
    """Also what grows a position, and what reduces one, by less and by more than there is."""
    book, asset, account = w.exchange.book, w.asset(), w.who()
    holders = [each.account for each in book.trades.values() if each.is_net and each.asset == asset]
    if holders and w.rng.random() < 0.6:
        account = w.rng.choice(holders)
    held, side, unit = book.net_trade(account, asset), w.rng.choice(("buy", "sell")), book.asset(asset).net_unit
    quantity = max(1, w.margin() * w.rng.choice((1, 1, 5)) * unit // w.near(asset))
    only = w.rng.random() < (0.05 if held is None else 0.45)
    if held is not None and (only or w.rng.random() < 0.5):
        side = "sell" if held.side == "long" else "buy"
        quantity = max(1, w.rng.choice((held.position.size, held.position.size // 3, held.position.size * 2)))
    waiting = w.waiting(asset, "long" if side == "buy" else "short") if w.rng.random() < 0.6 else {}
    more: dict[str, Any] = {"quantity": quantity}
    if only:
        more = {"close_position": True} if w.rng.random() < 0.3 else {"quantity": quantity, "reduce_only": True}
        if waiting.get("stop") is not None:
            more["kind"] = w.rng.choice((None, None, "take_profit", "stop_loss"))
            if w.rng.random() < 0.5:  # a tick that jumps past both leaves a limit
                waiting["limit"] = max(1, waiting["stop"] + w.rng.choice((-1, 0, 1)) * (waiting["stop"] // 400))
        elif not waiting and w.rng.random() < 0.3:
            more["trailing"] = w.trailing(asset)
    return c.NetOrder(
        account=account,
        order=w.new_id(),
        asset=asset,
        side=side,
        client_order=w.client_order(),
        **w.slipping(asset),
        **waiting,
        **more,
    )


def _close(w: Choices) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    part = w.part(trade) if w.rng.random() < 0.7 else {}
    part |= w.part(trade) if w.rng.random() < 0.03 else {}
    return c.CloseTrade(w.owner(trade.account), trade.id, client_order=w.client_order(), **part)


def _exits(w: Choices) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    given = w.exits(trade.asset, trade.side, 0.7)
    named = [name for name in given if given[name] is not None or w.rng.random() < 0.3]
    return c.SetExits(w.owner(trade.account), trade.id, {name: given[name] for name in named})


def _exit(w: Choices) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    kind = w.rng.choice(("take_profit", "stop_loss", "limit"))
    up, client_order = (kind == "stop_loss") is (trade.side == "short"), w.client_order()
    price = w.beyond(trade.asset, up=up)
    return c.AddExit(
        w.owner(trade.account), trade.id, w.new_id(), kind, price, client_order=client_order, **w.part(trade)
    )


def _margin(w: Choices) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    amount = w.rng.choice((trade.position.margin, trade.position.margin // 7, 1, 0, w.margin()))
    return c.ChangeMargin(w.owner(trade.account), trade.id, amount * w.rng.choice((1, -1)), w.client_order())


def _leverage(w: Choices) -> Command | None:
    trade = w.trade()
    return None if trade is None else c.ChangeLeverage(w.owner(trade.account), trade.id, w.leverage())


def _net_leverage(w: Choices) -> Command:
    return c.SetNetLeverage(w.who(), w.asset(), w.leverage())


def _waiting(w: Choices) -> tuple[Order | Exit, str, str] | None:
    book = w.exchange.book
    orders: list[Any] = [(each, each.account, each.asset) for each in book.orders.values()]
    for account in book.accounts:
        orders += [(each, account, trade.asset) for trade, each in book.exits_of(account)]
    found: tuple[Order | Exit, str, str] | None = w._one(orders)
    return found


def _amend(w: Choices) -> Command | None:
    found = _waiting(w)
    if found is None:
        return None
    it, account, asset = found
    own: tuple[str, ...] = ("price", "size", "limit", "expires_at")
    if isinstance(it, Order):
        own = ("limit", "stop", "expires_at", "quantity")
        own = own if it.is_net else (*own[:3], "margin", "leverage", "take_profit", "stop_loss", "trailing")
    values: dict[str, Callable[[], Any]] = {
        "expires_at": lambda: w.maybe(0.8, lambda: w.at + w.rng.randint(0, 40) * SECOND),
        "margin": w.margin,
        "leverage": w.leverage,
        "quantity": lambda: w.rng.randint(1, 10**6),
        "size": lambda: w.rng.randint(1, 10**6),
        "trailing": lambda: w.maybe(0.7, lambda: w.trailing(asset)),
    }
    names = w.rng.sample(own, w.rng.choice((1, 1, 2)))
    changes = {name: values[name]() if name in values else w.maybe(0.9, lambda: w.near(asset)) for name in names}
    return c.AmendOrder(w.owner(account), it.id or "", changes)


def _cancel(w: Choices) -> Command | None:
    found = _waiting(w)
    if found is None:
        return w.maybe(0.1, lambda: c.CancelOrder(w.who(), "nothing"))
    return c.CancelOrder(w.owner(found[1]), found[0].id or "")


def _cancel_all(w: Choices) -> Command:
    return c.CancelOrders(w.who(), w.rng.choice((None, *w.assets)))


def _deposit(w: Choices) -> Command:
    return c.Deposit(w.who(), w.rng.randint(0, 200_000_000))


def _again(w: Choices) -> Command | None:
    """A command of before, as if its answer had been lost. Ids are made anew for each that comes in."""
    with_ids = [each for each, _ in w.story.steps if getattr(each, "client_order", None) is not None]
    command: Command | None = w._one(with_ids[-5:])
    if isinstance(command, c.OpenTrade | c.PlaceOrder | c.NetOrder):
        return replace(command, order=w.new_id())
    return replace(command, exit=w.new_id()) if isinstance(command, c.AddExit) else command


def _rates(w: Choices) -> Command:
    rates, names = w.rng.choice(RATES), ("taker", "maker", "maintenance", "min_margin", "funding_rate", "residual")
    changes = {name: getattr(rates, name) for name in w.rng.sample(names, 2)}
    if changes.get("funding_rate") == "feed":
        changes["funding_rate_short"] = None  # the other way round for shorts
    return c.SetRates(w.asset(), changes)


def _profile(w: Choices) -> Command:
    return c.SetProfile(w.rng.choice(("wild", "tame", *VENUES)))


def _account(w: Choices) -> Command:
    name = w.rng.choice((*ACCOUNTS, "dan"))
    return c.OpenAccount(name, f"{name}@example.com", 1_000_000_000)


def _house(w: Choices) -> Command:
    return c.DepositHouse(1_000_000)


def _afresh(w: Choices) -> Command | None:
    command: Command | None = w.maybe(0.2, lambda: c.StartAfresh(w.rng.choice((0, 1_000))))
    return command


KINDS_AND_WEIGHTS: dict[Callable[[Choices], Command | None], int] = {
    _tick: 26,
    _open: 10,
    _order: 14,
    _net: 18,
    _close: 6,
    _exits: 6,
    _exit: 6,
    _margin: 4,
    _leverage: 3,
    _net_leverage: 2,
    _amend: 6,
    _cancel: 3,
    _cancel_all: 1,
    _time: 4,
    _deposit: 1,
    _again: 2,
    _rates: 1,
    _profile: 1,
    _account: 1,
    _house: 1,
    _afresh: 1,
}
KINDS = list(KINDS_AND_WEIGHTS)


class Writer(Choices):
    """Writes a story command by command."""

    def __init__(self, rng: Random, *, checked: bool = False) -> None:
        super().__init__(rng, checked=checked)
        self.weights = [
            weight * (4 if kind.__name__.strip("_") in self.theme.more else 1)
            for kind, weight in KINDS_AND_WEIGHTS.items()
        ]

    def opening(self) -> Iterator[Command]:
        for name, deposit in ACCOUNTS.items():
            yield c.OpenAccount(name, f"{name}@example.com", deposit)
        if self.rng.random() < 0.5:
            yield c.DepositHouse(self.rng.choice((1_000, 10_000_000)))
        for asset, base in self.base.items():
            yield c.PriceTick(asset, base, base, LIFE)

    def write(self, length: int) -> Iterator[tuple[Command, int, Outcome]]:
        """Each command, its time, and what came of it here."""
        for command in self.opening():
            yield self._done(command)
        for _ in range(length):
            yield self._done(self.next())

    def _done(self, command: Command) -> tuple[Command, int, Outcome]:
        self.story.steps.append((command, self.at))
        return command, self.at, self.exchange.execute(command, self.at)

    def next(self) -> Command:
        while True:
            command = self.rng.choices(KINDS, self.weights)[0](self)
            if command is not None:
                return command


def seeded(seed: int, length: int) -> Story:
    writer = Writer(Random(seed))
    for _ in writer.write(length):
        pass
    return writer.story


def writers() -> st.SearchStrategy[Writer]:
    """For a property: `writer.write(length)` goes on under the test's eyes, its books are checked at every record."""
    return st.randoms(use_true_random=False).map(lambda rng: Writer(rng, checked=True))

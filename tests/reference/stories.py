"""Random stories of the whole rule book: rules, then commands with their times, written along a reckoning that knows
what is there, so that ids mean something and prices lie where levels are.

One writer for both: `random.Random(seed)` for a seeded run, and Hypothesis's own random for a property (`stories()`),
which makes a failing story smaller.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.reference.rulebook import commands as c
from tests.reference.rulebook.book import Exit, Order, Trade
from tests.reference.rulebook.commands import Command, Outcome, Trailing
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.rules import AssetRules, Profile, Rates, Rules, Tier

SECOND = 1_000_000
LIFE = 30 * SECOND
START = 1_769_850_902_123_456
"""2026-01-31T09:15:02.123456Z, a Saturday."""

ACCOUNTS = {"ann": 20_000_000_000, "bob": 100_000_000, "cid": 2_000}
ASSETS = {"BTC": (4, 5), "SOL": (6, 3), "TOY": (3, 3)}
SCALES = {"BTC": (97, 10_007, 1_000_000_000), "SOL": (97, 10_007, 200_000_000), "TOY": (97, 10_007, 50_000)}


def _tiers(floors: tuple[int, ...], *rates: tuple[int, int]) -> tuple[Tier, ...]:
    return tuple(Tier(floor, *rate) for floor, rate in zip(floors, rates, strict=True))


RATES: tuple[Rates, ...] = (
    Rates(),
    Rates(
        taker=50_000,
        maker=20_000,
        maintenance=_tiers((0, 5_000, 50_000_000, 1_000_000_000), *((400_000 << n, 10_000 >> n) for n in range(4))),
        liquidation_fee=1_250_000,
        residual="return",
        funding_interval=60 * SECOND,
        funding_rate=10_000,
    ),
    Rates(
        taker=60_000,
        maker=60_000,
        maintenance=(Tier(0, 500_000),),
        maintenance_basis="entry",
        hold_close_fee=True,
        min_margin=1_000,
        liquidation_fee=200_000,
        residual="return",
    ),
    Rates(
        taker=45_000,
        maker=80_000,
        maintenance=(Tier(0, 1_250_000, 4_000), Tier(20_000_000, 2_500_000, 2_000)),
        hold_close_fee=True,
        funding_interval=17 * SECOND,
        funding_offset=3 * SECOND,
        funding_rate=-40_000,
        funding_rate_short=50_000,
        funding_weekdays=(1, 1, 1, 1, 3, 2, 0),
    ),
    Rates(maker=30_000, min_margin=500_000, liquidation_fee=100_000, funding_interval=3_600 * SECOND),
    Rates(taker=1, funding_interval=20 * SECOND, funding=((START, 30_000_000, 1), (START + 90 * SECOND, -7, 7))),
)


@dataclass
class Story:
    rules: Rules
    steps: list[tuple[Command, int]] = field(default_factory=list)

    def __repr__(self) -> str:
        return "\n".join([f"{self.rules}", *(f"{at - START:>12} {command}" for command, at in self.steps)])


def some_rules(rng: Random) -> Rules:
    """Rules so wide that money alone limits, and rules so narrow that every limit is met."""
    rates = rng.choice(RATES)
    assets = {
        name: AssetRules(*places, max_leverage=10_000, rates=rates if rng.random() < 0.7 else rng.choice(RATES))
        for name, places in ASSETS.items()
    }
    wide = rng.random() < 0.7
    profiles = {
        "wild": Profile({"BTC": RATES[1], "SOL": RATES[3]}, "touch", "mark", "limit"),
        "tame": Profile({"BTC": RATES[0]}),
    }
    return Rules(
        assets,
        execution=rng.choice(("mid", "touch", "touch")),
        trigger=rng.choice(("side", "side", "mark")),
        limit_fill=rng.choice(("better", "limit")),
        net_leverage=rng.choice((2_000, 500, 100, 10_000)),
        max_open_trades=1_000 if wide else 3,
        max_notional=10**13 if wide else 2_000_000_000,
        max_open_interest=10**15 if wide else 3_000_000_000,
        max_open_orders=200 if wide else 3,
        max_exits_per_trade=10 if wide else 2,
        client_order_ids=rng.choice((1_000, 2, 1)),
        profiles=profiles,
    )


class Writer:
    """Writes a story command by command. What it chooses depends on the state of its own reckoning."""

    def __init__(self, rng: Random, *, checked: bool = False) -> None:
        self.rng = rng
        self.story = Story(some_rules(rng))
        self.exchange = Exchange(self.story.rules, START, checked=checked)
        self.at = START
        self.ids = 0
        self.assets = rng.choice((("BTC",), ("BTC", "SOL"), ("TOY", "BTC"), ("SOL",)))
        self.base = {asset: rng.choice(SCALES[asset]) for asset in self.assets}

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
            command = self.rng.choices(KINDS, WEIGHTS)[0](self)
            if command is not None:
                return command

    # --- choices --------------------------------------------------------------------------------------------------

    def who(self) -> str:
        return self.rng.choice(("ann", "ann", "ann", "ann", "ann", "bob", "bob", "cid"))

    def asset(self) -> str:
        return self.rng.choice(self.assets)

    def side(self) -> str:
        return self.rng.choice(("long", "short"))

    def maybe(self, chance: float, value: Callable[[], Any]) -> Any:
        return value() if self.rng.random() < chance else None

    def new_id(self) -> str:
        self.ids += 1
        return f"i{self.ids}"

    def client_order(self) -> str | None:
        name: str | None = self.maybe(0.1, lambda: self.rng.choice("abc"))
        return name

    def now(self, asset: str) -> int:
        price = self.exchange.book.prices.get(asset)
        return self.base[asset] if price is None else price.mark

    def near(self, asset: str, widest: int = 12) -> int:
        """A price within so many percent of the last one; some are levels that are there, or one beside."""
        levels = list(_levels(self.exchange, asset)) if self.rng.random() < 0.4 else []
        if levels:
            return max(1, self.rng.choice(levels) + self.rng.choice((-1, 0, 0, 0, 1)))
        price = self.exchange.book.prices.get(asset)
        if price is not None and price.ask - price.bid > 10 and self.rng.random() < 0.5:
            return self.rng.randint(price.bid, price.ask)
        percent = self.rng.choice((0, 1, 2, 3, widest)) * self.rng.choice((-1, 1))
        return max(1, self.now(asset) * (100 + percent) // 100 + self.rng.randint(-3, 3))

    def beyond(self, asset: str, *, up: bool) -> int:
        """Mostly above the last price, or below it."""
        if self.rng.random() < 0.2:
            return self.near(asset)
        percent = self.rng.choice((1, 2, 3, 5, 9, 30)) * (1 if up else -1)
        return max(1, self.now(asset) * (100 + percent) // 100 + self.rng.randint(-3, 3))

    def margin(self) -> int:
        small, usual = self.rng.randint(1, 2_000), self.rng.randint(1_000_000, 300_000_000)
        return self.rng.choice((small, usual, usual, 100_000_000, 0 if self.rng.random() < 0.05 else usual))

    def leverage(self) -> int:
        return self.rng.choice((100, 150, 500, 500, 1_000, 1_733, 4_099, 10_000, self.rng.randint(99, 10_001)))

    def trailing(self, asset: str) -> Trailing:
        activation = self.maybe(0.3, lambda: self.near(asset))
        if self.rng.random() < 0.5:
            return Trailing(distance=max(1, self.near(asset) // self.rng.choice((20, 50, 200))), activation=activation)
        return Trailing(percent=self.rng.choice((1, 50, 100, 300, 9_999)), activation=activation)

    def exits(self, asset: str, side: str, chance: float) -> dict[str, Any]:
        return {
            "take_profit": self.maybe(chance, lambda: self.beyond(asset, up=side == "long")),
            "stop_loss": self.maybe(chance, lambda: self.beyond(asset, up=side == "short")),
            "trailing": self.maybe(chance / 2, lambda: self.trailing(asset)),
        }

    def waiting(self, asset: str, side: str) -> dict[str, Any]:
        """The prices of an order of this side, and how long it waits."""
        kind = self.rng.choice(("limit", "limit", "stop", "both", "both"))
        tif = self.rng.choice((None, None, None, None, "gtc", "ioc", "gtt"))
        likely = {None: 0.2, "gtt": 0.95}.get(tif, 0.05)
        return {
            "limit": self.maybe(kind != "stop", lambda: self.beyond(asset, up=(side == "short") is (kind == "limit"))),
            "stop": self.maybe(kind != "limit", lambda: self.beyond(asset, up=side == "long")),
            "tif": tif,
            "expires_at": self.maybe(likely, lambda: self.at + self.rng.randint(0, 40) * SECOND),
            "post_only": self.rng.random() < 0.15,
        }

    def slipping(self, asset: str) -> dict[str, Any]:
        if self.rng.random() < 0.9:
            return {}
        return {"slippage": self.rng.randint(10, 300), "expected_price": self.near(asset, 2)}

    def trade(self) -> Trade | None:
        return self._one(list(self.exchange.book.trades.values()))

    def _one(self, those: list[Any]) -> Any:
        return self.rng.choice(those) if those else None

    def owner(self, name: str) -> str:
        """Mostly."""
        return name if self.rng.random() < 0.95 else self.who()

    def part(self, trade: Trade) -> dict[str, Any]:
        position = trade.position
        return self.rng.choice(
            (
                {"percent": self.rng.choice((1, 2_500, 3_333, 5_000, 9_999, 10_000, self.rng.randint(0, 10_001)))},
                {"margin": max(1, position.margin // self.rng.randint(1, 5) + self.rng.randint(-1, 1))},
                {"size": max(1, position.size // self.rng.randint(1, 5) + self.rng.randint(-1, 1))},
            )
        )


def _levels(exchange: Exchange, asset: str) -> Iterator[int]:
    """What a price can set off."""
    for order in exchange.book.orders.values():
        if order.asset == asset:
            yield from (each for each in (order.limit, order.stop, order.take_profit, order.stop_loss) if each)
    for trade in exchange.book.trades.values():
        if trade.asset == asset:
            yield trade.liquidation
            yield from (level for each in trade.exits if (level := each.level(trade.side)))


# --- the kinds of commands ----------------------------------------------------------------------------------------


def _tick(w: Writer) -> Command:
    asset = w.asset()
    mark = w.near(asset, w.rng.choice((5, 12, 12, 40)))
    spread = w.rng.choice((0, 0, 0, 1, mark // 200, mark // 20, mark // 5))
    w.at += w.rng.choice((0, 0, SECOND // 3, SECOND, 5 * SECOND))
    suspect = w.rng.random() < 0.02
    return c.PriceTick(asset, max(1, mark - spread // 2), max(1, mark + spread - spread // 2), LIFE, suspect)


def _time(w: Writer) -> Command:
    w.at += w.rng.choice((1, SECOND, 8 * SECOND, 8 * SECOND, 20 * SECOND, 90 * SECOND, -SECOND))
    return c.PassTime()


def _open(w: Writer) -> Command:
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


def _order(w: Writer) -> Command:
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


def _net(w: Writer) -> Command:
    """Also what reduces, by less and by more than there is."""
    asset, account = w.asset(), w.who()
    side, held = w.rng.choice(("buy", "sell")), w.exchange.book.net_trade(account, asset)
    unit, price = w.exchange.book.asset(asset).net_unit, w.near(asset)
    quantity = max(1, w.margin() * w.rng.choice((1, 1, 5)) * unit // price)
    if held is not None and w.rng.random() < 0.6:
        side = "sell" if held.side == "long" else "buy"
        quantity = max(1, w.rng.choice((held.position.size, held.position.size // 3, held.position.size * 2)))
    waiting = w.waiting(asset, "long" if side == "buy" else "short") if w.rng.random() < 0.6 else {}
    more: dict[str, Any] = {"quantity": quantity}
    if w.rng.random() < (0.5 if held is not None else 0.05):
        more = {"close_position": True} if w.rng.random() < 0.3 else {"quantity": quantity, "reduce_only": True}
        if waiting.get("stop") is not None:
            more["kind"] = w.rng.choice((None, None, "take_profit", "stop_loss"))
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


def _close(w: Writer) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    part = w.part(trade) if w.rng.random() < 0.7 else {}
    return c.CloseTrade(w.owner(trade.account), trade.id, client_order=w.client_order(), **part)


def _exits(w: Writer) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    given = w.exits(trade.asset, trade.side, 0.7)
    named = [name for name in given if given[name] is not None or w.rng.random() < 0.3]
    return c.SetExits(w.owner(trade.account), trade.id, {name: given[name] for name in named})


def _exit(w: Writer) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    kind = w.rng.choice(("take_profit", "stop_loss", "limit"))
    up, client_order = (kind == "stop_loss") is (trade.side == "short"), w.client_order()
    price = w.beyond(trade.asset, up=up)
    return c.AddExit(
        w.owner(trade.account), trade.id, w.new_id(), kind, price, client_order=client_order, **w.part(trade)
    )


def _margin(w: Writer) -> Command | None:
    trade = w.trade()
    if trade is None:
        return None
    amount = w.rng.choice((trade.position.margin, trade.position.margin // 7, 1, 0, w.margin()))
    return c.ChangeMargin(w.owner(trade.account), trade.id, amount * w.rng.choice((1, -1)), w.client_order())


def _leverage(w: Writer) -> Command | None:
    trade = w.trade()
    return None if trade is None else c.ChangeLeverage(w.owner(trade.account), trade.id, w.leverage())


def _net_leverage(w: Writer) -> Command:
    return c.SetNetLeverage(w.who(), w.asset(), w.leverage())


def _waiting(w: Writer) -> tuple[Order | Exit, str, str] | None:
    book = w.exchange.book
    orders: list[Any] = [(each, each.account, each.asset) for each in book.orders.values()]
    for account in book.accounts:
        orders += [(each, account, trade.asset) for trade, each in book.exits_of(account)]
    found: tuple[Order | Exit, str, str] | None = w._one(orders)
    return found


def _amend(w: Writer) -> Command | None:
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


def _cancel(w: Writer) -> Command | None:
    found = _waiting(w)
    if found is None:
        return w.maybe(0.1, lambda: c.CancelOrder(w.who(), "nothing"))
    return c.CancelOrder(w.owner(found[1]), found[0].id or "")


def _cancel_all(w: Writer) -> Command:
    return c.CancelOrders(w.who(), w.rng.choice((None, *w.assets)))


def _deposit(w: Writer) -> Command:
    return c.Deposit(w.who(), w.rng.randint(0, 200_000_000))


def _again(w: Writer) -> Command | None:
    """A command of before, as if its answer had been lost. Ids are made anew for each that comes in."""
    with_ids = [each for each, _ in w.story.steps if getattr(each, "client_order", None) is not None]
    command: Command | None = w._one(with_ids[-5:])
    if isinstance(command, c.OpenTrade | c.PlaceOrder | c.NetOrder):
        return replace(command, order=w.new_id())
    return replace(command, exit=w.new_id()) if isinstance(command, c.AddExit) else command


def _rates(w: Writer) -> Command:
    rates, names = w.rng.choice(RATES), ("taker", "maker", "maintenance", "min_margin", "funding_rate", "residual")
    return c.SetRates(w.asset(), {name: getattr(rates, name) for name in w.rng.sample(names, 2)})


def _profile(w: Writer) -> Command:
    return c.SetProfile(w.rng.choice(("wild", "tame")))


def _account(w: Writer) -> Command:
    name = w.rng.choice((*ACCOUNTS, "dan"))
    return c.OpenAccount(name, f"{name}@example.com", 1_000_000_000)


def _house(w: Writer) -> Command:
    return c.DepositHouse(1_000_000)


def _afresh(w: Writer) -> Command | None:
    command: Command | None = w.maybe(0.2, lambda: c.StartAfresh(w.rng.choice((0, 1_000))))
    return command


KINDS_AND_WEIGHTS: dict[Callable[[Writer], Command | None], int] = {
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
WEIGHTS = list(KINDS_AND_WEIGHTS.values())


def seeded(seed: int, length: int) -> Story:
    writer = Writer(Random(seed))
    for _ in writer.write(length):
        pass
    return writer.story


def writers() -> st.SearchStrategy[Writer]:
    """For a property: `writer.write(length)` goes on under the test's eyes, its books are checked at every record."""
    return st.randoms(use_true_random=False).map(lambda rng: Writer(rng, checked=True))

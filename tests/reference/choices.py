"""What random stories choose from: rules and rates, prices where levels lie, figures that are usual, small or wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.reference.rulebook.book import Trade
from tests.reference.rulebook.commands import Command, Trailing
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.profiles import venues
from tests.reference.rulebook.rules import AssetRules, Profile, Rates, Rules, Tier

SECOND = 1_000_000
LIFE = 30 * SECOND
START = 1_769_850_902_123_456
"""2026-01-31T09:15:02.123456Z, a Saturday."""

VENUES = tuple(venues())

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
    Rates(taker=10_000, maker=5_000, funding_interval=25 * SECOND, funding_rate="feed"),
    Rates(taker=1, funding_interval=20 * SECOND, funding=((START, 30_000_000, 1), (START + 90 * SECOND, -7, 7))),
)


@dataclass(frozen=True)
class Theme:
    """What a story is mostly about: the kinds of commands that come `more` often, how likely a trailing stop is, and
    how far a tick goes, in thousandths of the price. Where it is calm, leverage is low and stops are far away."""

    more: tuple[str, ...] = ()
    trailing: float = 0.15
    is_calm: bool = False
    moves: tuple[int, ...] = (10, 20, 30, 50, 120, 400)


THEMES = (
    Theme(),
    Theme(),
    Theme(("open", "exits"), trailing=0.9, is_calm=True, moves=(0, 1, 3, 8, 20, 40)),
    Theme(("net", "exit"), is_calm=True, moves=(1, 5, 10, 20, 50)),
    Theme(("order", "amend", "cancel"), moves=(1, 5, 10, 20, 50)),
    Theme(("time", "margin", "leverage", "close", "rates"), moves=(1, 5, 10, 20)),
)


@dataclass
class Story:
    rules: Rules
    steps: list[tuple[Command, int]] = field(default_factory=list)

    def __repr__(self) -> str:
        return "\n".join([f"{self.rules}", *(f"{at - START:>12} {command}" for command, at in self.steps)])


def some_rules(rng: Random) -> Rules:
    """Rules so wide that money alone limits, and rules so narrow that every limit is met; in a quarter of them the
    rates and the way to execute are a venue's."""
    rates = rng.choice(RATES)
    profiles = venues(*ASSETS) | {
        "wild": Profile({"BTC": RATES[1], "SOL": RATES[3]}, "touch", "mark", "limit"),
        "tame": Profile({"BTC": RATES[0]}),
    }
    venue = profiles[rng.choice(VENUES)] if rng.random() < 0.25 else None
    assets = {
        name: AssetRules(*places, max_leverage=10_000, rates=rates if rng.random() < 0.7 else rng.choice(RATES))
        for name, places in ASSETS.items()
    }
    wide = rng.random() < 0.7
    rules = Rules(
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
    if venue is None:
        return rules
    assets = {name: replace(each, rates=venue.rates[name]) for name, each in assets.items()}
    looks = {name: getattr(venue, name) for name in ("execution", "trigger", "limit_fill")}
    return replace(rules, assets=assets, **looks)


class Choices:
    """What a story can choose from. It depends on the state of its own reckoning."""

    def __init__(self, rng: Random, *, checked: bool = False) -> None:
        self.rng = rng
        self.story = Story(some_rules(rng))
        self.exchange = Exchange(self.story.rules, START, checked=checked)
        self.at = START
        self.ids = 0
        self.assets: tuple[str, ...] = rng.choice((("BTC",), ("BTC", "SOL"), ("TOY", "BTC"), ("SOL",)))
        self.base = {asset: rng.choice(SCALES[asset]) for asset in self.assets}
        self.theme = rng.choice(THEMES)

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

    def rare_settlement(self) -> int | None:
        """A moment at or after the next settlement of an asset that is settled once in a while. None where one would be
        settled a hundred times until then."""
        rates = [self.exchange.book.rates(asset) for asset in self.assets]
        intervals = [each.funding_interval for each in rates if each.funding_interval]
        if not intervals or min(intervals) < 600 * SECOND:
            return None
        chosen = self.rng.choice([each for each in rates if each.funding_interval])
        passed = (self.at - chosen.funding_offset) // chosen.funding_interval
        due = chosen.funding_offset + (passed + 1) * chosen.funding_interval
        return due + self.rng.choice((-SECOND, 0, 0, 1, SECOND))

    def near(self, asset: str, widest: int = 12) -> int:
        """A price within so many percent of the last one; some are levels that are there, or one beside."""
        levels = list(_levels(self.exchange, asset)) if self.rng.random() < 0.4 else []
        if levels:
            return max(1, self.rng.choice(levels) + self.rng.choice((-1, 0, 0, 0, 1)))
        price = self.exchange.book.prices.get(asset)
        if price is not None and price.ask - price.bid > 10 and self.rng.random() < 0.5:
            return self.rng.randint(price.bid, price.ask)  # a book that narrows meets both sides
        percent = self.rng.choice((0, 1, 2, 3, widest)) * self.rng.choice((-1, 1))
        return max(1, self.now(asset) * (100 + percent) // 100 + self.rng.randint(-3, 3))

    def moved(self, asset: str) -> int:
        move = self.rng.choice(self.theme.moves) * self.rng.choice((-1, 1))
        return max(1, self.now(asset) * (1_000 + move) // 1_000 + self.rng.randint(-2, 2))

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
        if self.theme.is_calm and self.rng.random() < 0.8:
            return self.rng.choice((100, 150, 200, 300))
        return self.rng.choice((100, 150, 500, 500, 1_000, 1_733, 4_099, 10_000, self.rng.randint(99, 10_001)))

    def trailing(self, asset: str) -> Trailing:
        activation = self.maybe(0.3, lambda: self.near(asset))
        if self.rng.random() < 0.5:
            nearness = (4, 7, 10, 20) if self.theme.is_calm else (20, 50, 200)
            return Trailing(distance=max(1, self.near(asset) // self.rng.choice(nearness)), activation=activation)
        percents = (500, 1_000, 1_500, 3_000) if self.theme.is_calm else (1, 50, 100, 300, 9_999)
        return Trailing(percent=self.rng.choice(percents), activation=activation)

    def exits(self, asset: str, side: str, chance: float) -> dict[str, Any]:
        return {
            "take_profit": self.maybe(chance, lambda: self.beyond(asset, up=side == "long")),
            "stop_loss": self.maybe(chance, lambda: self.beyond(asset, up=side == "short")),
            "trailing": self.maybe(self.theme.trailing, lambda: self.trailing(asset)),
        }

    def waiting(self, asset: str, side: str) -> dict[str, Any]:
        """The prices of an order of this side, and how long it waits."""
        kind = self.rng.choice(("limit", "limit", "stop", "both", "both"))
        tif = self.rng.choice((None, None, None, None, "gtc", "ioc", "gtt"))
        likely = {None: 0.2, "gtt": 0.95}.get(tif, 0.05)
        limit = self.maybe(kind == "limit", lambda: self.beyond(asset, up=side == "short"))
        stop = self.maybe(kind != "limit", lambda: self.beyond(asset, up=side == "long"))
        if kind == "both":
            limit = max(1, stop + self.rng.choice((-1, 0, 1, 3)) * stop // 200)  # ticks often jump past it
        return {
            "limit": limit,
            "stop": stop,
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

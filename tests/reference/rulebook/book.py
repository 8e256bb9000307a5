"""The state, and what everybody looks up in it. Sums are added up anew whenever they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from tests.reference.rulebook import formulas, statement
from tests.reference.rulebook.commands import Command, Event, Refused, Trailing
from tests.reference.rulebook.formulas import Position
from tests.reference.rulebook.rules import AssetRules, Rates, Rules

OWN_EXITS = ("take_profit", "stop_loss", "trailing_stop")
"""Those that are part of a trade without an id, at most one of each."""


def opposite(side: str) -> str:
    return "short" if side == "long" else "long"


@dataclass
class Price:
    bid: int
    ask: int
    at: int
    fresh_until: int
    is_suspect: bool = False

    @property
    def mark(self) -> int:
        return round(Fraction(self.bid + self.ask, 2))  # `round` is half-even

    def state(self, at: int) -> str:
        if at > self.fresh_until:
            return "stale"
        return "suspect" if self.is_suspect else "live"


@dataclass
class Exit:
    """`size` None is all there is by then. `limit` beside `price` is where it rests if its tick is past that; a limit
    exit has its limit as its price. `watermark` is None until a trailing stop has been activated."""

    kind: str
    price: int | None = None
    size: int | None = None
    id: str | None = None
    limit: int | None = None
    trailing: Trailing | None = None
    watermark: int | None = None
    expires_at: int | None = None
    post_only: bool = False
    number: int = 0
    fired: int | None = None

    def level(self, side: str) -> int | None:
        if self.trailing is None:
            return self.price
        if self.watermark is None:
            return None
        return formulas.trail_level(side, self.watermark, self.trailing.distance, self.trailing.percent)


@dataclass
class Trade:
    """`liquidation` is what it was priced at last, with the rates of then: `priced`."""

    id: str
    account: str
    asset: str
    position: Position
    liquidation: int
    priced: Rates
    opened_at: int
    number: int
    client_order: str | None = None
    exits: list[Exit] = field(default_factory=list)
    commission: int = 0
    funding: int = 0
    realized: int = 0

    @property
    def side(self) -> str:
        return self.position.side

    @property
    def is_net(self) -> bool:
        return self.position.is_net

    def own(self, kind: str) -> Exit | None:
        return next((each for each in self.exits if each.id is None and each.kind == kind), None)

    def is_due(self, mark: int) -> bool:
        due = mark <= self.liquidation if self.side == "long" else mark >= self.liquidation
        assert due == formulas.is_due(self.position, self.priced, mark)
        return due


@dataclass
class Order:
    """Waits to open. Of a net order `quantity` is set, and `opens` is what of it reserved something when placed."""

    id: str
    account: str
    asset: str
    side: str
    leverage: int
    margin: int | None = None
    quantity: int | None = None
    limit: int | None = None
    stop: int | None = None
    expires_at: int | None = None
    post_only: bool = False
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing: Trailing | None = None
    client_order: str | None = None
    reserved: int = 0
    opens: int = 0
    number: int = 0
    fired: int | None = None

    @property
    def is_net(self) -> bool:
        return self.quantity is not None

    @property
    def kind(self) -> str:
        if self.stop is None:
            return "limit"
        return "stop" if self.limit is None else "stop_limit"

    @property
    def price(self) -> int:
        price = self.stop if self.limit is None else self.limit
        assert price is not None
        return price


@dataclass
class Used:
    """A client order id of the window: what was asked, and the first and the last record that came of it."""

    asked: Command
    first: int
    last: int


@dataclass
class Account:
    id: str
    email: str
    free: int
    net_leverage: dict[str, int] = field(default_factory=dict)
    used: dict[str, Used] = field(default_factory=dict)
    rows: list[statement.Row] = field(default_factory=list)


@dataclass
class House:
    pnl: int = 0
    commission: int = 0
    funding: int = 0
    insurance: int = 0
    shortfall: int = 0
    deposits: int = 0
    """Of everybody, the house included."""

    @property
    def total(self) -> int:
        return self.pnl + self.commission + self.funding + self.insurance

    def cover(self, shortfall: int) -> int:
        covered = min(shortfall, self.insurance)
        self.insurance -= covered
        self.pnl += covered
        self.shortfall += shortfall - covered
        return covered


class Book:
    """`seq` numbers the records, `at` is the time of the newest one or of the newest command, whichever is later."""

    def __init__(self, rules: Rules, *, checked: bool = False) -> None:
        self.checked = checked
        self.configured = self.rules = rules
        self.seq = 0
        self.at = 0
        self.accounts: dict[str, Account] = {}
        self.trades: dict[str, Trade] = {}
        self.orders: dict[str, Order] = {}
        self.prices: dict[str, Price] = {}
        self.venue_funding: dict[str, int] = {}
        self.house = House()
        self.events: list[Event] = []

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(self, event: str, **fields: Any) -> int:
        """One more record. What it changes has been changed already; its rows are made from it alone."""
        self.seq += 1
        told = {"event": event, "seq": self.seq, "at": self.at, **fields}
        self.events.append(told)
        account = self.accounts.get(fields.get("account", ""))
        if account is not None:
            statement.add(account.rows, told)
        if self.checked:
            self.check()
        return self.seq

    # --- looking up -----------------------------------------------------------------------------------------------

    def account(self, name: str) -> Account:
        if name not in self.accounts:
            raise Refused("account_not_found")
        return self.accounts[name]

    def trade(self, account: str, order: str) -> Trade:
        """An account that is not there has none."""
        trade = self.trades.get(order)
        if trade is None or trade.account != account:
            raise Refused("trade_not_found")
        return trade

    def asset(self, name: str) -> AssetRules:
        return self.rules.assets[name]

    def rates(self, asset: str) -> Rates:
        return self.rules.assets[asset].rates

    def set_rates(self, asset: str, rates: Rates) -> None:
        assets = {**self.rules.assets, asset: replace(self.asset(asset), rates=rates)}
        self.rules = replace(self.rules, assets=assets)

    def live_price(self, asset: str) -> Price:
        """For what opens."""
        return self._price(asset, ("live",))

    def fresh_price(self, asset: str) -> Price:
        """For all else that needs one."""
        return self._price(asset, ("live", "suspect"))

    def _price(self, asset: str, good: tuple[str, ...]) -> Price:
        price = self.prices.get(asset)
        if price is None:
            raise Refused("price_unavailable", asset=asset, state="down", age_us=None)
        if price.state(self.at) not in good:
            raise Refused("price_unavailable", asset=asset, state=price.state(self.at), age_us=self.at - price.at)
        return price

    def buys_at(self, price: Price) -> int:
        return price.mark if self.rules.execution == "mid" else price.ask

    def sells_at(self, price: Price) -> int:
        return price.mark if self.rules.execution == "mid" else price.bid

    def opens_at(self, price: Price, side: str) -> int:
        return self.buys_at(price) if side == "long" else self.sells_at(price)

    def closes_at(self, price: Price, side: str) -> int:
        return self.opens_at(price, opposite(side))

    def stops_at(self, price: Price, side: str, *, opening: bool) -> int:
        """What a stop order of this side, or an exit of a trade of this side, looks at."""
        if self.rules.trigger == "mark":
            return price.mark
        return self.opens_at(price, side) if opening else self.closes_at(price, side)

    # --- of one account -------------------------------------------------------------------------------------------

    def trades_of(self, account: str) -> list[Trade]:
        return [each for each in self.trades.values() if each.account == account]

    def orders_of(self, account: str) -> list[Order]:
        return [each for each in self.orders.values() if each.account == account]

    def exits_of(self, account: str) -> Iterator[tuple[Trade, Exit]]:
        """Those that have an id."""
        for trade in self.trades_of(account):
            for each in trade.exits:
                if each.id is not None:
                    yield trade, each

    def net_trade(self, account: str, asset: str) -> Trade | None:
        mine = [each for each in self.trades_of(account) if each.is_net and each.asset == asset]
        assert len(mine) <= 1
        return mine[0] if mine else None

    def net_leverage(self, account: str, asset: str) -> int:
        return self.account(account).net_leverage.get(asset, self.rules.net_leverage)

    def locked(self, account: str) -> int:
        return sum(each.position.margin for each in self.trades_of(account))

    def reserved(self, account: str) -> int:
        return sum(each.reserved for each in self.orders_of(account))

    def room(self, account: str) -> int:
        """What it can still come to hold."""
        return formulas.MOST - self.accounts[account].free - self.locked(account) - self.reserved(account)

    def notional_of(self, order: Order) -> Fraction:
        """What it would open."""
        if order.margin is not None:
            return Fraction(order.margin * order.leverage, 100)
        return Fraction(order.opens * order.price, self.asset(order.asset).net_unit)

    def taken_ids(self) -> set[str]:
        exits = {each.id for trade in self.trades.values() for each in trade.exits if each.id is not None}
        return {*self.trades, *self.orders, *exits}

    # --- what must always hold ------------------------------------------------------------------------------------

    def check(self) -> None:
        held = 0
        for account in self.accounts.values():
            locked, reserved = self.locked(account.id), self.reserved(account.id)
            assert account.free >= 0
            sums = statement.sums(account.rows)
            assert sum(sums.values()) == account.free
            assert sums.get("margin", 0) == -locked
            assert sums.get("reserve", 0) == -reserved
            held += account.free + locked + reserved
        assert held + self.house.total == self.house.deposits
        assert self.house.insurance >= 0
        for trade in self.trades.values():
            assert trade.position.margin > 0
            assert trade.position.size > 0
            assert trade.liquidation == formulas.liquidation_price(trade.position, trade.priced)

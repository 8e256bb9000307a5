"""What the exchange knows while it runs: accounts with their trades and orders, the house, prices, totals.

Only `evolve` changes it. What has ended leaves; so its size follows accounts and what is open. The totals are kept
so that the books are checked after every event at no cost, and the per-account sums so that no limit has to add
anything up.
"""

from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from exness.core.due import DueTimes
from exness.core.events import ProfileSet
from exness.core.instruments import AccountId, Asset, OrderId, TradeId
from exness.core.market import Market
from exness.core.prices import Price, PriceState, state_of
from exness.core.rates import Rates
from exness.core.trades import Order, Trade


class SeenOrder(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A client order id that was used: what was asked, what came of it (a trade or an order), and in which records: the
    first of them and the last."""

    fingerprint: str
    trade_id: TradeId | OrderId
    seq: int
    last: int


NOTHING: Any = MappingProxyType({})
"""What all accounts that hold nothing share, and nobody can write to: a dict of its own takes 64 bytes, one that was
emptied 230 and more."""


class Net(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Of one account and asset: the leverage of its net position, 0 where none was set, and the one that is open."""

    leverage: int = 0
    trade_id: TradeId | None = None


class Extras(msgspec.Struct, gc=False):
    """What an idle account has nothing of: orders that wait to open and what they reserve, exits that are orders with
    the trades they close, what there is of net positions, and the client order ids that were used, oldest first."""

    reserved: int = 0
    orders: dict[OrderId, Order] = {}
    exits: dict[OrderId, TradeId] = {}
    nets: dict[Asset, Net] = {}
    seen: dict[str, SeenOrder] = {}


class Account(msgspec.Struct, gc=False):
    """One trader's money, open trades and waiting orders.

    `free`, `locked` and `reserved` are micro-USDC. `notional` is that of all that is open or waits to open, see
    `books`. `seq` is the last record that touched the account: once that is durable, so is everything the account
    shows. `number` counts accounts as they were opened, from 0.

    Very many may be idle, so this is kept small: `trades` is `NOTHING` while it is empty, `extras` None (`books` has
    the only functions that change them), and no account refers back to itself, which `gc=False` asks for.
    """

    id: AccountId
    number: int
    email: str
    opened_at: int
    free: int = 0
    locked: int = 0
    notional: int = 0
    seq: int = 0
    trades: dict[TradeId, Trade] = NOTHING
    extras: Extras | None = None

    @property
    def reserved(self) -> int:
        return 0 if self.extras is None else self.extras.reserved

    @property
    def bound(self) -> int:
        """What is locked or reserved."""
        return self.locked if self.extras is None else self.locked + self.extras.reserved

    @property
    def orders(self) -> dict[OrderId, Order]:
        return NOTHING if self.extras is None else self.extras.orders

    @property
    def exits(self) -> dict[OrderId, TradeId]:
        return NOTHING if self.extras is None else self.extras.exits

    @property
    def nets(self) -> dict[Asset, Net]:
        return NOTHING if self.extras is None else self.extras.nets

    @property
    def seen(self) -> dict[str, SeenOrder]:
        """By client order id, oldest first."""
        return NOTHING if self.extras is None else self.extras.seen

    def net(self, asset: Asset) -> Trade | None:
        """Its net position in an asset."""
        net = self.nets.get(asset)
        return None if net is None or net.trade_id is None else self.trades[net.trade_id]


class House(msgspec.Struct):
    """The accounts of the house, in micro-USDC: what traders lost less what they won, what they paid in commission and
    in funding, and the insurance, which liquidations fill and shortfalls draw on."""

    pnl: int = 0
    commission: int = 0
    funding: int = 0
    insurance: int = 0

    @property
    def total(self) -> int:
        return self.pnl + self.commission + self.funding + self.insurance

    def cover(self, covered: int) -> None:
        """So much of a shortfall is borne by the insurance."""
        self.insurance -= covered
        self.pnl += covered


class BooksError(AssertionError):
    """The books do not balance. A bug: the process must stop."""


class Observer(Protocol):
    """Hears of an account before it changes (see `capture`)."""

    def keep(self, account: Account) -> None: ...


class State:
    """Everything the engine decides on. Money is micro-USDC."""

    __slots__ = (
        "account_list",
        "accounts",
        "at",
        "by_email",
        "deposits",
        "due",
        "free",
        "house",
        "locked",
        "markets",
        "observer",
        "open_trades",
        "profile",
        "rates",
        "reserved",
        "seq",
        "shortfall",
    )

    def __init__(self) -> None:
        self.seq = 0
        self.at = 0
        self.observer: Observer | None = None
        self.clear()

    def clear(self) -> None:
        """Empty, but for `seq`, `at` and the observer. What was there is let go of and not changed: whoever is taking a
        picture of it goes on with what it holds."""
        self.accounts: dict[AccountId, Account] = {}
        self.account_list: list[Account] = []
        """In the order they were opened. None is removed alone, so a position in it is for good, or until `clear`."""
        self.by_email: dict[str, AccountId] = {}
        self.markets: dict[Asset, Market] = {}
        self.due: DueTimes[tuple[AccountId, OrderId]] = DueTimes()
        """When orders and exits expire, and when funding is settled. Settlement times follow from the rates of now, and
        are in no picture: whoever decides sets them."""
        self.house = House()
        self.profile: ProfileSet | None = None
        """The newest that was set by hand."""
        self.rates: dict[Asset, Rates] = {}
        """What was set by hand, over what is configured."""
        self.deposits = 0
        self.free = 0
        self.locked = 0
        self.reserved = 0
        self.shortfall = 0
        """Without what the insurance has covered."""
        self.open_trades = 0

    def list_account(self, account: Account) -> None:
        """Make an account known."""
        self.accounts[account.id] = account
        self.account_list.append(account)
        self.by_email[account.email] = account.id

    def market(self, asset: Asset) -> Market:
        """The market of an asset, made when it is first spoken of: for those who change the state."""
        market = self.markets.get(asset)
        if market is None:
            market = self.markets[asset] = Market()
        return market

    def price(self, asset: Asset) -> Price | None:
        """The latest price, however old."""
        market = self.markets.get(asset)
        return market.price if market is not None else None

    def fresh_price(self, asset: Asset, at: int) -> Price | None:
        """The latest price if it may still be traded on at `at`."""
        price = self.price(asset)
        if price is None or at > price.fresh_until:
            return None
        return price

    def price_state(self, asset: Asset, at: int) -> PriceState:
        """What the asset's price is good for at `at`."""
        return state_of(self.price(asset), at)

    def check_books(self) -> None:
        """The kept totals balance. O(1); raises BooksError."""
        house = self.house
        held = self.free + self.locked + self.reserved + house.pnl + house.commission + house.funding + house.insurance
        if held != self.deposits or house.insurance < 0:
            raise BooksError(
                f"books do not balance at seq {self.seq}: free {self.free} + locked {self.locked} + reserved "
                f"{self.reserved} + {house} is not deposits {self.deposits}"
            )

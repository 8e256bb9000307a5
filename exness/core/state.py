"""What the exchange knows while it runs: accounts with their open trades, the house, prices, totals.

Only `evolve` changes it. Closed trades leave; so its size follows accounts and open trades. The totals are kept
so that the books are checked after every event at no cost, and the per-account sums so that no limit has to add
anything up.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from exness.core.events import Trade
from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.core.margin import notional
from exness.core.prices import Price, PriceState, state_of
from exness.core.triggers import TriggerIndex


class SeenOrder(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A client order id that was used: what was asked, which trade came of it, and in which record."""

    fingerprint: str
    trade_id: TradeId
    seq: int


NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""What all accounts that hold nothing share: a dict of its own takes 64 bytes, one that was emptied 230 and more."""


class Account(msgspec.Struct, gc=False):
    """One trader's money and open trades.

    `free` and `locked` are micro-USDC, `notional` hundredths of it. `seq` is the last record that touched the account:
    once that is durable, so is everything the account shows. `number` counts accounts as they were opened, from 0.

    Very many may be idle, so this is kept small: `trades` and `seen` are `NOTHING` while they are empty (`evolve` has
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
    trades: Mapping[TradeId, Trade] = NOTHING
    seen: Mapping[str, SeenOrder] = NOTHING
    """By client order id, oldest first."""


class Market(msgspec.Struct):
    """One asset: its price, its open trades by liquidation price, and their notional in hundredths: summed
    (`open_interest`), and that of longs less that of shorts (`exposure`, which the house bears the other side of)."""

    longs: TriggerIndex
    shorts: TriggerIndex
    price: Price | None = None
    open_interest: int = 0
    exposure: int = 0

    def index(self, side: Side) -> TriggerIndex:
        return self.longs if side is Side.LONG else self.shorts

    @property
    def open_trades(self) -> int:
        return len(self.longs) + len(self.shorts)


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
        "free",
        "house_pnl",
        "locked",
        "markets",
        "observer",
        "open_trades",
        "seq",
        "shortfall",
    )

    def __init__(self) -> None:
        self.seq = 0
        self.at = 0
        self.accounts: dict[AccountId, Account] = {}
        self.account_list: list[Account] = []
        """In the order they were opened. None is removed alone, so a position in it is for good, or until `clear`."""
        self.by_email: dict[str, AccountId] = {}
        self.markets: dict[Asset, Market] = {}
        self.house_pnl = 0
        self.deposits = 0
        self.free = 0
        self.locked = 0
        self.shortfall = 0
        self.open_trades = 0
        self.observer: Observer | None = None

    def clear(self) -> None:
        """Empty, but for `seq`, `at` and the observer. What was there is let go of and not changed: whoever is taking a
        picture of it goes on with what it holds."""
        self.accounts, self.account_list, self.by_email, self.markets = {}, [], {}, {}
        self.house_pnl = self.deposits = self.free = self.locked = self.shortfall = self.open_trades = 0

    def list_account(self, account: Account) -> None:
        """Make an account known."""
        self.accounts[account.id] = account
        self.account_list.append(account)
        self.by_email[account.email] = account.id

    def market(self, asset: Asset) -> Market:
        """The market of an asset, made when it is first spoken of: for those who change the state."""
        market = self.markets.get(asset)
        if market is None:
            market = self.markets[asset] = Market(TriggerIndex(Side.LONG), TriggerIndex(Side.SHORT))
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
        if self.free + self.locked + self.house_pnl != self.deposits:
            raise BooksError(
                f"books do not balance at seq {self.seq}: free {self.free} + locked {self.locked} "
                f"+ house {self.house_pnl} is not deposits {self.deposits}"
            )


def audit(state: State) -> None:
    """Check every sum from the ground up: O(accounts + trades). Raises BooksError with the first difference."""
    state.check_books()
    _same("free balances", state.free, sum(account.free for account in state.account_list))
    _same("locked margins", state.locked, sum(account.locked for account in state.account_list))
    interest = dict.fromkeys(state.markets, 0)
    exposure = dict.fromkeys(state.markets, 0)
    open_trades = 0
    for account in state.account_list:
        if account.free < 0:
            raise BooksError(f"account {account.id} has a balance below 0: {account.free}")
        _same(f"locked margin of {account.id}", account.locked, sum(t.margin for t in account.trades.values()))
        total = 0
        for trade in account.trades.values():
            worth = notional(trade.margin, trade.leverage)
            interest[trade.asset] += worth
            exposure[trade.asset] += worth if trade.side is Side.LONG else -worth
            total += worth
        _same(f"notional of {account.id}", account.notional, total)
        open_trades += len(account.trades)
    _same("open trades", state.open_trades, open_trades)
    for asset, market in state.markets.items():
        _same(f"open interest of {asset}", market.open_interest, interest[asset])
        _same(f"exposure in {asset}", market.exposure, exposure[asset])
    _same("indexed trades", sum(market.open_trades for market in state.markets.values()), open_trades)


def _same(what: str, kept: int, summed: int) -> None:
    if kept != summed:
        raise BooksError(f"{what}: kept {kept}, summed {summed}")

"""What may be seen of the state: questions, and the views that answer them.

A question is a frozen struct whose `answer` is a pure function of state, rules and time (microseconds). A view changes
no more: it can be written down piece by piece while trading goes on. `seq` is the newest record that it shows; once
that one may be told, so may all of the view. 0: it shows no record, as prices are in none.
"""

from typing import Protocol, TypeVar

import msgspec

from exness.core import margin
from exness.core.decide.net import leverage_of
from exness.core.instruments import AccountId, Asset, Execution, OrderId, TradeId
from exness.core.line import pnl, settle
from exness.core.prices import Price, PriceState, state_of
from exness.core.rates import Rates
from exness.core.rules import Rules
from exness.core.state import NOTHING, Account, Extras, State
from exness.core.tick_order import closes_at
from exness.core.trades import Exit, Order, Trade


class View(Protocol):
    @property
    def seq(self) -> int: ...


V_co = TypeVar("V_co", bound=View, covariant=True)


class Question(Protocol[V_co]):
    def answer(self, state: State, rules: Rules, at: int) -> V_co: ...


class NoSuchAccount(LookupError):
    """It never was, or a reset has forgotten it."""


# --- accounts -----------------------------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True, gc=False):
    """Whose a mail address is; None: nobody's. That there is an account tells of no record."""

    account: AccountId | None
    seq: int = 0


class AccountOf(msgspec.Struct, frozen=True, gc=False):
    """Who is known by a mail address?"""

    email: str

    def answer(self, state: State, rules: Rules, at: int) -> Known:
        return Known(state.by_email.get(self.email))


class Balance(msgspec.Struct, frozen=True, gc=False):
    """One account's money, in micro-USDC. `seq` is its last record, `newest` the last of all."""

    seq: int
    newest: int
    free: int
    locked: int
    open_trades: int
    reserved: int


class BalanceOf(msgspec.Struct, frozen=True, gc=False):
    """What does this account have? Raises NoSuchAccount."""

    account: AccountId

    def answer(self, state: State, rules: Rules, at: int) -> Balance:
        account = state.accounts.get(self.account)
        if account is None:
            raise NoSuchAccount(self.account)
        free, locked, reserved = account.free, account.locked, account.reserved
        return Balance(account.seq, state.seq, free, locked, len(account.trades), reserved)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How an open trade stands. `mark` and `unrealized`, at the mark and so as liquidation sees it, are None while
    there is no price; `close_pnl`, of a close of now, while that would be refused. `stale`: the price
    is old, or there is none. Money is micro-USDC."""

    mark: int | None
    unrealized: int | None
    close_pnl: int | None
    stale: bool


_UNPRICED = Standing(None, None, None, True)


class Holdings(msgspec.Struct, frozen=True):
    """One account and its open trades at one moment, `at`, at the prices of that moment. `seq` is its last record,
    `newest` the last of all; `trades` are in the order they were opened."""

    seq: int
    newest: int
    at: int
    owner: Account
    """A copy, which holds no trades."""
    trades: list[Trade]
    prices: dict[Asset, Price | None]
    execution: Execution
    rates: dict[Asset, Rates]
    levels: dict[OrderId | TradeId, int]
    """What sets trailing stops off by now: by the id of the exit, or of the trade whose own it is."""

    def net_leverage(self, rules: Rules, asset: Asset) -> int:
        """That of its net positions in an asset, hundredths."""
        return leverage_of(rules, self.owner, asset)

    def standing(self, trade: Trade) -> Standing:
        """How one of the trades stands. 1 us: whoever has thousands lets the loop turn in between."""
        price = self.prices.get(trade.asset)
        if price is None:
            return _UNPRICED
        line = trade.line
        unrealized = pnl(line, price.mark)
        if self.at > price.fresh_until:
            return Standing(price.mark, unrealized, None, True)
        owner = self.owner
        most = margin.most_pnl(owner.free, owner.bound, trade.margin)
        close_pnl = settle(line, closes_at(self.execution, price, trade.side), most=most).pnl
        return Standing(price.mark, unrealized, close_pnl, False)


class HoldingsOf(msgspec.Struct, frozen=True, gc=False):
    """What does this account have, and how do its trades stand? `asset`: only those in it. Raises NoSuchAccount."""

    account: AccountId
    asset: Asset | None = None

    def answer(self, state: State, rules: Rules, at: int) -> Holdings:
        account, asset = state.accounts.get(self.account), self.asset
        if account is None:
            raise NoSuchAccount(self.account)
        trades = [trade for trade in account.trades.values() if asset in (None, trade.asset)]
        return Holdings(
            seq=account.seq,
            newest=state.seq,
            at=at,
            owner=_without_trades(account),
            trades=trades,
            prices={asset: market.price for asset, market in state.markets.items()},
            execution=rules.execution,
            rates=dict(rules.rates),
            levels=_levels(state, trades),
        )


def _without_trades(account: Account) -> Account:
    extras = account.extras
    if extras is not None:
        extras = Extras(extras.reserved, dict(extras.orders), nets=dict(extras.nets))
    return msgspec.structs.replace(account, trades=NOTHING, extras=extras)


def _levels(state: State, trades: list[Trade]) -> dict[OrderId | TradeId, int]:
    levels = {}
    for trade in trades:
        for each in trade.all_exits() if trade.has_exits else ():
            level = state.markets[trade.asset].trailing_level(trade, each) if each.trailing is not None else None
            if level is not None:
                levels[each.id or trade.id] = level
    return levels


class NetHoldings(msgspec.Struct, frozen=True):
    """An account's net positions, and its orders of them, at one moment. `seq` is its last record; money is micro-USDC.
    `trades` are by asset, `orders` by the number of their placing; `leverages` are those of every asset."""

    seq: int
    at: int
    updated_at: int
    free: int
    trades: dict[Asset, Trade]
    orders: list[Order]
    prices: dict[Asset, Price | None]
    levels: dict[OrderId | TradeId, int]
    leverages: dict[Asset, int]
    rates: dict[Asset, Rates]


class NetHoldingsOf(msgspec.Struct, frozen=True, gc=False):
    """What net positions does this account have, and what waits to change them? It costs what they are, however many
    other trades there are. Raises NoSuchAccount."""

    account: AccountId

    def answer(self, state: State, rules: Rules, at: int) -> NetHoldings:
        account = state.accounts.get(self.account)
        if account is None:
            raise NoSuchAccount(self.account)
        held = {asset: account.net(asset) for asset in account.nets}
        trades = {asset: trade for asset, trade in held.items() if trade is not None}
        return NetHoldings(
            seq=account.seq,
            at=at,
            updated_at=state.at,
            free=account.free,
            trades=trades,
            orders=[order for order in account.orders.values() if order.net],
            prices={asset: market.price for asset, market in state.markets.items()},
            levels=_levels(state, list(trades.values())),
            leverages={asset: leverage_of(rules, account, asset) for asset in rules.instruments},
            rates=dict(rules.rates),
        )


class Held(msgspec.Struct, frozen=True, gc=False):
    """What an account has under one id: a trade, an order that waits, or an exit that is one, with its trade."""

    trade: Trade | None = None
    order: Order | None = None
    exit: Exit | None = None
    seq: int = 0

    @property
    def asset(self) -> Asset | None:
        thing = self.trade or self.order
        return None if thing is None else thing.asset


class HeldAs(msgspec.Struct, frozen=True, gc=False):
    """What does this account have under this id? An order and the trade that it opened have the same. The view shows
    what never changes of it, its asset and its kind, and so tells of no record."""

    account: AccountId
    id: str

    def answer(self, state: State, rules: Rules, at: int) -> Held:
        account = state.accounts.get(self.account)
        if account is None:
            return Held()
        trade_id, order_id = TradeId(self.id), OrderId(self.id)
        if order_id in account.orders:
            return Held(order=account.orders[order_id])
        if order_id not in account.exits:
            return Held(account.trades.get(trade_id))
        trade = account.trades[account.exits[order_id]]
        return Held(trade, exit=next(each for each in trade.exits if each.id == order_id))


class Named(msgspec.Struct, frozen=True, gc=False):
    """What a client order id stands for: a trade or an order; None: nothing, or it was forgotten."""

    id: str | None
    seq: int = 0


class NamedBy(msgspec.Struct, frozen=True, gc=False):
    """What did this account name so, as far as that is remembered?"""

    account: AccountId
    client_order: str

    def answer(self, state: State, rules: Rules, at: int) -> Named:
        account = state.accounts.get(self.account)
        seen = None if account is None else account.seen.get(self.client_order)
        return Named(None) if seen is None else Named(seen.trade_id, seen.last)


def last_record_of(state: State, account: AccountId) -> int:
    """The seq of an account's last record; of the last of all for one that a reset has forgotten."""
    known = state.accounts.get(account)
    return state.seq if known is None else known.seq


# --- prices -------------------------------------------------------------------------------------------------------


class Quote(msgspec.Struct, frozen=True, gc=False):
    """An asset's latest accepted price, however old, and what it is good for."""

    price: Price | None
    state: PriceState


class AssetPrice(msgspec.Struct, frozen=True, gc=False):
    quote: Quote
    seq: int = 0


class PriceOf(msgspec.Struct, frozen=True, gc=False):
    """What is the price of this asset?"""

    asset: Asset

    def answer(self, state: State, rules: Rules, at: int) -> AssetPrice:
        return AssetPrice(_quote(state, self.asset, at))


class Prices(msgspec.Struct, frozen=True):
    """Of all configured assets, in their order, at the moment `at`."""

    at: int
    quotes: dict[Asset, Quote]
    seq: int = 0


class AllPrices(msgspec.Struct, frozen=True):
    """What is the price of every asset?"""

    def answer(self, state: State, rules: Rules, at: int) -> Prices:
        return Prices(at, {asset: _quote(state, asset, at) for asset in rules.instruments})


def _quote(state: State, asset: Asset, at: int) -> Quote:
    price = state.price(asset)
    return Quote(price, state_of(price, at))


class Terms(msgspec.Struct, frozen=True):
    """The rules of now. `profile` is the one that was set by hand, if one was; `by_hand` are the assets whose rates
    were."""

    rules: Rules
    profile: str | None
    by_hand: frozenset[Asset]
    seq: int


class TermsNow(msgspec.Struct, frozen=True):
    """What does trading cost, and who says so?"""

    def answer(self, state: State, rules: Rules, at: int) -> Terms:
        profile = None if state.profile is None else state.profile.profile
        return Terms(rules, profile, frozenset(state.rates), state.seq)

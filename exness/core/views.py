"""What may be seen of the state: questions, and the views that answer them.

A question is a frozen struct whose `answer` is a pure function of state, rules and time (microseconds). A view changes
no more: it can be written down piece by piece while trading goes on. `seq` is the newest record that it shows; once
that one may be told, so may all of the view. 0: it shows no record, as prices are in none.
"""

from typing import Protocol, TypeVar

import msgspec

from exness.core import margin
from exness.core.capture import digest_of
from exness.core.decide import close_of, execution_price
from exness.core.events import Trade
from exness.core.instruments import AccountId, Asset, Execution
from exness.core.prices import Price, PriceState, state_of
from exness.core.rules import Rules
from exness.core.state import Account, State


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


class BalanceOf(msgspec.Struct, frozen=True, gc=False):
    """What does this account have? Raises NoSuchAccount."""

    account: AccountId

    def answer(self, state: State, rules: Rules, at: int) -> Balance:
        account = state.accounts.get(self.account)
        if account is None:
            raise NoSuchAccount(self.account)
        return Balance(account.seq, state.seq, account.free, account.locked, len(account.trades))


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How an open trade stands. `mark` and `unrealized`, at the mark and so as liquidation sees it, are None while
    there is no price; `close_pnl`, which a close of now would pay beside the margin, while that would be refused.
    `stale`: the price is old, or there is none. Money is micro-USDC."""

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

    def standing(self, trade: Trade) -> Standing:
        """How one of the trades stands. 1 us: whoever has thousands lets the loop turn in between."""
        price = self.prices.get(trade.asset)
        if price is None:
            return _UNPRICED
        unrealized = margin.pnl(trade.side, trade.margin, trade.leverage, trade.entry, price.mark)
        if self.at > price.fresh_until:
            return Standing(price.mark, unrealized, None, True)
        exit_ = execution_price(self.execution, price, trade.side, opening=False)
        if exit_ != price.mark:
            return Standing(price.mark, unrealized, close_of(self.owner, trade, exit_).pnl, False)
        most = margin.most_pnl(self.owner.free, self.owner.locked, trade.margin)  # `close_of`, in half the time
        return Standing(price.mark, unrealized, max(-trade.margin, min(unrealized, most)), False)


class HoldingsOf(msgspec.Struct, frozen=True, gc=False):
    """What does this account have, and how do its trades stand? `asset`: only those in it. Raises NoSuchAccount."""

    account: AccountId
    asset: Asset | None = None

    def answer(self, state: State, rules: Rules, at: int) -> Holdings:
        account, asset = state.accounts.get(self.account), self.asset
        if account is None:
            raise NoSuchAccount(self.account)
        trades = list(account.trades.values())
        return Holdings(
            seq=account.seq,
            newest=state.seq,
            at=at,
            owner=Account(account.id, account.number, account.email, account.opened_at, account.free, account.locked),
            trades=trades if asset is None else [trade for trade in trades if trade.asset == asset],
            prices={asset: market.price for asset, market in state.markets.items()},
            execution=rules.execution,
        )


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


# --- all together -------------------------------------------------------------------------------------------------


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The last record there is, and the engine's time then or later."""

    seq: int
    at: int


class NewestRecord(msgspec.Struct, frozen=True):
    """How far has the exchange come?"""

    def answer(self, state: State, rules: Rules, at: int) -> Newest:
        return Newest(state.seq, state.at)


class MarketSums(msgspec.Struct, frozen=True, gc=False):
    """Of one asset: `open_interest` and `exposure` are hundredths of a micro-USDC, see `Market`."""

    open_trades: int
    open_interest: int
    exposure: int


class Books(msgspec.Struct, frozen=True):
    """Sums over all accounts, in micro-USDC."""

    seq: int
    at: int
    accounts: int
    open_trades: int
    free: int
    locked: int
    house_pnl: int
    deposits: int
    shortfall: int
    markets: dict[Asset, MarketSums]
    """Also of assets that are not configured any more."""


class AllBooks(msgspec.Struct, frozen=True):
    """What do all accounts come to?"""

    def answer(self, state: State, rules: Rules, at: int) -> Books:
        return books_of(state)


def books_of(state: State) -> Books:
    return Books(
        seq=state.seq,
        at=state.at,
        accounts=len(state.account_list),
        open_trades=state.open_trades,
        free=state.free,
        locked=state.locked,
        house_pnl=state.house_pnl,
        deposits=state.deposits,
        shortfall=state.shortfall,
        markets={
            asset: MarketSums(market.open_trades, market.open_interest, market.exposure)
            for asset, market in state.markets.items()
        },
    )


class StateDigest(msgspec.Struct, frozen=True):
    """See `capture.digest_of`."""

    seq: int
    digest: str


class DigestOfAll(msgspec.Struct, frozen=True):
    """What does the whole state hash to? It takes as long as a snapshot, in one piece."""

    def answer(self, state: State, rules: Rules, at: int) -> StateDigest:
        return StateDigest(state.seq, digest_of(state))

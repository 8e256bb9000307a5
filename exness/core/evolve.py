"""Events into state. The only writer, live and in recovery: what happened once happens again the same way.

A function here never refuses. Whatever does not fit (an unknown account, a hole in `seq`, books that do not
balance) is a bug or damage, and stops the process.
"""

from collections.abc import Callable
from typing import Any, get_args

import msgspec

from exness.core import margin
from exness.core.books import lock
from exness.core.ceilings import MOST_PRICE
from exness.core.commands import PriceTick
from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    ExchangeReset,
    Record,
    Trade,
    TradeClosed,
    TradeOpened,
)
from exness.core.instruments import AccountId, Asset, TradeId
from exness.core.prices import Price
from exness.core.state import NOTHING, Account, BooksError, SeenOrder, State


def evolve(state: State, record: Record) -> None:
    """Apply one record, which must be the next one, and check the books."""
    if record.seq != state.seq + 1:
        raise AssertionError(f"record {record.seq} does not follow {state.seq}")
    if record.at < state.at:
        raise AssertionError(f"record {record.seq} is of {record.at}, before the last one's {state.at}")
    event = record.event
    _APPLY[type(event)](state, record, event)
    state.seq = record.seq
    state.at = record.at
    state.check_books()


def quote(state: State, tick: PriceTick, at: int) -> None:
    """Take a price. Prices are not journaled: after a restart the feed brings new ones. One that no feed should let
    through is a bug of that feed."""
    if not 0 < tick.bid <= tick.ask <= MOST_PRICE:
        raise AssertionError(f"{tick.asset} can't have the price {tick.bid} / {tick.ask}")
    mark = margin.mark_price(tick.bid, tick.ask)
    state.market(tick.asset).price = Price(tick.bid, tick.ask, mark, at, at + tick.life_us)


def doubt(state: State, asset: Asset) -> None:
    """The price stays as it is, but is suspect until the next quote. Where there is none, nothing can be in doubt."""
    market = state.markets.get(asset)
    if market is not None and market.price is not None:
        market.price = msgspec.structs.replace(market.price, suspect=True)


def _account_opened(state: State, record: Record, event: AccountOpened) -> None:
    if event.account in state.accounts or event.email in state.by_email:
        raise AssertionError(f"account {event.account} is opened twice")
    if event.deposit < 0:
        raise BooksError(f"account {event.account} is opened with {event.deposit}")
    account = Account(
        id=event.account,
        number=len(state.account_list),
        email=event.email,
        opened_at=record.at,
        free=event.deposit,
        seq=record.seq,
    )
    state.list_account(account)
    state.free += event.deposit
    state.deposits += event.deposit


def _deposited(state: State, record: Record, event: Deposited) -> None:
    account = _touch(state, event.account, record.seq)
    _pay(state, account, event.amount, event.balance)
    state.deposits += event.amount


def _trade_opened(state: State, record: Record, event: TradeOpened) -> None:
    trade = event.trade
    account = _touch(state, trade.account, record.seq)
    if trade.id in account.trades:
        raise AssertionError(f"trade {trade.id} is opened twice")
    _pay(state, account, -trade.margin, event.balance)
    _trades_of(account)[trade.id] = trade
    lock(state, account, (trade,))
    state.markets[trade.asset].index(trade.side).add(trade)
    if trade.client_order is not None:
        seen = _seen_of(account)
        for forgotten in event.forgets:
            del seen[forgotten]
        seen[trade.client_order] = SeenOrder(event.fingerprint, trade.id, record.seq)


def _trade_closed(state: State, record: Record, event: TradeClosed) -> None:
    account = _touch(state, event.account, record.seq)
    if event.trade_id not in account.trades:
        raise AssertionError(f"trade {event.trade_id} is closed and is not open")
    trades = _trades_of(account)
    trade = trades.pop(event.trade_id)
    if not trades:
        account.trades = NOTHING
    lock(state, account, (trade,), -1)
    state.markets[trade.asset].index(trade.side).remove(trade)
    _pay(state, account, event.returned, event.balance)
    state.house_pnl -= event.pnl
    state.shortfall += event.shortfall


def _exchange_reset(state: State, record: Record, event: ExchangeReset) -> None:
    state.clear()


def _touch(state: State, account_id: AccountId, seq: int) -> Account:
    """The account an event is about to change, shown first to whoever is taking a picture."""
    account = state.accounts[account_id]
    if state.observer is not None:
        state.observer.keep(account)
    account.seq = seq
    return account


def _trades_of(account: Account) -> dict[TradeId, Trade]:
    """Its open trades, to change them."""
    if not isinstance(account.trades, dict):
        account.trades = {}
    return account.trades


def _seen_of(account: Account) -> dict[str, SeenOrder]:
    """Its client order ids, to change them."""
    if not isinstance(account.seen, dict):
        account.seen = {}
    return account.seen


def _pay(state: State, account: Account, amount: int, balance: int) -> None:
    """Move `amount` into (or out of) the free balance, which must then be what the event says and not below 0."""
    account.free += amount
    state.free += amount
    if account.free != balance or balance < 0:
        raise BooksError(f"account {account.id} has {account.free}, its event says {balance}")


_APPLY: dict[type[Event], Callable[[State, Record, Any], None]] = {
    AccountOpened: _account_opened,
    Deposited: _deposited,
    TradeOpened: _trade_opened,
    TradeClosed: _trade_closed,
    ExchangeReset: _exchange_reset,
}
assert _APPLY.keys() == set(get_args(Event)), "every event changes the state in its own way"

"""Events into state. The only writer, live and in recovery: what happened once happens again the same way.

A function here never refuses. Whatever does not fit (an unknown account, a hole in `seq`, books that do not
balance) is a bug or damage, and stops the process.
"""

from collections.abc import Callable
from typing import Any, get_args

import msgspec

from exness.core import books
from exness.core.ceilings import MOST_PRICE
from exness.core.commands import PriceTick
from exness.core.events import (
    AccountOpened,
    Asked,
    Deposited,
    Event,
    ExchangeReset,
    InsurancePaid,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    ProfileSet,
    RatesSet,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    TrailMoved,
)
from exness.core.instruments import AccountId, Asset
from exness.core.margin import mark_price
from exness.core.prices import Price
from exness.core.state import Account, BooksError, SeenOrder, State
from exness.core.trades import PLACES


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


def quote(state: State, tick: PriceTick, at: int) -> Price:
    """Take a price. Prices are not journaled: after a restart the feed brings new ones. One that no feed should let
    through is a bug of that feed."""
    if not 0 < tick.bid <= tick.ask <= MOST_PRICE:
        raise AssertionError(f"{tick.asset} can't have the price {tick.bid} / {tick.ask}")
    price = Price(tick.bid, tick.ask, mark_price(tick.bid, tick.ask), at, at + tick.life_us)
    market = state.market(tick.asset)
    market.price = price
    if tick.funding is not None:
        market.funding = tick.funding
    return price


def doubt(state: State, asset: Asset) -> None:
    """The price stays as it is, but is suspect until the next quote. Where there is none, nothing can be in doubt."""
    market = state.markets.get(asset)
    if market is not None and market.price is not None:
        market.price = msgspec.structs.replace(market.price, suspect=True)


# --- accounts -------------------------------------------------------------------------------------------------------


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
    books.pay(state, account, event.amount, event.balance)
    state.deposits += event.amount


# --- orders ---------------------------------------------------------------------------------------------------------


def _order_placed(state: State, record: Record, event: OrderPlaced) -> None:
    order = event.order
    account = _touch(state, order.account, record.seq)
    books.pay(state, account, -order.reserved, event.balance)
    books.place_order(state, account, order)
    _remember(account, event.asked, record)


def _order_amended(state: State, record: Record, event: OrderAmended) -> None:
    order = event.order
    account = _touch(state, order.account, record.seq)
    before = books.end_order(state, account, order.id)
    if event.released != before.reserved:
        raise BooksError(f"order {order.id} has reserved {before.reserved}, its event says {event.released}")
    books.pay(state, account, event.released - order.reserved, event.balance)
    books.place_order(state, account, order)


def _order_triggered(state: State, record: Record, event: OrderTriggered) -> None:
    account = _touch(state, event.account, record.seq)
    before = books.end_order(state, account, event.order_id)
    books.place_order(state, account, msgspec.structs.replace(before, stop=None, fired=event.fired))


def _order_ended(state: State, record: Record, event: OrderEnded) -> None:
    account = _touch(state, event.account, record.seq)
    order = books.end_order(state, account, event.order_id)
    if event.released != order.reserved:
        raise BooksError(f"order {order.id} has reserved {order.reserved}, its event says {event.released}")
    books.pay(state, account, event.released, event.balance)


# --- trades ---------------------------------------------------------------------------------------------------------


def _trade_opened(state: State, record: Record, event: TradeOpened) -> None:
    trade = event.trade
    account = _touch(state, trade.account, record.seq)
    books.open_trade(state, account, trade)
    fee = event.fee
    books.pay(state, account, -trade.margin - fee, event.balance)
    if fee:
        state.house.commission += fee
    if event.fingerprint and trade.client_order is not None:
        seen = SeenOrder(event.fingerprint, trade.id, record.seq, record.seq)
        books.remember(account, trade.client_order, seen, event.forgets)


def _trade_increased(state: State, record: Record, event: TradeIncreased) -> None:
    account = _touch(state, event.account, record.seq)
    books.pay(state, account, -event.margin - event.fee, event.balance)
    state.house.commission += event.fee
    books.change_trade(state, account, event.trade)
    _remember(account, event.asked, record)


def _trade_reduced(state: State, record: Record, event: TradeReduced) -> None:
    account = _touch(state, event.account, record.seq)
    books.change_trade(state, account, event.trade)
    books.pay(state, account, event.returned, event.balance)
    state.house.pnl -= event.pnl
    state.house.commission += event.fee
    _bear(state, event.shortfall, event.covered)
    _remember(account, event.asked, record)


def _trade_closed(state: State, record: Record, event: TradeClosed) -> None:
    account = _touch(state, event.account, record.seq)
    books.end_trade(state, account, event.trade_id)
    books.pay(state, account, event.returned, event.balance)
    house, fee = state.house, event.fee
    house.pnl -= event.pnl
    if fee or event.forfeited:
        if event.liquidated:
            house.insurance += fee + event.forfeited
        else:
            house.commission += fee
    if event.shortfall:
        _bear(state, event.shortfall, event.covered)
    if event.asked is not None:
        _remember(account, event.asked, record)


def _trade_changed(state: State, record: Record, event: TradeChanged) -> None:
    account = _touch(state, event.account, record.seq)
    books.change_trade(state, account, event.trade)
    books.pay(state, account, -event.amount, event.balance)
    if event.paid:
        state.house.funding += event.paid
    if event.shortfall:
        _bear(state, event.shortfall, event.covered)
    if event.asked is not None:
        _remember(account, event.asked, record)


def _net_leverage_set(state: State, record: Record, event: NetLeverageSet) -> None:
    account = _touch(state, event.account, record.seq)
    books.set_net_leverage(account, event.asset, event.leverage)


# --- the exchange ---------------------------------------------------------------------------------------------------


def _trail_moved(state: State, record: Record, event: TrailMoved) -> None:
    market = state.markets[event.asset]
    market.move_trail(0, event.long, record.seq * PLACES)
    market.move_trail(1, event.short, record.seq * PLACES)


def _rates_set(state: State, record: Record, event: RatesSet) -> None:
    state.rates[event.asset] = event.rates


def _profile_set(state: State, record: Record, event: ProfileSet) -> None:
    state.profile = event
    state.rates = dict(event.rates)


def _insurance_paid(state: State, record: Record, event: InsurancePaid) -> None:
    state.house.insurance += event.amount
    state.deposits += event.amount


def _exchange_reset(state: State, record: Record, event: ExchangeReset) -> None:
    state.clear()


def _bear(state: State, shortfall: int, covered: int) -> None:
    state.house.cover(covered)
    state.shortfall += shortfall - covered


def _touch(state: State, account_id: AccountId, seq: int) -> Account:
    """The account an event is about to change, shown first to whoever is taking a picture."""
    account = state.accounts[account_id]
    if state.observer is not None:
        state.observer.keep(account)
    account.seq = seq
    return account


def _remember(account: Account, asked: Asked | None, record: Record) -> None:
    """What a client order id was used for."""
    if asked is not None:
        seen = SeenOrder(asked.fingerprint, asked.made, record.seq, record.seq + asked.records - 1)
        books.remember(account, asked.client_order, seen, asked.forgets)


_APPLY: dict[type[Event], Callable[[State, Record, Any], None]] = {
    AccountOpened: _account_opened,
    Deposited: _deposited,
    OrderPlaced: _order_placed,
    OrderAmended: _order_amended,
    OrderTriggered: _order_triggered,
    OrderEnded: _order_ended,
    TradeOpened: _trade_opened,
    TradeIncreased: _trade_increased,
    TradeReduced: _trade_reduced,
    TradeClosed: _trade_closed,
    TradeChanged: _trade_changed,
    NetLeverageSet: _net_leverage_set,
    TrailMoved: _trail_moved,
    RatesSet: _rates_set,
    ProfileSet: _profile_set,
    InsurancePaid: _insurance_paid,
    ExchangeReset: _exchange_reset,
}
assert _APPLY.keys() == set(get_args(Event)), "every event changes the state in its own way"

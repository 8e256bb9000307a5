"""What accounts hold and what it adds up to, counted in and out in one place: of an account, of its markets, of all.

A notional is kept in 1e-5 of a micro-USDC (`NOTIONAL_UNIT`), which holds that of a trade and that of a net position
exactly.
"""

from typing import Final

from exness.core.instruments import LEVERAGE_UNIT, Asset, OrderId, Side, TradeId
from exness.core.market import Market
from exness.core.state import NOTHING, Account, BooksError, Extras, Net, SeenOrder, State
from exness.core.trades import Exit, Order, Trade

NOTIONAL_UNIT: Final = 100_000
_OF_SIZE: Final = NOTIONAL_UNIT // LEVERAGE_UNIT
_LONG = Side.LONG  # to look it up for every trade would take 80 ns each


def notional_of(trade: Trade) -> int:
    """Its entry notional, in 1e-5 of a micro-USDC."""
    if trade.unit:
        return trade.cost * (NOTIONAL_UNIT // trade.unit)
    return trade.size * _OF_SIZE


def notional_of_order(order: Order) -> int:
    """Of what it would open, in 1e-5 of a micro-USDC."""
    if order.unit:
        return order.opens * order.price * (NOTIONAL_UNIT // order.unit)
    return order.margin * order.leverage * _OF_SIZE


# --- trades ---------------------------------------------------------------------------------------------------------


def count(state: State, account: Account, trade: Trade, sign: int) -> Market:
    """Count an open trade in (`sign` 1) or out (-1): its margin and its notional. Returns its market."""
    state.open_trades += sign
    notional = notional_of(trade) if trade.unit else trade.size * _OF_SIZE
    return _add(state, account, trade, sign * trade.margin, sign * notional)


def _add(state: State, account: Account, trade: Trade, margin: int, notional: int) -> Market:
    market = state.markets.get(trade.asset) or state.market(trade.asset)
    market.open_interest += notional
    market.exposure += notional if trade.side is _LONG else -notional
    account.locked += margin
    account.notional += notional
    state.locked += margin
    return market


def open_trade(state: State, account: Account, trade: Trade) -> None:
    trades = account.trades
    if trade.id in trades:
        raise AssertionError(f"trade {trade.id} is opened twice")
    if trades is NOTHING:
        trades = account.trades = {}
    trades[trade.id] = trade
    count(state, account, trade, 1).list_trade(trade)
    if trade.unit or trade.exits:
        hold(state, account, trade)


def hold(state: State, account: Account, trade: Trade) -> None:
    """Note what else of its account an open trade is: its net position, and exits that are orders."""
    if trade.unit:
        _set_net(account, trade.asset, trade.id)
    for each in trade.exits:
        _hold_exit(state, account, trade, each)


def change_trade(state: State, account: Account, after: Trade) -> None:
    """It is `after` from now on."""
    before = account.trades.get(after.id)
    if before is None:
        raise AssertionError(f"trade {after.id} is changed and is not open")
    account.trades[after.id] = after
    margin, notional = after.margin - before.margin, notional_of(after) - notional_of(before)
    _add(state, account, after, margin, notional).relist_trade(before, after)
    if before.exits != after.exits:
        for each in before.exits:
            _drop_exit(state, account, each)
        for each in after.exits:
            _hold_exit(state, account, after, each)


def end_trade(state: State, account: Account, trade_id: TradeId) -> None:
    """It is no longer open, and its exits are gone."""
    trades = account.trades
    if trade_id not in trades:
        raise AssertionError(f"trade {trade_id} is closed and is not open")
    trade = trades.pop(trade_id)
    if not trades:
        account.trades = NOTHING
    count(state, account, trade, -1).unlist_trade(trade)
    if trade.unit:
        _set_net(account, trade.asset, None)
    for each in trade.exits:
        _drop_exit(state, account, each)


def _hold_exit(state: State, account: Account, trade: Trade, exit_: Exit) -> None:
    order = exit_.order
    assert order is not None, "an exit beside the trade's own is an order"
    extras_of(account).exits[order.id] = trade.id
    if order.expires_at is not None:
        state.due.add_expiry(order.expires_at, exit_.number, (account.id, order.id))


def _drop_exit(state: State, account: Account, exit_: Exit) -> None:
    order = exit_.order
    assert order is not None
    del account.exits[order.id]
    _tidy(account)
    if order.expires_at is not None:
        state.due.remove_expiry(order.expires_at, exit_.number)


# --- orders ---------------------------------------------------------------------------------------------------------


def place_order(state: State, account: Account, order: Order) -> None:
    orders = extras_of(account).orders
    if order.id in orders:
        raise AssertionError(f"order {order.id} is placed twice")
    orders[order.id] = order
    reserve(state, account, order, 1)
    state.market(order.asset).list_order(order)
    await_expiry(state, account, order)


def await_expiry(state: State, account: Account, order: Order) -> None:
    if order.expires_at is not None:
        state.due.add_expiry(order.expires_at, order.number, (account.id, order.id))


def end_order(state: State, account: Account, order_id: OrderId) -> Order:
    """It waits no longer; returns what it was."""
    if order_id not in account.orders:
        raise AssertionError(f"order {order_id} is ended and does not wait")
    order = account.orders.pop(order_id)
    reserve(state, account, order, -1)
    _tidy(account)
    state.markets[order.asset].unlist_order(order)
    if order.expires_at is not None:
        state.due.remove_expiry(order.expires_at, order.number)
    return order


def reserve(state: State, account: Account, order: Order, sign: int) -> None:
    """Count a waiting order in (`sign` 1) or out (-1): what it reserves, and its notional."""
    extras_of(account).reserved += sign * order.reserved
    account.notional += sign * notional_of_order(order)
    state.reserved += sign * order.reserved


# --- the rest of an account -----------------------------------------------------------------------------------------


def set_net_leverage(account: Account, asset: Asset, leverage: int) -> None:
    net = account.nets.get(asset)
    _put_net(account, asset, Net(leverage, None if net is None else net.trade_id))


def _set_net(account: Account, asset: Asset, trade_id: TradeId | None) -> None:
    net = account.nets.get(asset)
    if trade_id is not None and net is not None and net.trade_id is not None:
        raise AssertionError(f"account {account.id} has two net positions in {asset}")
    _put_net(account, asset, Net(0 if net is None else net.leverage, trade_id))


def _put_net(account: Account, asset: Asset, net: Net) -> None:
    nets = extras_of(account).nets
    if net == Net():
        nets.pop(asset, None)
        _tidy(account)
    else:
        nets[asset] = net


def extras_of(account: Account) -> Extras:
    """Its own, to change them."""
    if account.extras is None:
        account.extras = Extras()
    return account.extras


def _tidy(account: Account) -> None:
    """What is empty goes."""
    if not (account.orders or account.exits or account.nets or account.seen):
        account.extras = None


def remember(account: Account, client_order: str, seen: SeenOrder, forgets: tuple[str, ...]) -> None:
    """A client order id is used; these leave the window for it."""
    used = extras_of(account).seen
    for forgotten in forgets:
        del used[forgotten]
    used[client_order] = seen


def pay(state: State, account: Account, amount: int, balance: int) -> None:
    """Move `amount` into (or out of) the free balance, which must then be what the event says and not below 0."""
    account.free += amount
    state.free += amount
    if account.free != balance or balance < 0:
        raise BooksError(f"account {account.id} has {account.free}, its event says {balance}")

"""Every sum that is kept, added up from the ground."""

from exness.core.books import notional_of, notional_of_order
from exness.core.instruments import Side
from exness.core.market import Market
from exness.core.state import Account, BooksError, State
from exness.core.trades import Trade


def audit(state: State) -> None:
    """Check every sum, and that all that waits is found: O(accounts + trades + orders). Raises BooksError with the
    first difference."""
    state.check_books()
    accounts = state.account_list
    _same("free balances", state.free, sum(account.free for account in accounts))
    _same("locked margins", state.locked, sum(account.locked for account in accounts))
    _same("reserves", state.reserved, sum(account.reserved for account in accounts))
    _same("open trades", state.open_trades, sum(len(account.trades) for account in accounts))
    for account in accounts:
        _audit_account(account)
    trades = [trade for account in accounts for trade in account.trades.values()]
    for asset, market in state.markets.items():
        _audit_market(str(asset), market, [trade for trade in trades if trade.asset == asset])
    _same("listed trades", sum(market.open_trades for market in state.markets.values()), len(trades))
    orders = [order for account in accounts for order in account.orders.values()]
    exits = [each for trade in trades for each in trade.all_exits()]
    _same("what waits", sum(sum(map(len, market.rows)) for market in state.markets.values()), _sum_waiting(state))
    expiring = sum(order.expires_at is not None for order in orders)
    expiring += sum(each.order is not None and each.order.expires_at is not None for each in exits)
    _same("what expires", state.due.expiring, expiring)


def _sum_waiting(state: State) -> int:
    return sum(
        len(account.orders) + sum(1 + len(list(trade.all_exits())) for trade in account.trades.values())
        for account in state.account_list
    )


def _audit_account(account: Account) -> None:
    if account.free < 0:
        raise BooksError(f"account {account.id} has a balance below 0: {account.free}")
    trades, orders = account.trades.values(), account.orders.values()
    for trade in trades:
        if trade.margin <= 0 or trade.size <= 0:
            raise BooksError(f"trade {trade.id} has margin {trade.margin} and size {trade.size}")
    _same(f"locked margin of {account.id}", account.locked, sum(trade.margin for trade in trades))
    _same(f"reserve of {account.id}", account.reserved, sum(order.reserved for order in orders))
    notional = sum(map(notional_of, trades)) + sum(map(notional_of_order, orders))
    _same(f"notional of {account.id}", account.notional, notional)
    exits = {each.id: trade.id for trade in trades for each in trade.exits}
    if exits != dict(account.exits):
        raise BooksError(f"exits of {account.id}: kept {account.exits}, there are {exits}")
    nets = {trade.asset: trade.id for trade in trades if trade.net}
    if nets != {asset: net.trade_id for asset, net in account.nets.items() if net.trade_id is not None}:
        raise BooksError(f"net positions of {account.id}: kept {account.nets}, there are {nets}")


def _audit_market(name: str, market: Market, trades: list[Trade]) -> None:
    longs = sum(notional_of(trade) for trade in trades if trade.side is Side.LONG)
    shorts = sum(notional_of(trade) for trade in trades if trade.side is Side.SHORT)
    _same(f"open interest of {name}", market.open_interest, longs + shorts)
    _same(f"exposure in {name}", market.exposure, longs - shorts)
    if sorted(market.trades) != [*market.trades] or {trade.seq: trade for trade in trades} != market.trades:
        raise BooksError(f"trades in {name}: not those of the accounts, in the order of their records")


def _same(what: str, kept: int, summed: int) -> None:
    if kept != summed:
        raise BooksError(f"{what}: kept {kept}, summed {summed}")

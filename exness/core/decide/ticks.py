"""What a price sets off, in the order of a tick, and what time brings. Whoever asks applies each step, and asks
again."""

from collections.abc import Iterable

from msgspec.structs import replace

from exness.core import evolve
from exness.core.ceilings import summed
from exness.core.commands import PriceTick
from exness.core.decide import guards
from exness.core.decide.exits import end_exit, exit_of, fire_exit
from exness.core.decide.funds import funds_of
from exness.core.decide.orders import end, fire_order
from exness.core.decide.trails import trail_moved
from exness.core.due import Expiry
from exness.core.events import CloseReason, EndStatus, Event, TradeChanged, TradeClosed, Why
from exness.core.instruments import AccountId, Asset, OrderId, Side
from exness.core.line import funding_payment, liquidation_price, settle_liquidation, with_margin
from exness.core.margin import most_pnl
from exness.core.market import Market
from exness.core.prices import Price, PriceState, state_of
from exness.core.rates import Rates
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.tick_order import LIQUIDATIONS, ROWS, Looks, What, looks_of
from exness.core.trades import Trade

Steps = Iterable[list[Event]]
"""Events that belong together; they must be applied before the next are asked for. None of an empty step."""

MERGED_AT_ONCE = 500
"""Trailing stops whose groups are merged in one step."""
PASSED_AT_ONCE = 5_000
"""Trades that pay nothing and are passed over in one step."""


def tick(state: State, rules: Rules, command: PriceTick, at: int) -> Steps | None:
    """All that a tick sets off; None: nothing."""
    price = evolve.quote(state, command, at)
    looks, market = looks_of(rules, price), state.markets[command.asset]
    return None if market.is_quiet(looks) else _tick(state, rules, market, command.asset, price, looks, at)


def _tick(state: State, rules: Rules, market: Market, asset: Asset, price: Price, looks: Looks, at: int) -> Steps:
    moved = trail_moved(asset, market, price, looks)
    if moved is not None:
        yield [moved]
        while not market.merge_trails(MERGED_AT_ONCE):
            yield []
    yield from _rows(state, rules, market, price, looks, at, range(len(ROWS)))


def _rows(state: State, rules: Rules, market: Market, price: Price, looks: Looks, at: int, rows: range) -> Steps:
    """Nothing of a later row makes anything of an earlier one due: what would is refused, or closed whole."""
    for number in rows:
        index, what, looks_at = market.rows[number], ROWS[number].what, looks[ROWS[number].look]
        while (found := index.first_due(looks_at)) is not None:
            if what is What.LIQUIDATION:
                yield [liquidate(state, rules, market.trades[found], price)]
            elif what is What.ORDER:
                yield fire_order(state, rules, found, price, at)
            else:
                yield fire_exit(state, rules, *market.first_exit(number, looks_at), price)


def liquidate(state: State, rules: Rules, trade: Trade, price: Price) -> TradeClosed:
    """The end of a trade at the mark, whole and without commission."""
    account = state.accounts[trade.account]
    rates = rules.rates_of(trade.asset)
    most = most_pnl(account.free, account.bound, trade.margin)
    end_ = settle_liquidation(trade.line, price.mark, rates, state.house.insurance, most)
    closed = TradeClosed(
        trade.id,
        account.id,
        trade.asset,
        CloseReason.LIQUIDATION,
        price.mark,
        trade.margin,
        end_.pnl,
        end_.returned,
        account.free + end_.returned,
        end_.shortfall,
        price.bid,
        price.ask,
    )
    if not (
        end_.fee or end_.forfeited or end_.covered or trade.has_exits or trade.commission or trade.realized or trade.net
    ):
        return closed
    return replace(
        closed,
        fee=end_.fee,
        forfeited=end_.forfeited,
        covered=end_.covered,
        stop_loss=None if trade.stop_loss is None else trade.stop_loss.price,
        ended=tuple([each.order.id for each in trade.exits if each.order is not None]),
        filled=trade.size if trade.net else 0,
        commission_before=trade.commission,
        realized_before=trade.realized,
        net=trade.side if trade.net else None,
    )


# --- time -----------------------------------------------------------------------------------------------------------


def pass_time(state: State, rules: Rules, at: int) -> Steps:
    """What is due at the nearest time there is, which is not after `at`: expiries, then settlements by asset."""
    now = state.due.next_due
    assert now is not None, "nothing is due"
    while (due := state.due.first_due(now)) is not None:
        if isinstance(due, Expiry):
            yield [_expire(state, *due.thing)]
            continue
        price = state.price(due.asset)
        if price is None or not state.markets[due.asset].trades:
            after = at  # what has passed without a price is not made up, and without trades it is nothing
        elif price.at <= due.at:
            yield from _settle(state, rules, due.asset, price, due.at)
            after = due.at
        else:
            after = price.at
        state.due.settle_next(due.asset, rules.rates_of(due.asset).next_settlement(after))


def _expire(state: State, account_id: AccountId, order_id: OrderId) -> Event:
    account = state.accounts[account_id]
    order = account.orders.get(order_id)
    if order is not None:
        return end(order, EndStatus.EXPIRED, "expired", account.free + order.reserved)
    found = exit_of(account, order_id)
    assert found is not None, f"order {order_id} expires and is not there"
    return end_exit(*found, EndStatus.EXPIRED, account.free)


def _settle(state: State, rules: Rules, asset: Asset, price: Price, due: int) -> Steps:
    """Funding of one asset at one time, trade by trade, at the last accepted mark; then what that liquidates."""
    rates, market = rules.rates_of(asset), state.markets[asset]
    weight, (long, short) = rates.weight(due), rules.funding_of(asset, due, market.funding)
    if weight and (long or short):
        passed = 0
        for trade in market.trades.values():  # a trade that pays is replaced and keeps its place
            rate = long if trade.side is Side.LONG else short
            paid = _pay(state, rates, trade, price.mark, rate * weight) if trade.opened_at < due and rate else None
            passed = 0 if paid is not None else passed + 1
            if paid is not None:
                yield [paid]
            elif passed % PASSED_AT_ONCE == 0:
                yield []
    if state_of(price, due) is PriceState.LIVE:
        yield from _rows(state, rules, market, price, looks_of(rules, price), due, LIQUIDATIONS)


def _pay(state: State, rates: Rates, trade: Trade, mark: int, rate: int) -> TradeChanged | None:
    """What one trade pays, from its margin; None: nothing."""
    account, line = state.accounts[trade.account], trade.line
    payment = funding_payment(line, mark, rate, 1, funds_of(state, account).most)
    paid, unpaid = payment.paid, payment.unpaid
    if (not paid and not unpaid) or guards.unchangeable(trade) is not None:
        return None
    changed = with_margin(line, line.margin - paid)
    after = replace(
        trade,
        margin=changed.margin,
        liquidation=liquidation_price(changed, rates),
        funding=summed(trade.funding, paid),
    )
    covered = min(unpaid, state.house.insurance)
    return TradeChanged(after, Why.FUNDING, account.free, paid=paid, price=mark, shortfall=unpaid, covered=covered)

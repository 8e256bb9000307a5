"""Orders that wait to open: placing, amending and cancelling them, and what one does that is filled."""

from operator import itemgetter

from msgspec import UNSET
from msgspec.structs import replace

from exness.core.books import notional_of_order
from exness.core.client_orders import asked_of, fingerprint, forgotten, repeat, wrong_name
from exness.core.commands import AmendOrder, CancelOrder, CancelOrders, PlaceOrder, TimeInForce
from exness.core.decide import guards, net
from exness.core.decide.exits import amend_exit, end_exit, exit_of
from exness.core.decide.funds import Funds, funds_of
from exness.core.decide.opening import SIZE_NOTIONAL, open_at, wrong_amounts
from exness.core.events import (
    EndStatus,
    Event,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    TradeOpened,
)
from exness.core.instruments import Asset, LimitFill, Side, TradeId
from exness.core.line import Line, entry_fee, trade_line
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rejects import Figure, Limit, Reached, Refusal, Reject
from exness.core.rules import SIZE, Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at, order_is_reached, stops_at
from exness.core.trades import PLACES, Order

NOT_FOUND = Refusal(Reject.ORDER_NOT_FOUND)


def decide_order(state: State, rules: Rules, command: PlaceOrder, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    used = repeat(account, command)
    if isinstance(used, Repeated):
        return used
    c = command
    refusal = (
        (guards.wrong("limit", "be given, or a stop price") if c.limit is None and c.stop is None else None)
        or guards.wrong_price(limit=c.limit, stop=c.stop)
        or guards.wrong_expiry(c.time_in_force, c.expires_at, at)
        or guards.wrong_exits(c.side, c.take_profit, c.stop_loss, c.trailing_stop)
        or used
    )
    if refusal is not None:
        return refusal
    price = state.fresh_price(c.asset, at)
    if c.asset not in rules.instruments or price is None or price.suspect:
        return guards.no_price(state, c.asset, at)
    refusal = _amounts(rules, c.asset, c) or wrong_name(command)
    return refusal or _placed(state, rules, account, c, price, at)


def _placed(
    state: State, rules: Rules, account: Account, c: PlaceOrder, price: Price, at: int
) -> list[Event] | Refusal:
    order = Order(
        c.order_id,
        account.id,
        c.asset,
        c.side,
        number=(state.seq + 1) * PLACES,
        placed_at=at,
        leverage=c.leverage,
        margin=c.margin,
        limit=c.limit,
        stop=c.stop,
        expires_at=c.expires_at,
        post_only=c.post_only,
        take_profit=c.take_profit,
        stop_loss=c.stop_loss,
        trailing_stop=c.trailing_stop,
        client_order=c.client_order,
    )
    if crosses(rules, order, price):
        opened = _take(state, rules, account, order, price, at, funds_of(state, account))
        if isinstance(opened, Refusal) or c.client_order is None:
            return opened if isinstance(opened, Refusal) else [opened]
        forgets = forgotten(account, rules.client_order_ids_per_account)
        return [replace(opened, fingerprint=fingerprint(c), forgets=forgets)]
    ioc = c.time_in_force is TimeInForce.IOC
    waiting = may_wait(state, rules, account, order, price, funds_of(state, account), ioc=ioc)
    if isinstance(waiting, Refusal):
        return waiting
    asked = asked_of(account, rules, c, order.id, 1)
    return [OrderPlaced(waiting, account.free - waiting.reserved, asked)]


def _amounts(rules: Rules, asset: Asset, wish: PlaceOrder | Order) -> Refusal | None:
    return (
        wrong_amounts(rules, asset, wish.margin, wish.leverage)
        or guards.price_out_of_range(asset, (Figure.LIMIT, wish.limit), (Figure.STOP, wish.stop))
        or guards.exits_out_of_range(asset, wish.take_profit, wish.stop_loss, wish.trailing_stop)
    )


def crosses(rules: Rules, order: Order, price: Price) -> bool:
    """Whether it is a limit that this price satisfies."""
    return order.stop is None and order_is_reached(order, opens_at(rules.execution, price, order.side))


def _take(
    state: State, rules: Rules, account: Account, order: Order, price: Price, at: int, funds: Funds
) -> TradeOpened | Refusal:
    """A limit that crosses is filled at once, at the market."""
    entry, rates = opens_at(rules.execution, price, order.side), rules.rates_of(order.asset)
    if order.post_only:
        line = trade_line(order.side, order.margin, order.leverage, entry)
        due = guards.would_liquidate(order.asset, line, rates, entry, price.mark)
        return due or Refusal(Reject.WOULD_TAKE)
    return _open(state, rules, account, order, price, entry, rates.taker, at, funds)


def may_wait(
    state: State,
    rules: Rules,
    account: Account,
    order: Order,
    price: Price,
    funds: Funds,
    *,
    ioc: bool = False,
    is_new: bool = True,
) -> Order | Refusal:
    """The order with what it reserves, if it may wait: the rules of opening are asked at its own price. `funds` are as
    they are without it."""
    asset, rates = order.asset, rules.rates_of(order.asset)
    opening = _if_it_opens(rules, account, order)
    refusal = None
    if opening is not None:
        refusal = guards.would_liquidate(asset, opening[0], rates, order.price, order.price)
    if refusal is None and ioc:
        refusal = Refusal(Reject.WOULD_REST)
    refusal = refusal or _would_trigger(rules, order, price)
    orders, most = len(account.orders) + 1, rules.max_open_orders_per_account
    if refusal is None and is_new and orders > most:
        refusal = guards.over(Limit.OPEN_ORDERS_PER_ACCOUNT, most, orders)
    if refusal is not None:
        return refusal
    if opening is None:
        return replace(order, opens=0, reserved=0)
    line, whole, new_trades, notional = opening
    reserve = line.margin + entry_fee(line, rates.dearer)
    return (
        guards.over_limit(
            state,
            rules,
            rates,
            account,
            asset,
            notional,
            whole,
            order.leverage,
            new_trades,
            funds.left_out,
        )
        or guards.out_of_range(Figure.SIZE, line.size, SIZE)
        or guards.not_enough(reserve, funds.free)
        or replace(order, opens=line.size if order.net else 0, reserved=reserve)
    )


def _if_it_opens(rules: Rules, account: Account, order: Order) -> tuple[Line, Line, int, int] | None:
    """What would open at its price, the whole that this is part of, how many trades it adds, and its notional. None:
    nothing would."""
    if order.net:
        return net.if_it_opens(rules, account, order)
    line = trade_line(order.side, order.margin, order.leverage, order.price)
    return line, line, 1, line.size * SIZE_NOTIONAL


def _would_trigger(rules: Rules, order: Order, price: Price) -> Refusal | None:
    """Its stop is reached, or an exit of it is not beyond its own price."""
    if order.stop is not None:
        looked_at = stops_at(rules, price, order.side, opening=True)
        if order_is_reached(order, looked_at):
            return Refusal(Reject.WOULD_TRIGGER, Reached(order.asset, looked_at, order.stop, order.kind))
    return guards.exits_would_trigger(order.asset, order.side, order.take_profit, order.stop_loss, order.price)


# --- amending and cancelling ----------------------------------------------------------------------------------------


def decide_amend(state: State, rules: Rules, command: AmendOrder, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    if account is None:
        return NOT_FOUND
    expires_at = command.expires_at
    refusal = None if expires_at is UNSET else guards.wrong_expiry(None, expires_at, at)
    if refusal is not None:
        return refusal
    old = account.orders.get(command.order_id)
    if old is None:
        found = exit_of(account, command.order_id)
        return NOT_FOUND if found is None else amend_exit(state, rules, account, *found, command, at)
    new = _amended(old, command)
    if isinstance(new, Refusal):
        return new
    price = state.fresh_price(new.asset, at)
    takes = price is not None and crosses(rules, new, price)
    if price is None or (takes and price.suspect) or new.asset not in rules.instruments:
        return guards.no_price(state, new.asset, at)
    refusal = net.amounts(rules, new, new.quantity) if old.net else _amounts(rules, new.asset, new)
    if refusal is not None:
        return refusal
    funds = funds_of(state, account)
    funds.release(old.reserved)
    funds.left_out = notional_of_order(old)
    if not takes:
        waiting = may_wait(state, rules, account, new, price, funds, is_new=False)
        if isinstance(waiting, Refusal):
            return waiting
        return [OrderAmended(waiting, old.reserved, funds.free - waiting.reserved)]
    return _amended_and_filled(state, rules, account, new, old, price, at, funds)


def _amended_and_filled(
    state: State, rules: Rules, account: Account, new: Order, old: Order, price: Price, at: int, funds: Funds
) -> list[Event] | Refusal:
    """An amended limit that crosses is filled at once, at the market. What it reserves in between is what it would have
    reserved as one that waits."""
    refusal = (
        net.may_take(state, rules, account, new, price, funds)
        if new.net
        else _refused(_take(state, rules, account, new, price, at, funds))
    )
    rates = rules.rates_of(new.asset)
    opening = _if_it_opens(rules, account, new)
    reserved = 0 if opening is None else opening[0].margin + entry_fee(opening[0], rates.dearer)
    refusal = refusal or guards.not_enough(reserved, funds.free)
    if refusal is not None:
        return refusal
    opens = opening[0].size if opening is not None and new.net else 0
    amended = replace(new, reserved=reserved, opens=opens)
    event = OrderAmended(amended, old.reserved, funds.free - reserved)
    funds.seq += 1
    entry = opens_at(rules.execution, price, new.side)
    return [event, *fill(state, rules, account, amended, price, entry, rates.taker, at, funds)]


def _refused(outcome: TradeOpened | Refusal) -> Refusal | None:
    return outcome if isinstance(outcome, Refusal) else None


def _amended(old: Order, c: AmendOrder) -> Order | Refusal:
    """The order as it would be; its id, and its place in line, stay."""
    not_its = ("margin", "leverage", "take_profit", "stop_loss", "trailing_stop") if old.net else ("size",)
    for field in not_its:
        if getattr(c, field) is not UNSET:
            return guards.wrong(field, "not be given for such an order")
    fields = ("limit", "stop", "expires_at", "margin", "leverage", "take_profit", "stop_loss", "trailing_stop")
    changes = {field: given for field in fields if (given := getattr(c, field)) is not UNSET}
    if c.size is not UNSET:
        changes["quantity"] = c.size
    new = replace(old, **changes)
    if new.limit is None and new.stop is None:
        return guards.wrong("limit", "be given, or a stop price")
    return (
        guards.wrong_price(limit=new.limit, stop=new.stop)
        or guards.wrong_exits(new.side, new.take_profit, new.stop_loss, new.trailing_stop)
        or new
    )


def decide_cancel(state: State, rules: Rules, command: CancelOrder, at: int) -> list[Event] | Refusal:
    account = state.accounts.get(command.account)
    order = account.orders.get(command.order_id) if account is not None else None
    if account is not None and order is not None:
        return [end(order, EndStatus.CANCELLED, "user", account.free + order.reserved)]
    found = exit_of(account, command.order_id) if account is not None else None
    if account is None or found is None:
        return NOT_FOUND
    return [end_exit(*found, EndStatus.CANCELLED, account.free)]


def decide_cancel_all(state: State, rules: Rules, command: CancelOrders, at: int) -> list[Event] | Refusal:
    """By their numbers."""
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    asset, named = command.asset, command.named
    orders = [
        order
        for order in account.orders.values()
        if asset in (None, order.asset) and (named is None or order.id in named)
    ]
    trades = {trade_id: account.trades[trade_id] for trade_id in account.exits.values()}
    exits = [
        (each.number, trade.id)
        for trade in trades.values()
        if asset in (None, trade.asset)
        for each in trade.exits
        if named is None or each.id in named
    ]
    waiting: list[tuple[int, Order | TradeId]] = [*((order.number, order) for order in orders), *exits]
    free = account.free
    events: list[Event] = []
    for number, what in sorted(waiting, key=itemgetter(0)):
        if isinstance(what, Order):
            free += what.reserved
            events.append(end(what, EndStatus.CANCELLED, "user", free))
        else:
            exit_ = next(each for each in trades[what].exits if each.number == number)
            changed = end_exit(trades[what], exit_, EndStatus.CANCELLED, free)
            trades[what] = changed.trade
            events.append(changed)
    return events


def end(order: Order, status: EndStatus, reason: str, balance: int) -> OrderEnded:
    """The one end of an order: what it reserved is free again."""
    released, fired, is_net = order.reserved, order.fired, order.net
    return OrderEnded(order.id, order.account, order.asset, status, released, balance, reason, fired=fired, net=is_net)


# --- fills ----------------------------------------------------------------------------------------------------------


def fire_order(state: State, rules: Rules, order: Order, price: Price, at: int) -> list[Event]:
    """What an order does whose price is reached."""
    account = state.accounts[order.account]
    entry, rates = opens_at(rules.execution, price, order.side), rules.rates_of(order.asset)
    rate = rates.taker
    if order.stop is None:
        rate = rates.maker
        if rules.limit_fill is LimitFill.LIMIT:
            entry = order.level
    elif order.limit is not None and (entry > order.limit if order.side is Side.LONG else entry < order.limit):
        fired = order.fired or (state.seq + 1) * PLACES  # one that was amended can do so again
        return [OrderTriggered(order.id, account.id, order.asset, fired, account.free)]
    funds = funds_of(state, account)
    funds.left_out = notional_of_order(order)
    funds.release(order.reserved)
    return fill(state, rules, account, order, price, entry, rate, at, funds)


def fill(
    state: State,
    rules: Rules,
    account: Account,
    order: Order,
    price: Price,
    entry: int,
    rate: int,
    at: int,
    funds: Funds,
) -> list[Event]:
    """An order that waited is filled at `entry`: the rules of opening apply again, and what fails ends it. `funds` are
    as they are without it."""
    if order.net:
        return net.fill(state, rules, account, order, price, entry, rate, at, funds)
    ended = end(order, EndStatus.FILLED, "", funds.free)
    funds.seq += 1
    opened = _open(state, rules, account, order, price, entry, rate, at, funds)
    if isinstance(opened, Refusal):
        return [end(order, EndStatus.REFUSED, reason_of(opened), funds.free)]
    fired = order.fired or (funds.seq - 1) * PLACES
    return [replace(ended, filled=opened.trade.size, price=entry, fired=fired), opened]


def _open(
    state: State,
    rules: Rules,
    account: Account,
    order: Order,
    price: Price,
    entry: int,
    rate: int,
    at: int,
    funds: Funds,
) -> TradeOpened | Refusal:
    return open_at(
        state,
        rules,
        account,
        order,
        TradeId(order.id),
        price,
        entry,
        rules.rates_of(order.asset),
        rate,
        at,
        funds.seq,
        funds.free,
        funds.left_out,
    )


def reason_of(refusal: Refusal) -> str:
    """Why a fill ends its order."""
    if isinstance(refusal.figures, Reached):
        return f"{refusal.figures.kind.value}_on_fill"
    return refusal.reject.value

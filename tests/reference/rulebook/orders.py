"""Opening a trade of its own: at the market, by an order that waits, and by one that was amended."""

from dataclasses import dataclass, replace
from fractions import Fraction

from tests.reference.rulebook import checks, exits, formulas, nets, parts
from tests.reference.rulebook.book import Book, Exit, Order, Price, Trade
from tests.reference.rulebook.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    OpenTrade,
    PlaceOrder,
    Refused,
    Trailing,
)
from tests.reference.rulebook.formulas import Position


@dataclass(frozen=True)
class Wish:
    """What is to be opened now, whoever asked."""

    account: str
    order: str
    asset: str
    side: str
    margin: int
    leverage: int
    take_profit: int | None
    stop_loss: int | None
    trailing: Trailing | None
    client_order: str | None

    @classmethod
    def of(cls, it: "OpenTrade | PlaceOrder | Order") -> "Wish":
        assert it.margin is not None
        return cls(
            it.account,
            it.id if isinstance(it, Order) else it.order,
            it.asset,
            it.side,
            it.margin,
            it.leverage,
            it.take_profit,
            it.stop_loss,
            it.trailing,
            it.client_order,
        )

    def at(self, price: int) -> Position:
        return formulas.trade_position(self.side, self.margin, self.leverage, price)


def open_trade(book: Book, c: OpenTrade) -> None:
    book.account(c.account)
    checks.exit_fields(c.side, c.take_profit, c.stop_loss, c.trailing)
    price = book.live_price(c.asset)
    checks.trade_amounts(book, c.asset, c.margin, c.leverage)
    checks.slippage_amounts(c.slippage, c.expected_price)
    checks.prices_in_range(c.trailing, take_profit=c.take_profit, stop_loss=c.stop_loss)
    at = book.opens_at(price, c.side)
    wish = Wish.of(c)
    checks.not_due(book, c.asset, wish.at(at), at, price.mark)
    checks.slippage(at, c.slippage, c.expected_price, c.seen_price)
    _affordable(book, wish, price, book.rates(c.asset).taker)
    _open(book, wish, at, book.rates(c.asset).taker, price)


def place_order(book: Book, c: PlaceOrder) -> None:
    book.account(c.account)
    checks.bad_request("limit", wrong=c.limit is None and c.stop is None)
    checks.price_fields(limit=c.limit, stop=c.stop)
    checks.expiry(c.tif, c.expires_at, book.at)
    checks.exit_fields(c.side, c.take_profit, c.stop_loss, c.trailing)
    price = book.live_price(c.asset)
    checks.trade_amounts(book, c.asset, c.margin, c.leverage)
    checks.prices_in_range(c.trailing, limit=c.limit, stop=c.stop, take_profit=c.take_profit, stop_loss=c.stop_loss)
    order = Order(
        id=c.order,
        account=c.account,
        asset=c.asset,
        side=c.side,
        leverage=c.leverage,
        margin=c.margin,
        limit=c.limit,
        stop=c.stop,
        expires_at=c.expires_at,
        post_only=c.post_only,
        take_profit=c.take_profit,
        stop_loss=c.stop_loss,
        trailing=c.trailing,
        client_order=c.client_order,
    )
    if checks.crosses(book, price, order):
        take_checked(book, order, price)
        _open(book, Wish.of(order), book.opens_at(price, c.side), book.rates(c.asset).taker, price)
        return
    reserve = may_wait(book, order, price, ioc=c.tif == "ioc")
    rest(book, order, reserve)


def take_checked(book: Book, order: Order, price: Price, old: Order | None = None) -> None:
    """Whether an order that crosses may be filled at once. `old` is what it was before an amendment."""
    at, wish = book.opens_at(price, order.side), Wish.of(order)
    checks.not_due(book, order.asset, wish.at(at), at, price.mark)
    if order.post_only:
        raise Refused("would_take")
    _affordable(book, wish, price, book.rates(order.asset).taker, old)


def _affordable(book: Book, wish: Wish, price: Price, rate: int, old: Order | None = None) -> None:
    looked_at = book.stops_at(price, wish.side, opening=False)
    checks.exits_not_due(wish.side, looked_at, [("stop_loss", wish.stop_loss), ("take_profit", wish.take_profit)])
    notional = Fraction(wish.margin * wish.leverage, 100)
    checks.limits(book, wish.account, wish.asset, added=notional, whole=notional, leverage=wish.leverage, without=old)
    released = 0 if old is None else old.reserved
    checks.enough(wish.margin + formulas.fee(notional, rate), book.account(wish.account).free + released)


def may_wait(book: Book, order: Order, price: Price, *, ioc: bool = False, old: Order | None = None) -> int:
    """What it reserves. Sets what of a net order opens."""
    position, whole, new_trades = _if_it_opens(book, order, old)
    if position is not None:
        checks.not_due(book, order.asset, position, order.price, order.price)
    if ioc:
        raise Refused("would_rest")
    if checks.is_stopped(book, price, order):
        raise Refused("would_trigger", price=book.stops_at(price, order.side, opening=True), level=order.stop)
    _exits_beyond(order)
    if old is None:
        checks.open_orders(book, order.account)
    if position is None:
        return 0
    checks.limits(
        book,
        order.account,
        order.asset,
        added=book.notional_of(order),
        whole=whole,
        leverage=order.leverage,
        new_trades=new_trades,
        without=old,
    )
    reserve = position.margin + formulas.fee(book.notional_of(order), book.rates(order.asset).dearer)
    checks.enough(reserve, book.account(order.account).free + (0 if old is None else old.reserved))
    return reserve


def _if_it_opens(book: Book, order: Order, old: Order | None) -> tuple[Position | None, Fraction, int]:
    """The position that it opens at its price, the notional of all that this is part of, the trades that it adds."""
    if not order.is_net:
        position = Wish.of(order).at(order.price)
        return position, position.entry_notional, 1
    order.opens = nets.would_open(book, order, old)
    if order.opens == 0:
        return None, Fraction(0), 0
    held = book.net_trade(order.account, order.asset)
    empty = Position(order.side, 0, 0, book.asset(order.asset).net_unit, 0, order.leverage, is_net=True)
    position = formulas.increased(empty, order.opens, order.price)
    whole = position.entry_notional
    if held is not None and held.side == order.side:
        whole += held.position.entry_notional
    return position, whole, 1 if held is None else 0


def _exits_beyond(order: Order) -> None:
    for kind, level in (("stop_loss", order.stop_loss), ("take_profit", order.take_profit)):
        if level is not None and checks.is_reached(kind, order.side, level, order.price):
            raise Refused("would_trigger", price=order.price, level=level)


def rest(book: Book, order: Order, reserve: int) -> None:
    account = book.account(order.account)
    account.free -= reserve
    order.reserved = reserve
    book.orders[order.id] = order
    seq = book.tell("order_placed", **shown(order), balance=account.free)
    order.number = 16 * seq


def shown(order: Order) -> dict[str, object]:
    return {
        "order": order.id,
        "account": order.account,
        "asset": order.asset,
        "side": order.side,
        "kind": order.kind,
        "margin": order.margin,
        "leverage": order.leverage,
        "quantity": order.quantity,
        "limit": order.limit,
        "stop": order.stop,
        "expires_at": order.expires_at,
        "take_profit": order.take_profit,
        "stop_loss": order.stop_loss,
        "trailing": order.trailing,
        "reserved": order.reserved,
    }


def _open(book: Book, wish: Wish, at: int, rate: int, price: Price) -> None:
    looked_at = book.stops_at(price, wish.side, opening=False)
    own = exits.own_exits(wish.side, looked_at, wish.take_profit, wish.stop_loss, wish.trailing)
    opened(book, wish.account, wish.order, wish.asset, wish.at(at), at, rate, own, wish.client_order)


def opened(
    book: Book,
    account_id: str,
    order: str,
    asset: str,
    position: Position,
    at: int,
    rate: int,
    own: list[Exit],
    client_order: str | None,
) -> None:
    """A trade, or a net position, that was not there."""
    account, rates = book.account(account_id), book.rates(asset)
    paid = formulas.fee(position.entry_notional, rate)
    account.free -= position.margin + paid
    book.house.commission += paid
    liquidation = formulas.liquidation_price(position, rates)
    trade = Trade(
        order, account_id, asset, position, liquidation, rates, book.at, 0, client_order, own, commission=paid
    )
    book.trades[order] = trade
    seq = book.tell(
        "trade_opened",
        order=order,
        account=account_id,
        asset=asset,
        side=position.side,
        price=at,
        margin=position.margin,
        leverage=position.leverage,
        size=position.size,
        fee=paid,
        liquidation=liquidation,
        net=position.is_net,
        **parts.shown_exits(trade),
        balance=account.free,
    )
    trade.number = 16 * seq
    exits.number_exits(own, seq)


def amend_order(book: Book, c: AmendOrder) -> None:
    checks.expiry(None, c.changes.get("expires_at"), book.at)
    old = book.orders.get(c.order)
    if old is None or old.account != c.account:
        exits.amend_exit(book, c, *exits.find(book, c.account, c.order))
        return
    account = book.account(c.account)
    own = ("quantity",) if old.is_net else ("margin", "leverage", "take_profit", "stop_loss", "trailing")
    checks.known(c.changes, "limit", "stop", "expires_at", *own)
    for name in ("margin", "leverage", "quantity"):
        checks.bad_request(name, wrong=name in c.changes and c.changes[name] is None)
    new = replace(old, **c.changes)
    checks.bad_request("limit", wrong=new.limit is None and new.stop is None)
    checks.price_fields(limit=new.limit, stop=new.stop)
    checks.exit_fields(new.side, new.take_profit, new.stop_loss, new.trailing)
    price = book.fresh_price(new.asset)
    takes = checks.crosses(book, price, new)
    if takes:
        book.live_price(new.asset)
    _amended_amounts(book, new)
    if takes:
        fill_checked = nets.take_checked if new.is_net else take_checked
        fill_checked(book, new, price, old)
        new.reserved = _reserve_of(book, new, old)
        checks.enough(new.reserved, account.free + old.reserved)
    else:
        new.reserved = may_wait(book, new, price, old=old)
    account.free += old.reserved - new.reserved
    book.orders[new.id] = new
    book.tell("order_amended", **shown(new), released=old.reserved, balance=account.free)
    if takes:
        fill(book, new, price, book.opens_at(price, new.side), book.rates(new.asset).taker)


def _reserve_of(book: Book, new: Order, old: Order) -> int:
    position, _, _ = _if_it_opens(book, new, old)
    if position is None:
        return 0
    return position.margin + formulas.fee(book.notional_of(new), book.rates(new.asset).dearer)


def _amended_amounts(book: Book, new: Order) -> None:
    if new.margin is not None:
        checks.trade_amounts(book, new.asset, new.margin, new.leverage)
    if new.quantity is not None:
        nets.quantity_amounts(new.quantity, new.price)
    checks.prices_in_range(
        new.trailing, limit=new.limit, stop=new.stop, take_profit=new.take_profit, stop_loss=new.stop_loss
    )


def cancel_order(book: Book, c: CancelOrder) -> None:
    order = book.orders.get(c.order)
    if order is not None and order.account == c.account:
        end(book, order, "cancelled", "user")
        return
    exits.end_exit(book, *exits.find(book, c.account, c.order), "cancelled")


def cancel_orders(book: Book, c: CancelOrders) -> None:
    """All that has an id of its own, in the order of their numbers."""
    book.account(c.account)
    waiting: list[tuple[int, Order | tuple[Trade, Exit]]] = [
        (each.number, each) for each in book.orders_of(c.account) if c.asset in (None, each.asset)
    ]
    waiting += [
        (each.number, (trade, each)) for trade, each in book.exits_of(c.account) if c.asset in (None, trade.asset)
    ]
    for _, it in sorted(waiting, key=lambda each: each[0]):
        if isinstance(it, Order):
            end(book, it, "cancelled", "user")
        else:
            exits.end_exit(book, *it, "cancelled")


def end(book: Book, order: Order, status: str, reason: str | None = None) -> int:
    """The only end of an order: what it reserved is free again."""
    account = book.account(order.account)
    account.free += order.reserved
    del book.orders[order.id]
    return book.tell(
        "order_ended",
        order=order.id,
        account=order.account,
        asset=order.asset,
        status=status,
        reason=reason,
        released=order.reserved,
        balance=account.free,
    )


def fill(book: Book, order: Order, price: Price, at: int, rate: int) -> None:
    """One that waited. The rules of opening apply again; what fails ends it."""
    if order.is_net:
        nets.fill(book, order, price, at, rate)
        return
    wish = Wish.of(order)
    reason = _refused_on_fill(book, order, wish, price, at, rate)
    if reason is not None:
        end(book, order, "refused", reason)
        return
    seq = end(book, order, "filled")
    order.fired = order.fired or 16 * seq
    _open(book, wish, at, rate, price)


def _refused_on_fill(book: Book, order: Order, wish: Wish, price: Price, at: int, rate: int) -> str | None:
    try:
        checks.not_due(book, order.asset, wish.at(at), at, price.mark)
        looked_at = book.stops_at(price, order.side, opening=False)
        for kind, level in (("stop_loss", order.stop_loss), ("take_profit", order.take_profit)):
            if level is not None and checks.is_reached(kind, order.side, level, looked_at):
                return f"{kind}_on_fill"
        _affordable(book, wish, price, rate, order)
    except Refused as refused:
        return refused.code
    return None
